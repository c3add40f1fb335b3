//! The place of the log and its bounds, and their options.

use std::path::PathBuf;
use std::time::Duration;

use super::record::MAX_PAYLOAD;
use crate::chat::limits::Limits;
use crate::program::{Failure, Flag, Options};

/// Bytes of a record beside the content of a message: its header, ids, times, the key and lengths, rounded up.
const MESSAGE_OVERHEAD: usize = 256;

/// The options.
pub(in crate::chat) const FLAGS: &[Flag] = &[
    Flag::value(
        "data",
        "DIR",
        None,
        "Keep users, rooms and messages in this directory; without it they end with the server.",
    ),
    Flag::value("data-limit", "BYTES", Some("67108864"), "Size of the files there; the largest history pays first."),
    Flag::value(
        "sync-interval",
        "SECONDS",
        Some("1"),
        "How often what was written is flushed to the device; 0 for before each reply.",
    ),
];

/// The place of the log and its bounds.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The directory, which is made if need be.
    pub directory: PathBuf,
    /// Bytes that all files in it may have. Default 64 MiB.
    pub limit: u64,
    /// The interval at which what was written is flushed to the device; zero for before each reply. Default 1 s.
    pub sync_interval: Duration,
}

impl StoreConfig {
    /// Returns the defaults.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        Self { directory, limit: 64 << 20, sync_interval: Duration::from_secs(1) }
    }

    /// Reads [`FLAGS`] from a command line. `None` without `--data`.
    ///
    /// # Errors
    /// [`Failure::Usage`] for what is not a number or out of range.
    pub(in crate::chat) fn from_options(options: &Options) -> Result<Option<Self>, Failure> {
        let Some(directory) = options.text("data") else {
            let stray = FLAGS.iter().find(|flag| options.has(flag.long));
            return match stray {
                Some(flag) => Err(Failure::Usage(format!("--{} needs --data DIR", flag.long))),
                None => Ok(None),
            };
        };
        Ok(Some(Self {
            directory: directory.into(),
            limit: options.number("data-limit", 1 << 20..=1 << 40)?,
            sync_interval: Duration::from_secs(options.number("sync-interval", 0..=3600)?),
        }))
    }

    /// Narrows `limits` to what the files have room for.
    ///
    /// # Errors
    /// [`Failure::Usage`] if a message does not fit a record.
    pub(in crate::chat) fn narrow(&self, limits: &mut Limits) -> Result<(), Failure> {
        let most = MAX_PAYLOAD - MESSAGE_OVERHEAD;
        if limits.message_bytes > most {
            let given = limits.message_bytes;
            return Err(Failure::Usage(format!("--max-message-bytes {given} must be at most {most} with --data")));
        }
        // The old file and the new one stand beside each other for a moment, both with what came meanwhile.
        limits.memory = limits.memory.min(usize::try_from(self.limit / 4).unwrap_or(usize::MAX));
        Ok(())
    }
}
