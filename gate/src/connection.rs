//! One connection, from its first byte to its last: what has come of its requests, whose turn it is, and what its peer has not
//! taken yet.
//!
//! The HTTP server never has the connection itself. For a request it gets two duplicates of the socket, one to read and one to
//! write, which [`table`] calls ends. When it has read the request, the reading end says that nothing more comes, and the thread
//! that the server has for it is free. Only a peer whose requests follow each other closely is read by that thread itself.

use std::collections::VecDeque;
use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv6Addr, Shutdown, SocketAddr, SocketAddrV6, TcpStream};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{EpollEvent, EpollFlags};
use nix::sys::socket::{MsgFlags, recv, send};
use nix::sys::stat::fstat;

use crate::framing::{Framing, Refused};
use crate::shared::{Happened, LINGER, LONG, Shared};
use crate::table::{self, End};

/// Bytes that are read at once.
const READ: usize = 16 << 10;
/// Requests that follow each other within this are read by the server's thread itself.
const CLOSELY: Duration = Duration::from_millis(20);
/// How long and how much a peer may still send after its last answer. Closing before it has said that it is done could take the
/// answer away from it.
const DRAIN: Duration = Duration::from_secs(2);
const DRAIN_BYTES: usize = 1 << 20;

/// A peer that takes nothing for this long makes room for answers to others.
const STALLED: Duration = Duration::from_millis(100);
/// How often it is looked whether a request is answered, before the thread sleeps until it is.
const SPINS: usize = 8;
/// How often a request is handed over that nobody begins to read.
const MAX_AGAIN: u8 = 3;

/// The number of no descriptor, and of the one that is not known yet.
const NO_READER: RawFd = -1;
const NEW_READER: RawFd = -2;

pub(crate) struct Connection {
    pub(crate) gate: Arc<Shared>,
    pub(crate) slot: u32,
    /// Tells it from others that had the slot before.
    pub(crate) serial: u32,
    pub(crate) peer: SocketAddr,
    socket: TcpStream,
    inode: libc::ino_t,
    state: Mutex<State>,
    answered: Condvar,
}

pub(crate) struct State {
    phase: Phase,
    /// When the phase began; while something is written, when the peer last took some of it.
    since: Instant,
    /// What has come: the request that is being read, or handed over, and what follows it.
    input: Vec<u8>,
    framing: Framing,
    /// The length of the whole request at the start of `input`, and how much of it the server has.
    request: usize,
    given: usize,
    /// What the peer has not taken yet, and whether that is kept for it at all.
    output: VecDeque<u8>,
    keeps: bool,
    /// How often the request was handed over in vain.
    again: u8,
    /// When the last request was handed over.
    given_at: Instant,
    /// How often it was handed over, so that nothing of an earlier visit is taken for one of this.
    visit: u16,
    /// The end that the server reads, while it may.
    reader: RawFd,
    /// Ends that the server has open, and whether it has begun to read the last one.
    ends: usize,
    picked_up: bool,
    /// Whether requests follow each other closely.
    busy: bool,
    /// The peer sends nothing more.
    ended: bool,
    drained: usize,
    /// What epoll waits for; `None` while it does not know the socket.
    armed: Option<EpollFlags>,
    /// When the gate looks at it for its deadline.
    pub(crate) timer: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    /// A request is awaited, or has come in part.
    Reading,
    /// A whole request waits to be handed over.
    Ready,
    /// The server has it, and whether a worker has begun with it.
    Given {
        begun: bool,
    },
    /// It is answered, and the peer has not taken all of the answer.
    Flushing,
    /// Nothing more is read of it than to see its end: the answer that it still gets is the last.
    Closing {
        politely: bool,
    },
    Closed,
}

