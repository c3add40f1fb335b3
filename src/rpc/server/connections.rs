//! One request of a connection at a time: what is pipelined behind it waits here instead of in a worker. And a limit of
//! connections.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Requests that may wait behind the one being answered. A client that pipelines more gets these answered and is closed.
const MAX_PIPELINED: usize = 128;
/// How long requests are dropped that arrive on a connection after its last answer. They were on their way already, so
/// this is short: another connection may come from the same port.
const ENDING: Duration = Duration::from_secs(1);

/// The connections that have more than one request. One that is closed with its first request never gets an entry, and is
/// only counted until its answer is out.
pub(super) struct Connections<R> {
    known: Mutex<Known<R>>,
}

struct Known<R> {
    entries: HashMap<SocketAddr, Entry<R>>,
    passing: usize,
}

struct Entry<R> {
    state: Phase,
    pipelined: VecDeque<R>,
    overflowed: bool,
    seen: Instant,
}

#[derive(PartialEq)]
enum Phase {
    Idle,
    Busy,
    Ended,
}

/// How a connection counts while a request of it is handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has an entry; `first`: since this request.
    Kept { first: bool },
    /// It is closed with this request, its first.
    Passing,
    /// It is one too many.
    Refused,
}

/// What to do with a request that has arrived.
pub(super) enum Turn<R> {
    /// Handle it.
    Now { request: R, standing: Standing },
    /// Its connection is one too many, if all of those that are known are still open.
    Full(R),
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
        Self { known: Mutex::new(Known { entries: HashMap::new(), passing: 0 }) }
    }
}

impl<R> Connections<R> {
    /// A request has arrived from `peer`; `closing` if it says that it is its connection's last. There may be `most`
    /// connections, this one included.
    pub(super) fn arrive(&self, peer: SocketAddr, closing: bool, request: R, most: usize) -> Turn<R> {
        let now = Instant::now();
        let Known { entries, passing } = &mut *self.known.lock();
        let count = entries.len() + *passing;
        let Some(entry) = entries.get_mut(&peer) else {
            if count >= most {
                return Turn::Full(request);
            }
            if closing {
                *passing += 1;
                return Turn::Now { request, standing: Standing::Passing };
            }
            entries
                .insert(peer, Entry { state: Phase::Busy, pipelined: VecDeque::new(), overflowed: false, seen: now });
            return Turn::Now { request, standing: Standing::Kept { first: true } };
        };
        if entry.state == Phase::Ended && now - entry.seen > ENDING {
            entry.state = Phase::Idle;
        }
        match entry.state {
            Phase::Ended => return Turn::Never(request),
            Phase::Idle => {
                entry.state = Phase::Busy;
                entry.seen = now;
                return Turn::Now { request, standing: Standing::Kept { first: false } };
            }
            Phase::Busy => {}
        }
        if entry.overflowed || entry.pipelined.len() >= MAX_PIPELINED {
            entry.overflowed = true;
            return Turn::Never(request);
        }
        entry.pipelined.push_back(request);
        Turn::Later
    }

    /// Whether a request waits behind the one being answered.
    pub(super) fn has_pipelined_request(&self, peer: SocketAddr) -> bool {
        self.known.lock().entries.get(&peer).is_some_and(|entry| !entry.pipelined.is_empty())
    }

    /// The answer to `peer`'s current request is out. `client_closes`: the request said that it was the last.
    pub(super) fn finish(
        &self,
        peer: SocketAddr,
        standing: Standing,
        keep_alive: bool,
        client_closes: bool,
    ) -> Next<R> {
        let Known { entries, passing } = &mut *self.known.lock();
        match standing {
            Standing::Kept { .. } => {}
            // An entry of this address is another connection's, which came after this one's client had gone.
            Standing::Refused => return Next::Nothing,
            Standing::Passing => {
                *passing -= 1;
                return Next::Nothing;
            }
        }
        let Some(entry) = entries.get_mut(&peer) else { return Next::Nothing };
        if client_closes {
            return entries.remove(&peer).map_or(Next::Nothing, |entry| Next::Dropped(entry.pipelined));
        }
        entry.seen = Instant::now();
        if !keep_alive {
            entry.state = Phase::Ended;
            entry.overflowed = false;
            return Next::Dropped(std::mem::take(&mut entry.pipelined));
        }
        match entry.pipelined.pop_front() {
            Some(request) => Next::Request { request, last: entry.overflowed && entry.pipelined.is_empty() },
            None => {
                entry.state = Phase::Idle;
                Next::Nothing
            }
        }
    }

