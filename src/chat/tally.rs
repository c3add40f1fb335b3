//! Counts by key.

use std::collections::HashMap;
use std::hash::Hash;

/// Counts by key, of which only those above zero take memory.
#[derive(Debug)]
pub(super) struct Tally<K>(HashMap<K, usize>);

impl<K: Eq + Hash> Tally<K> {
    pub(super) fn new() -> Self {
        Self(HashMap::new())
    }

    /// Returns the count of `key`.
    pub(super) fn of(&self, key: &K) -> usize {
        self.0.get(key).copied().unwrap_or(0)
    }

    /// Counts one more.
    pub(super) fn add(&mut self, key: K) {
        *self.0.entry(key).or_default() += 1;
    }

    /// Counts one less.
    pub(super) fn remove(&mut self, key: &K) {
        if let Some(count) = self.0.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(key);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
