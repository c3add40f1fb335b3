//! The log in a file: `--data DIR`.
//!
//! `DIR/log` has a head and then records, see [`record`]. Entries are appended, and flushed to the device a moment later.
//! When the file is several times what is alive, a new one is written beside it from nothing but entries, flushed, and put in
//! its place; calls go on meanwhile. After a flush that failed the same is done, because the system then takes what it could
//! not write for written.

mod directory;
mod record;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::{debug, info, warn};
use parking_lot::{Condvar, Mutex};

use serde::{Deserialize, Serialize};

use self::directory::Directory;
use self::record::{Findings, MAX_PAYLOAD, PIECE, Reader};
use super::entry::Entry;
use super::journal::{Log, LogError};
use super::state::State;
use super::{FORM, Limits};
use crate::program::{Failure, Flag, Options};
use crate::random;
use crate::rpc::Metrics;
use crate::secret::Salt;

/// Bytes of zeros that are made ahead of the records, so that a flush rewrites blocks that exist already.
const AHEAD: u64 = 64 << 10;
/// A file below this is never worth a new one.
const LEAST_REWRITE: u64 = 256 << 10;
/// How many times what is alive a file may be.
const GROWTH: u64 = 3;
/// The pause after an attempt at a new file that failed.
const RETRY: Duration = Duration::from_secs(5);
/// How long an append waits for a new file where there is no room left.
const RENEWAL: Duration = Duration::from_secs(5);
/// How often the log of the program says that nothing can be stored.
const REPORT: Duration = Duration::from_secs(60);
/// Bytes of a record beside the content of a message: its header, ids, times, the key and lengths, rounded up.
const MESSAGE_OVERHEAD: usize = 256;

/// The options.
pub(super) const FLAGS: &[Flag] = &[
    Flag::value(
        "data",
        "DIR",
        None,
        "Keep users, rooms and messages in this directory; without it they end with the server.",
    ),
    Flag::value("data-limit", "BYTES", Some("67108864"), "Size of the files there; the largest history pays first."),
    Flag::value(
        "keep-history",
        "DAYS",
        Some("30"),
        "How long the history of a room is kept that was removed; 0 for not at all.",
    ),
    Flag::value(
        "sync-interval",
        "SECONDS",
        Some("1"),
        "How often what was written is flushed to the device; 0 for before each reply.",
    ),
];

/// Where and how the log is kept.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The directory, which is made if need be.
    pub directory: PathBuf,
    /// Bytes that all files in it may have. Default 64 MiB.
    pub limit: u64,
    /// How long the history of a removed room is kept. Default 30 days.
    pub keep_history: Duration,
    /// How often what was written is flushed to the device; zero for before each reply. Default 1 s.
    pub sync_interval: Duration,
}

impl StoreConfig {
    /// Returns the defaults.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        let keep_history = Duration::from_secs(30 * 86_400);
        Self { directory, limit: 64 << 20, keep_history, sync_interval: Duration::from_secs(1) }
    }

    /// Reads [`FLAGS`] from a command line. `None` without `--data`.
    ///
    /// # Errors
    /// [`Failure::Usage`] for what is not a number or out of range.
    pub(super) fn from_options(options: &Options) -> Result<Option<Self>, Failure> {
        let Some(directory) = options.text("data") else {
            let stray = FLAGS.iter().find(|flag| options.has(flag.long));
            return match stray {
                Some(flag) => Err(Failure::Usage(format!("--{} needs --data DIR", flag.long))),
                None => Ok(None),
            };
        };
        let ranged = |name: &str, range: std::ops::RangeInclusive<u64>| {
            let number: u64 = options.get(name)?;
            let (least, most) = (range.start(), range.end());
            let wrong = || Failure::Usage(format!("--{name} must be {least} to {most}"));
            range.contains(&number).then_some(number).ok_or_else(wrong)
        };
        Ok(Some(Self {
            directory: directory.into(),
            limit: ranged("data-limit", 1 << 20..=1 << 40)?,
            keep_history: Duration::from_secs(ranged("keep-history", 0..=36_500)? * 86_400),
            sync_interval: Duration::from_secs(ranged("sync-interval", 0..=3600)?),
        }))
    }

    /// Narrows `limits` to what the files have room for.
    ///
    /// # Errors
    /// [`Failure::Usage`] if a message does not fit a record.
    pub(super) fn narrow(&self, limits: &mut Limits) -> Result<(), Failure> {
        let most = MAX_PAYLOAD - MESSAGE_OVERHEAD;
        if limits.message_bytes > most {
            let given = limits.message_bytes;
            return Err(Failure::Usage(format!("--max-message-bytes {given} must be at most {most} with --data")));
        }
        // The old file and the new one stand beside each other for a moment, both with what came meanwhile.
        limits.memory = limits.memory.min(usize::try_from(self.limit / 4).unwrap_or(usize::MAX));
        limits.keep_history = self.keep_history;
        Ok(())
    }
}

