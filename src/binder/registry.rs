//! The registrations: leases, and the newest live one of a name answers look-ups for it.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::endpoint::Endpoint;
use crate::network::is_loopback;
use crate::rpc::Fault;

/// The longest lease that is granted; longer wishes get this.
pub const MAX_LEASE: Duration = Duration::from_secs(3600);
/// Instances with a lease at a time.
pub const MAX_INSTANCES: usize = 1000;
/// Procedures of one instance, and names registered without a lease.
pub const MAX_PROCEDURES: usize = 256;
/// Procedures of all instances together: what a listing can carry in some megabytes.
pub const MAX_OFFERS: usize = 12_000;
/// One address may take one in so many of [`MAX_INSTANCES`], of [`MAX_OFFERS`], and of the [`MAX_PROCEDURES`] without a
/// lease, so that it cannot keep others out. This machine's own addresses may take all of them.
pub const SHARE: usize = 4;
/// Characters of a procedure's name, of an instance id, or of a group's name.
const MAX_NAME: usize = 128;

/// The address of the machine that a call comes from; `None` for this one.
pub type Origin = Option<IpAddr>;

/// One registration, as `list_procedures` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The procedure.
    pub name: String,
    /// The address that offers it.
    pub endpoint: Endpoint,
    /// The instance that registered it; `None` without a lease.
    pub instance: Option<String>,
    /// The rest of the lease; `None` without one.
    pub lease_remaining: Option<Duration>,
    /// The group of the instance; empty without one.
    pub group: String,
}

/// A request to register all procedures of a server for some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRequest {
    /// The id of the server, which makes the same request again the heartbeat.
    pub instance: String,
    /// The address of the server.
    pub endpoint: Endpoint,
    /// The names of its procedures.
    pub procedures: Vec<String>,
    /// The time asked for.
    pub seconds: i64,
    /// Servers of one group, if it has a name, serve the same and are looked up in turn.
    pub group: String,
    /// The caller.
    pub origin: Origin,
}

/// The outcome of [`Registry::register_service`].
#[derive(Debug, PartialEq, Eq)]
pub struct Registered {
    /// The lease granted.
    pub lease: Duration,
    /// If the instance was unknown before.
    pub is_new: bool,
    /// The procedures that another address, which is not of the same group, was looked up for until now; with that address.
    pub replaced: Vec<(String, Endpoint)>,
}

#[derive(Debug)]
struct Lease {
    endpoint: Endpoint,
    procedures: Vec<String>,
    group: String,
    origin: Origin,
    expires: Instant,
    order: u64,
}

impl Lease {
    fn offers(&self, name: &str) -> bool {
        self.procedures.iter().any(|own| own == name)
    }
}

/// A registration without a lease.
#[derive(Debug)]
struct Permanent {
    endpoint: Endpoint,
    origin: Origin,
    order: u64,
}

/// A live registration of a name.
#[derive(Debug, Clone, Copy)]
struct Candidate<'a> {
    endpoint: &'a Endpoint,
    group: &'a str,
    origin: Origin,
    order: u64,
    is_leased: bool,
}

impl Candidate<'_> {
    /// Returns whether a change from `self` to `other` is none that callers could notice.
    fn serves_the_same_as(&self, other: &Candidate<'_>) -> bool {
        self.endpoint == other.endpoint || !self.group.is_empty() && self.group == other.group
    }
}

/// All registrations. `order` counts up with each new one, so that the newest is the one with the greatest.
#[derive(Debug, Default)]
pub struct Registry {
    leases: HashMap<String, Lease>,
    permanent: HashMap<String, Permanent>,
    last_order: u64,
    /// The order of the group's member that was last looked up for a name.
    turns: HashMap<String, u64>,
    /// If a live lease goes before a newer registration without one that came from elsewhere.
    leases_first: bool,
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

/// The share of one address. `None` for this machine, which has no bounds of its own.
struct Share(Option<IpAddr>);

impl Share {
    fn of(origin: Origin) -> Self {
        Self(origin.map(network_of))
    }

    fn covers(&self, origin: Origin) -> bool {
        self.0.is_some() && self.0 == origin.map(network_of)
    }

    /// Checks that `count` is within the share of `limit`.
    fn check(&self, count: usize, limit: usize, what: &str) -> Result<(), Fault> {
        if self.0.is_none() || count <= limit / SHARE {
            return Ok(());
        }
        Err(Fault::new(Fault::LIMIT, format!("one address may register {} {what}", limit / SHARE)))
    }
}

/// An IPv6 host has a whole network of addresses, the first 64 bits.
fn network_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

impl Registry {
    /// Returns a registry in which a live lease goes before a newer registration without one that came from elsewhere: for
    /// binders that know who registers.
    #[must_use]
    pub fn with_leases_first() -> Self {
        Self { leases_first: true, ..Self::default() }
    }