    /// Forgets connections that have been silent for `idle`: the socket's time-out has closed them.
    pub(super) fn sweep(&self, idle: Duration) {
        let now = Instant::now();
        let Known { entries, .. } = &mut *self.known.lock();
        entries.retain(|_, entry| entry.state == Phase::Busy || now - entry.seen < idle);
        if entries.capacity() > 4 * entries.len() + 64 {
            entries.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: Standing = Standing::Kept { first: true };
    const KNOWN: Standing = Standing::Kept { first: false };

    fn peer() -> SocketAddr {
        from(1024)
    }

    fn from(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    #[test]
    fn requests_of_a_connection_have_their_turn_in_order() {
        let connections = Connections::default();
        assert!(matches!(connections.arrive(peer(), false, 1, 1), Turn::Now { request: 1, standing: NEW }));
        assert!(matches!(connections.arrive(peer(), false, 2, 1), Turn::Later));
        assert!(matches!(connections.arrive(peer(), false, 3, 1), Turn::Later));
        assert!(connections.has_pipelined_request(peer()));
        assert!(matches!(connections.finish(peer(), KNOWN, true, false), Next::Request { request: 2, last: false }));
        assert!(matches!(connections.finish(peer(), KNOWN, true, false), Next::Request { request: 3, last: false }));
        assert!(matches!(connections.finish(peer(), KNOWN, true, false), Next::Nothing));
        assert!(matches!(connections.arrive(peer(), false, 4, 1), Turn::Now { request: 4, standing: KNOWN }));
    }

    #[test]
    fn a_client_that_pipelines_too_much_is_closed_after_what_fits() {
        let connections = Connections::default();
        let _ = connections.arrive(peer(), false, 0, 1);
        for number in 1..=MAX_PIPELINED {
            assert!(matches!(connections.arrive(peer(), false, number, 1), Turn::Later));
        }
        assert!(matches!(connections.arrive(peer(), false, 999, 1), Turn::Never(999)));
        for number in 1..=MAX_PIPELINED {
            let Next::Request { request, last } = connections.finish(peer(), KNOWN, true, false) else {
                panic!("{number} is missing")
            };
            assert_eq!((request, last), (number, number == MAX_PIPELINED));
        }
        assert!(matches!(connections.finish(peer(), KNOWN, false, false), Next::Dropped(_)));
        assert!(matches!(connections.arrive(peer(), false, 1000, 1), Turn::Never(1000)));
    }

    #[test]
    fn a_connection_that_closes_with_its_first_request_leaves_nothing_behind() {
        let connections = Connections::default();
        assert!(matches!(connections.arrive(peer(), true, 1, 1), Turn::Now { standing: Standing::Passing, .. }));
        assert!(connections.known.lock().entries.is_empty());
    }

    #[test]
    fn a_connection_past_the_limit_is_refused_until_another_one_ends() {
        let connections = Connections::default();
        let arrive = |port, closing| match connections.arrive(from(port), closing, (), 3) {
            Turn::Now { standing, .. } => Some(standing),
            Turn::Full(()) => None,
            Turn::Later | Turn::Never(()) => panic!("these are first requests"),
        };
        assert_eq!(arrive(1, false), Some(NEW));
        assert_eq!(arrive(2, true), Some(Standing::Passing));
        assert_eq!(arrive(3, true), Some(Standing::Passing));
        assert_eq!((arrive(4, false), arrive(4, true)), (None, None));
        // What is known goes on.
        let _ = connections.finish(from(1), NEW, true, false);
        assert_eq!(arrive(1, false), Some(KNOWN));
        // What was refused has not counted, whatever follows it.
        let _ = connections.finish(from(4), Standing::Refused, false, true);
        assert_eq!(arrive(4, true), None);
        let _ = connections.finish(from(2), Standing::Passing, false, true);
        assert_eq!(arrive(4, false), Some(NEW));
        assert_eq!(arrive(5, false), None);
        let _ = connections.finish(from(1), KNOWN, true, true);
        assert_eq!(arrive(5, false), Some(NEW));
    }

    #[test]
    fn a_connection_from_the_port_of_a_passing_one_has_an_entry_of_its_own() {
        let connections = Connections::default();
        let _ = connections.arrive(peer(), true, 1, 2);
        assert!(matches!(connections.arrive(peer(), false, 2, 2), Turn::Now { standing: NEW, .. }));
        let _ = connections.finish(peer(), Standing::Passing, false, true);
        assert!(matches!(connections.arrive(peer(), false, 3, 2), Turn::Later), "it still has its answer to come");
    }

    #[test]
    fn idle_connections_are_forgotten_and_busy_ones_are_not() {
        let connections = Connections::default();
        let _ = connections.arrive(peer(), false, 1, 1);
        connections.sweep(Duration::ZERO);
        assert_eq!(connections.known.lock().entries.len(), 1);
        let _ = connections.finish(peer(), KNOWN, true, false);
        connections.sweep(Duration::ZERO);
        assert!(connections.known.lock().entries.is_empty());
    }
}
