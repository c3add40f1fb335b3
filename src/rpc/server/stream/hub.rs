//! The feeds and their streams, and the order in which bytes are written. It has no clock and no sockets of its own.
//!
//! A reader who does not read holds up nobody: writes never block, and a stream whose connection takes no more is stuck. Its
//! feed keeps the events that it has not got, up to [`MAX_KEPT`] bytes for all streams together; the stream that has been
//! stuck longest is ended to make room. Nothing is kept while no stream of a feed is stuck.

use std::collections::{BTreeSet, HashMap};
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Audience;
use super::log::{EventLog, LoggedEvent};
use super::reader::{Standing, Stream};

/// The time between two comments to all streams, which keep proxies from closing them and show which readers are gone.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The most bytes that are kept for streams that are stuck.
const MAX_KEPT: usize = 4 << 20;

struct Feed<W> {
    log: EventLog,
    streams: Vec<Stream<W>>,
}

/// All feeds that have streams.
pub(super) struct Hub<W> {
    feeds: HashMap<u64, Feed<W>>,
    next_keep_alive: Instant,
    /// The time of the next attempt to write to a stream that is stuck.
    retry_at: Option<Instant>,
    /// The feeds that have something to write.
    due: BTreeSet<u64>,
    /// The last event of every stream, once there is one.
    farewell: Option<Arc<[u8]>>,
}

impl<W: Write> Hub<W> {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            feeds: HashMap::new(),
            next_keep_alive: now + KEEP_ALIVE,
            retry_at: None,
            due: BTreeSet::new(),
            farewell: None,
        }
    }

    /// Returns when [`Hub::write`] has something to do if nothing happens before.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        let keep_alive = (!self.feeds.is_empty()).then_some(self.next_keep_alive);
        [keep_alive, self.retry_at].into_iter().flatten().min()
    }

    pub(super) fn open(&mut self, id: u64, mut stream: Stream<W>) {
        let feed = self.feeds.entry(id).or_insert_with(Feed::new);
        stream.position = feed.log.end();
        feed.streams.push(stream);
        if let Some(event) = &self.farewell {
            feed.log.push(LoggedEvent { event: Arc::clone(event), to: Audience::All, is_last: true });
        }
        self.due.insert(id);
    }

    pub(super) fn publish(&mut self, id: u64, entry: LoggedEvent) {
        if let Some(feed) = self.feeds.get_mut(&id) {
            feed.log.push(entry);
            self.due.insert(id);
        }
    }

    /// Ends all streams after `event`. Those that do not take it at once are ended without.
    pub(super) fn end_all(&mut self, event: &Arc<[u8]>) {
        self.farewell = Some(Arc::clone(event));
        for (id, feed) in &mut self.feeds {
            feed.log.push(LoggedEvent { event: Arc::clone(event), to: Audience::All, is_last: true });
            self.due.insert(*id);
        }
    }

    /// Finds out whether the reader on `connection` is gone.
    pub(super) fn suspect(&mut self, connection: u64, now: Instant) {
        let found = self.feeds.iter_mut().find_map(|(id, feed)| {
            let index = feed.streams.iter().position(|stream| stream.connection == connection)?;
            Some((*id, feed, index))
        });
        let Some((id, feed, index)) = found else { return };
        if feed.streams[index].suspect(now) == Standing::Ended {
            feed.streams.remove(index);
            feed.trim();
            if feed.streams.is_empty() {
                self.feeds.remove(&id);
            }
        } else {
            let at = self.feeds.get(&id).and_then(|feed| feed.streams.get(index)?.wakes_at());
            self.retry_at = [self.retry_at, at].into_iter().flatten().min();
        }
    }

    /// Writes everything that is due by `now`.
    pub(super) fn write(&mut self, now: Instant) {
        let is_ending = self.farewell.is_some();
        let retries = self.retry_at.is_some_and(|at| at <= now);
        let due = std::mem::take(&mut self.due);
        let tried = if retries { self.feeds.keys().copied().collect() } else { due };
        let mut is_stuck = false;
        for id in tried {
            let Some(feed) = self.feeds.get_mut(&id) else { continue };
            is_stuck |= feed.deliver(now, is_ending);
            if feed.streams.is_empty() {
                self.feeds.remove(&id);
            }
        }
        if now >= self.next_keep_alive {
            self.next_keep_alive = now + KEEP_ALIVE;
            is_stuck |= self.keep_alive(now);
        }
        if is_stuck || self.retry_at.is_some() {
            self.shrink();
            self.retry_at = self.feeds.values().flat_map(|feed| &feed.streams).filter_map(Stream::wakes_at).min();
        }
    }

    /// Writes a comment to every stream. Returns whether one is stuck.
    fn keep_alive(&mut self, now: Instant) -> bool {
        let mut is_stuck = false;
        self.feeds.retain(|_, feed| {
            feed.streams.retain_mut(|stream| {
                let standing = stream.keep_alive(now);
                is_stuck |= standing == Standing::Stuck;
                standing != Standing::Ended
            });
            !feed.streams.is_empty()
        });
        is_stuck
    }

    /// Ends streams that have been stuck longest until no more is kept than may be.
    fn shrink(&mut self) {
        while self.feeds.values().map(Feed::kept).sum::<usize>() > MAX_KEPT {
            let since = |stream: &Stream<W>| stream.stuck.as_ref().map(|stuck| stuck.since);
            let longest = self.feeds.values().flat_map(|feed| feed.streams.iter().filter_map(since)).min();
            let Some(longest) = longest else { return };
            self.feeds.retain(|_, feed| {
                feed.streams.retain(|stream| since(stream) != Some(longest));
                feed.trim();
                !feed.streams.is_empty()
            });
        }
    }
}

impl<W: Write> Feed<W> {
    fn new() -> Self {
        Self { log: EventLog::default(), streams: Vec::new() }
    }

    /// Writes to all streams that are not stuck, and to those whose pause is over. Returns whether one is stuck.
    fn deliver(&mut self, now: Instant, is_ending: bool) -> bool {
        let Self { log, streams } = self;
        let mut joined = None;
        let mut is_stuck = false;
        streams.retain_mut(|stream| {
            let is_tried = is_ending || stream.stuck.as_ref().is_none_or(|stuck| stuck.retry_at <= now);
            if is_tried && stream.advance(log, &mut joined, now) == Standing::Ended
                || stream.confirm(now) == Standing::Ended
            {
                return false;
            }
            is_stuck |= stream.stuck.is_some();
            !(is_ending && stream.stuck.is_some())
        });
        self.trim();
        is_stuck
    }

    /// Drops the entries that all streams have.
    fn trim(&mut self) {
        let end = self.log.end();
        let position = self.streams.iter().map(|stream| stream.position).min();
        self.log.trim(position.unwrap_or(end));
    }

    /// Returns the bytes that are kept for streams that are stuck.
    fn kept(&self) -> usize {
        self.log.bytes + self.streams.iter().map(|stream| stream.first.len()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests;
