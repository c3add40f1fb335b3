//! The packets, by simple-dns. Names in them are not compressed: packets are short, and its code for that is 9 KB.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use simple_dns::rdata::{A, AAAA, PTR, RData, SRV, TXT};
use simple_dns::{CLASS, Label, Name, Packet, PacketFlag, QTYPE, Question, ResourceRecord, SimpleDnsError, TYPE};

use super::{Found, MAX_PACKET};
use crate::endpoint::Endpoint;
use crate::sanitize::Sanitized;

/// The service, and the name under which all services of a network are listed (RFC 6763, section 9).
const SERVICE: &str = "_chat-rpc._tcp.local";
const ALL_SERVICES: &str = "_services._dns-sd._udp.local";
/// The lifetime of the records with others, in seconds. A binder that crashed is forgotten after this.
pub(super) const LIFETIME: u32 = 120;
/// The lifetime of the records with programs that take no part in multicast DNS (RFC 6762, section 6.7).
const LEGACY_LIFETIME: u32 = 10;
/// The most questions and records of a packet that is read. simple-dns sets memory apart for as many as a packet claims to
/// have, before it reads one.
const MAX_ENTRIES: usize = 128;
/// The most records of each kind that a browser keeps.
const MAX_KEPT: usize = 64;

type Result<T> = std::result::Result<T, SimpleDnsError>;

/// An announced binder.
#[derive(Debug)]
pub(super) struct ServiceInstance {
    /// Its name for people, at most 63 bytes.
    pub(super) label: String,
    /// The first part of the name of its host.
    pub(super) host: String,
    pub(super) port: u16,
}

/// A record of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Pointer,
    Listing,
    Place,
    Text,
    Address,
}

/// Reads a packet of plausible size.
fn parse(bytes: &[u8]) -> Option<Packet<'_>> {
    let counts = bytes.get(4..12)?.chunks(2).map(|count| usize::from(count[0]) << 8 | usize::from(count[1]));
    if bytes.len() > MAX_PACKET || counts.sum::<usize>() > MAX_ENTRIES {
        return None;
    }
    Packet::parse(bytes).ok()
}

fn address<'a>(ip: IpAddr) -> RData<'a> {
    match ip {
        IpAddr::V4(ip) => RData::A(A { address: ip.to_bits() }),
        IpAddr::V6(ip) => RData::AAAA(AAAA { address: ip.to_bits() }),
    }
}

