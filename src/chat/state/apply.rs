//! Applying entries: the one way in which the state changes.

use std::collections::BinaryHeap;
use std::sync::Arc;

use super::super::entry::{Entry, Kept, MessageEntry, PersonId, RoomId};
use super::super::name::RoomName;
use super::super::refusal::Refusal;
use super::super::room::{DroppedUnicast, Person, Room, StoredMessage};
use super::recent::Recent;
use super::{Effects, State, User};
use crate::stamp::Time;

impl State {
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
            Entry::Register { person, name, secret } => {
                self.register(Person { id: person, name, secret });
                effects.registered = Some(person);
            }
            Entry::Unregister(person) => {
                effects.left = self.leave(person);
                self.unregister(person);
                effects.unregistered = Some(person);
            }
            Entry::Create(room, name) => effects.used = Some(self.create(room, name)),
            Entry::Join(person, room) => {
                effects.left = self.leave(person);
                effects.joined = self.join(person, room);
            }
            Entry::Leave(person) => effects.left = self.leave(person),
            Entry::Send(message) => {
                effects.said = Some((message.room, self.next_id(message.room) - 1));
                self.send(message);
            }
            Entry::Remove { room, keep_until } => {
                self.remove(room, keep_until);
                effects.removed = Some(room);
            }
            Entry::Forget(room) => self.forget(room),
            Entry::Kept(kept) => self.restore(kept),
        }
        Ok(effects)
    }

    fn register(&mut self, person: Person) {
        self.names.insert(person.name.key().clone(), person.id);
        self.users.insert(person.id, User { person: Arc::new(person), room: None, recent: Recent::default() });
    }

    fn unregister(&mut self, person: PersonId) {
        if let Some(user) = self.users.remove(&person) {
            self.names.remove(user.person.name.key());
        }
    }

    /// Puts a room on the list: `new`, or one of this name that was removed and whose history is kept. Returns its id.
    fn create(&mut self, new: RoomId, name: RoomName) -> RoomId {
        let Some(&kept) = self.room_names.get(name.key()) else {
            self.room_names.insert(name.key().clone(), new);
            self.rooms.insert(new, Room::new(new, name));
            return new;
        };
        if let Some(room) = self.rooms.get_mut(&kept)
            && room.removed.take().is_some()
        {
            self.removed_rooms -= 1;
        }
        kept
    }

    fn join(&mut self, person: PersonId, id: RoomId) -> Option<(RoomId, Arc<Person>)> {
        let (user, room) = (self.users.get_mut(&person)?, self.rooms.get_mut(&id)?);
        user.room = Some(id);
        room.enter(Arc::clone(&user.person));
        Some((id, Arc::clone(&user.person)))
    }

    fn send(&mut self, message: MessageEntry) {
        if let Some(user) = self.users.get_mut(&message.origin) {
            user.recent.note(message.key.as_ref());
        }
        let room = self.rooms.get(&message.room);
        let (next, stamp) = room.map_or((1, 0), |room| (room.last_id + 1, room.next_stamp(message.time)));
        // The next number, unless a record before this one was lost.
        let id = message.id.unwrap_or(next).max(next);
        self.messages += 1;
        self.keep(message, id, stamp);
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
    fn keep(&mut self, message: MessageEntry, id: u64, stamp: i64) {
        let Some(origin) = self.person(message.origin) else { return };
        let recipient = match message.recipient {
            Some(id) => match self.person(id) {
                Some(person) => Some(person),
                None => return,
            },
            None => None,
        };
        let Some(room) = self.rooms.get_mut(&message.room) else { return };
        let MessageEntry { time, key, content, .. } = message;
        let mut message = StoredMessage { id, stamp, time, origin, recipient, wire: Arc::default() };
        message.wire = (self.form.write)(&message, key.as_ref(), &content);
        let before = room.history_bytes;
        room.keep(message, &self.limits);
        self.history_bytes = self.history_bytes + room.history_bytes - before;
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
        let mut largest: BinaryHeap<_> = self.rooms.values().map(|room| (room.history_bytes, room.id)).collect();
        while self.history_bytes > enough {
            let Some((_, id)) = largest.pop() else { return };
            let Some(room) = self.rooms.get_mut(&id) else { continue };
            let next = largest.peek().map_or(0, |(bytes, _)| *bytes);
            while self.history_bytes > enough && room.history_bytes > 0 && room.history_bytes >= next {
                self.history_bytes -= room.drop_oldest(&self.limits);
            }
            largest.push((room.history_bytes, id));
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
        self.history_bytes -= room.history_bytes;
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
