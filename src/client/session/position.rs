//! How far a room has been read, so that nothing is lost and nothing shown twice.

use chrono::TimeDelta;

use super::super::api::{Joined, SECONDS};
use super::super::event::Message;
use crate::stamp::Stamp;

/// How far a room has been read.
#[derive(Debug, Clone)]
pub(super) enum Position {
    /// In a room of a server that numbers its messages.
    Numbered(Cursor),
    /// In a room of the original's server.
    Stamped(Overlap),
}

impl Position {
    /// The position after the messages that came with joining the room.
    pub(super) fn after(joined: &Joined) -> Self {
        Self::at(joined, joined.last_id, &joined.messages)
    }

    /// The position before the first message of the room.
    pub(super) fn start(joined: &Joined) -> Self {
        Self::at(joined, joined.last_id.and(Some(0)), &[])
    }

    /// Returns the name of the life of the room.
    pub(super) fn room_id(&self) -> Option<&str> {
        match self {
            Self::Numbered(cursor) => cursor.room_id.as_deref(),
            Self::Stamped(_) => None,
        }
    }

    fn at(joined: &Joined, id: Option<u64>, messages: &[Message]) -> Self {
        match id {
            Some(id) => {
                Self::Numbered(Cursor { id, room_id: joined.room_id.clone(), anchor: messages.last().cloned() })
            }
            None => {
                let mut overlap = Overlap { newest: None, seen: Vec::new() };
                overlap.advance(messages.to_vec());
                Self::Stamped(overlap)
            }
        }
    }
}

/// A place in a room whose messages are numbered.
#[derive(Debug, Clone)]
pub(super) struct Cursor {
    /// Everything up to this message has been read, or is not for this user.
    pub(super) id: u64,
    /// Names the life of the room.
    pub(super) room_id: Option<String>,
    /// The last message that was read: what tells this room from a later one of the same name.
    anchor: Option<Message>,
}

/// Whether a room is still the one that a position is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Same,
    Other,
    /// What was looked at does not tell.
    Unknown,
}

impl Cursor {
    /// Notes what came with the next cursor.
    pub(super) fn advance(&mut self, messages: &[Message], last_id: u64) {
        self.id = last_id;
        if let Some(newest) = messages.last() {
            self.anchor = Some(newest.clone());
        }
    }

    /// Whether a room with this id and `last_id`, and these among its messages, is the one that this cursor is of.
    pub(super) fn judge(&self, room_id: Option<&str>, last_id: u64, messages: &[Message]) -> Verdict {
        if room_id.is_some() || self.room_id.is_some() {
            return if room_id == self.room_id.as_deref() { Verdict::Same } else { Verdict::Other };
        }
        if last_id < self.id {
            return Verdict::Other;
        }
        if self.id == 0 {
            return Verdict::Same;
        }
        let anchor_id = self.anchor.as_ref().and_then(|anchor| anchor.id).unwrap_or(0);
        if let Some(there) = messages.iter().find(|message| message.id == Some(anchor_id)) {
            return if Some(there) == self.anchor.as_ref() { Verdict::Same } else { Verdict::Other };
        }
        // Up to the cursor there is nothing for this user past the anchor.
        let unknown = |message: &Message| message.id.is_some_and(|id| id > anchor_id && id <= self.id);
        if messages.iter().any(unknown) { Verdict::Other } else { Verdict::Unknown }
    }
}

/// A place in a room whose messages have only time stamps, which need not differ. Reading goes back a second before the
/// newest stamp, and takes away what was there already, as often as it was there.
#[derive(Debug, Clone)]
pub(super) struct Overlap {
    newest: Option<String>,
    /// What was read and will come again when asked from [`Overlap::asks_from`].
    seen: Vec<Message>,
}

