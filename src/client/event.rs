//! What happens in a chat, from the session to whatever shows it. No text for people in here: words are the screen's.

use std::time::Duration;

use chrono::{Local, NaiveDateTime, TimeZone as _};

use super::session::SessionError;
use crate::rpc::Fault;
use crate::stamp::{Stamp, Time};

/// A message of the room that the user is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// Its number in the room; `None` from a server that does not number messages.
    pub(crate) id: Option<u64>,
    /// The user who sent it.
    pub(crate) origin: String,
    /// The only user who may see it beside its sender; `None` for the whole room.
    pub(crate) destination: Option<String>,
    /// The text as it came: not yet sanitized for a terminal.
    pub(crate) content: String,
    /// `YYYY-MM-DD HH:MM:SS` with or without a fraction, the server's local time; checked for this form.
    pub(crate) timestamp: String,
    /// The true time (RFC 3339); checked for this form. `None` from a server that does not say it.
    pub(crate) time: Option<String>,
    /// Names the life of the room in which [`Message::id`] counts; `None` if the server does not name it.
    pub(crate) room_id: Option<String>,
    /// The key that its sender gave it.
    pub(crate) key: Option<String>,
}

impl Message {
    /// Returns the time when it was said: the true time as local time here, or else the server's local time.
    pub(crate) fn said_at(&self) -> Option<NaiveDateTime> {
        let true_time = self.time.as_deref().and_then(Time::parse);
        true_time
            .and_then(|time| Local.timestamp_millis_opt(time.utc).single())
            .map(|time| time.naive_local())
            .or_else(|| Stamp::parse(&self.timestamp).map(|Stamp(time)| time))
    }
}

/// A message that was typed here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Draft {
    /// Its number in this session.
    pub(crate) id: u64,
    pub(crate) text: String,
    /// The only recipient; `None` for the whole room.
    pub(crate) to: Option<String>,
}

/// An event to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// The user is in this room now, with these users. The messages are the newest ones before that.
    Joined { room: String, users: Vec<String>, messages: Vec<Message> },
    /// There was no such room to join, and it is created.
    Created { room: String },
    /// The user has left this room.
    Left { room: String },
    /// A new message; those typed here, private ones too, come as [`Event::Confirmed`].
    Message(Message),
    /// The server has a message that was typed here.
    Confirmed(Draft),
    /// The server refuses a message that was typed here, which is to be given back to the user.
    Refused { draft: Draft, fault: Fault },
    /// Others have come into the room, or left it.
    Presence { came: Vec<String>, went: Vec<String> },
    /// The server dropped so many messages before they could be read.
    Missed { count: u64 },
    /// The connection to the server is lost.
    Lost,
    /// The next attempt follows after a pause.
    Retrying { pause: Duration },
    /// The connection is back. Others have said so many messages meanwhile, which follow as [`Event::Message`]s.
    Back { caught_up: usize },
    /// The server was restarted, or had removed the room: it is created again, and what was said before is no longer there.
    Forgotten { room: String },
    /// The session cannot go on.
    Ended { error: SessionError },
}
