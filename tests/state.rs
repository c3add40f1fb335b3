//! The promises of the chat, tried on its state alone: no threads, no sockets, and a clock that the test turns.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what fails here fails a test")]

mod support;

use std::time::Duration;

use chat_rpc::chat::name::UserName;
use chat_rpc::chat::{DELIVERY_GAP, Delivery, Limits, Proof, Refusal, WireForm};
use chat_rpc::stamp::Stamp;
use proptest::prelude::*;
use support::scene::{Number, Scene, room, texts};

#[test]
fn a_unicast_is_seen_by_two_and_an_own_id_by_all() {
    let mut scene = Scene::with(Limits::default(), &["ana", "bob", "eve"]);
    scene.send("ana", None, "all");
    scene.send("ana", Some("bob"), "secret");
    scene.send("bob", None, "again");
    assert_eq!(scene.read("ana"), ["1 all", "2 secret", "3 again"]);
    assert_eq!(scene.read("bob"), ["1 all", "2 secret", "3 again"]);
    assert_eq!(scene.read("eve"), ["1 all", "3 again"]);
    scene.register("new", None).unwrap();
    let joined = scene.join("new", "lobby");
    assert_eq!((texts(&joined.messages), joined.last_id), (vec!["1 all".to_owned(), "3 again".to_owned()], 3));
}

#[test]
fn names_that_differ_only_in_case_are_one_user_and_one_room() {
    let mut scene = Scene::with(Limits::default(), &["Ana"]);
    assert_eq!(scene.register("ANA", None), Err(Refusal::NameInUse));
    assert_eq!(scene.create("LOBBY"), Err(Refusal::RoomExists));
    scene.send("aNa", None, "hi");
    assert_eq!(scene.core.list_users(&room("Lobby")).unwrap().len(), 1);
}

#[test]
fn who_waits_is_answered_when_a_message_comes_and_the_others_share_the_answer() {
    let mut scene = Scene::with(Limits::default(), &["ana", "bob", "eve"]);
    assert!(scene.wait("bob", 0, 60, 1).unwrap().is_empty());
    assert!(scene.wait("eve", 0, 60, 2).unwrap().is_empty());
    assert!(scene.due().is_empty());
    assert!(scene.send("ana", None, "hi"), "somebody waits for it");
    let answers = scene.due();
    assert_eq!(answers.len(), 1, "written once for both");
    assert_eq!(answers[0].tickets.len(), 2);
    assert_eq!((texts(&answers[0].page.messages), answers[0].page.last_id), (vec!["1 hi".to_owned()], 1));
    assert_eq!(scene.metric("chat_waiting"), 0);
    assert!(!scene.send("ana", None, "again"), "nobody waits any more");
}

#[test]
fn who_has_read_by_joining_waits_for_what_is_new() {
    let mut scene = Scene::with(Limits::default(), &["ana", "bob"]);
    scene.send("bob", None, "hi");
    let joined = scene.join("ana", "lobby");
    assert_eq!((texts(&joined.messages).len(), joined.last_id), (1, 1));
    assert!(scene.wait("ana", 1, 60, 1).unwrap().is_empty());
    let ended = scene.wait("ana", 1, 0, 2).unwrap();
    assert_eq!((ended[0].page.messages.len(), ended[0].page.last_id), (0, 1));
}

#[test]
fn a_message_with_a_key_is_sent_once() {
    let mut scene = Scene::with(Limits { message_burst: 2, message_rate: 1, ..Limits::default() }, &["ana", "bob"]);
    let proof = Proof::none();
    for _ in 0..5 {
        scene.send_with(("ana", &proof), "lobby", None, Some("k"), "once").unwrap();
    }
    assert_eq!(scene.read("bob"), ["1 once"]);
    // A key is its user's own, and what was repeated has cost nothing.
    scene.send_with(("bob", &proof), "lobby", None, Some("k"), "twice").unwrap();
    scene.send_with(("ana", &proof), "lobby", None, Some("l"), "thrice").unwrap();
    assert_eq!(scene.read("bob"), ["1 once", "2 twice", "3 thrice"]);
    // Nor does it matter where the user is by now.
    scene.leave("ana", &proof).unwrap();
    scene.send_with(("ana", &proof), "lobby", None, Some("k"), "once").unwrap();
    let fresh = scene.send_with(("ana", &proof), "lobby", None, Some("m"), "never");
    assert_eq!(fresh, Err(Refusal::NotInRoom));
}

