//! What happens in a chat, from the session to whatever shows it. No text for people in here: words are the screen's.

use std::time::Duration;

use chrono::{Local, NaiveDateTime, TimeZone as _};

use crate::rpc::Fault;
use crate::stamp::{Stamp, Time};

/// A message of the room that the user is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its number in the room; `None` from a server that does not number messages.
    pub id: Option<u64>,
    /// The user who sent it.
    pub origin: String,
    /// The only user who may see it beside its sender; `None` for the whole room.
    pub destination: Option<String>,
    /// The text as it came: not yet sanitized for a terminal.
    pub content: String,
    /// `YYYY-MM-DD HH:MM:SS` with or without a fraction, the server's local time; checked for this form.
    pub timestamp: String,
    /// The true time (RFC 3339); checked for this form. `None` from a server that does not say it.
    pub time: Option<String>,
    /// Names the life of the room in which [`Message::id`] counts; `None` if the server does not name it.
    pub room_id: Option<String>,
    /// The key that its sender gave it.
    pub key: Option<String>,
}

impl Message {
    /// Returns the time when it was said: the true time as local time here, or else the server's local time.
    #[must_use]
    pub fn said_at(&self) -> Option<NaiveDateTime> {
        let true_time = self.time.as_deref().and_then(Time::parse);
        true_time
            .and_then(|time| Local.timestamp_millis_opt(time.utc).single())
            .map(|time| time.naive_local())
            .or_else(|| Stamp::parse(&self.timestamp).map(|Stamp(time)| time))
    }
}

/// Identifies a typed message until the server accepts or refuses it.
pub type DraftId = u64;

/// An event to show.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The user is in this room now.
    Joined {
        /// The room.
        room: String,
        /// The users in it.
        users: Vec<String>,
        /// The newest messages before that.
        messages: Vec<Message>,
    },
    /// The user has left this room.
    Left {
        /// The room.
        room: String,
    },
    /// A new message; those typed here, private ones too, come as [`Event::Confirmed`].
    Message(Message),
    /// The server has a message that was typed here.
    Confirmed {
        /// The draft.
        draft: DraftId,
    },
    /// The server refuses a message that was typed here.
    Refused {
        /// The draft.
        draft: DraftId,
        /// The text, to be given back to the user.
        text: String,
        /// The reason.
        fault: Fault,
    },
    /// Others have come into the room, or left it.
    Presence {
        /// The users who came.
        came: Vec<String>,
        /// The users who left.
        went: Vec<String>,
    },
    /// The server dropped messages before they could be read.
    Missed {
        /// The number of dropped messages.
        count: u64,
    },
    /// The connection to the server is lost.
    Lost {
        /// The reason, in the words of the system.
        cause: String,
    },
    /// The next attempt follows after a pause.
    Retrying {
        /// The length of the pause.
        pause: Duration,
    },
    /// The connection is back, and with it everything that was said meanwhile; [`Event::Message`]s follow.
    Back {
        /// The number of messages of others that were said meanwhile.
        caught_up: usize,
    },
    /// The server was restarted, or had removed the room: what was said before is no longer there.
    Forgotten {
        /// The room, which was created again.
        room: String,
    },
    /// The session cannot go on.
    Ended {
        /// The reason.
        cause: String,
    },
}
