//! The form in which entries are kept, on disk and in a stream: a log of today is read by every later version.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what fails here fails a test")]

mod support;

use std::fmt::Write as _;

use chat_rpc::chat::entry::{Entry, IdempotencyKey, Kept, MessageEntry, PersonId, RoomId};
use chat_rpc::secret::Verifier;
use chat_rpc::stamp::Time;
use support::scene::{NOON, room, user};

/// Every kind of entry and every kind of optional part, in the order of [`KEPT`]. New ones come last.
fn entries() -> Vec<Entry> {
    let (person, other, place) = (PersonId(1), PersonId(u64::MAX), RoomId(300));
    let time = Time { utc: NOON, ahead: -180 };
    let verifier: Verifier = postcard::from_bytes(&[7; 32]).unwrap();
    let to_all = MessageEntry {
        room: place,
        id: None,
        origin: person,
        recipient: None,
        key: None,
        time,
        content: "olá <&>".into(),
    };
    let to_one = MessageEntry {
        id: Some(1000),
        recipient: Some(other),
        key: IdempotencyKey::parse("a key".into()).unwrap(),
        ..to_all.clone()
    };
    vec![
        Entry::Register { person, name: user("ana"), secret: None },
        Entry::Register { person: other, name: user("João"), secret: Some(verifier.clone()) },
        Entry::Unregister(person),
        Entry::Create(place, room("the lobby")),
        Entry::Join(person, place),
        Entry::Leave(person),
        Entry::Send(to_all.clone()),
        Entry::Send(to_one.clone()),
        Entry::Remove { room: place, keep_until: None },
        Entry::Remove { room: place, keep_until: Some(time) },
        Entry::Forget(place),
        Entry::Kept(Kept::Counts { messages: 128 }),
        Entry::Kept(Kept::Person { person, name: user("ana"), secret: None }),
        Entry::Kept(Kept::Room { room: place, name: room("the lobby"), last_id: 7, last_stamp: NOON, removed: None }),
        Entry::Kept(Kept::Message(to_all, NOON)),
        Entry::Kept(Kept::Message(to_one, -1)),
        Entry::Kept(Kept::DroppedUnicast { room: place, id: 5, origin: person, recipient: other }),
        Entry::Kept(Kept::Recent { person, sent: 3, keys: vec![(1, 2), (3, u64::MAX)] }),
        Entry::Kept(Kept::End),
    ]
}

/// The bytes of the entries as version 1 has written them, a line each.
const KEPT: &str = include_str!("corpus/entries.hex");

#[test]
fn entries_are_kept_in_the_form_that_every_later_version_reads() {
    let entries = entries();
    let written: Vec<_> = entries.iter().map(|entry| hex(&postcard::to_allocvec(entry).unwrap())).collect();
    assert_eq!(written, KEPT.lines().collect::<Vec<_>>());
    for (line, entry) in KEPT.lines().zip(&entries) {
        assert_eq!(&postcard::from_bytes::<Entry>(&bytes(line)).unwrap(), entry, "{line}");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}
