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
        let members = self.users.iter().filter_map(|(person, user)| Some(Entry::Join(*person, user.room?)));
        let recent = self.users.iter().filter_map(|(&person, user)| {
            let (sent, keys) = user.recent.parts()?;
            Some(Entry::Kept(Kept::Recent { person, sent, keys }))
        });
        let dropped =
            self.rooms.values().flat_map(|room| room.dropped_unicasts.iter().map(|dropped| (room.id, dropped)));
        let dropped = dropped.map(|(room, DroppedUnicast { id, origin, recipient })| {
            Entry::Kept(Kept::DroppedUnicast { room, id: *id, origin: origin.id, recipient: recipient.id })
        });
        let messages = self.rooms.values().flat_map(|room| room.history.iter().map(move |message| (room, message)));
        let messages = messages.filter_map(|(room, message)| self.kept(room, message));
        let counts = Entry::Kept(Kept::Counts { messages: self.messages });
        let people = iter::once(counts).chain(users).chain(former).chain(rooms).chain(members).chain(recent);
        people.chain(dropped).chain(messages).chain([Entry::Kept(Kept::End)])
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