#[test]
fn a_private_message_wakes_only_those_who_may_see_it() {
    let mut scene = Scene::with(Limits::default(), &["ana", "bob", "eve"]);
    scene.wait("bob", 0, 60, 1).unwrap();
    scene.wait("eve", 0, 60, 2).unwrap();
    scene.send("ana", Some("bob"), "secret");
    let answers = scene.due();
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].tickets, [Number(1)]);
    scene.pass(Duration::from_secs(1));
    scene.send("ana", None, "all");
    let answers = scene.due();
    assert_eq!(answers[0].tickets, [Number(2)]);
    assert_eq!(texts(&answers[0].page.messages), ["2 all"], "and nothing of what was private before");
}

#[test]
fn messages_that_follow_closely_go_out_together_and_one_alone_at_once() {
    let mut scene = Scene::with(Limits::default(), &["ana", "bob"]);
    scene.wait("bob", 0, 60, 1).unwrap();
    scene.send("ana", None, "one");
    assert_eq!(scene.due().len(), 1, "at once");
    scene.wait("bob", 1, 60, 2).unwrap();
    scene.send("ana", None, "two");
    scene.send("ana", None, "three");
    let (answers, next) = scene.core.due(scene.now.monotonic);
    assert!(answers.is_empty());
    assert_eq!(next, Some(scene.now.monotonic + DELIVERY_GAP));
    scene.pass(DELIVERY_GAP);
    let answers = scene.due();
    assert_eq!(texts(&answers[0].page.messages), ["2 two", "3 three"]);
}

#[test]
fn a_wait_ends_empty_when_its_time_is_up() {
    let mut scene = Scene::with(Limits::default(), &["ana"]);
    scene.wait("ana", 0, 5, 1).unwrap();
    let (answers, next) = scene.core.due(scene.now.monotonic);
    assert!(answers.is_empty());
    assert_eq!(next, Some(scene.now.monotonic + Duration::from_secs(5)));
    scene.pass(Duration::from_secs(5));
    let answers = scene.due();
    assert_eq!(answers[0].tickets, [Number(1)]);
    assert!(answers[0].page.messages.is_empty());
    assert_eq!(scene.wait("ana", 0, 0, 2).unwrap().len(), 1, "no time to wait is answered at once");
}

#[test]
fn a_second_wait_ends_the_first() {
    let mut scene = Scene::with(Limits::default(), &["ana"]);
    assert!(scene.wait("ana", 0, 60, 1).unwrap().is_empty());
    let ended = scene.wait("ana", 0, 60, 2).unwrap();
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].tickets, [Number(1)]);
    assert_eq!(scene.metric("chat_waiting"), 1);
}

#[test]
fn a_wait_ends_for_the_request_behind_it_and_with_its_user() {
    let mut scene = Scene::with(Limits::default(), &["ana", "bob"]);
    scene.wait("ana", 0, 60, 1).unwrap();
    assert_eq!(scene.core.end_wait_on(1).unwrap().tickets, [Number(1)]);
    assert!(scene.core.end_wait_on(1).is_none());
    assert_eq!(scene.wait("ana", 0, 60, 1000).unwrap()[0].tickets, [Number(1000)], "somebody waits behind it already");
    scene.wait("ana", 0, 60, 2).unwrap();
    let ended = scene.unregister("ana", &Proof::none()).unwrap();
    assert_eq!(ended.unwrap().tickets, [Number(2)]);
    scene.wait("bob", 0, 60, 3).unwrap();
    assert_eq!(scene.core.end_all_waits()[0].tickets, [Number(3)]);
    assert_eq!(scene.wait("bob", 0, 60, 4).unwrap()[0].tickets, [Number(4)], "nobody waits in a server that ends");
}

#[test]
fn what_was_dropped_unread_is_counted_but_not_what_was_not_for_this_user() {
    let limits = Limits { history_messages: 3, message_rate: 0, ..Limits::default() };
    let mut scene = Scene::with(limits, &["ana", "bob", "eve"]);
    for number in 0..4 {
        scene.send("ana", None, &format!("b{number}"));
        scene.send("ana", Some("bob"), &format!("u{number}"));
    }
    // Kept: 6, 7 and 8. Dropped: three broadcasts and two unicasts to bob.
    let news = |scene: &mut Scene, name: &str| scene.wait(name, 0, 0, 1).unwrap().remove(0).page;
    let bob = news(&mut scene, "bob");
    assert_eq!((bob.messages.len(), bob.missed, bob.last_id), (3, 5, 8));
    let eve = news(&mut scene, "eve");
    assert_eq!((texts(&eve.messages), eve.missed, eve.last_id), (vec!["7 b3".to_owned()], 3, 8));
    let later = scene.wait("eve", 5, 0, 1).unwrap().remove(0).page;
    assert_eq!((later.messages.len(), later.missed), (1, 0));
}

