//! Event streams: the events of a room, their readers, and the bounds of both. The connections are the HTTP server's.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::{CallContext, Core};
use super::entry::{PersonId, RoomId};
use super::name::{RoomName, UserName};
use super::refusal::Refusal;
use super::room::Page;
use super::state::{Effects, State};
use super::tally::Tally;
use super::waits::Ticket;
use super::wire;
use crate::network::subscriber;
use crate::rpc::{Audience, write};

/// The most streams of one user at a time.
pub const MAX_USER_STREAMS: usize = 4;
/// A user whose last stream has ended is unregistered after this time without a call.
pub const STREAM_GRACE: Duration = Duration::from_secs(30);

/// The bytes with which a stream begins, beside messages: about as many without members of the room, and for each of them.
const FIRST_BYTES: usize = 1024;
const MEMBER_BYTES: usize = 64;

/// A place in a life of a room, as `ROOM_ID:ID`.
#[derive(Debug, PartialEq, Eq)]
pub struct Position {
    room: String,
    pub(super) id: u64,
}

impl Position {
    /// Reads `text`; `None` if it is not of this form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (room, id) = text.rsplit_once(':')?;
        let is_number = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
        let id = is_number.then_some(id)?.parse().ok()?;
        Some(Self { room: room.to_owned(), id })
    }
}

/// One open stream, as far as it has to be given back at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reader {
    /// The room that it is of.
    pub room: RoomId,
    /// The user.
    pub person: PersonId,
    address: Option<IpAddr>,
}

/// An event on its way to readers in a room.
#[derive(Debug)]
pub struct RoomEvent {
    /// The room.
    pub room: RoomId,
    /// The readers who get it, by the number of [`PersonId`].
    pub to: Audience,
    /// Its text.
    pub text: Arc<[u8]>,
    /// If it ends the streams that get it.
    pub is_last: bool,
}

/// The open streams.
#[derive(Debug)]
pub(super) struct Readers {
    /// Streams at a time from one address; 0 is no limit.
    per_address: usize,
    count: usize,
    rooms: Tally<RoomId>,
    people: Tally<PersonId>,
    addresses: Tally<IpAddr>,
}

impl Readers {
    pub(super) fn new(per_address: usize) -> Self {
        Self { per_address, count: 0, rooms: Tally::new(), people: Tally::new(), addresses: Tally::new() }
    }

    /// Returns the number of open streams.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Returns whether a stream of this user is open.
    pub(super) fn has(&self, person: PersonId) -> bool {
        self.people.of(&person) > 0
    }

    fn open(&mut self, reader: Reader) -> Result<(), Refusal> {
        if self.people.of(&reader.person) >= MAX_USER_STREAMS {
            return Err(Refusal::Limit { what: "streams of one user", value: MAX_USER_STREAMS });
        }
        if let Some(address) = reader.address {
            if self.per_address > 0 && self.addresses.of(&address) >= self.per_address {
                return Err(Refusal::Limit { what: "streams from one address", value: self.per_address });
            }
            self.addresses.add(address);
        }
        self.people.add(reader.person);
        self.rooms.add(reader.room);
        self.count += 1;
        Ok(())
    }

    /// Forgets a stream.
    fn close(&mut self, reader: Reader) {
        self.count -= 1;
        self.rooms.remove(&reader.room);
        self.people.remove(&reader.person);
        if let Some(address) = &reader.address {
            self.addresses.remove(address);
        }
    }

    /// Returns the events of what an entry has changed, in the order in which readers get them.
    pub(super) fn events(&self, state: &State, effects: &Effects) -> Vec<RoomEvent> {
        let mut events = Vec::new();
        if let Some((room, person)) = effects.left.as_ref().filter(|(room, _)| self.rooms.of(room) > 0) {
            let reason = if effects.unregistered.is_some() {
                "the user was unregistered"
            } else if effects.joined.is_some() {
                "the user joined another room"
            } else {
                "the user left the room"
            };
            let (room, id) = (*room, person.id.0);
            let text = text_event("left", person.name.as_str());
            events.push(RoomEvent { room, to: Audience::Except(id), text, is_last: false });
            events.push(RoomEvent { room, to: Audience::Only(id, id), text: end(reason), is_last: true });
        }
        if let Some((room, person)) = effects.joined.as_ref().filter(|(room, _)| self.rooms.of(room) > 0) {
            let text = text_event("joined", person.name.as_str());
            events.push(RoomEvent { room: *room, to: Audience::Except(person.id.0), text, is_last: false });
        }
        if let Some((id, after)) = effects.said.filter(|(room, _)| self.rooms.of(room) > 0)
            && let Ok(room) = state.room(id)
        {
            for message in room.past(after) {
                let to = match &message.recipient {
                    None => Audience::All,
                    Some(recipient) => Audience::Only(message.origin.id.0, recipient.id.0),
                };
                let mut text = String::with_capacity(message.wire.len() + 64);
                event(&mut text, "message", Some((id, message.id)), &message.wire);
                events.push(RoomEvent { room: id, to, text: text.into_bytes().into(), is_last: false });
            }
        }
        events
    }
}

