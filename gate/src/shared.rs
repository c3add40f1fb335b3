//! The event loop of a gate, which runs in the thread that accepts connections, and what all its threads share.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddrV6, TcpListener, TcpStream};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::connection::Connection;
use crate::framing::Refused;
use crate::{Counters, Events, Limits, table};

/// How long a thread of the server waits for a request that may follow closely.
pub(crate) const LINGER: Duration = Duration::from_millis(20);
/// Connections that the server reads at a time, each with a thread of it, and how many of them may wait there for more.
const MAX_READERS: usize = 24;
const MAX_LINGERING: usize = 16;
/// Requests that may wait for a worker of the server; the others wait here, where they take less.
const MAX_UNBEGUN: usize = 16;
/// The same for long requests, which can be much work: short ones do not wait behind many of them.
const MAX_UNBEGUN_LONG: usize = 4;
/// Requests from this length on are long, in bytes.
pub(crate) const LONG: usize = 8 << 10;
/// Bytes of requests that have come in part, and of answers that have not been taken, of all connections together.
const MAX_INPUT: usize = 2 << 20;
const MAX_OUTPUT: usize = 3 << 20;
/// Descriptors that are left for everything else in the process.
const OTHER_DESCRIPTORS: usize = 32;
/// Connections past the limit that are told so at a time; further ones are closed without a word.
const MAX_TURNED_AWAY: usize = 64;
/// The pause before the next attempt where the system refuses a connection or a thread.
const PAUSE: Duration = Duration::from_millis(20);
/// How long there are fewer readers after the server had no thread for one.
const FEW_READERS_FOR: Duration = Duration::from_secs(60);
/// Connections that may wait for a thread of the server to read them.
const MAX_UNREAD: usize = 8;

const WAKE: u64 = u64::MAX;
const LISTENER: u64 = u64::MAX - 1;

/// What a connection tells of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Happened {
    /// Another request has come behind the one that is being answered.
    Pipelined,
    /// The peer sends nothing more.
    Ended,
}

pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) counters: Counters,
    pub(crate) epoll: Epoll,
    pub(crate) events: OnceLock<Weak<dyn Events>>,
    wake: EventFd,
    /// A duplicate of the one that the server accepts from.
    listener: TcpListener,
    /// Whether the loop sleeps, and has to be woken for what it cannot see by itself.
    asleep: AtomicBool,
    draining: AtomicBool,
    ready: Mutex<Ready>,
    timers: Mutex<Timers>,
    addresses: Mutex<HashMap<IpAddr, usize>>,
    serial: AtomicU32,
    open: AtomicUsize,
    readers: AtomicUsize,
    /// Fewer than [`MAX_READERS`] for some time after the server had no thread for one.
    max_readers: AtomicUsize,
    few_readers_until: Mutex<Option<Instant>>,
    /// Connections that were handed over and that no thread of the server has begun to read.
    unread: AtomicUsize,
    lingering: AtomicUsize,
    /// Threads that accept: one, or none when it has ended.
    pub(crate) accepting: AtomicUsize,
    pub(crate) unbegun: AtomicUsize,
    input: AtomicUsize,
    output: AtomicUsize,
    own: Mutex<Own>,
}

/// Connections with whole requests.
#[derive(Default)]
struct Ready {
    short: VecDeque<Arc<Connection>>,
    long: VecDeque<Arc<Connection>>,
}

impl Ready {
    /// Takes the next one where so many wait for a worker. The long ones have every eighth turn.
    fn next(&mut self, unbegun: usize, turn: u32) -> Option<Arc<Connection>> {
        let long = unbegun < MAX_UNBEGUN_LONG && (turn.is_multiple_of(8) || self.short.is_empty());
        let taken = if long { self.long.pop_front() } else { None };
        taken.or_else(|| self.short.pop_front())
    }

    fn has_next(&self, unbegun: usize) -> bool {
        !self.short.is_empty() || (!self.long.is_empty() && unbegun < MAX_UNBEGUN_LONG)
    }
}

#[derive(Default)]
struct Timers {
    heap: BinaryHeap<Reverse<(Instant, u64)>>,
    sleeps_until: Option<Instant>,
}

/// What only the loop uses.
struct Own {
    listening: bool,
    /// Until then nothing is accepted or handed over.
    paused_until: Option<Instant>,
    handed: u32,
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(listener: TcpListener, limits: Limits) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let wake = EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        epoll.add(&wake, EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
        let own = Own { listening: true, paused_until: None, handed: 0 };
        Ok(Self {
            limits,
            counters: Counters::default(),
            epoll,
            events: OnceLock::new(),
            wake,
            listener,
            asleep: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            ready: Mutex::default(),
            timers: Mutex::default(),
            addresses: Mutex::default(),
            serial: AtomicU32::new(0),
            open: AtomicUsize::new(0),
            readers: AtomicUsize::new(0),
            max_readers: AtomicUsize::new(MAX_READERS),
            few_readers_until: Mutex::new(None),
            unread: AtomicUsize::new(0),
            lingering: AtomicUsize::new(0),
            accepting: AtomicUsize::new(0),
            unbegun: AtomicUsize::new(0),
            input: AtomicUsize::new(0),
            output: AtomicUsize::new(0),
            own: Mutex::new(own),
        })
    }

