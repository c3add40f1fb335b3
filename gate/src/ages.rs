//! Connections in the order in which something last happened on them: those that are closed next.

use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Mutex;
use std::time::Instant;

use crate::shared::guard;

/// A time, and the connection on which nothing has happened since.
pub(crate) type Age = (Instant, u64);

#[derive(Default)]
pub(crate) struct Ages(Mutex<BTreeSet<Age>>);

impl Ages {
    /// Replaces the time of a connection. `None` stands for one that waits for the server.
    pub(crate) fn replace(&self, id: u64, old: Option<Instant>, new: Option<Instant>) {
        let mut ages = guard(&self.0);
        if let Some(old) = old {
            ages.remove(&(old, id));
        }
        if let Some(new) = new {
            ages.insert((new, id));
        }
    }

    pub(crate) fn oldest(&self) -> Option<Age> {
        guard(&self.0).first().copied()
    }

    /// Returns the oldest one that is younger than `age`.
    pub(crate) fn after(&self, age: Age) -> Option<Age> {
        guard(&self.0).range((Excluded(age), Unbounded)).next().copied()
    }
}