impl<T: Ticket> Core<T> {
    /// Opens a stream. Returns it with the events that come first: the room as it is, and the messages past the position.
    ///
    /// # Errors
    /// If the user is not there, the call may not act as them, or there are too many streams.
    pub fn open_stream(
        &mut self,
        room: &RoomName,
        after: Option<&Position>,
        by: CallContext<'_>,
    ) -> Result<(Reader, String), Refusal> {
        let (person, room) = self.member(room, by)?;
        let (id, last_id) = (room.id, room.last_id);
        let reader = Reader { room: id, person: person.id, address: by.address.map(subscriber) };
        self.readers.open(reader)?;
        let room = self.state().room(id)?;
        let after = match after {
            None => last_id,
            Some(position) if position.room == id.to_string() => position.id.min(last_id),
            // A position in another life of the room is before everything in this one.
            Some(_) => 0,
        };
        // In one piece of about the right size, for it may be large and is gone soon.
        let mut first = String::with_capacity(FIRST_BYTES + room.members().len() * MEMBER_BYTES);
        room_event(&mut first, room.members().map(|member| &member.name), &room.page(&person, after));
        for message in room.past(after).filter(|message| message.is_visible_to(&person)) {
            event(&mut first, "message", Some((id, message.id)), &message.wire);
        }
        Ok((reader, first))
    }

    /// Gives back a stream that has ended.
    pub fn stream_ended(&mut self, reader: Reader, now: Instant) {
        self.readers.close(reader);
        if !self.readers.has(reader.person) {
            self.note_stream_end(reader.person, now);
        }
    }
}

/// Appends an event. Its data are one line, because line breaks, which are only ever content, become character references.
fn event(out: &mut String, name: &str, id: Option<(RoomId, u64)>, data: &str) {
    out.push_str("event: ");
    out.push_str(name);
    if let Some((room, id)) = id {
        out.push_str(&format!("\nid: {room}:{id}"));
    }
    out.push_str("\ndata: ");
    for (number, line) in data.split('\n').enumerate() {
        if number > 0 {
            out.push_str("&#10;");
        }
        out.push_str(line);
    }
    out.push_str("\n\n");
}

/// Appends the event that says how the room is. No name has a line break.
fn room_event<'a>(out: &mut String, users: impl Iterator<Item = &'a UserName>, page: &Page) {
    out.push_str("event: room\ndata: ");
    write::structure(out, |out| {
        write::member(out, "room_id", |out| write::string(out, &page.room.to_string()));
        wire::users(out, users);
        write::member(out, "last_id", |out| write::int(out, page.last_id.cast_signed()));
        write::member(out, "missed", |out| write::int(out, page.missed.cast_signed()));
    });
    out.push_str("\n\n");
}

fn text_event(name: &str, text: &str) -> Arc<[u8]> {
    let (mut data, mut out) = (String::new(), String::new());
    write::string(&mut data, text);
    event(&mut out, name, None, &data);
    out.into_bytes().into()
}

/// Returns the last event of a stream.
pub(super) fn end(reason: &str) -> Arc<[u8]> {
    text_event("end", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_a_room_and_a_number() {
        assert_eq!(Position::parse("00ff:12"), Some(Position { room: "00ff".into(), id: 12 }));
        for wrong in ["", ":", "12", "00ff:", "00ff:-1", "00ff:+1", "00ff:1x", "00ff:99999999999999999999"] {
            assert_eq!(Position::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn data_are_one_line() {
        let mut out = String::new();
        event(&mut out, "message", Some((RoomId(255), 7)), "a\nb\n\nc");
        assert_eq!(out, "event: message\nid: 00000000000000ff:7\ndata: a&#10;b&#10;&#10;c\n\n");
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let address = |text: &str| subscriber(text.parse().unwrap());
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:0:0:1"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
        assert_ne!(address("192.0.2.1"), address("192.0.2.2"));
    }

    #[test]
    fn streams_are_counted_for_each_user_and_address() {
        let mut readers = Readers::new(5);
        let reader = |person, address: u8| Reader {
            room: RoomId(1),
            person: PersonId(person),
            address: Some(IpAddr::from([192, 0, 2, address])),
        };
        for _ in 0..MAX_USER_STREAMS {
            assert_eq!(readers.open(reader(1, 1)), Ok(()));
        }
        assert!(readers.open(reader(1, 2)).is_err(), "a fifth one of a user");
        assert_eq!(readers.open(reader(2, 1)), Ok(()));
        assert!(readers.open(reader(3, 1)).is_err(), "a sixth one from an address");
        assert_eq!(readers.open(reader(3, 2)), Ok(()));
        readers.close(reader(1, 1));
        assert_eq!(readers.open(reader(1, 2)), Ok(()));
        readers.close(reader(2, 1));
        assert!(!readers.has(PersonId(2)));
        for address in [1, 1, 1, 2] {
            assert!(readers.has(PersonId(1)));
            readers.close(reader(1, address));
        }
        readers.close(reader(3, 2));
        assert_eq!(readers.len(), 0);
        assert!(readers.rooms.is_empty() && readers.people.is_empty() && readers.addresses.is_empty());
    }
}
