//! The order in which whole requests are handed over.

use std::collections::VecDeque;

/// Requests that may wait for a worker of the server; the others wait here, where they take less.
const MAX_UNBEGUN: usize = 16;
/// The same for long requests, which can be much work: short ones do not wait behind many of them.
const MAX_UNBEGUN_LONG: usize = 4;
/// Requests from this length on are long, in bytes.
pub(crate) const LONG: usize = 8 << 10;

/// Connections with whole requests.
#[derive(Default)]
pub(crate) struct RequestQueue {
    short: VecDeque<u64>,
    long: VecDeque<u64>,
    /// Requests that were handed over, and with which no worker has begun.
    unbegun: usize,
    /// Requests that were handed over so far.
    handed: usize,
}

impl RequestQueue {
    pub(crate) fn push(&mut self, id: u64, length: usize) {
        if length > LONG { &mut self.long } else { &mut self.short }.push_back(id);
    }

    /// Takes the next one that may be handed over. The long ones have every eighth turn.
    pub(crate) fn next(&mut self) -> Option<u64> {
        let is_turn = self.handed.is_multiple_of(8) || self.short.is_empty();
        let next = match is_turn && self.may_be_long() {
            true => self.long.pop_front(),
            false => None,
        };
        next.or_else(|| if self.may_be_short() { self.short.pop_front() } else { None })
    }

    pub(crate) fn has_next(&self) -> bool {
        self.may_be_short() || self.may_be_long()
    }

    fn may_be_short(&self) -> bool {
        !self.short.is_empty() && self.unbegun < MAX_UNBEGUN
    }

    fn may_be_long(&self) -> bool {
        !self.long.is_empty() && self.unbegun < MAX_UNBEGUN_LONG
    }

    /// Notes that the next one was handed over. Returns how many there were so far.
    pub(crate) fn handed(&mut self) -> usize {
        self.unbegun += 1;
        self.handed = self.handed.wrapping_add(1);
        self.handed
    }

    /// Notes that a worker has begun with one. Returns whether another one may be handed over that might not before.
    pub(crate) fn begun(&mut self) -> bool {
        let before = self.has_next();
        self.unbegun = self.unbegun.saturating_sub(1);
        !before && self.has_next()
    }

    pub(crate) fn forget_unbegun(&mut self) {
        self.unbegun = 0;
    }
}
