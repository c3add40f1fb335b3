//! Read positions, and the line between messages that the user has seen and new ones.

use chrono::{NaiveDateTime, TimeDelta};

use super::{Renderer, time};
use crate::client::event::Message;
use crate::stamp::Stamp;

/// The time for which a user who presses no key is still assumed to be reading.
const IDLE: TimeDelta = TimeDelta::minutes(5);
/// The most rooms that are remembered.
const MAX_ROOMS: usize = 100;

/// The position up to which a user has read a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReadPosition {
    pub(crate) user: String,
    pub(crate) room: String,
    /// The timestamp of the newest message that was shown.
    pub(crate) timestamp: String,
}

/// The read positions, and whether the line has been drawn.
#[derive(Debug, Default)]
pub(crate) struct Unseen {
    /// The time when the user did something last; `None` if nobody is at a keyboard.
    last_active: Option<NaiveDateTime>,
    /// If set, the line has been drawn since the user did something.
    pub(super) is_divided: bool,
    /// The last one is that of the room read last.
    pub(crate) positions: Vec<ReadPosition>,
}

impl Unseen {
    /// Records that the user has done something.
    pub(crate) fn active(&mut self, now: NaiveDateTime) {
        self.last_active = Some(now);
        self.is_divided = false;
    }

    /// Returns when the user did something last, if that is long ago and the line has not been drawn since.
    pub(super) fn idle_since(&self, now: NaiveDateTime) -> Option<NaiveDateTime> {
        self.last_active.filter(|since| !self.is_divided && now.signed_duration_since(*since) >= IDLE)
    }

    /// Records that a message was shown.
    pub(super) fn read(&mut self, user: &str, room: &str, timestamp: &str) {
        let is_it = |position: &ReadPosition| position.user == user && position.room == room;
        let mut position = match self.positions.iter().position(is_it) {
            Some(index) => self.positions.remove(index),
            None => ReadPosition { user: user.to_owned(), room: room.to_owned(), timestamp: String::new() },
        };
        if *position.timestamp < *timestamp {
            timestamp.clone_into(&mut position.timestamp);
        }
        if self.positions.len() >= MAX_ROOMS {
            self.positions.remove(0);
        }
        self.positions.push(position);
    }

    /// Returns the timestamp of the newest message of a room that was shown.
    pub(super) fn position(&self, user: &str, room: &str) -> Option<&str> {
        let mut positions = self.positions.iter();
        positions.find(|position| position.user == user && position.room == room).map(|position| &*position.timestamp)
    }
}

impl Renderer {
    /// Shows the line above a message if the user has done nothing for a while.
    pub(super) fn divide_after_idling(&mut self, message: &Message, now: NaiveDateTime) {
        let is_shown = !self.is_me(&message.origin) && !self.ignored.contains(&message.origin.to_lowercase());
        if let Some(since) = self.unseen.idle_since(now).filter(|_| is_shown) {
            self.divide(Some(&Stamp(since).to_string()), now);
        }
    }

    /// Shows the line between messages up to a time and newer ones.
    pub(super) fn divide(&mut self, since: Option<&str>, now: NaiveDateTime) {
        self.unseen.is_divided = true;
        let since = since.and_then(Stamp::parse).map(|Stamp(since)| since);
        let text = match since {
            Some(since) if since.date() == now.date() => (self.locale.new_since)(&time(since)),
            _ => self.locale.new.to_owned(),
        };
        if !self.style.json {
            self.rule(&text);
        }
    }
}
