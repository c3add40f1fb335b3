//! Stands between the system and an HTTP server that trusts what it reads. tiny_http, for which it was made, reads lines and
//! bodies of any length into memory, keeps a thread for every connection, ends for good at an error of `accept`, and waits for
//! slow peers. From outside none of that can be changed. But std, on which it is built, accepts and reads by functions of the
//! C library, and a program may define these itself, as `symbols` does.
//!
//! So connections are the gate's. One event loop reads them all, follows the framing of HTTP ([`framing`]), and keeps what the
//! peers do not take at once of their answers. The HTTP server has a single connection, the lane, on which the heads of whole,
//! bounded requests follow each other ([`handover`]). Its thread that reads the lane runs the event loop, and never waits
//! for a peer. The next request of a connection is handed over when the one before is answered.
//!
//! ```text
//!   peers ──► event loop, in `recv` ──► the lane: whole heads ──► the HTTP server's workers
//!     ▲        deadlines, limits, 4xx                                        │
//!     └──────────────── what a peer takes at once, the rest later ◄── Exchange ──┘
//! ```
//!
//! A worker exchanges the number in a head ([`NUMBER`]) for the [`Exchange`], which has the body and takes the answer.

mod addresses;
mod ages;
mod connection;
mod event_loop;
mod exchange;
pub mod framing;
pub mod handover;
mod lane;
mod queue;
mod refused;
mod shared;
mod state;
mod symbols;

use std::io;
use std::net::{IpAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use shared::Shared;

pub use addresses::subscriber;
pub use exchange::Exchange;
pub use handover::NUMBER;

/// The limits that a gate enforces.
#[derive(Debug, Clone)]
pub struct GateLimits {
    /// The largest body of a request, in bytes.
    pub body_bytes: usize,
    /// Connections at a time. When there are more, the one that has been without traffic for longest is closed.
    pub connections: usize,
    /// Connections at a time from one IPv4 address or one IPv6 network of 64 bits; 0 for no limit.
    pub connections_per_address: usize,
    /// Descriptors that the process may have.
    pub descriptors: usize,
    /// The longest time that a connection may be silent, a request take to come, and a peer take nothing of its answer.
    pub idle: Duration,
    /// Addresses that may have any number of connections, beside this machine.
    pub trusted: Vec<IpAddr>,
}

impl GateLimits {
    /// Returns whether the limits for each address do not concern `ip`.
    pub(crate) fn trusts(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip.is_loopback() || self.trusted.contains(&ip)
    }
}

/// Figures for operators.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections accepted.
    pub accepted: AtomicU64,
    /// Requests refused for their form, size or slowness.
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
    /// Opens a gate before `listener`. Returns it with the listener that the HTTP server is to serve, which has nothing but
    /// lanes. Nothing is accepted before that server reads.
    ///
    /// # Errors
    /// If the system refuses what the gate needs.
    pub fn open(listener: TcpListener, limits: GateLimits) -> io::Result<(Self, UnixListener)> {
        listener.set_nonblocking(true)?;
        let shared = Arc::new(Shared::new(listener, limits)?);
        let served = symbols::add(&shared)?;
        Ok((Self(shared), served))
    }

    /// Waits until the HTTP server reads through the gate.
    ///
    /// # Errors
    /// If it does not within `timeout`, because it could start no thread, or the program was built so that std's calls do not
    /// come here.
    pub fn wait_until_read(&self, timeout: Duration) -> io::Result<()> {
        if self.0.wait_until_read(timeout) {
            return Ok(());
        }
        Err(io::Error::other("the HTTP library does not read through the gate"))
    }

    /// Sets the function that is called when another request has come on a connection whose request is being answered, or
    /// nothing more will: the peer may be gone. Its parameter is [`Exchange::id`]. Only the first call counts.
    pub fn on_pipelined(&self, tell: impl Fn(u64) + Send + Sync + 'static) {
        let _ = self.0.on_pipelined.set(Box::new(tell));
    }

    /// Takes the right to answer the request with this number. Returns `None` if its connection is gone.
    #[must_use]
    pub fn begin(&self, number: u64) -> Option<Exchange> {
        self.0.begun();
        Exchange::begin(self.0.by_id(number)?)
    }

    /// Accepts no more connections, and makes every further answer the last one of its connection. Returns whether it has not
    /// been told before.
    pub fn drain(&self) -> bool {
        self.0.drain()
    }

    /// Waits until every request that a worker has begun with is answered and every answer is taken, at most until `deadline`.
    /// After that no request is begun.
    pub fn finish(&self, deadline: Instant) {
        self.0.wait_for_answers(deadline);
        self.0.is_finished.store(true, Ordering::SeqCst);
        // Requests that were begun before that are counted by now.
        self.0.wait_for_answers(deadline);
    }

    /// Returns the number of open connections.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.0.open()
    }

    /// Returns the bytes of answers that peers have not taken yet.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.0.output.load(Ordering::SeqCst)
    }

    /// Returns whether `ip` is this machine or trusted, so that it may have any number of connections and speak for others.
    #[must_use]
    pub fn trusts(&self, ip: IpAddr) -> bool {
        self.0.limits.trusts(ip)
    }

    /// Returns the figures since it was opened.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// Returns the number of panics in the code of all gates.
    #[must_use]
    pub fn panics() -> u64 {
        symbols::PANICS.load(Ordering::Relaxed)
    }
}
