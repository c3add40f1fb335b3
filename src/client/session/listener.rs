//! The thread that waits for messages.

use std::io;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::super::api::Api;
use super::super::event::Message;
use super::position::Position;
use crate::rpc::{CallError, Fault};

/// How long one wait may last: less than the 60 s that a server allows, and than many a middlebox.
const WAIT: Duration = Duration::from_secs(50);
/// How often a server that cannot wait is asked.
const POLL: Duration = Duration::from_secs(2);
/// The pause after a wait that ended early without messages: another program of the same user has begun one, and without a
/// pause the two would end each other's waits as fast as they can.
const REPLACED: Duration = Duration::from_secs(1);

/// A report of a listener to the worker.
#[derive(Debug)]
pub(super) struct Report {
    /// Identifies the listener; reports of earlier ones are dropped.
    pub(super) number: u64,
    pub(super) outcome: Result<Fetched, CallError>,
}

/// Fetched messages, and the position after them.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) messages: Vec<Message>,
    pub(super) missed: u64,
    pub(super) position: Position,
}

/// A running listener. Dropping it ends the thread as soon as its call returns.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) number: u64,
    _stop: Sender<()>,
}

impl Listener {
    /// Starts to listen in `room` from `position` on; ends after the first error.
    pub(super) fn start(
        number: u64,
        api: Api,
        room: String,
        position: Position,
        reports: Sender<Report>,
    ) -> io::Result<Self> {
        let (stop, stopped) = bounded(0);
        let listen = move || listen(number, &api, &room, position, &reports, &stopped);
        crate::program::spawn("listen", listen)?;
        Ok(Self { number, _stop: stop })
    }
}

fn listen(
    number: u64,
    api: &Api,
    room: &str,
    mut position: Position,
    reports: &Sender<Report>,
    stopped: &Receiver<()>,
) {
    // None where too many wait from this address already: then the server is asked from time to time.
    let mut wait = WAIT;
    loop {
        let begun = Instant::now();
        let outcome = fetch(api, room, position.clone(), wait);
        let is_limited = matches!(&outcome, Err(CallError::Fault(fault)) if fault.code == Fault::LIMIT);
        if is_limited && !wait.is_zero() {
            wait = Duration::ZERO;
            continue;
        }
        let pause = match (&position, &outcome) {
            (Position::Stamped(_), _) => POLL,
            (Position::Numbered(_), _) if wait.is_zero() => POLL,
            (Position::Numbered(_), Ok(batch)) if batch.messages.is_empty() && begun.elapsed() < REPLACED => REPLACED,
            (Position::Numbered(_), _) => Duration::ZERO,
        };
        if let Ok(batch) = &outcome {
            position = batch.position.clone();
        }
        let failed = outcome.is_err();
        if reports.send(Report { number, outcome }).is_err() || failed {
            return;
        }
        if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

/// What there is past `position`, waiting for it at most for `time` where the server can.
pub(super) fn fetch(api: &Api, room: &str, position: Position, time: Duration) -> Result<Fetched, CallError> {
    match position {
        Position::Numbered(mut cursor) => {
            let news = api.wait_messages(room, cursor.id, time)?;
            if news.room_id != cursor.room_id {
                return Err(CallError::Fault(Fault::new(Fault::NO_SUCH_ROOM, "the room was created anew")));
            }
            cursor.id = news.last_id;
            Ok(Fetched { messages: news.messages, missed: news.missed, position: Position::Numbered(cursor) })
        }
        Position::Stamped(mut overlap) => {
            let answer = api.receive_new_messages(room, &overlap.asks_from())?;
            let messages = overlap.advance(answer);
            Ok(Fetched { messages, missed: 0, position: Position::Stamped(overlap) })
        }
    }
}
