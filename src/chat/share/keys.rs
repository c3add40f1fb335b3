//! The keys of a chat in the engine, and what is done there in one step.
//!
//! ```text
//! chat-rpc:CHAT:charter    what all servers agree on
//! chat-rpc:CHAT:epoch      the stream in use, and the run of the engine in which the servers have agreed on it
//! chat-rpc:CHAT:log:N      the stream of epoch N; there is another one after entries were lost
//! chat-rpc:CHAT:snapshot   the state at a position of it
//! chat-rpc:CHAT:servers    each server's report: that it lives, and which users it has heard of
//! chat-rpc:CHAT:sweeper    the server that removes what is idle; expires
//! chat-rpc:CHAT:lock       the server that writes a snapshot; expires
//! chat-rpc:CHAT:claims:N   how far each server has read, where they have to agree on how epoch N goes on; expires
//! ```

use super::charter::Charter;
use super::engine::{Engine, EngineError, cmd};
use super::epoch::{Claim, Epoch};
use super::position::StreamPosition;
use super::report::PresenceReport;

/// Begins an epoch unless somebody else was faster. Returns the position of its first record. Keys: epoch, charter, snapshot,
/// old stream, new stream. Arguments: the epoch before, the new one, charter, snapshot.
const BEGIN: &str = "\
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return false end
redis.call('DEL', KEYS[4], KEYS[5])
redis.call('SET', KEYS[2], ARGV[3])
redis.call('SET', KEYS[3], ARGV[4])
redis.call('SET', KEYS[1], ARGV[2])
return redis.call('XADD', KEYS[5], '*', 'epoch', ARGV[2])";

/// Lets an epoch go on in this run of the engine, unless somebody else was faster. Key: epoch. Arguments: the epoch as it was,
/// and as it is now.
const RENEW: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) end return 1";

/// Keeps a snapshot and drops what was before it. Keys: epoch, snapshot, stream. Arguments: epoch, snapshot, position.
const COMPACT: &str = "\
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2])
redis.call('XTRIM', KEYS[3], 'MINID', ARGV[3])
return 1";

/// Takes or renews a key for a server. Key: the lease. Arguments: the server, milliseconds.
const LEASE: &str = "\
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1";

/// Gives it back.
const RELEASE: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end return 1";

impl Engine {
    fn key(&self, name: &str) -> String {
        format!("chat-rpc:{}:{name}", self.chat)
    }

    pub(super) fn stream(&self, epoch: Epoch) -> String {
        self.key(&format!("log:{}", epoch.number))
    }

    /// Returns the charter; keeps `new` where there is none.
    pub(super) fn charter(&mut self, new: &Charter) -> Result<Charter, EngineError> {
        let key = self.key("charter");
        let _: bool = self.call(cmd("SETNX").arg(&key).arg(new.to_bytes()?))?;
        let kept: Vec<u8> = self.call(cmd("GET").arg(&key))?;
        Charter::read(&kept)
    }

    pub(super) fn epoch(&mut self) -> Result<Option<Epoch>, EngineError> {
        let epoch: Option<String> = self.call(cmd("GET").arg(self.key("epoch")))?;
        let strange = || EngineError::Refused("the epoch there is none of this program's".into());
        epoch.map(|epoch| Epoch::parse(&epoch).ok_or_else(strange)).transpose()
    }

    pub(super) fn snapshot(&mut self) -> Result<Option<Vec<u8>>, EngineError> {
        self.call(cmd("GET").arg(self.key("snapshot")))
    }

