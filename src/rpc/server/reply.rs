//! Sending answers, from any thread. None waits for a reader: the gate keeps what a peer does not take at once.

use std::cell::Cell;
use std::io::Write as _;

pub use gate::Exchange;

use super::page::WebPage;
use super::request::reason;

/// Bodies up to this size go out with their head in one write; a larger one is not copied for that.
const ONE_WRITE: usize = 64 << 10;
/// A thread keeps a buffer up to this size for its next answer.
const KEPT_BUFFER: usize = 16 << 10;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Identifies the connection of a request.
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
#[derive(Debug)]
pub struct Responder {
    /// Empty once the answer is on its way.
    exchange: Option<Exchange>,
    /// If set, the answer is to HEAD: it has no body, though its length is told.
    head_only: bool,
}

impl Responder {
    pub(super) fn new(exchange: Exchange, head_only: bool) -> Self {
        Self { exchange: Some(exchange), head_only }
    }

    /// Sends an XML document as the answer. A connection that ends with it is closed when what is returned is dropped:
    /// who answers many calls does that after the last of them, because it takes as long as answering.
    pub fn xml(mut self, document: &[u8]) -> Option<Exchange> {
        self.send(200, Content::Xml, "", document)
    }

    /// Says that it is not known what became of the call, as a gateway does: a fault would mean that nothing has changed.
    #[cfg(feature = "share")]
    pub fn unknown(self, why: &str) {
        self.text(504, "", &format!("{why}\n"));
    }

    /// The connection that the request came on.
    #[must_use]
    pub fn connection(&self) -> Option<ConnectionId> {
        self.exchange.as_ref().map(|exchange| ConnectionId(exchange.id()))
    }

    /// Returns whether another request waits on the same connection for this answer, or the peer sends nothing more.
    #[must_use]
    pub fn has_pipelined_request(&self) -> bool {
        self.exchange.as_ref().is_some_and(Exchange::has_pipelined_request)
    }

    /// Sends a page.
    pub(super) fn page(mut self, page: &WebPage) {
        self.send(200, Content::Html, page.headers, page.gzip);
    }

    /// Sends a text that is not XML-RPC, for example a refusal, with this header line.
    pub(super) fn text(mut self, status: u16, header: &str, text: &str) {
        self.send(status, Content::Text, header, text.as_bytes());
    }

    /// Hands over the connection to an answer without an end; it is closed when what is returned is dropped. Writing to it
    /// takes what the peer takes, and else says that it would block. Comes with the number of the connection.
    pub(super) fn into_stream(mut self) -> Option<Exchange> {
        self.exchange.take().map(|mut exchange| {
            exchange.close();
            exchange.keep_nothing();
            exchange
        })
    }

    fn send(&mut self, status: u16, content: Content, extra_headers: &str, body: &[u8]) -> Option<Exchange> {
        let mut exchange = self.exchange.take()?;
        let content_type = match content {
            Content::Xml => "text/xml",
            Content::Text => "text/plain; charset=utf-8",
            Content::Html => "text/html; charset=utf-8",
        };
        let keeps_alive = exchange.keeps_alive();
        let connection = match (keeps_alive, exchange.http_1_0) {
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
        let body = if self.head_only { &[] } else { body };
        let apart = body.len() > ONE_WRITE;
        if !apart {
            bytes.extend_from_slice(body);
        }
        let written = exchange.write_all(&bytes).and_then(|()| exchange.write_all(if apart { body } else { &[] }));
        if bytes.capacity() <= KEPT_BUFFER {
            bytes.clear();
            BUFFER.set(bytes);
        }
        if keeps_alive && written.is_ok() {
            // The next request of a connection that goes on has its turn at once.
            return None;
        }
        exchange.close();
        Some(exchange)
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.send(500, Content::Text, "", b"the call was not answered\n");
    }
}
