//! A user's session at a server, which survives the loss of the connection, of the server, and of its memory.
//!
//! One thread, the worker, owns everything, so that there are no locks. It makes all calls but those of the listener, a thread
//! that waits for messages and hands them to the worker. [`Event`]s go through a channel to the screen.
//!
//! ```text
//! Session --SessionRequest--> worker --Event--> screen
//!                        ^
//! listener --Fetched-----+
//! ```

mod backoff;
mod listener;
mod outbox;
mod pace;
mod position;
mod presence;
mod receive;
mod reconnect;
mod send;
mod unshown;
mod worker;

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use parking_lot::Mutex;

use super::api::MessageRate;
use super::event::{Draft, Event, Message};
use super::secret::Secrets;
use crate::endpoint::Endpoint;
use crate::program::Failure;
use crate::random;
use crate::rpc::{CallError, Fault};
use worker::{SessionRequest, Task, Worker};

/// The way to find the server.
#[derive(Debug, Clone)]
pub(crate) enum Discovery {
    /// At this address.
    Server(Endpoint),
    /// By asking this binder.
    Binder(Endpoint),
}

/// The configuration of a session.
pub(crate) struct SessionConfig {
    /// The secrets that prove that a name belongs to the user.
    pub(crate) secrets: Secrets,
    /// Called before each attempt to reach the server.
    pub(crate) discover: Box<dyn FnMut() -> Result<Discovery, Failure> + Send>,
}

/// The reason of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SessionError {
    /// The server refuses, and nothing has changed there.
    Refused(Fault),
    /// There is no connection, or it broke. The cause is in the words of the system.
    Unreachable(String),
    /// The binder knows no server.
    NobodyOffers,
    /// The binder knows only this server, which only its own machine can reach.
    OutOfReach(Endpoint),
    /// The program at this address has no binder's procedures.
    NotABinder(Endpoint),
    /// The user has not joined a room.
    InNoRoom,
    /// The session has ended.
    Ended,
}

impl From<CallError> for SessionError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Fault(fault) => Self::Refused(fault),
            error => Self::Unreachable(error.to_string()),
        }
    }
}

/// The typed texts that were not sent before the session was closed.
pub(crate) type Unsent = Vec<String>;

/// The result of a task; `None` before it is done.
type TaskResult<T> = Arc<Mutex<Option<Result<T, SessionError>>>>;

/// A session. All of its methods but [`Session::send`] wait for the server's reply, and fail if the server refuses or cannot be
/// reached, or the session has ended. Those about the room of the user fail with [`SessionError::InNoRoom`] if there is none.
#[derive(Debug)]
pub(crate) struct Session {
    requests: Sender<SessionRequest>,
    /// Disconnected when the worker has ended.
    ended: Receiver<()>,
    /// The number of the newest draft.
    drafts: Cell<u64>,
}

impl Session {
    /// Starts a session without a user; [`Session::register`] comes next.
    ///
    /// # Errors
    /// If a thread cannot be started, or the system has no random numbers.
    pub(crate) fn start(config: SessionConfig) -> Result<(Self, Receiver<Event>), Failure> {
        let (requests, received) = unbounded();
        let (events, shown) = unbounded();
        let (end, ended) = bounded(0);
        let worker = Worker::new(config, random::hex::<8>()?, received, events);
        let run = move || {
            worker.run();
            // The process may exit after this, so the worker has to be gone, and with it what `--local` runs.
            drop(end);
        };
        crate::program::spawn("session", run).map_err(|error| Failure::while_doing("cannot start", error))?;
        Ok((Self { requests, ended, drafts: Cell::new(0) }, shown))
    }

    /// Finds the server and registers the user. After a refusal another name may be tried.
    pub(crate) fn register(&self, name: &str) -> Result<(), SessionError> {
        let name = name.to_owned();
        self.ask(SessionRequest::AtOnce, move |worker| worker.register(name))
    }

    /// Creates a room.
    pub(crate) fn create_room(&self, room: &str) -> Result<(), SessionError> {
        let room = room.to_owned();
        self.ask(SessionRequest::AtOnce, move |worker| worker.call(|api| api.create_room(&room)))
    }

    /// Joins a room, which is created if need be, after everything typed before has been sent. Then [`Event::Joined`] comes.
    pub(crate) fn join(&self, room: &str) -> Result<(), SessionError> {
        let room = room.to_owned();
        self.ask(SessionRequest::InOrder, move |worker| worker.join(room))
    }

    /// Leaves the room, after everything typed before has been sent.
    pub(crate) fn leave(&self) -> Result<(), SessionError> {
        self.ask(SessionRequest::InOrder, Worker::leave)
    }

