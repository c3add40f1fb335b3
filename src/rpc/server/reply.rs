//! Answers: one write for head and body, by whichever thread has the answer, and never a thread held by a slow reader.

use std::cell::Cell;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use log::debug;
use parking_lot::Mutex;

use super::connections::Standing;
use super::page::Page;
use super::request::reason;
use super::transport::Transport;
use crate::program::spawn;

/// Answers that may wait for their readers at a time, and their bytes in all; further ones are cut.
const MAX_SLOW: usize = 1024;
const MAX_SLOW_BYTES: usize = 8 << 20;
/// The pauses between attempts to write an answer whose reader is slow: the first, and the longest while nothing goes out.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LAST_PAUSE: Duration = Duration::from_millis(80);
/// A buffer that has grown past this is not kept by its thread.
const KEPT_BUFFER: usize = 64 << 10;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Which connection a request came on. Two requests with the same value came on the same one, unless one was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionId(pub(super) SocketAddr);

/// The kinds of body that are sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Content {
    Xml,
    Text,
    Html,
}

/// How a request wants its connection to go on.
pub(super) struct Terms {
    pub(super) standing: Standing,
    pub(super) client_closes: bool,
    pub(super) server_closes: bool,
    pub(super) http_1_0: bool,
}

/// The right to answer one request, now or later and from any thread. Dropped without an answer, it answers 500.
pub struct Responder {
    /// Empty once the answer is on its way.
    writer: Option<Box<dyn Write + Send>>,
    end: End,
    http_1_0: bool,
    /// For the idle time: a connection that waited longer for its answer has lost its reading half.
    since: Instant,
}

impl std::fmt::Debug for Responder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Responder").field("peer", &self.end.peer).finish_non_exhaustive()
    }
}

impl Responder {
    pub(super) fn new(
        writer: Box<dyn Write + Send>,
        transport: Arc<Transport>,
        peer: SocketAddr,
        terms: &Terms,
    ) -> Self {
        let keep_alive = !terms.client_closes && !terms.server_closes;
        let end = End { transport, peer, standing: terms.standing, client_closes: terms.client_closes, keep_alive };
        Self { writer: Some(writer), end, http_1_0: terms.http_1_0, since: Instant::now() }
    }

    /// Sends an XML document as the answer. A connection that ends with it is closed when what is returned is dropped:
    /// who answers many calls does that after the last of them, because it takes as long as answering.
    pub fn xml(mut self, document: &[u8]) -> Option<Sent> {
        self.send(200, Content::Xml, "", document)
    }

    /// The connection that the request came on.
    #[must_use]
    pub fn connection(&self) -> ConnectionId {
        ConnectionId(self.end.peer)
    }

    /// Whether another request waits on the same connection for this answer.
    #[must_use]
    pub fn has_pipelined_request(&self) -> bool {
        self.end.transport.connections.has_pipelined_request(self.end.peer)
    }

    /// Sends a page.
    pub(super) fn page(mut self, page: &Page, head_only: bool) {
        self.send(200, Content::Html, page.headers, if head_only { &[] } else { page.gzip });
    }

    /// Sends a text that is not XML-RPC, for example a refusal, with this header line.
    pub(super) fn text(mut self, status: u16, header: &str, text: &str, head_only: bool) {
        self.send(status, Content::Text, header, if head_only { "" } else { text }.as_bytes());
    }

    /// Hands over the connection to an answer without an end; it is closed when what is returned is dropped.
    pub(super) fn into_stream(mut self) -> Sent {
        self.end.keep_alive = false;
        Sent { writer: self.writer.take(), end: self.end.clone() }
    }

    fn send(&mut self, status: u16, content: Content, extra_headers: &str, body: &[u8]) -> Option<Sent> {
        let mut writer = self.writer.take()?;
        let end = &mut self.end;
        let late = self.since.elapsed() + Duration::from_secs(1) > end.transport.config.connection_idle;
        if late || end.transport.draining.load(Ordering::Relaxed) {
            end.keep_alive = false;
        }
        let content_type = match content {
            Content::Xml => "text/xml",
            Content::Text => "text/plain; charset=utf-8",
            Content::Html => "text/html; charset=utf-8",
        };
        let connection = match (end.keep_alive, self.http_1_0) {
            (true, true) => "Connection: keep-alive\r\n",
            (true, false) => "",
            (false, _) => "Connection: close\r\n",
        };
        let reason = reason(status);
        let mut bytes = BUFFER.take();
        // Writing to a Vec cannot fail.
        let _ = write!(
            bytes,
            "HTTP/1.1 {status} {reason}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n{connection}{extra_headers}\r\n",
            body.len()
        );
        bytes.extend_from_slice(body);
        let mut sent = 0;
        match write_some(&mut *writer, &bytes, &mut sent) {
            Progress::Blocked => {
                end.transport.slow.take(SlowAnswer { writer, bytes, sent, since: Instant::now(), end: end.clone() });
                return None;
            }
            Progress::Broken => end.keep_alive = false,
            Progress::Done => {}
        }
        if bytes.capacity() <= KEPT_BUFFER {
            bytes.clear();
            BUFFER.set(bytes);
        }
        let sent = Sent { writer: Some(writer), end: end.clone() };
        // The next request of a connection that goes on can be on its way already.
        (!end.keep_alive).then_some(sent)
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.send(500, Content::Text, "", b"the call was not answered\n");
    }
}