/// Returns the address in a record, if a host elsewhere can have it.
fn host_address(data: &RData<'_>) -> Option<IpAddr> {
    let ip: IpAddr = match data {
        RData::A(A { address }) => Ipv4Addr::from_bits(*address).into(),
        RData::AAAA(AAAA { address }) => Ipv6Addr::from_bits(*address).into(),
        _ => return None,
    };
    let is_special = match ip.to_canonical() {
        IpAddr::V4(v4) => v4.is_broadcast() || ip.is_ipv6(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    (!is_special && !ip.is_unspecified() && !ip.is_multicast() && !ip.is_loopback()).then_some(ip)
}

impl ServiceInstance {
    fn instance(&self) -> Result<Name<'_>> {
        let mut labels = vec![Label::new(self.label.as_bytes())?];
        labels.extend(SERVICE.split('.').map(|part| Label::new_unchecked(part.as_bytes())));
        Ok(Name::new_with_labels(&labels))
    }

    fn host(&self) -> Result<Name<'_>> {
        Ok(Name::new_with_labels(&[Label::new(self.host.as_bytes())?, Label::new_unchecked(b"local")]))
    }

    /// Returns a record. With `flush`, others forget what they knew under its name: only this service has it.
    fn record(&self, part: Part, ip: IpAddr, lifetime: u32, flush: bool) -> Result<ResourceRecord<'_>> {
        let (name, data) = match part {
            Part::Pointer => (Name::new_unchecked(SERVICE), RData::PTR(PTR(self.instance()?))),
            Part::Listing => (Name::new_unchecked(ALL_SERVICES), RData::PTR(PTR(Name::new_unchecked(SERVICE)))),
            Part::Place => {
                let place = SRV { priority: 0, weight: 0, port: self.port, target: self.host()? };
                (self.instance()?, RData::SRV(place))
            }
            Part::Text => (self.instance()?, RData::TXT(TXT::new().with_string("txtvers=1")?)),
            Part::Address => (self.host()?, address(ip)),
        };
        let is_shared = matches!(part, Part::Pointer | Part::Listing);
        Ok(ResourceRecord::new(name, CLASS::IN, lifetime, data).with_cache_flush(flush && !is_shared))
    }

    /// Returns the packet that announces this service in the network where it has `ip`; with a `lifetime` of 0, that it ends.
    pub(super) fn announcement(&self, ip: IpAddr, lifetime: u32) -> Option<Vec<u8>> {
        let mut packet = Packet::new_reply(0);
        packet.set_flags(PacketFlag::AUTHORITATIVE_ANSWER);
        for part in [Part::Pointer, Part::Place, Part::Text, Part::Address] {
            packet.answers.push(self.record(part, ip, lifetime, true).ok()?);
        }
        packet.build_bytes_vec().ok()
    }

    /// Returns the reply to a query; `None` if it asks for nothing of this service, or knows it. A program that takes no part in
    /// multicast DNS (`is_multicast`) gets its question repeated, and records that expire soon.
    pub(super) fn reply(&self, query: &[u8], ip: IpAddr, is_multicast: bool) -> Option<Vec<u8>> {
        let query = parse(query)?;
        if query.has_flags(PacketFlag::RESPONSE) {
            return None;
        }
        let mut parts: Vec<Part> = query.questions.iter().flat_map(|question| self.asked_for(question, ip)).collect();
        let lifetime = if is_multicast { LIFETIME } else { LEGACY_LIFETIME };
        if is_multicast {
            let instance = self.instance().ok()?;
            let is_known = query.answers.iter().any(|known| {
                known.ttl >= LIFETIME / 2 && matches!(&known.rdata, RData::PTR(PTR(target)) if *target == instance)
            });
            parts.retain(|part| *part != Part::Pointer || !is_known);
        }
        parts.sort_unstable();
        parts.dedup();
        let record = |part| self.record(part, ip, lifetime, is_multicast);
        let mut reply = Packet::new_reply(if is_multicast { 0 } else { query.id() });
        reply.set_flags(PacketFlag::AUTHORITATIVE_ANSWER);
        reply.answers = parts.iter().map(|part| record(*part)).collect::<Result<_>>().ok()?;
        // The records that will be asked for next.
        let next: &[Part] = match parts.first()? {
            Part::Pointer => &[Part::Place, Part::Text, Part::Address],
            Part::Place => &[Part::Address],
            _ => &[],
        };
        let next = next.iter().filter(|part| !parts.contains(part));
        reply.additional_records = next.map(|part| record(*part)).collect::<Result<_>>().ok()?;
        if !is_multicast {
            reply.questions = query.questions.clone();
        }
        reply.build_bytes_vec().ok()
    }

    fn asked_for(&self, question: &Question<'_>, ip: IpAddr) -> Vec<Part> {
        let name = &question.qname;
        let named = |own: Result<Name<'_>>| own.is_ok_and(|own| own == *name);
        let parts: &[(Part, TYPE)] = if *name == Name::new_unchecked(SERVICE) {
            &[(Part::Pointer, TYPE::PTR)]
        } else if *name == Name::new_unchecked(ALL_SERVICES) {
            &[(Part::Listing, TYPE::PTR)]
        } else if named(self.instance()) {
            &[(Part::Place, TYPE::SRV), (Part::Text, TYPE::TXT)]
        } else if named(self.host()) {
            &[(Part::Address, address(ip).type_code())]
        } else {
            &[]
        };
        let wanted = |kind: TYPE| question.qtype == QTYPE::ANY || question.qtype == QTYPE::TYPE(kind);
        parts.iter().filter(|(_, kind)| wanted(*kind)).map(|(part, _)| *part).collect()
    }
}

