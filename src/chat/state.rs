//! The durable state: users, rooms and messages, as a deterministic machine. The same entries in the same order make the
//! same state, so it has no clock, no random numbers, no tickets, and no map whose order changes.
//!
//! [`State::check`] says whether an entry can be applied, [`State::apply`] applies it. "Name in use", "room exists" and the
//! numbers of messages are decided there and nowhere else. What is volatile is in [`super::core`].

mod apply;
mod image;
mod recent;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Limits;
use super::entry::{Entry, IdempotencyKey, PersonId, RoomId};
use super::name::NameKey;
use super::refusal::Refusal;
use super::room::{Person, Room, StoredMessage};
use crate::stamp::Time;
use recent::Recent;

/// The functions that write messages for the wire, and read them again for a snapshot.
#[derive(Debug, Clone, Copy)]
pub struct WireForm {
    /// Writes a message, of which everything is known but what is written, with its key and its content.
    pub write: fn(&StoredMessage, Option<&IdempotencyKey>, &str) -> Arc<str>,
    /// Reads the content and the key of what was written.
    #[allow(clippy::type_complexity, reason = "two parts of one text")]
    pub read: fn(&str) -> Option<(String, Option<IdempotencyKey>)>,
}

/// The changes that an entry has made, for those who wait for them.
#[derive(Debug, Default)]
pub struct Effects {
    /// Somebody left a room.
    pub left: Option<(RoomId, Arc<Person>)>,
    /// Somebody joined a room.
    pub joined: Option<(RoomId, Arc<Person>)>,
    /// There is a new message in a room, past this number.
    pub said: Option<(RoomId, u64)>,
    /// A user was registered.
    pub registered: Option<PersonId>,
    /// A user was unregistered.
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

impl User {
    /// Returns whether they have used `key` within their last messages.
    pub(super) fn has_used(&self, key: &IdempotencyKey) -> bool {
        self.recent.has(key)
    }
}

/// Users, rooms and messages.
#[derive(Debug, Clone)]
pub struct State {
    pub(super) limits: Limits,
    form: WireForm,
    users: BTreeMap<PersonId, User>,
    names: BTreeMap<NameKey, PersonId>,
    /// All rooms, also those that have left the list and whose history is kept.
    rooms: BTreeMap<RoomId, Room>,
    room_names: BTreeMap<NameKey, RoomId>,
    /// The number of rooms that have left the list.
    removed_rooms: usize,
    pub(super) history_bytes: usize,
    /// Messages sent.
    pub(super) messages: u64,
    /// While a snapshot is read: the people in it who have sent or received messages and are no longer registered.
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

    /// Returns the number of the next message in `room`.
    pub(super) fn next_id(&self, room: RoomId) -> u64 {
        self.rooms.get(&room).map_or(1, |room| room.last_id + 1)
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
            Entry::Unregister(person) => drop(self.user(*person)?),
            Entry::Create(_, name) => {
                if self.room_named(name.key()).is_ok() {
                    return Err(Refusal::RoomExists);
                }
                limit("rooms", self.listed_rooms(), self.limits.rooms)?;
            }
            Entry::Join(person, room) => {
                let (user, room) = (self.user(*person)?, self.room(*room)?);
                if user.room == Some(room.id) {
                    return Ok(false);
                }
                limit("users in one room", room.members().len(), self.limits.room_users)?;
            }
            Entry::Leave(person) => drop(self.user(*person)?.room.ok_or(Refusal::NotInRoom)?),
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
            Entry::Forget(room) => return Ok(self.rooms.get(room).is_some_and(|room| room.removed.is_some())),
            Entry::Kept(_) => {}
        }
        Ok(true)
    }
}
