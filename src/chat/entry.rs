//! Entries: the commands of which the durable state is the result. An entry holds everything that is not decided by the
//! state itself: times, random ids, and what is derived from secrets. So the same entries in the same order make the same
//! state, now and whenever they are read again.
//!
//! The order of variants and fields is the form in which logs keep entries. A new variant comes last in its enum; any other
//! change makes a new form, with a higher `VERSION` in `store.rs` and `share/charter.rs`. `tests/form.rs` holds this form.

use serde::{Deserialize, Serialize};

use super::name::{RoomName, UserName};
use crate::secret::Verifier;
use crate::stamp::Time;

/// A registration: random, so that no two are taken for each other, whatever their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PersonId(pub u64);

/// A room's life: random. A room that is created anew without its history has another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RoomId(pub u64);

/// As it goes over the wire: 16 digits in hexadecimal.
impl std::fmt::Display for RoomId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

/// The idempotency key of a message, as its sender made it up.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Bytes of the longest key.
    pub const MAX_BYTES: usize = 64;

    /// Checks `text`. `None` for an empty one, which stands for no key.
    ///
    /// # Errors
    /// It is longer than [`IdempotencyKey::MAX_BYTES`].
    pub fn parse(text: String) -> Result<Option<Self>, usize> {
        if text.len() > Self::MAX_BYTES {
            return Err(Self::MAX_BYTES);
        }
        Ok((!text.is_empty()).then_some(Self(text)))
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A message, before it has its place in the room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageEntry {
    /// The room that it is said in.
    pub room: RoomId,
    /// Its number there. `None` is the next one, for a log that several servers write; the only writer of a log settles
    /// the number before it is written, so that a record that gets lost leaves a gap.
    pub id: Option<u64>,
    /// The sender.
    pub origin: PersonId,
    /// The one who alone may read it beside the sender; `None` for the whole room.
    pub recipient: Option<PersonId>,
    /// The idempotency key, by which a repeated call is recognised.
    pub key: Option<IdempotencyKey>,
    /// The time at which it was sent.
    pub time: Time,
    /// The text.
    pub content: String,
}

/// A change of the durable state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// A user has this name from now on.
    Register {
        /// The new registration.
        person: PersonId,
        /// The name.
        name: UserName,
        /// The verifier of their secret; `None` for an open user.
        secret: Option<Verifier>,
    },
    /// A user leaves the chat, by a call or because of long silence.
    Unregister(PersonId),
    /// A room is created with this id, or one of this name that was removed is back with its own id and its history.
    Create(RoomId, RoomName),
    /// A user joins a room, and leaves the one before.
    Join(PersonId, RoomId),
    /// A user leaves their room.
    Leave(PersonId),
    /// A message is sent.
    Send(MessageEntry),
    /// An empty room leaves the list.
    Remove {
        /// The room.
        room: RoomId,
        /// The time at which its history is to be forgotten; `None` for at once.
        keep_until: Option<Time>,
    },
    /// The history of a removed room is forgotten.
    Forget(RoomId),
    /// A part that only a snapshot has. A snapshot is entries from which the state can be made again: these, and those above.
    Kept(Kept),
}

/// A part of a snapshot that no command makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kept {
    /// The counts of the chat.
    Counts {
        /// Messages sent.
        messages: u64,
    },
    /// Somebody who is no longer registered, and of whom messages are kept.
    Person {
        /// The user.
        person: PersonId,
        /// The name that they had.
        name: UserName,
        /// The verifier of their secret.
        secret: Option<Verifier>,
    },
    /// A room.
    Room {
        /// Its id.
        room: RoomId,
        /// Its name.
        name: RoomName,
        /// The number of its last message.
        last_id: u64,
        /// The timestamp of its last message, in milliseconds of local time.
        last_stamp: i64,
        /// `None` while it is on the list; else the time until which its history is kept.
        removed: Option<Time>,
    },
    /// A message that is kept, with its timestamp in milliseconds of local time.
    Message(MessageEntry, i64),
    /// A message between two that is no longer kept, and that nobody else has missed.
    DroppedUnicast {
        /// The room that it was said in.
        room: RoomId,
        /// Its number there.
        id: u64,
        /// The sender.
        origin: PersonId,
        /// The recipient.
        recipient: PersonId,
    },
    /// The latest messages of a user: the count of all messages, and of those with a key the count and the key's digest.
    Recent {
        /// The user.
        person: PersonId,
        /// Messages sent.
        sent: u64,
        /// For each key the message that had it, by its count, and the digest.
        keys: Vec<(u64, u64)>,
    },
    /// The end of the snapshot.
    End,
}

impl Entry {
    /// Returns whether losing it would lose more than one message. A log keeps such entries twice.
    #[must_use]
    pub fn is_vital(&self) -> bool {
        !matches!(
            self,
            Self::Send(_) | Self::Kept(Kept::Message(..) | Kept::DroppedUnicast { .. } | Kept::Recent { .. })
        )
    }
}
