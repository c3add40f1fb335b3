//! Stands between the system and an HTTP server that trusts what it reads. tiny_http, for which it was made, reads lines and
//! bodies of any length into memory, keeps a thread for every connection, ends for good at an error of `accept`, and waits for
//! slow peers. From outside none of that can be changed. But std, on which it is built, accepts, reads, writes and closes by
//! functions of the C library, and a program may define these itself, as `symbols` does.
//!
//! So connections are the gate's. It reads them all by one event loop, follows the framing of HTTP ([`framing`]), and hands
//! the server a connection only when a whole request has come on it that is as long as is allowed: the thread that reads it
//! never waits, whatever the peer does. The next request is handed over when the one before is answered. What the
//! server writes never waits either: the gate keeps what the peer does not take at once.
//!
//! ```text
//!   peers ──► event loop, in `accept4` ──► recv: one whole request ──► the server's workers
//!     ▲        deadlines, limits, 4xx                                        │
//!     └──────────────── what a peer takes at once, the rest later ◄── send ──┘
//! ```
//!
//! Where the one calls in for the other, the server asks for the [`Exchange`] of a request that it took
//! ([`Gate::begin`]), and says when it is answered ([`Exchange::answered`]).

mod connection;
pub mod framing;
mod shared;
mod symbols;
mod table;

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::Weak;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike as _};

use connection::Connection;
use shared::Shared;

/// Panics in the gate's own code, which cost one connection each.
pub(crate) static PANICS: AtomicU64 = AtomicU64::new(0);

/// What a gate lets through.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The largest body of a request, in bytes.
    pub body_bytes: usize,
    /// Connections at a time. When there are more, the one that has been without traffic for longest is closed.
    pub connections: usize,
    /// Connections at a time from one IPv4 address or one IPv6 network of 64 bits; 0 for no limit.
    pub connections_per_address: usize,
    /// Descriptors that the process may have.
    pub descriptors: usize,
    /// How long a connection may be silent, a request take to come, and a peer take nothing of what it is sent.
    pub idle: Duration,
    /// Who may have any number of connections, beside this machine.
    pub trusted: Vec<IpAddr>,
    /// Whether accepted sockets lack the options that [`Gate::open`] sets on the listener, because connections came before.
    pub inherits_nothing: bool,
}

impl Limits {
    /// Whether the limits for each address do not concern `ip`.
    #[must_use]
    pub fn trusts(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip.is_loopback() || self.trusted.contains(&ip)
    }
}

/// Who is told what happens on a connection while it waits for its answer. The number is that of [`Exchange::id`].
pub trait Events: Send + Sync {
    /// Another request has come.
    fn pipelined(&self, connection: u64);

    /// The peer sends nothing more. It may have closed the connection.
    fn hung_up(&self, connection: u64);

    /// The thread that accepted connections has ended, as one does that cannot start another thread.
    fn ended(&self);
}

/// Figures for operators.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections accepted.
    pub accepted: AtomicU64,
    /// Requests refused for what they are.
    pub refused: AtomicU64,
    /// Connections refused because there were too many.
    pub turned_away: AtomicU64,
    /// Connections closed to make room for others.
    pub evicted: AtomicU64,
}

/// A gate before one listener.
#[derive(Clone)]
pub struct Gate(Arc<Shared>);

impl Gate {
    /// Opens a gate before `listener`. From now on what is accepted from it by [`TcpListener::accept`], also after it was moved,
    /// comes through the gate.
    ///
    /// # Errors
    /// If the program is not built so that std's calls come here, or the system refuses what the gate needs.
    pub fn open(listener: &TcpListener, limits: Limits) -> io::Result<Self> {
        symbols::check()?;
        let own = listener.try_clone()?;
        own.set_nonblocking(true)?;
        // Accepted sockets inherit these.
        setsockopt(&own, sockopt::TcpNoDelay, &true)?;
        setsockopt(&own, sockopt::ReceiveTimeout, &TimeVal::milliseconds(shared::LINGER.as_millis() as i64))?;
        let gate = Self(Arc::new(Shared::new(own, limits)?));
        gate.listen(listener)?;
        Ok(gate)
    }

    /// Sets who is told what happens on connections. Only the first call counts.
    pub fn on_events(&self, events: Weak<dyn Events>) {
        let _ = self.0.events.set(events);
    }

    /// Takes the right to answer a request, whose peer is `peer` for the HTTP server. `None` for what it must not answer: the
    /// connection is gone, or it took for a request what was none.
    #[must_use]
    pub fn begin(&self, peer: SocketAddr) -> Option<Exchange> {
        let (slot, serial, visit) = Connection::parse_token(peer)?;
        let connection = table::by_slot(slot).filter(|connection| connection.begin(serial, visit))?;
        Some(Exchange { connection, ended: false })
    }

    /// Has what is accepted from `listener`, a duplicate of the one it was opened for, come through it too.
    ///
    /// # Errors
    /// If the number of its descriptor is too large.
    pub fn listen(&self, listener: &TcpListener) -> io::Result<()> {
        if table::listen(listener.as_raw_fd(), Arc::clone(&self.0)) {
            return Ok(());
        }
        Err(io::Error::other("the listener's descriptor is too large a number"))
    }

    /// Whether there is a thread that accepts connections.
    #[must_use]
    pub fn is_accepting(&self) -> bool {
        self.0.accepting.load(Ordering::SeqCst) > 0
    }

    /// Accepts no more connections.
    pub fn drain(&self) {
        self.0.drain();
    }

    /// Connections that are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.0.open()
    }

    /// Bytes of answers that peers have not taken yet.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.0.unsent()
    }

    /// What has been counted since it was opened.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// Panics in the code of all gates.
    #[must_use]
    pub fn panics() -> u64 {
        PANICS.load(Ordering::Relaxed)
    }
}

/// A request that is being answered. Dropped without [`Exchange::answered`], its connection is closed.
pub struct Exchange {
    connection: Arc<Connection>,
    ended: bool,
}

impl Exchange {
    /// The connection's number. No other connection of this process has it, now or later.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.connection.id()
    }

    /// The peer's address.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.connection.peer
    }

    /// Whether another request has come behind this one, or nothing more will: then the answer should not be held back.
    #[must_use]
    pub fn has_pipelined_request(&self) -> bool {
        self.connection.has_more()
    }

    /// Whether the peer is still there, as far as is known.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.connection.is_open()
    }

    /// Bytes that were written and that the peer has not taken yet.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.connection.unsent()
    }

    /// Nothing is kept for the peer from now on: a write takes what the peer takes at once, or fails with
    /// [`io::ErrorKind::WouldBlock`]. For answers without an end, whose writer has its own way of waiting.
    pub fn keep_nothing(&self) {
        self.connection.keep_nothing();
    }

    /// The answer has been written. The connection goes on, or ends when the peer has all of it.
    pub fn answered(mut self, keep_alive: bool) {
        self.end(keep_alive);
    }

    fn end(&mut self, keep_alive: bool) {
        if !std::mem::replace(&mut self.ended, true) {
            self.connection.answer(keep_alive);
        }
    }
}

/// Writes the answer, past the HTTP server, whose own writer can be dropped before: it has a buffer and a descriptor. Never
/// waits: what the peer does not take at once is kept for it.
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
        self.end(false);
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Gate").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Exchange").field("peer", &self.connection.peer).finish_non_exhaustive()
    }
}
