//! The place of a server's log: none, a file, or a stream that several servers share.

use std::sync::Arc;
use std::time::Duration;

use super::limits::{DAY, KEEP_HISTORY};
#[cfg(feature = "share")]
use super::share::{Share, ShareConfig};
use super::{FORM, Identity, Limits, Log, NoLog, State, Store, StoreConfig};
use crate::program::{Failure, Flag, Options};
use crate::random;
use crate::secret::Salt;

/// The options of every log.
pub(super) const FLAGS: &[Flag] = &[Flag::value(
    KEEP_HISTORY,
    "DAYS",
    Some("30"),
    "How long the history of a room is kept that was removed; 0 for not at all.",
)];

/// The place of the log.
#[derive(Debug, Clone)]
pub enum KeeperConfig {
    /// Nothing is kept: the chat ends with the process.
    Nothing,
    /// In a file.
    File(StoreConfig),
    /// In a stream.
    #[cfg(feature = "share")]
    Stream(ShareConfig),
}

impl KeeperConfig {
    /// Reads the command line, and completes `limits` where there is a log.
    ///
    /// # Errors
    /// [`Failure::Usage`] for what is wrong in it, [`Failure::Failed`] for a password file that cannot be read.
    pub(super) fn from_options(options: &Options, limits: &mut Limits) -> Result<Self, Failure> {
        let keeper = Self::read(options)?;
        if !matches!(keeper, Self::Nothing) {
            limits.keep_history = Duration::from_secs(options.number(KEEP_HISTORY, 0..=36_500)? * DAY);
        } else if options.has(KEEP_HISTORY) {
            return Err(Failure::Usage(format!("--{KEEP_HISTORY} needs --data DIR")));
        }
        Ok(keeper)
    }

    fn read(options: &Options) -> Result<Self, Failure> {
        #[cfg(feature = "share")]
        if let Some(config) = ShareConfig::from_options(options)? {
            return Ok(Self::Stream(config));
        }
        Ok(StoreConfig::from_options(options)?.map_or(Self::Nothing, Self::File))
    }

    /// Opens the log, and reads it. Returns the state that it makes, and what the chat is known by.
    pub(super) fn open(self, limits: &mut Limits) -> Result<(Arc<dyn Log>, State, Identity), Failure> {
        Ok(match self {
            Self::Nothing => {
                let identity = Identity { server_id: random::hex::<16>()?, salt: Salt::random(false)? };
                (Arc::new(NoLog), State::new(limits.clone(), FORM), identity)
            }
            Self::File(config) => {
                config.narrow(limits)?;
                let (store, state) = Store::open(&config, limits.clone())?;
                let identity = store.identity().clone();
                (Arc::new(store), state, identity)
            }
            #[cfg(feature = "share")]
            Self::Stream(config) => {
                let (share, state) = Share::open(config, limits)?;
                let identity = share.identity().clone();
                (Arc::new(share), state, identity)
            }
        })
    }
}
