//! The log in a file, tried without programs: what is cut, damaged or refused, and what is there again.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what fails here fails a test")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use chat_rpc::chat::entry::{Entry, MessageEntry, PersonId, RoomId};
use chat_rpc::chat::{Limits, State, Store, StoreConfig};
use chat_rpc::stamp::Time;
use proptest::prelude::*;
use support::home::Home;
use support::scene::{NOON, image, room, user};

fn open(directory: &Home) -> (Store, State) {
    Store::open(&StoreConfig::new(directory.0.join("data")), Limits::default()).unwrap()
}

fn log_of(directory: &Home) -> PathBuf {
    directory.0.join("data/log")
}

const USERS: [&str; 3] = ["ana", "bob", "eve"];

/// A room with three users, who have sent `messages` in turn, every fourth to bob alone.
fn conversation(messages: u64) -> Vec<Entry> {
    let time = Time { utc: NOON, ahead: 60 };
    let mut entries = vec![Entry::Create(RoomId(7), room("lobby"))];
    for (person, name) in (0..).zip(USERS) {
        entries.push(Entry::Register { person: PersonId(person), name: user(name), secret: None });
        entries.push(Entry::Join(PersonId(person), RoomId(7)));
    }
    entries.extend((1..=messages).map(|id| {
        let recipient = (id % 4 == 0).then_some(PersonId(1));
        let content = format!("message {id} <&> ");
        Entry::Send(MessageEntry {
            room: RoomId(7),
            id: Some(id),
            origin: PersonId(id % 3),
            recipient,
            key: None,
            time,
            content,
        })
    }));
    entries
}

/// The numbers and contents of the messages that are kept.
fn messages(state: &State) -> Vec<(u64, String)> {
    let kept = image(state).into_iter().filter_map(|entry| match entry {
        Entry::Kept(chat_rpc::chat::entry::Kept::Message(message, _)) => Some((message.id?, message.content)),
        _ => None,
    });
    kept.collect()
}

fn written(messages: u64) -> (Home, Vec<u8>) {
    let directory = Home::new();
    let (store, _) = open(&directory);
    for entry in conversation(messages) {
        store.append(&[entry]).unwrap();
    }
    drop(store);
    let mut bytes = fs::read(log_of(&directory)).unwrap();
    // Without the zeros that were made ahead.
    let end = bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    bytes.truncate(end);
    (directory, bytes)
}

