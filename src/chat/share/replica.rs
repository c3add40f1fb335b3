//! A server's copy of the chat: how far it has read, and which batches it has applied.

use log::warn;

use super::super::entry::Entry;
use super::super::journal::Outcome;
use super::super::{FORM, State};
use super::batch::{Admission, Verdict};
use super::charter::Charter;
use super::engine::{Engine, EngineError, Record};
use super::epoch::Epoch;
use super::position::StreamPosition;
use super::{Fate, Limits, snapshot};

pub(super) struct Replica {
    pub(super) epoch: Epoch,
    /// The last record that was read.
    pub(super) cursor: StreamPosition,
    /// Its origin and sequence, by which it is recognised.
    pub(super) last: Option<(u64, u64)>,
    pub(super) admission: Admission,
}

impl Replica {
    /// Reads the snapshot and what has come since. Begins the chat where there is none.
    pub(super) fn load(engine: &mut Engine, charter: &Charter, limits: &Limits) -> Result<(Self, State), EngineError> {
        if engine.epoch()?.is_none() {
            let empty = State::new(limits.clone(), FORM);
            let empty = snapshot::write(&empty, &Admission::default(), StreamPosition::START)?;
            let first = Epoch { number: 1, run: engine.run };
            engine.begin((None, first), charter, &empty)?;
        }
        let none = || EngineError::Refused("the snapshot there is gone".into());
        let epoch = engine.epoch()?.ok_or_else(none)?;
        let bytes = engine.snapshot()?.ok_or_else(none)?;
        let (mut state, admission, cursor) = snapshot::read(&bytes, limits)?;
        drop(bytes);
        let mut replica = Self { epoch, cursor, last: None, admission };
        loop {
            let records = engine.read(epoch, replica.cursor, std::time::Duration::ZERO)?;
            if records.is_empty() {
                return Ok((replica, state));
            }
            for record in records {
                replica.take(record, |entries| entries.into_iter().map(|entry| state.apply(entry).map(drop)).collect());
            }
        }
    }

    /// Begins an epoch with other limits, from the state that there is.
    pub(super) fn rebuild(engine: &mut Engine, before: &Charter, limits: &Limits) -> Result<Charter, EngineError> {
        let (replica, old) = Self::load(engine, before, &before.agreed_limits(limits))?;
        let mut state = State::new(limits.clone(), FORM);
        let refused = old.image().filter_map(|entry| state.apply(entry).err()).count();
        let after = Charter::new(before.identity.clone(), limits);
        let bytes = snapshot::write(&state, &replica.admission, StreamPosition::START)?;
        let new = Epoch { number: replica.epoch.number + 1, run: engine.run };
        if engine.begin((Some(replica.epoch), new), &after, &bytes)?.is_some() {
            warn!("no other server lives: the chat has the limits of this one now; {refused} parts of it did not fit");
            return Ok(after);
        }
        Err(EngineError::Refused("another server was faster; try again".into()))
    }

    /// Takes the next record: has its entries applied by `apply`, if they count. Returns whose it was and its fate.
    pub(super) fn take(
        &mut self,
        record: Record,
        apply: impl FnOnce(Vec<Entry>) -> Vec<Outcome>,
    ) -> Option<(u64, u64, Fate)> {
        self.cursor = record.position;
        self.last = record.batch.as_ref().map(|batch| (batch.origin, batch.sequence));
        let batch = record.batch?;
        let fate = match self.admission.admit(&batch, record.position.time) {
            Verdict::Counts => Fate::Applied(apply(batch.entries)),
            Verdict::IsRepeated => Fate::IsIn,
            Verdict::IsLate => {
                warn!("entries came too late to the shared log, and do not count");
                Fate::IsLate
            }
        };
        Some((batch.origin, batch.sequence, fate))
    }

    /// Returns whether the stream has the record that was read last.
    pub(super) fn is_in(&self, engine: &mut Engine) -> Result<bool, EngineError> {
        let record = engine.record_at(self.epoch, self.cursor)?;
        // Another one can have the same id, where the engine has lost some and its clock was set back.
        Ok(record.is_some_and(|record| {
            let batch = record.batch.map(|batch| (batch.origin, batch.sequence));
            self.last.is_none() || batch == self.last
        }))
    }
}
