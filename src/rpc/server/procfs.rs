//! What Linux says about this process in /proc.

use std::collections::HashSet;
use std::net::SocketAddr;

use nix::sys::socket::{SockaddrStorage, getpeername, getsockname};

/// Where the connections to `port` that this process has descriptors of come from: one or two of each, as it is read, is
/// answered, or both. None if the system does not say.
pub(super) fn open_connections(port: u16) -> Option<HashSet<SocketAddr>> {
    let end = |address: nix::Result<SockaddrStorage>| {
        let address = address.ok()?;
        let v4 = address.as_sockaddr_in().map(|&address| SocketAddr::from(address));
        v4.or_else(|| address.as_sockaddr_in6().map(|&address| SocketAddr::from(address)))
    };
    let descriptors = std::fs::read_dir("/proc/self/fd").ok()?;
    let descriptors = descriptors.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let of_port = descriptors.filter(|&descriptor| end(getsockname(descriptor)).is_some_and(|own| own.port() == port));
    Some(of_port.filter_map(|descriptor| end(getpeername(descriptor))).collect())
}

/// A number of this process's status, such as `Threads`, or `VmRSS` in KiB; 0 where the system does not say.
pub(super) fn own_status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
