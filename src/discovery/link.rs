//! A socket for multicast DNS in one network.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use super::MAX_PACKET;
use crate::network::{Interface, interfaces};

/// The multicast group, and its port.
const GROUP: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(224, 0, 0, 251), 5353);
/// Packets read at once, before other sockets have their turn.
const MAX_AT_ONCE: usize = 32;

/// A network that this machine is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Network {
    index: u32,
    /// This machine's address.
    pub(super) ip: Ipv4Addr,
    prefix: u32,
}

impl Network {
    /// Returns the networks that take multicast, one for each interface.
    pub(super) fn all() -> Vec<Self> {
        let mut networks: Vec<Self> = Vec::new();
        for Interface { index, ip, prefix, multicast } in interfaces() {
            if let std::net::IpAddr::V4(ip) = ip
                && multicast
                && networks.iter().all(|network| network.index != index)
            {
                networks.push(Self { index, ip, prefix });
            }
        }
        networks
    }

    /// Returns whether `ip` is an address in this network.
    fn contains(&self, ip: Ipv4Addr) -> bool {
        let mask = u32::MAX.checked_shl(32 - self.prefix.min(32)).unwrap_or(0);
        (ip.to_bits() ^ self.ip.to_bits()) & mask == 0
    }
}

/// A received packet.
pub(super) struct Received<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) from: SocketAddrV4,
}

/// Returns whether a sender takes part in multicast DNS, and so hears replies to everybody.
pub(super) fn is_multicast(from: SocketAddrV4) -> bool {
    from.port() == GROUP.port()
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
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        // Otherwise each packet would be read once for every interface.
        socket.set_multicast_all_v4(false)?;
        socket.join_multicast_v4_n(GROUP.ip(), &InterfaceIndexOrAddress::Index(network.index))?;
        socket.set_multicast_if_v4(&network.ip)?;
        socket.set_multicast_ttl_v4(255)?;
        socket.set_nonblocking(true)?;
        // To the group alone, to which nobody beyond this network can send.
        socket.bind(&SocketAddr::from(GROUP).into())?;
        Ok(Self { socket: socket.into(), network })
    }

    /// Sends to everybody in the network. Queries for lost packets are repeated.
    pub(super) fn send(&self, packet: &[u8]) {
        self.send_to(packet, GROUP);
    }

    pub(super) fn send_to(&self, packet: &[u8], to: SocketAddrV4) {
        if let Err(error) = self.socket.send_to(packet, to) {
            log::debug!("cannot send multicast DNS from {}: {error}", self.network.ip);
        }
    }

    /// Reads the packets that have come from this network.
    pub(super) fn receive(&self, mut each: impl FnMut(Received<'_>)) {
        let mut buffer = [0; MAX_PACKET];
        for _ in 0..MAX_AT_ONCE {
            match self.socket.recv_from(&mut buffer) {
                Ok((size, SocketAddr::V4(from))) if self.network.contains(*from.ip()) => {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_its_addresses_only() {
        let network = |prefix| Network { index: 1, ip: Ipv4Addr::new(192, 168, 1, 7), prefix };
        for (prefix, ip, expected) in [
            (24, [192, 168, 1, 200], true),
            (24, [192, 168, 2, 7], false),
            (16, [192, 168, 2, 7], true),
            (32, [192, 168, 1, 7], true),
            (32, [192, 168, 1, 8], false),
            (0, [8, 8, 8, 8], true),
        ] {
            assert_eq!(network(prefix).contains(ip.into()), expected, "{prefix} {ip:?}");
        }
    }
}