    /// Begins the epoch `new` after `before`. Returns the position of its first record, if it was this call that did.
    pub(super) fn begin(
        &mut self,
        (before, new): (Option<Epoch>, Epoch),
        charter: &Charter,
        snapshot: &[u8],
    ) -> Result<Option<StreamPosition>, EngineError> {
        let mut eval = cmd("EVAL");
        eval.arg(BEGIN).arg(5).arg(self.key("epoch")).arg(self.key("charter")).arg(self.key("snapshot"));
        eval.arg(self.stream(before.unwrap_or_default())).arg(self.stream(new));
        eval.arg(before.map_or_else(String::new, |epoch| epoch.to_string())).arg(new.to_string());
        let first: Option<String> = self.call(eval.arg(charter.to_bytes()?).arg(snapshot))?;
        Ok(first.and_then(|first| StreamPosition::parse(&first)))
    }

    /// Lets the epoch `before` go on as `now`.
    pub(super) fn renew(&mut self, before: Epoch, now: Epoch) -> Result<(), EngineError> {
        let mut eval = cmd("EVAL");
        self.call(eval.arg(RENEW).arg(1).arg(self.key("epoch")).arg(before.to_string()).arg(now.to_string()))
    }

    pub(super) fn records(&mut self, epoch: Epoch) -> Result<u64, EngineError> {
        self.call(cmd("XLEN").arg(self.stream(epoch)))
    }

    pub(super) fn compact(
        &mut self,
        epoch: Epoch,
        snapshot: &[u8],
        position: StreamPosition,
    ) -> Result<bool, EngineError> {
        let mut eval = cmd("EVAL");
        eval.arg(COMPACT).arg(3).arg(self.key("epoch")).arg(self.key("snapshot")).arg(self.stream(epoch));
        self.call(eval.arg(epoch.to_string()).arg(snapshot).arg(position.to_string()))
    }

    /// Takes or renews the lease `name` for `time` milliseconds. Returns whether `holder` has it.
    pub(super) fn lease(&mut self, name: &str, holder: u64, time: u64) -> Result<bool, EngineError> {
        self.call(cmd("EVAL").arg(LEASE).arg(1).arg(self.key(name)).arg(holder).arg(time))
    }

    pub(super) fn release(&mut self, name: &str, holder: u64) -> Result<(), EngineError> {
        self.call(cmd("EVAL").arg(RELEASE).arg(1).arg(self.key(name)).arg(holder))
    }

    /// Says how far `server` has read, where `epoch` has to go on. Returns what all have said.
    pub(super) fn claim(
        &mut self,
        epoch: Option<Epoch>,
        server: u64,
        claim: Claim,
    ) -> Result<Vec<(u64, Claim)>, EngineError> {
        let key = self.claims(epoch);
        let _: i64 = self.call(cmd("HSET").arg(&key).arg(server).arg(claim.to_string()))?;
        let _: i64 = self.call(cmd("PEXPIRE").arg(&key).arg(10_000))?;
        let claims: Vec<(u64, String)> = self.call(cmd("HGETALL").arg(&key))?;
        Ok(claims.into_iter().filter_map(|(server, claim)| Some((server, Claim::parse(&claim)?))).collect())
    }

    /// Removes the claim of a server that is gone.
    pub(super) fn unclaim(&mut self, epoch: Option<Epoch>, server: u64) -> Result<(), EngineError> {
        self.call(cmd("HDEL").arg(self.claims(epoch)).arg(server))
    }

    fn claims(&self, epoch: Option<Epoch>) -> String {
        self.key(&format!("claims:{}", epoch.unwrap_or_default()))
    }

    /// Leaves the report of `server`.
    pub(super) fn report(&mut self, server: u64, report: &PresenceReport) -> Result<(), EngineError> {
        let report = postcard::to_allocvec(report)?;
        self.call(cmd("HSET").arg(self.key("servers")).arg(server).arg(report))
    }

    /// Returns the reports of all servers.
    pub(super) fn reports(&mut self) -> Result<Vec<(u64, Vec<u8>)>, EngineError> {
        self.call(cmd("HGETALL").arg(self.key("servers")))
    }

    /// Removes the report of a server that is gone.
    pub(super) fn forget(&mut self, server: u64) -> Result<(), EngineError> {
        self.call(cmd("HDEL").arg(self.key("servers")).arg(server))
    }
}
