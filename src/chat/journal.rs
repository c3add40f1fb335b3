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
use std::time::Instant;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::delivery::reply;
use super::entry::{Entry, IdempotencyKey, MessageEntry, PersonId};
use super::refusal::Refusal;
use super::subscribe::publish;
use super::{Chat, State};
use crate::rpc::Metrics;

/// The log into which entries go before they are applied.
pub trait Log: Send + Sync + fmt::Debug {
    /// Appends `entries` in this order, and has them applied. When it returns, no end of this process loses them. A log that
    /// only this process writes is followed by applying what was appended; one that others write too brings back the entries
    /// of all in one order, and has them applied in that.
    ///
    /// # Errors
    /// If they cannot be stored now. Then none of them is, unless the refusal says that this is not known.
    fn commit(&self, entries: Vec<Entry>, apply: Apply<'_>) -> Result<Vec<Outcome>, Refusal>;

    /// Takes the entries of the next turn, which are checked against the state before it: several messages, or one entry of
    /// another kind. Messages do not change what is refused, so what is checked before the turn is true in it; a key that
    /// comes twice would.
    fn next_batch(&self, queue: &mut Queue) -> Queue {
        let mut keys: Vec<(PersonId, IdempotencyKey)> = Vec::new();
        let mut batch = Queue::new();
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
    fn is_shared(&self) -> bool {
        false
    }

    /// Returns whether everything is applied that was in the log when this was called, once it is or after some time.
    fn catch_up(&self) -> bool {
        true
    }

    /// Returns whether this process is the one that removes what has been idle for too long.
    fn is_sweeper(&self) -> bool {
        true
    }
}

/// Applies entries that are in the log, in its order. Returns their outcomes.
pub type Apply<'a> = &'a dyn Fn(Vec<Entry>) -> Vec<Outcome>;

/// Entries on their way to the log, each with a number.
pub type Queue = VecDeque<(u64, Entry)>;

/// No log: what the chat knows ends with the process.
#[derive(Debug)]
pub struct NoLog;

impl Log for NoLog {
    fn commit(&self, entries: Vec<Entry>, apply: Apply<'_>) -> Result<Vec<Outcome>, Refusal> {
        Ok(apply(entries))
    }
}

/// The outcome of one entry.
pub type Outcome = Result<(), Refusal>;

/// The turns.
#[derive(Debug, Default)]
pub(super) struct Journal {
    turns: Mutex<Turns>,
    /// A turn has ended.
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Turns {
    queue: Queue,
    outcomes: HashMap<u64, Outcome>,
    next: u64,
    is_taken: bool,
}

impl Journal {
    /// Brings `entry` and waits until it is in the log and applied, or refused. One thread at a time is in `work`, which does
    /// this for all entries that `next_batch` takes, and returns their outcomes in their order.
    fn commit(
        &self,
        entry: Entry,
        next_batch: impl Fn(&mut Queue) -> Queue,
        work: impl Fn(Vec<Entry>) -> Vec<Outcome>,
    ) -> Outcome {
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
            let (numbers, entries): (Vec<_>, Vec<_>) = next_batch(&mut turns.queue).into_iter().unzip();
            // Whatever becomes of the work, the turn is given back, and everybody who waits for it hears of it.
            let outcomes = MutexGuard::unlocked(&mut turns, || catch_unwind(AssertUnwindSafe(|| work(entries))))
                .unwrap_or_default();
            let outcomes = outcomes.into_iter().chain(std::iter::repeat(Err(Refusal::NotStored)));
            turns.outcomes.extend(numbers.into_iter().zip(outcomes));
            turns.is_taken = false;
            self.ended.notify_all();
        }
    }

    /// Does `work` while nobody else has a turn: what is in the log is applied then, and nothing else.
    fn between_turns<R>(&self, work: impl FnOnce() -> R) -> R {
        let mut turns = self.turns.lock();
        while turns.is_taken {
            self.ended.wait(&mut turns);
        }
        // With the lock, so that no turn begins.
        work()
    }
}

impl Chat {
    /// Brings an entry into the log and the state.
    pub(super) fn commit(&self, entry: Entry) -> Outcome {
        self.journal.commit(entry, |queue| self.log.next_batch(queue), |entries| self.work(entries))
    }

    /// Checks the entries of one turn, brings those that can be applied to the log, and has them applied.
    fn work(&self, entries: Vec<Entry>) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(entries.len());
        let mut good = Vec::with_capacity(entries.len());
        let core = self.core.lock();
        for mut entry in entries {
            match core.state().check(&entry) {
                Ok(true) => {
                    if !self.log.is_shared() {
                        settle(&mut entry, core.state(), &good);
                    }
                    good.push(entry);
                    outcomes.push(None);
                }
                checked => outcomes.push(Some(checked.map(drop))),
            }
        }
        drop(core);
        let count = good.len();
        let applied =
            if good.is_empty() { Ok(Vec::new()) } else { self.log.commit(good, &|entries| self.apply(entries)) };
        let mut applied = applied.unwrap_or_else(|refusal| vec![Err(refusal); count]).into_iter();
        let mut next = || applied.next().unwrap_or(Err(Refusal::NotStored));
        outcomes.into_iter().map(|known| known.unwrap_or_else(&mut next)).collect()
    }

    /// Applies entries that are in the log: the one way in which the state changes.
    pub(super) fn apply(&self, entries: Vec<Entry>) -> Vec<Outcome> {
        let (mut ended, mut wakes) = (Vec::new(), false);
        let mut core = self.core.lock();
        let mut apply = |entry| {
            let applied = core.apply(entry, Instant::now())?;
            ended.extend(applied.ended);
            wakes |= applied.wakes;
            publish(&self.streams, applied.events);
            Ok(())
        };
        let outcomes = entries.into_iter().map(&mut apply).collect();
        drop(core);
        reply(ended);
        if wakes {
            self.bell.ring_by(Instant::now());
        }
        outcomes
    }

    /// Calls `mark` at a moment at which everything in the log is applied and nothing else, and returns the state of then.
    pub(super) fn snapshot(&self, mark: &dyn Fn()) -> State {
        self.journal.between_turns(|| {
            mark();
            self.core.lock().state().clone()
        })
    }
}

/// Settles the number of a message that is about to be written, after those of the same turn before it.
fn settle(entry: &mut Entry, state: &State, before: &[Entry]) {
    if let Entry::Send(message) = entry {
        let is_same = |other: &&Entry| matches!(other, Entry::Send(MessageEntry { room, .. }) if *room == message.room);
        message.id = Some(state.next_id(message.room) + before.iter().filter(is_same).count() as u64);
    }
}
