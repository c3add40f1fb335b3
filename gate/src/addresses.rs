//! The number of connections of each address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Mutex;

use crate::shared::guard;

#[derive(Default)]
pub(crate) struct Addresses(Mutex<HashMap<IpAddr, usize>>);

impl Addresses {
    /// Adds a connection. Returns how many there are with it.
    pub(crate) fn add(&self, ip: IpAddr) -> usize {
        let mut counts = guard(&self.0);
        let count = counts.entry(subnet(ip)).or_default();
        *count += 1;
        *count
    }

    pub(crate) fn remove(&self, ip: IpAddr) {
        let mut counts = guard(&self.0);
        if let Some(count) = counts.get_mut(&subnet(ip)) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&subnet(ip));
            }
        }
    }
}

/// Returns what counts as one address: an IPv6 customer has at least a /64.
fn subnet(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}
