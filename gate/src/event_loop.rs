//! The event loop of a gate. The thread of the HTTP server that reads the lane runs it, until a head is ready.

use std::io;
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{EpollEvent, EpollFlags, EpollTimeout};

use crate::GateLimits;
use crate::ages::{Age, Pending};
use crate::connection::Connection;
use crate::shared::{Shared, guard};
use crate::symbols::PANICS;

pub(crate) const WAKE: u64 = u64::MAX;
pub(crate) const LISTENER: u64 = u64::MAX - 1;
/// The pause before the next attempt where the system refuses what is needed.
pub(crate) const PAUSE: Duration = Duration::from_millis(20);

/// Bytes that are read at once.
const READ: usize = 16 << 10;
/// Connections that are accepted before the loop looks at others. The system queues newcomers in their order: behind a flood one
/// waits as long as it takes to accept the whole of it, so that goes before everything else.
const ACCEPTED_AT_ONCE: usize = 1024;
/// Heads that are handed over before the loop looks what has come meanwhile.
const HANDED_AT_ONCE: usize = 16;
/// Descriptors that are left for everything else in the process.
const OTHER_DESCRIPTORS: usize = 32;
/// Connections past a limit that are told so at a time; further ones are closed without a word.
const MAX_TURNED_AWAY: usize = 64;
const MAX_TURNED_AWAY_PER_ADDRESS: usize = 4;

/// The state that only the loop uses.
pub(crate) struct Loop {
    /// The head that is on the lane, and how much of it the server has read.
    head: Vec<u8>,
    read: usize,
    /// If it looks what has come before it hands over another head.
    is_to_look: bool,
    is_listening: bool,
    /// Nothing is accepted until then.
    paused_until: Option<Instant>,
    next_id: u64,
    buffer: Vec<u8>,
}

impl Loop {
    pub(crate) fn new() -> Self {
        Self {
            head: Vec::new(),
            read: 0,
            is_to_look: false,
            is_listening: true,
            paused_until: None,
            next_id: 0,
            buffer: vec![0; READ],
        }
    }

    pub(crate) fn forget_head(&mut self) {
        self.head.clear();
        self.read = 0;
    }
}

impl Shared {
    /// Waits until there is something on the lane, and reads it.
    pub(crate) fn read(self: &Arc<Self>, out: &mut [MaybeUninit<u8>]) -> usize {
        let mut own = guard(&self.event_loop);
        while own.read == own.head.len() {
            own.forget_head();
            self.next_head(&mut own);
        }
        let count = out.len().min(own.head.len() - own.read);
        for (to, from) in out.iter_mut().zip(&own.head[own.read..own.read + count]) {
            to.write(*from);
        }
        own.read += count;
        count
    }

    /// Runs until there is a head.
    fn next_head(self: &Arc<Self>, own: &mut Loop) {
        let mut events = [EpollEvent::empty(); 64];
        while own.is_to_look || !self.hand_over(own) {
            own.is_to_look = false;
            let count = self.epoll.wait(&mut events, self.sleep(own)).unwrap_or(0);
            self.is_asleep.store(false, Ordering::SeqCst);
            let mut is_knocked = false;
            for event in &events[..count] {
                match event.data() {
                    WAKE => drop(self.wake.read()),
                    LISTENER => is_knocked = true,
                    id => self.happened(id, event.events(), &mut own.buffer),
                }
            }
            if is_knocked {
                // Last, so that none makes room whose request has come by now.
                self.accept(own);
            }
            self.tend(own);
        }
    }

    fn hand_over(&self, own: &mut Loop) -> bool {
        loop {
            let Some(id) = guard(&self.queue).next() else { return false };
            if self.by_id(id).is_some_and(|connection| connection.hand_over(&mut own.head)) {
                own.is_to_look = guard(&self.queue).handed().is_multiple_of(HANDED_AT_ONCE);
                return true;
            }
        }
    }

    /// A panic costs the connection with which it came.
    fn happened(&self, id: u64, flags: EpollFlags, buffer: &mut [u8]) {
        let Some(connection) = self.by_id(id) else { return };
        if catch_unwind(AssertUnwindSafe(|| connection.happened(flags, buffer))).is_err() {
            PANICS.fetch_add(1, Ordering::Relaxed);
            connection.abandon();
        }
        self.bound_input();
    }

