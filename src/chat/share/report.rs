//! Reports of the servers to each other, beside the stream: that they live, and when they have heard of their users.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::super::entry::PersonId;
use super::engine::{Engine, EngineError};

/// The age from which on the server of a report counts as silent, in milliseconds.
const SILENT: u64 = 30_000;
/// The age from which on a report is removed, in milliseconds.
const GONE: u64 = 3_600_000;

/// Returns the last report of each server. Removes those of servers that have long been gone.
pub(super) fn all(engine: &mut Engine) -> Result<Vec<(u64, PresenceReport)>, EngineError> {
    let now = engine.time_at(Instant::now());
    let mut reports = Vec::new();
    for (server, bytes) in engine.reports()? {
        let Ok(report) = postcard::from_bytes::<PresenceReport>(&bytes) else { continue };
        if now.saturating_sub(report.at) > GONE {
            engine.forget(server)?;
        }
        reports.push((server, report));
    }
    Ok(reports)
}

/// Returns the servers that live.
pub(super) fn living(reports: &[(u64, PresenceReport)], now: u64) -> Vec<u64> {
    let living = reports.iter().filter(|(_, report)| now.saturating_sub(report.at) <= SILENT);
    living.map(|(server, _)| *server).collect()
}

/// Returns the servers that lived when the engine last heard of any.
pub(super) fn last_seen(reports: &[(u64, PresenceReport)]) -> Vec<u64> {
    living(reports, reports.iter().map(|(_, report)| report.at).max().unwrap_or(0))
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PresenceReport {
    /// The time of the report, in milliseconds of the engine's clock.
    pub(super) at: u64,
    /// Users, and the time that had passed since they were heard of, in milliseconds.
    pub(super) heard: Vec<(PersonId, u32)>,
}

impl PresenceReport {
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