#[test]
fn a_cursor_of_an_earlier_room_starts_again() {
    let mut scene = Scene::with(Limits::default(), &["ana"]);
    scene.send("ana", None, "first");
    let news = scene.wait("ana", 77, 60, 1).unwrap().remove(0).page;
    assert_eq!((texts(&news.messages), news.last_id), (vec!["1 first".to_owned()], 1));
}

#[test]
fn timestamps_increase_whatever_the_clock_does_and_times_are_true() {
    let form = WireForm {
        write: |message, _, _| format!("{} {}", Stamp::from_millis(message.stamp), message.time).into(),
        read: |_| None,
    };
    let mut scene = Scene::new(Limits { message_rate: 0, ..Limits::default() }, form);
    scene.create("lobby").unwrap();
    scene.register("ana", None).unwrap();
    scene.join("ana", "lobby");
    // The hours that the clock is set to, and the offset of its time zone in minutes: the last two are the end of summer
    // time, where local time goes back and the true time does not.
    for (hours, ahead) in [(0, 0), (0, 0), (1, 0), (-1, 0), (0, 0), (2, 0), (1, 120), (1, 60)] {
        scene.now.time.utc += hours * 3_600_000;
        scene.now.time.ahead = ahead;
        scene.send("ana", None, "x");
    }
    let written = scene.read("ana");
    let stamps: Vec<_> = written.iter().map(|text| text[..23].to_owned()).collect();
    let times: Vec<_> = written.iter().map(|text| text[24..].to_owned()).collect();
    assert_eq!(stamps[..3], ["2026-03-01 12:00:00.000", "2026-03-01 12:00:00.001", "2026-03-01 13:00:00.000"]);
    assert!(stamps.windows(2).all(|pair| pair[0] < pair[1]), "{stamps:?}");
    assert_eq!(times[3], "2026-03-01T12:00:00.000+00:00", "the true time, though the clock was set back");
    assert_eq!(times[6..], ["2026-03-01T17:00:00.000+02:00", "2026-03-01T17:00:00.000+01:00"]);
    assert_eq!(stamps[7], "2026-03-01 17:00:00.001");
    // Reading by timestamp gives each exactly once, and neither waits nor idle times heed the wall clock.
    let third = Stamp::parse(&stamps[2]).unwrap().millis();
    let later = scene.receive("ana", "lobby", third, &Proof::none()).unwrap();
    assert_eq!(later.len(), 5);
    scene.now.time.utc += 10_000 * 86_400_000;
    scene.sweep();
    assert_eq!(scene.metric("chat_users"), 1);
}

#[test]
fn an_idle_time_of_zero_removes_nobody() {
    let limits = Limits { user_idle: Duration::ZERO, room_idle: Duration::ZERO, ..Limits::default() };
    let mut scene = Scene::with(limits, &["ana"]);
    scene.create("empty").unwrap();
    for _ in 0..2 {
        scene.sweep();
        assert_eq!((scene.metric("chat_users"), scene.metric("chat_rooms")), (1, 2));
        scene.pass(Duration::from_secs(365 * 86_400));
    }
}

#[test]
fn empty_rooms_and_silent_users_go_and_those_who_wait_stay() {
    let limits =
        Limits { user_idle: Duration::from_secs(900), room_idle: Duration::from_secs(300), ..Limits::default() };
    let mut scene = Scene::with(limits, &["ana", "bob"]);
    scene.create("empty").unwrap();
    scene.pass(Duration::from_secs(299));
    scene.sweep();
    assert_eq!(scene.core.list_rooms(), ["empty", "lobby"]);
    scene.pass(Duration::from_secs(1));
    scene.sweep();
    assert_eq!(scene.core.list_rooms(), ["lobby"]);
    scene.pass(Duration::from_secs(590));
    scene.wait("bob", 0, 60, 1).unwrap();
    scene.pass(Duration::from_secs(10));
    scene.sweep();
    let users = scene.core.list_users(&room("lobby")).unwrap();
    assert_eq!(users.iter().map(UserName::as_str).collect::<Vec<_>>(), ["bob"], "ana was silent, bob waits");
    // A wait that ends counts as a sign of life at its end.
    scene.pass(Duration::from_secs(60));
    scene.due();
    scene.pass(Duration::from_secs(899));
    scene.sweep();
    assert_eq!(scene.metric("chat_users"), 1);
    scene.pass(Duration::from_secs(1));
    scene.sweep();
    assert_eq!(scene.metric("chat_users"), 0);
    scene.pass(Duration::from_secs(300));
    scene.sweep();
    assert_eq!((scene.metric("chat_rooms"), scene.metric("chat_history_bytes")), (0, 0));
}

