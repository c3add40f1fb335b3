//! Sending typed messages.

use std::time::{Duration, Instant};

use super::super::api::UNNUMBERED;
use super::super::event::{Draft, Event};
use super::worker::Worker;
use crate::rpc::{CallError, Fault};

/// The pause after the server found the user too fast.
const SLOWER: Duration = Duration::from_millis(250);
/// The most attempts at a message, if the server does not know the user or the room any more.
const RESTORES: u32 = 3;

impl Worker {
    pub(super) fn post(&mut self, draft: Draft) {
        if self.room.is_some() {
            self.outbox.push(draft);
        } else {
            let fault = Fault::new(Fault::NOT_IN_ROOM, "the user is not in a room");
            self.tell(Event::Refused { draft, fault });
        }
    }

    /// Sends the first message in the outbox, if it may be sent.
    pub(super) fn send_next(&mut self) {
        for _ in 0..RESTORES {
            let (Ok(api), Some(room)) = (self.api(), &self.room) else { return };
            let Some(draft) = self.outbox.next(Instant::now()) else { return };
            let key = self.outbox.key(draft);
            match api.send_message(&room.name, &draft.text, draft.to.as_deref(), &key) {
                Ok(()) => {
                    if let Some(draft) = self.outbox.sent(Instant::now()) {
                        self.tell(Event::Confirmed(draft));
                    }
                    return;
                }
                Err(CallError::Fault(fault)) if fault.code == Fault::TOO_FAST => {
                    return self.outbox.pause(Instant::now() + SLOWER);
                }
                Err(CallError::Fault(fault)) => {
                    let is_out = matches!(fault.code, Fault::NO_SUCH_ROOM | Fault::NOT_IN_ROOM);
                    if !is_out && !self.is_forgotten(&fault) {
                        return self.give_back(fault);
                    }
                    // The user was idle for too long, or the server was restarted and the listener has not noticed yet. If
                    // coming back fails, an outage has begun.
                    if self.restore().is_err() {
                        return;
                    }
                }
                Err(CallError::Busy { retry_after, .. }) => {
                    return self.outbox.pause(Instant::now() + retry_after);
                }
                Err(error @ (CallError::Malformed(_) | CallError::Status(_))) => {
                    return self.give_back(Fault::new(UNNUMBERED, error.to_string()));
                }
                Err(error) => {
                    if !error.is_safe_to_repeat()
                        && let Some(draft) = self.outbox.mark_in_doubt()
                    {
                        let fault = Fault::new(UNNUMBERED, error.to_string());
                        self.tell(Event::Refused { draft, fault });
                    }
                    return self.lose(&error);
                }
            }
        }
        self.give_back(Fault::new(Fault::NOT_IN_ROOM, "the user is not in this room"));
    }

    fn give_back(&mut self, fault: Fault) {
        if let Some(draft) = self.outbox.give_back() {
            self.tell(Event::Refused { draft, fault });
        }
    }
}
