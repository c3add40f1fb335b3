//! The state that the threads of a gate share: its connections, the queue for the server, and the bounds of its memory.

use std::collections::HashMap;
use std::io;
use std::net::TcpListener;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::TcpNoDelay;

use crate::addresses::Addresses;
use crate::ages::{Ages, Pending};
use crate::connection::Connection;
use crate::event_loop::{LISTENER, Loop, PAUSE, WAKE};
use crate::lane::Lane;
use crate::queue::RequestQueue;
use crate::state::ConnectionState;
use crate::{Counters, GateLimits};

/// Bytes of requests that no worker has, and of answers that peers have not taken, of all connections together.
const MAX_INPUT: usize = 1 << 20;
const MAX_OUTPUT: usize = 2 << 20;
/// Connections that one answer may push out.
const MAX_PUSHED: usize = 8;

pub(crate) struct Shared {
    pub(crate) limits: GateLimits,
    pub(crate) counters: Counters,
    pub(crate) on_pipelined: OnceLock<Box<dyn Fn(u64) + Send + Sync>>,
    pub(crate) epoll: Epoll,
    pub(crate) listener: TcpListener,
    pub(crate) lane: Lane,
    pub(crate) event_loop: Mutex<Loop>,
    pub(crate) ages: Ages,
    pub(crate) addresses: Addresses,
    pub(crate) connections: Mutex<HashMap<u64, Arc<Connection>>>,
    pub(crate) queue: Mutex<RequestQueue>,
    pub(crate) wake: EventFd,
    /// If the loop sleeps, and has to be woken for what it cannot see by itself.
    pub(crate) is_asleep: AtomicBool,
    pub(crate) is_draining: AtomicBool,
    /// If no request is begun any more.
    pub(crate) is_finished: AtomicBool,
    /// Requests that workers have begun with and not answered.
    pub(crate) exchanges: AtomicUsize,
    input: AtomicUsize,
    pub(crate) output: AtomicUsize,
}

pub(crate) fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(listener: TcpListener, limits: GateLimits) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let wake = EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        epoll.add(&wake, EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        // Every connection has it from the listener: answers are written whole.
        setsockopt(&listener, TcpNoDelay, &true)?;
        epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
        Ok(Self {
            limits,
            counters: Counters::default(),
            on_pipelined: OnceLock::new(),
            epoll,
            listener,
            lane: Lane::default(),
            event_loop: Mutex::new(Loop::new()),
            ages: Ages::default(),
            addresses: Addresses::default(),
            connections: Mutex::default(),
            queue: Mutex::default(),
            wake,
            is_asleep: AtomicBool::new(false),
            is_draining: AtomicBool::new(false),
            is_finished: AtomicBool::new(false),
            exchanges: AtomicUsize::new(0),
            input: AtomicUsize::new(0),
            output: AtomicUsize::new(0),
        })
    }

    pub(crate) fn by_id(&self, id: u64) -> Option<Arc<Connection>> {
        guard(&self.connections).get(&id).cloned()
    }

    pub(crate) fn open(&self) -> usize {
        guard(&self.connections).len()
    }

    /// Returns a lane for the HTTP server to read, when it has closed the one before.
    pub(crate) fn open_lane(&self) -> RawFd {
        self.lane.wait_until_closed();
        // The threads that had a head of the old lane have dropped it.
        guard(&self.queue).forget_unbegun();
        guard(&self.event_loop).forget_head();
        loop {
            match self.lane.open() {
                Ok(lane) => return lane,
                Err(_) => std::thread::sleep(PAUSE),
            }
        }
    }

    pub(crate) fn wait_until_read(&self, timeout: Duration) -> bool {
        self.lane.wait_until_read(timeout)
    }

    pub(crate) fn wake(&self) {
        if self.is_asleep.swap(false, Ordering::SeqCst) {
            let _ = self.wake.write(1);
        }
    }

    /// Queues a connection with a whole request of this length.
    pub(crate) fn queue(&self, id: u64, length: usize) {
        guard(&self.queue).push(id, length);
        self.wake();
    }

    /// A worker has taken a head from the lane.
    pub(crate) fn begun(&self) {
        if guard(&self.queue).begun() {
            self.wake();
        }
    }

    pub(crate) fn closed(&self, connection: &Connection) {
        if guard(&self.connections).remove(&connection.id).is_some() {
            self.addresses.remove(connection.peer.ip());
        }
    }

    pub(crate) fn drain(&self) -> bool {
        let begins = !self.is_draining.swap(true, Ordering::SeqCst);
        let _ = self.wake.write(1);
        begins
    }

    pub(crate) fn wait_for_answers(&self, deadline: Instant) {
        let is_busy = || self.exchanges.load(Ordering::SeqCst) > 0 || self.output.load(Ordering::SeqCst) > 0;
        while is_busy() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Makes room for another connection. Returns false if every one waits for the server.
    pub(crate) fn make_room(&self) -> bool {
        self.close_oldest(&[Pending::Nothing, Pending::Part, Pending::LargePart, Pending::Unread], |_| true)
    }

    /// Closes the connection that has been silent for longest of those for which one of `these` is pending and `condition` holds.
    /// Returns false if there is none.
    fn close_oldest(&self, these: &[Pending], condition: fn(&ConnectionState) -> bool) -> bool {
        let mut next = self.ages.oldest(these, None);
        while let Some(age) = next {
            if self.by_id(age.1).is_some_and(|connection| connection.close_if(these, condition)) {
                self.counters.evicted.fetch_add(1, Ordering::Relaxed);
                return true;
            }
            next = self.ages.oldest(these, Some(age));
        }
        false
    }

    pub(crate) fn take(&self, count: usize) {
        self.input.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn release(&self, count: usize) {
        self.input.fetch_sub(count, Ordering::Relaxed);
    }

    /// Closes connections where too much is kept of requests: first those with a long one, the oldest before others.
    pub(crate) fn bound_input(&self) {
        let most = MAX_INPUT.max(4 * self.limits.body_bytes);
        let order: [&[Pending]; 3] =
            [&[Pending::LargePart, Pending::LargeWhole], &[Pending::Part, Pending::Whole], &[Pending::Unread]];
        while self.input.load(Ordering::Relaxed) > most
            && order.iter().any(|these| self.close_oldest(these, ConnectionState::is_unfinished))
        {}
    }

    /// Counts bytes that are kept for a peer, if there is room for them or can be made. One answer alone has it whatever its
    /// length: the server has made it already, and a long history must arrive.
    pub(crate) fn keep(&self, count: usize) -> bool {
        for _ in 0..=MAX_PUSHED {
            let before = self.output.fetch_add(count, Ordering::SeqCst);
            if before == 0 || before + count <= MAX_OUTPUT {
                return true;
            }
            self.unkeep(count);
            if !self.close_oldest(&[Pending::Unread], ConnectionState::is_stalled) {
                break;
            }
        }
        false
    }

    pub(crate) fn unkeep(&self, count: usize) {
        self.output.fetch_sub(count, Ordering::SeqCst);
    }
}
