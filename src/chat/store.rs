//! The log in a file: `--data DIR`.
//!
//! `DIR/log` has a head and then records, see [`record`]. Entries are appended, and flushed to the device a moment later.
//! When the file is several times what is alive, a new one is written beside it from nothing but entries, flushed, and put in
//! its place; calls go on meanwhile. After a flush that failed the same is done, because the system then takes what it could
//! not write for written.

mod config;
mod directory;
mod file;
mod opening;
mod record;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use log::{debug, warn};
use parking_lot::{Condvar, Mutex};
use serde::{Deserialize, Serialize};

pub(super) use self::config::FLAGS;
pub use self::config::StoreConfig;
use self::directory::Directory;
use self::file::{Active, LogFile};
use self::record::PIECE;
use super::entry::Entry;
use super::journal::{Apply, Log, Outcome};
use super::refusal::Refusal;
use super::state::State;
use super::{Chat, FORM, Limits};
use crate::program::{Failure, keep_running};
use crate::rpc::Metrics;
use crate::secret::Salt;

/// A file below this is never worth a new one.
const LEAST_REWRITE: u64 = 256 << 10;
/// A file may be this many times what is alive in it.
const GROWTH: u64 = 3;
/// The pause after an attempt at a new file that failed.
const RETRY: Duration = Duration::from_secs(5);
/// The longest wait of an append for a new file where there is no room left.
const RENEWAL: Duration = Duration::from_secs(5);

/// The identity of a chat for as long as its data is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Published as `server_id`.
    pub server_id: String,
    /// The salt of the verifiers of secrets.
    pub salt: Salt,
}

/// The version of the file's form, which stands first in its head.
const VERSION: u32 = 1;

/// The log in a file.
#[derive(Debug)]
pub struct Store {
    directory: Directory,
    identity: Identity,
    limit: u64,
    sync_interval: Duration,
    active: Mutex<Active>,
    /// Wakes [`Store::maintain`].
    changed: Condvar,
    /// There is a new file, or an attempt at one has failed.
    renewed: Condvar,
}

impl Store {
    /// Opens the log in a directory and makes the state of it, within `limits`.
    ///
    /// # Errors
    /// If the directory cannot be used, another process uses it, or its log is not one that this version reads.
    pub fn open(config: &StoreConfig, limits: Limits) -> Result<(Self, State), Failure> {
        let directory = Directory::open(&config.directory)?;
        let mut state = State::new(limits, FORM);
        let (identity, log) = opening::open(&directory, &mut state)?;
        let (limit, sync_interval) = (config.limit, config.sync_interval);
        let store = Self {
            directory,
            identity,
            limit,
            sync_interval,
            active: Mutex::new(Active::new(log)),
            changed: Condvar::new(),
            renewed: Condvar::new(),
        };
        Ok((store, state))
    }

    /// Returns what the chat is known by.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Flushes what was written, and writes a new file when that is due, until [`Log::end`]. `snapshot` calls its argument
    /// at a moment at which everything in the log is applied and nothing else, and returns the state of that moment.
    pub fn maintain(&self, snapshot: impl Fn(&dyn Fn()) -> State) {
        let mut active = self.active.lock();
        while !active.is_ending {
            if self.wants_new_file(&active) {
                drop(active);
                let outcome = self.renew(&snapshot);
                active = self.active.lock();
                if let Err(error) = outcome {
                    active.since_snapshot = None;
                    active.not_before = Some(Instant::now() + RETRY);
                    active.report(&error);
                    self.directory.drop_new();
                }
                self.renewed.notify_all();
                continue;
            }
            let flush_at = active.dirty_since.map(|since| since + self.sync_interval);
            let now = Instant::now();
            match flush_at {
                Some(at) if at <= now => {
                    active.dirty_since = None;
                    let file = Arc::clone(&active.log.file);
                    drop(active);
                    let flushed = file.sync_data();
                    active = self.active.lock();
                    // A new file may have taken its place meanwhile.
                    if let Err(error) = flushed
                        && Arc::ptr_eq(&file, &active.log.file)
                    {
                        active.is_broken = true;
                        active.report(&error);
                    }
                }
                flush_at => match flush_at.into_iter().chain(active.not_before.filter(|_| active.is_broken)).min() {
                    Some(at) => drop(self.changed.wait_until(&mut active, at)),
                    None => self.changed.wait(&mut active),
                },
            }
        }
        if active.dirty_since.take().is_some()
            && let Err(error) = active.log.file.sync_data()
        {
            warn!("what was said last may not survive a loss of power: {error}");
        }
    }

    /// Appends `entries` in this order.
    ///
    /// # Errors
    /// If they cannot be stored now. Then none of them is.
    pub fn append(&self, entries: &[Entry]) -> Result<(), Refusal> {
        // The new file has its half too.
        let most = self.limit / 2;
        let mut active = self.active.lock();
        // Where more comes than a new file can be written for, it has to wait for that.
        let deadline = Instant::now() + RENEWAL;
        while active.log.end > most && active.not_before.is_none() && Instant::now() < deadline {
            self.changed.notify_all();
            self.renewed.wait_until(&mut active, deadline);
        }
        match active.append(entries, most, self.sync_interval.is_zero()) {
            Ok(()) => {
                active.recovered();
                if active.dirty_since.is_none() && !self.sync_interval.is_zero() {
                    active.dirty_since = Some(Instant::now());
                    self.changed.notify_all();
                }
                if self.wants_new_file(&active) && active.since_snapshot.is_none() {
                    self.changed.notify_all();
                }
                Ok(())
            }
            Err(error) => {
                active.report(&error);
                if active.is_broken {
                    self.changed.notify_all();
                }
                Err(Refusal::NotStored)
            }
        }
    }

