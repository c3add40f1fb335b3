//! Figures for operators.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::rpc::Metrics;

/// A figure that several threads have.
#[derive(Debug, Default)]
pub(super) struct Figure(AtomicU64);

impl Figure {
    pub(super) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
pub(super) struct Meter {
    pub(super) appended: Figure,
    pub(super) failed: Figure,
    pub(super) refused: Figure,
    pub(super) epochs: Figure,
    pub(super) servers: Figure,
    /// Batches that were read and are not applied yet.
    pub(super) behind: Figure,
    /// The age of the last batch when it was applied, in milliseconds.
    pub(super) delay: Figure,
    /// The moment since which nothing is heard of the engine.
    away_since: Mutex<Option<Instant>>,
}

impl Meter {
    pub(super) fn set_away(&self, is_away: bool) {
        let mut since = self.away_since.lock();
        *since = if is_away { since.or(Some(Instant::now())) } else { None };
    }

    pub(super) fn write(&self, out: &mut Metrics) {
        let away = self.away_since.lock().map(|since| since.elapsed());
        let lag = away.unwrap_or(Duration::from_millis(self.delay.get()));
        out.gauge("chat_share_connected", "1 while the shared log is followed, else 0", u64::from(away.is_none()));
        out.gauge("chat_share_servers", "Servers of this chat that live", self.servers.get());
        let help = "Batches that were read from the shared log and are not applied yet";
        out.gauge("chat_share_lag_entries", help, self.behind.get());
        let help = "Age of the last batch when it was applied, or how long the log is away";
        out.seconds("chat_share_lag_seconds", help, lag);
        out.counter("chat_share_appends_total", "Batches appended to the shared log", self.appended.get());
        out.counter("chat_share_failures_total", "Batches that could not be stored", self.failed.get());
        let help = "Entries that another server's came before, and that were refused for it";
        out.counter("chat_share_conflicts_total", help, self.refused.get());
        let help = "New streams begun because entries were lost in the old one";
        out.counter("chat_share_epochs_total", help, self.epochs.get());
    }
}
