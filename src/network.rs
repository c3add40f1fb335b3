//! The addresses of this machine, and which of them others reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};

use crate::endpoint::Endpoint;

/// An address of this machine in a network, with the interface that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The number that the system gives the interface.
    pub index: u32,
    /// The address; never a loopback one.
    pub ip: IpAddr,
    /// The bits of the address that all in its network share.
    pub prefix: u32,
    /// If others on the interface can be reached by multicast.
    pub multicast: bool,
}

/// Returns the addresses of the interfaces that are up, in the system's order, loopback ones left out.
#[must_use]
pub fn interfaces() -> Vec<Interface> {
    let Ok(found) = getifaddrs() else { return Vec::new() };
    let interface = |entry: nix::ifaddrs::InterfaceAddress| {
        let address = entry.address?;
        let ip = match (address.as_sockaddr_in(), address.as_sockaddr_in6()) {
            (Some(v4), _) => IpAddr::V4(v4.ip()),
            (_, Some(v6)) => IpAddr::V6(v6.ip()),
            _ => return None,
        };
        let up = entry.flags.contains(InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING);
        let loopback = entry.flags.contains(InterfaceFlags::IFF_LOOPBACK) || ip.is_loopback();
        let multicast = entry.flags.contains(InterfaceFlags::IFF_MULTICAST)
            && !entry.flags.contains(InterfaceFlags::IFF_POINTOPOINT);
        let mask = entry.netmask.as_ref();
        let prefix = if ip.is_ipv4() {
            mask.and_then(|mask| mask.as_sockaddr_in()).map_or(32, |v4| v4.ip().to_bits().leading_ones())
        } else {
            mask.and_then(|mask| mask.as_sockaddr_in6()).map_or(64, |v6| v6.ip().to_bits().leading_ones())
        };
        let index = if_nametoindex(entry.interface_name.as_str()).ok()?;
        (up && !loopback).then_some(Interface { index, ip, prefix, multicast })
    };
    found.filter_map(interface).collect()
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
        let all = interfaces();
        let is_link_local = |ip: IpAddr| matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
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
        for interface in interfaces().iter().filter(|interface| interface.ip.is_ipv4()) {
            assert!(is_own(interface.ip), "{interface:?}");
        }
    }
}
