//! The durable state: users, rooms and messages, as a deterministic machine. The same entries in the same order make the
//! same state, so it has no clock, no random numbers, no tickets, and no map whose order changes.
//!
//! [`State::check`] says whether an entry can be applied, [`State::apply`] applies it. "Name in use", "room exists" and the
//! numbers of messages are decided there and nowhere else. What is volatile is in [`super::core`].

mod image;
mod recent;

use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use super::Limits;
use super::entry::{Entry, Kept, Key, Message, PersonId, RoomId};
use super::name::{NameKey, UserName};
use super::refusal::Refusal;
use super::room::{DroppedUnicast, Page, Person, Room, StoredMessage};
use crate::stamp::Time;
use recent::Recent;

/// A message's header, that is all of it but the content, before it is written for the wire.
#[derive(Debug)]
pub struct Envelope<'a> {
    /// Its number in the room.
    pub id: u64,
    /// The sender.
    pub origin: &'a UserName,
    /// The one for whom alone it is; `None` for the whole room.
    pub recipient: Option<&'a UserName>,
    /// Its timestamp, in milliseconds of local time.
    pub stamp: i64,
    /// When it was sent.
    pub time: Time,
    /// Its idempotency key.
    pub key: Option<&'a Key>,
}

/// The functions that write messages for the wire, and read them again for a snapshot.
#[derive(Debug, Clone, Copy)]
pub struct WireForm {
    /// Writes a message with its content.
    pub write: fn(&Envelope<'_>, &str) -> Arc<str>,
    /// Reads the content and the key of what was written.
    #[allow(clippy::type_complexity, reason = "two parts of one text")]
    pub read: fn(&str) -> Option<(String, Option<Key>)>,
}

/// The changes that an entry has made, for those who wait for them.
#[derive(Debug, Default)]
pub struct Effects {
    /// Somebody left a room.
    pub left: Option<(RoomId, Arc<Person>)>,
    /// Somebody joined a room.
    pub joined: Option<(RoomId, Arc<Person>)>,
    /// There is a new message in a room.
    pub said: Option<RoomId>,
    /// A user is new.
    pub registered: Option<PersonId>,
    /// A user is no more.
    pub unregistered: Option<PersonId>,
    /// A room is on the list now, or has had to do with somebody.
    pub used: Option<RoomId>,
    /// A room has left the list.
    pub removed: Option<RoomId>,
}

#[derive(Debug, Clone)]
pub(super) struct User {
    pub(super) person: Arc<Person>,
    pub(super) room: Option<RoomId>,
    recent: Recent,
}

/// Users, rooms and messages.
#[derive(Debug, Clone)]
pub struct State {
    limits: Limits,
    form: WireForm,
    users: BTreeMap<PersonId, User>,
    names: BTreeMap<NameKey, PersonId>,
    /// All rooms, also those that have left the list and whose history is kept.
    rooms: BTreeMap<RoomId, Room>,
    room_names: BTreeMap<NameKey, RoomId>,
    /// The number of rooms that have left the list.
    removed_rooms: usize,
    history_bytes: usize,
    messages: u64,
    /// While a snapshot is read: who is no longer registered, and has sent or received messages.
    former: BTreeMap<PersonId, Arc<Person>>,
}

impl State {
    /// Returns a state without anybody in it.
    #[must_use]
    pub fn new(limits: Limits, form: WireForm) -> Self {
        Self {
            limits,
            form,
            users: BTreeMap::new(),
            names: BTreeMap::new(),
            rooms: BTreeMap::new(),
            room_names: BTreeMap::new(),
            removed_rooms: 0,
            history_bytes: 0,
            messages: 0,
            former: BTreeMap::new(),
        }
    }

    /// Returns the limits in force.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn users(&self) -> impl ExactSizeIterator<Item = (PersonId, &User)> {
        self.users.iter().map(|(id, user)| (*id, user))
    }

    /// Returns the rooms on the list.
    pub(super) fn rooms(&self) -> impl Iterator<Item = &Room> {
        self.rooms.values().filter(|room| room.removed.is_none())
    }

