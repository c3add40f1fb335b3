//! Tests that take their time: 200 users who join, leave, speak, wait and vanish at random, held against what each of them must have
//! seen, for 20 seconds or as many as `SOAK_SECONDS` says; and programs at rest.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what fails here fails a test")]

mod support;

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound::{Excluded, Included};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use chat_rpc::rpc::{Fault, Value};
use support::http::{Connection, last_call};
use support::procfs::{descriptors, sleeps, status};
use support::{Process, binder, eventually, server};

const USERS: usize = 200;
const ROOMS: usize = 10;

/// The messages that one user read in a room between joining and leaving.
#[derive(Debug)]
struct Stay {
    room: usize,
    /// The cursor at the beginning and at the end.
    from: i64,
    to: i64,
    /// Content by id.
    seen: BTreeMap<i64, String>,
}

/// A small generator of random numbers (xorshift, Marsaglia 2003), so that each user's run can be told by its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }
}

struct User {
    number: usize,
    name: Value,
    address: String,
    kept: Connection,
    dice: Dice,
    stays: Vec<Stay>,
    /// Contents that the server has confirmed.
    said: Vec<String>,
}

fn room_name(room: usize) -> Value {
    format!("room-{room}").into()
}

impl User {
    fn new(address: &str, number: usize, round: usize) -> Self {
        let mut user = Self {
            number,
            name: format!("user-{number}").into(),
            address: address.to_owned(),
            kept: Connection::open(address),
            dice: Dice(0x9E37_79B9_7F4A_7C15 ^ (((number + 1) as u64) << 8) ^ round as u64),
            stays: Vec::new(),
            said: Vec::new(),
        };
        user.call("register_user", &[user.name.clone()]).unwrap();
        user
    }

    fn call(&mut self, method: &str, params: &[Value]) -> Result<Value, Fault> {
        if self.dice.roll(4) > 0 {
            return self.kept.call(method, params);
        }
        let mut own = Connection::open(&self.address);
        own.send(&last_call(method, params));
        own.answer().unwrap().value()
    }

    fn live(&mut self, running: &AtomicBool) {
        let mut turn = 0;
        while running.load(Ordering::Relaxed) {
            let room = self.dice.roll(ROOMS);
            let joined = self.call("join_room", &[self.name.clone(), room_name(room)]).unwrap();
            let from = joined.member("last_id").and_then(Value::as_int).unwrap();
            self.stays.push(Stay { room, from, to: from, seen: BTreeMap::new() });
            while running.load(Ordering::Relaxed) && self.dice.roll(30) > 0 {
                turn += 1;
                match self.dice.roll(8) {
                    0 | 1 => self.speak(turn, room),
                    2 => self.vanish_from_a_wait(room),
                    3 => {
                        self.kept = Connection::open(&self.address);
                    }
                    _ => self.wait(room, 1),
                }
            }
            self.wait(room, 0);
            if self.dice.roll(2) == 0 {
                let name = self.name.clone();
                self.call("leave_room", &[name]).unwrap();
            }
        }
        let name = self.name.clone();
        self.call("unregister_user", &[name]).unwrap();
    }

    fn speak(&mut self, turn: usize, room: usize) {
        let recipient = if self.dice.roll(4) == 0 { format!("user-{}", self.dice.roll(USERS)) } else { String::new() };
        let content = format!("{}|{recipient}|{turn}", self.number);
        let sent =
            self.call("send_message", &[self.name.clone(), room_name(room), content.as_str().into(), recipient.into()]);
        match sent {
            Ok(_) => self.said.push(format!("{room}|{content}")),
            Err(fault) => assert_eq!(fault.code, Fault::NO_SUCH_RECIPIENT, "{fault}"),
        }
    }

    fn wait(&mut self, room: usize, seconds: i64) {
        let stay = self.stays.last_mut().unwrap();
        let params = [self.name.clone(), room_name(room), stay.to.into(), seconds.into()];
        let news = self.call("wait_messages", &params).unwrap();
        let stay = self.stays.last_mut().unwrap();
        assert_eq!(news.member("missed").and_then(Value::as_int), Some(0));
        stay.to = news.member("last_id").and_then(Value::as_int).unwrap();
        for message in news.member("messages").and_then(Value::as_array).unwrap() {
            let id = message.member("id").and_then(Value::as_int).unwrap();
            let content = message.member("content").and_then(Value::as_str).unwrap().to_owned();
            assert_eq!(stay.seen.insert(id, content), None, "shown twice");
        }
    }

    /// The answer to a wait is never read: what it carried must come again with the next.
    fn vanish_from_a_wait(&mut self, room: usize) {
        let stay = self.stays.last().unwrap();
        let mut lost = Connection::open(&self.address);
        lost.send(&last_call("wait_messages", &[self.name.clone(), room_name(room), stay.to.into(), 30.into()]));
    }
}

