//! What Linux says about this process in /proc.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::os::fd::RawFd;

use nix::sys::socket::{Shutdown, SockaddrStorage, getpeername, getsockname, shutdown};

/// Where the connections to `port` that this process has descriptors of come from: one or two of each, as it is read, is
/// answered, or both. None if the system does not say.
pub(super) fn open_connections(port: u16) -> Option<HashSet<SocketAddr>> {
    Some(connections(port)?.map(|(_, peer)| peer).collect())
}

/// Ends the reading half of the connection from `peer` to `port`, which must not be closed meanwhile: whoever waits for a
/// request on it sees its end.
pub(super) fn end_reading(port: u16, peer: SocketAddr) {
    let known = connections(port).and_then(|mut all| all.find(|(_, other)| *other == peer));
    if let Some((descriptor, _)) = known {
        let _ = shutdown(descriptor, Shutdown::Read);
    }
}

/// Returns the descriptors of connections to `port`, and their peers.
fn connections(port: u16) -> Option<impl Iterator<Item = (RawFd, SocketAddr)>> {
    let descriptors = std::fs::read_dir("/proc/self/fd").ok()?;
    let descriptors = descriptors.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Some(descriptors.filter_map(move |descriptor| {
        let peer = internet_address(getpeername(descriptor))?;
        let own = internet_address(getsockname(descriptor))?;
        (own.port() == port).then_some((descriptor, peer))
    }))
}

fn internet_address(address: nix::Result<SockaddrStorage>) -> Option<SocketAddr> {
    let address = address.ok()?;
    let v4 = address.as_sockaddr_in().map(|&address| SocketAddr::from(address));
    v4.or_else(|| address.as_sockaddr_in6().map(|&address| SocketAddr::from(address)))
}

/// A number of this process's status, such as `Threads`, or `VmRSS` in KiB; 0 where the system does not say.
pub(super) fn own_status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