    /// Returns the rooms that have left the list, with the time until which their history is kept.
    pub(super) fn removed_rooms(&self) -> impl Iterator<Item = (RoomId, Time)> {
        self.rooms.values().filter_map(|room| Some((room.id, room.removed?)))
    }

    pub(super) fn listed_rooms(&self) -> usize {
        self.rooms.len() - self.removed_rooms
    }

    pub(super) fn history_bytes(&self) -> usize {
        self.history_bytes
    }

    /// Returns how many messages were sent.
    pub(super) fn messages(&self) -> u64 {
        self.messages
    }

    pub(super) fn user_named(&self, name: &NameKey) -> Result<&User, Refusal> {
        self.names.get(name).and_then(|id| self.users.get(id)).ok_or(Refusal::NoSuchUser)
    }

    pub(super) fn room_named(&self, name: &NameKey) -> Result<&Room, Refusal> {
        self.room(*self.room_names.get(name).ok_or(Refusal::NoSuchRoom)?)
    }

    fn user(&self, id: PersonId) -> Result<&User, Refusal> {
        self.users.get(&id).ok_or(Refusal::NoSuchUser)
    }

    /// Returns a room on the list.
    pub(super) fn room(&self, id: RoomId) -> Result<&Room, Refusal> {
        self.rooms.get(&id).filter(|room| room.removed.is_none()).ok_or(Refusal::NoSuchRoom)
    }

    /// Returns whether `reader` can read something past `after` in `room`.
    pub(super) fn has_page(&self, room: RoomId, reader: &Person, after: u64) -> bool {
        self.rooms.get(&room).is_some_and(|room| room.has_page(reader, after))
    }

    /// Returns what `reader` can read past `after` in `room`; nothing where that is gone.
    pub(super) fn page(&self, room: RoomId, reader: &Person, after: u64) -> Page {
        let nothing = || Page { room, messages: Vec::new(), last_id: after, missed: 0 };
        self.rooms.get(&room).map_or_else(nothing, |room| room.page(reader, after))
    }

    /// Returns whether what is past `after` in `room` looks the same for everybody.
    pub(super) fn is_common(&self, room: RoomId, after: u64) -> bool {
        self.rooms.get(&room).is_some_and(|room| room.is_common(after))
    }

    /// Returns the number of the next message in `room`.
    pub(super) fn next_id(&self, room: RoomId) -> u64 {
        self.rooms.get(&room).map_or(1, |room| room.last_id + 1)
    }

    /// Returns whether `user` has used `key` within their last messages.
    pub(super) fn has_used(user: &User, key: &Key) -> bool {
        user.recent.has(key)
    }

    /// Returns whether applying `entry` would change anything: a message that is sent again does not.
    ///
    /// # Errors
    /// If it cannot be applied to this state.
    pub fn check(&self, entry: &Entry) -> Result<bool, Refusal> {
        let limit = |what, count, value| if count < value { Ok(()) } else { Err(Refusal::Limit { what, value }) };
        match entry {
            Entry::Register { name, .. } => {
                if self.names.contains_key(name.key()) {
                    return Err(Refusal::NameInUse);
                }
                limit("registered users", self.users.len(), self.limits.users)?;
            }
            Entry::Unregister { person } => drop(self.user(*person)?),
            Entry::Create { name, .. } => {
                if self.room_named(name.key()).is_ok() {
                    return Err(Refusal::RoomExists);
                }
                limit("rooms", self.listed_rooms(), self.limits.rooms)?;
            }
            Entry::Join { person, room } => {
                let (user, room) = (self.user(*person)?, self.room(*room)?);
                if user.room == Some(room.id) {
                    return Ok(false);
                }
                limit("users in one room", room.members().len(), self.limits.room_users)?;
            }
            Entry::Leave { person } => drop(self.user(*person)?.room.ok_or(Refusal::NotInRoom)?),
            Entry::Send(message) => {
                let origin = self.user(message.origin)?;
                if message.key.as_ref().is_some_and(|key| origin.recent.has(key)) {
                    return Ok(false);
                }
                let room = self.room(message.room)?;
                if origin.room != Some(room.id) {
                    return Err(Refusal::NotInRoom);
                }
                if let Some(recipient) = message.recipient
                    && !self.user(recipient).is_ok_and(|recipient| recipient.room == Some(room.id))
                {
                    return Err(Refusal::NoSuchRecipient);
                }
            }
            Entry::Remove { room, .. } => {
                if self.room(*room)?.members().len() > 0 {
                    return Ok(false);
                }
            }
            Entry::Forget { room } => return Ok(self.rooms.get(room).is_some_and(|room| room.removed.is_some())),
            Entry::Kept(_) => {}
        }
        Ok(true)
    }