    fn next_order(&mut self) -> u64 {
        self.last_order += 1;
        self.last_order
    }

    /// Registers without a lease. Returns the address that was looked up for the name before, if that is another one now.
    ///
    /// # Errors
    /// Faults for a name that is not allowed (7) or too much of something (8).
    pub fn register_procedure(
        &mut self,
        name: String,
        endpoint: Endpoint,
        origin: Origin,
        now: Instant,
    ) -> Result<Option<Endpoint>, Fault> {
        check_name("a procedure's name", &name)?;
        if self.permanent.len() >= MAX_PROCEDURES && !self.permanent.contains_key(&name) {
            return Err(Fault::new(
                Fault::LIMIT,
                format!("{MAX_PROCEDURES} procedures can be registered without a lease"),
            ));
        }
        let share = Share::of(origin);
        let others = self.permanent.iter().filter(|(other, held)| **other != name && share.covers(held.origin)).count();
        share.check(others + 1, MAX_PROCEDURES, "procedures without a lease")?;
        let order = self.next_order();
        let before = self.newest(&name, None, now).map(|found| found.endpoint.clone());
        self.permanent.insert(name.clone(), Permanent { endpoint, origin, order });
        let after = self.newest(&name, None, now).map(|found| found.endpoint);
        Ok(before.filter(|before| after != Some(before)))
    }

    /// Returns an address that offers `name`, and that a caller from `asker` can reach: that of the newest live
    /// registration, or if this belongs to a group, of its live members in turn.
    pub fn lookup(&mut self, name: &str, asker: Origin, now: Instant) -> Option<Endpoint> {
        let newest = self.newest(name, asker, now)?;
        if newest.group.is_empty() {
            return Some(newest.endpoint.clone());
        }
        let last = self.turns.get(name).copied().unwrap_or_default();
        let members = self.candidates(name, asker, now).filter(|member| member.group == newest.group);
        // The next one in the order, or else the first.
        let next = members.min_by_key(|member| (member.order <= last, member.order))?;
        let (endpoint, order) = (next.endpoint.clone(), next.order);
        self.turns.insert(name.to_owned(), order);
        Some(endpoint)
    }

    /// Returns the live registrations of `name` that a caller from `asker` can reach.
    fn candidates(&self, name: &str, asker: Origin, now: Instant) -> impl Iterator<Item = Candidate<'_>> {
        let leased = self.leases.values().filter(move |lease| lease.expires > now && lease.offers(name));
        let leased = leased.map(|lease| Candidate {
            endpoint: &lease.endpoint,
            group: &lease.group,
            origin: lease.origin,
            order: lease.order,
            is_leased: true,
        });
        let permanent = self.permanent.get(name).map(|permanent| Candidate {
            endpoint: &permanent.endpoint,
            group: "",
            origin: permanent.origin,
            order: permanent.order,
            is_leased: false,
        });
        leased.chain(permanent).filter(move |found| asker.is_none() || !is_loopback(found.endpoint))
    }

