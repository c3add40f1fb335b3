//! Figures for operators.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::rpc::Metrics;

#[derive(Debug, Default)]
pub(super) struct Meter {
    appended: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
    epochs: AtomicU64,
    servers: AtomicU64,
    /// Entries that were read and are not applied yet.
    behind: AtomicU64,
    /// How old the last record was when it was applied, in milliseconds.
    delay: AtomicU64,
    /// Since when nothing is heard of the engine.
    away_since: Mutex<Option<Instant>>,
}

impl Meter {
    pub(super) fn appended(&self) {
        self.appended.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refused(&self, count: u64) {
        self.refused.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn epoch_began(&self) {
        self.epochs.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn set_servers(&self, count: usize) {
        self.servers.store(count as u64, Ordering::Relaxed);
    }

    pub(super) fn set_behind(&self, entries: usize) {
        self.behind.store(entries as u64, Ordering::Relaxed);
    }

    pub(super) fn set_delay(&self, millis: u64) {
        self.delay.store(millis, Ordering::Relaxed);
    }

    pub(super) fn set_away(&self, is_away: bool) {
        let mut since = self.away_since.lock();
        *since = if is_away { since.or(Some(Instant::now())) } else { None };
    }

    pub(super) fn write(&self, out: &mut Metrics) {
        let of = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        let away = self.away_since.lock().map(|since| since.elapsed());
        out.gauge("chat_share_connected", "1 while the shared log is followed, else 0", u64::from(away.is_none()));
        out.gauge("chat_share_servers", "Servers of this chat that live", of(&self.servers));
        out.gauge(
            "chat_share_lag_entries",
            "Batches that were read from the shared log and are not applied yet",
            of(&self.behind),
        );
        let lag = away.unwrap_or(Duration::from_millis(of(&self.delay)));
        out.seconds(
            "chat_share_lag_seconds",
            "Age of the last batch when it was applied, or how long the log is away",
            lag,
        );
        out.counter("chat_share_appends_total", "Batches appended to the shared log", of(&self.appended));
        out.counter("chat_share_failures_total", "Batches that could not be stored", of(&self.failed));
        let help = "Entries that another server's came before, and that were refused for it";
        out.counter("chat_share_conflicts_total", help, of(&self.refused));
        out.counter(
            "chat_share_epochs_total",
            "New streams begun because entries were lost in the old one",
            of(&self.epochs),
        );
    }
}
