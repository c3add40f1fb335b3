//! The thread that answers waiting calls, so that a sender does not pay for a thousand receivers.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use super::{Chat, reply};

/// Wakes the thread that delivers: now, or by a time.
#[derive(Debug, Default)]
pub(super) struct Bell {
    state: Mutex<Rung>,
    condvar: Condvar,
}

#[derive(Debug, Default)]
struct Rung {
    rung: bool,
    /// When the thread wakes by itself, if ever. Valid only while `asleep`.
    sleeps_until: Option<Instant>,
    asleep: bool,
    ended: bool,
}

impl Bell {
    /// Wakes the thread, because there is something to deliver.
    pub(super) fn ring(&self) {
        let mut state = self.state.lock();
        state.rung = true;
        if state.asleep {
            self.condvar.notify_one();
        }
    }

    /// Sees to it that the thread is awake at `time`.
    pub(super) fn ring_by(&self, time: Instant) {
        let mut state = self.state.lock();
        if state.asleep && state.sleeps_until.is_some_and(|until| until <= time) {
            return;
        }
        state.rung = true;
        if state.asleep {
            self.condvar.notify_one();
        }
    }

    /// Ends the thread.
    pub(super) fn end(&self) {
        self.state.lock().ended = true;
        self.condvar.notify_one();
    }

    /// Waits until it rings or until `time`. Returns false if the thread is to end.
    fn wait(&self, time: Option<Instant>) -> bool {
        let mut state = self.state.lock();
        state.asleep = true;
        state.sleeps_until = time;
        while !state.rung && !state.ended {
            match time {
                Some(time) => {
                    if self.condvar.wait_until(&mut state, time).timed_out() {
                        break;
                    }
                }
                None => self.condvar.wait(&mut state),
            }
        }
        state.asleep = false;
        state.rung = false;
        !state.ended
    }
}

/// Replies to waiting calls until the bell says that the thread is to end.
pub(super) fn deliver(chat: &Arc<Chat>) {
    let mut next = None;
    while chat.bell.wait(next) {
        let (deliveries, at) = chat.core.lock().due(Instant::now());
        next = at;
        reply(deliveries);
    }
}
