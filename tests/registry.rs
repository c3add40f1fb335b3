//! The register as a state machine: which registration answers a look-up, what bounds the registrations, and what a binder
//! tells of them.

#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use chat_rpc::binder::{LeaseRequest, MAX_INSTANCES, MAX_OFFERS, MAX_PROCEDURES, Origin, Registered, Registry, SHARE};
use chat_rpc::endpoint::Endpoint;
use chat_rpc::rpc::Fault;

/// Another machine.
const OTHER: Origin = Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7)));

/// A request from this machine, without a group.
fn request(instance: &str, endpoint: Endpoint, procedures: Vec<String>, seconds: i64) -> LeaseRequest {
    LeaseRequest { instance: instance.into(), endpoint, procedures, seconds, group: String::new(), origin: None }
}

/// Registers from this machine, without a group.
trait Short {
    fn procedure(&mut self, name: &str, endpoint: Endpoint, now: Instant) -> Result<Option<Endpoint>, Fault>;
    fn service(
        &mut self,
        instance: &str,
        endpoint: Endpoint,
        procedures: Vec<String>,
        seconds: i64,
        now: Instant,
    ) -> Result<Registered, Fault>;
    /// Looks up from this machine.
    fn find(&mut self, name: &str, now: Instant) -> Option<Endpoint>;
}

impl Short for Registry {
    fn procedure(&mut self, name: &str, endpoint: Endpoint, now: Instant) -> Result<Option<Endpoint>, Fault> {
        self.register_procedure(name.into(), endpoint, None, now)
    }

    fn service(
        &mut self,
        instance: &str,
        endpoint: Endpoint,
        procedures: Vec<String>,
        seconds: i64,
        now: Instant,
    ) -> Result<Registered, Fault> {
        self.register_service(request(instance, endpoint, procedures, seconds), now)
    }

    fn find(&mut self, name: &str, now: Instant) -> Option<Endpoint> {
        self.lookup(name, None, now)
    }
}

fn at(port: u16) -> Endpoint {
    Endpoint::new("10.0.0.1", port.into()).unwrap()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn the_newest_live_registration_answers_and_the_next_takes_over() {
    let start = Instant::now();
    let mut registry = Registry::default();
    registry.procedure("send", at(1), start).unwrap();
    registry.service("a", at(2), names(&["send"]), 30, start).unwrap();
    registry.service("b", at(3), names(&["send"]), 10, start).unwrap();
    assert_eq!(registry.find("send", start), Some(at(3)));
    // A heartbeat of the older one does not make it the newest.
    registry.service("a", at(2), names(&["send"]), 30, start).unwrap();
    assert_eq!(registry.find("send", start), Some(at(3)));
    let later = start + Duration::from_secs(10);
    assert_eq!(registry.find("send", later), Some(at(2)), "b's lease has ended");
    assert!(registry.unregister_service("a"));
    assert!(!registry.unregister_service("a"));
    assert_eq!(registry.find("send", later), Some(at(1)));
    assert_eq!(registry.find("other", later), None);
}

#[test]
fn a_registration_without_a_lease_replaces_its_like_and_stays() {
    let start = Instant::now();
    let mut registry = Registry::default();
    assert_eq!(registry.procedure("send", at(1), start).unwrap(), None);
    assert_eq!(registry.procedure("send", at(1), start).unwrap(), None);
    assert_eq!(registry.procedure("send", at(2), start).unwrap(), Some(at(1)));
    let much_later = start + Duration::from_secs(1_000_000);
    registry.sweep(much_later);
    assert_eq!(registry.find("send", much_later), Some(at(2)));
}

#[test]
fn whoever_loses_a_name_to_another_address_is_told_of() {
    let both = |port| ["send", "join"].map(|name| (name.to_owned(), at(port)));
    let now = Instant::now();
    let mut registry = Registry::default();
    let mut service = |instance: &str, port, procedures: &[&str]| {
        registry.service(instance, at(port), names(procedures), 30, now).unwrap().replaced
    };
    assert_eq!(service("a", 1, &["send", "join"]), []);
    assert_eq!(service("a", 1, &["send", "join"]), [], "a heartbeat");
    assert_eq!(service("b", 1, &["send", "join"]), [], "the same server, started again");
    assert_eq!(service("c", 2, &["send", "join"]), both(1), "each of its procedures");
    assert_eq!(service("a", 1, &["send", "join"]), [], "a heartbeat of one that has been replaced");
    assert_eq!(service("c", 3, &["send", "join"]), both(2), "somebody who knows the id of an instance");
    assert_eq!(registry.procedure("send", at(4), now).unwrap(), Some(at(3)));
    let after = now + Duration::from_secs(30);
    let replaced = registry.service("d", at(5), names(&["send", "join"]), 30, after).unwrap().replaced;
    assert_eq!(replaced, [("send".to_owned(), at(4))], "ended leases do not count");
}

#[test]
fn a_lease_is_granted_within_its_bounds() {
    let now = Instant::now();
    let mut registry = Registry::default();
    let mut lease =
        |seconds| registry.service("a", at(1), names(&["x"]), seconds, now).map(|done| done.lease.as_secs());
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
    let fault = registry.service("a", at(1), many.clone(), 60, now).unwrap_err();
    assert_eq!(fault.code, Fault::LIMIT);
    for name in &many[..MAX_PROCEDURES] {
        registry.procedure(name, at(1), now).unwrap();
    }
    assert_eq!(registry.procedure("one-more", at(1), now).unwrap_err().code, Fault::LIMIT);
    registry.procedure("p0", at(2), now).unwrap();
    for number in 0..MAX_INSTANCES {
        registry.service(&format!("i{number}"), at(1), names(&["x"]), 60, now).unwrap();
    }
    assert_eq!(registry.service("full", at(1), names(&["x"]), 60, now).unwrap_err().code, Fault::LIMIT);
    registry.service("i0", at(1), names(&["x"]), 60, now).unwrap();
    // Ended leases make room.
    let later = now + Duration::from_secs(60);
    registry.service("full", at(1), names(&["x"]), 60, later).unwrap();
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
        registry.service(&format!("i{left}"), at(1), some, 60, now).unwrap();
    }
    let fault = registry.service("more", at(1), names(&["x"]), 60, now).unwrap_err();
    assert!(fault.code == Fault::LIMIT && fault.message.contains(&MAX_OFFERS.to_string()), "{fault}");
    registry.service("i0", at(2), many[..MAX_OFFERS % MAX_PROCEDURES].to_vec(), 60, now).unwrap();
}

