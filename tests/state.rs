//! What the chat promises, tried on its state alone: no threads, no sockets, and a clock that the test turns.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what fails here fails a test")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use chat_rpc::chat::name::{RoomName, UserName};
use chat_rpc::chat::{Batch, DELIVERY_GAP, Draft, Limits, News, Now, Proof, Refusal, State, Ticket, Unanswered};
use chrono::{NaiveDate, NaiveDateTime, TimeDelta};
use proptest::prelude::*;

/// A ticket that is told apart by its number, which is its connection's too.
#[derive(Debug, PartialEq, Clone, Copy)]
struct Number(u32);

impl Ticket for Number {
    type Connection = u32;
    fn connection(&self) -> u32 {
        self.0
    }
    fn is_waited_for(&self) -> bool {
        self.0 >= 1000
    }
}

/// A chat with a clock.
struct Scene {
    state: State<Number>,
    now: Now,
}

fn user(name: &str) -> UserName {
    UserName::parse(name).unwrap()
}

fn room(name: &str) -> RoomName {
    RoomName::parse(name).unwrap()
}

fn noon() -> NaiveDateTime {
    NaiveDate::from_ymd_opt(2026, 3, 1).unwrap().and_hms_opt(12, 0, 0).unwrap()
}

impl Scene {
    /// Users in one room.
    fn with(limits: Limits, users: &[&str]) -> Self {
        let mut scene = Self { state: State::new(limits), now: Now { monotonic: Instant::now(), wall: noon() } };
        scene.state.create_room(room("lobby"), scene.now).unwrap();
        for name in users {
            scene.state.register_user(user(name), &Proof::none(), None, scene.now).unwrap();
            scene.join(name, "lobby");
        }
        scene
    }

    fn pass(&mut self, time: Duration) {
        self.now.monotonic += time;
        self.now.wall += TimeDelta::from_std(time).unwrap();
    }

    fn join(&mut self, name: &str, room_name: &str) -> News {
        self.state.join_room(&user(name), &room(room_name), &Proof::none(), self.now).unwrap().1
    }

    fn try_send(&mut self, from: &str, to: Option<&str>, text: &str) -> Result<Unanswered, Refusal> {
        let write = |draft: Draft<'_>| Arc::from(format!("{} {}", draft.id, text));
        self.state.send_message(&user(from), &room("lobby"), to.map(user).as_ref(), &Proof::none(), self.now, write)
    }

    /// Sends, and the sender has their answer. Answers whether somebody may wait for it.
    fn send(&mut self, from: &str, to: Option<&str>, text: &str) -> bool {
        let message = self.try_send(from, to, text).unwrap();
        self.state.answered(message)
    }

    fn wait(&mut self, name: &str, after: u64, seconds: u64, ticket: u32) -> Result<Vec<Batch<Number>>, Refusal> {
        let time = Duration::from_secs(seconds);
        let waited = self.state.wait_messages(
            &user(name),
            &room("lobby"),
            after,
            time,
            &Proof::none(),
            None,
            Number(ticket),
            self.now,
        );
        waited.map_err(|(refusal, _)| refusal)
    }

    fn read(&mut self, name: &str) -> Vec<String> {
        let messages = self.state.receive_messages(&user(name), &room("lobby"), &Proof::none(), self.now).unwrap();
        texts(&messages)
    }

    fn due(&mut self) -> Vec<Batch<Number>> {
        self.state.due(self.now.monotonic).0
    }
}

fn texts(messages: &[Arc<str>]) -> Vec<String> {
    messages.iter().map(ToString::to_string).collect()
}

#[test]
fn a_unicast_is_seen_by_two_and_an_own_id_by_all() {
    let mut scene = Scene::with(Limits::default(), &["ana", "bob", "eve"]);
    scene.send("ana", None, "all");
    scene.send("ana", Some("bob"), "secret");
    scene.send("bob", None, "again");
    assert_eq!(scene.read("ana"), ["1 all", "2 secret", "3 again"]);
    assert_eq!(scene.read("bob"), ["1 all", "2 secret", "3 again"]);
    assert_eq!(scene.read("eve"), ["1 all", "3 again"]);
    scene.state.register_user(user("new"), &Proof::none(), None, scene.now).unwrap();
    let joined = scene.join("new", "lobby");
    assert_eq!((texts(&joined.messages), joined.last_id), (vec!["1 all".to_owned(), "3 again".to_owned()], 3));
}