/// What a chat is known by for as long as its data is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Published as `server_id`.
    pub server_id: String,
    /// What secrets are checked against is made with this.
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

/// The file that is appended to.
#[derive(Debug)]
struct Active {
    file: Arc<File>,
    /// Where the next record goes.
    end: u64,
    /// Up to where there are zeros.
    made: u64,
    /// The position of the last record.
    position: u64,
    /// Bytes of what was alive when the file was new.
    alive: u64,
    /// Since when there is something that has not been flushed.
    dirty_since: Option<Instant>,
    /// What was appended since a snapshot was taken, while the new file is being written.
    since_snapshot: Option<Vec<Payload>>,
    /// Whether the file must not be used any more, because a flush failed.
    is_broken: bool,
    /// Not before this is a new file tried again.
    not_before: Option<Instant>,
    /// When the log of the program last said that nothing can be stored, and whether that has passed since.
    reported: Option<(Instant, bool)>,
    failures: u64,
    is_ending: bool,
}

/// An entry as it stands in a record, and whether it stands there twice.
#[derive(Debug)]
struct Payload {
    bytes: Vec<u8>,
    is_vital: bool,
}

impl Payload {
    fn new(entry: &Entry) -> io::Result<Self> {
        let bytes = postcard::to_allocvec(entry).map_err(io::Error::other)?;
        if bytes.len() > MAX_PAYLOAD {
            return Err(io::Error::other("an entry is too long"));
        }
        Ok(Self { bytes, is_vital: entry.is_vital() })
    }

    /// Appends it to `out` as the record after `position`.
    fn write(&self, out: &mut Vec<u8>, position: &mut u64) {
        *position += 1;
        for _ in 0..=usize::from(self.is_vital) {
            record::write(out, *position, &self.bytes);
        }
    }
}

