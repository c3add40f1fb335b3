//! A socket for multicast DNS in one network.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use super::MAX_PACKET;
use crate::network::{Network, is_link_local, networks};

/// The multicast groups, and their port.
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
const PORT: u16 = 5353;
/// Packets read at once, before other sockets have their turn.
const MAX_AT_ONCE: usize = 32;

/// Returns the networks that take multicast and where this machine has an address that is `wanted`: at most one of each family
/// for an interface.
pub(super) fn networks_with(wanted: impl Fn(IpAddr) -> bool) -> Vec<Network> {
    let mut chosen: Vec<Network> = Vec::new();
    for network in networks() {
        let is_same =
            |other: &Network| other.interface == network.interface && other.ip.is_ipv4() == network.ip.is_ipv4();
        if network.has_multicast && !is_link_local(network.ip) && wanted(network.ip) && !chosen.iter().any(is_same) {
            chosen.push(network);
        }
    }
    chosen
}

/// Returns the group of everybody in a network.
fn group(network: &Network) -> SocketAddr {
    match network.ip {
        IpAddr::V4(_) => (GROUP_V4, PORT).into(),
        IpAddr::V6(_) => SocketAddrV6::new(GROUP_V6, PORT, 0, network.interface).into(),
    }
}

/// A received packet.
pub(super) struct Received<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) from: SocketAddr,
}

/// Returns whether a sender takes part in multicast DNS, and so hears replies to everybody.
pub(super) fn is_multicast(from: SocketAddr) -> bool {
    from.port() == PORT
}

/// The connection to one network.
#[derive(Debug)]
pub(super) struct Link {
    socket: UdpSocket,
    pub(super) network: Network,
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Link {
    /// Joins the group in `network`, beside other programs.
    pub(super) fn open(network: Network) -> io::Result<Self> {
        let group = group(&network);
        let socket = Socket::new(Domain::for_address(group), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        match network.ip {
            IpAddr::V4(ip) => {
                // Otherwise each packet would be read once for every interface.
                socket.set_multicast_all_v4(false)?;
                socket.join_multicast_v4_n(&GROUP_V4, &InterfaceIndexOrAddress::Index(network.interface))?;
                socket.set_multicast_if_v4(&ip)?;
                socket.set_multicast_ttl_v4(255)?;
            }
            // The group's address has the interface in it.
            IpAddr::V6(_) => {
                socket.set_only_v6(true)?;
                socket.join_multicast_v6(&GROUP_V6, network.interface)?;
                socket.set_multicast_hops_v6(255)?;
            }
        }
        socket.set_nonblocking(true)?;
        // To the group alone, to which nobody beyond this network can send.
        socket.bind(&group.into())?;
        Ok(Self { socket: socket.into(), network })
    }

    /// Sends to everybody in the network. Queries for lost packets are repeated.
    pub(super) fn send(&self, packet: &[u8]) {
        self.send_to(packet, group(&self.network));
    }

    pub(super) fn send_to(&self, packet: &[u8], to: SocketAddr) {
        if let Err(error) = self.socket.send_to(packet, to) {
            log::debug!("cannot send multicast DNS from {}: {error}", self.network.ip);
        }
    }

    /// Reads the packets that have come from this network.
    pub(super) fn receive(&self, mut each: impl FnMut(Received<'_>)) {
        let mut buffer = [0; MAX_PACKET];
        for _ in 0..MAX_AT_ONCE {
            match self.socket.recv_from(&mut buffer) {
                Ok((size, from)) if self.network.contains(from.ip()) => {
                    each(Received { bytes: &buffer[..size], from });
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }
}

/// Waits until something can be read from one of `sources`, or until `deadline`.
pub(super) fn wait<'a>(sources: impl Iterator<Item = BorrowedFd<'a>>, deadline: Instant) {
    let mut sources: Vec<_> = sources.map(|source| PollFd::new(source, PollFlags::POLLIN)).collect();
    // One more, so that the wait is not over before its deadline.
    let left = deadline.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
    let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
    // After an error the caller looks at the sockets all the same.
    let _ = poll(&mut sources, timeout);
}
