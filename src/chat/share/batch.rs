//! Batches: entries as they stand in the stream, and which of them count.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::entry::Entry;

/// The time for which a server is remembered after its last batch, in milliseconds: much longer than a batch can still come.
const MEMORY: u64 = 600_000;

/// Entries that were appended together, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The process that has appended it: random.
    pub origin: u64,
    /// Its number there, counting up from 1. A batch whose confirmation was lost is appended again with the same number.
    pub sequence: u64,
    /// The time until which it counts, in milliseconds of the engine's clock. Whoever appended it has then given up.
    pub deadline: u64,
    /// The entries.
    pub entries: Vec<Entry>,
}

/// The outcome of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Its entries are applied.
    Counts,
    /// It was there before.
    IsRepeated,
    /// It came when its sender had given up.
    IsLate,
}

/// The batches that have been applied. The same at all servers, and a part of every snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// The last batch of each origin, and when it was appended.
    last: BTreeMap<u64, (u64, u64)>,
}

impl Admission {
    /// Decides about the next batch of the stream, which was appended at the time `at` of the engine.
    pub fn admit(&mut self, batch: &Batch, at: u64) -> Verdict {
        if at > batch.deadline {
            return Verdict::IsLate;
        }
        if self.has(batch.origin, batch.sequence) {
            return Verdict::IsRepeated;
        }
        if self.last.insert(batch.origin, (batch.sequence, at)).is_none() {
            self.last.retain(|_, (_, last)| *last + MEMORY >= at);
        }
        Verdict::Counts
    }

    /// Returns whether the batch of this number was applied, or one that its sender has appended after it.
    #[must_use]
    pub fn has(&self, origin: u64, sequence: u64) -> bool {
        self.last.get(&origin).is_some_and(|(last, _)| sequence <= *last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(origin: u64, sequence: u64) -> Batch {
        Batch { origin, sequence, deadline: 1_000_000, entries: Vec::new() }
    }

    #[test]
    fn a_batch_counts_once_and_in_its_time() {
        let mut admission = Admission::default();
        assert_eq!(admission.admit(&batch(1, 1), 10), Verdict::Counts);
        assert_eq!(admission.admit(&batch(2, 1), 10), Verdict::Counts);
        assert_eq!(admission.admit(&batch(1, 1), 11), Verdict::IsRepeated);
        assert_eq!(admission.admit(&batch(1, 3), 12), Verdict::Counts);
        assert_eq!(admission.admit(&batch(1, 2), 13), Verdict::IsRepeated, "given up before the third was appended");
        assert_eq!(admission.admit(&batch(1, 4), 1_000_000), Verdict::Counts);
        assert_eq!(admission.admit(&batch(1, 5), 1_000_001), Verdict::IsLate);
    }

    #[test]
    fn who_has_long_been_silent_is_forgotten() {
        let mut admission = Admission::default();
        for origin in 0..100 {
            let at = origin * (MEMORY / 4);
            let batch = Batch { deadline: at, ..batch(origin, 1) };
            assert_eq!(admission.admit(&batch, at), Verdict::Counts);
            assert!(admission.last.len() <= 5);
        }
    }
}