/// The records that a browser has received.
#[derive(Debug, Default)]
pub(super) struct Heard {
    instances: Vec<Name<'static>>,
    places: BTreeMap<Vec<u8>, (Name<'static>, u16)>,
    addresses: BTreeMap<Vec<u8>, IpAddr>,
}

/// Returns a name in a form that can be compared: names are the same in capitals (RFC 1035).
fn key(name: &Name<'_>) -> Vec<u8> {
    name.get_labels()
        .iter()
        .flat_map(|label| [label.as_ref(), b"."].concat())
        .map(|byte| byte.to_ascii_lowercase())
        .collect()
}

impl Heard {
    /// Returns the query for all services, and for the missing records of those known.
    pub(super) fn query(&self) -> Option<Vec<u8>> {
        let mut query = Packet::new_query(0);
        let mut ask = |name: Name<'static>, kind: TYPE| {
            query.questions.push(Question::new(name, QTYPE::TYPE(kind), CLASS::IN.into(), false));
        };
        ask(Name::new_unchecked(SERVICE), TYPE::PTR);
        for instance in &self.instances {
            match self.places.get(&key(instance)) {
                None => ask(instance.clone(), TYPE::SRV),
                Some((host, _)) if !self.addresses.contains_key(&key(host)) => {
                    [TYPE::A, TYPE::AAAA].into_iter().for_each(|kind| ask(host.clone(), kind));
                }
                Some(_) => {}
            }
        }
        query.build_bytes_vec().ok()
    }

    /// Keeps the records of a reply, which came by IPv4 or by IPv6, as its addresses have to be. Returns whether there was a new one.
    pub(super) fn hear(&mut self, bytes: &[u8], is_ipv4: bool) -> bool {
        let Some(packet) = parse(bytes).filter(|packet| packet.has_flags(PacketFlag::RESPONSE)) else { return false };
        let mut is_new = false;
        for record in packet.answers.iter().chain(&packet.additional_records) {
            let name = key(&record.name);
            match &record.rdata {
                RData::PTR(PTR(target)) if record.name == Name::new_unchecked(SERVICE) => {
                    let is_one = target.get_labels().len() == 4 && target.is_subdomain_of(&record.name);
                    let is_known = self.instances.contains(target);
                    if record.ttl == 0 {
                        self.instances.retain(|instance| instance != target);
                    } else if is_one && !is_known && self.instances.len() < MAX_KEPT {
                        self.instances.push(target.clone().into_owned());
                        is_new = true;
                    }
                }
                RData::SRV(place) if record.ttl > 0 && place.port > 0 && self.places.len() < MAX_KEPT => {
                    let place = (place.target.clone().into_owned(), place.port);
                    is_new |= self.places.insert(name, place).is_none();
                }
                data if record.ttl > 0 && self.addresses.len() < MAX_KEPT => {
                    if let Some(ip) = host_address(data).filter(|ip| ip.is_ipv4() == is_ipv4) {
                        is_new |= self.insert_address(name, ip);
                    }
                }
                _ => {}
            }
        }
        is_new
    }

    /// Keeps an address, one for each host: the IPv4 one, if there is one. Returns whether it is the first.
    fn insert_address(&mut self, host: Vec<u8>, ip: IpAddr) -> bool {
        let known = self.addresses.get(&host).copied();
        if known.is_none_or(|_| ip.is_ipv4()) {
            self.addresses.insert(host, ip);
        }
        known.is_none()
    }