#[test]
fn memory_is_bounded_over_all_rooms_and_the_largest_history_pays() {
    let limits = Limits { memory: 4000, message_rate: 0, ..Limits::default() };
    let mut scene = Scene::with(limits, &["ana", "bob"]);
    scene.create("other").unwrap();
    scene.join("bob", "other");
    let long = "x".repeat(96);
    scene.send("ana", None, &long);
    for _ in 0..100 {
        scene.send_with(("bob", &Proof::none()), "other", None, None, &long).unwrap();
        assert!(scene.metric("chat_history_bytes") <= 4000);
    }
    assert_eq!(scene.read("ana").len(), 1, "the small room keeps what it has");
    let kept = texts(&scene.receive("bob", "other", i64::MIN, &Proof::none()).unwrap());
    assert!(kept.len() > 30 && kept.last().unwrap().starts_with("100 "), "{}", kept.len());
}

#[test]
fn a_room_that_is_created_again_goes_on_where_its_history_is_kept() {
    for (days, kept) in [(0, false), (30, true)] {
        let keep_history = Duration::from_secs(days * 86_400);
        let mut scene = Scene::with(Limits { keep_history, ..Limits::default() }, &["ana"]);
        scene.send("ana", None, "before");
        let before = scene.join("ana", "lobby");
        scene.leave("ana", &Proof::none()).unwrap();
        scene.pass(Duration::from_secs(300));
        scene.sweep();
        assert!(scene.core.list_rooms().is_empty());
        assert_eq!(scene.try_join("ana", "lobby", &Proof::none()), Err(Refusal::NoSuchRoom));
        scene.create("LOBBY").unwrap();
        let after = scene.join("ana", "lobby");
        assert_eq!(after == before, kept, "{after:?}");
        assert_eq!(after.room == before.room, kept);
        scene.send("ana", None, "after");
        assert_eq!(scene.read("ana").len(), if kept { 2 } else { 1 });
    }
    let keep_history = Duration::from_secs(86_400);
    let mut scene = Scene::with(Limits { keep_history, ..Limits::default() }, &["ana"]);
    scene.send("ana", None, "before");
    scene.leave("ana", &Proof::none()).unwrap();
    scene.pass(Duration::from_secs(300));
    scene.sweep();
    scene.pass(Duration::from_secs(86_399));
    scene.sweep();
    assert!(scene.metric("chat_history_bytes") > 0);
    scene.pass(Duration::from_secs(1));
    scene.sweep();
    assert_eq!(scene.metric("chat_history_bytes"), 0, "its time is over");
}

#[test]
fn reading_does_not_keep_an_empty_room() {
    let mut scene = Scene::with(Limits::default(), &["ana"]);
    scene.create("empty").unwrap();
    for _ in 0..3 {
        scene.pass(Duration::from_secs(100));
        assert!(scene.core.list_users(&room("empty")).unwrap().is_empty());
    }
    scene.sweep();
    assert_eq!(scene.core.list_rooms(), ["lobby"]);
}

#[test]
fn a_refused_call_changes_nothing() {
    let limits = Limits { room_users: 2, message_burst: 1, message_rate: 1, ..Limits::default() };
    let mut scene = Scene::with(limits, &["ana", "bob"]);
    scene.register("eve", None).unwrap();
    scene.create("other").unwrap();
    scene.join("eve", "other");
    let full = scene.try_join("eve", "lobby", &Proof::none()).unwrap_err();
    assert_eq!(full, Refusal::Limit { what: "users in one room", value: 2 });
    assert_eq!(scene.core.list_users(&room("other")).unwrap().len(), 1, "eve is still where she was");
    assert_eq!(scene.try_send("ana", Some("eve"), "x").unwrap_err(), Refusal::NoSuchRecipient);
    assert_eq!(scene.try_send("eve", None, "x").unwrap_err(), Refusal::NotInRoom);
    assert_eq!(scene.try_send("zoe", None, "x").unwrap_err(), Refusal::NoSuchUser);
    scene.send("ana", None, "x");
    assert!(
        matches!(scene.try_send("ana", None, "y"), Err(Refusal::TooFast { .. })),
        "refusals cost no token, messages do"
    );
    assert_eq!(scene.read("ana"), ["1 x"]);
    assert_eq!(scene.wait("eve", 0, 60, 1).unwrap_err(), Refusal::NotInRoom);
}