#[test]
fn names_that_differ_only_in_case_are_one_user_and_one_room() {
    let mut scene = Scene::with(Limits::default(), &["Ana"]);
    assert_eq!(scene.state.register_user(user("ANA"), &Proof::none(), None, scene.now), Err(Refusal::NameInUse));
    assert_eq!(scene.state.create_room(room("LOBBY"), scene.now), Err(Refusal::RoomExists));
    scene.send("aNa", None, "hi");
    assert_eq!(scene.state.list_users(&room("Lobby"), scene.now).unwrap().len(), 1);
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
    assert_eq!((texts(&answers[0].news.messages), answers[0].news.last_id), (vec!["1 hi".to_owned()], 1));
    assert_eq!(scene.state.counts().waiting, 0);
    assert!(!scene.send("ana", None, "again"), "nobody waits any more");
}

#[test]
fn who_waits_gets_a_message_when_its_sender_has_an_answer() {
    let mut scene = Scene::with(Limits::default(), &["ana", "bob", "eve"]);
    assert!(scene.wait("eve", 0, 60, 1).unwrap().is_empty());
    let [first, second] = ["hi", "there"].map(|text| scene.try_send("ana", None, text).unwrap());
    // Who does not wait sees what there is.
    assert_eq!(scene.read("bob"), ["1 hi", "2 there"]);
    assert_eq!(texts(&scene.wait("bob", 0, 0, 2).unwrap()[0].news.messages), ["1 hi", "2 there"]);
    assert!(scene.wait("bob", 0, 60, 3).unwrap().is_empty());
    // In order: the second one waits for the first.
    assert!(scene.state.answered(second));
    assert!(scene.due().is_empty());
    // Who has joined meanwhile has read it, and waits for what is new: the cursor does not go back.
    let joined = scene.join("ana", "lobby");
    assert_eq!((texts(&joined.messages).len(), joined.last_id), (2, 2));
    assert!(scene.wait("ana", 2, 60, 4).unwrap().is_empty());
    let ended = scene.wait("ana", 2, 0, 5).unwrap();
    assert_eq!((ended[0].news.messages.len(), ended[0].news.last_id), (0, 2));
    scene.pass(DELIVERY_GAP);
    assert!(scene.state.answered(first));
    let answers = scene.due();
    assert_eq!((answers.len(), answers[0].tickets.len()), (1, 2));
    assert_eq!((texts(&answers[0].news.messages), answers[0].news.last_id), (vec!["1 hi".into(), "2 there".into()], 2));
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
    assert_eq!(texts(&answers[0].news.messages), ["2 all"], "and nothing of what was private before");
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
    let (answers, next) = scene.state.due(scene.now.monotonic);
    assert!(answers.is_empty());
    assert_eq!(next, Some(scene.now.monotonic + DELIVERY_GAP));
    scene.pass(DELIVERY_GAP);
    let answers = scene.due();
    assert_eq!(texts(&answers[0].news.messages), ["2 two", "3 three"]);
}

#[test]
fn a_wait_ends_empty_when_its_time_is_up() {
    let mut scene = Scene::with(Limits::default(), &["ana"]);
    scene.wait("ana", 0, 5, 1).unwrap();
    let (answers, next) = scene.state.due(scene.now.monotonic);
    assert!(answers.is_empty());
    assert_eq!(next, Some(scene.now.monotonic + Duration::from_secs(5)));
    scene.pass(Duration::from_secs(5));
    let answers = scene.due();
    assert_eq!(answers[0].tickets, [Number(1)]);
    assert!(answers[0].news.messages.is_empty());
    assert_eq!(scene.wait("ana", 0, 0, 2).unwrap().len(), 1, "no time to wait is answered at once");
}

#[test]
fn a_second_wait_ends_the_first() {
    let mut scene = Scene::with(Limits::default(), &["ana"]);
    assert!(scene.wait("ana", 0, 60, 1).unwrap().is_empty());
    let ended = scene.wait("ana", 0, 60, 2).unwrap();
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].tickets, [Number(1)]);
    assert_eq!(scene.state.counts().waiting, 1);
}

