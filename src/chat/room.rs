//! A room: its members and its messages.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::Limits;
use super::entry::{PersonId, RoomId};
use super::name::{NameKey, RoomName, UserName};
use crate::secret::Verifier;
use crate::stamp::Time;

/// Messages in a reply of `join_room` at most.
pub const JOIN_MESSAGES: usize = 50;

/// The holder of a name: whoever presents this secret, or anyone if `None`. Private messages stay with the holder when the
/// name passes on.
#[derive(Debug)]
pub struct Person {
    pub(super) id: PersonId,
    pub(super) name: UserName,
    pub(super) secret: Option<Verifier>,
}

/// Two registrations of one name with one secret are the same person.
impl PartialEq for Person {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id || (self.name == other.name && self.secret == other.secret)
    }
}

impl Eq for Person {}

/// A message as it is kept: what decides who sees it, and the text that goes over the wire, made once.
#[derive(Debug, Clone)]
pub struct StoredMessage {
    /// Its number in the room.
    pub id: u64,
    /// Its timestamp, in milliseconds of local time; strictly increasing in a room.
    pub stamp: i64,
    /// The time at which it was sent.
    pub time: Time,
    pub(super) origin: Arc<Person>,
    /// `None` for a broadcast.
    pub(super) recipient: Option<Arc<Person>>,
    pub(super) wire: Arc<str>,
}

impl StoredMessage {
    pub(super) fn is_visible_to(&self, reader: &Person) -> bool {
        self.recipient.as_ref().is_none_or(|recipient| **recipient == *reader || *self.origin == *reader)
    }
}

/// A unicast that is no longer kept; it must not count as missed by those who could not see it.
#[derive(Debug, Clone)]
pub(super) struct DroppedUnicast {
    pub(super) id: u64,
    pub(super) origin: Arc<Person>,
    pub(super) recipient: Arc<Person>,
}

/// The messages that a user can read from a cursor on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The life of the room that the cursor is of.
    pub room: RoomId,
    /// The messages, written as they go over the wire.
    pub messages: Vec<Arc<str>>,
    /// The next cursor.
    pub last_id: u64,
    /// Messages that were dropped before this user could read them.
    pub missed: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Room {
    pub(super) id: RoomId,
    pub(super) name: RoomName,
    members: BTreeMap<NameKey, Arc<Person>>,
    /// Set once it has left the list: until when its history is kept.
    pub(super) removed: Option<Time>,
    /// The kept messages, oldest first.
    pub(super) history: VecDeque<StoredMessage>,
    /// Bytes of these on the wire.
    pub(super) history_bytes: usize,
    pub(super) last_id: u64,
    pub(super) last_stamp: i64,
    pub(super) dropped_unicasts: VecDeque<DroppedUnicast>,
}

impl Room {
    pub(super) fn new(id: RoomId, name: RoomName) -> Self {
        Self {
            id,
            name,
            members: BTreeMap::new(),
            removed: None,
            history: VecDeque::new(),
            history_bytes: 0,
            last_id: 0,
            last_stamp: i64::MIN,
            dropped_unicasts: VecDeque::new(),
        }
    }

    /// Returns everybody who is there, in the order of their names.
    pub(super) fn members(&self) -> impl ExactSizeIterator<Item = &Arc<Person>> {
        self.members.values()
    }

    pub(super) fn member(&self, name: &NameKey) -> Option<&Arc<Person>> {
        self.members.get(name)
    }

    pub(super) fn enter(&mut self, person: Arc<Person>) {
        self.members.insert(person.name.key().clone(), person);
    }

    pub(super) fn leave(&mut self, name: &NameKey) {
        self.members.remove(name);
    }

    /// Returns the timestamp of the next message: milliseconds of local time that strictly increase, whatever the clock does.
    pub(super) fn next_stamp(&self, time: Time) -> i64 {
        time.local().max(self.last_stamp.saturating_add(1))
    }

