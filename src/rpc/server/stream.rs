//! Event streams: endless replies (WHATWG HTML, "Server-sent events"), all of them written by one thread.
//!
//! Streams that are sent the same events read one feed. An event is a text that is made once; a stream keeps only its place
//! in the feed's log, and a text that is joined from several events serves all streams that stand at the same place.
//! [`hub`] has the feeds, [`log`] their events, and [`reader`] one stream; this file is the part that other rooms use.

mod hub;
mod log;
mod reader;

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use self::hub::Hub;
use self::log::LoggedEvent;
use self::reader::Stream;
use super::reply::{ConnectionId, Exchange, Responder};
use crate::program::keep_running;

/// The head of every stream. The body has no length and no chunks, and ends with the connection. So each event is one
/// write, and clients of HTTP/1.0 can read it too.
const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n\
                    X-Accel-Buffering: no\r\nConnection: close\r\n\r\n";

/// The readers of a feed who get an event. The chat chooses the number of a reader, who may have several streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// All readers.
    All,
    /// All but this one.
    Except(u64),
    /// Only these two.
    Only(u64, u64),
}

impl Audience {
    fn includes(self, reader: u64) -> bool {
        match self {
            Self::All => true,
            Self::Except(other) => reader != other,
            Self::Only(one, other) => reader == one || reader == other,
        }
    }

    /// Returns whether it names `reader`. All readers who are not named get the same events.
    fn mentions(self, reader: u64) -> bool {
        match self {
            Self::All => false,
            Self::Except(other) => reader == other,
            Self::Only(one, other) => reader == one || reader == other,
        }
    }
}

/// A request for a stream.
#[derive(Debug)]
pub struct StreamRequest {
    query: String,
    /// The header `Last-Event-ID`.
    pub last_event_id: Option<String>,
}

impl StreamRequest {
    pub(super) fn new(url: &str, last_event_id: Option<&str>) -> Self {
        let query = url.split_once('?').map_or("", |(_, query)| query);
        let query = query.split('#').next().unwrap_or_default();
        Self { query: query.to_owned(), last_event_id: last_event_id.map(str::to_owned) }
    }

    /// Returns the value of a parameter of the query, or `None` if it is absent or not percent-encoded UTF-8.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        let pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        let (_, value) = { pairs }.find(|(key, _)| *key == name)?;
        percent_decode(value)
    }
}

