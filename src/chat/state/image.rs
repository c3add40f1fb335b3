//! A state as entries from which it can be made again.

use std::collections::BTreeMap;
use std::iter;

use super::super::entry::{Entry, Kept, MessageEntry, PersonId};
use super::super::room::{DroppedUnicast, Person, Room, StoredMessage};
use super::State;

impl State {
    /// Returns the entries from which this state can be made again, in their order.
    pub fn image(&self) -> impl Iterator<Item = Entry> {
        let users = self.users.values().map(|user| {
            let Person { id, name, secret } = &*user.person;
            Entry::Register { person: *id, name: name.clone(), secret: secret.clone() }
        });
        let former = self.former_people().into_values().map(|person| {
            let Person { id, name, secret } = person;
            Entry::Kept(Kept::Person { person: *id, name: name.clone(), secret: secret.clone() })
        });
        let rooms = self.rooms.values().map(|room| {
            let Room { id, name, last_id, last_stamp, removed, .. } = room;
            let (name, last_id, last_stamp) = (name.clone(), *last_id, *last_stamp);
            Entry::Kept(Kept::Room { room: *id, name, last_id, last_stamp, removed: *removed })
        });
        let members = self.users.iter().flat_map(|(&person, user)| {
            let recent = user.recent.parts();
            let recent = recent.map(|(sent, keys)| Entry::Kept(Kept::Recent { person, sent, keys }));
            user.room.map(|room| Entry::Join(person, room)).into_iter().chain(recent)
        });
        let messages = self.rooms.values().flat_map(|room| {
            let dropped = room.dropped_unicasts.iter().map(|dropped| {
                let DroppedUnicast { id, origin, recipient } = dropped;
                Entry::Kept(Kept::DroppedUnicast { room: room.id, id: *id, origin: origin.id, recipient: recipient.id })
            });
            dropped.chain(room.history.iter().filter_map(|message| self.kept(room, message)))
        });
        let counts = Entry::Kept(Kept::Counts { messages: self.messages });
        let entries = iter::once(counts).chain(users).chain(former).chain(rooms).chain(members).chain(messages);
        entries.chain([Entry::Kept(Kept::End)])
    }

    /// Returns the entry of a message that is kept; `None` if what was written for the wire cannot be read, which does not
    /// happen.
    fn kept(&self, room: &Room, message: &StoredMessage) -> Option<Entry> {
        let (content, key) = (self.form.read)(&message.wire)?;
        let StoredMessage { id, stamp, time, origin, recipient, .. } = message;
        let (id, recipient) = (Some(*id), recipient.as_ref().map(|person| person.id));
        let message = MessageEntry { room: room.id, id, origin: origin.id, recipient, key, time: *time, content };
        Some(Entry::Kept(Kept::Message(message, *stamp)))
    }

    /// Returns the people who are no longer registered and of whom messages are kept.
    fn former_people(&self) -> BTreeMap<PersonId, &Person> {
        let messages = self.rooms.values().flat_map(|room| &room.history);
        let of_messages = messages.flat_map(|message| [Some(&message.origin), message.recipient.as_ref()]);
        let dropped = self.rooms.values().flat_map(|room| &room.dropped_unicasts);
        let of_dropped = dropped.flat_map(|dropped| [Some(&dropped.origin), Some(&dropped.recipient)]);
        let people = of_messages.chain(of_dropped).flatten().map(|person| (person.id, &**person));
        people.filter(|(id, _)| !self.users.contains_key(id)).collect()
    }
}