    /// Applies `entry`, if [`State::check`] says that it changes anything.
    ///
    /// # Errors
    /// If it cannot be applied; then nothing has changed.
    pub fn apply(&mut self, entry: Entry) -> Result<Effects, Refusal> {
        let mut effects = Effects::default();
        if !self.check(&entry)? {
            return Ok(effects);
        }
        match entry {
            Entry::Register { person: id, name, secret } => {
                let key = name.key().clone();
                let person = Arc::new(Person { id, name, secret });
                self.users.insert(id, User { person, room: None, recent: Recent::default() });
                self.names.insert(key, id);
                effects.registered = Some(id);
            }
            Entry::Unregister { person } => {
                effects.left = self.leave(person);
                if let Some(user) = self.users.remove(&person) {
                    self.names.remove(user.person.name.key());
                }
                effects.unregistered = Some(person);
            }
            Entry::Create { room: new, name } => {
                let id = match self.room_names.get(name.key()) {
                    Some(&kept) => kept,
                    None => {
                        self.room_names.insert(name.key().clone(), new);
                        self.rooms.insert(new, Room::new(new, name));
                        new
                    }
                };
                if let Some(room) = self.rooms.get_mut(&id)
                    && room.removed.take().is_some()
                {
                    self.removed_rooms -= 1;
                }
                effects.used = Some(id);
            }
            Entry::Join { person: id, room: room_id } => {
                effects.left = self.leave(id);
                if let (Some(user), Some(room)) = (self.users.get_mut(&id), self.rooms.get_mut(&room_id)) {
                    user.room = Some(room_id);
                    room.enter(Arc::clone(&user.person));
                    effects.joined = Some((room_id, Arc::clone(&user.person)));
                }
            }
            Entry::Leave { person } => effects.left = self.leave(person),
            Entry::Send(message) => {
                effects.said = Some(message.room);
                if let Some(user) = self.users.get_mut(&message.origin) {
                    user.recent.note(message.key.as_ref());
                }
                let (next, stamp) = self
                    .rooms
                    .get(&message.room)
                    .map_or((1, 0), |room| (room.last_id + 1, room.next_stamp(message.time)));
                // The next number, unless a record before this one was lost.
                let id = message.id.unwrap_or(next).max(next);
                self.messages += 1;
                self.keep(message, id, stamp);
            }
            Entry::Remove { room, keep_until } => {
                self.remove(room, keep_until);
                effects.removed = Some(room);
            }
            Entry::Forget { room } => self.forget(room),
            Entry::Kept(kept) => self.restore(kept),
        }
        Ok(effects)
    }

    /// Takes a user out of their room, if they are in one.
    fn leave(&mut self, person: PersonId) -> Option<(RoomId, Arc<Person>)> {
        let user = self.users.get_mut(&person)?;
        let room = user.room.take()?;
        if let Some(room) = self.rooms.get_mut(&room) {
            room.leave(user.person.name.key());
        }
        Some((room, Arc::clone(&user.person)))
    }

    /// Returns somebody who is registered, or of whom a snapshot has told.
    fn person(&self, id: PersonId) -> Option<Arc<Person>> {
        self.users.get(&id).map(|user| &user.person).or_else(|| self.former.get(&id)).map(Arc::clone)
    }