#[test]
fn a_wait_ends_for_the_request_behind_it_and_with_its_user() {
    let mut scene = Scene::with(Limits::default(), &["ana", "bob"]);
    scene.wait("ana", 0, 60, 1).unwrap();
    assert_eq!(scene.state.hurry(1, scene.now.monotonic).unwrap().tickets, [Number(1)]);
    assert!(scene.state.hurry(1, scene.now.monotonic).is_none());
    assert_eq!(scene.wait("ana", 0, 60, 1000).unwrap()[0].tickets, [Number(1000)], "somebody waits behind it already");
    scene.wait("ana", 0, 60, 2).unwrap();
    let ended = scene.state.unregister_user(&user("ana"), &Proof::none(), scene.now).unwrap();
    assert_eq!(ended.unwrap().tickets, [Number(2)]);
    scene.wait("bob", 0, 60, 3).unwrap();
    assert_eq!(scene.state.end_all_waits(scene.now.monotonic)[0].tickets, [Number(3)]);
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
    let news = |scene: &mut Scene, name: &str| scene.wait(name, 0, 0, 1).unwrap().remove(0).news;
    let bob = news(&mut scene, "bob");
    assert_eq!((bob.messages.len(), bob.missed, bob.last_id), (3, 5, 8));
    let eve = news(&mut scene, "eve");
    assert_eq!((texts(&eve.messages), eve.missed, eve.last_id), (vec!["7 b3".to_owned()], 3, 8));
    let later = scene.wait("eve", 5, 0, 1).unwrap().remove(0).news;
    assert_eq!((later.messages.len(), later.missed), (1, 0));
}

#[test]
fn a_cursor_of_an_earlier_room_starts_again() {
    let mut scene = Scene::with(Limits::default(), &["ana"]);
    scene.send("ana", None, "first");
    let news = scene.wait("ana", 77, 60, 1).unwrap().remove(0).news;
    assert_eq!((texts(&news.messages), news.last_id), (vec!["1 first".to_owned()], 1));
}

#[test]
fn time_stamps_increase_whatever_the_wall_clock_does() {
    let mut scene = Scene::with(Limits { message_rate: 0, ..Limits::default() }, &["ana", "bob"]);
    let mut stamps = Vec::new();
    let hours = [0, 0, 1, -1, -1, 2, 0, -3];
    scene.wait("bob", 0, 60, 1).unwrap();
    for hour in hours {
        scene.now.wall += TimeDelta::hours(hour);
        let write = |draft: Draft<'_>| {
            stamps.push(draft.stamp.format("%Y-%m-%d %H:%M:%S%.3f").to_string());
            Arc::from("x")
        };
        let message =
            scene.state.send_message(&user("ana"), &room("lobby"), None, &Proof::none(), scene.now, write).unwrap();
        scene.state.answered(message);
    }
    assert_eq!(stamps[..3], ["2026-03-01 12:00:00.000", "2026-03-01 12:00:00.001", "2026-03-01 13:00:00.000"]);
    assert!(stamps.windows(2).all(|pair| pair[0] < pair[1]), "{stamps:?}");
    // Reading by time stamp gives each exactly once, and neither waits nor idle times heed the wall clock.
    let third = NaiveDateTime::parse_from_str(&stamps[2], "%Y-%m-%d %H:%M:%S%.f").unwrap();
    let later =
        scene.state.receive_new_messages(&user("bob"), &room("lobby"), third, &Proof::none(), scene.now).unwrap();
    assert_eq!(later.len(), 5);
    scene.now.wall += TimeDelta::days(10_000);
    scene.state.sweep(scene.now.monotonic);
    assert_eq!(scene.state.counts().users, 2);
}

#[test]
fn empty_rooms_and_silent_users_go_and_those_who_wait_stay() {
    let limits =
        Limits { user_idle: Duration::from_secs(900), room_idle: Duration::from_secs(300), ..Limits::default() };
    let mut scene = Scene::with(limits, &["ana", "bob"]);
    scene.state.create_room(room("empty"), scene.now).unwrap();
    scene.pass(Duration::from_secs(299));
    scene.state.sweep(scene.now.monotonic);
    assert_eq!(scene.state.list_rooms(), ["empty", "lobby"]);
    scene.pass(Duration::from_secs(1));
    scene.state.sweep(scene.now.monotonic);
    assert_eq!(scene.state.list_rooms(), ["lobby"]);
    scene.pass(Duration::from_secs(590));
    scene.wait("bob", 0, 60, 1).unwrap();
    scene.pass(Duration::from_secs(10));
    scene.state.sweep(scene.now.monotonic);
    let users = scene.state.list_users(&room("lobby"), scene.now).unwrap();
    assert_eq!(users.iter().map(UserName::as_str).collect::<Vec<_>>(), ["bob"], "ana was silent, bob waits");
    // A wait that ends counts as a sign of life at its end.
    scene.pass(Duration::from_secs(60));
    scene.due();
    scene.pass(Duration::from_secs(899));
    scene.state.sweep(scene.now.monotonic);
    assert_eq!(scene.state.counts().users, 1);
    scene.pass(Duration::from_secs(1));
    scene.state.sweep(scene.now.monotonic);
    assert_eq!(scene.state.counts().users, 0);
    scene.pass(Duration::from_secs(300));
    scene.state.sweep(scene.now.monotonic);
    assert_eq!((scene.state.counts().rooms, scene.state.counts().history_bytes), (0, 0));
}

