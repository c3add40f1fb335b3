//! Calls for messages: waiting calls at older servers of ours and where a stream does not get through, and short ones from
//! time to time at the original's server.

use std::time::{Duration, Instant};

use super::super::super::api::{Api, PresenceNews, RoomNews, created_anew};
use super::super::position::ResumePosition;
use super::Fetched;
use crate::rpc::{CallError, Fault};

/// The time of one wait: less than the 60 s that a server allows, and less than the timeout of many middleboxes.
const WAIT: Duration = Duration::from_secs(50);
/// The pause after a wait that ended early without messages. Then another program of the same user has begun one, and without
/// a pause the two would end each other's waits as fast as they can.
const REPLACED: Duration = Duration::from_secs(1);
/// The pause between calls that do not wait.
const POLL: Duration = Duration::from_secs(2);

pub(super) struct Calls {
    pub(super) api: Api,
    pub(super) room: String,
    pub(super) position: ResumePosition,
    /// Zero at a server without `wait_messages`, and if too many calls wait from this address already.
    wait: Duration,
    /// The pause before the next call.
    pub(super) pause: Duration,
}

impl Calls {
    pub(super) fn new(api: Api, room: String, position: ResumePosition) -> Self {
        let wait = if matches!(position, ResumePosition::Numbered(_)) { WAIT } else { Duration::ZERO };
        Self { api, room, position, wait, pause: Duration::ZERO }
    }

    /// Waits at most for `wait` for messages past the position, and moves it past them.
    pub(super) fn fetch(&mut self, wait: Duration) -> Result<Fetched, CallError> {
        let (messages, missed) = match &mut self.position {
            ResumePosition::Numbered(cursor) => {
                let reply = self.api.wait_messages(&self.room, cursor.id, wait)?;
                if reply.room_id != cursor.room_id {
                    return Err(created_anew());
                }
                cursor.id = reply.last_id;
                (reply.messages, reply.missed)
            }
            ResumePosition::Stamped(overlap) => {
                let later = self.api.receive_new_messages(&self.room, &overlap.asks_from())?;
                (overlap.advance(later), 0)
            }
        };
        let news = RoomNews { messages, missed, presence: PresenceNews::Untold };
        Ok(Fetched { news, position: self.position.clone() })
    }

    /// Makes the next call. `None` if it has to be made in another way.
    pub(super) fn next(&mut self) -> Result<Option<Fetched>, CallError> {
        let begun = Instant::now();
        let outcome = self.fetch(self.wait);
        let is_limited = matches!(&outcome, Err(CallError::Fault(fault)) if fault.code == Fault::LIMIT);
        if is_limited && !self.wait.is_zero() {
            self.wait = Duration::ZERO;
            return Ok(None);
        }
        self.pause = match &outcome {
            _ if self.wait.is_zero() => POLL,
            Ok(fetched) if fetched.news.messages.is_empty() && begun.elapsed() < REPLACED => REPLACED,
            _ => Duration::ZERO,
        };
        outcome.map(Some)
    }
}
