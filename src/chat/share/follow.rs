//! The thread that follows the stream, and says every few seconds that this server lives.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use log::{debug, error, info, warn};

use super::super::delivery::reply;
use super::super::streams::end;
use super::super::{Chat, State};
use super::config::ShareConfig;
use super::engine::{Engine, EngineError};
use super::replica::Replica;
use super::report::{self, PresenceReport};
use super::{CONNECT_TIMEOUT, Fate, Share, snapshot};
use crate::program::spawn;
use crate::rpc::Audience;

/// The longest time that a read waits for something to come.
const READ_WAIT: Duration = Duration::from_secs(1);
/// The time by which a reply may be late.
const SLACK: Duration = Duration::from_secs(2);
/// The timeout of a reply that carries a snapshot.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(20);
/// The first and the longest pause between attempts to reach the engine.
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(1);
/// The time that an engine may take to load its data while a server starts.
const LOADING: Duration = Duration::from_secs(300);
/// The longest interval at which a server says that it lives.
const BEAT: Duration = Duration::from_secs(10);
/// The lease of the server that removes what is idle, in milliseconds.
const LEASE: u64 = 30_000;
/// The lease of the server that writes a snapshot, in milliseconds.
const LOCK: u64 = 60_000;

/// Connects for a start: waits while the engine loads its data.
pub(super) fn connect_patiently(config: &ShareConfig) -> Result<Engine, EngineError> {
    let deadline = Instant::now() + LOADING;
    loop {
        match Engine::connect(config, CONNECT_TIMEOUT * 3) {
            Err(EngineError::Loading) if Instant::now() < deadline => std::thread::sleep(LAST_RETRY / 4),
            Ok(engine) => {
                engine.set_timeout(SNAPSHOT_TIMEOUT)?;
                return Ok(engine);
            }
            connected => return connected,
        }
    }
}

/// Follows until the share is to end.
pub(super) fn follow(share: &Arc<Share>, chat: &Chat, replica: Replica) {
    let beat = BEAT.min(chat.core.lock().state.limits.shortest_idle() / 4).max(Duration::from_millis(100));
    let mut follower = Follower { share, chat, replica, others: Vec::new(), beat };
    let mut pause = FIRST_RETRY;
    // The last line in the log, so that a long outage is one line.
    let mut said: Option<String> = None;
    loop {
        let outcome = follower.follow_connected(|| {
            pause = FIRST_RETRY;
            if said.take().is_some() {
                info!("the shared log is back");
            }
        });
        share.doubt();
        if share.is_ending.load(Ordering::Relaxed) {
            return;
        }
        let Err(error) = outcome else { continue };
        share.meter.set_away(true);
        if said.is_none() {
            warn!("the shared log at {} is away, and changes are refused: {error}", share.config.engine);
        } else {
            debug!("the shared log is away: {error}");
        }
        said.get_or_insert(error.to_string());
        std::thread::sleep(pause);
        pause = (pause * 2).min(LAST_RETRY);
    }
}

pub(super) struct Follower<'a> {
    pub(super) share: &'a Arc<Share>,
    pub(super) chat: &'a Chat,
    pub(super) replica: Replica,
    /// The servers that lived at the last beat.
    pub(super) others: Vec<u64>,
    /// The interval at which this server says that it lives.
    beat: Duration,
}

