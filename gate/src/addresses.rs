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
        let count = counts.entry(subscriber(ip)).or_default();
        *count += 1;
        *count
    }

    pub(crate) fn remove(&self, ip: IpAddr) {
        let mut counts = guard(&self.0);
        if let Some(count) = counts.get_mut(&subscriber(ip)) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&subscriber(ip));
            }
        }
    }
}

/// Returns what counts as one address: a subscriber has a whole IPv6 network of them, with the same first 64 bits.
#[must_use]
pub fn subscriber(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}
