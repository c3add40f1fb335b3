//! What the threads of a gate share: its connections, the queue for the server, and the bounds on what is kept.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd as _, IntoRawFd as _, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::addresses::Addresses;
use crate::ages::Ages;
use crate::connection::{Connection, State};
use crate::event_loop::{LISTENER, Loop, PAUSE, WAKE};
use crate::{Counters, Limits, symbols};

/// Requests that may wait for a worker of the server; the others wait here, where they take less.
const MAX_UNBEGUN: usize = 16;
/// The same for long requests, which can be much work: short ones do not wait behind many of them.
const MAX_UNBEGUN_LONG: usize = 4;
/// Requests from this length on are long, in bytes.
const LONG: usize = 8 << 10;
/// Bytes of requests that no worker has, and of answers that peers have not taken, of all connections together.
const MAX_INPUT: usize = 2 << 20;
const MAX_OUTPUT: usize = 3 << 20;
/// Connections that one answer may push out.
const MAX_PUSHED: usize = 8;

pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) counters: Counters,
    pub(crate) on_pipelined: OnceLock<Box<dyn Fn(u64) + Send + Sync>>,
    pub(crate) epoll: Epoll,
    pub(crate) listener: TcpListener,
    pub(crate) lane: Lane,
    pub(crate) event_loop: Mutex<Loop>,
    pub(crate) ages: Ages,
    pub(crate) addresses: Addresses,
    pub(crate) connections: Mutex<HashMap<u64, Arc<Connection>>>,
    pub(crate) queue: Mutex<Queue>,
    pub(crate) wake: EventFd,
    /// If the loop sleeps, and has to be woken for what it cannot see by itself.
    pub(crate) is_asleep: AtomicBool,
    pub(crate) is_draining: AtomicBool,
    /// Requests that were handed over, and with which no worker has begun.
    pub(crate) unbegun: AtomicUsize,
    input: AtomicUsize,
    pub(crate) output: AtomicUsize,
}

pub(crate) fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(listener: TcpListener, limits: Limits) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let wake = EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        epoll.add(&wake, EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
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
            unbegun: AtomicUsize::new(0),
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
        // Whoever had a head of the old lane has dropped it.
        self.unbegun.store(0, Ordering::SeqCst);
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
        let mut queue = guard(&self.queue);
        if length > LONG { &mut queue.long } else { &mut queue.short }.push_back(id);
        drop(queue);
        self.wake();
    }

    /// A worker has taken a head from the lane.
    pub(crate) fn begun(&self) {
        let before = self.unbegun.fetch_sub(1, Ordering::SeqCst);
        if before == MAX_UNBEGUN || before == MAX_UNBEGUN_LONG {
            self.wake();
        }
    }

    pub(crate) fn closed(&self, connection: &Connection) {
        if guard(&self.connections).remove(&connection.id).is_some() {
            self.addresses.remove(connection.peer.ip());
        }
    }

    pub(crate) fn drain(&self) {
        self.is_draining.store(true, Ordering::SeqCst);
        let _ = self.wake.write(1);
    }

    /// Closes the connection that has been silent for longest of those for which `condition` holds. Returns false if there is
    /// none.
    pub(crate) fn close_oldest(&self, condition: fn(&State) -> bool) -> bool {
        let mut next = self.ages.oldest();
        while let Some(age) = next {
            if self.by_id(age.1).is_some_and(|connection| connection.close_if(condition)) {
                self.counters.evicted.fetch_add(1, Ordering::Relaxed);
                return true;
            }
            next = self.ages.after(age);
        }
        false
    }

    pub(crate) fn take(&self, count: usize) {
        self.input.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn release(&self, count: usize) {
        self.input.fetch_sub(count, Ordering::Relaxed);
    }

    /// Closes connections where too much is kept of requests: first those whose request has been coming in part for longest.
    pub(crate) fn bound_input(&self) {
        let most = MAX_INPUT.max(4 * self.limits.body_bytes);
        while self.input.load(Ordering::Relaxed) > most
            && (self.close_oldest(State::is_partial) || self.close_oldest(State::is_unfinished))
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
            if !self.close_oldest(State::is_stalled) {
                break;
            }
        }
        false
    }

    pub(crate) fn unkeep(&self, count: usize) {
        self.output.fetch_sub(count, Ordering::SeqCst);
    }
}

/// Connections with whole requests.
#[derive(Default)]
pub(crate) struct Queue {
    short: VecDeque<u64>,
    long: VecDeque<u64>,
}

impl Queue {
    /// Takes the next one where so many wait for a worker. The long ones have every eighth turn.
    pub(crate) fn next(&mut self, unbegun: usize, turn: u32) -> Option<u64> {
        let long = unbegun < MAX_UNBEGUN_LONG && (turn.is_multiple_of(8) || self.short.is_empty());
        let taken = if long { self.long.pop_front() } else { None };
        taken.or_else(|| if unbegun < MAX_UNBEGUN { self.short.pop_front() } else { None })
    }

    pub(crate) fn has_next(&self, unbegun: usize) -> bool {
        (!self.short.is_empty() && unbegun < MAX_UNBEGUN) || (!self.long.is_empty() && unbegun < MAX_UNBEGUN_LONG)
    }
}

/// The HTTP server's connection.
#[derive(Default)]
pub(crate) struct Lane {
    /// The gate's end. Nothing is sent on it; it tells when the server has closed the other one.
    watch: Mutex<Option<UnixStream>>,
    /// The inode of the server's end, until it is first read from.
    awaited: Mutex<Option<libc::ino_t>>,
    is_read: Mutex<bool>,
    begins: Condvar,
}

impl Lane {
    fn wait_until_closed(&self) {
        if let Some(mut watch) = guard(&self.watch).take() {
            // What the server may write there is of no use.
            let _ = io::copy(&mut watch, &mut io::sink());
        }
    }

    fn open(&self) -> io::Result<RawFd> {
        let (watch, lane) = UnixStream::pair()?;
        // The server takes a duplicate, and cannot do without.
        drop(lane.try_clone()?);
        *guard(&self.awaited) = Some(symbols::inode(lane.as_fd()));
        *guard(&self.watch) = Some(watch);
        Ok(lane.into_raw_fd())
    }

    /// Returns whether a reader with this inode is the first of the lane.
    pub(crate) fn is_awaited(&self, inode: impl FnOnce() -> libc::ino_t) -> bool {
        if guard(&self.awaited).take_if(|awaited| *awaited == inode()).is_none() {
            return false;
        }
        *guard(&self.is_read) = true;
        self.begins.notify_all();
        true
    }

    fn wait_until_read(&self, timeout: Duration) -> bool {
        let waiting = self.begins.wait_timeout_while(guard(&self.is_read), timeout, |is_read| !*is_read);
        *waiting.unwrap_or_else(PoisonError::into_inner).0
    }
}
