//! Answers, by whichever thread has them. None waits for a reader: the gate keeps what a peer does not take at once.

use std::cell::Cell;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use gate::Exchange;

use super::page::WebPage;
use super::request::reason;
use super::transport::Transport;

/// Bodies up to this size go out with their head in one write; a larger one is not copied for that.
const ONE_WRITE: usize = 64 << 10;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Which connection a request came on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionId(pub(super) u64);

/// The kinds of body that are sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Content {
    Xml,
    Text,
    Html,
}

/// The right to answer one request, now or later and from any thread. Dropped without an answer, it answers 500.
pub struct Responder {
    /// Empty once the answer is on its way.
    sent: Option<Sent>,
}

impl std::fmt::Debug for Responder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Responder").field("sent", &self.sent.is_none()).finish_non_exhaustive()
    }
}

impl Responder {
    /// If `may_go_on`, the peer decides whether the connection stays open.
    pub(super) fn new(transport: Arc<Transport>, exchange: Exchange, may_go_on: bool) -> Self {
        let keep_alive = may_go_on && exchange.keep_alive;
        Self { sent: Some(Sent { transport, exchange: Some(exchange), keep_alive }) }
    }

    fn exchange(&self) -> Option<&Exchange> {
        self.sent.as_ref()?.exchange.as_ref()
    }

    /// Sends an XML document as the answer. A connection that ends with it is closed when what is returned is dropped:
    /// who answers many calls does that after the last of them, because it takes as long as answering.
    pub fn xml(mut self, document: &[u8]) -> Option<Sent> {
        self.send(200, Content::Xml, "", document)
    }

    /// Says that it is not known what became of the call, as a gateway does: a fault would mean that nothing has changed.
    #[cfg(feature = "share")]
    pub fn unknown(self, why: &str) {
        self.text(504, "", &format!("{why}\n"), false);
    }

    /// The connection that the request came on.
    #[must_use]
    pub fn connection(&self) -> Option<ConnectionId> {
        self.exchange().map(|exchange| ConnectionId(exchange.id()))
    }

    /// Whether another request waits on the same connection for this answer, or the peer sends nothing more.
    #[must_use]
    pub fn has_pipelined_request(&self) -> bool {
        self.exchange().is_some_and(Exchange::has_pipelined_request)
    }

    /// Sends a page.
    pub(super) fn page(mut self, page: &WebPage, head_only: bool) {
        self.send(200, Content::Html, page.headers, if head_only { &[] } else { page.gzip });
    }

    /// Sends a text that is not XML-RPC, for example a refusal, with this header line.
    pub(super) fn text(mut self, status: u16, header: &str, text: &str, head_only: bool) {
        self.send(status, Content::Text, header, if head_only { "" } else { text }.as_bytes());
    }

    /// Hands over the connection to an answer without an end; it is closed when what is returned is dropped. Writing to it
    /// takes what the peer takes, and else says that it would block. Comes with the number of the connection.
    pub(super) fn into_stream(mut self) -> (u64, Option<Sent>) {
        let id = self.exchange().map_or(0, Exchange::id);
        if let Some(sent) = &mut self.sent {
            sent.keep_alive = false;
        }
        self.exchange().inspect(|exchange| exchange.keep_nothing());
        (id, self.sent.take())
    }

    fn send(&mut self, status: u16, content: Content, extra_headers: &str, body: &[u8]) -> Option<Sent> {
        let mut sent = self.sent.take()?;
        if sent.transport.draining.load(Ordering::Relaxed) {
            sent.keep_alive = false;
        }
        let content_type = match content {
            Content::Xml => "text/xml",
            Content::Text => "text/plain; charset=utf-8",
            Content::Html => "text/html; charset=utf-8",
        };
        let is_old = sent.exchange.as_ref().is_some_and(|exchange| exchange.http_1_0);
        let connection = match (sent.keep_alive, is_old) {
            (true, true) => "Connection: keep-alive\r\n",
            (true, false) => "",
            (false, _) => "Connection: close\r\n",
        };
        let mut bytes = BUFFER.take();
        // Writing to a Vec cannot fail.
        let _ = write!(
            bytes,
            "HTTP/1.1 {status} {}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n{connection}{extra_headers}\r\n",
            reason(status),
            body.len()
        );
        let apart = body.len() > ONE_WRITE;
        if !apart {
            bytes.extend_from_slice(body);
        }
        let written = sent.write_all(&bytes).and_then(|()| sent.write_all(if apart { body } else { &[] }));
        if written.is_err() {
            sent.keep_alive = false;
        }
        bytes.clear();
        BUFFER.set(bytes);
        // The next request of a connection that goes on has its turn at once.
        (!sent.keep_alive).then_some(sent)
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.send(500, Content::Text, "", b"the call was not answered\n");
    }
}

/// A sent reply. Dropping it closes the connection or starts its next request.
pub struct Sent {
    transport: Arc<Transport>,
    /// Empty only while it is dropped.
    exchange: Option<Exchange>,
    keep_alive: bool,
}

impl Write for Sent {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.exchange.as_mut().ok_or(io::ErrorKind::NotConnected)?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        if let Some(exchange) = self.exchange.take() {
            exchange.answered(self.keep_alive);
        }
        self.transport.unanswered.fetch_sub(1, Ordering::SeqCst);
    }
}
