//! A socket for multicast DNS in one network.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use super::MAX_PACKET;
use crate::network::{Interface, interfaces};

/// The multicast groups, and their port.
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
const PORT: u16 = 5353;
/// Packets read at once, before other sockets have their turn.
const MAX_AT_ONCE: usize = 32;

/// A network of one family that this machine is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Network {
    index: u32,
    /// This machine's address.
    pub(super) ip: IpAddr,
    prefix: u32,
}

impl Network {
    /// Returns the networks that take multicast and where this machine has an address that is `wanted`: at most one of each family
    /// for an interface.
    pub(super) fn all(wanted: impl Fn(IpAddr) -> bool) -> Vec<Self> {
        let mut networks: Vec<Self> = Vec::new();
        for Interface { index, ip, prefix, multicast } in interfaces() {
            let is_same = |network: &Self| network.index == index && network.ip.is_ipv4() == ip.is_ipv4();
            if multicast && !is_link_local(ip) && wanted(ip) && !networks.iter().any(is_same) {
                networks.push(Self { index, ip, prefix });
            }
        }
        networks
    }

    /// Returns whether `ip` is an address in this network.
    fn contains(&self, ip: IpAddr) -> bool {
        let bits = |ip| match ip {
            IpAddr::V4(ip) => u128::from(Ipv4Addr::to_bits(ip)) << 96,
            IpAddr::V6(ip) => ip.to_bits(),
        };
        let difference = (bits(ip) ^ bits(self.ip)).checked_shr(128 - self.prefix.min(128)).unwrap_or(0);
        ip.is_ipv4() == self.ip.is_ipv4() && (difference == 0 || is_link_local(ip))
    }

    /// Returns the group of everybody in this network.
    fn group(&self) -> SocketAddr {
        match self.ip {
            IpAddr::V4(_) => (GROUP_V4, PORT).into(),
            IpAddr::V6(_) => SocketAddrV6::new(GROUP_V6, PORT, 0, self.index).into(),
        }
    }
}

fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
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
        let group = network.group();
        let socket = Socket::new(Domain::for_address(group), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        match network.ip {
            IpAddr::V4(ip) => {
                // Otherwise each packet would be read once for every interface.
                socket.set_multicast_all_v4(false)?;
                socket.join_multicast_v4_n(&GROUP_V4, &InterfaceIndexOrAddress::Index(network.index))?;
                socket.set_multicast_if_v4(&ip)?;
                socket.set_multicast_ttl_v4(255)?;
            }
            // The group's address has the interface in it.
            IpAddr::V6(_) => {
                socket.set_only_v6(true)?;
                socket.join_multicast_v6(&GROUP_V6, network.index)?;
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
        self.send_to(packet, self.network.group());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_its_addresses_only() {
        let is_in = |own: &str, prefix, ip: &str| {
            Network { index: 1, ip: own.parse().unwrap(), prefix }.contains(ip.parse().unwrap())
        };
        for (own, prefix, ip, expected) in [
            ("192.168.1.7", 24, "192.168.1.200", true),
            ("192.168.1.7", 24, "192.168.2.7", false),
            ("192.168.1.7", 16, "192.168.2.7", true),
            ("192.168.1.7", 32, "192.168.1.7", true),
            ("192.168.1.7", 32, "192.168.1.8", false),
            ("192.168.1.7", 0, "8.8.8.8", true),
            ("192.168.1.7", 0, "fd00::7", false),
            ("fd00::7", 64, "fd00::ff:8", true),
            ("fd00::7", 64, "fd00:0:0:1::7", false),
            ("fd00::7", 64, "fe80::8", true),
            ("fd00::7", 128, "fd00::7", true),
            ("fd00::7", 0, "192.168.1.7", false),
        ] {
            assert_eq!(is_in(own, prefix, ip), expected, "{own}/{prefix} {ip}");
        }
    }
}
