//! The source of a listener's news: events that the server pushes. Where it pushes none, or they do not get through, calls take
//! their place.

use std::time::{Duration, Instant};

use log::debug;

use super::super::super::api::{PresenceNews, RoomNews, RoomStream};
use super::Fetched;
use super::calls::Calls;
use crate::rpc::CallError;
use crate::sanitize::Sanitized;

/// If two streams in a row end sooner than this, they do not get through.
const TOO_SHORT: Duration = Duration::from_secs(1);
/// The time in which waiting calls take the place of streams that do not get through.
const RETRY: Duration = Duration::from_secs(600);
/// The same time if the server has too many streams. Some of them may be broken ones of this user, which it notices within 30 s.
const RETRY_BUSY: Duration = Duration::from_secs(30);

pub(super) struct Incoming {
    /// Has the position, and finds out why a stream has ended.
    calls: Calls,
    /// If set, the server has streams, as all do that name rooms.
    has_streams: bool,
    stream: Option<RoomStream>,
    opened_at: Instant,
    was_short: bool,
    /// The end of the time in which waiting calls take the place of a stream.
    given_up_until: Option<Instant>,
}

impl Incoming {
    pub(super) fn new(calls: Calls) -> Self {
        let has_streams = calls.position.room_id().is_some();
        Self { calls, has_streams, stream: None, opened_at: Instant::now(), was_short: false, given_up_until: None }
    }

    /// Waits for more. `None` is a sign of life without anything new.
    pub(super) fn next(&mut self) -> Result<Option<Fetched>, CallError> {
        if !self.has_streams || self.given_up_until.is_some_and(|until| Instant::now() < until) {
            return self.calls.next();
        }
        self.given_up_until = None;
        let Some(stream) = &mut self.stream else { return self.open() };
        match stream.next() {
            Ok(news) => Ok(news.map(|news| self.take(news))),
            Err(error @ CallError::Fault(_)) => Err(error),
            Err(error) => {
                debug!("the stream has ended: {}", Sanitized(&error.to_string()));
                self.ended()
            }
        }
    }

    /// Returns the pause before waiting for more.
    pub(super) fn pause(&self) -> Duration {
        if !self.has_streams || self.given_up_until.is_some() { self.calls.pause } else { Duration::ZERO }
    }

    /// Opens the stream, and waits for its first event.
    fn open(&mut self) -> Result<Option<Fetched>, CallError> {
        self.opened_at = Instant::now();
        let Calls { api, room, position, .. } = &self.calls;
        let opened = api.events(room, position.room_id().unwrap_or_default(), position.last_id());
        let first = opened.and_then(|mut stream| {
            let news = stream.next()?;
            Ok((stream, news))
        });
        match first {
            Ok((stream, news)) => {
                self.stream = Some(stream);
                Ok(news.map(|news| self.take(news)))
            }
            Err(error @ CallError::Fault(_)) => Err(error),
            // A call shows whether it is only the stream that does not get through.
            Err(error) => {
                debug!("no stream: {}", Sanitized(&error.to_string()));
                let pause = if matches!(error, CallError::Busy { .. }) { RETRY_BUSY } else { RETRY };
                self.given_up_until = Some(Instant::now() + pause);
                self.calls.next()
            }
        }
    }

    fn take(&mut self, news: RoomNews) -> Fetched {
        news.messages.iter().for_each(|message| self.calls.position.pass(message));
        Fetched { news, position: self.calls.position.clone() }
    }

    /// Makes a call after a stream has ended: it shows whether the user is still in the room, and fetches the messages since.
    fn ended(&mut self) -> Result<Option<Fetched>, CallError> {
        self.stream = None;
        let is_short = self.opened_at.elapsed() < TOO_SHORT;
        if std::mem::replace(&mut self.was_short, is_short) && is_short {
            self.given_up_until = Some(Instant::now() + RETRY);
        }
        let mut fetched = self.calls.fetch(Duration::ZERO)?;
        // Another stream follows, and says who is there.
        fetched.news.presence = PresenceNews::Unchanged;
        Ok(Some(fetched))
    }
}
