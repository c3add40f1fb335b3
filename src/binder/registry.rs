//! Who offers which procedure: leases, and the newest live registration of a name wins.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use crate::rpc::Fault;

/// The longest lease that is granted; longer wishes get this.
pub const MAX_LEASE: Duration = Duration::from_secs(3600);
/// Instances with a lease at a time.
pub const MAX_INSTANCES: usize = 1000;
/// Procedures of one instance, and names registered without a lease.
pub const MAX_PROCEDURES: usize = 256;
/// Procedures of all instances together: what a listing can carry in some megabytes.
pub const MAX_OFFERS: usize = 12_000;
/// Characters of a procedure's name or of an instance id.
const MAX_NAME: usize = 128;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// A host name or an IP address, without brackets.
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
}

impl Address {
    /// Checks form and length.
    ///
    /// # Errors
    /// Fault -32602 that says what an address is.
    pub fn parse(host: &str, port: i64) -> Result<Self, Fault> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
        if host.is_empty() || host.len() > 253 || !host.chars().all(plain) {
            return Err(Fault::new(
                Fault::BAD_PARAMS,
                "an address is a host name or an IP address, at most 253 characters",
            ));
        }
        let port = u16::try_from(port).ok().filter(|&port| port > 0);
        let port = port.ok_or_else(|| Fault::new(Fault::BAD_PARAMS, "a port is a number from 1 to 65535"))?;
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.host, self.port)
    }
}

/// One registration, as `list_procedures` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The procedure.
    pub name: String,
    /// Where it is offered.
    pub address: Address,
    /// Who registered it; `None` without a lease.
    pub instance: Option<String>,
    /// What is left of the lease; `None` without one.
    pub lease_remaining: Option<Duration>,
}

/// What [`Registry::register_service`] did.
#[derive(Debug, PartialEq, Eq)]
pub struct Registered {
    /// The lease granted.
    pub lease: Duration,
    /// Whether the instance was unknown before.
    pub is_new: bool,
    /// The other addresses that answered for some of the procedures until now, each once.
    pub replaced: Vec<Address>,
}

#[derive(Debug)]
struct Service {
    address: Address,
    procedures: Vec<String>,
    expires: Instant,
    order: u64,
}

#[derive(Debug)]
struct Permanent {
    address: Address,
    order: u64,
}

/// All registrations. `order` counts up with each new one, so that the newest is the one with the greatest.
#[derive(Debug, Default)]
pub struct Registry {
    services: HashMap<String, Service>,
    permanent: HashMap<String, Permanent>,
    last_order: u64,
}

fn check_name(what: &str, name: &str) -> Result<(), Fault> {
    let count = name.chars().count();
    if count > MAX_NAME {
        return Err(Fault::new(Fault::LIMIT, format!("{what} may have {MAX_NAME} characters")));
    }
    if count == 0 || name.chars().any(|c| !c.is_ascii_graphic()) {
        return Err(Fault::new(Fault::BAD_NAME, format!("{what} must be of visible ASCII characters")));
    }
    Ok(())
}

impl Registry {
    fn next_order(&mut self) -> u64 {
        self.last_order += 1;
        self.last_order
    }

    /// Registers without a lease; answers the address that was registered for the name before, if it was another one.
    ///
    /// # Errors
    /// Faults for a name that is not allowed (7) or too much of something (8).
    pub fn register_procedure(
        &mut self,
        name: String,
        address: Address,
        now: Instant,
    ) -> Result<Option<Address>, Fault> {
        check_name("a procedure's name", &name)?;
        if self.permanent.len() >= MAX_PROCEDURES && !self.permanent.contains_key(&name) {
            return Err(Fault::new(
                Fault::LIMIT,
                format!("{MAX_PROCEDURES} procedures can be registered without a lease"),
            ));
        }
        let order = self.next_order();
        let replaced = self.lookup(&name, now).filter(|old| **old != address).cloned();
        self.permanent.insert(name, Permanent { address, order });
        Ok(replaced)
    }

