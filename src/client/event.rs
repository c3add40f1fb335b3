//! The events of a chat, from the session to the screen. They hold no text for people: that is the work of the screen.

use std::time::Duration;

use chrono::{Local, NaiveDateTime, TimeZone as _};

use super::session::SessionError;
use crate::chat::name::UserName;
use crate::rpc::Fault;
use crate::stamp::{Stamp, Time};

/// A message of the room that the user is in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Message {
    /// Its number in the room; `None` from a server that does not number messages.
    pub(crate) id: Option<u64>,
    pub(crate) origin: String,
    /// The only recipient; `None` for the whole room.
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
    /// Returns when it was sent, in the local time of this machine, or else in that of the server.
    pub(crate) fn said_at(&self) -> Option<NaiveDateTime> {
        let true_time = self.time.as_deref().and_then(Time::parse);
        true_time
            .and_then(|time| Local.timestamp_millis_opt(time.utc).single())
            .map(|time| time.naive_local())
            .or_else(|| Stamp::parse(&self.timestamp).map(|Stamp(time)| time))
    }
}

/// Returns whether two spellings are the same user's name.
pub(crate) fn is_same_name(one: &str, other: &str) -> bool {
    one == other || matches!((UserName::parse(one), UserName::parse(other)), (Ok(one), Ok(other)) if one == other)
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
    /// The user is in this room now, with these users. The messages are the newest ones from before.
    Joined { room: String, users: Vec<String>, messages: Vec<Message> },
    /// The room to join did not exist, and has been created.
    Created { room: String },
    /// The user has left this room.
    Left { room: String },
    /// A new message; those typed here, private ones too, come as [`Event::Confirmed`].
    Message(Message),
    /// The server has a message that was typed here.
    Confirmed(Draft),
    /// The server refuses a message that was typed here, which is to be given back to the user.
    Refused { draft: Draft, fault: Fault },
    /// Others have joined or left the room.
    Presence { came: Vec<String>, went: Vec<String> },
    /// The server dropped messages before they could be read.
    Missed { count: u64 },
    /// The connection to the server is lost.
    Lost,
    /// The next attempt follows after a pause.
    Retrying { pause: Duration },
    /// The connection is back. The messages that others have sent meanwhile follow as [`Event::Message`]s.
    Back { caught_up: usize },
    /// The server was restarted, or had removed the room. It has been created again, without the messages from before.
    Forgotten { room: String },
    /// The session cannot continue.
    Ended { error: SessionError },
}

impl Event {
    /// Stands for the last event of a session whose thread has panicked.
    pub(crate) const ENDED: Self = Self::Ended { error: SessionError::Ended };
}