impl Overlap {
    /// The time stamp to ask from: what is later than it comes.
    pub(super) fn asks_from(&self) -> String {
        // It was read before, so it is one; the other time stamp is before every message.
        let newest = self.newest.as_deref().and_then(Stamp::parse);
        let second_before = newest.and_then(|newest| newest.0.checked_sub_signed(TimeDelta::seconds(1)));
        let mut from = second_before.map_or_else(|| "1970-01-01 00:00:00".to_owned(), |time| Stamp(time).to_string());
        from.truncate(SECONDS);
        from
    }

    /// Those of `answer`, which came when asked from [`Overlap::asks_from`], that have not been read yet.
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
        fresh
    }

    /// Whether a room that answers this when asked from [`Overlap::asks_from`] is the one that was read.
    pub(super) fn judge(&self, answer: &[Message]) -> Verdict {
        if self.seen.iter().all(|seen| answer.contains(seen)) { Verdict::Same } else { Verdict::Other }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: Option<u64>, content: &str, stamp: &str) -> Message {
        Message {
            id,
            origin: "ana".into(),
            destination: None,
            content: content.into(),
            timestamp: format!("2024-01-01 {stamp}"),
            time: None,
            room_id: None,
            key: None,
        }
    }

    fn numbered(ids: impl IntoIterator<Item = u64>, life: &str) -> Vec<Message> {
        ids.into_iter().map(|id| message(Some(id), life, &format!("10:00:00.{id:03}"))).collect()
    }

    fn cursor(last_id: u64, messages: &[Message]) -> Cursor {
        let joined = Joined { users: Vec::new(), messages: messages.to_vec(), last_id: Some(last_id), room_id: None };
        match Position::after(&joined) {
            Position::Numbered(cursor) => cursor,
            Position::Stamped(_) => unreachable!(),
        }
    }

    #[test]
    fn a_room_is_another_one_when_it_is_shorter_or_differs_at_the_anchor() {
        let cursor = cursor(10, &numbered(1..=10, "old"));
        assert_eq!(cursor.judge(None, 9, &numbered(1..=9, "old")), Verdict::Other);
        assert_eq!(cursor.judge(None, 12, &numbered(1..=12, "old")), Verdict::Same);
        assert_eq!(cursor.judge(None, 12, &numbered(1..=12, "new")), Verdict::Other);
        assert_eq!(cursor.judge(None, 99, &numbered(50..=99, "old")), Verdict::Unknown);
    }

    #[test]
    fn a_message_that_was_not_there_before_is_of_another_room() {
        // Up to 10, only others' private messages followed 8.
        let cursor = cursor(10, &numbered(1..=8, "old"));
        assert_eq!(cursor.judge(None, 10, &numbered([9], "new")), Verdict::Other);
        assert_eq!(cursor.judge(None, 11, &numbered([11], "any")), Verdict::Unknown);
        let nothing_seen = Cursor { id: 3, room_id: None, anchor: None };
        assert_eq!(nothing_seen.judge(None, 3, &numbered([2], "new")), Verdict::Other);
    }

    #[test]
    fn a_named_room_is_known_by_its_name() {
        let cursor = Cursor { id: 10, room_id: Some("one".into()), anchor: None };
        assert_eq!(cursor.judge(Some("one"), 3, &[]), Verdict::Same);
        assert_eq!(cursor.judge(Some("two"), 10, &[]), Verdict::Other);
        assert_eq!(cursor.judge(None, 10, &[]), Verdict::Other);
    }

    #[test]
    fn a_room_without_messages_is_never_another_one() {
        assert_eq!(cursor(0, &[]).judge(None, 5, &numbered(1..=5, "any")), Verdict::Same);
    }

    /// What the original's server answers.
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
        assert_eq!(overlap.judge(&[]), Verdict::Same);
        overlap.advance(room.clone());
        assert_eq!(overlap.judge(&later(&room, &overlap.asks_from())), Verdict::Same);
        assert_eq!(overlap.judge(&[]), Verdict::Other);
    }
}