    /// Waits for a connection with a whole request. Returns the server's end to write to, and what it takes for the peer.
    pub(crate) fn next(self: &Arc<Self>) -> (RawFd, SocketAddrV6) {
        if let Some(lost) = table::hand(None) {
            // The server reads it in some other way than it should. It would read what nobody has looked at.
            lost.abort();
            self.picked_up();
            self.left();
        }
        let mut events = [EpollEvent::empty(); 64];
        let mut own = guard(&self.own);
        own.handed = own.handed.wrapping_add(1);
        // Now and then it looks at the others first, however many are ready.
        let mut look = own.handed.is_multiple_of(16);
        loop {
            if !look && let Some(handed) = self.hand_over(&mut own) {
                return handed;
            }
            look = false;
            let count = self.epoll.wait(&mut events, self.sleep(&own)).unwrap_or(0);
            self.asleep.store(false, Ordering::SeqCst);
            for event in &events[..count] {
                match event.data() {
                    WAKE => drop(self.wake.read()),
                    LISTENER => self.accept(&mut own),
                    id => {
                        if let Some(connection) = self.by_id(id) {
                            connection.happened(event.events());
                        }
                    }
                }
            }
            self.tend(&mut own);
        }
    }

    /// How long to sleep. Whoever has something to do for the loop after this wakes it.
    fn sleep(&self, own: &Own) -> EpollTimeout {
        let now = Instant::now();
        self.asleep.store(true, Ordering::SeqCst);
        let mut timers = guard(&self.timers);
        let next = timers.heap.peek().map(|Reverse((time, _))| *time);
        let until = next.into_iter().chain(own.paused_until).min();
        timers.sleeps_until = until;
        let nothing = until.is_some_and(|until| until <= now);
        if nothing || (own.paused_until.is_none() && self.has_next()) {
            return EpollTimeout::ZERO;
        }
        // A millisecond late rather than one early.
        let millis = until.map(|until| (until - now).as_millis() + 1);
        millis.map_or(EpollTimeout::NONE, |millis| {
            EpollTimeout::try_from(millis.min(60_000)).unwrap_or(EpollTimeout::ZERO)
        })
    }

    pub(crate) fn wake(&self) {
        if self.asleep.swap(false, Ordering::SeqCst) {
            let _ = self.wake.write(1);
        }
    }