    fn newest(&self, name: &str, asker: Origin, now: Instant) -> Option<Candidate<'_>> {
        let newest = self.candidates(name, asker, now).max_by_key(|found| found.order)?;
        if !self.leases_first || newest.is_leased {
            return Some(newest);
        }
        let leased = self.candidates(name, asker, now).filter(|found| found.is_leased).max_by_key(|found| found.order);
        Some(leased.filter(|leased| leased.origin != newest.origin).unwrap_or(newest))
    }

    /// Registers all of an instance's procedures, or renews their lease.
    ///
    /// # Errors
    /// Faults for a name that is not allowed (7), too much of something (8), or a lease below one second (-32602).
    pub fn register_service(&mut self, request: LeaseRequest, now: Instant) -> Result<Registered, Fault> {
        let lease = checked(&request)?;
        self.sweep(now);
        self.check_limits(&request)?;
        let LeaseRequest { instance, endpoint, procedures, group, origin, .. } = request;
        let known = self.leases.get(&instance);
        let is_heartbeat =
            known.is_some_and(|held| held.endpoint == endpoint && held.procedures == procedures && held.group == group);
        let before: Vec<_> = if is_heartbeat {
            Vec::new()
        } else {
            let owned = |name: &String| {
                self.newest(name, None, now).map(|found| (name.clone(), found.endpoint.clone(), found.group.to_owned()))
            };
            procedures.iter().filter_map(owned).collect()
        };
        // A heartbeat keeps its place in the order: only a new registration is newer than others.
        let (is_new, order) = (known.is_none(), known.map(|held| held.order));
        let order = order.unwrap_or_else(|| self.next_order());
        self.leases.insert(instance, Lease { endpoint, procedures, group, origin, expires: now + lease, order });
        let is_replaced = |(name, endpoint, group): &(String, Endpoint, String)| {
            let before = Candidate { endpoint, group, origin, order, is_leased: true };
            self.newest(name, None, now).is_some_and(|after| !after.serves_the_same_as(&before))
        };
        let replaced = before.into_iter().filter(is_replaced).map(|(name, endpoint, _)| (name, endpoint)).collect();
        Ok(Registered { lease, is_new, replaced })
    }

    fn check_limits(&self, request: &LeaseRequest) -> Result<(), Fault> {
        let others = || self.leases.iter().filter(|(instance, _)| **instance != request.instance).map(|(_, held)| held);
        let offers = |held: &Lease| held.procedures.len();
        if others().count() >= MAX_INSTANCES {
            return Err(Fault::new(Fault::LIMIT, format!("{MAX_INSTANCES} instances can be registered")));
        }
        let offered: usize = others().map(offers).sum();
        if offered + request.procedures.len() > MAX_OFFERS {
            return Err(Fault::new(
                Fault::LIMIT,
                format!("all instances together may have {MAX_OFFERS} procedures, and there are {offered} others"),
            ));
        }
        let share = Share::of(request.origin);
        let held = || others().filter(|held| share.covers(held.origin));
        share.check(held().count() + 1, MAX_INSTANCES, "instances")?;
        share.check(held().map(offers).sum::<usize>() + request.procedures.len(), MAX_OFFERS, "procedures")
    }

    /// Ends an instance's registration; returns whether it was known.
    pub fn unregister_service(&mut self, instance: &str) -> bool {
        self.leases.remove(instance).is_some()
    }

    /// Returns all live registrations, by name and then newest first.
    #[must_use]
    pub fn list(&self, now: Instant) -> Vec<Offer> {
        let mut offers = Vec::new();
        for (instance, lease) in self.leases.iter().filter(|(_, lease)| lease.expires > now) {
            for name in &lease.procedures {
                let offer = Offer {
                    name: name.clone(),
                    endpoint: lease.endpoint.clone(),
                    instance: Some(instance.clone()),
                    lease_remaining: Some(lease.expires - now),
                    group: lease.group.clone(),
                };
                offers.push((lease.order, offer));
            }
        }
        for (name, permanent) in &self.permanent {
            let offer = Offer {
                name: name.clone(),
                endpoint: permanent.endpoint.clone(),
                instance: None,
                lease_remaining: None,
                group: String::new(),
            };
            offers.push((permanent.order, offer));
        }
        offers.sort_by(|(order_a, a), (order_b, b)| a.name.cmp(&b.name).then(Reverse(order_a).cmp(&Reverse(order_b))));
        offers.into_iter().map(|(_, offer)| offer).collect()
    }

    /// Removes ended leases.
    pub fn sweep(&mut self, now: Instant) {
        let before = self.leases.len();
        self.leases.retain(|_, lease| lease.expires > now);
        if self.leases.len() < before {
            let leases = &self.leases;
            self.turns.retain(|name, _| leases.values().any(|lease| !lease.group.is_empty() && lease.offers(name)));
        }
    }
}

/// Checks a request, and returns the lease to grant.
fn checked(request: &LeaseRequest) -> Result<Duration, Fault> {
    check_name("an instance id", &request.instance)?;
    if !request.group.is_empty() {
        check_name("a group's name", &request.group)?;
    }
    if request.procedures.len() > MAX_PROCEDURES {
        return Err(Fault::new(Fault::LIMIT, format!("an instance may have {MAX_PROCEDURES} procedures")));
    }
    for name in &request.procedures {
        check_name("a procedure's name", name)?;
    }
    let seconds = u64::try_from(request.seconds).ok().filter(|&seconds| seconds > 0);
    let seconds = seconds.ok_or_else(|| Fault::new(Fault::BAD_PARAMS, "a lease must be at least 1 second"))?;
    Ok(Duration::from_secs(seconds).min(MAX_LEASE))
}