    /// Returns how long to sleep. Other threads wake the loop for what they give it to do after this. Times of silence that they
    /// begin end later than a sleep that begins now.
    fn sleep(&self, own: &Loop) -> EpollTimeout {
        self.is_asleep.store(true, Ordering::SeqCst);
        if guard(&self.queue).has_next() {
            return EpollTimeout::ZERO;
        }
        let now = Instant::now();
        let idle = self.limits.idle;
        let silent = self.ages.oldest(&Pending::ALL, None).map(|(since, _)| since + idle);
        let latest = (self.open() > 0).then(|| now + idle);
        let Some(until) = silent.into_iter().chain(own.paused_until).chain(latest).min() else {
            return EpollTimeout::NONE;
        };
        // A millisecond late rather than one early.
        let millis = until.saturating_duration_since(now).as_millis() + 1;
        EpollTimeout::try_from(millis.min(60_000)).unwrap_or(EpollTimeout::ZERO)
    }

    /// Does what is due by itself.
    fn tend(&self, own: &mut Loop) {
        let now = Instant::now();
        let silent = |age: &Age| age.0 + self.limits.idle <= now;
        while let Some((_, id)) = self.ages.oldest(&Pending::ALL, None).filter(silent) {
            if let Some(connection) = self.by_id(id) {
                connection.expire(now);
            }
        }
        own.paused_until = own.paused_until.filter(|until| *until > now);
        let is_listening = own.paused_until.is_none() && !self.is_draining.load(Ordering::SeqCst);
        if is_listening != own.is_listening {
            let _ = match is_listening {
                true => self.epoll.add(&self.listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER)),
                false => self.epoll.delete(&self.listener),
            };
            own.is_listening = is_listening;
        }
    }

    /// Accepts what waits, as far as there is room for it or can be made.
    fn accept(self: &Arc<Self>, own: &mut Loop) {
        for _ in 0..ACCEPTED_AT_ONCE {
            if self.is_draining.load(Ordering::SeqCst) {
                return;
            }
            // The one that was accepted last may be one too many. None goes before there is one.
            let is_over = self.open() + OTHER_DESCRIPTORS > self.limits.descriptors;
            if is_over && !self.make_room() {
                own.paused_until = Some(Instant::now() + PAUSE);
                return;
            }
            match self.listener.accept() {
                Ok((socket, peer)) => self.admit(own, socket, peer),
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
        }
    }

    fn admit(self: &Arc<Self>, own: &mut Loop, socket: TcpStream, peer: SocketAddr) {
        let GateLimits { connections: most, connections_per_address: most_of_one, .. } = self.limits;
        let is_full = self.open() >= most && !self.make_room();
        let ip = peer.ip();
        let of_one = self.addresses.add(ip);
        let is_crowd = most_of_one > 0 && of_one > most_of_one && !self.limits.trusts(ip);
        let is_silent =
            self.open() >= most + MAX_TURNED_AWAY || (is_crowd && of_one > most_of_one + MAX_TURNED_AWAY_PER_ADDRESS);
        if is_full || is_crowd {
            self.counters.turned_away.fetch_add(1, Ordering::Relaxed);
        }
        own.next_id += 1;
        let prepared = socket.set_nonblocking(true).is_ok() && !is_silent;
        let connection = prepared.then(|| Connection::new(self, own.next_id, peer, socket).ok()).flatten();
        let Some(connection) = connection.map(Arc::new) else { return self.addresses.remove(ip) };
        self.counters.accepted.fetch_add(1, Ordering::Relaxed);
        guard(&self.connections).insert(connection.id, Arc::clone(&connection));
        if is_crowd {
            connection
                .turn_away(format!("there are {most_of_one} connections from this address, as many as there may be\n"));
        } else if is_full {
            connection.turn_away(format!("there are {most} connections, as many as there may be\n"));
        } else {
            self.happened(connection.id, EpollFlags::EPOLLIN, &mut own.buffer);
        }
    }
}
