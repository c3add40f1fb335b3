//! One connection, from its first byte to its last: what has come of its requests, whose turn it is, and what its peer has not
//! taken yet. Only the event loop reads from it; any thread may write an answer.

use std::collections::VecDeque;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsRawFd as _;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::epoll::{EpollEvent, EpollFlags};
use nix::sys::socket::{MsgFlags, send};
use nix::unistd::read;

use crate::ages::Pending;
use crate::framing::Request;
use crate::handover::{join_chunks, write_head};
use crate::refused::Refused;
use crate::shared::{Shared, guard};
use crate::state::{ConnectionState, Phase};

/// Bytes that a peer may still send after its last answer. Closing before it has said that it is done could take the answer
/// away from it.
const DRAIN_BYTES: usize = 1 << 20;

pub(crate) struct Connection {
    pub(crate) gate: Arc<Shared>,
    pub(crate) id: u64,
    pub(crate) peer: SocketAddr,
    socket: TcpStream,
    state: Mutex<ConnectionState>,
}

impl Connection {
    /// Takes a connection that was accepted.
    pub(crate) fn new(gate: &Arc<Shared>, id: u64, peer: SocketAddr, socket: TcpStream) -> nix::Result<Self> {
        gate.epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, id))?;
        Ok(Self { gate: Arc::clone(gate), id, peer, socket, state: Mutex::new(ConnectionState::new()) })
    }

    fn lock(&self) -> MutexGuard<'_, ConnectionState> {
        guard(&self.state)
    }

    // The event loop's part.

    /// Does what epoll says. `buffer` is to read into.
    pub(crate) fn happened(&self, flags: EpollFlags, buffer: &mut [u8]) {
        let mut state = self.lock();
        let is_awaited = state.phase == Phase::Answering;
        if flags.contains(EpollFlags::EPOLLOUT) {
            self.flush(&mut state);
        }
        let reads = state.interest().contains(EpollFlags::EPOLLIN);
        let has_read = reads && self.pull(&mut state, buffer);
        let is_gone = flags.intersects(EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR) && !has_read;
        if is_gone {
            self.close(&mut state);
        }
        self.settle(&mut state);
        let tells = is_awaited && (has_read || is_gone || state.has_ended);
        drop(state);
        if tells && let Some(tell) = self.gate.on_pipelined.get() {
            tell(self.id);
        }
    }

    /// Refuses it as one too many.
    pub(crate) fn turn_away(&self, text: String) {
        let mut state = self.lock();
        self.dismiss(&mut state, &Refused::new(503, text));
        self.settle(&mut state);
    }

    /// Appends the head of the request to `lane`. Returns false if there is none any more.
    pub(crate) fn hand_over(&self, lane: &mut Vec<u8>) -> bool {
        let state = self.lock();
        let is_queued = state.phase == Phase::Queued;
        if is_queued {
            write_head(&state.input[..state.request.head_end], self.id, lane);
        }
        is_queued
    }

    /// Ends it if its peer has been silent for too long by `now`.
    pub(crate) fn expire(&self, now: Instant) {
        let mut state = self.lock();
        if state.pending().is_some() && state.since + self.gate.limits.idle <= now {
            match state.phase {
                Phase::Reading if !state.input.is_empty() => {
                    self.refuse(&mut state, &Refused::new(408, "the request came too slowly\n"));
                }
                Phase::Queued => self.dismiss(&mut state, &Refused::new(503, "there are too many calls at a time\n")),
                _ => self.close(&mut state),
            }
        }
        self.settle(&mut state);
    }

    /// Closes it if one of `these` is pending and `condition` holds. Returns whether it did. Does not wait for it: the caller
    /// may have another one locked.
    pub(crate) fn close_if(&self, these: &[Pending], condition: fn(&ConnectionState) -> bool) -> bool {
        let Ok(mut state) = self.state.try_lock() else { return false };
        let closes = state.pending().is_some_and(|pending| these.contains(&pending)) && condition(&state);
        if closes {
            self.close(&mut state);
        }
        closes
    }

    /// Closes it in whatever state a panic has left it.
    pub(crate) fn abandon(&self) {
        self.close(&mut self.lock());
        self.gate.closed(self);
    }

    // The part of the server's threads.

    /// Begins with the request. Returns it with its body, or `None` if there is none any more.
    pub(crate) fn begin(&self) -> Option<(Request, Vec<u8>)> {
        let mut state = self.lock();
        if state.phase != Phase::Queued {
            return None;
        }
        state.phase = Phase::Answering;
        let request = std::mem::take(&mut state.request);
        let following = state.input.split_off(request.end);
        let mut body = std::mem::replace(&mut state.input, following);
        self.gate.release(request.end);
        body.drain(..request.head_end);
        self.settle(&mut state);
        drop(state);
        if request.is_chunked {
            join_chunks(&mut body);
        }
        Some((request, body))
    }

    pub(crate) fn has_more(&self) -> bool {
        let state = self.lock();
        !state.input.is_empty() || state.has_ended
    }

    pub(crate) fn keep_nothing(&self) {
        self.lock().keeps_output = false;
    }

    /// Sends `bytes`, and keeps what the peer does not take at once. Returns how many bytes are taken care of.
    pub(crate) fn write(&self, bytes: &[u8]) -> nix::Result<usize> {
        let mut state = self.lock();
        let count = self.put(&mut state, bytes);
        self.settle(&mut state);
        count
    }

    /// The request is answered: the next one has its turn, or the connection ends.
    pub(crate) fn answer(&self, keep_alive: bool) {
        let mut state = self.lock();
        if state.phase != Phase::Answering {
            return;
        }
        let goes_on = keep_alive && !(state.has_ended && state.input.is_empty());
        state.phase = if goes_on { Phase::Flushing } else { Phase::Closing };
        if state.output.is_empty() {
            self.flushed(&mut state);
        }
        self.settle(&mut state);
    }

    // How the state changes.

    /// Reads what has come. Returns whether something has.
    fn pull(&self, state: &mut ConnectionState, buffer: &mut [u8]) -> bool {
        let bytes = match read(&self.socket, buffer) {
            Ok(count) => &buffer[..count],
            Err(Errno::EAGAIN | Errno::EINTR) => return false,
            Err(_) => {
                self.close(state);
                return false;
            }
        };
        state.has_ended = bytes.is_empty();
        match state.phase {
            Phase::Reading | Phase::Closing if state.has_ended => self.close(state),
            Phase::Closing => {
                state.drained += bytes.len();
                if state.drained > DRAIN_BYTES {
                    self.close(state);
                }
            }
            _ => self.take(state, bytes),
        }
        !bytes.is_empty()
    }

    /// Keeps what was read.
    fn take(&self, state: &mut ConnectionState, bytes: &[u8]) {
        let is_first = state.input.is_empty();
        self.gate.take(bytes.len());
        state.input.extend_from_slice(bytes);
        if state.phase == Phase::Reading {
            if is_first {
                state.since = Instant::now();
            }
            self.advance(state);
        }
    }

    /// Looks for a whole request in `input`.
    fn advance(&self, state: &mut ConnectionState) {
        let before = state.input.len();
        let is_whole = state.framing.advance(&mut state.input, self.gate.limits.body_bytes);
        self.gate.release(before - state.input.len());
        match is_whole {
            Ok(true) => {
                state.request = std::mem::take(&mut state.framing).request();
                state.phase = Phase::Queued;
                self.gate.queue(self.id, state.request.end);
            }
            Ok(false) => {
                if state.framing.take_expectation() {
                    let _ = self.put(state, b"HTTP/1.1 100 Continue\r\n\r\n");
                }
            }
            Err(refused) => self.refuse(state, &refused),
        }
    }

    /// Refuses a request for what it is.
    fn refuse(&self, state: &mut ConnectionState, refused: &Refused) {
        self.gate.counters.refused.fetch_add(1, Ordering::Relaxed);
        self.dismiss(state, refused);
    }

    /// Sends an answer in the server's place, and reads nothing more. No answer of the server's is pending then.
    fn dismiss(&self, state: &mut ConnectionState, refused: &Refused) {
        if state.phase == Phase::Closed {
            return;
        }
        self.gate.release(state.input.len());
        (state.input, state.request) = (Vec::new(), Request::default());
        state.phase = Phase::Closing;
        if self.put(state, refused.answer().as_bytes()).is_ok() && state.output.is_empty() {
            self.flushed(state);
        }
    }

    /// Sends bytes in the order in which they are put.
    fn put(&self, state: &mut ConnectionState, bytes: &[u8]) -> nix::Result<usize> {
        if state.phase == Phase::Closed {
            return Err(Errno::EPIPE);
        }
        let sent = if state.output.is_empty() { self.send(bytes) } else { Ok(0) };
        let sent = sent.inspect_err(|_| self.close(state))?;
        let rest = &bytes[sent..];
        if rest.is_empty() {
            return Ok(sent);
        }
        if !state.keeps_output {
            return if sent > 0 { Ok(sent) } else { Err(Errno::EAGAIN) };
        }
        if !self.gate.keep(rest.len()) {
            self.close(state);
            return Err(Errno::EPIPE);
        }
        if state.output.is_empty() {
            state.since = Instant::now();
        }
        // Twice as much would be a lot of memory here.
        state.output.reserve_exact(rest.len());
        state.output.extend(rest);
        Ok(bytes.len())
    }

    /// Sends as much as the peer takes at once.
    fn send(&self, bytes: &[u8]) -> nix::Result<usize> {
        let mut sent = 0;
        while sent < bytes.len() {
            match send(self.socket.as_raw_fd(), &bytes[sent..], MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL) {
                Ok(count) => sent += count,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }

    /// Sends what is kept, as far as the peer takes it.
    fn flush(&self, state: &mut ConnectionState) {
        while !state.output.is_empty() {
            match self.send(state.output.as_slices().0) {
                Ok(0) => return,
                Ok(count) => {
                    state.output.drain(..count);
                    self.gate.unkeep(count);
                    state.since = Instant::now();
                }
                Err(_) => return self.close(state),
            }
        }
        state.output = VecDeque::new();
        self.flushed(state);
    }

    /// All that was kept is out.
    fn flushed(&self, state: &mut ConnectionState) {
        match state.phase {
            Phase::Flushing => {
                (state.phase, state.since) = (Phase::Reading, Instant::now());
                if !state.input.is_empty() {
                    self.advance(state);
                } else if state.has_ended {
                    self.close(state);
                }
            }
            Phase::Closing => {
                state.since = Instant::now();
                self.gate.release(state.input.len());
                state.input = Vec::new();
                let _ = self.socket.shutdown(Shutdown::Write);
                if state.has_ended {
                    self.close(state);
                }
            }
            _ => {}
        }
    }

    fn close(&self, state: &mut ConnectionState) {
        if state.phase == Phase::Closed {
            return;
        }
        if state.phase == Phase::Answering {
            // The exchange keeps the socket for a while.
            let _ = self.gate.epoll.delete(&self.socket);
            let _ = self.socket.shutdown(Shutdown::Both);
        }
        state.phase = Phase::Closed;
        self.gate.release(state.input.len());
        self.gate.unkeep(state.output.len());
        (state.input, state.output) = (Vec::new(), VecDeque::new());
        self.list(state);
        self.gate.closed(self);
    }

    /// Makes known to epoll and to the ages what has become of it.
    fn settle(&self, state: &mut ConnectionState) {
        if state.phase == Phase::Closed {
            return;
        }
        let interest = state.interest();
        if interest != state.armed {
            state.armed = interest;
            let mut event = EpollEvent::new(interest, self.id);
            if self.gate.epoll.modify(&self.socket, &mut event).is_err() {
                return self.close(state);
            }
        }
        self.list(state);
    }

    fn list(&self, state: &mut ConnectionState) {
        let new = state.pending().map(|pending| (pending, state.since));
        if new != state.listed {
            self.gate.ages.replace(self.id, state.listed, new);
            state.listed = new;
        }
    }
}
