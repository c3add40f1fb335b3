//! Connections in the order in which something last happened on them: those that are closed next.

use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Mutex;
use std::time::Instant;

use crate::shared::guard;

/// A time, and the connection on which nothing has happened since.
pub(crate) type Age = (Instant, u64);

/// What is pending for a silent connection. Each kind has its own list: a search for the oldest one among all silent connections
/// would hold up everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pending {
    Nothing,
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

impl Pending {
    pub(crate) const ALL: [Self; 6] =
        [Self::Nothing, Self::Part, Self::LargePart, Self::Whole, Self::LargeWhole, Self::Unread];
}

#[derive(Default)]
pub(crate) struct Ages(Mutex<[BTreeSet<Age>; Pending::ALL.len()]>);

impl Ages {
    /// Lists a connection as `new`, and no more as `old`.
    pub(crate) fn replace(&self, id: u64, old: Option<(Pending, Instant)>, new: Option<(Pending, Instant)>) {
        let mut lists = guard(&self.0);
        if let Some((pending, since)) = old {
            lists[pending as usize].remove(&(since, id));
        }
        if let Some((pending, since)) = new {
            lists[pending as usize].insert((since, id));
        }
    }

    /// Returns the oldest one for which one of `these` is pending, or the oldest that is younger than `after`.
    pub(crate) fn oldest(&self, these: &[Pending], after: Option<Age>) -> Option<Age> {
        let lists = guard(&self.0);
        let oldest = |pending: &Pending| match after {
            Some(age) => lists[*pending as usize].range((Excluded(age), Unbounded)).next().copied(),
            None => lists[*pending as usize].first().copied(),
        };
        these.iter().filter_map(oldest).min()
    }
}