#[derive(Debug, Clone)]
enum Step {
    Join(usize),
    Leave(usize),
    Send(usize, Option<usize>),
    Wait(usize),
    Deliver,
    Pass(u64),
}

const PEOPLE: [&str; 4] = ["ana", "bob", "eve", "joão"];

fn step() -> impl Strategy<Value = Step> {
    let person = 0..PEOPLE.len();
    prop_oneof![
        1 => person.clone().prop_map(Step::Join),
        1 => person.clone().prop_map(Step::Leave),
        4 => (person.clone(), proptest::option::of(person.clone())).prop_map(|(from, to)| Step::Send(from, to)),
        4 => person.prop_map(Step::Wait),
        3 => Just(Step::Deliver),
        2 => (0..70_000u64).prop_map(Step::Pass),
    ]
}

proptest! {
    /// Whatever happens in whatever order: each user reads exactly the messages that they may see and that came while
    /// they followed the room, each once and in order, and nobody else's.
    #[test]
    fn each_reads_what_is_theirs_exactly_once(steps in proptest::collection::vec(step(), 1..80)) {
        let limits = Limits { message_rate: 0, user_idle: Duration::from_secs(1 << 30), ..Limits::default() };
        let mut scene = Scene::with(limits, &PEOPLE);
        let mut is_there = [true; 4];
        let mut cursor = [0u64; 4];
        let mut expected: [Vec<String>; 4] = Default::default();
        let mut seen: [Vec<String>; 4] = Default::default();
        let mut serial = 0u64;
        let mut owners: Vec<usize> = Vec::new();
        let take = |batches: Vec<Delivery<Number>>, owners: &[usize], seen: &mut [Vec<String>; 4], cursor: &mut [u64; 4]| {
            for batch in batches {
                for ticket in batch.tickets {
                    let who = owners[ticket.0 as usize];
                    seen[who].extend(texts(&batch.page.messages));
                    cursor[who] = batch.page.last_id;
                    assert_eq!(batch.page.missed, 0);
                }
            }
        };
        for step in steps {
            match step {
                Step::Join(who) => {
                    let joined = scene.join(PEOPLE[who], "lobby");
                    if !is_there[who] {
                        is_there[who] = true;
                        cursor[who] = joined.last_id;
                        expected[who] = seen[who].clone();
                    }
                }
                Step::Leave(who) => {
                    let left = scene.leave(PEOPLE[who], &Proof::none());
                    assert_eq!(left.is_ok(), is_there[who]);
                    if let Ok(Some(batch)) = left {
                        take(vec![batch], &owners, &mut seen, &mut cursor);
                    }
                    is_there[who] = false;
                    // What was not read by then is not to be read any more.
                    expected[who] = seen[who].clone();
                }
                Step::Send(from, to) => {
                    let sent = scene.try_send(PEOPLE[from], to.map(|to| PEOPLE[to]), "x");
                    assert_eq!(sent.is_ok(), is_there[from] && to.is_none_or(|to| is_there[to]));
                    if sent.is_ok() {
                        serial += 1;
                        for who in 0..4 {
                            if is_there[who] && (to.is_none() || who == from || Some(who) == to) {
                                expected[who].push(format!("{serial} x"));
                            }
                        }
                    }
                }
                Step::Wait(who) => {
                    owners.push(who);
                    let ticket = u32::try_from(owners.len() - 1).unwrap();
                    let waited = scene.wait(PEOPLE[who], cursor[who], 60, ticket);
                    assert_eq!(waited.is_ok(), is_there[who]);
                    let mut batches = waited.unwrap_or_default();
                    // Of an ended wait and the one that ends it, both started from the same cursor: one of them counts.
                    if batches.len() == 2 { batches.remove(0); }
                    take(batches, &owners, &mut seen, &mut cursor);
                }
                Step::Deliver => take(scene.due(), &owners, &mut seen, &mut cursor),
                Step::Pass(milliseconds) => scene.pass(Duration::from_millis(milliseconds)),
            }
        }
        for who in 0..4 {
            if is_there[who] {
                scene.pass(Duration::from_secs(100));
                take(scene.due(), &owners, &mut seen, &mut cursor);
                owners.push(who);
                let ticket = u32::try_from(owners.len() - 1).unwrap();
                let last = scene.wait(PEOPLE[who], cursor[who], 0, ticket).unwrap();
                take(last, &owners, &mut seen, &mut cursor);
            }
            assert_eq!(&seen[who], &expected[who], "{}", PEOPLE[who]);
        }
    }
}
