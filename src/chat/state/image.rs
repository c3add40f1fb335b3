//! A state as entries from which it can be made again.

use std::collections::BTreeMap;

use super::super::entry::{Entry, Kept, MessageEntry};
use super::super::room::{Person, Room, StoredMessage};
use super::State;

impl State {
    /// Hands the entries to `take` from which this state can be made again, in their order, until it fails.
    ///
    /// # Errors
    /// The error of `take`.
    pub fn image<E>(&self, mut take: impl FnMut(Entry) -> Result<(), E>) -> Result<(), E> {
        take(Entry::Kept(Kept::Counts { messages: self.messages }))?;
        for user in self.users.values() {
            let Person { id, name, secret } = &*user.person;
            take(Entry::Register { person: *id, name: name.clone(), secret: secret.clone() })?;
        }
        for (id, person) in self.former_people() {
            let (name, secret) = (person.name.clone(), person.secret.clone());
            take(Entry::Kept(Kept::Person { person: id, name, secret }))?;
        }
        for room in self.rooms.values() {
            let Room { id, name, last_id, last_stamp, removed, .. } = room;
            let (name, last_id, last_stamp) = (name.clone(), *last_id, *last_stamp);
            take(Entry::Kept(Kept::Room { room: *id, name, last_id, last_stamp, removed: *removed }))?;
        }
        for (id, user) in &self.users {
            if let Some(room) = user.room {
                take(Entry::Join(*id, room))?;
            }
            if let Some((sent, keys)) = user.recent.parts() {
                take(Entry::Kept(Kept::Recent { person: *id, sent, keys }))?;
            }
        }
        for room in self.rooms.values() {
            for dropped in room.dropped_unicasts() {
                let (origin, recipient) = (dropped.origin.id, dropped.recipient.id);
                take(Entry::Kept(Kept::DroppedUnicast { room: room.id, id: dropped.id, origin, recipient }))?;
            }
            for message in room.history() {
                // What was written here can be read.
                let Some((content, key)) = (self.form.read)(&message.wire) else { continue };
                let StoredMessage { id, stamp, time, origin, recipient, .. } = message;
                let recipient = recipient.as_ref().map(|person| person.id);
                let (id, origin) = (Some(*id), origin.id);
                let message = MessageEntry { room: room.id, id, origin, recipient, key, time: *time, content };
                take(Entry::Kept(Kept::Message(message, *stamp)))?;
            }
        }
        take(Entry::Kept(Kept::End))
    }

    /// Returns the people who are no longer registered and of whom messages are kept.
    fn former_people(&self) -> BTreeMap<super::PersonId, &Person> {
        let messages = self.rooms.values().flat_map(Room::history);
        let of_messages = messages.flat_map(|message| [Some(&message.origin), message.recipient.as_ref()]);
        let dropped = self.rooms.values().flat_map(Room::dropped_unicasts);
        let of_dropped = dropped.flat_map(|dropped| [Some(&dropped.origin), Some(&dropped.recipient)]);
        let people = of_messages.chain(of_dropped).flatten().map(|person| (person.id, &**person));
        people.filter(|(id, _)| !self.users.contains_key(id)).collect()
    }
}
