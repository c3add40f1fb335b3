//! One stream: where it stands in the log of its feed, and how it gets on when its reader is slow.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use super::log::{EventLog, JoinedEvents};

const COMMENT: &[u8] = b":\n\n";
/// The pauses between attempts to write to a stream that is stuck, the first and the longest.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(5);
pub(super) const LAST_PAUSE: Duration = Duration::from_millis(320);
/// A stream that takes nothing for this long is ended.
pub(super) const STUCK_TIMEOUT: Duration = Duration::from_secs(30);

/// The time between the two comments to a reader who may be gone: only the second write to a closed connection fails.
const SUSPICION: Duration = Duration::from_millis(200);

/// One open stream.
pub(super) struct Stream<W> {
    /// Identifies its connection.
    pub(super) connection: u64,
    writer: W,
    reader: u64,
    /// The bytes that come before the feed's; empty once they are out.
    pub(super) first: Vec<u8>,
    /// The number of the next entry that it is sent, if it may see it.
    pub(super) position: u64,
    /// The bytes that were written of `first`, or else of that entry.
    offset: usize,
    pub(super) stuck: Option<Stuck>,
    /// The time of the second comment to a reader who may be gone.
    suspect: Option<Instant>,
}

/// A stream whose connection took no more, and the time of the next attempt.
pub(super) struct Stuck {
    pub(super) since: Instant,
    pause: Duration,
    pub(super) retry_at: Instant,
}

/// The state of a stream after an attempt to write to it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has everything.
    Current,
    Stuck,
    Ended,
}

impl<W: Write> Stream<W> {
    pub(super) fn new(connection: u64, writer: W, reader: u64, first: Vec<u8>) -> Self {
        Self { connection, writer, reader, first, position: 0, offset: 0, stuck: None, suspect: None }
    }

    /// Returns when it has to be looked at if nothing happens first.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        [self.suspect, self.stuck.as_ref().map(|stuck| stuck.retry_at)].into_iter().flatten().min()
    }

    /// Writes the first of two comments, which show whether its reader is gone.
    pub(super) fn suspect(&mut self, now: Instant) -> Standing {
        self.suspect = Some(now + SUSPICION);
        self.keep_alive(now)
    }

    /// Writes the second comment, if it is due.
    pub(super) fn confirm(&mut self, now: Instant) -> Standing {
        if self.suspect.take_if(|at| *at <= now).is_some() { self.keep_alive(now) } else { Standing::Current }
    }

    /// Writes as much as the connection takes.
    pub(super) fn advance(&mut self, log: &EventLog, joined: &mut Option<JoinedEvents>, now: Instant) -> Standing {
        let before = (self.position, self.offset, self.first.len());
        let standing = self.write(log, joined);
        if standing == Standing::Stuck {
            let has_moved = before != (self.position, self.offset, self.first.len());
            let stuck = self.stuck.take().filter(|_| !has_moved);
            let (since, pause) = stuck.map_or((now, FIRST_PAUSE), |stuck| (stuck.since, stuck.pause * 2));
            if now.saturating_duration_since(since) > STUCK_TIMEOUT {
                return Standing::Ended;
            }
            let pause = pause.min(LAST_PAUSE);
            self.stuck = Some(Stuck { since, pause, retry_at: now + pause });
        } else {
            self.stuck = None;
        }
        standing
    }

    fn write(&mut self, log: &EventLog, joined: &mut Option<JoinedEvents>) -> Standing {
        if !self.first.is_empty() {
            let standing = write_some(&mut self.writer, &self.first, &mut self.offset);
            if standing != Standing::Current {
                return standing;
            }
            (self.first, self.offset) = (Vec::new(), 0);
        }
        if self.offset > 0
            && let Some(entry) = log.get(self.position)
        {
            let standing = write_some(&mut self.writer, &entry.event, &mut self.offset);
            if standing != Standing::Current {
                return standing;
            }
            (self.position, self.offset) = (self.position + 1, 0);
            if entry.is_last {
                return Standing::Ended;
            }
        }
        while self.position < log.end() {
            let (text, next, is_last) = log.text(self.position, self.reader, joined);
            let mut sent = 0;
            let standing = write_some(&mut self.writer, &text, &mut sent);
            if standing != Standing::Current {
                (self.position, self.offset) = log.place(self.position, self.reader, sent);
                return standing;
            }
            self.position = next;
            if is_last {
                return Standing::Ended;
            }
        }
        Standing::Current
    }

    /// Writes a comment, if nothing else is on its way.
    pub(super) fn keep_alive(&mut self, now: Instant) -> Standing {
        if self.stuck.is_some() {
            return Standing::Stuck;
        }
        let standing = write_some(&mut self.writer, COMMENT, &mut 0);
        if standing == Standing::Stuck {
            self.stuck = Some(Stuck { since: now, pause: FIRST_PAUSE, retry_at: now + FIRST_PAUSE });
        }
        standing
    }
}

/// Writes what is missing of `bytes` after the first `sent`, as much as the connection takes at once.
fn write_some(writer: &mut dyn Write, bytes: &[u8], sent: &mut usize) -> Standing {
    while *sent < bytes.len() {
        match writer.write(&bytes[*sent..]) {
            Ok(count) => *sent += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Standing::Stuck,
            Err(_) => return Standing::Ended,
        }
    }
    Standing::Current
}
