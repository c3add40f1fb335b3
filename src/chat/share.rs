//! One chat on several servers: `--share`. The log is a stream of Valkey or Redis.
//!
//! Every server applies the entries of the stream in its order, so all come to the same state. A command is checked against
//! the own state, appended, and its outcome is known when it has come back:
//!
//! ```text
//! call --> check --> append ==XADD==> stream ==XREAD==> follow --> admit --> apply --> outcome of the call
//!                                     (of all servers)              |
//!                                                                   +-- repeated or late: not applied
//! ```
//!
//! Turns append, one batch at a time, see `src/chat/journal.rs`; one thread follows. An engine that was started anew may have lost
//! entries: before anything is appended to it, the servers compare how far they have read. If the stream lacks something of
//! that, a new epoch, which is another stream, begins from the state of the server that has read most, and the others take it.

pub mod batch;
mod charter;
mod config;
mod engine;
mod epoch;
mod follow;
mod keys;
mod meter;
mod position;
mod replica;
mod report;
mod snapshot;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use log::debug;
use parking_lot::{Condvar, Mutex};

use self::batch::Batch;
use self::charter::Charter;
pub(super) use self::config::FLAGS;
pub use self::config::ShareConfig;
use self::engine::{Engine, EngineError};
use self::epoch::Epoch;
use self::meter::Meter;
use self::position::StreamPosition;
use self::replica::Replica;
use self::report::PresenceReport;
use super::entry::Entry;
use super::journal::{Apply, Log, Outcome, Queue};
use super::{Chat, Identity, Limits, Refusal, State};
use crate::program::{Failure, spawn};
use crate::random;
use crate::rpc::Metrics;
use crate::secret::Salt;

/// The time that a change may take before its caller is told that it cannot be stored.
const COMMIT_TIMEOUT: Duration = Duration::from_millis(2700);
/// A batch that is appended later than this before the end of [`COMMIT_TIMEOUT`] does not count: its caller may not hear of it.
const MARGIN: Duration = Duration::from_millis(200);
/// The wait for a batch to come back that is certainly in the stream.
const COMING_BACK: Duration = Duration::from_secs(10);
/// The timeout of connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// The pause after an append that failed.
const RETRY: Duration = Duration::from_millis(40);
/// The longest wait of a reader for what they have read at another server.
const CATCH_UP: Duration = Duration::from_secs(1);

/// Entries of a batch.
const BATCH: usize = 256;
/// Bytes of messages in a batch, but for its last one.
const BATCH_BYTES: usize = 1 << 20;

/// The log in a stream that several servers write.
///
/// Locks: `sender` before `progress`.
pub struct Share {
    config: ShareConfig,
    charter: Charter,
    /// Identifies this process among the servers.
    origin: u64,
    /// The connection of the side that appends.
    sender: Mutex<Option<Engine>>,
    progress: Mutex<Progress>,
    /// Progress was made.
    moved: Condvar,
    /// If set, this server removes what is idle until then.
    sweeps_until: Mutex<Option<Instant>>,
    /// Set while an append has failed and nothing was heard of the engine since: others fail at once.
    is_away: AtomicBool,
    is_ending: AtomicBool,
    meter: Meter,
    /// Until the thread that follows takes it.
    replica: Mutex<Option<Replica>>,
}

impl fmt::Debug for Share {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Share({})", self.config)
    }
}

/// The fate of a batch.
enum Fate {
    /// It was applied.
    Applied(Vec<Outcome>),
    /// It was applied, perhaps by another server, from which this one has the state.
    IsIn,
    /// It was too late.
    IsLate,
    /// It is certainly not in the stream.
    IsNotIn,
    /// It may be, or come into it.
    IsUnknown,
}

/// The progress of the thread that follows the stream.
struct Progress {
    epoch: Epoch,
    cursor: StreamPosition,
    /// If set, the stream has what was read of it, as far as is known.
    is_verified: bool,
    /// The number of the own batch that is under way.
    sequence: u64,
    /// The fate of that batch, once it has come back.
    fate: Option<Fate>,
}

