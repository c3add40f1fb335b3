//! Calls that wait: at older servers of ours, and where a stream does not get through.

use std::time::{Duration, Instant};

use super::super::super::api::Api;
use super::super::position::{Cursor, Position};
use super::poll::POLL;
use super::{Fetched, Presence, Way};
use crate::rpc::{CallError, Fault};

/// How long one wait may last: less than the 60 s that a server allows, and than many a middlebox.
const WAIT: Duration = Duration::from_secs(50);
/// The pause after a wait that ended early without messages: another program of the same user has begun one, and without a
/// pause the two would end each other's waits as fast as they can.
const REPLACED: Duration = Duration::from_secs(1);

pub(super) struct Waiting {
    pub(super) api: Api,
    pub(super) room: String,
    pub(super) cursor: Cursor,
    /// Zero where too many wait from this address already: then the server is asked from time to time.
    time: Duration,
    pause: Duration,
}

impl Waiting {
    pub(super) fn new(api: Api, room: String, cursor: Cursor) -> Self {
        Self { api, room, cursor, time: WAIT, pause: Duration::ZERO }
    }

    /// Fetches what there is, without waiting.
    pub(super) fn fetch(&mut self) -> Result<Fetched, CallError> {
        fetch(&self.api, &self.room, &mut self.cursor, Duration::ZERO)
    }
}

impl Way for Waiting {
    fn next(&mut self) -> Result<Option<Fetched>, CallError> {
        let begun = Instant::now();
        let outcome = fetch(&self.api, &self.room, &mut self.cursor, self.time);
        let is_limited = matches!(&outcome, Err(CallError::Fault(fault)) if fault.code == Fault::LIMIT);
        if is_limited && !self.time.is_zero() {
            self.time = Duration::ZERO;
            return Ok(None);
        }
        self.pause = match &outcome {
            _ if self.time.is_zero() => POLL,
            Ok(fetched) if fetched.messages.is_empty() && begun.elapsed() < REPLACED => REPLACED,
            _ => Duration::ZERO,
        };
        outcome.map(Some)
    }

    fn pause(&self) -> Duration {
        self.pause
    }
}

/// Waits at most for `time` for messages past `cursor`, and moves it past them.
pub(super) fn fetch(api: &Api, room: &str, cursor: &mut Cursor, time: Duration) -> Result<Fetched, CallError> {
    let reply = api.wait_messages(room, cursor.id, time)?;
    if reply.room_id != cursor.room_id {
        return Err(created_anew());
    }
    cursor.id = reply.last_id;
    let position = Position::Numbered(cursor.clone());
    Ok(Fetched { messages: reply.messages, missed: reply.missed, position, presence: Presence::Untold })
}

/// The room of this name is not the one that was joined.
pub(super) fn created_anew() -> CallError {
    CallError::Fault(Fault::new(Fault::NO_SUCH_ROOM, "the room was created anew"))
}