    /// Keeps `message`, the newest of those that are kept, and drops what is then too old.
    pub(super) fn keep(&mut self, message: StoredMessage, limits: &Limits) {
        // A snapshot says first which was the last one.
        self.last_id = self.last_id.max(message.id);
        self.last_stamp = self.last_stamp.max(message.stamp);
        self.history_bytes += message.wire.len();
        self.history.push_back(message);
        while self.history.len() > limits.history_messages || self.history_bytes > limits.history_bytes {
            self.drop_oldest(limits);
        }
    }

    /// Drops the oldest message. Returns the bytes that this frees.
    pub(super) fn drop_oldest(&mut self, limits: &Limits) -> usize {
        let Some(message) = self.history.pop_front() else { return 0 };
        let freed = message.wire.len();
        self.history_bytes -= freed;
        if let Some(recipient) = message.recipient {
            self.note_dropped(DroppedUnicast { id: message.id, origin: message.origin, recipient }, limits);
        }
        freed
    }

    /// Remembers a unicast that is no longer kept.
    pub(super) fn note_dropped(&mut self, unicast: DroppedUnicast, limits: &Limits) {
        self.dropped_unicasts.push_back(unicast);
        // A cursor older than this counts unicasts of others as missed.
        if self.dropped_unicasts.len() > limits.history_messages {
            self.dropped_unicasts.pop_front();
        }
    }

    /// Returns the kept messages past the cursor `after`. Numbers can have gaps, where a log was damaged.
    pub(super) fn past(&self, after: u64) -> impl DoubleEndedIterator<Item = &StoredMessage> {
        self.history.range(self.history.partition_point(|message| message.id <= after)..)
    }

    /// Returns whether there is a message past `after` that `reader` may see.
    pub(super) fn has_page(&self, reader: &Person, after: u64) -> bool {
        self.past(self.cursor(after)).any(|message| message.is_visible_to(reader))
    }

    /// Returns the cursor to read from. One beyond the last message is of an earlier life of the room, and begins anew.
    fn cursor(&self, after: u64) -> u64 {
        if after > self.last_id { 0 } else { after }
    }

    /// Returns whether what is past `after` looks the same for everybody.
    pub(super) fn is_common(&self, after: u64) -> bool {
        let after = self.cursor(after);
        self.past(after).all(|message| message.recipient.is_none())
            && self.dropped_unicasts.back().is_none_or(|dropped| dropped.id <= after)
    }

    /// Returns what `reader` can read past `after`.
    pub(super) fn page(&self, reader: &Person, after: u64) -> Page {
        let after = self.cursor(after);
        let visible = self.past(after).filter(|message| message.is_visible_to(reader));
        let messages = visible.map(|message| Arc::clone(&message.wire)).collect();
        let first = self.history.front().map_or(self.last_id + 1, |message| message.id);
        let dropped = (first - 1).saturating_sub(after);
        let not_theirs = self.dropped_unicasts.iter().rev().take_while(|dropped| dropped.id > after);
        let not_theirs = not_theirs.filter(|one| *one.recipient != *reader && *one.origin != *reader).count() as u64;
        Page { room: self.id, messages, last_id: self.last_id, missed: dropped.saturating_sub(not_theirs) }
    }

    /// Returns the newest messages visible to `reader`, at most `count`, oldest first.
    pub(super) fn newest(&self, reader: &Person, count: usize) -> Vec<Arc<str>> {
        let visible = self.history.iter().rev().filter(|message| message.is_visible_to(reader));
        let mut newest: Vec<_> = visible.take(count).map(|message| Arc::clone(&message.wire)).collect();
        newest.reverse();
        newest
    }

    /// Returns the kept messages visible to `reader` whose timestamp is later than `stamp`, in milliseconds of local time.
    pub(super) fn later_than(&self, reader: &Person, stamp: i64) -> Vec<Arc<str>> {
        let first = self.history.partition_point(|message| message.stamp <= stamp);
        let visible = self.history.range(first..).filter(|message| message.is_visible_to(reader));
        visible.map(|message| Arc::clone(&message.wire)).collect()
    }
}