/// Lets all users live for `time`, and checks what they have seen. Answers how many messages there were.
fn round(server: &Process, number: usize, time: Duration) -> usize {
    let running = Arc::new(AtomicBool::new(true));
    let results = Arc::new(Mutex::new(Vec::new()));
    let lives: Vec<_> = (0..USERS)
        .map(|user| {
            let (address, running, results) = (server.address().to_owned(), Arc::clone(&running), Arc::clone(&results));
            let life = move || {
                let mut user = User::new(&address, user, number);
                user.live(&running);
                results.lock().unwrap().push((user.number, user.stays, user.said));
            };
            thread::Builder::new().stack_size(256 << 10).spawn(life).unwrap()
        })
        .collect();
    thread::sleep(time);
    running.store(false, Ordering::Relaxed);
    for life in lives {
        life.join().unwrap();
    }
    let results = Arc::try_unwrap(results).unwrap().into_inner().unwrap();
    check(&results);
    results.iter().map(|(_, _, said)| said.len()).sum()
}

fn check(results: &[(usize, Vec<Stay>, Vec<String>)]) {
    // Every message that anybody saw, by room and id.
    let mut all: HashMap<usize, BTreeMap<i64, &str>> = HashMap::new();
    let mut confirmed: Vec<&str> = results.iter().flat_map(|(_, _, said)| said.iter().map(String::as_str)).collect();
    confirmed.sort_unstable();
    for (user, stays, _) in results {
        for stay in stays {
            for (id, content) in &stay.seen {
                let known = all.entry(stay.room).or_default().entry(*id).or_insert(content);
                assert_eq!(known, content, "two messages with id {id}");
                let place = format!("{}|{content}", stay.room);
                assert!(confirmed.binary_search(&place.as_str()).is_ok(), "{place} was never confirmed");
                let mut parts = content.split('|');
                let (origin, recipient) = (parts.next().unwrap(), parts.next().unwrap());
                let is_theirs =
                    recipient.is_empty() || recipient == format!("user-{user}") || origin == user.to_string();
                assert!(is_theirs, "user-{user} saw {content}");
            }
        }
    }
    for (user, stays, _) in results {
        for stay in stays {
            let Some(room) = all.get(&stay.room) else { continue };
            for (id, content) in room.range((Excluded(stay.from), Included(stay.to))) {
                let mut parts = content.split('|');
                let (origin, recipient) = (parts.next().unwrap(), parts.next().unwrap());
                let is_theirs =
                    recipient.is_empty() || recipient == format!("user-{user}") || origin == user.to_string();
                assert!(
                    !is_theirs || stay.seen.contains_key(id),
                    "user-{user} did not see {content}, {id} of room {}",
                    stay.room
                );
            }
        }
    }
}

#[test]
fn a_soak_loses_nothing_and_leaves_nothing_behind() {
    let seconds = std::env::var("SOAK_SECONDS").map_or(20, |text| text.parse().expect("SOAK_SECONDS is a number"));
    let options =
        ["--message-rate", "0", "--registration-rate", "0", "--waits-per-address", "0", "--history-messages", "2000"];
    let server = server(&options);
    let mut kept = Connection::open(server.address());
    for room in 0..ROOMS {
        kept.call("create_room", &[room_name(room)]).unwrap();
    }
    drop(kept);
    let descriptors_before = descriptors(server.id());
    let mut after = Vec::new();
    for (number, share) in [1, 3].into_iter().enumerate() {
        let messages = round(&server, number, Duration::from_secs(seconds) * share / 4);
        assert!(messages > 0);
        // Connections whose clients vanished go with their answer, at the latest when their wait is over.
        eventually("descriptors are as before", Duration::from_secs(60), || {
            descriptors(server.id()) <= descriptors_before + 4
        });
        after.push((messages, status(server.id(), "VmRSS")));
    }
    println!("messages, and resident KiB afterwards: {after:?}");
    // The history that is kept is bounded; the rest of the memory must not grow with the number of calls.
    let history = 16 << 10;
    assert!(after[1].1 < after[0].1 + history, "{after:?}");
}

/// The janitor every 5 s, and every 20 s a connection of the program to itself.
#[test]
fn programs_at_rest_hardly_wake_up() {
    const WINDOW: Duration = Duration::from_secs(20);
    let programs = [binder(&[]), server(&[])];
    for program in &programs {
        // Something to come to rest after.
        Connection::open(program.address()).call("system.listMethods", &[]).unwrap();
    }
    let all = || [sleeps(programs[0].id()), sleeps(programs[1].id())];
    let mut before = all();
    eventually("they come to rest", Duration::from_secs(30), || {
        thread::sleep(Duration::from_secs(2));
        let quiet = all().iter().zip(before).all(|(now, before)| now.abs_diff(before) <= 1);
        before = all();
        quiet
    });
    thread::sleep(WINDOW);
    for (now, before) in all().into_iter().zip(before) {
        // Fewer than before if a thread has ended.
        let count = now.abs_diff(before);
        assert!(count <= 14, "{count} wake-ups in {WINDOW:?}");
    }
}