impl Connection {
    pub(crate) fn new(gate: &Arc<Shared>, slot: u32, serial: u32, peer: SocketAddr, socket: TcpStream) -> Self {
        let inode = fstat(socket.as_fd()).map_or(0, |status| status.st_ino);
        let state = State {
            phase: Phase::Reading,
            since: Instant::now(),
            given_at: Instant::now(),
            input: Vec::new(),
            framing: Framing::default(),
            request: 0,
            given: 0,
            output: VecDeque::new(),
            keeps: true,
            again: 0,
            visit: 0,
            reader: NO_READER,
            ends: 0,
            picked_up: true,
            busy: false,
            ended: false,
            drained: 0,
            armed: None,
            timer: None,
        };
        let (gate, state) = (Arc::clone(gate), Mutex::new(state));
        Self { gate, slot, serial, peer, socket, inode, state, answered: Condvar::new() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn id(&self) -> u64 {
        u64::from(self.serial) << 32 | u64::from(self.slot)
    }

    /// By what the server knows it: an address that nobody has (RFC 6666).
    pub(crate) fn token(&self) -> SocketAddrV6 {
        let id = u128::from(self.id());
        SocketAddrV6::new(Ipv6Addr::from_bits(0x0100 << 112 | id), self.lock().visit, 0, 0)
    }

    /// Its slot, serial number and visit, if `token` is one.
    pub(crate) fn parse_token(token: SocketAddr) -> Option<(u32, u32, u16)> {
        let SocketAddr::V6(token) = token else { return None };
        let bits = token.ip().to_bits();
        (bits >> 64 == 0x0100 << 48).then_some((bits as u32, (bits >> 32) as u32, token.port()))
    }

    /// Whether `fd` is a duplicate of its socket.
    pub(crate) fn is_socket(&self, fd: RawFd) -> bool {
        fstat(crate::symbols::borrow(fd)).is_ok_and(|status| status.st_ino == self.inode)
    }

    pub(crate) fn has_reader(&self, fd: RawFd) {
        let mut state = self.lock();
        state.ends += 1;
        if state.reader == NEW_READER {
            state.reader = fd;
        }
    }

    // What the event loop does.

    /// Looks at what epoll says.
    pub(crate) fn happened(self: &Arc<Self>, flags: EpollFlags) {
        let mut state = self.lock();
        // It was armed for once.
        state.armed = state.armed.map(|_| EpollFlags::empty());
        if flags.contains(EpollFlags::EPOLLOUT) {
            self.flush(&mut state);
        }
        let reads = EpollFlags::EPOLLIN | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR;
        // Only one of them reads, the server's thread or the loop.
        let happened = if flags.intersects(reads) && state.reader == NO_READER { self.pull(&mut state) } else { None };
        self.settle(state, happened);
    }

    /// The first look, when it has been accepted.
    pub(crate) fn start(self: &Arc<Self>) {
        let mut state = self.lock();
        let happened = self.pull(&mut state);
        self.settle(state, happened);
    }

    /// Refuses it as one too many.
    pub(crate) fn turn_away(self: &Arc<Self>, refused: &Refused) {
        let mut state = self.lock();
        if state.phase != Phase::Closed {
            self.refuse(&mut state, refused);
        }
        self.settle(state, None);
    }

    /// Takes a ready request for the server, and notes that a worker has it as `end`. False if there is none any more.
    pub(crate) fn give(&self, end: RawFd) -> bool {
        let mut state = self.lock();
        if state.phase != Phase::Ready || !table::set(end, self, End::Writer) {
            return false;
        }
        state.phase = Phase::Given { begun: false };
        state.given_at = Instant::now();
        state.visit = state.visit.wrapping_add(1);
        (state.reader, state.picked_up) = (NEW_READER, false);
        state.ends += 1;
        true
    }

    /// A duplicate of its socket, for the server to write to.
    pub(crate) fn duplicate(&self) -> io::Result<RawFd> {
        use std::os::fd::IntoRawFd as _;
        Ok(self.socket.try_clone()?.into_raw_fd())
    }

    /// Its deadline has come, if it is not a later one by now. Returns when to look again.
    pub(crate) fn expire(self: &Arc<Self>, now: Instant) {
        let mut state = self.lock();
        state.timer = None;
        if self.deadline(&state).is_some_and(|deadline| deadline <= now) {
            match state.phase {
                Phase::Reading if !state.input.is_empty() => {
                    self.refuse(&mut state, &Refused::new(408, "the request came too slowly\n"));
                }
                Phase::Ready => self.refuse(&mut state, &Refused::new(503, "there are too many calls at a time\n")),
                _ => self.close(&mut state),
            }
        }
        self.settle(state, None);
    }

    /// Closes it in favour of another one, unless its peer waits for an answer, or it is no longer what `timer` says.
    pub(crate) fn evict(self: &Arc<Self>, timer: Instant) -> bool {
        let mut state = self.lock();
        if state.timer != Some(timer) {
            return false;
        }
        state.timer = None;
        let evicted = self.deadline(&state) == Some(timer);
        if evicted {
            self.close(&mut state);
        }
        self.settle(state, None);
        evicted
    }

    /// Since when something has been kept for it that is no whole request, or one that nobody has begun with.
    pub(crate) fn unfinished_since(&self) -> Option<Instant> {
        let state = self.state.try_lock().ok()?;
        (state.input.len() > state.request || state.phase == Phase::Ready).then_some(state.since)
    }

    /// Since when its peer has taken nothing of what is kept for it.
    fn stalled_since(&self) -> Option<Instant> {
        let state = self.state.try_lock().ok()?;
        (!state.output.is_empty()).then_some(state.since)
    }

    /// Ends it at once. Does not wait for it: the caller may have another one locked. False if it must not be touched now.
    pub(crate) fn abort(self: &Arc<Self>) -> bool {
        let Ok(mut state) = self.state.try_lock() else { return false };
        self.close(&mut state);
        self.settle(state, None);
        true
    }

    // What the server's threads do.

    /// The server reads from `fd`. Returns how much, 0 if nothing more comes there.
    pub(crate) fn read(self: &Arc<Self>, fd: RawFd, out: &mut [MaybeUninit<u8>]) -> usize {
        let mut state = self.lock();
        if state.reader != fd {
            return 0;
        }
        if !std::mem::replace(&mut state.picked_up, true) {
            self.gate.picked_up();
        }
        loop {
            let owed = state.request - state.given;
            if owed > 0 && matches!(state.phase, Phase::Given { .. }) {
                let count = owed.min(out.len());
                for (to, from) in out.iter_mut().zip(&state.input[state.given..state.given + count]) {
                    to.write(*from);
                }
                state.given += count;
                if state.given == state.request {
                    self.cut(&mut state);
                }
                return count;
            }
            let reads_on = matches!(state.phase, Phase::Given { .. } | Phase::Reading) && state.busy && !state.ended;
            if !reads_on || (state.phase != Phase::Reading && !state.input.is_empty()) || !self.gate.may_linger() {
                let happened = self.leave(&mut state);
                self.settle(state, happened);
                return 0;
            }
            self.schedule(&mut state);
            let mut bytes = [0; READ / 4];
            drop(state);
            let got = self.gate.lingering(|| recv(self.socket.as_raw_fd(), &mut bytes, MsgFlags::empty()));
            state = self.lock();
            if state.reader != fd {
                return 0;
            }
            // The peer can have its answer just before the worker has said so.
            for _ in 0..SPINS {
                if !matches!(got, Ok(1..)) || state.phase != (Phase::Given { begun: true }) {
                    break;
                }
                drop(state);
                std::thread::yield_now();
                state = self.lock();
            }
            if let (Ok(1..), Phase::Given { .. }) = (got, state.phase) {
                state = self.answered.wait_timeout(state, LINGER).unwrap_or_else(PoisonError::into_inner).0;
            }
            state.busy = got.is_ok();
            let happened = self.push(&mut state, got.map(|count| &bytes[..count]));
            if state.phase == Phase::Ready {
                state.phase = Phase::Given { begun: false };
                state.given_at = Instant::now();
                self.gate.unbegun.fetch_add(1, Ordering::SeqCst);
                continue;
            }
            if happened.is_some() || state.phase == Phase::Closed {
                let happened = happened.or(self.leave(&mut state));
                state.reader = NO_READER;
                self.settle(state, happened);
                return 0;
            }
        }
    }

    pub(crate) fn keep_nothing(&self) {
        self.lock().keeps = false;
    }

    /// Sends `bytes`, and keeps what the peer does not take at once. Returns how many bytes are taken care of.
    pub(crate) fn write(self: &Arc<Self>, bytes: &[u8]) -> nix::Result<usize> {
        let mut state = self.lock();
        if state.phase == Phase::Closed {
            return Err(Errno::EPIPE);
        }
        let mut sent = 0;
        while state.output.is_empty() && sent < bytes.len() {
            match send(self.socket.as_raw_fd(), &bytes[sent..], MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL) {
                Ok(count) => sent += count,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => break,
                Err(error) => {
                    self.close(&mut state);
                    return Err(error);
                }
            }
        }
        let rest = &bytes[sent..];
        if rest.is_empty() || (sent > 0 && !state.keeps) {
            return Ok(sent);
        }
        if !state.keeps {
            return Err(Errno::EAGAIN);
        }
        if !(self.gate.keep(rest.len()) || (0..8).any(|_| self.drop_most_stalled() && self.gate.keep(rest.len()))) {
            self.close(&mut state);
            return Err(Errno::EPIPE);
        }
        if state.output.is_empty() {
            state.since = Instant::now();
        }
        // Twice as much would be a lot of memory here.
        state.output.reserve_exact(rest.len());
        state.output.extend(rest);
        self.settle(state, None);
        Ok(bytes.len())
    }

    /// The server has closed one of its ends.
    pub(crate) fn lost(self: &Arc<Self>, fd: RawFd, end: End) {
        let mut state = self.lock();
        state.ends = state.ends.saturating_sub(1);
        if end == End::Reader {
            if !std::mem::replace(&mut state.picked_up, true) {
                self.gate.picked_up();
            }
            self.gate.left();
        }
        let happened = if state.reader == fd { self.leave(&mut state) } else { None };
        if state.ends == 0 {
            if state.phase == (Phase::Given { begun: false }) {
                if state.given == 0 && state.request > 0 && state.again < MAX_AGAIN {
                    // It had no thread for it.
                    (state.phase, state.again) = (Phase::Ready, state.again + 1);
                    self.gate.begun();
                } else {
                    // It found no request in what it was given, and nobody else will answer.
                    self.close(&mut state);
                }
            } else if state.phase == Phase::Closed {
                table::remove(self.slot);
            }
        }
        self.settle(state, happened);
    }

    /// A worker begins with the request of this visit. False if that was another one.
    pub(crate) fn begin(&self, serial: u32, visit: u16) -> bool {
        let mut state = self.lock();
        if self.serial != serial || state.visit != visit || state.phase != (Phase::Given { begun: false }) {
            return false;
        }
        state.phase = Phase::Given { begun: true };
        self.gate.begun();
        true
    }

    pub(crate) fn has_more(&self) -> bool {
        let state = self.lock();
        state.input.len() > state.request || state.ended
    }

    pub(crate) fn is_open(&self) -> bool {
        let state = self.lock();
        state.phase != Phase::Closed && !state.ended
    }

    pub(crate) fn unsent(&self) -> usize {
        self.lock().output.len()
    }

    /// The request is answered: the next one has its turn, or the connection ends.
    pub(crate) fn answer(self: &Arc<Self>, keep_alive: bool) {
        let mut state = self.lock();
        if !matches!(state.phase, Phase::Given { .. }) {
            return;
        }
        self.cut(&mut state);
        state.again = 0;
        state.phase = match keep_alive && !(state.ended && state.input.is_empty()) {
            true => Phase::Flushing,
            false => Phase::Closing { politely: !state.input.is_empty() },
        };
        if state.output.is_empty() {
            self.flushed(&mut state);
        }
        self.answered.notify_one();
        self.settle(state, None);
    }

    // How the state changes.

    /// Drops from `input` what the server has of the request, or need not have any more.
    fn cut(&self, state: &mut State) {
        self.gate.release(state.request);
        state.input.drain(..state.request);
        (state.request, state.given) = (0, 0);
        if state.input.is_empty() && (!state.busy || state.input.capacity() > READ / 4) {
            state.input = Vec::new();
        }
    }

    /// Reads what has come.
    fn pull(self: &Arc<Self>, state: &mut State) -> Option<Happened> {
        let mut bytes = [0; READ];
        let got = recv(self.socket.as_raw_fd(), &mut bytes, MsgFlags::MSG_DONTWAIT);
        self.push(state, got.map(|count| &bytes[..count]))
    }

    /// Does with what was read what the phase demands.
    fn push(self: &Arc<Self>, state: &mut State, got: nix::Result<&[u8]>) -> Option<Happened> {
        let bytes = match got {
            Ok(bytes) => bytes,
            Err(Errno::EAGAIN | Errno::EINTR) => return None,
            Err(_) => &[],
        };
        match state.phase {
            _ if bytes.is_empty() => {
                state.ended = true;
                match state.phase {
                    Phase::Reading | Phase::Closing { .. } => self.close(state),
                    _ if got.is_err() => self.close(state),
                    _ => {}
                }
                return Some(Happened::Ended);
            }
            Phase::Reading => {
                if state.input.is_empty() {
                    // For its deadline, and to see whether requests follow each other closely.
                    let now = Instant::now();
                    state.busy = state.visit > 0 && now - state.given_at < CLOSELY;
                    state.since = now;
                }
                self.gate.take(bytes.len());
                state.input.extend_from_slice(bytes);
                self.advance(state);
                return None;
            }
            Phase::Given { .. } | Phase::Flushing | Phase::Ready => {
                self.gate.take(bytes.len());
                state.input.extend_from_slice(bytes);
                return Some(Happened::Pipelined);
            }
            Phase::Closing { .. } => {
                state.drained += bytes.len();
                if state.drained > DRAIN_BYTES {
                    self.close(state);
                }
            }
            Phase::Closed => {}
        }
        None
    }

    /// Looks for a whole request in `input`.
    fn advance(&self, state: &mut State) {
        let before = state.input.len();
        let advanced = state.framing.advance(&mut state.input, self.gate.limits.body_bytes);
        self.gate.release(before - state.input.len());
        match advanced {
            Ok(true) => {
                state.request = state.framing.end();
                state.framing = Framing::default();
                state.phase = Phase::Ready;
            }
            Ok(false) => {
                if state.framing.take_expectation() {
                    self.send_own(state, b"HTTP/1.1 100 Continue\r\n\r\n");
                }
            }
            Err(refused) => self.refuse(state, &refused),
        }
    }

    /// Answers in the server's place, and reads nothing more. No answer of the server's is pending then.
    fn refuse(&self, state: &mut State, refused: &Refused) {
        let Refused { status, text } = refused;
        self.gate.refused();
        let again = if *status == 503 { "Retry-After: 1\r\n" } else { "" };
        let answer = format!(
            "HTTP/1.1 {status} {}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
             Connection: close\r\n{again}\r\n{text}",
            reason(*status),
            text.len()
        );
        self.gate.release(state.input.len());
        state.input = Vec::new();
        (state.request, state.given) = (0, 0);
        state.phase = Phase::Closing { politely: true };
        self.send_own(state, answer.as_bytes());
        if state.output.is_empty() && state.phase != Phase::Closed {
            self.flushed(state);
        }
    }

    /// Sends some bytes of the gate's own.
    fn send_own(&self, state: &mut State, bytes: &[u8]) {
        let taken = send(self.socket.as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL).unwrap_or(0);
        if taken < bytes.len() && self.gate.keep(bytes.len() - taken) {
            state.since = Instant::now();
            state.output.extend(&bytes[taken..]);
        }
    }

    /// Sends what is kept, as far as the peer takes it.
    fn flush(&self, state: &mut State) {
        while !state.output.is_empty() {
            let (bytes, _) = state.output.as_slices();
            match send(self.socket.as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL) {
                Ok(count) => {
                    state.output.drain(..count);
                    self.gate.unkeep(count);
                    state.since = Instant::now();
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                Err(_) => return self.close(state),
            }
        }
        state.output = VecDeque::new();
        self.flushed(state);
    }

    /// All that was kept is out.
    fn flushed(&self, state: &mut State) {
        match state.phase {
            Phase::Flushing => {
                (state.phase, state.since) = (Phase::Reading, Instant::now());
                if !state.input.is_empty() {
                    self.advance(state);
                } else if state.ended {
                    self.close(state);
                }
            }
            Phase::Closing { politely: true } => {
                state.since = Instant::now();
                let _ = self.socket.shutdown(Shutdown::Write);
                if state.ended {
                    self.close(state);
                }
            }
            Phase::Closing { politely: false } => self.close(state),
            _ => {}
        }
    }

    /// The server's thread has read enough: what comes next is the event loop's to read.
    fn leave(&self, state: &mut State) -> Option<Happened> {
        state.reader = NO_READER;
        let waits = matches!(state.phase, Phase::Given { .. }) && state.input.len() > state.request;
        waits.then_some(Happened::Pipelined)
    }

    fn close(&self, state: &mut State) {
        if state.phase == Phase::Closed {
            return;
        }
        if state.phase == (Phase::Given { begun: false }) {
            // Whoever takes it finds that it is gone.
            self.gate.begun();
        }
        let is_answered = matches!(state.phase, Phase::Given { .. });
        state.phase = Phase::Closed;
        self.gate.release(state.input.len());
        self.gate.unkeep(state.output.len());
        (state.input, state.output) = (Vec::new(), VecDeque::new());
        (state.request, state.given) = (0, 0);
        if state.armed.take().is_some() {
            let _ = self.gate.epoll.delete(&self.socket);
        }
        if state.ends > 0 || is_answered {
            // Duplicates keep the socket open, or whoever writes the answer; and somebody may be reading from it.
            let _ = self.socket.shutdown(Shutdown::Both);
        }
        if state.ends == 0 {
            table::remove(self.slot);
        }
        self.gate.closed(self);
    }

    fn deadline(&self, state: &State) -> Option<Instant> {
        let idle = self.gate.limits.idle;
        match state.phase {
            Phase::Closed => None,
            Phase::Given { .. } if state.output.is_empty() => None,
            Phase::Closing { .. } if state.output.is_empty() => Some(state.since + DRAIN.min(idle)),
            _ => Some(state.since + idle),
        }
    }

    /// Leaves the state as it is to be found: epoll, the deadline and the queue know of it, and then who is to hear of it does.
    fn settle(self: &Arc<Self>, mut state: MutexGuard<'_, State>, happened: Option<Happened>) {
        if state.phase == Phase::Closed {
            drop(state);
        } else {
            let mut wanted = EpollFlags::empty();
            let room = state.input.len() <= state.request && !state.ended;
            let reads = match state.phase {
                Phase::Reading | Phase::Given { .. } | Phase::Flushing if state.reader != NO_READER => false,
                Phase::Reading => true,
                Phase::Given { .. } | Phase::Flushing => room && state.given == state.request,
                Phase::Closing { .. } => state.output.is_empty(),
                Phase::Ready | Phase::Closed => false,
            };
            wanted.set(EpollFlags::EPOLLIN, reads);
            wanted.set(EpollFlags::EPOLLOUT, !state.output.is_empty());
            self.arm(&mut state, wanted);
            self.schedule(&mut state);
            let ready = state.phase == Phase::Ready && state.reader == NO_READER;
            let is_long = state.request > LONG;
            drop(state);
            if ready {
                self.gate.is_ready(self, is_long);
            }
        }
        if let Some(happened) = happened {
            self.gate.tell(happened, self.id());
        }
    }

    /// Sees to it that its deadline is not missed.
    fn schedule(&self, state: &mut State) {
        if let Some(deadline) = self.deadline(state)
            && state.timer.is_none_or(|timer| deadline < timer)
        {
            state.timer = Some(deadline);
            self.gate.look_at(self, deadline);
        }
    }

    fn arm(&self, state: &mut State, wanted: EpollFlags) {
        if state.armed == Some(wanted) || (state.armed.is_none() && wanted.is_empty()) {
            return;
        }
        // What was armed for more than is wanted may stay so: it is looked at once.
        if wanted.is_empty() && state.armed.is_some() {
            return;
        }
        let mut event = EpollEvent::new(wanted | EpollFlags::EPOLLONESHOT, self.id());
        let known = state.armed.is_some();
        let done = if known {
            self.gate.epoll.modify(&self.socket, &mut event)
        } else {
            self.gate.epoll.add(&self.socket, event)
        };
        match done {
            Ok(()) => state.armed = Some(wanted),
            Err(_) => self.close(state),
        }
    }

    /// Ends the connection of the peer that has taken nothing for longest, where there is no room for another answer.
    fn drop_most_stalled(&self) -> bool {
        let stalled = table::all().into_iter().filter(|other| Arc::ptr_eq(&other.gate, &self.gate));
        let stalled = stalled.filter_map(|other| Some((other.stalled_since()?, other)));
        match stalled.min_by_key(|(since, _)| *since) {
            Some((since, other)) => since.elapsed() > STALLED && other.abort(),
            None => false,
        }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        408 => "Request Timeout",
        413 => "Content Too Large",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        _ => "HTTP Version Not Supported",
    }
}
