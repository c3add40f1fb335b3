//! The chat and the register against simple models: whatever is done in whatever order, nobody reads or takes what is
//! somebody else's.

#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chat_rpc::binder::{LeaseRequest, Registry};
use chat_rpc::chat::{Limits, Refusal};
use chat_rpc::endpoint::Endpoint;
use proptest::prelude::*;
use proptest::sample::subsequence;
use support::scene::{NOON, Scene, texts};

const NAMES: [&str; 3] = ["ana", "bob", "eve"];
/// `None` has no credentials.
const SECRETS: [Option<&str>; 3] = [None, Some("one"), Some("two")];

/// Somebody: an index into [`NAMES`] and one into [`SECRETS`].
type Who = (usize, usize);

#[derive(Debug, Clone, Copy)]
enum Deed {
    Register,
    Unregister,
    Join,
    Leave,
    Send(Option<usize>),
    ReadAll,
    ReadNew,
    Wait,
}

fn deed() -> impl Strategy<Value = (Who, Deed)> {
    let deed = prop_oneof![
        3 => Just(Deed::Register),
        1 => Just(Deed::Unregister),
        3 => Just(Deed::Join),
        1 => Just(Deed::Leave),
        4 => proptest::option::weighted(0.7, 0..NAMES.len()).prop_map(Deed::Send),
        1 => Just(Deed::ReadAll),
        1 => Just(Deed::ReadNew),
        1 => Just(Deed::Wait),
    ];
    ((0..NAMES.len(), 0..SECRETS.len()), deed)
}

/// The knowledge of the model: who has each name and whether they are in the room, and who may see which message.
#[derive(Default)]
struct Model {
    users: BTreeMap<usize, (usize, bool)>,
    messages: Vec<(Who, Option<Who>)>,
}

impl Model {
    /// Returns the reason against a deed by `who` as the user of that name.
    fn against(&self, who: Who) -> Option<Refusal> {
        match self.users.get(&who.0) {
            None => Some(Refusal::NoSuchUser),
            Some((secret, _)) if *secret != 0 && *secret != who.1 => Some(Refusal::NotAuthorised("")),
            Some(_) => None,
        }
    }

    /// The numbers of the messages that the registered user of this name may see.
    fn seen_by(&self, name: usize) -> Vec<String> {
        let reader = (name, self.users[&name].0);
        let seen = |(from, to): &(Who, Option<Who>)| to.is_none_or(|to| to == reader || *from == reader);
        let numbered = self.messages.iter().zip(1..).filter(|(message, _)| seen(message));
        numbered.map(|(_, number): (_, u64)| number.to_string()).collect()
    }
}

fn like(refusal: Refusal, expected: &Refusal) -> bool {
    std::mem::discriminant(&refusal) == std::mem::discriminant(expected)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_name_and_what_is_private_belong_to_who_has_the_secret(
        deeds in proptest::collection::vec(deed(), 1..60),
    ) {
        let limits = Limits { message_rate: 0, registration_rate: 0, ..Limits::default() };
        let mut scene = Scene::with(limits, &[]);
        let mut model = Model::default();
        for (who, deed) in deeds {
            let (name, secret) = (NAMES[who.0], SECRETS[who.1]);
            let proof = scene.proof(name, secret);
            let expected = match deed {
                Deed::Register => match model.users.get(&who.0) {
                    Some((secret, _)) if *secret == 0 || *secret != who.1 => Some(Refusal::NameInUse),
                    _ => None,
                },
                Deed::Unregister | Deed::Join => model.against(who),
                Deed::Leave | Deed::Send(_) | Deed::ReadAll | Deed::ReadNew | Deed::Wait => {
                    let is_there = model.users.get(&who.0).is_some_and(|(_, is_there)| *is_there);
                    let absent = (!is_there).then_some(Refusal::NotInRoom);
                    let recipient = match deed {
                        Deed::Send(Some(to)) => {
                            let is_there = model.users.get(&to).is_some_and(|(_, is_there)| *is_there);
                            (!is_there).then_some(Refusal::NoSuchRecipient)
                        }
                        _ => None,
                    };
                    model.against(who).or(absent).or(recipient)
                }
            };
            let read = match deed {
                Deed::Register => scene.register(name, secret).map(|()| None),
                Deed::Unregister => scene.unregister(name, &proof).map(|_| None),
                Deed::Join => scene.try_join(name, "lobby", &proof).map(|page| Some(page.messages)),
                Deed::Leave => scene.leave(name, &proof).map(|_| None),
                Deed::Send(to) => {
                    scene.send_with((name, &proof), "lobby", to.map(|to| NAMES[to]), None, "x").map(|_| None)
                }
                Deed::ReadAll => scene.receive(name, "lobby", i64::MIN, &proof).map(Some),
                Deed::ReadNew => scene.receive(name, "lobby", NOON - 86_400_000, &proof).map(Some),
                Deed::Wait => {
                    let waited = scene.wait_with((name, &proof), 0, 0, 1);
                    waited.map(|mut deliveries| Some(deliveries.remove(0).page.messages))
                }
            };
            match (read, expected) {
                (Err(refusal), Some(expected)) => {
                    prop_assert!(like(refusal.clone(), &expected), "{who:?} {deed:?}: {refusal:?}, not {expected:?}");
                    continue;
                }
                (Ok(read), None) => {
                    match deed {
                        Deed::Register => drop(model.users.entry(who.0).or_insert((who.1, false))),
                        Deed::Unregister => drop(model.users.remove(&who.0)),
                        Deed::Join => model.users.get_mut(&who.0).unwrap().1 = true,
                        Deed::Leave => model.users.get_mut(&who.0).unwrap().1 = false,
                        Deed::Send(to) => {
                            let person = |name: usize| (name, model.users[&name].0);
                            model.messages.push((person(who.0), to.map(person)));
                        }
                        Deed::ReadAll | Deed::ReadNew | Deed::Wait => {}
                    }
                    if let Some(messages) = read {
                        let read: Vec<_> = texts(&messages).iter().map(|text| text.trim_end_matches(" x").to_owned()).collect();
                        prop_assert_eq!(read, model.seen_by(who.0), "{:?} {:?}", who, deed);
                    }
                }
                (read, expected) => prop_assert!(false, "{who:?} {deed:?}: {read:?}, not {expected:?}"),
            }
        }
    }
}

