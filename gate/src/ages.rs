//! Connections in the order in which something last happened on them: those that are closed next.

use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Mutex;
use std::time::Instant;

use crate::shared::guard;

/// A time, and the connection on which nothing has happened since.
pub(crate) type Age = (Instant, u64);

/// What is kept for a silent connection. Each kind has a list of its own: to look for the oldest of one among all that are
/// silent would hold up everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing.
    Idle,
    /// A part of a request.
    Part,
    /// A large part of a request.
    LargePart,
    /// A whole request, which waits for the server.
    Whole,
    /// A large one.
    LargeWhole,
    /// An answer, of which the peer has not taken all.
    Unread,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] =
        [Self::Idle, Self::Part, Self::LargePart, Self::Whole, Self::LargeWhole, Self::Unread];
}

#[derive(Default)]
pub(crate) struct Ages(Mutex<[BTreeSet<Age>; Kind::ALL.len()]>);

impl Ages {
    /// Lists a connection as `new`, and no more as `old`.
    pub(crate) fn replace(&self, id: u64, old: Option<(Kind, Instant)>, new: Option<(Kind, Instant)>) {
        let mut lists = guard(&self.0);
        if let Some((kind, since)) = old {
            lists[kind as usize].remove(&(since, id));
        }
        if let Some((kind, since)) = new {
            lists[kind as usize].insert((since, id));
        }
    }

    /// Returns the oldest one of these kinds, or the oldest that is younger than `after`.
    pub(crate) fn oldest(&self, kinds: &[Kind], after: Option<Age>) -> Option<Age> {
        let lists = guard(&self.0);
        let oldest = |kind: &Kind| match after {
            Some(age) => lists[*kind as usize].range((Excluded(age), Unbounded)).next().copied(),
            None => lists[*kind as usize].first().copied(),
        };
        kinds.iter().filter_map(oldest).min()
    }
}