impl Follower<'_> {
    /// Follows on one connection until it breaks, or the share is to end. Calls `connected` once the stream is there.
    fn follow_connected(&mut self, connected: impl FnOnce()) -> Result<(), EngineError> {
        let share = self.share;
        let mut engine = Engine::connect(&share.config, CONNECT_TIMEOUT)?;
        self.verify(&mut engine)?;
        share.meter.set_away(false);
        connected();
        let wait = READ_WAIT.min(self.beat);
        let mut next_beat = Instant::now();
        while !share.is_ending.load(Ordering::Relaxed) {
            if Instant::now() >= next_beat {
                next_beat = Instant::now() + self.beat;
                self.live(&mut engine)?;
            }
            let records = engine.read(self.replica.epoch, self.replica.cursor, wait)?;
            share.is_away.store(false, Ordering::Relaxed);
            if records.is_empty() {
                self.verify(&mut engine)?;
                share.meter.delay.set(0);
                continue;
            }
            let mut left = records.len() as u64;
            for record in records {
                share.meter.behind.set(left);
                left -= 1;
                share.meter.delay.set(engine.time_at(Instant::now()).saturating_sub(record.position.time));
                if let Some((origin, sequence, fate)) = self.replica.take(record, |entries| self.chat.apply(entries))
                    && origin == share.origin
                {
                    share.settle(sequence, fate);
                }
            }
            share.meter.behind.set(0);
            if !self.announce(false) {
                self.verify(&mut engine)?;
            }
        }
        let _ = engine.release("sweeper", share.origin);
        let _ = engine.forget(share.origin);
        Ok(())
    }

    /// Tells those who wait how far this server has come. Returns whether the stream is verified, now or before.
    pub(super) fn announce(&self, is_verified: bool) -> bool {
        let mut progress = self.share.progress.lock();
        (progress.epoch, progress.cursor) = (self.replica.epoch, self.replica.cursor);
        progress.is_verified |= is_verified;
        self.share.moved.notify_all();
        progress.is_verified
    }

    /// Sees to it that the stream has what was read of it, or takes what is there instead.
    fn verify(&mut self, engine: &mut Engine) -> Result<(), EngineError> {
        engine.set_timeout(SNAPSHOT_TIMEOUT)?;
        loop {
            let epoch = engine.epoch()?;
            let Some(agreed) = epoch.filter(|epoch| epoch.run == engine.run) else {
                self.agree(engine, epoch)?;
                continue;
            };
            if agreed.number == self.replica.epoch.number && self.replica.is_in(engine)? {
                self.replica.epoch = agreed;
                break;
            }
            if agreed == self.replica.epoch && !self.is_before_snapshot(engine)? {
                self.agree(engine, epoch)?;
            } else {
                self.reload(engine)?;
            }
        }
        engine.set_timeout(READ_WAIT + SLACK)?;
        self.announce(true);
        Ok(())
    }

    /// Returns whether a snapshot has taken the place of what was read last.
    pub(super) fn is_before_snapshot(&self, engine: &mut Engine) -> Result<bool, EngineError> {
        let snapshot = engine.snapshot()?;
        Ok(snapshot.and_then(|bytes| snapshot::position(&bytes)).is_some_and(|position| position > self.replica.cursor))
    }

    /// Takes the state that is kept beside the stream.
    fn reload(&mut self, engine: &mut Engine) -> Result<(), EngineError> {
        let share = self.share;
        let charter = engine.charter(&share.charter)?;
        if charter != share.charter {
            error!("the chat at {} is another one now; restart this server", share.config);
            return Err(EngineError::Refused("the chat there is another one now".into()));
        }
        let limits = self.chat.core.lock().state.limits.clone();
        let (replica, state) = Replica::load(engine, &charter, &limits)?;
        info!("took the state of epoch {} from the shared log", replica.epoch.number);
        self.replica = replica;
        self.chat.replace(state);
        self.announce(false);
        // Another server may have applied what this one has appended.
        let sequence = share.progress.lock().sequence;
        if self.replica.admission.has(share.origin, sequence) {
            share.settle(sequence, Fate::IsIn);
        }
        Ok(())
    }

    /// Says that this server lives and whom it has heard of, hears the same of the others, and does what one of them has to.
    fn live(&mut self, engine: &mut Engine) -> Result<(), EngineError> {
        let share = self.share;
        engine.set_clock()?;
        let now = engine.time_at(Instant::now());
        // Twice as long as needed, so that others may miss one.
        let report = PresenceReport::new(now, self.chat.core.lock().heard(self.beat * 3, Instant::now()));
        engine.report(share.origin, &report)?;
        let reports = report::all(engine)?;
        for (_, report) in reports.iter().filter(|(server, _)| *server != share.origin) {
            self.chat.core.lock().heard_elsewhere(&report.heard_before(now), Instant::now());
        }
        self.others = report::living(&reports, now);
        share.meter.servers.set(self.others.len() as u64);
        let sweeps = engine.lease("sweeper", share.origin, LEASE)?;
        // Given up before it expires there.
        let until = Instant::now() + Duration::from_millis(LEASE) * 3 / 4;
        *share.sweeps_until.lock() = sweeps.then_some(until);
        if engine.records(self.replica.epoch)? > share.config.most_records
            && engine.lease("lock", share.origin, LOCK)?
        {
            self.compact();
        }
        Ok(())
    }

    /// Has a snapshot of the own state take the place of the records up to here, on a thread of its own.
    fn compact(&self) {
        let (share, state) = (Arc::clone(self.share), self.chat.state());
        let (epoch, cursor, admission) = (self.replica.epoch, self.replica.cursor, self.replica.admission.clone());
        let write = move || {
            let written = snapshot::write(&state, &admission, cursor);
            drop(state);
            let outcome = written.and_then(|bytes| {
                let mut engine = Engine::connect(&share.config, SNAPSHOT_TIMEOUT)?;
                let is_kept = engine.compact(epoch, &bytes, cursor)?;
                engine.release("lock", share.origin)?;
                Ok((is_kept, bytes.len()))
            });
            match outcome {
                Ok((true, bytes)) => debug!("a snapshot of {bytes} bytes has taken the place of the stream"),
                Ok((false, _)) => {}
                Err(error) => warn!("cannot keep a snapshot beside the shared log: {error}"),
            }
        };
        if let Err(error) = spawn("snapshot", write) {
            warn!("cannot keep a snapshot beside the shared log: {error}");
        }
    }
}

impl Chat {
    /// Returns the durable state as it is now.
    pub(super) fn state(&self) -> State {
        self.core.lock().state().clone()
    }

    /// Takes another durable state.
    fn replace(&self, state: State) {
        let mut core = self.core.lock();
        for room in core.state().rooms() {
            // Their readers come back with their positions, and get what is there now.
            self.streams.end(room.id.0, Audience::All, end("the server has another state"));
        }
        let ended = core.replace(state, Instant::now());
        drop(core);
        reply(ended);
    }
}
