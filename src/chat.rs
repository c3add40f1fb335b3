//! The chat: users, rooms, messages, and their delivery.
//!
//! [`Core`] knows everything and has no threads: the durable [`State`], and what is volatile beside it. [`Chat`] puts a lock
//! around it, brings changes to the log in turns, and serves the [`PROCEDURES`]; [`start`] runs a whole server: HTTP, the
//! thread that delivers, the janitor, and the one that keeps the server registered.

mod core;
mod delivery;
pub mod entry;
mod identity;
mod journal;
mod keeper;
mod limits;
pub mod name;
mod params;
mod procedures;
mod rate;
mod refusal;
mod registration;
mod room;
mod server;
#[cfg(feature = "share")]
pub mod share;
mod state;
mod store;
mod streams;
mod subscribe;
mod tally;
mod waits;
mod wire;

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

pub use self::core::{Applied, CallContext, Core, Now, SignIn};
use delivery::Bell;
pub use identity::Proof;
use journal::Journal;
pub use journal::{Apply, Log, NoLog, Outcome, Queue};
pub use keeper::KeeperConfig;
pub use limits::Limits;
pub use procedures::PROCEDURES;
pub use refusal::Refusal;
pub use room::{JOIN_MESSAGES, Page, StoredMessage};
pub use server::{PROGRAM, RunningServer, ServerConfig, start};
pub use state::{Effects, State, WireForm};
pub use store::{Identity, Store, StoreConfig};
pub use streams::{MAX_USER_STREAMS, Position, Reader, RoomEvent, STREAM_GRACE};
pub use waits::{DELIVERY_GAP, Delivery, MAX_WAIT, Ticket};
pub use wire::FORM;

use crate::rpc::{Deferred, Metrics, Streams};
use crate::secret::{self, Salt};
use crate::stamp::Time;

/// A chat: what it knows, its log, and those who wait for what happens.
#[derive(Debug)]
pub struct Chat {
    /// Held for the length of a lookup or an insertion; nothing is written, answered or logged under it. Two locks are taken
    /// under it: the gate's, to ask whether a request waits on a connection, and that of the inbox of `streams`.
    core: Mutex<Core<Deferred>>,
    /// Locked before `core`, if both are.
    journal: Journal,
    log: Arc<dyn Log>,
    /// Wakes the thread that delivers.
    bell: Bell,
    /// The open streams of events. Under the lock of `core` it is told what to send, so that they get it in its order.
    streams: Streams,
    /// The key of digests that last as long as this process.
    digests: secret::DigestKey,
    /// The salt of the verifiers of secrets.
    salt: Salt,
}

fn now() -> Now {
    Now { monotonic: Instant::now(), time: Time::now() }
}

impl Chat {
    /// Removes what has been idle for too long.
    fn sweep(&self) {
        let mut core = self.core.lock();
        let mut entries = core.sweep_gone(Instant::now());
        if self.log.is_sweeper() {
            entries.extend(core.sweep(now()));
        }
        drop(core);
        for entry in entries {
            // What is refused has changed meanwhile; what cannot be stored is tried again in the next round.
            let _ = self.commit(entry);
        }
    }

    fn metrics(&self, out: &mut Metrics) {
        self.core.lock().metrics(out);
        self.log.metrics(out);
    }
}
