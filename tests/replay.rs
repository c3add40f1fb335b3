//! The durable state is the result of its entries: the same ones make the same state again, and so do a snapshot and those
//! after it.

#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

mod support;

use std::time::Duration;

use chat_rpc::chat::entry::Entry;
use chat_rpc::chat::{FORM, Limits, Proof, State};
use proptest::prelude::*;
use support::scene::{Scene, image};

const USERS: [&str; 4] = ["ana", "bob", "eve", "joão"];
const SECRETS: [Option<&str>; 2] = [None, Some("open sesame")];
const ROOMS: [&str; 3] = ["lobby", "ops", "#help"];
const TEXTS: [&str; 4] = ["hi", "<&>]]>\"'", "two\r\nlines\t", "olá 👋"];

#[derive(Debug, Clone)]
enum Deed {
    Register(usize, usize),
    Unregister(usize),
    Create(usize),
    Join(usize, usize),
    Leave(usize),
    Send { from: usize, room: usize, to: Option<usize>, key: Option<u8>, text: usize },
    Pass(u64),
    Sweep,
    TurnClock(i64),
}

fn deed() -> impl Strategy<Value = Deed> {
    let (user, room) = (0..USERS.len(), 0..ROOMS.len());
    let send =
        (user.clone(), room.clone(), proptest::option::of(user.clone()), proptest::option::of(0..4u8), 0..TEXTS.len());
    prop_oneof![
        3 => (user.clone(), 0..SECRETS.len()).prop_map(|(user, secret)| Deed::Register(user, secret)),
        1 => user.clone().prop_map(Deed::Unregister),
        2 => room.clone().prop_map(Deed::Create),
        4 => (user.clone(), room).prop_map(|(user, room)| Deed::Join(user, room)),
        1 => user.prop_map(Deed::Leave),
        8 => send.prop_map(|(from, room, to, key, text)| Deed::Send { from, room, to, key, text }),
        2 => (0..400u64).prop_map(Deed::Pass),
        2 => Just(Deed::Sweep),
        1 => (-7_200_000..7_200_000i64).prop_map(Deed::TurnClock),
    ]
}

fn perform(scene: &mut Scene, deed: &Deed) {
    let proof = |scene: &Scene, user: usize| scene.proof(USERS[user], SECRETS[1]);
    // What is refused changes nothing, and is not in the log.
    let _ = match *deed {
        Deed::Register(user, secret) => scene.register(USERS[user], SECRETS[secret]),
        Deed::Unregister(user) => scene.unregister(USERS[user], &proof(scene, user)).map(drop),
        Deed::Create(room) => scene.create(ROOMS[room]),
        Deed::Join(user, room) => scene.try_join(USERS[user], ROOMS[room], &proof(scene, user)).map(drop),
        Deed::Leave(user) => scene.leave(USERS[user], &proof(scene, user)).map(drop),
        Deed::Send { from, room, to, key, text } => {
            let key = key.map(|key| key.to_string());
            let proof = proof(scene, from);
            let to = to.map(|to| USERS[to]);
            scene.send_with((USERS[from], &proof), ROOMS[room], to, key.as_deref(), TEXTS[text]).map(drop)
        }
        Deed::Pass(seconds) => {
            scene.pass(Duration::from_secs(seconds));
            Ok(())
        }
        Deed::Sweep => {
            scene.sweep();
            Ok(())
        }
        Deed::TurnClock(milliseconds) => {
            scene.now.time.utc += milliseconds;
            Ok(())
        }
    };
}

fn replayed<'a>(limits: &Limits, entries: impl IntoIterator<Item = &'a Entry>) -> State {
    let mut state = State::new(limits.clone(), FORM);
    for entry in entries {
        state.apply(entry.clone()).unwrap();
    }
    state
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn replayed_state_equals_live_state_and_so_does_a_snapshot_with_its_tail(
        deeds in proptest::collection::vec(deed(), 1..120),
        keeps in any::<bool>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let keep_history = if keeps { Duration::from_secs(1000) } else { Duration::ZERO };
        let limits = Limits {
            message_rate: 0,
            registration_rate: 0,
            room_rate: 0,
            history_messages: 5,
            // A few messages: the largest history has to pay now and then.
            memory: 4500,
            keep_history,
            ..Limits::default()
        };
        let mut scene = Scene::new(limits.clone(), FORM);
        let mut snapshot = None;
        let cut = cut.index(deeds.len());
        for (number, deed) in deeds.iter().enumerate() {
            if number == cut {
                snapshot = Some((image(scene.core.state()), scene.log.len()));
            }
            perform(&mut scene, deed);
        }
        let live = image(scene.core.state());
        prop_assert_eq!(&image(&replayed(&limits, &scene.log)), &live);
        let (entries, position) = snapshot.unwrap();
        let restored = replayed(&limits, entries.iter().chain(&scene.log[position..]));
        prop_assert_eq!(&image(&restored), &live);
    }
}

#[test]
fn what_a_user_may_see_and_has_sent_survives_a_replay() {
    let limits = Limits::default();
    let mut scene = Scene::new(limits.clone(), FORM);
    let proof = Proof::none();
    scene.create("lobby").unwrap();
    for name in ["ana", "bob", "eve"] {
        scene.register(name, None).unwrap();
        scene.join(name, "lobby");
    }
    scene.send_with(("ana", &proof), "lobby", Some("bob"), Some("k"), "psst").unwrap();
    let before = ["ana", "bob", "eve"].map(|name| scene.read(name));
    let state = replayed(&limits, &image(scene.core.state()));
    scene.core = chat_rpc::chat::Core::new(state, scene.now.monotonic);
    assert_eq!(["ana", "bob", "eve"].map(|name| scene.read(name)), before);
    scene.send_with(("ana", &proof), "lobby", Some("bob"), Some("k"), "psst").unwrap();
    assert_eq!(scene.read("bob").len(), 1, "the key is known still");
}
