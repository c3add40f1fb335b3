//! The server's side of one request.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::connection::Connection;
use crate::framing::Request;

/// A request that is being answered. What is written to it goes to the peer. Dropped without [`Exchange::answered`], its
/// connection is closed.
pub struct Exchange {
    connection: Arc<Connection>,
    /// The body without the lines of chunks; `None` if the head announced none.
    pub body: Option<Vec<u8>>,
    /// If the peer wants to go on with the connection.
    pub keep_alive: bool,
    /// If the request is one of HTTP/1.0.
    pub http_1_0: bool,
    is_answered: bool,
}

impl Exchange {
    pub(crate) fn begin(connection: Arc<Connection>) -> Option<Self> {
        let (request, body) = connection.begin()?;
        let body = request.has_length.then_some(body);
        let Request { keep_alive, http_1_0, .. } = request;
        Some(Self { connection, body, keep_alive, http_1_0, is_answered: false })
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

    /// Keeps nothing for the peer from now on: a write takes what the peer takes at once, or fails with
    /// [`io::ErrorKind::WouldBlock`]. For answers without an end, whose writer has its own way of waiting.
    pub fn keep_nothing(&self) {
        self.connection.keep_nothing();
    }

    /// Ends the answer. The connection goes on, or ends when the peer has all of it.
    pub fn answered(mut self, keep_alive: bool) {
        self.is_answered = true;
        self.connection.answer(keep_alive);
    }
}

impl io::Write for Exchange {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.connection.write(bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.is_answered {
            self.connection.answer(false);
        }
    }
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Exchange").field("peer", &self.connection.peer).finish_non_exhaustive()
    }
}
