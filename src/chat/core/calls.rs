//! The parameters of calls, and the results of handling them.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::chat::entry::IdempotencyKey;
use crate::chat::name::{RoomName, UserName};
use crate::chat::streams::RoomEvent;
use crate::chat::waits::Delivery;
use crate::stamp::Time;

/// The time of a call, on both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// For durations.
    pub monotonic: Instant,
    /// For timestamps.
    pub time: Time,
}

/// The numbers of users, rooms, waits, streams and messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Registered users.
    pub users: usize,
    /// Rooms on the list.
    pub rooms: usize,
    /// Calls that wait for messages.
    pub waiting: usize,
    /// Open streams of events.
    pub streams: usize,
    /// Messages sent since the start, or with a log since its beginning.
    pub messages: u64,
    /// Bytes of the messages that are kept.
    pub history_bytes: usize,
}

/// The outcome of the first step of a registration.
#[derive(Debug, PartialEq, Eq)]
pub enum SignIn {
    /// Nothing: the session of an earlier one goes on.
    Resumed,
    /// Its entry.
    New,
}

/// The parameters of a `send_message`.
#[derive(Debug)]
pub struct SendCall<'a> {
    /// The sender.
    pub name: &'a UserName,
    /// The room.
    pub room: &'a RoomName,
    /// The one who alone may read it; `None` for the whole room.
    pub recipient: Option<&'a UserName>,
    /// The idempotency key.
    pub key: Option<IdempotencyKey>,
    /// The message.
    pub content: String,
}

/// The parameters of a `wait_messages`, and where it comes from.
#[derive(Debug)]
pub struct WaitCall<'a> {
    /// The user.
    pub name: &'a UserName,
    /// The room.
    pub room: &'a RoomName,
    /// The cursor.
    pub after: u64,
    /// The time to wait, at most [`MAX_WAIT`](crate::chat::MAX_WAIT).
    pub time: Duration,
    /// The address of the caller.
    pub address: Option<IpAddr>,
}

/// The consequences of an entry that was applied.
#[derive(Debug)]
pub struct Applied<T> {
    /// The wait of a user who has left the room.
    pub ended: Option<Delivery<T>>,
    /// Whether [`Core::due`](super::Core::due) has something to deliver.
    pub wakes: bool,
    /// The events for open streams, in the order in which they are to be sent.
    pub events: Vec<RoomEvent>,
}