impl Store {
    /// Opens the log in a directory and makes the state of it, within `limits`.
    ///
    /// # Errors
    /// If the directory cannot be used, another process uses it, or its log is not one that this version reads.
    pub fn open(config: &StoreConfig, limits: Limits) -> Result<(Self, State), Failure> {
        let directory = Directory::open(&config.directory)?;
        let shown = directory.path().display().to_string();
        let cannot = |error| Failure::while_doing(format_args!("--data {shown}: cannot read the log"), error);
        let mut state = State::new(limits, FORM);
        let mut identity = None;
        let mut findings = Findings::default();
        let mut position = 0;
        let mut file = directory.open_log().map_err(cannot)?;
        if let Some(file) = &file {
            let mut reader = Reader::new(file);
            let (mut unreadable, mut refused) = (0, 0);
            while let Some((_, payload)) = reader.next().map_err(cannot)? {
                if identity.is_none() {
                    identity =
                        Some(read_head(payload).map_err(|what| Failure::Failed(format!("--data {shown}: {what}")))?);
                    continue;
                }
                match postcard::from_bytes(payload) {
                    // It was not refused when it was written; with other limits it can be now.
                    Ok(entry) => refused += u64::from(state.apply(entry).is_err()),
                    Err(_) => unreadable += 1,
                }
            }
            findings = reader.findings();
            findings.missing += unreadable;
            if refused > 0 {
                warn!(
                    "{refused} entries of the log are refused by the limits of today or for what is missing before them"
                );
            }
            position = reader.last().unwrap_or_default();
        }
        if identity.is_none() && findings.has_tail {
            return Err(Failure::Failed(format!("--data {shown}: the file log is none of this program; move it away")));
        }
        let is_new = identity.is_none();
        let identity = match identity {
            Some(identity) => identity,
            None => Identity { server_id: random::hex::<16>()?, salt: Salt::random(true)? },
        };
        let failed = |error| Failure::while_doing(format_args!("--data {shown}: cannot write the log"), error);
        // About as much as a new file would have: the next one says it exactly.
        let mut alive = state.history_bytes() as u64 / 2;
        if is_new || findings.damaged > 0 || findings.missing > 0 {
            if !is_new {
                let kept = directory.keep_damaged().map_err(failed)?;
                warn!(
                    "the log is damaged: {} bytes are no records and {} entries are missing; the rest is there, and the \
                     damaged file is kept as {}",
                    findings.damaged,
                    findings.missing,
                    kept.display()
                );
            }
            let written = NewFile::write(&directory, &identity, &state).map_err(failed)?;
            directory.put_in_place().and_then(|()| directory.flush()).map_err(failed)?;
            (findings.end, position, alive) = (written.end, written.position, written.end);
            file = Some(written.file);
        } else if findings.has_tail {
            info!("the last record of the log was not whole, as after a loss of power, and is cut");
        }
        let Some(file) = file else { return Err(Failure::Failed(format!("--data {shown}: there is no log"))) };
        // What follows the last record is nothing, or a part of one.
        file.set_len(findings.end).map_err(failed)?;
        let active = Active {
            file: Arc::new(file),
            end: findings.end,
            made: findings.end,
            position,
            alive,
            dirty_since: None,
            since_snapshot: None,
            is_broken: false,
            not_before: None,
            reported: None,
            failures: 0,
            is_ending: false,
        };
        let (limit, sync_interval) = (config.limit, config.sync_interval);
        let store = Self {
            directory,
            identity,
            limit,
            sync_interval,
            active: Mutex::new(active),
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

    /// Flushes what was written, and writes a new file when that is due, until [`Store::end`]. `snapshot` calls its argument
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
                    let file = Arc::clone(&active.file);
                    drop(active);
                    let flushed = file.sync_data();
                    active = self.active.lock();
                    // A new file may have taken its place meanwhile.
                    if let Err(error) = flushed
                        && Arc::ptr_eq(&file, &active.file)
                    {
                        active.is_broken = true;
                        active.report(&error);
                    }
                }
                flush_at => match flush_at.into_iter().chain(active.retry_at()).min() {
                    Some(at) => drop(self.changed.wait_until(&mut active, at)),
                    None => self.changed.wait(&mut active),
                },
            }
        }
        if active.dirty_since.take().is_some()
            && let Err(error) = active.file.sync_data()
        {
            warn!("what was said last may not survive a loss of power: {error}");
        }
    }

    /// Ends [`Store::maintain`].
    pub fn end(&self) {
        self.active.lock().is_ending = true;
        self.changed.notify_all();
    }

    /// Adds its metrics.
    pub fn metrics(&self, out: &mut Metrics) {
        let (bytes, failures) = {
            let active = self.active.lock();
            (active.end, active.failures)
        };
        out.gauge("chat_log_bytes", "Bytes of the log", bytes);
        out.counter("chat_log_failures_total", "Appends and flushes that failed", failures);
    }

    fn wants_new_file(&self, active: &Active) -> bool {
        // What is alive has a quarter of the limit, see `StoreConfig::narrow`, and what comes meanwhile an eighth of it.
        let most = (active.alive * GROWTH).clamp(LEAST_REWRITE, self.limit / 8 * 3).max(active.alive + self.limit / 16);
        (active.is_broken || active.end > most) && active.not_before.is_none_or(|time| time <= Instant::now())
    }

    /// Writes a new file from nothing but entries, and puts it in the place of the log.
    fn renew(&self, snapshot: &impl Fn(&dyn Fn()) -> State) -> io::Result<()> {
        let state = snapshot(&|| self.active.lock().since_snapshot = Some(Vec::new()));
        let mut new = NewFile::write(&self.directory, &self.identity, &state)?;
        drop(state);
        let alive = new.end;
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
            let file = Arc::new(new.file);
            active.file = Arc::clone(&file);
            (active.end, active.made, active.position, active.alive) = (new.end, new.end, new.position, alive);
            (active.since_snapshot, active.dirty_since, active.not_before) = (None, None, None);
            active.is_broken = false;
            active.recovered();
            drop(active);
            debug!("a new file of {alive} bytes has taken the place of the log");
            return file.sync_data().and_then(|()| self.directory.flush());
        }
    }
}