/// Decodes a value of a query; a `+` is a space, as forms write it.
pub(crate) fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        bytes.push(match first {
            b'+' => b' ',
            b'%' => {
                let (digits, tail) = rest.split_at_checked(2)?;
                rest = tail;
                let digits = digits.iter().all(u8::is_ascii_hexdigit).then_some(digits)?;
                u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?
            }
            other => *other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// The right to reply to one request for a stream.
#[derive(Debug)]
pub struct Opener {
    pub(super) responder: Responder,
}

impl Opener {
    /// Refuses the stream with this status and text.
    pub fn refuse(self, status: u16, text: &str) {
        self.responder.text(status, "", text);
    }

    /// Opens the stream: `first` is sent at once, and then the events of `feed` that are published from now on and that
    /// `reader` may see. `guard` is dropped when the stream has ended, by the thread that writes. Does not block.
    pub fn open(self, streams: &Streams, feed: u64, reader: u64, mut first: String, guard: impl Send + 'static) {
        let Some(exchange) = self.responder.into_stream() else { return };
        first.insert_str(0, HEAD);
        let connection = exchange.id();
        let outlet = Outlet { exchange, _guard: Box::new(guard) };
        streams.push(StreamCommand::Open(feed, Stream::new(connection, outlet, reader, first.into_bytes())));
    }
}

/// The connection of a stream. The guard goes last: by then the connection is closed.
struct Outlet {
    exchange: Exchange,
    _guard: Box<dyn Send>,
}

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.exchange.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum StreamCommand {
    Open(u64, Stream<Outlet>),
    Publish(u64, LoggedEvent),
    EndAll(Arc<[u8]>),
    Suspect(u64),
}

/// Bytes with which streams begin that may wait to be written before a further one is opened.
const MAX_FIRST: usize = 256 << 10;

#[derive(Default)]
struct Inbox {
    commands: Vec<StreamCommand>,
    /// The bytes with which the streams among them begin.
    first_bytes: usize,
    is_closed: bool,
}

#[derive(Default)]
struct Mailbox {
    inbox: Mutex<Inbox>,
    /// Wakes the thread that writes.
    condvar: Condvar,
    /// Wakes the callers of [`Streams::wait_for_room`].
    has_room: Condvar,
}

/// All streams of a server. Its methods only leave commands for the thread that writes, so they may be called under a lock,
/// and the order of calls is the order of events. Dropping it ends the thread, and all streams without a word.
pub struct Streams {
    mailbox: Arc<Mailbox>,
}

impl std::fmt::Debug for Streams {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Streams")
    }
}

impl Streams {
    /// Starts the thread that writes.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start() -> io::Result<Self> {
        let mailbox = Arc::<Mailbox>::default();
        let served = Arc::clone(&mailbox);
        keep_running("streams", move || write_all(&served))?;
        Ok(Self { mailbox })
    }

    /// Waits until there is room to open a stream, so that a thousand readers who come at once do not each have the members
    /// of a large room in memory. It takes no longer than writing to others, which waits for nobody. No lock may be held.
    pub fn wait_for_room(&self) {
        let mut inbox = self.mailbox.inbox.lock();
        while inbox.first_bytes > MAX_FIRST && !inbox.is_closed {
            self.mailbox.has_room.wait(&mut inbox);
        }
    }

    /// Sends an event to readers of `feed`.
    pub fn publish(&self, feed: u64, to: Audience, event: Arc<[u8]>) {
        self.push(StreamCommand::Publish(feed, LoggedEvent { event, to, is_last: false }));
    }

    /// Sends an event to readers of `feed`, and ends their streams after it.
    pub fn end(&self, feed: u64, to: Audience, event: Arc<[u8]>) {
        self.push(StreamCommand::Publish(feed, LoggedEvent { event, to, is_last: true }));
    }

    /// Sends an event to all streams, as far as they take it at once, and ends them and every later one.
    pub fn end_all(&self, event: Arc<[u8]>) {
        self.push(StreamCommand::EndAll(event));
    }

    /// Finds out soon whether the reader on `connection`, if it has a stream, is gone.
    pub fn suspect(&self, connection: ConnectionId) {
        self.push(StreamCommand::Suspect(connection.0));
    }

    fn push(&self, command: StreamCommand) {
        let mut inbox = self.mailbox.inbox.lock();
        if let StreamCommand::Open(_, stream) = &command {
            inbox.first_bytes += stream.first.len();
        }
        inbox.commands.push(command);
        self.mailbox.condvar.notify_one();
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.mailbox.inbox.lock().is_closed = true;
        self.mailbox.condvar.notify_one();
        self.mailbox.has_room.notify_all();
    }
}

impl Mailbox {
    /// Waits for commands, at most until `deadline`. Returns `None` when there will be none.
    fn wait(&self, deadline: Option<Instant>) -> Option<Vec<StreamCommand>> {
        let mut inbox = self.inbox.lock();
        while inbox.commands.is_empty() && !inbox.is_closed {
            let Some(deadline) = deadline else {
                self.condvar.wait(&mut inbox);
                continue;
            };
            if self.condvar.wait_until(&mut inbox, deadline).timed_out() {
                break;
            }
        }
        inbox.first_bytes = 0;
        self.has_room.notify_all();
        (!inbox.is_closed).then(|| std::mem::take(&mut inbox.commands))
    }
}

/// Writes to all streams until there are no more commands. While it writes, the next commands collect.
fn write_all(mailbox: &Mailbox) {
    let mut hub = Hub::new(Instant::now());
    while let Some(commands) = mailbox.wait(hub.wakes_at()) {
        for command in commands {
            match command {
                StreamCommand::Open(feed, stream) => hub.open(feed, stream),
                StreamCommand::Publish(feed, entry) => hub.publish(feed, entry),
                StreamCommand::EndAll(event) => hub.end_all(&event),
                StreamCommand::Suspect(connection) => hub.suspect(connection, Instant::now()),
            }
        }
        hub.write(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let request =
            StreamRequest::new("/events?username=jo%C3%A3o&room=a+b%2Bc%26d&empty=&bad=%F&worse=%FF#x=y", None);
        assert_eq!(request.parameter("username").as_deref(), Some("joão"));
        assert_eq!(request.parameter("room").as_deref(), Some("a b+c&d"));
        assert_eq!(request.parameter("empty").as_deref(), Some(""));
        for absent in ["bad", "worse", "x", "after"] {
            assert_eq!(request.parameter(absent), None, "{absent}");
        }
        assert_eq!(StreamRequest::new("/events", None).parameter("username"), None);
        assert_eq!(StreamRequest::new("/events?username=%+1", None).parameter("username"), None);
    }
}