#[test]
fn names_and_addresses_are_checked() {
    let now = Instant::now();
    let mut registry = Registry::default();
    for name in ["", "a b", "ä", "x\n", &"x".repeat(129)] {
        assert!(registry.procedure(name, at(1), now).is_err(), "{name:?}");
    }
    registry.procedure(&"x".repeat(128), at(1), now).unwrap();
}

#[test]
fn the_list_shows_what_is_left_of_each_lease() {
    let now = Instant::now();
    let mut registry = Registry::default();
    registry.procedure("b", at(1), now).unwrap();
    registry.service("i", at(2), names(&["a", "b"]), 30, now).unwrap();
    let listed = registry.list(now + Duration::from_secs(10));
    let shown: Vec<_> =
        listed.iter().map(|offer| (offer.name.as_str(), offer.endpoint.port, offer.lease_remaining)).collect();
    assert_eq!(
        shown,
        [("a", 2, Some(Duration::from_secs(20))), ("b", 2, Some(Duration::from_secs(20))), ("b", 1, None)]
    );
    assert_eq!(registry.list(now + Duration::from_secs(30)).len(), 1);
}

#[test]
fn a_procedure_that_is_given_twice_is_registered_once() {
    let now = Instant::now();
    let mut registry = Registry::default();
    for _ in 0..2 {
        registry.service("i", at(1), names(&["b", "a", "b", "a"]), 30, now).unwrap();
        let listed = registry.list(now);
        assert_eq!(listed.iter().map(|offer| offer.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    }
}

#[test]
fn a_group_is_looked_up_in_turn() {
    let start = Instant::now();
    let mut registry = Registry::default();
    let register = |registry: &mut Registry, instance: &str, port, group: &str, seconds| {
        let request = LeaseRequest { group: group.into(), ..request(instance, at(port), names(&["send"]), seconds) };
        registry.register_service(request, start).unwrap().replaced
    };
    let ask = |registry: &mut Registry, times: usize, now| -> Vec<u16> {
        (0..times).map(|_| registry.find("send", now).unwrap().port).collect()
    };
    register(&mut registry, "alone", 9, "", 3000);
    assert_eq!(ask(&mut registry, 3, start), [9; 3]);
    assert_eq!(register(&mut registry, "a", 1, "chat", 30), [("send".to_owned(), at(9))]);
    assert_eq!(register(&mut registry, "b", 2, "chat", 20), [], "a member takes nothing from the others");
    assert_eq!(register(&mut registry, "c", 3, "chat", 30), []);
    assert_eq!(ask(&mut registry, 7, start), [1, 2, 3, 1, 2, 3, 1]);
    // Heartbeats and other names change nothing about the turns.
    register(&mut registry, "a", 1, "chat", 30);
    assert_eq!(registry.find("other", start), None);
    assert_eq!(ask(&mut registry, 2, start), [2, 3]);
    let later = start + Duration::from_secs(20);
    assert_eq!(ask(&mut registry, 4, later), [1, 3, 1, 3], "the lease of one has ended");
    assert!(registry.unregister_service("c"));
    assert_eq!(ask(&mut registry, 2, later), [1, 1]);
    // Another group that is newer takes over as a whole.
    assert_eq!(register(&mut registry, "d", 4, "other", 30), [("send".to_owned(), at(2))]);
    assert_eq!(ask(&mut registry, 2, later), [4, 4]);
    let groups: Vec<_> = registry.list(later).into_iter().map(|offer| offer.group).collect();
    assert_eq!(groups, ["other", "chat", ""]);
    for group in ["a b", "ä", &"x".repeat(129)] {
        let request = LeaseRequest { group: group.into(), ..request("e", at(5), names(&["send"]), 30) };
        assert!(registry.register_service(request, start).is_err(), "{group:?}");
    }
}

#[test]
fn nobody_elsewhere_is_given_an_address_of_this_machine_alone() {
    let now = Instant::now();
    let mut registry = Registry::default();
    let loopback = |port| Endpoint::new("127.0.0.1", port).unwrap();
    registry.service("near", loopback(1), names(&["send"]), 30, now).unwrap();
    assert_eq!(registry.lookup("send", OTHER, now), None);
    assert_eq!(registry.find("send", now), Some(loopback(1)));
    registry.service("far", at(2), names(&["send"]), 30, now).unwrap();
    registry.service("nearer", Endpoint::new("localhost", 3).unwrap(), names(&["send"]), 30, now).unwrap();
    assert_eq!(registry.lookup("send", OTHER, now), Some(at(2)), "the newest that is reached from there");
    assert_eq!(registry.find("send", now).unwrap().port, 3);
}

#[test]
fn a_live_lease_goes_before_a_newer_registration_from_elsewhere_without_one() {
    let start = Instant::now();
    let end = start + Duration::from_secs(30);
    for (mut registry, wins) in [(Registry::with_leases_first(), false), (Registry::default(), true)] {
        registry.service("a", at(1), names(&["send"]), 30, start).unwrap();
        let replaced = registry.register_procedure("send".into(), at(2), OTHER, start).unwrap();
        assert_eq!(replaced.is_some(), wins);
        assert_eq!(registry.find("send", start), Some(at(if wins { 2 } else { 1 })));
        assert_eq!(registry.find("send", end), Some(at(2)), "nobody keeps the lease");
        // The machine that has the lease may replace it.
        registry.procedure("send", at(3), start).unwrap();
        assert_eq!(registry.find("send", start), Some(at(3)));
    }
}

#[test]
fn one_address_takes_its_share_only_and_this_machine_all() {
    let now = Instant::now();
    let mut registry = Registry::default();
    let from = |number: usize, address: &str, count: usize| {
        let origin = Some(address.parse().unwrap());
        let many = (0..count).map(|number| format!("p{number}")).collect();
        LeaseRequest { origin, ..request(&format!("{address} {number}").replace(' ', "-"), at(1), many, 60) }
    };
    for number in 0..MAX_INSTANCES / SHARE {
        registry.register_service(from(number, "10.0.0.7", 1), now).unwrap();
    }
    let full = registry.register_service(from(9999, "10.0.0.7", 1), now).unwrap_err();
    assert!(full.code == Fault::LIMIT && full.message.contains("250 instances"), "{full}");
    registry.register_service(from(0, "10.0.0.7", 1), now).unwrap();
    registry.register_service(from(9999, "10.0.0.8", 1), now).unwrap();
    // A host has the last 64 bits of an IPv6 address for itself.
    let mut left = MAX_OFFERS / SHARE;
    while left > 0 {
        let count = left.min(MAX_PROCEDURES);
        registry.register_service(from(left, &format!("2001:db8::{left:x}"), count), now).unwrap();
        left -= count;
    }
    let full = registry.register_service(from(9999, "2001:db8::ffff:1", 1), now).unwrap_err();
    assert!(full.code == Fault::LIMIT && full.message.contains("3000 procedures"), "{full}");
    registry.register_service(from(9999, "2001:db8:0:1::1", 1), now).unwrap();

    let mut registry = Registry::default();
    for number in 0..MAX_PROCEDURES / SHARE {
        registry.register_procedure(format!("p{number}"), at(1), OTHER, now).unwrap();
    }
    let full = registry.register_procedure("one-more".into(), at(1), OTHER, now).unwrap_err();
    assert!(full.code == Fault::LIMIT && full.message.contains("64 procedures"), "{full}");
    registry.register_procedure("p0".into(), at(2), OTHER, now).unwrap();
    registry.procedure("one-more", at(1), now).unwrap();
    // What this machine has registered counts for it, once another takes it over.
    let full = registry.register_procedure("one-more".into(), at(2), OTHER, now).unwrap_err();
    assert_eq!(full.code, Fault::LIMIT);
}
