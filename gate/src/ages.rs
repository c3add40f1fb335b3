//! Connections in the order in which something last happened on them: those that are closed next.

use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A time, and the connection on which nothing has happened since.
pub(crate) type Age = (Instant, u64);

#[derive(Default)]
pub(crate) struct Ages(Mutex<BTreeSet<Age>>);

impl Ages {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<Age>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the time of a connection. `None` stands for one that waits for the server.
    pub(crate) fn replace(&self, id: u64, old: Option<Instant>, new: Option<Instant>) {
        let mut ages = self.lock();
        if let Some(old) = old {
            ages.remove(&(old, id));
        }
        if let Some(new) = new {
            ages.insert((new, id));
        }
    }

    pub(crate) fn oldest(&self) -> Option<Age> {
        self.lock().first().copied()
    }

    /// Returns the oldest one that is younger than `age`.
    pub(crate) fn after(&self, age: Age) -> Option<Age> {
        self.lock().range((Excluded(age), Unbounded)).next().copied()
    }
}
