//! Positions in a room, so that no message is lost or shown twice.

use chrono::TimeDelta;

use super::super::api::{Joined, SECONDS};
use super::super::event::Message;
use crate::stamp::Stamp;

/// The most messages that are kept because they will come again.
const MAX_SEEN: usize = 10_000;

/// The position up to which a room has been read.
#[derive(Debug, Clone)]
pub(super) enum ResumePosition {
    /// In a room of a server that numbers its messages.
    Numbered(Cursor),
    /// In a room of the original's server.
    Stamped(Overlap),
}

impl ResumePosition {
    /// Returns the position after the messages that came with joining the room.
    pub(super) fn after(joined: &Joined) -> Self {
        Self::at(joined, joined.last_id, &joined.messages)
    }

    /// Returns the position before the first message of the room.
    pub(super) fn start(joined: &Joined) -> Self {
        Self::at(joined, joined.last_id.and(Some(0)), &[])
    }

    fn at(joined: &Joined, id: Option<u64>, messages: &[Message]) -> Self {
        match id {
            Some(id) => Self::Numbered(Cursor { id, room_id: joined.room_id.clone() }),
            None => {
                let mut overlap = Overlap { newest: None, seen: Vec::new() };
                overlap.advance(messages.to_vec());
                Self::Stamped(overlap)
            }
        }
    }

    /// Returns the name of the life of the room.
    pub(super) fn room_id(&self) -> Option<&str> {
        match self {
            Self::Numbered(cursor) => cursor.room_id.as_deref(),
            Self::Stamped(_) => None,
        }
    }

    /// Returns the number of the last message that was read; 0 in a room without numbers.
    pub(super) fn last_id(&self) -> u64 {
        match self {
            Self::Numbered(cursor) => cursor.id,
            Self::Stamped(_) => 0,
        }
    }

    /// Moves past a message that was pushed.
    pub(super) fn pass(&mut self, message: &Message) {
        if let (Self::Numbered(cursor), Some(id)) = (self, message.id) {
            cursor.id = cursor.id.max(id);
        }
    }
}

/// A position in a room whose messages are numbered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Everything up to this message has been read, or is not for this user.
    pub(super) id: u64,
    /// Names the life of the room; `None` at an older server, which does not name it.
    pub(super) room_id: Option<String>,
}

impl Cursor {
    /// Returns whether this cursor belongs to the life of the room that was joined. A life without a name is another one only if
    /// it has fewer messages.
    pub(super) fn is_of(&self, room_id: Option<&str>, last_id: u64) -> bool {
        match (&self.room_id, room_id) {
            (None, None) => self.id <= last_id,
            (ours, theirs) => ours.as_deref() == theirs,
        }
    }
}

/// A position in a room whose messages have only timestamps, which need not differ. Each reading begins a second before the
/// newest timestamp, and skips the messages that were read before, each as often as it was there.
#[derive(Debug, Clone)]
pub(super) struct Overlap {
    newest: Option<String>,
    /// Messages that were read and will come again when asked from [`Overlap::asks_from`].
    seen: Vec<Message>,
}

impl Overlap {
    /// Returns the timestamp to ask from: messages later than it come.
    pub(super) fn asks_from(&self) -> String {
        // The newest timestamp was checked when it was read. Before there is one, everything is new.
        let newest = self.newest.as_deref().and_then(Stamp::parse);
        let second_before = newest.and_then(|newest| newest.0.checked_sub_signed(TimeDelta::seconds(1)));
        let mut from = second_before.map_or_else(|| "1970-01-01 00:00:00".to_owned(), |time| Stamp(time).to_string());
        from.truncate(SECONDS);
        from
    }

    /// Returns the messages of `answer` that have not been read yet; the question was [`Overlap::asks_from`].
    pub(super) fn advance(&mut self, answer: Vec<Message>) -> Vec<Message> {
        let mut known = self.seen.clone();
        let mut fresh = Vec::new();
        for message in answer {
            match known.iter().position(|known| *known == message) {
                Some(index) => drop(known.swap_remove(index)),
                None => fresh.push(message),
            }
        }
        for message in &fresh {
            if self.newest.as_ref().is_none_or(|newest| *newest < message.timestamp) {
                self.newest = Some(message.timestamp.clone());
            }
        }
        self.seen.extend_from_slice(&fresh);
        let from = self.asks_from();
        self.seen.retain(|message| message.timestamp > from);
        // Honest users do not send so much within a second.
        self.seen.drain(..self.seen.len().saturating_sub(MAX_SEEN));
        fresh
    }

    /// Returns whether `answer`, to the question [`Overlap::asks_from`], comes from the room that was read.
    pub(super) fn is_of(&self, answer: &[Message]) -> bool {
        self.seen.iter().all(|seen| answer.contains(seen))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: Option<u64>, content: &str, stamp: &str) -> Message {
        Message {
            id,
            origin: "ana".into(),
            content: content.into(),
            timestamp: format!("2024-01-01 {stamp}"),
            ..Message::default()
        }
    }

    #[test]
    fn a_room_is_known_by_its_name_and_without_one_by_its_length() {
        let cursor = |room_id: Option<&str>| Cursor { id: 10, room_id: room_id.map(str::to_owned) };
        assert!(cursor(Some("one")).is_of(Some("one"), 10));
        assert!(!cursor(Some("one")).is_of(Some("two"), 10) && !cursor(Some("one")).is_of(None, 10));
        assert!(cursor(None).is_of(None, 10) && !cursor(None).is_of(None, 9) && !cursor(None).is_of(Some("one"), 10));
    }

    /// The answer of the original's server.
    fn later(room: &[Message], stamp: &str) -> Vec<Message> {
        room.iter().filter(|message| message.timestamp.as_str() > stamp).cloned().collect()
    }

    #[test]
    fn messages_within_one_second_are_all_read_exactly_once() {
        let mut overlap = Overlap { newest: None, seen: Vec::new() };
        let (mut room, mut read) = (Vec::new(), Vec::new());
        // Equal ones too, read in between at every place.
        for second in 0..5 {
            for content in ["a", "b", "a", "a"] {
                room.push(message(None, content, &format!("10:00:{second:02}")));
                read.extend(overlap.advance(later(&room, &overlap.asks_from())));
                assert!(overlap.advance(later(&room, &overlap.asks_from())).is_empty());
            }
        }
        assert_eq!(read, room);
        assert!(overlap.seen.len() <= 8, "{}", overlap.seen.len());
    }

    #[test]
    fn a_room_that_lacks_what_was_read_is_another_one() {
        let room = vec![message(None, "a", "10:00:00"), message(None, "b", "10:00:01")];
        let mut overlap = Overlap { newest: None, seen: Vec::new() };
        assert!(overlap.is_of(&[]));
        overlap.advance(room.clone());
        assert!(overlap.is_of(&later(&room, &overlap.asks_from())));
        assert!(!overlap.is_of(&[]));
    }
}
