//! The addresses of this machine, and which of them others reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

pub use gate::subscriber;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};

use crate::endpoint::Endpoint;

/// A network of one family that this machine is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// The number that the system gives the interface.
    pub interface: u32,
    /// The address of this machine; never a loopback one.
    pub ip: IpAddr,
    /// The number of bits that the addresses in the network share.
    pub prefix: u32,
    /// If others in the network can be reached by multicast.
    pub has_multicast: bool,
}

impl Network {
    /// Returns whether `ip` is an address in this network.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        let bits = |ip| match ip {
            IpAddr::V4(ip) => u128::from(Ipv4Addr::to_bits(ip)) << 96,
            IpAddr::V6(ip) => ip.to_bits(),
        };
        let difference = (bits(ip) ^ bits(self.ip)).checked_shr(128 - self.prefix.min(128)).unwrap_or(0);
        ip.is_ipv4() == self.ip.is_ipv4() && (difference == 0 || is_link_local(ip))
    }
}

/// Returns whether `ip` is an IPv6 address that means nothing without its interface.
#[must_use]
pub fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

/// Returns the networks of the interfaces that are up, in the system's order, without loopback.
#[must_use]
pub fn networks() -> Vec<Network> {
    let Ok(found) = getifaddrs() else { return Vec::new() };
    let network = |entry: nix::ifaddrs::InterfaceAddress| {
        let address = entry.address?;
        let ip = match (address.as_sockaddr_in(), address.as_sockaddr_in6()) {
            (Some(v4), _) => IpAddr::V4(v4.ip()),
            (_, Some(v6)) => IpAddr::V6(v6.ip()),
            _ => return None,
        };
        let is_up = entry.flags.contains(InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING);
        let is_loopback = entry.flags.contains(InterfaceFlags::IFF_LOOPBACK) || ip.is_loopback();
        let has_multicast = entry.flags.contains(InterfaceFlags::IFF_MULTICAST)
            && !entry.flags.contains(InterfaceFlags::IFF_POINTOPOINT);
        let mask = entry.netmask.as_ref();
        let prefix = if ip.is_ipv4() {
            mask.and_then(|mask| mask.as_sockaddr_in()).map_or(32, |v4| v4.ip().to_bits().leading_ones())
        } else {
            mask.and_then(|mask| mask.as_sockaddr_in6()).map_or(64, |v6| v6.ip().to_bits().leading_ones())
        };
        let interface = if_nametoindex(entry.interface_name.as_str()).ok()?;
        (is_up && !is_loopback).then_some(Network { interface, ip, prefix, has_multicast })
    };
    found.filter_map(network).collect()
}

/// Returns the name of this machine; empty if the system does not say.
#[must_use]
pub fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

/// Returns whether `ip` belongs to this machine: only such an address can be bound.
#[must_use]
pub fn is_own(ip: IpAddr) -> bool {
    ip.is_loopback() || UdpSocket::bind((ip, 0)).is_ok()
}

/// Returns the address by which this machine reaches `peer`. A datagram socket finds the route without sending anything.
#[must_use]
pub fn towards(peer: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = if peer.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(peer).ok()?;
    Some(socket.local_addr().ok()?.ip().to_canonical())
}

/// Returns the address by which others reach this machine: that of the interface with the default route, or else of the first
/// interface that is up. `None` without a network.
#[must_use]
pub fn outward() -> Option<IpAddr> {
    // Addresses for documentation (RFC 5737, RFC 3849), so that only a default route leads there.
    let far: [IpAddr; 2] = [Ipv4Addr::new(192, 0, 2, 1).into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()];
    let routed = far.into_iter().find_map(|ip| towards((ip, 9).into()).filter(|own| !own.is_loopback()));
    routed.or_else(|| {
        let all = networks();
        let first = |v4: bool| all.iter().map(|one| one.ip).find(|ip| ip.is_ipv4() == v4 && !is_link_local(*ip));
        first(true).or_else(|| first(false))
    })
}

/// Returns whether `endpoint` is reached from its own machine only.
#[must_use]
pub fn is_loopback(endpoint: &Endpoint) -> bool {
    let host = endpoint.host.to_ascii_lowercase();
    endpoint.ip().is_some_and(|ip| ip.is_loopback()) || host == "localhost" || host.ends_with(".localhost")
}

/// Returns whether `endpoint` is no address but stands for all of its machine's.
#[must_use]
pub fn is_wildcard(endpoint: &Endpoint) -> bool {
    endpoint.ip().is_some_and(|ip| ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_known_in_every_spelling() {
        let at = |host: &str| Endpoint::new(host, 1).unwrap();
        for host in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "localhost", "LocalHost", "a.localhost"] {
            assert!(is_loopback(&at(host)), "{host}");
        }
        for host in ["0.0.0.0", "192.168.1.1", "::2", "localhost.example.org", "notlocalhost"] {
            assert!(!is_loopback(&at(host)), "{host}");
        }
        assert!(is_wildcard(&at("0.0.0.0")) && is_wildcard(&at("::")) && !is_wildcard(&at("127.0.0.1")));
    }

    #[test]
    fn this_machine_owns_loopback_and_what_its_interfaces_have() {
        assert!(is_own(Ipv4Addr::new(127, 0, 0, 9).into()) && is_own(Ipv6Addr::LOCALHOST.into()));
        assert!(!is_own(Ipv4Addr::new(192, 0, 2, 77).into()));
        for network in networks().iter().filter(|network| network.ip.is_ipv4()) {
            assert!(is_own(network.ip), "{network:?}");
        }
    }

    #[test]
    fn a_network_contains_its_addresses_only() {
        let is_in = |own: &str, prefix, ip: &str| {
            Network { interface: 1, ip: own.parse().unwrap(), prefix, has_multicast: true }
                .contains(ip.parse().unwrap())
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
