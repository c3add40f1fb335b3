//! Event streams: which events of a room go to which readers, and how many streams there may be. The streams themselves are
//! the HTTP server's.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::{Core, Now};
use super::entry::{PersonId, RoomId};
use super::identity::Proof;
use super::name::{RoomName, UserName};
use super::refusal::Refusal;
use super::room::Page;
use super::state::{Effects, State};
use super::waits::Ticket;
use crate::rpc::{Audience, write};

/// The most streams of one user at a time.
pub const MAX_USER_STREAMS: usize = 4;
/// A user whose last stream has ended is unregistered after this time without a call.
pub const STREAM_GRACE: Duration = Duration::from_secs(30);

/// Bytes of what a stream begins with, beside its messages: about as many without the members of the room, and for each of
/// them.
const FIRST_BYTES: usize = 1024;
const MEMBER_BYTES: usize = 64;

/// The parameters of a request for a stream, and where it comes from.
#[derive(Debug)]
pub struct StreamCall<'a> {
    /// The reader.
    pub name: &'a UserName,
    /// The room.
    pub room: &'a RoomName,
    /// The position of the reader at the end of the stream before.
    pub after: Option<&'a Position>,
    /// The address of the caller.
    pub address: Option<IpAddr>,
}

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
    rooms: HashMap<RoomId, Feed>,
    people: HashMap<PersonId, usize>,
    addresses: HashMap<IpAddr, usize>,
}

/// The streams of one room.
#[derive(Debug, Default)]
struct Feed {
    streams: usize,
    /// The last message that was sent to them.
    last_id: u64,
}

impl Readers {
    pub(super) fn new(per_address: usize) -> Self {
        let (rooms, people, addresses) = Default::default();
        Self { per_address, count: 0, rooms, people, addresses }
    }

    /// Returns the number of open streams.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Returns whether a stream of this user is open.
    pub(super) fn has(&self, person: PersonId) -> bool {
        self.people.contains_key(&person)
    }

    fn open(&mut self, reader: Reader, last_id: u64) -> Result<(), Refusal> {
        let count = |value: Option<&usize>| value.copied().unwrap_or(0);
        if count(self.people.get(&reader.person)) >= MAX_USER_STREAMS {
            return Err(Refusal::Limit { what: "streams of one user", value: MAX_USER_STREAMS });
        }
        if let Some(address) = reader.address {
            if self.per_address > 0 && count(self.addresses.get(&address)) >= self.per_address {
                return Err(Refusal::Limit { what: "streams from one address", value: self.per_address });
            }
            *self.addresses.entry(address).or_default() += 1;
        }
        *self.people.entry(reader.person).or_default() += 1;
        let feed = self.rooms.entry(reader.room).or_default();
        (feed.streams, feed.last_id) = (feed.streams + 1, last_id);
        self.count += 1;
        Ok(())
    }

    /// Forgets a stream. Returns whether it was the user's last one.
    fn close(&mut self, reader: Reader) -> bool {
        fn take<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) -> bool {
            let Some(count) = counts.get_mut(key) else { return false };
            *count -= 1;
            let is_last = *count == 0;
            if is_last {
                counts.remove(key);
            }
            is_last
        }
        self.count -= 1;
        if let Some(feed) = self.rooms.get_mut(&reader.room) {
            feed.streams -= 1;
            if feed.streams == 0 {
                self.rooms.remove(&reader.room);
            }
        }
        if let Some(address) = &reader.address {
            take(&mut self.addresses, address);
        }
        take(&mut self.people, &reader.person)
    }

    /// Returns the events of what an entry has changed, in the order in which readers get them.
    pub(super) fn events(&mut self, state: &State, effects: &Effects) -> Vec<RoomEvent> {
        let mut events = Vec::new();
        if let Some((room, person)) = effects.left.as_ref().filter(|(room, _)| self.rooms.contains_key(room)) {
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
        if let Some((room, person)) = effects.joined.as_ref().filter(|(room, _)| self.rooms.contains_key(room)) {
            let text = text_event("joined", person.name.as_str());
            events.push(RoomEvent { room: *room, to: Audience::Except(person.id.0), text, is_last: false });
        }
        if let Some(id) = effects.said
            && let Some(feed) = self.rooms.get_mut(&id)
            && let Ok(room) = state.room(id)
        {
            for message in room.past(feed.last_id) {
                let to = match &message.recipient {
                    None => Audience::All,
                    Some(recipient) => Audience::Only(message.origin.id.0, recipient.id.0),
                };
                let mut text = String::with_capacity(message.wire.len() + 64);
                message_event(&mut text, id, message.id, &message.wire);
                events.push(RoomEvent { room: id, to, text: text.into_bytes().into(), is_last: false });
            }
            feed.last_id = room.last_id;
        }
        events
    }
}

