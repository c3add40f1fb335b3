//! A user's session at a server, that survives the loss of the connection, of the server, and of its memory.
//!
//! One thread, the worker, owns everything and makes all calls but one; it needs no locks. The listener is the thread that
//! waits for messages and hands them to the worker. What happens goes through a channel as [`Event`]s.
//!
//! ```text
//! Session --Request--> worker --Event--> whoever shows it
//!                        ^
//! listener --News--------+
//! ```

mod backoff;
mod listener;
mod outbox;
mod position;
mod worker;

use std::fmt;
use std::time::Duration;

use crossbeam_channel::RecvTimeoutError;

use super::event::{Draft, Event, Message};
use super::secret::Secrets;
use crate::channel::{Receiver, Sender, bounded, unbounded};
use crate::endpoint::Endpoint;
use crate::program::Failure;
use crate::rpc::{CallError, Fault};
use worker::{Request, Worker};

/// How to find the server.
#[derive(Debug, Clone)]
pub enum Place {
    /// At this address.
    Server(Endpoint),
    /// Wherever this binder says.
    Binder(Endpoint),
}

/// What a session needs.
pub struct Setup {
    /// How to find the server.
    pub place: Place,
    /// What proves that the name is ours.
    pub secrets: Secrets,
    /// Called before each attempt to reach the server.
    pub prepare: Box<dyn FnMut() -> Result<(), Failure> + Send>,
}

/// Why a command has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionError {
    /// The server refuses it, and nothing has changed there.
    Refused(Fault),
    /// There is no connection, or it broke: the cause, as the system says it.
    Unreachable(String),
    /// The binder knows no server.
    NobodyOffers,
    /// The user has not joined a room.
    InNoRoom,
    /// The session has ended.
    Ended,
}

impl fmt::Display for SessionError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(fault) => formatter.write_str(&fault.message),
            Self::Unreachable(cause) => formatter.write_str(cause),
            Self::NobodyOffers => formatter.write_str("the binder knows no chat server"),
            Self::InNoRoom => formatter.write_str("not in a room"),
            Self::Ended => formatter.write_str("the session has ended"),
        }
    }
}

impl std::error::Error for SessionError {}

impl From<CallError> for SessionError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Fault(fault) => Self::Refused(fault),
            error => Self::Unreachable(error.to_string()),
        }
    }
}

/// What was typed and not sent when the session was closed.
pub type Unsent = Vec<String>;

/// A session. Its methods may be called from any thread; all but [`Session::send`] wait for the server's answer.
#[derive(Debug)]
pub struct Session {
    requests: Sender<Request>,
}

impl Session {
    /// Starts a session without a user; [`Session::register`] comes next.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(setup: Setup) -> Result<(Self, Receiver<Event>), Failure> {
        let (requests, received) = unbounded();
        let (events, shown) = unbounded();
        let worker = Worker::new(setup, received, events);
        crate::program::spawn("session", move || worker.run())
            .map_err(|error| Failure::while_doing("cannot start", error))?;
        Ok((Self { requests }, shown))
    }

    /// Finds the server and registers the user. After a refusal another name may be tried.
    ///
    /// # Errors
    /// The server refuses the name, or cannot be reached.
    pub fn register(&self, name: &str) -> Result<(), SessionError> {
        self.ask(|reply| Request::Register { name: name.to_owned(), reply })
    }

    /// Creates a room.
    ///
    /// # Errors
    /// The server refuses, or cannot be reached; so for all that follow.
    pub fn create_room(&self, room: &str) -> Result<(), SessionError> {
        self.ask(|reply| Request::Create { room: room.to_owned(), reply })
    }

    /// Joins a room, once everything typed before has been sent. [`Event::Joined`] says what is there.
    ///
    /// # Errors
    /// As above.
    pub fn join(&self, room: &str) -> Result<(), SessionError> {
        self.ask(|reply| Request::Join { room: room.to_owned(), reply })
    }

    /// Leaves the room, once everything typed before has been sent.
    ///
    /// # Errors
    /// As above; or the user is in no room.
    pub fn leave(&self) -> Result<(), SessionError> {
        self.ask(|reply| Request::Leave { reply })
    }

    /// Sends to `recipient`, or to the whole room, after what was typed before. Never waits: [`Event::Confirmed`] or
    /// [`Event::Refused`] of this draft follows, and while there is no connection neither.
    pub fn send(&self, draft: Draft, text: &str, recipient: Option<&str>) {
        let recipient = recipient.map(str::to_owned);
        // When the session has ended, `Event::Ended` has said so.
        let _ = self.requests.send(Request::Send { draft, text: text.to_owned(), recipient });
    }

    /// The names of all rooms.
    ///
    /// # Errors
    /// As above.
    pub fn rooms(&self) -> Result<Vec<String>, SessionError> {
        self.ask(|reply| Request::Rooms { reply })
    }

    /// Who is in `room`, or in the room that the user is in.
    ///
    /// # Errors
    /// As above.
    pub fn users(&self, room: Option<&str>) -> Result<Vec<String>, SessionError> {
        self.ask(|reply| Request::Users { room: room.map(str::to_owned), reply })
    }

    /// The newest messages of the room that the user is in, at most `count`, oldest first.
    ///
    /// # Errors
    /// As above.
    pub fn history(&self, count: usize) -> Result<Vec<Message>, SessionError> {
        self.ask(|reply| Request::History { count, reply })
    }

    /// Sends what was typed, at most for `patience`, and unregisters the user. Answers what could not be sent. Takes at most
    /// a few seconds more than `patience`.
    ///
    /// # Errors
    /// The session has ended before, or does not end in time, because a call waits for its answer.
    pub fn close(&self, patience: Duration) -> Result<Unsent, SessionError> {
        const UNREGISTERING: Duration = Duration::from_secs(3);
        let (reply, answer) = bounded(1);
        self.requests.send(Request::Close { patience, reply }).map_err(|_| SessionError::Ended)?;
        answer.recv_timeout(patience + UNREGISTERING).map_err(|error| match error {
            RecvTimeoutError::Timeout => SessionError::Unreachable("the server does not answer".into()),
            RecvTimeoutError::Disconnected => SessionError::Ended,
        })
    }

    fn ask<T>(&self, request: impl FnOnce(Sender<Result<T, SessionError>>) -> Request) -> Result<T, SessionError> {
        let (reply, answer) = bounded(1);
        self.requests.send(request(reply)).map_err(|_| SessionError::Ended)?;
        answer.recv().unwrap_or(Err(SessionError::Ended))
    }
}