    /// Keeps a message in its room. One whose sender or recipient is unknown, because a damaged record was lost, is not
    /// kept: nobody can tell whose it is.
    fn keep(&mut self, message: Message, id: u64, stamp: i64) {
        let Some(origin) = self.person(message.origin) else { return };
        let recipient = match message.recipient {
            Some(id) => match self.person(id) {
                Some(person) => Some(person),
                None => return,
            },
            None => None,
        };
        let Some(room) = self.rooms.get_mut(&message.room) else { return };
        let Message { time, key, content, .. } = message;
        let envelope = Envelope {
            id,
            origin: &origin.name,
            recipient: recipient.as_ref().map(|person| &person.name),
            stamp,
            time,
            key: key.as_ref(),
        };
        let wire = (self.form.write)(&envelope, &content);
        let before = room.bytes();
        room.keep(StoredMessage { id, stamp, time, origin, recipient, wire }, &self.limits);
        self.history_bytes = self.history_bytes + room.bytes() - before;
        self.free_memory();
    }

    /// Drops the oldest messages of the largest histories where all histories together are too large, and some more, so
    /// that not every message has to look for them again.
    fn free_memory(&mut self) {
        let limit = self.limits.memory;
        if self.history_bytes <= limit {
            return;
        }
        let enough = limit - limit / 16;
        let mut largest: BinaryHeap<_> = self.rooms.values().map(|room| (room.bytes(), room.id)).collect();
        while self.history_bytes > enough {
            let Some((_, id)) = largest.pop() else { return };
            let Some(room) = self.rooms.get_mut(&id) else { continue };
            let next = largest.peek().map_or(0, |(bytes, _)| *bytes);
            while self.history_bytes > enough && room.bytes() > 0 && room.bytes() >= next {
                self.history_bytes -= room.drop_oldest(&self.limits);
            }
            largest.push((room.bytes(), id));
        }
    }

    /// Takes an empty room from the list. Its history is kept where it has one and is to be kept.
    fn remove(&mut self, id: RoomId, keep_until: Option<Time>) {
        let Some(room) = self.rooms.get_mut(&id) else { return };
        room.removed = Some(keep_until.unwrap_or(Time { utc: i64::MIN, ahead: 0 }));
        self.removed_rooms += 1;
        if keep_until.is_none() || room.last_id == 0 {
            return self.forget(id);
        }
        // As many are kept as there may be on the list; the one that would go first anyway gives way.
        if self.removed_rooms > self.limits.rooms
            && let Some((_, first)) = self.removed_rooms().map(|(id, until)| (until, id)).min()
        {
            self.forget(first);
        }
    }

    /// Forgets a room that has left the list.
    fn forget(&mut self, id: RoomId) {
        let Some(room) = self.rooms.remove(&id) else { return };
        self.room_names.remove(room.name.key());
        self.removed_rooms -= 1;
        self.history_bytes -= room.bytes();
    }

    /// Applies a part of a snapshot.
    fn restore(&mut self, kept: Kept) {
        match kept {
            Kept::Person { person: id, name, secret } => {
                self.former.insert(id, Arc::new(Person { id, name, secret }));
            }
            Kept::Room { room: id, name, last_id, last_stamp, removed } => {
                self.room_names.insert(name.key().clone(), id);
                self.removed_rooms += usize::from(removed.is_some());
                let mut room = Room::new(id, name);
                (room.last_id, room.last_stamp, room.removed) = (last_id, last_stamp, removed);
                self.rooms.insert(id, room);
            }
            Kept::Message(message, stamp) => {
                let id = message.id.unwrap_or_default();
                self.keep(message, id, stamp);
            }
            Kept::DroppedUnicast { room, id, origin, recipient } => {
                let people = (self.person(origin), self.person(recipient));
                if let (Some(origin), Some(recipient)) = people
                    && let Some(room) = self.rooms.get_mut(&room)
                {
                    room.note_dropped(DroppedUnicast { id, origin, recipient }, &self.limits);
                }
            }
            Kept::Recent { person, sent, keys } => {
                if let Some(user) = self.users.get_mut(&person) {
                    user.recent = Recent::restored(sent, keys);
                }
            }
            Kept::Counts { messages } => self.messages = messages,
            Kept::End => self.former.clear(),
        }
    }
}
