//! One request of a connection at a time: what is pipelined behind it waits here instead of in a worker.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Requests that may wait behind the one being answered. A client that pipelines more gets these answered and is closed.
const MAX_PIPELINED: usize = 128;
/// How long requests are dropped that arrive on a connection after its last answer. They were on their way already, so
/// this is short: another connection may come from the same port.
const ENDING: Duration = Duration::from_secs(1);

/// The connections that have more than one request. One that is closed with its first request never gets an entry.
pub(super) struct Connections<R> {
    entries: Mutex<HashMap<SocketAddr, Entry<R>>>,
}

struct Entry<R> {
    state: State,
    pipelined: VecDeque<R>,
    overflowed: bool,
    seen: Instant,
}

#[derive(PartialEq)]
enum State {
    Idle,
    Busy,
    Ended,
}

/// What to do with a request that has arrived.
pub(super) enum Turn<R> {
    /// Handle it. `first`: nothing was known of its connection before.
    Now { request: R, first: bool },
    /// It waits; [`Connections::finish`] will return it.
    Later,
    /// Its connection is at its end: no answer is owed.
    Never(R),
}

/// What follows an answer on the same connection.
pub(super) enum Next<R> {
    Nothing,
    /// Handle this one now; `last` if its answer must close the connection.
    Request {
        request: R,
        last: bool,
    },
    /// These will not be answered.
    Dropped(VecDeque<R>),
}

impl<R> Default for Connections<R> {
    fn default() -> Self {
        Self { entries: Mutex::new(HashMap::new()) }
    }
}

impl<R> Connections<R> {
    /// A request has arrived from `peer`; `closing` if it says that it is its connection's last.
    pub(super) fn arrive(&self, peer: SocketAddr, closing: bool, request: R) -> Turn<R> {
        let now = Instant::now();
        let mut entries = self.entries.lock();
        let Some(entry) = entries.get_mut(&peer) else {
            if !closing {
                entries.insert(
                    peer,
                    Entry { state: State::Busy, pipelined: VecDeque::new(), overflowed: false, seen: now },
                );
            }
            return Turn::Now { request, first: true };
        };
        if entry.state == State::Ended && now - entry.seen > ENDING {
            entry.state = State::Idle;
        }
        match entry.state {
            State::Ended => return Turn::Never(request),
            State::Idle => {
                entry.state = State::Busy;
                entry.seen = now;
                return Turn::Now { request, first: false };
            }
            State::Busy => {}
        }
        if entry.overflowed || entry.pipelined.len() >= MAX_PIPELINED {
            entry.overflowed = true;
            return Turn::Never(request);
        }
        entry.pipelined.push_back(request);
        Turn::Later
    }

    /// Whether a request waits behind the one being answered.
    pub(super) fn is_waited_for(&self, peer: SocketAddr) -> bool {
        self.entries.lock().get(&peer).is_some_and(|entry| !entry.pipelined.is_empty())
    }

    /// The answer to `peer`'s current request is out. `client_closes`: the request said that it was the last.
    pub(super) fn finish(&self, peer: SocketAddr, keep_alive: bool, client_closes: bool) -> Next<R> {
        let mut entries = self.entries.lock();
        let Some(entry) = entries.get_mut(&peer) else { return Next::Nothing };
        if client_closes {
            return entries.remove(&peer).map_or(Next::Nothing, |entry| Next::Dropped(entry.pipelined));
        }
        entry.seen = Instant::now();
        if !keep_alive {
            entry.state = State::Ended;
            entry.overflowed = false;
            return Next::Dropped(std::mem::take(&mut entry.pipelined));
        }
        match entry.pipelined.pop_front() {
            Some(request) => Next::Request { request, last: entry.overflowed && entry.pipelined.is_empty() },
            None => {
                entry.state = State::Idle;
                Next::Nothing
            }
        }
    }

    /// Forgets connections that have been silent for `idle`: the socket's time-out has closed them.
    pub(super) fn sweep(&self, idle: Duration) {
        let now = Instant::now();
        let mut entries = self.entries.lock();
        entries.retain(|_, entry| entry.state == State::Busy || now - entry.seen < idle);
        if entries.capacity() > 4 * entries.len() + 64 {
            entries.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "192.0.2.1:1024";

    fn peer() -> SocketAddr {
        PEER.parse().unwrap()
    }

    #[test]
    fn requests_of_a_connection_have_their_turn_in_order() {
        let connections = Connections::default();
        assert!(matches!(connections.arrive(peer(), false, 1), Turn::Now { request: 1, first: true }));
        assert!(matches!(connections.arrive(peer(), false, 2), Turn::Later));
        assert!(matches!(connections.arrive(peer(), false, 3), Turn::Later));
        assert!(connections.is_waited_for(peer()));
        assert!(matches!(connections.finish(peer(), true, false), Next::Request { request: 2, last: false }));
        assert!(matches!(connections.finish(peer(), true, false), Next::Request { request: 3, last: false }));
        assert!(matches!(connections.finish(peer(), true, false), Next::Nothing));
        assert!(matches!(connections.arrive(peer(), false, 4), Turn::Now { request: 4, first: false }));
    }

    #[test]
    fn a_client_that_pipelines_too_much_is_closed_after_what_fits() {
        let connections = Connections::default();
        let _ = connections.arrive(peer(), false, 0);
        for number in 1..=MAX_PIPELINED {
            assert!(matches!(connections.arrive(peer(), false, number), Turn::Later));
        }
        assert!(matches!(connections.arrive(peer(), false, 999), Turn::Never(999)));
        for number in 1..=MAX_PIPELINED {
            let Next::Request { request, last } = connections.finish(peer(), true, false) else {
                panic!("{number} is missing")
            };
            assert_eq!((request, last), (number, number == MAX_PIPELINED));
        }
        assert!(matches!(connections.finish(peer(), false, false), Next::Dropped(_)));
        assert!(matches!(connections.arrive(peer(), false, 1000), Turn::Never(1000)));
    }

    #[test]
    fn a_connection_that_closes_with_its_first_request_leaves_nothing_behind() {
        let connections = Connections::default();
        assert!(matches!(connections.arrive(peer(), true, 1), Turn::Now { first: true, .. }));
        assert!(connections.entries.lock().is_empty());
    }

    #[test]
    fn idle_connections_are_forgotten_and_busy_ones_are_not() {
        let connections = Connections::default();
        let _ = connections.arrive(peer(), false, 1);
        connections.sweep(Duration::ZERO);
        assert_eq!(connections.entries.lock().len(), 1);
        let _ = connections.finish(peer(), true, false);
        connections.sweep(Duration::ZERO);
        assert!(connections.entries.lock().is_empty());
    }
}
