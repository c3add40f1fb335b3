//! The state of a connection, and what follows from it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use nix::sys::epoll::EpollFlags;

use crate::ages::Pending;
use crate::framing::{Framing, Request};
use crate::queue::LONG;

/// A peer that takes nothing for this long makes room for answers to others.
const STALLED: Duration = Duration::from_millis(100);

pub(crate) struct ConnectionState {
    pub(crate) phase: Phase,
    /// When the phase began; while something is kept for the peer, when it last took some of it.
    pub(crate) since: Instant,
    /// The request that is being read or is queued, and what follows it.
    pub(crate) input: Vec<u8>,
    pub(crate) framing: Framing,
    /// The whole request at the start of `input`, if one is queued.
    pub(crate) request: Request,
    /// Bytes that the peer has not taken yet, if any are kept for it.
    pub(crate) output: VecDeque<u8>,
    pub(crate) keeps_output: bool,
    /// If the peer sends nothing more.
    pub(crate) has_ended: bool,
    /// Bytes that came after the last answer.
    pub(crate) drained: usize,
    /// The events that epoll watches for.
    pub(crate) armed: EpollFlags,
    /// How it is listed in the gate's ages.
    pub(crate) listed: Option<(Pending, Instant)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Phase {
    /// A request is awaited, or has come in part.
    Reading,
    /// A whole request waits for a worker of the server.
    Queued,
    /// A worker has it.
    Answering,
    /// It is answered, and the peer has not taken all of the answer.
    Flushing,
    /// The answer that is on its way is the last. Nothing more is read than to see the peer's end.
    Closing,
    Closed,
}

impl ConnectionState {
    /// Returns the state of one that has just been accepted.
    pub(crate) fn new() -> Self {
        Self {
            phase: Phase::Reading,
            since: Instant::now(),
            input: Vec::new(),
            framing: Framing::default(),
            request: Request::default(),
            output: VecDeque::new(),
            keeps_output: true,
            has_ended: false,
            drained: 0,
            armed: EpollFlags::EPOLLIN,
            listed: None,
        }
    }

    /// Returns whether something is kept of a request that no worker has.
    pub(crate) fn is_unfinished(&self) -> bool {
        !self.input.is_empty()
    }

    /// Returns whether its peer takes nothing of what is kept for it.
    pub(crate) fn is_stalled(&self) -> bool {
        !self.output.is_empty() && self.since.elapsed() > STALLED
    }

    /// Returns what is pending for the connection while it is silent, unless a worker has its request.
    pub(crate) fn pending(&self) -> Option<Pending> {
        let is_large = self.input.len() > LONG;
        match self.phase {
            Phase::Closed => None,
            _ if !self.output.is_empty() => Some(Pending::Unread),
            Phase::Answering => None,
            Phase::Queued => Some(if is_large { Pending::LargeWhole } else { Pending::Whole }),
            _ if self.input.is_empty() => Some(Pending::Nothing),
            _ => Some(if is_large { Pending::LargePart } else { Pending::Part }),
        }
    }

    /// Returns what epoll is to watch for.
    pub(crate) fn interest(&self) -> EpollFlags {
        let reads = match self.phase {
            Phase::Reading => true,
            // No further ahead than one read.
            Phase::Queued | Phase::Answering | Phase::Flushing => self.input.len() == self.request.end,
            Phase::Closing => self.output.is_empty(),
            Phase::Closed => false,
        };
        let mut interest = EpollFlags::empty();
        interest.set(EpollFlags::EPOLLIN, reads && !self.has_ended);
        interest.set(EpollFlags::EPOLLOUT, !self.output.is_empty());
        interest
    }
}
