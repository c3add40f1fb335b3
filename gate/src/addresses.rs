//! How many connections each address has.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Default)]
pub(crate) struct Addresses(Mutex<HashMap<IpAddr, usize>>);

impl Addresses {
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a connection. Returns how many there are with it.
    pub(crate) fn add(&self, ip: IpAddr) -> usize {
        let mut counts = self.lock();
        let count = counts.entry(subnet(ip)).or_default();
        *count += 1;
        *count
    }

    pub(crate) fn remove(&self, ip: IpAddr) {
        let mut counts = self.lock();
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