    /// Sends a message to one user, or to the whole room, after those typed before. Never waits. [`Event::Confirmed`] or
    /// [`Event::Refused`] of the draft follows as soon as there is a connection.
    pub(crate) fn send(&self, text: &str, to: Option<&str>) -> Draft {
        self.drafts.update(|number| number + 1);
        let draft = Draft { id: self.drafts.get(), text: text.to_owned(), to: to.map(str::to_owned) };
        let posted = draft.clone();
        let task: Task = Box::new(move |worker| worker.post(posted));
        // It fails after the end of the session, which `Event::Ended` has reported.
        let _ = self.requests.send(SessionRequest::AtOnce(task));
        draft
    }

    /// Returns the server's limit on the messages of one user; `None` if there is none, or the server does not publish it.
    pub(crate) fn message_rate(&self) -> Result<Option<MessageRate>, SessionError> {
        self.ask(SessionRequest::AtOnce, |worker| {
            worker.login.as_ref().map(|login| login.capabilities.message_rate).ok_or(SessionError::Ended)
        })
    }

    /// Returns the names of all rooms.
    pub(crate) fn rooms(&self) -> Result<Vec<String>, SessionError> {
        self.rooms_within(Duration::MAX)
    }

    /// Returns the names of all rooms, unless the server takes longer than `timeout`.
    pub(crate) fn rooms_within(&self, timeout: Duration) -> Result<Vec<String>, SessionError> {
        let (result, done) = self.request(SessionRequest::AtOnce, |worker| worker.call(super::api::Api::list_rooms))?;
        take(&result, &done, timeout)
    }

    /// Returns the users in `room`, or in the room that the user is in.
    pub(crate) fn users(&self, room: Option<&str>) -> Result<Vec<String>, SessionError> {
        let room = room.map(str::to_owned);
        self.ask(SessionRequest::AtOnce, move |worker| worker.users(room))
    }

    /// Returns the newest messages of the room that the user is in, at most `count`, oldest first.
    pub(crate) fn history(&self, count: usize) -> Result<Vec<Message>, SessionError> {
        self.ask(SessionRequest::AtOnce, move |worker| worker.history(count))
    }

    /// Sends typed messages, for at most `patience`, and unregisters the user. Returns the messages that could not be sent.
    /// Takes at most a few seconds more than `patience`.
    ///
    /// # Errors
    /// If the session has ended before, or does not end in time, because a call waits for its reply.
    pub(crate) fn close(&self, patience: Duration) -> Result<Unsent, SessionError> {
        const UNREGISTERING: Duration = Duration::from_secs(3);
        let close = move |worker: &mut Worker| Ok(worker.close(Instant::now() + patience));
        let (unsent, _) = self.request(SessionRequest::AtOnce, close)?;
        take(&unsent, &self.ended, patience + UNREGISTERING)
    }

    /// Has the worker do `work`, and returns its result.
    fn ask<T: Send + 'static>(
        &self,
        order: fn(Task) -> SessionRequest,
        work: impl FnOnce(&mut Worker) -> Result<T, SessionError> + Send + 'static,
    ) -> Result<T, SessionError> {
        let (result, done) = self.request(order, work)?;
        take(&result, &done, Duration::MAX)
    }

    /// Has the worker do `work`. Returns where its result will be, and a channel that is disconnected when `work` is done, or
    /// will never be.
    fn request<T: Send + 'static>(
        &self,
        order: fn(Task) -> SessionRequest,
        work: impl FnOnce(&mut Worker) -> Result<T, SessionError> + Send + 'static,
    ) -> Result<(TaskResult<T>, Receiver<()>), SessionError> {
        let result = TaskResult::default();
        // Each further type of channel adds 6 KB of code, so the result does not go through the channel.
        let (done, is_done) = bounded(0);
        let slot = Arc::clone(&result);
        let task = move |worker: &mut Worker| {
            let outcome = work(worker);
            *slot.lock() = Some(outcome);
            drop(done);
        };
        self.requests.send(order(Box::new(task))).map_err(|_| SessionError::Ended)?;
        Ok((result, is_done))
    }
}

/// Waits until `done` is disconnected, and takes the result.
fn take<T>(result: &TaskResult<T>, done: &Receiver<()>, timeout: Duration) -> Result<T, SessionError> {
    match done.recv_timeout(timeout) {
        Err(RecvTimeoutError::Timeout) => Err(SessionError::Unreachable("the server does not answer".into())),
        _ => result.lock().take().unwrap_or(Err(SessionError::Ended)),
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_request_whose_session_ends_gets_an_error() {
        let (requests, received) = unbounded();
        let session = Session { requests, ended: crossbeam_channel::never(), drafts: Cell::new(0) };
        let asking = thread::spawn(move || session.rooms());
        while received.is_empty() {
            thread::yield_now();
        }
        drop(received);
        assert_eq!(asking.join().unwrap(), Err(SessionError::Ended));
    }
}