    /// Where `name` is offered by its newest live registration.
    #[must_use]
    pub fn lookup(&self, name: &str, now: Instant) -> Option<&Address> {
        let leased = self
            .services
            .values()
            .filter(|service| service.expires > now && service.procedures.iter().any(|own| own == name));
        let leased = leased.map(|service| (service.order, &service.address));
        let permanent = self.permanent.get(name).map(|permanent| (permanent.order, &permanent.address));
        leased.chain(permanent).max_by_key(|(order, _)| *order).map(|(_, address)| address)
    }

    /// Registers all of an instance's procedures, or renews their lease.
    ///
    /// # Errors
    /// Faults for a name that is not allowed (7), too much of something (8), or a lease below one second (-32602).
    pub fn register_service(
        &mut self,
        instance: String,
        address: Address,
        procedures: Vec<String>,
        lease_seconds: i64,
        now: Instant,
    ) -> Result<Registered, Fault> {
        check_name("an instance id", &instance)?;
        if procedures.len() > MAX_PROCEDURES {
            return Err(Fault::new(Fault::LIMIT, format!("an instance may have {MAX_PROCEDURES} procedures")));
        }
        for name in &procedures {
            check_name("a procedure's name", name)?;
        }
        let seconds = u64::try_from(lease_seconds).ok().filter(|&seconds| seconds > 0);
        let seconds = seconds.ok_or_else(|| Fault::new(Fault::BAD_PARAMS, "a lease is at least 1 second"))?;
        let lease = Duration::from_secs(seconds).min(MAX_LEASE);
        self.sweep(now);
        let known = self.services.get(&instance);
        if known.is_none() && self.services.len() >= MAX_INSTANCES {
            return Err(Fault::new(Fault::LIMIT, format!("{MAX_INSTANCES} instances can be registered")));
        }
        let others: usize = self.services.values().map(|service| service.procedures.len()).sum::<usize>()
            - known.map_or(0, |service| service.procedures.len());
        if others + procedures.len() > MAX_OFFERS {
            return Err(Fault::new(
                Fault::LIMIT,
                format!("all instances together may have {MAX_OFFERS} procedures, and there are {others} others"),
            ));
        }
        let is_heartbeat = known.is_some_and(|service| service.address == address && service.procedures == procedures);
        let answering = if is_heartbeat { Vec::new() } else { self.answering(&procedures, now) };
        // A heartbeat keeps its place in the order: only a new registration is newer than others.
        let (is_new, order) = (known.is_none(), known.map(|service| service.order));
        let order = order.unwrap_or_else(|| self.next_order());
        self.services.insert(instance, Service { address, procedures, expires: now + lease, order });
        let mut replaced = Vec::new();
        for (name, old) in answering {
            if self.lookup(&name, now).is_some_and(|new| *new != old) && !replaced.contains(&old) {
                replaced.push(old);
            }
        }
        Ok(Registered { lease, is_new, replaced })
    }

    /// Who answers for each of `names`, as far as somebody does.
    fn answering(&self, names: &[String], now: Instant) -> Vec<(String, Address)> {
        names.iter().filter_map(|name| Some((name.clone(), self.lookup(name, now)?.clone()))).collect()
    }

    /// Ends an instance's registration; answers whether it was known.
    pub fn unregister_service(&mut self, instance: &str) -> bool {
        self.services.remove(instance).is_some()
    }

    /// All live registrations, by name and then newest first.
    #[must_use]
    pub fn list(&self, now: Instant) -> Vec<Offer> {
        let mut offers = Vec::new();
        for (instance, service) in self.services.iter().filter(|(_, service)| service.expires > now) {
            for name in &service.procedures {
                let offer = Offer {
                    name: name.clone(),
                    address: service.address.clone(),
                    instance: Some(instance.clone()),
                    lease_remaining: Some(service.expires - now),
                };
                offers.push((service.order, offer));
            }
        }
        for (name, permanent) in &self.permanent {
            let offer =
                Offer { name: name.clone(), address: permanent.address.clone(), instance: None, lease_remaining: None };
            offers.push((permanent.order, offer));
        }
        offers.sort_by(|(order_a, a), (order_b, b)| a.name.cmp(&b.name).then(order_b.cmp(order_a)));
        offers.into_iter().map(|(_, offer)| offer).collect()
    }