    /// What is due by itself.
    fn tend(self: &Arc<Self>, own: &mut Own) {
        let now = Instant::now();
        loop {
            let due = {
                let mut timers = guard(&self.timers);
                let is_due = timers.heap.peek().is_some_and(|Reverse((time, _))| *time <= now);
                is_due.then(|| timers.heap.pop()).flatten()
            };
            let Some(Reverse((time, id))) = due else { break };
            if let Some(connection) = self.by_id(id).filter(|connection| connection.lock().timer == Some(time)) {
                connection.expire(now);
            }
        }
        let most = MAX_INPUT.max(4 * self.limits.body_bytes);
        if self.input.load(Ordering::Relaxed) > most {
            self.make_room(most - most / 4);
        }
        if guard(&self.few_readers_until).take_if(|until| *until <= now).is_some() {
            self.max_readers.store(MAX_READERS, Ordering::SeqCst);
        }
        if own.paused_until.is_some_and(|until| until <= now) {
            own.paused_until = None;
        }
        let listening = own.paused_until.is_none() && !self.draining.load(Ordering::SeqCst);
        if listening != own.listening {
            let _ = match listening {
                true => self.epoll.add(&self.listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER)),
                false => self.epoll.delete(&self.listener),
            };
            own.listening = listening;
        }
    }

    /// Ends the connections whose requests have been coming in part for longest, until little enough is kept of them.
    fn make_room(self: &Arc<Self>, wanted: usize) {
        let all = table::all().into_iter().filter(|other| std::ptr::eq(&*other.gate, &**self));
        let mut unfinished: Vec<_> = all.filter_map(|other| Some((other.unfinished_since()?, other))).collect();
        unfinished.sort_by_key(|(since, _)| *since);
        for (_, oldest) in unfinished {
            if self.input.load(Ordering::Relaxed) <= wanted {
                return;
            }
            self.counters.evicted.fetch_add(u64::from(oldest.abort()), Ordering::Relaxed);
        }
    }

    /// Accepts what waits, as far as there is room for it or can be made.
    fn accept(self: &Arc<Self>, own: &mut Own) {
        for _ in 0..64 {
            if self.draining.load(Ordering::SeqCst) {
                return;
            }
            let short = !self.has_descriptors(1 + 2 * MAX_READERS);
            if short && !self.evict() {
                own.paused_until = Some(Instant::now() + PAUSE);
                return;
            }
            match self.listener.accept() {
                Ok((socket, peer)) => self.admit(socket, peer.ip(), peer),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    let short = [Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM, Errno::ENOBUFS, Errno::EINVAL];
                    if error.raw_os_error().is_some_and(|code| short.contains(&Errno::from_raw(code))) {
                        own.paused_until = Some(Instant::now() + PAUSE);
                        return;
                    }
                    // Any other concerns that one connection, which is gone already.
                }
            }
            if short {
                // Whether there is another one is not known.
                return;
            }
        }
    }

    fn admit(self: &Arc<Self>, socket: TcpStream, ip: IpAddr, peer: std::net::SocketAddr) {
        let key = subnet(ip);
        let full = self.open.load(Ordering::SeqCst) >= self.limits.connections && !self.evict();
        let open = self.open.load(Ordering::SeqCst);
        let too_many = {
            let mut addresses = guard(&self.addresses);
            let count = addresses.entry(key).or_default();
            let most = self.limits.connections_per_address;
            let too_many = most > 0 && *count >= most && !self.limits.trusts(ip);
            if open < self.limits.connections + MAX_TURNED_AWAY && (!too_many || *count < most + 4) {
                *count += 1;
            } else {
                self.counters.turned_away.fetch_add(1, Ordering::Relaxed);
                if *count == 0 {
                    addresses.remove(&key);
                }
                return;
            }
            too_many
        };
        if self.limits.inherits_nothing {
            let _ = socket.set_nodelay(true);
            let _ = socket.set_read_timeout(Some(LINGER));
        }
        self.open.fetch_add(1, Ordering::SeqCst);
        self.counters.accepted.fetch_add(1, Ordering::Relaxed);
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let connection = table::insert(|slot| Connection::new(self, slot, serial, peer, socket));
        if full || too_many {
            self.counters.turned_away.fetch_add(1, Ordering::Relaxed);
            let most = if full { self.limits.connections } else { self.limits.connections_per_address };
            let whose = if full { "" } else { " from this address" };
            connection.turn_away(&Refused::new(
                503,
                format!("there are {most} connections{whose}, as many as there may be\n"),
            ));
        } else {
            connection.start();
        }
    }

    /// Closes the connection that has been without traffic for longest. False if all wait for answers.
    fn evict(self: &Arc<Self>) -> bool {
        loop {
            let Some(Reverse((time, id))) = guard(&self.timers).heap.pop() else { return false };
            if self.by_id(id).is_some_and(|connection| connection.evict(time)) {
                self.counters.evicted.fetch_add(1, Ordering::Relaxed);
                return true;
            }
        }
    }

    fn hand_over(self: &Arc<Self>, own: &mut Own) -> Option<(RawFd, SocketAddrV6)> {
        while own.paused_until.is_none() && self.has_room_for_readers() {
            let unbegun = self.unbegun.load(Ordering::SeqCst);
            let connection = guard(&self.ready).next(unbegun, own.handed)?;
            if !self.has_descriptors(2) {
                connection.turn_away(&Refused::new(503, "there are too many calls at a time\n"));
                continue;
            }
            let Ok(end) = connection.duplicate() else {
                own.paused_until = Some(Instant::now() + PAUSE);
                guard(&self.ready).short.push_front(connection);
                return None;
            };
            if !connection.give(end) {
                crate::symbols::close(end);
                continue;
            }
            self.readers.fetch_add(1, Ordering::SeqCst);
            self.unread.fetch_add(1, Ordering::SeqCst);
            self.unbegun.fetch_add(1, Ordering::SeqCst);
            let token = connection.token();
            table::hand(Some(connection));
            return Some((end, token));
        }
        None
    }

    fn has_next(&self) -> bool {
        self.has_room_for_readers() && guard(&self.ready).has_next(self.unbegun.load(Ordering::SeqCst))
    }

    fn has_room_for_readers(&self) -> bool {
        self.readers.load(Ordering::SeqCst) < self.max_readers.load(Ordering::SeqCst)
            && self.unread.load(Ordering::SeqCst) < MAX_UNREAD
            && self.unbegun.load(Ordering::SeqCst) < MAX_UNBEGUN
    }

    /// Returns whether the process can open `count` more descriptors. A connection has one; two more while the server reads
    /// it, of which one stays until a worker begins with its request.
    fn has_descriptors(&self, count: usize) -> bool {
        let (open, readers) = (self.open.load(Ordering::SeqCst), self.readers.load(Ordering::SeqCst));
        let unbegun = self.unbegun.load(Ordering::SeqCst);
        open + unbegun + 2 * readers + count + OTHER_DESCRIPTORS <= self.limits.descriptors
    }

    fn by_id(&self, id: u64) -> Option<Arc<Connection>> {
        table::by_slot(id as u32).filter(|connection| connection.id() == id)
    }

    // What connections tell.

    pub(crate) fn is_ready(&self, connection: &Arc<Connection>, is_long: bool) {
        let mut ready = guard(&self.ready);
        let queue = if is_long { &mut ready.long } else { &mut ready.short };
        queue.push_back(Arc::clone(connection));
        drop(ready);
        self.wake();
    }

    pub(crate) fn look_at(&self, connection: &Connection, at: Instant) {
        let mut timers = guard(&self.timers);
        timers.heap.push(Reverse((at, connection.id())));
        if timers.sleeps_until.is_none_or(|until| at < until) {
            drop(timers);
            self.wake();
        }
    }

    pub(crate) fn tell(&self, happened: Happened, id: u64) {
        let Some(events) = self.events.get().and_then(Weak::upgrade) else { return };
        match happened {
            Happened::Pipelined => events.pipelined(id),
            Happened::Ended => events.hung_up(id),
        }
    }

    /// The thread that accepted has ended.
    pub(crate) fn ended(&self) {
        self.accepting.fetch_sub(1, Ordering::SeqCst);
        let fewer = (self.max_readers.load(Ordering::SeqCst) / 4).max(1);
        self.max_readers.store(fewer, Ordering::SeqCst);
        *guard(&self.few_readers_until) = Some(Instant::now() + FEW_READERS_FOR);
        if self.draining.load(Ordering::SeqCst) {
            return;
        }
        if let Some(events) = self.events.get().and_then(Weak::upgrade) {
            events.ended();
        }
    }

    /// A thread of the server has begun to read what was handed over.
    pub(crate) fn picked_up(&self) {
        if self.unread.fetch_sub(1, Ordering::SeqCst) == MAX_UNREAD {
            self.wake();
        }
    }

    /// A thread of the server has read enough.
    pub(crate) fn left(&self) {
        if self.readers.fetch_sub(1, Ordering::SeqCst) >= self.max_readers.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    /// A worker has begun with a request.
    pub(crate) fn begun(&self) {
        let before = self.unbegun.fetch_sub(1, Ordering::SeqCst);
        if before == MAX_UNBEGUN || before == MAX_UNBEGUN_LONG {
            self.wake();
        }
    }

    /// Whether a thread of the server may wait for more on its connection: not while one that was handed over has no thread yet.
    pub(crate) fn may_linger(&self) -> bool {
        let enough = self.max_readers.load(Ordering::SeqCst) == MAX_READERS;
        enough && self.unread.load(Ordering::SeqCst) == 0 && self.lingering.load(Ordering::SeqCst) < MAX_LINGERING
    }

    pub(crate) fn lingering<T>(&self, wait: impl FnOnce() -> T) -> T {
        self.lingering.fetch_add(1, Ordering::SeqCst);
        let result = wait();
        self.lingering.fetch_sub(1, Ordering::SeqCst);
        result
    }

    pub(crate) fn closed(&self, connection: &Connection) {
        self.open.fetch_sub(1, Ordering::SeqCst);
        let mut addresses = guard(&self.addresses);
        let key = subnet(connection.peer.ip());
        if let Some(count) = addresses.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(&key);
            }
        }
    }

    pub(crate) fn refused(&self) {
        self.counters.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn take(&self, count: usize) {
        self.input.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn release(&self, count: usize) {
        self.input.fetch_sub(count, Ordering::Relaxed);
    }

    /// Counts bytes that are kept for a peer, if there is room for them. One answer alone has it whatever its length: the
    /// server has made it already, and a long history must arrive.
    pub(crate) fn keep(&self, count: usize) -> bool {
        let before = self.output.fetch_add(count, Ordering::SeqCst);
        if before > 0 && before + count > MAX_OUTPUT {
            self.output.fetch_sub(count, Ordering::SeqCst);
            return false;
        }
        true
    }

    pub(crate) fn unkeep(&self, count: usize) {
        self.output.fetch_sub(count, Ordering::SeqCst);
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    pub(crate) fn unsent(&self) -> usize {
        self.output.load(Ordering::SeqCst)
    }

    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        let _ = self.wake.write(1);
    }
}

/// What counts as one address: an IPv6 customer has at least a /64.
fn subnet(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}