impl Share {
    /// Opens the chat in the engine, or begins it, and reads what is there.
    ///
    /// # Errors
    /// If the engine cannot be used, or servers of the chat live that have agreed on other limits.
    pub(super) fn open(config: ShareConfig, limits: &Limits) -> Result<(Self, State), Failure> {
        let failed = |error: EngineError| Failure::Failed(format!("--share {config}: {error}"));
        let mut engine = follow::connect_patiently(&config).map_err(failed)?;
        let identity = Identity { server_id: random::hex::<16>()?, salt: Salt::random(true)? };
        let charter = engine.charter(&Charter::new(identity, limits)).map_err(failed)?;
        let charter = match charter.check(limits) {
            Ok(()) => charter,
            // Nobody is left who has agreed on them.
            Err(_) if Self::is_deserted(&mut engine).map_err(failed)? => {
                Replica::rebuild(&mut engine, &charter, limits).map_err(failed)?
            }
            Err(other) => return Err(other),
        };
        let (replica, state) = Replica::load(&mut engine, &charter, limits).map_err(failed)?;
        let (epoch, cursor) = (replica.epoch, replica.cursor);
        let progress = Progress { epoch, cursor, is_verified: false, sequence: 0, fate: None };
        let origin = u64::from_le_bytes(random::bytes()?);
        // Before it is ready, so that a server that starts next knows that this one lives.
        let report = PresenceReport::new(engine.time_at(Instant::now()), Vec::new());
        engine.report(origin, &report).map_err(failed)?;
        let share = Self {
            config,
            charter,
            origin,
            sender: Mutex::new(None),
            progress: Mutex::new(progress),
            moved: Condvar::new(),
            sweeps_until: Mutex::new(None),
            is_away: AtomicBool::new(false),
            is_ending: AtomicBool::new(false),
            meter: Meter::default(),
            replica: Mutex::new(Some(replica)),
        };
        Ok((share, state))
    }

    fn is_deserted(engine: &mut Engine) -> Result<bool, EngineError> {
        let reports = report::all(engine)?;
        Ok(report::living(&reports, engine.time_at(Instant::now())).is_empty())
    }

    /// Returns what the chat is known by.
    pub(super) fn identity(&self) -> &Identity {
        &self.charter.identity
    }

    /// Tries to append a batch until it is in the stream or was seen there. Returns what has become of it.
    fn bring(&self, sender: &mut Option<Engine>, batch: &mut Batch) -> Fate {
        let given_up = Instant::now() + COMMIT_TIMEOUT;
        let mut wait_until = given_up;
        let mut fate = Fate::IsNotIn;
        loop {
            let Some(epoch) = self.verified_epoch(given_up) else { return fate };
            match self.append_once(sender, epoch, batch, given_up) {
                Ok(true) => {
                    self.meter.appended.add(1);
                    wait_until = given_up.max(Instant::now() + COMING_BACK);
                    fate = Fate::IsUnknown;
                    if let Some(fate) = self.fate(wait_until, Some(epoch)) {
                        return fate;
                    }
                }
                // The thread that follows finds out.
                Ok(false) => self.doubt(),
                Err(error) => {
                    debug!("cannot append: {error}");
                    *sender = None;
                    if matches!(error, EngineError::Unknown(_)) {
                        fate = Fate::IsUnknown;
                    }
                }
            }
            // Its confirmation may be lost.
            if let Some(fate) = self.fate(Instant::now() + RETRY, None) {
                return fate;
            }
            if Instant::now() >= wait_until.min(given_up) {
                return fate;
            }
        }
    }

    fn append_once(
        &self,
        sender: &mut Option<Engine>,
        epoch: Epoch,
        batch: &mut Batch,
        given_up: Instant,
    ) -> Result<bool, EngineError> {
        let left = given_up.saturating_duration_since(Instant::now());
        let engine = match sender {
            Some(engine) => engine,
            none => {
                let engine = Engine::connect(&self.config, left.min(CONNECT_TIMEOUT))?;
                if engine.run != epoch.run {
                    self.doubt();
                    return Err(EngineError::Refused("the engine was started anew".into()));
                }
                none.insert(engine)
            }
        };
        engine.set_timeout(left)?;
        batch.deadline = engine.time_at(given_up.checked_sub(MARGIN).unwrap_or(given_up));
        engine.append(epoch, batch)
    }

    /// Notes that the stream may not be what was followed.
    fn doubt(&self) {
        self.progress.lock().is_verified = false;
    }

