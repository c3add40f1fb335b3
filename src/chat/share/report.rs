//! What servers tell each other beside the stream: that they live, and when they have heard of their users.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::super::entry::PersonId;
use super::engine::{Engine, EngineError};
use super::keys::Keys;

/// How old a report may be before its server counts as silent, in milliseconds.
const SILENT: u64 = 30_000;
/// After this the report of a server is removed.
const GONE: u64 = 3_600_000;

/// Counts the servers that live. `heard` is called with the report of each.
pub(super) fn living(
    engine: &mut Engine,
    keys: &Keys,
    mut heard: impl FnMut(u64, &Report),
) -> Result<usize, EngineError> {
    let now = engine.time_at(Instant::now());
    let mut living = 0;
    for (server, bytes) in keys.reports(engine)? {
        let Ok(report) = postcard::from_bytes::<Report>(&bytes) else { continue };
        let age = now.saturating_sub(report.at);
        living += usize::from(age <= SILENT);
        heard(server, &report);
        if age > GONE {
            keys.forget(engine, server)?;
        }
    }
    Ok(living)
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    /// When it was made, in milliseconds of the engine's clock.
    pub(super) at: u64,
    /// Users, and how long before that they were heard of, in milliseconds.
    pub(super) heard: Vec<(PersonId, u32)>,
}

impl Report {
    pub(super) fn new(at: u64, heard: Vec<(PersonId, Duration)>) -> Self {
        let millis = |ago: Duration| u32::try_from(ago.as_millis()).unwrap_or(u32::MAX);
        Self { at, heard: heard.into_iter().map(|(person, ago)| (person, millis(ago))).collect() }
    }

    /// Returns how long before `now` each user was heard of.
    pub(super) fn heard_before(&self, now: u64) -> Vec<(PersonId, Duration)> {
        let age = now.saturating_sub(self.at);
        self.heard.iter().map(|(person, ago)| (*person, Duration::from_millis(age + u64::from(*ago)))).collect()
    }
}