const PROCEDURES: [&str; 3] = ["join", "send", "wait"];

#[derive(Debug, Clone)]
enum Act {
    Permanent { name: usize, port: u16 },
    Leased { instance: usize, port: u16, names: Vec<&'static str>, seconds: i64 },
    Unregister { instance: usize },
    Pass { seconds: u64 },
    Sweep,
}

fn act() -> impl Strategy<Value = Act> {
    let port = 1..4u16;
    prop_oneof![
        1 => (0..PROCEDURES.len(), port.clone()).prop_map(|(name, port)| Act::Permanent { name, port }),
        4 => (0..3usize, port, subsequence(PROCEDURES.to_vec(), 0..=3), 1..40i64)
            .prop_map(|(instance, port, names, seconds)| Act::Leased { instance, port, names, seconds }),
        1 => (0..3usize).prop_map(|instance| Act::Unregister { instance }),
        2 => (0..30u64).prop_map(|seconds| Act::Pass { seconds }),
        1 => Just(Act::Sweep),
    ]
}

/// A registration in the model: who (`None` without a lease), where, for what, and its end in seconds.
#[derive(Clone)]
struct Entry {
    instance: Option<usize>,
    port: u16,
    names: Vec<&'static str>,
    ends: u64,
}

/// The entry that answers a look-up: the last live one, because they are kept from the oldest to the newest.
fn answering(entries: &[Entry], name: &str, now: u64) -> Option<u16> {
    entries.iter().rev().find(|entry| entry.ends > now && entry.names.contains(&name)).map(|entry| entry.port)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_newest_live_registration_answers_and_each_loss_is_told(acts in proptest::collection::vec(act(), 1..60)) {
        let start = Instant::now();
        let mut registry = Registry::default();
        let mut entries: Vec<Entry> = Vec::new();
        let mut now = 0u64;
        let at = |port: u16| Endpoint::new("10.0.0.1", port.into()).unwrap();
        for act in acts {
            let instant = start + Duration::from_secs(now);
            let before: Vec<_> = PROCEDURES.iter().map(|name| answering(&entries, name, now)).collect();
            let mut told: Option<(Vec<Endpoint>, Vec<&str>, u16)> = None;
            match act {
                Act::Permanent { name, port } => {
                    let name = PROCEDURES[name];
                    let replaced = registry.register_procedure(name.into(), at(port), None, instant).unwrap();
                    entries.retain(|entry| entry.instance.is_some() || entry.names != [name]);
                    entries.push(Entry { instance: None, port, names: vec![name], ends: u64::MAX });
                    told = Some((replaced.into_iter().collect(), vec![name], port));
                }
                Act::Leased { instance, port, names, seconds } => {
                    let given = names.iter().map(|&name| name.to_owned()).collect();
                    let request = LeaseRequest {
                        instance: instance.to_string(),
                        endpoint: at(port),
                        procedures: given,
                        seconds,
                        group: String::new(),
                        origin: None,
                    };
                    let done = registry.register_service(request, instant).unwrap();
                    let ends = now + seconds.unsigned_abs();
                    let entry = Entry { instance: Some(instance), port, names: names.clone(), ends };
                    let known = entries.iter().position(|old| old.instance == Some(instance) && old.ends > now);
                    prop_assert_eq!(done.is_new, known.is_none());
                    match known {
                        Some(place) => entries[place] = entry,
                        None => entries.push(entry),
                    }
                    let replaced = done.replaced.into_iter().map(|(_, old)| old).collect();
                    told = Some((replaced, names, port));
                }
                Act::Unregister { instance } => {
                    registry.unregister_service(&instance.to_string());
                    entries.retain(|entry| entry.instance != Some(instance));
                }
                Act::Pass { seconds } => now += seconds,
                Act::Sweep => registry.sweep(instant),
            }
            entries.retain(|entry| entry.ends > now);
            let instant = start + Duration::from_secs(now);
            for (name, before) in PROCEDURES.iter().zip(before) {
                let after = answering(&entries, name, now);
                prop_assert_eq!(registry.lookup(name, None, instant).map(|endpoint| endpoint.port), after);
                if let Some((told, names, _)) = &told
                    && names.contains(name)
                    && let (Some(old), Some(new)) = (before, after)
                {
                    prop_assert_eq!(old != new && !told.contains(&at(old)), false, "{} lost {}", old, name);
                }
            }
            if let Some((told, _, port)) = told {
                prop_assert!(!told.contains(&at(port)));
            }
        }
    }
}