impl<T: Ticket> Core<T> {
    /// Opens a stream. Returns it with the events that come first: the room as it is, and the messages past the position.
    ///
    /// # Errors
    /// If the user is not there, `proof` is not theirs, or there are too many streams.
    pub fn open_stream(&mut self, call: &StreamCall<'_>, proof: &Proof, now: Now) -> Result<(Reader, String), Refusal> {
        let (person, room) = self.member(call.name, call.room, proof, now)?;
        let (id, last_id) = (room.id, room.last_id);
        let reader = Reader { room: id, person: person.id, address: call.address.map(network) };
        self.readers.open(reader, last_id)?;
        let room = self.state().room(id)?;
        let after = match call.after {
            None => last_id,
            Some(position) if position.room == id.to_string() => position.id.min(last_id),
            // A position in another life of the room is before everything in this one.
            Some(_) => 0,
        };
        // In one piece of about the right size, for it may be large and is gone soon.
        let mut first = String::with_capacity(FIRST_BYTES + room.members().len() * MEMBER_BYTES);
        room_event(&mut first, room.members().map(|member| &member.name), &room.page(&person, after));
        for message in room.past(after).filter(|message| message.is_visible_to(&person)) {
            message_event(&mut first, id, message.id, &message.wire);
        }
        Ok((reader, first))
    }

    /// Gives back a stream that has ended.
    pub fn stream_ended(&mut self, reader: Reader, now: Instant) {
        if self.readers.close(reader) {
            self.note_stream_end(reader.person, now);
        }
    }
}

/// Returns what counts as one address: on IPv6 the network of 64 bits, which one subscriber has.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
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

fn message_event(out: &mut String, room: RoomId, id: u64, wire: &str) {
    event(out, "message", Some((room, id)), wire);
}

/// Appends the event that says how the room is. No name has a line break.
fn room_event<'a>(out: &mut String, users: impl Iterator<Item = &'a UserName>, page: &Page) {
    out.push_str("event: room\ndata: ");
    write::structure(out, |out| {
        write::member(out, "room_id", |out| write::string(out, &page.room.to_string()));
        write::member(out, "users", |out| {
            write::array(out, |out| users.for_each(|user| write::string(out, user.as_str())));
        });
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
        message_event(&mut out, RoomId(255), 7, "a\nb\n\nc");
        assert_eq!(out, "event: message\nid: 00000000000000ff:7\ndata: a&#10;b&#10;&#10;c\n\n");
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let address = |text: &str| network(text.parse().unwrap());
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
            assert_eq!(readers.open(reader(1, 1), 0), Ok(()));
        }
        assert!(readers.open(reader(1, 2), 0).is_err(), "a fifth one of a user");
        assert_eq!(readers.open(reader(2, 1), 0), Ok(()));
        assert!(readers.open(reader(3, 1), 0).is_err(), "a sixth one from an address");
        assert_eq!(readers.open(reader(3, 2), 0), Ok(()));
        assert!(!readers.close(reader(1, 1)));
        assert_eq!(readers.open(reader(1, 2), 0), Ok(()));
        assert!(readers.close(reader(2, 1)) && !readers.has(PersonId(2)));
        for address in [1, 1, 1, 2] {
            assert!(readers.has(PersonId(1)));
            readers.close(reader(1, address));
        }
        readers.close(reader(3, 2));
        assert_eq!(readers.len(), 0);
        assert!(readers.rooms.is_empty() && readers.people.is_empty() && readers.addresses.is_empty());
    }
}