    fn wants_new_file(&self, active: &Active) -> bool {
        // What is alive has a quarter of the limit, see `StoreConfig::narrow`, and what comes meanwhile an eighth of it.
        let most = (active.log.alive * GROWTH)
            .clamp(LEAST_REWRITE, self.limit / 8 * 3)
            .max(active.log.alive + self.limit / 16);
        (active.is_broken || active.log.end > most) && active.not_before.is_none_or(|time| time <= Instant::now())
    }

    /// Writes a new file from nothing but entries, and puts it in the place of the log.
    fn renew(&self, snapshot: &impl Fn(&dyn Fn()) -> State) -> io::Result<()> {
        let state = snapshot(&|| self.active.lock().since_snapshot = Some(Vec::new()));
        let mut new = LogFile::create(&self.directory, &self.identity, &state)?;
        drop(state);
        // What came meanwhile, until so little is left that nobody waits for it long.
        loop {
            let mut active = self.active.lock();
            let missed = active.since_snapshot.replace(Vec::new()).unwrap_or_default();
            let is_little = missed.iter().map(|payload| payload.bytes.len()).sum::<usize>() < PIECE;
            if !is_little {
                drop(active);
                new.append(&missed)?;
                new.file.sync_data()?;
                continue;
            }
            new.append(&missed)?;
            if self.sync_interval.is_zero() {
                new.file.sync_data()?;
            }
            self.directory.put_in_place()?;
            let (file, bytes) = (Arc::clone(&new.file), new.alive);
            active.log = new;
            (active.since_snapshot, active.dirty_since, active.not_before) = (None, None, None);
            active.is_broken = false;
            active.recovered();
            drop(active);
            debug!("a new file of {bytes} bytes has taken the place of the log");
            return file.sync_data().and_then(|()| self.directory.flush());
        }
    }
}

impl Log for Store {
    fn commit(&self, entries: Vec<Entry>, apply: Apply<'_>) -> Result<Vec<Outcome>, Refusal> {
        self.append(&entries)?;
        Ok(apply(entries))
    }

    fn start(self: Arc<Self>, chat: &Arc<Chat>) -> io::Result<Option<JoinHandle<()>>> {
        let chat = Arc::clone(chat);
        keep_running("store", move || self.maintain(|mark| chat.snapshot(mark))).map(Some)
    }

    fn end(&self) {
        self.active.lock().is_ending = true;
        self.changed.notify_all();
    }

    fn metrics(&self, out: &mut Metrics) {
        let (bytes, failures) = {
            let active = self.active.lock();
            (active.log.end, active.failures)
        };
        out.gauge("chat_log_bytes", "Bytes of the log", bytes);
        out.counter("chat_log_failures_total", "Appends and flushes that failed", failures);
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::chat::entry::{MessageEntry, PersonId, RoomId};
    use crate::chat::name::{RoomName, UserName};
    use crate::stamp::Time;

    fn entries() -> Vec<Entry> {
        let (person, room) = (PersonId(1), RoomId(2));
        let time = Time { utc: 0, ahead: 0 };
        let message = |content: &str| MessageEntry {
            room,
            id: None,
            origin: person,
            recipient: None,
            key: None,
            time,
            content: content.into(),
        };
        vec![
            Entry::Register { person, name: UserName::parse("ana").unwrap(), secret: None },
            Entry::Create(room, RoomName::parse("lobby").unwrap()),
            Entry::Join(person, room),
            Entry::Send(message("one")),
            Entry::Send(message("two")),
        ]
    }

    #[test]
    fn after_a_flush_that_failed_nothing_goes_into_that_file_and_a_new_one_has_everything() {
        let directory: PathBuf = std::env::temp_dir().join(format!("chat-rpc-{}-broken", std::process::id()));
        let config = StoreConfig::new(directory.clone());
        let (store, mut state) = Store::open(&config, Limits::default()).unwrap();
        let store = Arc::new(store);
        let mut entries = entries();
        let last = entries.pop().unwrap();
        store.append(&entries).unwrap();
        entries.into_iter().for_each(|entry| drop(state.apply(entry).unwrap()));
        let file = {
            let mut active = store.active.lock();
            // As after an error of the device.
            active.is_broken = true;
            Arc::clone(&active.log.file)
        };
        assert_eq!(store.append(std::slice::from_ref(&last)), Err(Refusal::NotStored));
        let live = Arc::new(Mutex::new(state));
        let maintained = {
            let (store, live) = (Arc::clone(&store), Arc::clone(&live));
            std::thread::spawn(move || {
                store.maintain(|mark| {
                    mark();
                    live.lock().clone()
                });
            })
        };
        while store.active.lock().is_broken {
            std::thread::yield_now();
        }
        assert!(!Arc::ptr_eq(&file, &store.active.lock().log.file));
        store.append(std::slice::from_ref(&last)).unwrap();
        live.lock().apply(last).unwrap();
        store.end();
        maintained.join().unwrap();
        drop(store);
        let again = Store::open(&config, Limits::default()).unwrap().1;
        assert!(again.image().eq(live.lock().image()));
        std::fs::remove_dir_all(directory).unwrap();
    }
}