    /// Returns the binders whose addresses are known.
    pub(super) fn found(&self) -> Vec<Found> {
        let found = |instance: &Name<'static>| {
            let (host, port) = self.places.get(&key(instance))?;
            let ip = self.addresses.get(&key(host))?;
            let label = String::from_utf8_lossy(instance.get_labels().first()?.as_ref()).into_owned();
            let endpoint = Endpoint::from(SocketAddr::from((*ip, *port)));
            Some(Found { name: Sanitized(&label).to_string(), endpoint })
        };
        self.instances.iter().filter_map(found).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const IP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7));
    const IP6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 7));

    fn service() -> ServiceInstance {
        ServiceInstance { label: "attic (0001)".into(), host: "chat-rpc-1".into(), port: 5000 }
    }

    #[test]
    fn a_browser_hears_what_a_service_announces_and_its_end() {
        let mut heard = Heard::default();
        assert!(heard.hear(&service().announcement(IP, LIFETIME).unwrap(), true));
        let found = Found { name: "attic (0001)".into(), endpoint: "10.0.0.7:5000".parse().unwrap() };
        assert_eq!(heard.found(), [found]);
        assert!(!heard.hear(&service().announcement(IP, LIFETIME).unwrap(), true), "nothing new");
        heard.hear(&service().announcement(IP, 0).unwrap(), true);
        assert_eq!(heard.found(), []);
    }

    #[test]
    fn each_family_has_its_own_addresses_and_ipv4_is_shown() {
        let found = |announced: &[(IpAddr, bool)]| {
            let mut heard = Heard::default();
            for (ip, over_ipv4) in announced {
                heard.hear(&service().announcement(*ip, LIFETIME).unwrap(), *over_ipv4);
            }
            heard.found().iter().map(|found| found.endpoint.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(found(&[(IP6, false)]), ["[fd00::7]:5000"]);
        assert_eq!(found(&[(IP6, true), (IP, false)]), [""; 0]);
        assert_eq!(found(&[(IP6, false), (IP, true)]), ["10.0.0.7:5000"]);
        assert_eq!(found(&[(IP, true), (IP6, false)]), ["10.0.0.7:5000"]);
        for ip in ["fe80::7", "::1", "ff02::fb", "::", "::ffff:10.0.0.7"] {
            assert_eq!(found(&[(ip.parse().unwrap(), false)]), [""; 0], "{ip}");
        }
    }

    #[test]
    fn a_query_is_replied_to_unless_the_answer_is_known() {
        let mut heard = Heard::default();
        let query = heard.query().unwrap();
        let reply = service().reply(&query, IP, true).unwrap();
        assert!(heard.hear(&reply, true));
        assert_eq!(heard.found().len(), 1, "all that is needed comes at once");
        assert_eq!(service().reply(&reply, IP, true), None, "a reply is no query");
        let mut knowing = parse(&query).unwrap();
        let known = service();
        for (lifetime, expected) in [(LIFETIME, false), (LIFETIME / 2 - 1, true)] {
            knowing.answers = vec![known.record(Part::Pointer, IP, lifetime, false).unwrap()];
            let query = knowing.build_bytes_vec().unwrap();
            assert_eq!(service().reply(&query, IP, true).is_some(), expected, "known for {lifetime} s");
        }
    }

    #[test]
    fn missing_parts_are_asked_for() {
        let mut heard = Heard::default();
        let service = service();
        let mut next = vec![Part::Pointer, Part::Place, Part::Address].into_iter();
        // Each reply has one record only.
        while let Some(part) = next.next() {
            let mut reply = Packet::new_reply(0);
            reply.answers.push(service.record(part, IP, LIFETIME, true).unwrap());
            assert!(heard.hear(&reply.build_bytes_vec().unwrap(), true));
            let query = heard.query().unwrap();
            let asked: Vec<_> =
                parse(&query).unwrap().questions.iter().flat_map(|question| service.asked_for(question, IP)).collect();
            let expected: Vec<_> = [Part::Pointer].into_iter().chain(next.as_slice().first().copied()).collect();
            assert_eq!(asked, expected);
        }
        assert_eq!(heard.found().len(), 1);
    }

    /// A packet of ours with some bytes changed, or anything at all.
    fn packets() -> impl Strategy<Value = Vec<u8>> {
        let changes = proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..6);
        let ours = (0..4, changes).prop_map(|(which, changes)| {
            let query = Heard::default().query().unwrap();
            let mut packet = match which {
                0 => service().announcement(IP, LIFETIME).unwrap(),
                1 => service().announcement(IP6, LIFETIME).unwrap(),
                2 => service().reply(&query, IP, false).unwrap(),
                _ => query,
            };
            for (at, value) in changes {
                let at = at.index(packet.len());
                packet[at] = value;
            }
            packet
        });
        prop_oneof![3 => ours, 1 => proptest::collection::vec(any::<u8>(), 0..300)]
    }

    proptest! {
        #[test]
        fn whatever_comes_does_no_harm(packets in proptest::collection::vec(packets(), 1..20)) {
            let mut heard = Heard::default();
            for packet in packets {
                heard.hear(&packet, true);
                heard.hear(&packet, false);
                let reply = service().reply(&packet, IP, true);
                prop_assert!(reply.is_none_or(|reply| reply.len() < 512));
                let _ = service().reply(&packet, IP, false);
                let query = heard.query();
                prop_assert!(query.is_none_or(|query| query.len() < 20 * MAX_PACKET));
                for found in heard.found() {
                    prop_assert!(found.name.chars().all(|c| !c.is_control()));
                    prop_assert!(found.endpoint.port > 0);
                }
            }
        }
    }
}
