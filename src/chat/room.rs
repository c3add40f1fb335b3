//! A room: who is there, what was said, and who waits for more.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{NaiveDateTime, TimeDelta};

use super::Limits;
use super::name::{NameKey, RoomName, UserName};
use crate::secret::Digest;

/// Messages that `join_room` answers at most.
pub const JOIN_MESSAGES: usize = 50;

/// Who a name stands for: whoever shows this secret, or anybody where there is none. What was private to one person stays
/// so when the name has passed to another.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) name: UserName,
    pub(super) secret: Option<Digest>,
}

/// A message as it is kept: what decides who sees it, and the text that goes over the wire, made once.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) stamp: NaiveDateTime,
    pub(super) origin: Arc<Person>,
    /// `None` for a broadcast.
    pub(super) recipient: Option<Arc<Person>>,
    pub(super) wire: Arc<str>,
    /// The order of messages over all rooms.
    pub(super) serial: u64,
}

impl Message {
    fn is_seen_by(&self, reader: Option<&Arc<Person>>) -> bool {
        let is_theirs = |recipient| reader.is_some_and(|reader| reader == recipient || *reader == self.origin);
        self.recipient.as_ref().is_none_or(is_theirs)
    }
}

/// A unicast that is no longer kept; it must not count as missed by those who could not see it.
#[derive(Debug)]
struct DroppedUnicast {
    id: u64,
    origin: Arc<Person>,
    recipient: Arc<Person>,
}

/// What a user can read from a cursor on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// The messages, written as they go over the wire.
    pub messages: Vec<Arc<str>>,
    /// The next cursor.
    pub last_id: u64,
    /// Messages that were dropped before this user could read them.
    pub missed: u64,
}

/// Somebody who waits for messages.
#[derive(Debug)]
pub(super) struct Waiter<T> {
    pub(super) after: u64,
    pub(super) deadline: (Instant, u64),
    pub(super) address: Option<IpAddr>,
    pub(super) ticket: T,
}

#[derive(Debug)]
pub(super) struct Room<T> {
    pub(super) name: RoomName,
    /// Sorted by the key. A tree would take 9 KB of the program, and this is no slower for as many as a room holds.
    members: Vec<(NameKey, Arc<Person>)>,
    pub(super) waiting: HashMap<NameKey, Waiter<T>>,
    pub(super) last_interaction: Instant,
    /// When those who wait were last answered, for messages that follow each other closely.
    pub(super) last_delivery: Option<Instant>,
    /// Whether there is something to deliver.
    pub(super) is_due: bool,
    history: VecDeque<Message>,
    history_bytes: usize,
    last_id: u64,
    /// The messages whose senders have no answer yet, in order.
    unanswered: Vec<u64>,
    last_stamp: NaiveDateTime,
    dropped_unicasts: VecDeque<DroppedUnicast>,
}

impl<T> Room<T> {
    pub(super) fn new(name: RoomName, now: Instant) -> Self {
        Self {
            name,
            members: Vec::new(),
            waiting: HashMap::new(),
            last_interaction: now,
            last_delivery: None,
            is_due: false,
            history: VecDeque::new(),
            history_bytes: 0,
            last_id: 0,
            unanswered: Vec::new(),
            last_stamp: NaiveDateTime::MIN,
            dropped_unicasts: VecDeque::new(),
        }
    }

    fn place(&self, user: &NameKey) -> Result<usize, usize> {
        self.members.binary_search_by(|(key, _)| key.cmp(user))
    }

    pub(super) fn member(&self, user: &NameKey) -> Option<&Arc<Person>> {
        self.place(user).ok().map(|place| &self.members[place].1)
    }

    /// Everybody who is there, sorted.
    pub(super) fn members(&self) -> impl ExactSizeIterator<Item = &UserName> {
        self.members.iter().map(|(_, person)| &person.name)
    }

    pub(super) fn enter(&mut self, user: &NameKey, person: Arc<Person>) {
        match self.place(user) {
            Ok(place) => self.members[place].1 = person,
            Err(place) => self.members.insert(place, (user.clone(), person)),
        }
    }

    pub(super) fn leave(&mut self, user: &NameKey) {
        if let Ok(place) = self.place(user) {
            self.members.remove(place);
        }
    }

    pub(super) fn last_id(&self) -> u64 {
        self.last_id
    }

    pub(super) fn bytes(&self) -> usize {
        self.history_bytes
    }

    /// The id and the time stamp of the next message. Stamps have milliseconds and strictly increase, whatever the wall
    /// clock does.
    pub(super) fn next(&self, wall: NaiveDateTime) -> (u64, NaiveDateTime) {
        let stamp = if wall > self.last_stamp { wall } else { self.last_stamp + TimeDelta::milliseconds(1) };
        (self.last_id + 1, stamp)
    }

