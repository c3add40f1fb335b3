//! Epochs, and how servers agree on them: see docs/several-servers.md.

use std::cmp::Ordering;
use std::fmt;
use std::time::{Duration, Instant};

use log::{info, warn};

use super::engine::{Engine, EngineError};
use super::follow::Follower;
use super::position::StreamPosition;
use super::{report, snapshot};

/// The least time that servers wait for each other: for those of which they do not know.
const LEAST_WAIT: Duration = Duration::from_millis(500);
/// The time that they wait for one of which they know, and which may be gone.
const MOST_WAIT: Duration = Duration::from_secs(3);
/// The time that they wait for the one that has read most to go on.
const BEST_WAIT: Duration = Duration::from_secs(3);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// A stream, and the run of the engine in which the servers have agreed on it. Within one run nothing of it is lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Epoch {
    /// Counts the streams from 1.
    pub(super) number: u64,
    /// See [`Engine::run`](Engine).
    pub(super) run: u64,
}

impl Epoch {
    /// Reads what [`fmt::Display`] writes.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (number, run) = text.split_once(':')?;
        Some(Self { number: number.parse().ok()?, run: u64::from_str_radix(run, 16).ok()? })
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{:016x}", self.number, self.run)
    }
}

/// The place up to which a server has read. The greatest one knows everything that the others know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Claim {
    /// The number of the epoch.
    epoch: u64,
    cursor: StreamPosition,
}

impl Claim {
    /// Reads what [`fmt::Display`] writes.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (epoch, cursor) = text.split_once(':')?;
        Some(Self { epoch: epoch.parse().ok()?, cursor: StreamPosition::parse(cursor)? })
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.epoch, self.cursor)
    }
}

impl Follower<'_> {
    /// Agrees with the other servers on how the chat goes on after `before`, where the engine may have lost entries. Until then
    /// nobody appends anything, so that each server has read a part of what the one has that has read most, and nothing else.
    pub(super) fn agree(&mut self, engine: &mut Engine, before: Option<Epoch>) -> Result<(), EngineError> {
        let Some(claims) = self.gather(engine, before)? else { return Ok(()) };
        let best = claims.into_iter().max_by_key(|(server, claim)| (*claim, *server));
        let Some((best, _)) = best.filter(|(server, _)| *server != self.share.origin) else {
            return self.go_on(engine, before);
        };
        let deadline = Instant::now() + BEST_WAIT;
        while engine.epoch()? == before {
            if Instant::now() >= deadline {
                // It has ended since.
                return engine.unclaim(before, best);
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Returns how far each server has read that takes part; `None` if others have agreed already.
    fn gather(&self, engine: &mut Engine, before: Option<Epoch>) -> Result<Option<Vec<(u64, Claim)>>, EngineError> {
        let own = Claim { epoch: self.replica.epoch.number, cursor: self.replica.cursor };
        let begun = Instant::now();
        loop {
            let claims = engine.claim(before, self.share.origin, own)?;
            if engine.epoch()? != before {
                return Ok(None);
            }
            let mut expected = report::last_seen(&report::all(engine)?);
            expected.extend(&self.others);
            let is_there = |server: &u64| claims.iter().any(|(of, _)| of == server);
            let least = if expected.iter().all(is_there) { LEAST_WAIT } else { MOST_WAIT };
            if begun.elapsed() >= least {
                return Ok(Some(claims));
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Lets the chat go on: with the same stream if that has all that this server knows, else with a new one.
    fn go_on(&mut self, engine: &mut Engine, before: Option<Epoch>) -> Result<(), EngineError> {
        let (share, own, run) = (self.share, self.replica.epoch, engine.run);
        if let Some(before) = before
            && self.is_all_in(engine, before)?
        {
            info!("the shared log has everything after the engine's restart");
            return engine.renew(before, Epoch { run, ..before });
        }
        let number = before.map_or(0, |before| before.number).max(own.number) + 1;
        let new = Epoch { number, run };
        let bytes = snapshot::write(&self.chat.state(), &self.replica.admission, StreamPosition::START)?;
        if let Some(first) = engine.begin((before, new), &share.charter, &bytes)? {
            warn!("the shared log had lost entries; it goes on from this server's state as epoch {number}");
            share.meter.epochs.add(1);
            (self.replica.epoch, self.replica.cursor, self.replica.last) = (new, first, None);
            self.announce(false);
        }
        Ok(())
    }

    /// Returns whether the engine has all that this server knows: it can be the server that has missed something.
    fn is_all_in(&self, engine: &mut Engine, epoch: Epoch) -> Result<bool, EngineError> {
        Ok(match epoch.number.cmp(&self.replica.epoch.number) {
            Ordering::Less => false,
            Ordering::Equal => self.replica.is_in(engine)? || self.is_before_snapshot(engine)?,
            Ordering::Greater => true,
        })
    }
}