#[test]
fn memory_is_bounded_over_all_rooms_and_the_oldest_goes_first() {
    let limits = Limits { memory: 4000, message_rate: 0, ..Limits::default() };
    let mut scene = Scene::with(limits, &["ana", "bob"]);
    scene.state.create_room(room("other"), scene.now).unwrap();
    scene.join("bob", "other");
    let long = "x".repeat(96);
    scene.send("ana", None, &long);
    for _ in 0..100 {
        let write = |draft: Draft<'_>| Arc::from(format!("{} {long}", draft.id));
        let message =
            scene.state.send_message(&user("bob"), &room("other"), None, &Proof::none(), scene.now, write).unwrap();
        scene.state.answered(message);
        assert!(scene.state.counts().history_bytes <= 4000);
    }
    assert_eq!(scene.read("ana").len(), 0, "the oldest of all was ana's");
    let kept = scene.state.receive_messages(&user("bob"), &room("other"), &Proof::none(), scene.now).unwrap();
    assert!(kept.len() > 30 && kept.last().unwrap().starts_with("100 "), "{}", kept.len());
}

#[test]
fn a_refused_call_changes_nothing() {
    let limits = Limits { room_users: 2, message_burst: 1, message_rate: 1, ..Limits::default() };
    let mut scene = Scene::with(limits, &["ana", "bob"]);
    scene.state.register_user(user("eve"), &Proof::none(), None, scene.now).unwrap();
    scene.state.create_room(room("other"), scene.now).unwrap();
    scene.join("eve", "other");
    let full = scene.state.join_room(&user("eve"), &room("lobby"), &Proof::none(), scene.now).unwrap_err();
    assert_eq!(full, Refusal::Limit { what: "users in one room", value: 2 });
    assert_eq!(scene.state.list_users(&room("other"), scene.now).unwrap().len(), 1, "eve is still where she was");
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
    /// One of the senders who have no answer yet gets it.
    Answer(usize),
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
        3 => (0..4usize).prop_map(Step::Answer),
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
        let mut unanswered = Vec::new();
        let take = |batches: Vec<Batch<Number>>, owners: &[usize], seen: &mut [Vec<String>; 4], cursor: &mut [u64; 4]| {
            for batch in batches {
                for ticket in batch.tickets {
                    let who = owners[ticket.0 as usize];
                    seen[who].extend(texts(&batch.news.messages));
                    cursor[who] = batch.news.last_id;
                    assert_eq!(batch.news.missed, 0);
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
                    let left = scene.state.leave_room(&user(PEOPLE[who]), &Proof::none(), scene.now);
                    assert_eq!(left.is_ok(), is_there[who]);
                    if let Ok((_, Some(batch))) = left {
                        take(vec![batch], &owners, &mut seen, &mut cursor);
                    }
                    is_there[who] = false;
                    // What was not read by then is not to be read any more.
                    expected[who] = seen[who].clone();
                }
                Step::Send(from, to) => {
                    let sent = scene.try_send(PEOPLE[from], to.map(|to| PEOPLE[to]), "x");
                    assert_eq!(sent.is_ok(), is_there[from] && to.is_none_or(|to| is_there[to]));
                    if let Ok(message) = sent {
                        unanswered.push(message);
                        serial += 1;
                        for who in 0..4 {
                            if is_there[who] && (to.is_none() || who == from || Some(who) == to) {
                                expected[who].push(format!("{serial} x"));
                            }
                        }
                    }
                }
                Step::Answer(which) => {
                    if !unanswered.is_empty() {
                        scene.state.answered(unanswered.remove(which % unanswered.len()));
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
