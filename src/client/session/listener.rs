//! The thread that waits for messages, joins and leaves in a room: for events that the server pushes, or by calls.

mod calls;
mod incoming;

use std::io;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::super::api::{Api, RoomNews};
use super::position::ResumePosition;
use crate::rpc::CallError;
use calls::Calls;
use incoming::Incoming;

/// A report of a listener to the worker. After an error nothing more comes.
pub(super) type ListenerReport = Result<Fetched, CallError>;

/// News of the room, and the position after them.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) news: RoomNews,
    pub(super) position: ResumePosition,
}

/// A running listener. Dropping it ends the thread as soon as its call returns, or the stream shows a sign of life.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) reports: Receiver<ListenerReport>,
    _stop: Sender<()>,
}

impl Listener {
    /// Starts to listen in `room` from `position` on; ends after the first error.
    pub(super) fn start(api: Api, room: String, position: ResumePosition) -> io::Result<Self> {
        // It holds nothing: while the screen is full, fetched messages stay with the listener.
        let (sender, reports) = bounded(0);
        let (stop, stopped) = bounded(0);
        let incoming = Incoming::new(Calls::new(api, room, position));
        crate::program::spawn("listen", move || listen(incoming, &sender, &stopped))?;
        Ok(Self { reports, _stop: stop })
    }
}

fn listen(mut incoming: Incoming, reports: &Sender<ListenerReport>, stopped: &Receiver<()>) {
    loop {
        if let Some(outcome) = incoming.next().transpose() {
            let is_last = outcome.is_err();
            if reports.send(outcome).is_err() || is_last {
                return;
            }
        }
        if stopped.recv_timeout(incoming.pause()) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

/// Fetches the messages past `position`, without waiting.
pub(super) fn fetch(api: &Api, room: &str, position: ResumePosition) -> Result<Fetched, CallError> {
    Calls::new(api.clone(), room.to_owned(), position).fetch(Duration::ZERO)
}
