//! What happens in a chat, from the session to whatever shows it. No text for people in here: words are the screen's.

use std::time::Duration;

use crate::rpc::Fault;

/// A message of the room that the user is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its number in the room; `None` from a server that does not number messages.
    pub id: Option<u64>,
    /// Who sent it.
    pub origin: String,
    /// For whom alone it is; `None` for the whole room.
    pub destination: Option<String>,
    /// What it says, as it came: not yet harmless for a terminal.
    pub content: String,
    /// `YYYY-MM-DD HH:MM:SS` with or without a fraction, the server's local time; checked for this form.
    pub timestamp: String,
}

/// Identifies a typed message until the server accepts or refuses it.
pub type DraftId = u64;

/// Something to show.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The user is in this room now; `messages` are the newest before that.
    Joined {
        /// The room.
        room: String,
        /// Who is there.
        users: Vec<String>,
        /// What was said before.
        messages: Vec<Message>,
    },
    /// The user has left this room.
    Left {
        /// The room.
        room: String,
    },
    /// Somebody said something. Never the user's own broadcast that was shown as a draft.
    Message(Message),
    /// The server has what was typed here.
    Confirmed {
        /// The draft.
        draft: DraftId,
    },
    /// The server refuses what was typed here.
    Refused {
        /// The draft.
        draft: DraftId,
        /// The text, to be given back to the user.
        text: String,
        /// Why.
        fault: Fault,
    },
    /// Others have come into the room, or left it.
    Presence {
        /// Who came.
        came: Vec<String>,
        /// Who left.
        went: Vec<String>,
    },
    /// So many messages were dropped by the server before they could be read.
    Missed {
        /// How many.
        count: u64,
    },
    /// The connection to the server is lost.
    Lost {
        /// Why, in the words of the system.
        cause: String,
    },
    /// The next attempt follows after this time.
    Retrying {
        /// How long.
        pause: Duration,
    },
    /// The connection is back, and with it everything that was said meanwhile; [`Event::Message`]s follow.
    Back {
        /// How many messages were said meanwhile.
        caught_up: usize,
    },
    /// The server was restarted, or had removed the room: what was said before is no longer there.
    Forgotten {
        /// The room, which was created again.
        room: String,
    },
    /// The session cannot go on.
    Ended {
        /// Why.
        cause: String,
    },
}