    /// Returns the epoch once it is verified; `None` if it is not by `deadline`.
    fn verified_epoch(&self, deadline: Instant) -> Option<Epoch> {
        let mut progress = self.progress.lock();
        while !progress.is_verified {
            if self.moved.wait_until(&mut progress, deadline).timed_out() {
                return None;
            }
        }
        Some(progress.epoch)
    }

    /// Returns what has become of the batch under way; `None` if that is not known by `deadline`, or as soon as `epoch` is
    /// over.
    fn fate(&self, deadline: Instant, epoch: Option<Epoch>) -> Option<Fate> {
        let mut progress = self.progress.lock();
        loop {
            if let Some(fate) = progress.fate.take() {
                return Some(fate);
            }
            if epoch.is_some_and(|epoch| epoch != progress.epoch) || Instant::now() >= deadline {
                return None;
            }
            self.moved.wait_until(&mut progress, deadline);
        }
    }

    /// Tells the call that has appended batch `sequence` what has become of it.
    fn settle(&self, sequence: u64, fate: Fate) {
        let mut progress = self.progress.lock();
        if progress.sequence == sequence {
            progress.fate = Some(fate);
            self.moved.notify_all();
        }
    }
}

impl Log for Share {
    fn commit(&self, entries: Vec<Entry>, _: Apply<'_>) -> Result<Vec<Outcome>, Refusal> {
        if self.is_away.load(Ordering::Relaxed) {
            self.meter.failed.add(1);
            return Err(Refusal::NotStored);
        }
        let mut sender = self.sender.lock();
        let sequence = {
            let mut progress = self.progress.lock();
            (progress.sequence, progress.fate) = (progress.sequence + 1, None);
            progress.sequence
        };
        let mut batch = Batch { origin: self.origin, sequence, deadline: 0, entries };
        let fate = self.bring(&mut sender, &mut batch);
        if !matches!(fate, Fate::Applied(_) | Fate::IsIn) {
            self.meter.failed.add(1);
            // The engine's clock may have been set.
            *sender = None;
        }
        match fate {
            Fate::Applied(outcomes) => {
                self.meter.refused.add(outcomes.iter().filter(|outcome| outcome.is_err()).count());
                Ok(outcomes)
            }
            // They could be applied when they were appended, and what became of each is lost.
            Fate::IsIn => Ok(vec![Ok(()); batch.entries.len()]),
            Fate::IsLate => Err(Refusal::NotStored),
            Fate::IsNotIn => {
                self.is_away.store(true, Ordering::Relaxed);
                Err(Refusal::NotStored)
            }
            Fate::IsUnknown => {
                self.is_away.store(true, Ordering::Relaxed);
                Err(Refusal::Unknown)
            }
        }
    }

    /// Takes entries of all kinds: each is checked again when it comes back.
    fn next_batch(&self, queue: &mut Queue) -> Queue {
        let mut bytes = 0;
        let fits = |(_, entry): &&(u64, Entry)| {
            let before = bytes;
            bytes += if let Entry::Send(message) = entry { message.content.len() } else { 0 };
            before < BATCH_BYTES
        };
        let count = queue.iter().take(BATCH).take_while(fits).count();
        queue.drain(..count).collect()
    }

    fn start(self: Arc<Self>, chat: &Arc<Chat>) -> std::io::Result<Option<JoinHandle<()>>> {
        let chat = Arc::clone(chat);
        let follow = move || {
            let replica = self.replica.lock().take();
            if let Some(replica) = replica {
                follow::follow(&self, &chat, replica);
            }
        };
        spawn("follow", follow).map(Some)
    }

    /// Within a second.
    fn end(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
    }

    fn metrics(&self, out: &mut Metrics) {
        self.meter.write(out);
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn catch_up(&self) -> bool {
        let deadline = Instant::now() + CATCH_UP;
        if self.is_away.load(Ordering::Relaxed) {
            return false;
        }
        let Some(epoch) = self.verified_epoch(deadline) else { return false };
        let last = Engine::connect(&self.config, CATCH_UP).and_then(|mut engine| engine.last(epoch));
        let Ok(Some(last)) = last else { return false };
        let mut progress = self.progress.lock();
        while progress.epoch == epoch && progress.cursor < last {
            if self.moved.wait_until(&mut progress, deadline).timed_out() {
                return false;
            }
        }
        progress.epoch == epoch
    }

    fn is_sweeper(&self) -> bool {
        self.sweeps_until.lock().is_some_and(|until| Instant::now() < until)
    }
}