impl Log for Store {
    fn append(&self, entries: &[Entry]) -> Result<(), LogError> {
        // The new file has its half too.
        let most = self.limit / 2;
        let mut active = self.active.lock();
        // Where more comes than a new file can be written for, it has to wait for that.
        let deadline = Instant::now() + RENEWAL;
        while active.end > most && active.not_before.is_none() && Instant::now() < deadline {
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
                Err(LogError)
            }
        }
    }
}

impl Active {
    fn append(&mut self, entries: &[Entry], most: u64, flushes: bool) -> io::Result<()> {
        if self.is_broken {
            return Err(io::Error::other("a flush failed, and there is no new file yet"));
        }
        let payloads = entries.iter().map(Payload::new).collect::<io::Result<Vec<_>>>()?;
        let (mut bytes, mut position) = (Vec::new(), self.position);
        payloads.iter().for_each(|payload| payload.write(&mut bytes, &mut position));
        let end = self.end + bytes.len() as u64;
        if self.end > most {
            return Err(io::Error::other(format!("the log has {} bytes, as many as --data-limit allows", self.end)));
        }
        if end > self.made {
            // Where there is no room ahead, there may still be room for this.
            let zeros = vec![0; AHEAD as usize];
            let ahead = self.file.write_all_at(&zeros, end);
            self.made = if ahead.is_ok() { end + AHEAD } else { end };
        }
        let written = self.file.write_all_at(&bytes, self.end);
        let stored = written.and_then(|()| if flushes { self.file.sync_data() } else { Ok(()) });
        if let Err(error) = stored {
            // What was written of it must never be taken for a record.
            self.is_broken |= flushes || self.file.set_len(self.end).is_err();
            self.made = self.end;
            return Err(error);
        }
        (self.end, self.position) = (end, position);
        if let Some(since_snapshot) = &mut self.since_snapshot {
            since_snapshot.extend(payloads);
        }
        Ok(())
    }

    /// Says in the program's log that something cannot be stored: once in a while, whatever comes between.
    fn report(&mut self, error: &io::Error) {
        self.failures += 1;
        if self.reported.is_none_or(|(at, _)| at.elapsed() >= REPORT) {
            warn!("changes cannot be stored, and are refused until they can: {error}");
            self.reported = Some((Instant::now(), false));
        }
    }

    fn recovered(&mut self) {
        if let Some((_, has_passed @ false)) = &mut self.reported {
            *has_passed = true;
            info!("changes are stored again");
        }
    }

    /// When a new file is tried again.
    fn retry_at(&self) -> Option<Instant> {
        self.not_before.filter(|_| self.is_broken)
    }
}

/// Reads the head of a log. Its version comes first, whatever follows.
fn read_head(payload: &[u8]) -> Result<Identity, String> {
    match postcard::take_from_bytes::<u32>(payload) {
        Ok((VERSION, rest)) => {
            postcard::from_bytes(rest).map_err(|_| "the head of the log is unreadable; move it away".into())
        }
        Ok((version, _)) if version > VERSION => Err(format!(
            "the log is of a newer version of this program (form {version}); use that or another directory"
        )),
        _ => Err("the file log is none of this program; move it away".into()),
    }
}

/// A file that is to become the log.
struct NewFile {
    file: File,
    end: u64,
    position: u64,
}

impl NewFile {
    /// Writes the head and the entries of `state`, and flushes them to the device.
    fn write(directory: &Directory, identity: &Identity, state: &State) -> io::Result<Self> {
        let mut new = Self { file: directory.create_new()?, end: 0, position: 0 };
        let mut bytes = Vec::new();
        let mut head = postcard::to_allocvec(&VERSION).map_err(io::Error::other)?;
        head.extend(postcard::to_allocvec(identity).map_err(io::Error::other)?);
        for _ in 0..2 {
            record::write(&mut bytes, 0, &head);
        }
        state.image(|entry| {
            Payload::new(&entry)?.write(&mut bytes, &mut new.position);
            if bytes.len() >= PIECE { new.flush(&mut bytes) } else { Ok(()) }
        })?;
        new.flush(&mut bytes)?;
        new.file.sync_data()?;
        Ok(new)
    }

    fn append(&mut self, payloads: &[Payload]) -> io::Result<()> {
        let mut bytes = Vec::new();
        payloads.iter().for_each(|payload| payload.write(&mut bytes, &mut self.position));
        self.flush(&mut bytes)
    }

    fn flush(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        self.file.write_all_at(bytes, self.end)?;
        self.end += bytes.len() as u64;
        bytes.clear();
        Ok(())
    }
}