/// An answer that is out; what follows it on its connection is done when this is dropped.
pub struct Sent {
    writer: Option<Box<dyn Write + Send>>,
    end: End,
}

impl Sent {
    /// Returns what writes to the connection.
    pub(super) fn writer(&mut self) -> io::Result<&mut (dyn Write + Send)> {
        match &mut self.writer {
            Some(writer) => Ok(&mut **writer),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        // The writer goes first: it is what lets the connection's next answer out.
        self.writer = None;
        self.end.reached();
    }
}

/// What there is to do once an answer is out, or has failed.
#[derive(Clone)]
struct End {
    transport: Arc<Transport>,
    peer: SocketAddr,
    standing: Standing,
    client_closes: bool,
    keep_alive: bool,
}

impl End {
    fn reached(&self) {
        self.transport.finished(self.peer, self.standing, self.keep_alive, self.client_closes);
    }
}

#[derive(Debug)]
pub(super) enum Progress {
    Done,
    /// The peer does not read as fast as we write.
    Blocked,
    /// The connection is gone.
    Broken,
}

/// Writes what is missing of `bytes`, as much as the socket takes at once.
pub(super) fn write_some(writer: &mut dyn Write, bytes: &[u8], sent: &mut usize) -> Progress {
    loop {
        let result = if *sent < bytes.len() {
            writer.write(&bytes[*sent..]).map(|count| *sent += count)
        } else {
            match writer.flush() {
                Ok(()) => return Progress::Done,
                Err(error) => Err(error),
            }
        };
        match result {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return Progress::Blocked;
            }
            Err(_) => return Progress::Broken,
        }
    }
}

/// An answer whose reader is slow.
pub(super) struct SlowAnswer {
    writer: Box<dyn Write + Send>,
    bytes: Vec<u8>,
    sent: usize,
    since: Instant,
    end: End,
}

/// One thread that goes round all answers whose readers are slow, with a pause after each round.
pub(super) struct SlowWriter {
    new: Arc<Mutex<Vec<SlowAnswer>>>,
    wake: Sender<()>,
}

impl SlowWriter {
    /// Starts the thread. An answer of which nothing goes out for `patience` is given up.
    pub(super) fn start(patience: Duration) -> io::Result<Self> {
        let new = Arc::new(Mutex::new(Vec::new()));
        let (wake, woken) = bounded(1);
        let taken = Arc::clone(&new);
        spawn("slow-writer", move || write_slowly(&taken, &woken, patience))?;
        Ok(Self { new, wake })
    }

    fn take(&self, answer: SlowAnswer) {
        let mut new = self.new.lock();
        if new.len() < MAX_SLOW {
            new.push(answer);
            let _ = self.wake.try_send(());
        } else {
            drop(new);
            give_up(answer);
        }
    }
}

fn give_up(mut answer: SlowAnswer) {
    debug!("{} does not read its answer, giving up", answer.end.peer);
    answer.end.keep_alive = false;
    drop(answer.writer);
    answer.end.reached();
}

fn write_slowly(new: &Mutex<Vec<SlowAnswer>>, woken: &Receiver<()>, patience: Duration) {
    let mut answers: Vec<SlowAnswer> = Vec::new();
    let mut pause = FIRST_PAUSE;
    loop {
        if answers.is_empty() {
            if woken.recv().is_err() {
                return;
            }
            pause = FIRST_PAUSE;
        }
        // A new answer waits for its turn like the others: the connection that took no more of it has to empty first.
        thread::sleep(pause);
        let new = std::mem::take(&mut *new.lock());
        for answer in new {
            let waiting: usize = answers.iter().map(|answer| answer.bytes.len()).sum();
            if answers.len() >= MAX_SLOW || waiting + answer.bytes.len() > MAX_SLOW_BYTES {
                give_up(answer);
            } else {
                answers.push(answer);
            }
        }
        let mut has_moved = false;
        let mut still = Vec::with_capacity(answers.len());
        for mut answer in answers {
            let before = answer.sent;
            let progress = write_some(&mut *answer.writer, &answer.bytes, &mut answer.sent);
            has_moved |= answer.sent > before;
            match progress {
                Progress::Done => {
                    drop(answer.writer);
                    answer.end.reached();
                }
                Progress::Broken => give_up(answer),
                Progress::Blocked => {
                    if answer.sent > before {
                        answer.since = Instant::now();
                    }
                    if answer.since.elapsed() > patience { give_up(answer) } else { still.push(answer) }
                }
            }
        }
        answers = still;
        pause = if has_moved { FIRST_PAUSE } else { (pause * 2).min(LAST_PAUSE) };
    }
}
