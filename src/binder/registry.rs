//! The registrations. The newest live one of a name is the reply to lookups of it.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::endpoint::Endpoint;
use crate::network::{is_loopback, subscriber};
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

/// A registered provider: of an instance's procedures for some time, or of a single procedure without a lease.
#[derive(Debug)]
struct Provider {
    /// The instance that has the lease; `None` without one.
    instance: Option<String>,
    /// The end of the lease; `None` without one.
    expires: Option<Instant>,
    endpoint: Endpoint,
    procedures: Vec<String>,
    group: String,
    origin: Origin,
    /// Counts up with each new registration, so that the newest is the one with the greatest.
    order: u64,
}

impl Provider {
    fn offers(&self, name: &str) -> bool {
        self.procedures.iter().any(|own| own == name)
    }

    fn is_live(&self, now: Instant) -> bool {
        self.expires.is_none_or(|end| end > now)
    }

    fn is_leased(&self) -> bool {
        self.instance.is_some()
    }

    /// Returns whether this is an earlier registration of the same instance, or without a lease of the same procedure.
    fn gives_way_to(&self, other: &Self) -> bool {
        self.instance == other.instance && (self.is_leased() || self.procedures == other.procedures)
    }
}

/// The register.
#[derive(Debug, Default)]
pub struct Registry {
    providers: Vec<Provider>,
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
struct Quota(Option<IpAddr>);

impl Quota {
    fn of(origin: Origin) -> Self {
        Self(origin.map(subscriber))
    }

    fn covers(&self, origin: Origin) -> bool {
        self.0.is_some() && self.0 == origin.map(subscriber)
    }

    /// Checks that `count` is within the share of `limit`.
    fn check(&self, count: usize, limit: usize, what: &str) -> Result<(), Fault> {
        if self.0.is_none() || count <= limit / SHARE {
            return Ok(());
        }
        Err(Fault::new(Fault::LIMIT, format!("one address may register {} {what}", limit / SHARE)))
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
        let procedures = vec![name];
        let others = || self.providers.iter().filter(|held| !held.is_leased() && held.procedures != procedures);
        if others().count() >= MAX_PROCEDURES {
            let what = format!("{MAX_PROCEDURES} procedures can be registered without a lease");
            return Err(Fault::new(Fault::LIMIT, what));
        }
        let share = Quota::of(origin);
        let held = others().filter(|held| share.covers(held.origin)).count();
        share.check(held + 1, MAX_PROCEDURES, "procedures without a lease")?;
        let (group, order) = (String::new(), self.next_order());
        let new = Provider { instance: None, expires: None, endpoint, procedures, group, origin, order };
        Ok(self.insert(new, now).pop().map(|(_, before)| before))
    }

