//! Replies to waiting calls, on a thread of its own, so that a sender does not pay for a thousand receivers.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use super::waits::{Delivery, Ticket};
use super::{Chat, wire};
use crate::rpc::{ConnectionId, Deferred};

impl Ticket for Deferred {
    type ConnectionId = Option<ConnectionId>;

    fn connection(&self) -> Self::ConnectionId {
        self.connection()
    }

    fn has_pipelined_request(&self) -> bool {
        self.has_pipelined_request()
    }
}

/// Sends `deliveries`, and closes connections only then. Each reply is written once; nothing blocks on a slow reader.
pub(super) fn reply(deliveries: impl IntoIterator<Item = Delivery<Deferred>>) {
    let mut sent = Vec::new();
    for delivery in deliveries {
        let document = wire::page(&delivery.page);
        sent.extend(delivery.tickets.into_iter().filter_map(|ticket| ticket.document(&document)));
    }
}

/// Wakes the thread that delivers.
#[derive(Debug, Default)]
pub(super) struct Bell {
    alarm: Mutex<Alarm>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Alarm {
    /// The time at which the thread has something to do; it does not sleep past this.
    at: Option<Instant>,
    is_ending: bool,
}

impl Bell {
    /// Sees to it that the thread looks for something to deliver at `time`, or before.
    pub(super) fn ring_by(&self, time: Instant) {
        let mut alarm = self.alarm.lock();
        if alarm.at.is_none_or(|at| time < at) {
            alarm.at = Some(time);
            self.changed.notify_one();
        }
    }

    /// Ends the thread.
    pub(super) fn end(&self) {
        self.alarm.lock().is_ending = true;
        self.changed.notify_one();
    }

    /// Waits until it is time. Returns false if the thread is to end.
    fn wait(&self) -> bool {
        let mut alarm = self.alarm.lock();
        while !alarm.is_ending {
            match alarm.at {
                Some(at) if at <= Instant::now() => {
                    alarm.at = None;
                    return true;
                }
                Some(at) => drop(self.changed.wait_until(&mut alarm, at)),
                None => self.changed.wait(&mut alarm),
            }
        }
        false
    }
}

impl Chat {
    /// Replies to waiting calls until the bell says that the thread is to end.
    pub(super) fn deliver(self: &Arc<Self>) {
        while self.bell.wait() {
            let (deliveries, next) = self.core.lock().due(Instant::now());
            if let Some(next) = next {
                self.bell.ring_by(next);
            }
            reply(deliveries);
        }
    }

    /// Ends the wait on `connection`, where another request has arrived or the peer has said that it sends no more; if it is a
    /// stream, the reader may be gone.
    pub(super) fn end_wait_on(&self, connection: ConnectionId) {
        let mut core = self.core.lock();
        let (ended, streams) = (core.end_wait_on(Some(connection)), core.readers.len());
        drop(core);
        reply(ended);
        if streams > 0 {
            self.streams.suspect(connection);
        }
    }

    /// Ends all waits, and lets nobody wait any more.
    pub(super) fn end_all_waits(&self) {
        let ended = self.core.lock().end_all_waits();
        reply(ended);
    }
}