    /// Keeps `message` and drops what is then too old. Its sender has no answer yet.
    pub(super) fn keep(&mut self, message: Message, limits: &Limits) {
        self.last_id += 1;
        self.unanswered.push(self.last_id);
        self.last_stamp = message.stamp;
        self.history_bytes += message.wire.len();
        self.history.push_back(message);
        while self.history.len() > limits.history_messages || self.history_bytes > limits.history_bytes {
            self.drop_oldest(limits);
        }
    }

    /// The sender of message `id` has their answer.
    pub(super) fn answered(&mut self, id: u64) {
        self.unanswered.retain(|unanswered| *unanswered != id);
    }

    /// The last message that is shown: with `all` the last that there is, else the last before those whose senders have no
    /// answer yet.
    pub(super) fn last_shown(&self, all: bool) -> u64 {
        match self.unanswered.first() {
            Some(first) if !all => first - 1,
            _ => self.last_id,
        }
    }

    /// Drops the oldest message; answers the bytes that this frees.
    pub(super) fn drop_oldest(&mut self, limits: &Limits) -> usize {
        let id = self.first_id();
        let Some(message) = self.history.pop_front() else { return 0 };
        let freed = message.wire.len();
        self.history_bytes -= freed;
        if let Some(recipient) = message.recipient {
            self.dropped_unicasts.push_back(DroppedUnicast { id, origin: message.origin, recipient });
            // A cursor older than this counts unicasts of others as missed.
            if self.dropped_unicasts.len() > limits.history_messages {
                self.dropped_unicasts.pop_front();
            }
        }
        freed
    }

    /// The order of the oldest message over all rooms.
    pub(super) fn oldest_serial(&self) -> Option<u64> {
        self.history.front().map(|message| message.serial)
    }

    /// The id of the oldest message that is kept, or of the next one.
    fn first_id(&self) -> u64 {
        self.last_id + 1 - self.history.len() as u64
    }

    /// The kept messages past the cursor `after`, up to the id `until`.
    fn past(&self, after: u64, until: u64) -> impl DoubleEndedIterator<Item = &Message> {
        // At most the length of the history, so it fits.
        let place = |id: u64| id.saturating_sub(self.first_id() - 1).min(self.history.len() as u64) as usize;
        self.history.range(place(after).min(place(until))..place(until))
    }

    /// Whether there is a message past `after`, up to the id `until`, that `user` may see.
    pub(super) fn has_news(&self, user: &NameKey, after: u64, until: u64) -> bool {
        let reader = self.member(user);
        self.past(self.cursor(after), until).any(|message| message.is_seen_by(reader))
    }

    /// A cursor beyond the last message is of an earlier room of this name: it starts again from the first.
    fn cursor(&self, after: u64) -> u64 {
        if after > self.last_id { 0 } else { after }
    }

    /// Whether what is past `after`, up to the id `until`, looks the same for everybody.
    pub(super) fn is_common(&self, after: u64, until: u64) -> bool {
        let after = self.cursor(after);
        self.past(after, until).all(|message| message.recipient.is_none())
            && self.dropped_unicasts.back().is_none_or(|dropped| dropped.id <= after)
    }

    /// What `user` can read past `after`, up to the id `until`.
    pub(super) fn news(&self, user: &NameKey, after: u64, until: u64) -> News {
        let after = self.cursor(after);
        let reader = self.member(user);
        let messages = self
            .past(after, until)
            .filter(|message| message.is_seen_by(reader))
            .map(|message| Arc::clone(&message.wire));
        let gone = (self.first_id() - 1).saturating_sub(after);
        let not_theirs = self.dropped_unicasts.iter().rev().take_while(|dropped| dropped.id > after);
        let not_theirs = not_theirs
            .filter(|dropped| ![&dropped.recipient, &dropped.origin].iter().any(|one| Some(*one) == reader))
            .count() as u64;
        // A cursor never goes back: what is past `until` can have been read already, and what is dropped is behind it.
        let last_id = until.max(after).max(self.first_id() - 1);
        News { messages: messages.collect(), last_id, missed: gone - not_theirs.min(gone) }
    }

    /// The newest messages that `user` may see, at most `count`, oldest first.
    pub(super) fn newest(&self, user: &NameKey, count: usize) -> Vec<Arc<str>> {
        let reader = self.member(user);
        let seen = self.history.iter().rev().filter(|message| message.is_seen_by(reader));
        let mut newest: Vec<_> = seen.take(count).map(|message| Arc::clone(&message.wire)).collect();
        newest.reverse();
        newest
    }

    /// The kept messages later than `stamp` that `user` may see.
    pub(super) fn later_than(&self, user: &NameKey, stamp: NaiveDateTime) -> Vec<Arc<str>> {
        let reader = self.member(user);
        let first = self.history.partition_point(|message| message.stamp <= stamp);
        self.history
            .range(first..)
            .filter(|message| message.is_seen_by(reader))
            .map(|message| Arc::clone(&message.wire))
            .collect()
    }

    /// Whether the janitor may remove it.
    pub(super) fn is_idle(&self, idle: Duration, now: Instant) -> bool {
        self.members.is_empty() && now.saturating_duration_since(self.last_interaction) >= idle
    }
}