    /// Adds a registration, or puts it in the place of the one that gives way to it. Returns the procedures that another address,
    /// which is not of the same group, was looked up for until now; with that address.
    fn insert(&mut self, new: Provider, now: Instant) -> Vec<(String, Endpoint)> {
        let owner = |name: &String| {
            let held = self.newest(name, None, now)?;
            Some((name.clone(), held.endpoint.clone(), held.group.clone()))
        };
        let before: Vec<_> = new.procedures.iter().filter_map(owner).collect();
        match self.providers.iter_mut().find(|held| held.gives_way_to(&new)) {
            Some(held) => *held = new,
            None => self.providers.push(new),
        }
        let is_replaced = |(name, endpoint, group): &(String, Endpoint, String)| {
            let after = self.newest(name, None, now);
            after.is_some_and(|after| after.endpoint != *endpoint && (group.is_empty() || after.group != *group))
        };
        before.into_iter().filter(is_replaced).map(|(name, endpoint, _)| (name, endpoint)).collect()
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
    fn candidates(&self, name: &str, asker: Origin, now: Instant) -> impl Iterator<Item = &Provider> {
        let offers = self.providers.iter().filter(move |held| held.is_live(now) && held.offers(name));
        offers.filter(move |found| asker.is_none() || !is_loopback(&found.endpoint))
    }

    fn newest(&self, name: &str, asker: Origin, now: Instant) -> Option<&Provider> {
        let newest = self.candidates(name, asker, now).max_by_key(|found| found.order)?;
        if !self.leases_first || newest.is_leased() {
            return Some(newest);
        }
        let leased =
            self.candidates(name, asker, now).filter(|found| found.is_leased()).max_by_key(|found| found.order);
        Some(leased.filter(|leased| leased.origin != newest.origin).unwrap_or(newest))
    }

    /// Registers all of an instance's procedures, or renews their lease.
    ///
    /// # Errors
    /// Faults for a name that is not allowed (7), too much of something (8), or a lease below one second (-32602).
    pub fn register_service(&mut self, mut request: LeaseRequest, now: Instant) -> Result<Registered, Fault> {
        let lease = checked(&request)?;
        let mut given = HashSet::new();
        request.procedures.retain(|name| given.insert(name.clone()));
        self.sweep(now);
        self.check_limits(&request)?;
        let LeaseRequest { instance, endpoint, procedures, group, origin, .. } = request;
        let (instance, expires) = (Some(instance), Some(now + lease));
        let known = self.providers.iter_mut().find(|held| held.instance == instance);
        let is_new = known.is_none();
        // A heartbeat keeps its place in the order: only a new registration is newer than others.
        let order = match known {
            Some(held) if held.endpoint == endpoint && held.procedures == procedures && held.group == group => {
                (held.expires, held.origin) = (expires, origin);
                return Ok(Registered { lease, is_new, replaced: Vec::new() });
            }
            Some(held) => held.order,
            None => self.next_order(),
        };
        let new = Provider { instance, expires, endpoint, procedures, group, origin, order };
        Ok(Registered { lease, is_new, replaced: self.insert(new, now) })
    }

    fn check_limits(&self, request: &LeaseRequest) -> Result<(), Fault> {
        let is_other = |held: &&Provider| held.instance.as_ref().is_some_and(|held| *held != request.instance);
        let others = || self.providers.iter().filter(is_other);
        let offers = |held: &Provider| held.procedures.len();
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
        let share = Quota::of(request.origin);
        let held = || others().filter(|held| share.covers(held.origin));
        share.check(held().count() + 1, MAX_INSTANCES, "instances")?;
        share.check(held().map(offers).sum::<usize>() + request.procedures.len(), MAX_OFFERS, "procedures")
    }

    /// Ends an instance's registration; returns whether it was known.
    pub fn unregister_service(&mut self, instance: &str) -> bool {
        let before = self.providers.len();
        self.providers.retain(|held| held.instance.as_deref() != Some(instance));
        self.providers.len() < before
    }

    /// Returns all live registrations, by name and then newest first.
    #[must_use]
    pub fn list(&self, now: Instant) -> Vec<Offer> {
        let mut live: Vec<_> = self.providers.iter().filter(|held| held.is_live(now)).collect();
        live.sort_by_key(|held| Reverse(held.order));
        let offer = |held: &Provider, name: &String| Offer {
            name: name.clone(),
            endpoint: held.endpoint.clone(),
            instance: held.instance.clone(),
            lease_remaining: held.expires.map(|end| end - now),
            group: held.group.clone(),
        };
        let mut offers: Vec<_> =
            live.into_iter().flat_map(|held| held.procedures.iter().map(move |name| offer(held, name))).collect();
        // Stable, so that those of one name stay newest first.
        offers.sort_by(|one, other| one.name.cmp(&other.name));
        offers
    }

    /// Removes ended leases.
    pub fn sweep(&mut self, now: Instant) {
        let before = self.providers.len();
        self.providers.retain(|held| held.is_live(now));
        if self.providers.len() < before {
            let held = &self.providers;
            self.turns.retain(|name, _| held.iter().any(|held| !held.group.is_empty() && held.offers(name)));
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
