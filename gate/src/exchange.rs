//! The server's side of one request.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::connection::Connection;

/// A request that is being answered. What is written to it goes to the peer. When it is dropped, the connection goes on or
/// ends; without an answer it ends.
pub struct Exchange {
    connection: Arc<Connection>,
    /// The body without the lines of chunks; `None` if the head announced none.
    pub body: Option<Vec<u8>>,
    /// If the request is one of HTTP/1.0.
    pub http_1_0: bool,
    keep_alive: bool,
    is_answered: bool,
}

impl Exchange {
    pub(crate) fn begin(connection: Arc<Connection>) -> Option<Self> {
        let gate = &connection.gate;
        // Before it is looked whether it may begin, or `Gate::finish` could miss it.
        gate.exchanges.fetch_add(1, Ordering::SeqCst);
        let begun = if gate.is_finished.load(Ordering::SeqCst) { None } else { connection.begin() };
        let Some((request, body)) = begun else {
            gate.exchanges.fetch_sub(1, Ordering::SeqCst);
            return None;
        };
        Some(Self {
            connection,
            body: request.has_length.then_some(body),
            http_1_0: request.http_1_0,
            keep_alive: request.keep_alive,
            is_answered: false,
        })
    }

    /// Returns the connection's number. No other connection of this gate has it, now or later.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.connection.id
    }

    /// Returns the peer's address.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.connection.peer
    }

    /// Returns whether another request has come behind this one, or nothing more will: then the answer should not be held back.
    #[must_use]
    pub fn has_pipelined_request(&self) -> bool {
        self.connection.has_more()
    }

    /// Returns whether the connection goes on after this answer, which has to say so.
    #[must_use]
    pub fn keeps_alive(&self) -> bool {
        self.keep_alive && !self.connection.gate.is_draining.load(Ordering::SeqCst)
    }

    /// Makes this answer the last one of its connection.
    pub fn close(&mut self) {
        self.keep_alive = false;
    }

    /// Keeps nothing for the peer from now on: a write takes what the peer takes at once, or fails with
    /// [`io::ErrorKind::WouldBlock`]. For answers without an end, whose writer has its own way of waiting.
    pub fn keep_nothing(&self) {
        self.connection.keep_nothing();
    }
}

/// Never waits: what the peer does not take at once is kept for it.
impl io::Write for Exchange {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.is_answered = true;
        Ok(self.connection.write(bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.connection.answer(self.keep_alive && self.is_answered);
        self.connection.gate.exchanges.fetch_sub(1, Ordering::SeqCst);
    }
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Exchange").field("peer", &self.connection.peer).finish_non_exhaustive()
    }
}
