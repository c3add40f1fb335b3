//! Turns: how entries get into the log and the state, in one order, though many threads bring them.
//!
//! A thread that brings an entry while nobody else is at it takes the turn: it writes all entries that have come to the log,
//! with one write and if need be one flush, and applies them. Others that come meanwhile wait, and are dealt with together in
//! the next turn. So no lock is held while the log is written, nothing is handed from thread to thread where one thread is
//! enough, and the log has the order in which entries are applied.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::Chat;
use super::entry::{Entry, IdempotencyKey, PersonId};
use super::refusal::Refusal;
use crate::rpc::Metrics;

/// The log into which entries go before they are applied.
pub trait Log: Send + Sync + fmt::Debug {
    /// Appends `entries` in this order, and has them applied. When it returns, no end of this process loses them. A log that
    /// only this process writes is followed by applying what was appended; one that others write too brings back the entries
    /// of all in one order, and has them applied in that.
    ///
    /// # Errors
    /// If they cannot be stored now. Then none of them is, and the same call may succeed later.
    fn commit(&self, entries: Vec<Entry>, apply: Apply<'_>) -> Result<Vec<Outcome>, LogError>;

    /// Starts the thread that looks after the log of `chat`, if it needs one.
    ///
    /// # Errors
    /// If it cannot be started.
    fn start(self: Arc<Self>, _chat: &Arc<Chat>) -> std::io::Result<Option<JoinHandle<()>>> {
        Ok(None)
    }

    /// Ends that thread.
    fn end(&self) {}

    /// Adds its metrics.
    fn metrics(&self, _out: &mut Metrics) {}

    /// Returns whether others write this log too, so that only applying an entry tells what becomes of it.
    #[cfg(feature = "share")]
    fn is_shared(&self) -> bool {
        false
    }

    /// Returns whether everything is applied that was in the log when this was called, once it is or after some time.
    #[cfg(feature = "share")]
    fn catch_up(&self) -> bool {
        true
    }

    /// Returns whether this process is the one that removes what has been idle for too long.
    #[cfg(feature = "share")]
    fn is_sweeper(&self) -> bool {
        true
    }
}

/// In a build without the feature no log is shared, and nothing of it is in the program.
#[cfg(not(feature = "share"))]
impl dyn Log {
    #[inline]
    pub(super) fn is_shared(&self) -> bool {
        false
    }

    #[inline]
    pub(super) fn is_sweeper(&self) -> bool {
        true
    }
}

/// Applies entries that are in the log, in its order. Returns their outcomes.
pub type Apply<'a> = &'a dyn Fn(Vec<Entry>) -> Vec<Outcome>;

/// Entries cannot be stored now. The log of the program has the cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogError;

/// No log: what the chat knows ends with the process.
#[derive(Debug)]
pub struct NoLog;

impl Log for NoLog {
    fn commit(&self, entries: Vec<Entry>, apply: Apply<'_>) -> Result<Vec<Outcome>, LogError> {
        Ok(apply(entries))
    }
}

/// The outcome of one entry.
pub type Outcome = Result<(), Refusal>;

#[derive(Debug, Default)]
pub(super) struct Journal {
    is_shared: bool,
    turns: Mutex<Turns>,
    /// A turn has ended.
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Turns {
    /// The entries that have come, each with a number.
    queue: VecDeque<(u64, Entry)>,
    outcomes: HashMap<u64, Outcome>,
    next: u64,
    is_taken: bool,
}

/// Entries of a turn in a log that others write too.
const SHARED_TURN: usize = 256;
/// Bytes of messages there, but for the last one.
const SHARED_BYTES: usize = 1 << 20;

impl Journal {
    /// Returns the turns for a log. If others write it too, all kinds of entries share a turn.
    pub(super) fn new(is_shared: bool) -> Self {
        Self { is_shared, ..Self::default() }
    }

    /// Brings `entry` and waits until it is in the log and applied, or refused. One thread at a time is in `work`, which does
    /// this for all entries that it is given, and returns their outcomes in their order.
    pub(super) fn commit(&self, entry: Entry, work: impl Fn(Vec<Entry>) -> Vec<Outcome>) -> Outcome {
        let mut turns = self.turns.lock();
        turns.next += 1;
        let number = turns.next;
        turns.queue.push_back((number, entry));
        loop {
            if let Some(outcome) = turns.outcomes.remove(&number) {
                return outcome;
            }
            if turns.is_taken {
                self.ended.wait(&mut turns);
                continue;
            }
            turns.is_taken = true;
            let (numbers, entries): (Vec<_>, Vec<_>) = self.next_batch(&mut turns.queue).into_iter().unzip();
            // Whatever becomes of the work, the turn is given back, and everybody who waits for it hears of it.
            let outcomes = MutexGuard::unlocked(&mut turns, || catch_unwind(AssertUnwindSafe(|| work(entries))))
                .unwrap_or_default();
            let outcomes = outcomes.into_iter().chain(std::iter::repeat(Err(Refusal::NotStored)));
            turns.outcomes.extend(numbers.into_iter().zip(outcomes));
            turns.is_taken = false;
            self.ended.notify_all();
        }
    }

    fn next_batch(&self, queue: &mut VecDeque<(u64, Entry)>) -> Vec<(u64, Entry)> {
        if cfg!(not(feature = "share")) || !self.is_shared {
            return next_batch(queue);
        }
        let mut bytes = 0;
        let fits = |(_, entry): &&(u64, Entry)| {
            let before = bytes;
            bytes += if let Entry::Send(message) = entry { message.content.len() } else { 0 };
            before < SHARED_BYTES
        };
        let count = queue.iter().take(SHARED_TURN).take_while(fits).count();
        queue.drain(..count).collect()
    }

    /// Does `work` while nobody else has a turn: what is in the log is applied then, and nothing else.
    pub(super) fn between_turns<R>(&self, work: impl FnOnce() -> R) -> R {
        let mut turns = self.turns.lock();
        while turns.is_taken {
            self.ended.wait(&mut turns);
        }
        // With the lock, so that no turn begins.
        work()
    }
}

/// Takes the entries of the next turn: several messages, or one entry of another kind. Messages do not change what is refused,
/// so what is checked before the turn is true in it. A key that comes twice would.
fn next_batch(queue: &mut VecDeque<(u64, Entry)>) -> Vec<(u64, Entry)> {
    let mut keys: Vec<(PersonId, IdempotencyKey)> = Vec::new();
    let mut batch = Vec::new();
    while let Some((_, entry)) = queue.front() {
        let Entry::Send(message) = entry else {
            if batch.is_empty() {
                batch.extend(queue.pop_front());
            }
            break;
        };
        if let Some(key) = &message.key {
            let key = (message.origin, key.clone());
            if keys.contains(&key) {
                break;
            }
            keys.push(key);
        }
        batch.extend(queue.pop_front());
    }
    batch
}