#[test]
fn what_was_appended_is_there_again_under_the_same_identity() {
    let directory = Home::new();
    let (store, mut live) = open(&directory);
    let identity = store.identity().clone();
    for batch in conversation(100).chunks(7) {
        store.append(batch).unwrap();
        batch.iter().for_each(|entry| drop(live.apply(entry.clone()).unwrap()));
    }
    drop(store);
    for _ in 0..2 {
        let (store, state) = open(&directory);
        assert_eq!(image(&state), image(&live));
        assert_eq!(store.identity(), &identity);
    }
    for path in ["data/log", "data/lock"] {
        assert_eq!(fs::metadata(directory.0.join(path)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(fs::metadata(directory.0.join("data")).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_log_cut_anywhere_in_its_last_records_loses_only_those() {
    let (directory, bytes) = written(8);
    let whole: Vec<_> = messages(&open(&directory).1);
    assert_eq!(whole.len(), 8);
    // A record has some 50 bytes.
    for length in bytes.len() - 3 * 50..=bytes.len() {
        fs::write(log_of(&directory), &bytes[..length]).unwrap();
        let (store, state) = open(&directory);
        let read = messages(&state);
        assert!(read.len() >= 4 && whole.starts_with(&read), "{length}: {read:?}");
        assert_eq!(read.len() == 8, length == bytes.len(), "{length}");
        // It goes on from there.
        let next = conversation(read.len() as u64 + 1).pop().unwrap();
        store.append(&[next]).unwrap();
        drop((store, state));
        assert_eq!(messages(&open(&directory).1).len(), read.len() + 1, "{length}");
        assert!(!directory.0.join("data/log.damaged").exists(), "a torn tail is no damage");
    }
}

#[test]
fn any_single_byte_that_changes_loses_one_message_at_most_and_no_user_and_no_room() {
    let (directory, bytes) = written(6);
    let whole = messages(&open(&directory).1);
    for index in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[index] ^= 0x55;
        fs::write(log_of(&directory), &changed).unwrap();
        let (store, state) = open(&directory);
        let read = messages(&state);
        assert!(read.len() + 1 >= whole.len(), "byte {index}: {read:?}");
        assert!(read.iter().all(|message| whole.contains(message)), "byte {index}: {read:?}");
        let kept = image(&state);
        let users = kept.iter().filter(|entry| matches!(entry, Entry::Register { .. })).count();
        let joined = kept.iter().filter(|entry| matches!(entry, Entry::Join(..))).count();
        assert_eq!((users, joined), (3, 3), "byte {index}");
        drop((store, state));
        // What was mended stays so.
        let again = open(&directory).1;
        assert_eq!(messages(&again), read, "byte {index}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn whatever_is_damaged_the_rest_is_there_and_nothing_is_wrong(
        from in any::<prop::sample::Index>(),
        junk in proptest::collection::vec(any::<u8>(), 0..300),
        removed in 0..300usize,
    ) {
        let (directory, bytes) = written(20);
        let whole = messages(&open(&directory).1);
        // Behind the users and the room.
        let first = bytes.windows(9).position(|window| window == b"message 1").unwrap();
        let from = first + from.index(bytes.len() - first);
        let until = (from + removed).min(bytes.len());
        let changed = [&bytes[..from], &junk, &bytes[until..]].concat();
        fs::write(log_of(&directory), changed).unwrap();
        let read = messages(&open(&directory).1);
        prop_assert!(read.iter().all(|message| whole.contains(message)), "{read:?}");
        prop_assert!(read.windows(2).all(|pair| pair[0].0 < pair[1].0), "{read:?}");
        // A record has 45 bytes and more.
        prop_assert!(read.len() + removed / 45 + 2 >= whole.len(), "{} of {}", read.len(), whole.len());
    }
}

#[test]
fn a_damaged_file_is_kept_beside() {
    let (directory, mut bytes) = written(6);
    let middle = bytes.windows(9).position(|window| window == b"message 3").unwrap();
    bytes[middle] ^= 1;
    fs::write(log_of(&directory), &bytes).unwrap();
    let state = open(&directory).1;
    let ids: Vec<_> = messages(&state).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, [1, 2, 4, 5, 6], "a gap, and nothing moves into it");
    assert_eq!(fs::read(directory.0.join("data/log.damaged")).unwrap(), bytes);
}

#[test]
fn what_cannot_be_used_is_refused_in_one_line_that_says_what_to_do() {
    let refusal = |directory: &Home| {
        let refused = Store::open(&StoreConfig::new(directory.0.join("data")), Limits::default());
        let text = refused.map(drop).unwrap_err().to_string();
        assert!(!text.contains('\n') && text.contains("--data"), "{text}");
        text
    };
    let directory = Home::new();
    let (store, _) = open(&directory);
    let text = refusal(&directory);
    assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
    drop(store);

    // The version stands in the payload of the two copies of the head.
    let (directory, bytes) = written(1);
    let mut newer = bytes.clone();
    let length = usize::from(u16::from_le_bytes([newer[2], newer[3]]));
    for start in [0, 16 + length] {
        newer[start + 16] = 2;
        let mut checked = newer[start + 2..start + 4].to_vec();
        checked.extend_from_slice(&newer[start + 8..start + 16 + length]);
        newer[start + 4..start + 8].copy_from_slice(&crc32fast::hash(&checked).to_le_bytes());
    }
    fs::write(log_of(&directory), newer).unwrap();
    assert!(refusal(&directory).contains("newer version"));
    fs::write(log_of(&directory), "something else").unwrap();
    assert!(refusal(&directory).contains("move it away"));
    assert_eq!(fs::read(log_of(&directory)).unwrap(), b"something else", "and it is left alone");

    let directory = Home::new();
    fs::write(directory.0.join("data"), "").unwrap();
    assert!(refusal(&directory).contains("name a directory"));
}