    /// Forgets what has ended.
    pub fn sweep(&mut self, now: Instant) {
        self.services.retain(|_, service| service.expires > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> Address {
        Address::parse("10.0.0.1", port.into()).unwrap()
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn the_newest_live_registration_answers_and_the_next_takes_over() {
        let start = Instant::now();
        let mut registry = Registry::default();
        registry.register_procedure("send".into(), at(1), start).unwrap();
        registry.register_service("a".into(), at(2), names(&["send"]), 30, start).unwrap();
        registry.register_service("b".into(), at(3), names(&["send"]), 10, start).unwrap();
        assert_eq!(registry.lookup("send", start), Some(&at(3)));
        // A heartbeat of the older one does not make it the newest.
        registry.register_service("a".into(), at(2), names(&["send"]), 30, start).unwrap();
        assert_eq!(registry.lookup("send", start), Some(&at(3)));
        let later = start + Duration::from_secs(10);
        assert_eq!(registry.lookup("send", later), Some(&at(2)), "b's lease has ended");
        assert!(registry.unregister_service("a"));
        assert!(!registry.unregister_service("a"));
        assert_eq!(registry.lookup("send", later), Some(&at(1)));
        assert_eq!(registry.lookup("other", later), None);
    }

    #[test]
    fn a_registration_without_a_lease_replaces_its_like_and_stays() {
        let start = Instant::now();
        let mut registry = Registry::default();
        assert_eq!(registry.register_procedure("send".into(), at(1), start).unwrap(), None);
        assert_eq!(registry.register_procedure("send".into(), at(1), start).unwrap(), None);
        assert_eq!(registry.register_procedure("send".into(), at(2), start).unwrap(), Some(at(1)));
        let much_later = start + Duration::from_secs(1_000_000);
        registry.sweep(much_later);
        assert_eq!(registry.lookup("send", much_later), Some(&at(2)));
    }

    #[test]
    fn whoever_loses_a_name_to_another_address_is_told_of() {
        let now = Instant::now();
        let mut registry = Registry::default();
        let mut service = |instance: &str, port, procedures: &[&str]| {
            registry.register_service(instance.into(), at(port), names(procedures), 30, now).unwrap().replaced
        };
        assert_eq!(service("a", 1, &["send", "join"]), []);
        assert_eq!(service("a", 1, &["send", "join"]), [], "a heartbeat");
        assert_eq!(service("b", 1, &["send", "join"]), [], "the same server, started again");
        assert_eq!(service("c", 2, &["send", "join"]), [at(1)], "one address, told of once");
        assert_eq!(service("a", 1, &["send", "join"]), [], "a heartbeat of one that has been replaced");
        assert_eq!(service("c", 3, &["send", "join"]), [at(2)], "somebody who knows the id of an instance");
        assert_eq!(registry.register_procedure("send".into(), at(4), now).unwrap(), Some(at(3)));
        let after = now + Duration::from_secs(30);
        let replaced =
            registry.register_service("d".into(), at(5), names(&["send", "join"]), 30, after).unwrap().replaced;
        assert_eq!(replaced, [at(4)], "ended leases do not count");
    }

    #[test]
    fn a_lease_is_granted_within_its_bounds() {
        let now = Instant::now();
        let mut registry = Registry::default();
        let mut lease = |seconds| {
            registry.register_service("a".into(), at(1), names(&["x"]), seconds, now).map(|done| done.lease.as_secs())
        };
        assert_eq!(lease(1).unwrap(), 1);
        assert_eq!(lease(3600).unwrap(), 3600);
        assert_eq!(lease(3601).unwrap(), 3600);
        assert_eq!(lease(0).unwrap_err().code, Fault::BAD_PARAMS);
        assert_eq!(lease(-5).unwrap_err().code, Fault::BAD_PARAMS);
    }

    #[test]
    fn instances_and_procedures_are_bounded() {
        let now = Instant::now();
        let mut registry = Registry::default();
        let many: Vec<String> = (0..=MAX_PROCEDURES).map(|number| format!("p{number}")).collect();
        let fault = registry.register_service("a".into(), at(1), many.clone(), 60, now).unwrap_err();
        assert_eq!(fault.code, Fault::LIMIT);
        for name in &many[..MAX_PROCEDURES] {
            registry.register_procedure(name.clone(), at(1), now).unwrap();
        }
        assert_eq!(registry.register_procedure("one-more".into(), at(1), now).unwrap_err().code, Fault::LIMIT);
        registry.register_procedure("p0".into(), at(2), now).unwrap();
        for number in 0..MAX_INSTANCES {
            registry.register_service(format!("i{number}"), at(1), names(&["x"]), 60, now).unwrap();
        }
        assert_eq!(
            registry.register_service("full".into(), at(1), names(&["x"]), 60, now).unwrap_err().code,
            Fault::LIMIT
        );
        registry.register_service("i0".into(), at(1), names(&["x"]), 60, now).unwrap();
        // Ended leases make room.
        let later = now + Duration::from_secs(60);
        registry.register_service("full".into(), at(1), names(&["x"]), 60, later).unwrap();
    }

    #[test]
    fn procedures_of_all_instances_are_bounded() {
        let now = Instant::now();
        let mut registry = Registry::default();
        let many: Vec<String> = (0..MAX_PROCEDURES).map(|number| format!("p{number}")).collect();
        let mut left = MAX_OFFERS;
        while left > 0 {
            let some = many[..left.min(MAX_PROCEDURES)].to_vec();
            left -= some.len();
            registry.register_service(format!("i{left}"), at(1), some, 60, now).unwrap();
        }
        let fault = registry.register_service("more".into(), at(1), names(&["x"]), 60, now).unwrap_err();
        assert!(fault.code == Fault::LIMIT && fault.message.contains(&MAX_OFFERS.to_string()), "{fault}");
        registry.register_service("i0".into(), at(2), many[..MAX_OFFERS % MAX_PROCEDURES].to_vec(), 60, now).unwrap();
    }

    #[test]
    fn names_and_addresses_are_checked() {
        let now = Instant::now();
        let mut registry = Registry::default();
        for name in ["", "a b", "ä", "x\n", &"x".repeat(MAX_NAME + 1)] {
            assert!(registry.register_procedure(name.into(), at(1), now).is_err(), "{name:?}");
        }
        registry.register_procedure("x".repeat(MAX_NAME), at(1), now).unwrap();
        for (host, port) in [("", 1), ("a b", 1), ("host\n", 1), ("h", 0), ("h", 65536), ("h", -1)] {
            assert_eq!(Address::parse(host, port).unwrap_err().code, Fault::BAD_PARAMS, "{host:?} {port}");
        }
        assert!(Address::parse("::1", 65535).is_ok());
    }

    #[test]
    fn the_list_shows_what_is_left_of_each_lease() {
        let now = Instant::now();
        let mut registry = Registry::default();
        registry.register_procedure("b".into(), at(1), now).unwrap();
        registry.register_service("i".into(), at(2), names(&["a", "b"]), 30, now).unwrap();
        let listed = registry.list(now + Duration::from_secs(10));
        let shown: Vec<_> =
            listed.iter().map(|offer| (offer.name.as_str(), offer.address.port, offer.lease_remaining)).collect();
        assert_eq!(
            shown,
            [("a", 2, Some(Duration::from_secs(20))), ("b", 2, Some(Duration::from_secs(20))), ("b", 1, None)]
        );
        assert_eq!(registry.list(now + Duration::from_secs(30)).len(), 1);
    }
}
