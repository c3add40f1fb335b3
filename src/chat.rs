//! The chat: users, rooms, messages, and their delivery.
//!
//! [`Core`] knows everything and has no threads: the durable [`State`], and what is volatile beside it. [`Chat`] puts a lock
//! around it, brings changes to the log in turns, and serves the procedures; [`start`] runs a whole server: HTTP, the thread
//! that delivers, the janitor, and the one that keeps the server registered.

mod core;
mod delivery;
pub mod entry;
mod identity;
mod journal;
mod keeper;
mod limits;
pub mod name;
mod params;
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
mod waits;
mod wire;

use std::sync::Arc;
use std::time::{Duration, Instant};

use log::warn;
use parking_lot::Mutex;

pub use self::core::{Applied, Core, Counts, Now, SendCall, SignIn, WaitCall};
use delivery::Bell;
use entry::{Entry, Message, PersonId, RoomId};
pub use identity::Proof;
use journal::Journal;
pub use journal::{Apply, Log, LogError, NoLog, Outcome};
pub use keeper::KeeperConfig;
pub use limits::Limits;
use name::{RoomName, UserName};
use params::{MessageKey, Recipient, Text};
pub use refusal::Refusal;
pub use room::{JOIN_MESSAGES, Page};
pub use server::{PROGRAM, RunningServer, ServerConfig, start};
pub use state::{Effects, Envelope, State, WireForm};
pub use store::{Identity, Store, StoreConfig};
pub use streams::{MAX_USER_STREAMS, Position, Reader, RoomEvent, STREAM_GRACE, StreamCall};
use subscribe::publish;
pub use waits::{DELIVERY_GAP, Delivery, MAX_WAIT, Ticket};
pub use wire::FORM;

use crate::random;
use crate::rpc::{Caller, ConnectionId, Deferred, Fault, Metrics, Streams, Written, procedures};
use crate::secret::{self, Salt};
use crate::stamp::Time;

/// A chat server's procedures and their state.
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
    max_message_bytes: usize,
}

procedures! { pub PROCEDURES for Chat {
    /// Registers a user. With HTTP Basic credentials, whose user part must be the name, nobody else can act as this user,
    /// and the same call resumes the session. Fault 1 if the name is in use, 7 if it is not allowed, 8 if there are too
    /// many users, 9 if the server wants credentials, 10 if there are too many registrations from this address.
    "register_user" = register_user(username: UserName) -> String;
    /// Unregisters a user, who leaves the room too. Fault 2 if there is no such user.
    "unregister_user" = unregister_user(username: UserName) -> String;
    /// Creates a room, empty but for what is kept of an earlier one. It is removed again when nobody has been in it for some
    /// time. Fault 4 if it exists, 7 if the name is not allowed, 8 if there are too many rooms, 9 if the server wants the
    /// credentials of a registered user, 10 if too many are created from this address.
    "create_room" = create_room(room_name: RoomName) -> String;
    /// Joins a room and leaves the one before. Returns a struct of users (array of string), messages (the newest 50 that
    /// this user may see), last_id (the cursor to wait from) and room_id (this life of the room). Fault 2 or 3 if there is no such user or room, 8 if the
    /// room is full.
    "join_room" = join_room(username: UserName, room_name: RoomName) -> Written<true>;
    /// Leaves the room. Fault 2 if there is no such user, 5 if they are in no room.
    "leave_room" = leave_room(username: UserName) -> String;
    /// Sends a message to everybody in the room, or with a recipient only to that user. A call with a key that this user has
    /// used within their last 256 messages sends nothing and returns the same confirmation, so that a call whose reply was
    /// lost can be made again. Fault 2 or 3 if there is no such user or room, 5 if the user is not in it, 6 if the
    /// recipient is not, 8 if the message or the key is too long, 10 if messages come too fast.
    "send_message" = send_message(username: UserName, room_name: RoomName, message: Text, recipient: Recipient, key: MessageKey) -> String;
    /// All messages of the room that are kept and that this user may see: structs of id, type (broadcast or unicast),
    /// origin, destination (empty for a broadcast), content, timestamp (local time), time (RFC 3339) and, of a message that
    /// was sent with one, key. Fault 5 if the user is not in the room.
    "receive_messages" = receive_messages(username: UserName, room_name: RoomName) -> Written<false>;
    /// Those later than last_timestamp (YYYY-MM-DD HH:MM:SS, with or without a fraction). Fault 5 if the user is not in the
    /// room.
    "receive_new_messages" = receive_new_messages(username: UserName, room_name: RoomName, last_timestamp: String) -> Written<false>;
    /// Waits for messages with an id past after_id that this user may see, at most timeout_seconds (0 to 60). Returns a
    /// struct of messages (empty when the time is up), last_id (the next after_id), room_id (this life of the room) and
    /// missed (how many were dropped before this user could read them). A second wait by the same user ends the first. Fault 5 if the user is not in
    /// the room.
    "wait_messages" = later wait_messages(username: UserName, room_name: RoomName, after_id: i64, timeout_seconds: i64) -> Written<true>;
    /// The names of all rooms.
    "list_rooms" = list_rooms() -> Vec<String>;
    /// The names of the users in a room. Fault 3 if there is no such room.
    "list_users" = list_users(room_name: RoomName) -> Vec<String>;
} }

impl Ticket for Deferred {
    type Connection = Option<ConnectionId>;

    fn connection(&self) -> Self::Connection {
        self.connection()
    }

    fn has_pipelined_request(&self) -> bool {
        self.has_pipelined_request()
    }
}

/// Sends `deliveries`, and closes connections only then. Each reply is written once; nothing blocks on a slow reader.
fn reply(deliveries: impl IntoIterator<Item = Delivery<Deferred>>) {
    let mut sent = Vec::new();
    for delivery in deliveries {
        let document = wire::page(&delivery.page);
        sent.extend(delivery.tickets.into_iter().filter_map(|ticket| ticket.document(&document)));
    }
}

fn now() -> Now {
    Now { monotonic: Instant::now(), time: Time::now() }
}

fn written(messages: &[Arc<str>]) -> Written<false> {
    let mut out = String::new();
    wire::messages(&mut out, messages);
    Written(out)
}

/// Returns a random number for an id.
fn random_id() -> Result<u64, Fault> {
    random::bytes().map(u64::from_le_bytes).map_err(|failure| {
        warn!("{failure}");
        Refusal::NotStored.into()
    })
}

impl Chat {
    /// Returns a chat with what `core` knows, whose changes go into `log` and to `streams`, and whose users' secrets are
    /// checked by `salt`.
    #[must_use]
    pub fn new(
        core: Core<Deferred>,
        log: Arc<dyn Log>,
        streams: Streams,
        digests: secret::DigestKey,
        salt: Salt,
    ) -> Self {
        let max_message_bytes = core.state().limits().message_bytes;
        let (journal, bell) = (Journal::new(log.is_shared()), Bell::default());
        Self { core: Mutex::new(core), journal, log, bell, streams, digests, salt, max_message_bytes }
    }

    /// Does `act` with what the caller shows for acting as `name`. The first time in a process the secret of a user from an
    /// earlier one is looked at closely, which takes its time.
    fn acting<R>(&self, caller: &Caller, name: &UserName, act: impl FnOnce(&mut Core<Deferred>, &Proof) -> R) -> R {
        let proof = Proof::new(caller.credentials.as_ref(), &self.digests);
        let mut core = self.core.lock();
        let Some(verifier) = core.unverified(name, &proof) else { return act(&mut core, &proof) };
        drop(core);
        let shown = caller.credentials.as_ref().map(|credentials| self.verifier(name, &credentials.secret));
        let mut core = self.core.lock();
        if shown.is_some_and(|shown| shown == verifier) {
            core.verified(name, &proof, &verifier);
        }
        act(&mut core, &proof)
    }

    fn verifier(&self, name: &UserName, secret: &str) -> secret::Verifier {
        self.salt.verifier(name.key().as_str(), secret)
    }

    /// Brings an entry into the log and the state.
    fn commit(&self, entry: Entry) -> Outcome {
        self.journal.commit(entry, |entries| self.work(entries))
    }

    /// Checks the entries of one turn, brings those that can be applied to the log, and has them applied.
    fn work(&self, entries: Vec<Entry>) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(entries.len());
        let mut good = Vec::with_capacity(entries.len());
        let core = self.core.lock();
        for mut entry in entries {
            match core.state().check(&entry) {
                Ok(true) => {
                    if !self.log.is_shared() {
                        settle(&mut entry, core.state(), &good);
                    }
                    good.push(entry);
                    outcomes.push(None);
                }
                checked => outcomes.push(Some(checked.map(drop))),
            }
        }
        drop(core);
        let mut applied = Vec::new();
        if !good.is_empty() {
            applied = self.log.commit(good, &|entries| self.apply(entries)).unwrap_or_default();
        }
        let mut applied = applied.into_iter();
        let mut next = || applied.next().unwrap_or(Err(Refusal::NotStored));
        outcomes.into_iter().map(|known| known.unwrap_or_else(&mut next)).collect()
    }

    /// Applies entries that are in the log: the one way in which the state changes.
    fn apply(&self, entries: Vec<Entry>) -> Vec<Outcome> {
        let (mut ended, mut wakes) = (Vec::new(), false);
        let mut core = self.core.lock();
        let mut apply = |entry| {
            let applied = core.apply(entry, Instant::now())?;
            ended.extend(applied.ended);
            wakes |= applied.wakes;
            publish(&self.streams, applied.events);
            Ok(())
        };
        let outcomes = entries.into_iter().map(&mut apply).collect();
        drop(core);
        reply(ended);
        if wakes {
            self.bell.ring();
        }
        outcomes
    }

    fn register_user(&self, caller: &Caller, username: UserName) -> Result<String, Fault> {
        let confirmation = format!("User {username} registered.");
        let registration =
            self.acting(caller, &username, |core, proof| core.register(&username, proof, caller.address, now()))?;
        if registration == SignIn::New {
            let secret = caller.credentials.as_ref().map(|shown| self.verifier(&username, &shown.secret));
            let entry =
                Entry::Register { person: PersonId(random_id()?), name: username.clone(), secret: secret.clone() };
            match self.commit(entry) {
                // Perhaps by this user, in a call at another server or just before.
                Err(Refusal::NameInUse) if secret.is_some() => {
                    let again = |core: &mut Core<Deferred>, proof: &Proof| {
                        core.register(&username, proof, caller.address, now())
                    };
                    self.acting(caller, &username, again)?;
                    return Ok(confirmation);
                }
                outcome => outcome?,
            }
            if let Some(verifier) = secret {
                let proof = Proof::new(caller.credentials.as_ref(), &self.digests);
                self.core.lock().verified(&username, &proof, &verifier);
            }
        }
        Ok(confirmation)
    }

    fn unregister_user(&self, caller: &Caller, username: UserName) -> Result<String, Fault> {
        self.commit(self.acting(caller, &username, |core, proof| core.unregister(&username, proof, now()))?)?;
        Ok(format!("User {username} unregistered."))
    }

    fn create_room(&self, caller: &Caller, room_name: RoomName) -> Result<String, Fault> {
        let confirmation = format!("Room {room_name} created.");
        let id = RoomId(random_id()?);
        let shown = caller.credentials.as_ref().and_then(|credentials| UserName::parse(&credentials.user).ok());
        let create =
            |core: &mut Core<Deferred>, proof: &Proof| core.create(id, room_name, proof, caller.address, now());
        let entry = match &shown {
            Some(name) => self.acting(caller, name, create),
            None => create(&mut self.core.lock(), &Proof::none()),
        };
        self.commit(entry?)?;
        Ok(confirmation)
    }

    fn join_room(&self, caller: &Caller, username: UserName, room_name: RoomName) -> Result<Written<true>, Fault> {
        self.commit(self.acting(caller, &username, |core, proof| core.join(&username, &room_name, proof, now()))?)?;
        let joined = self.acting(caller, &username, |core, proof| core.joined(&username, &room_name, proof, now()));
        let (users, page) = joined?;
        Ok(Written(wire::joined(&users, &page)))
    }

    fn leave_room(&self, caller: &Caller, username: UserName) -> Result<String, Fault> {
        let (room, entry) = self.acting(caller, &username, |core, proof| core.leave(&username, proof, now()))?;
        self.commit(entry)?;
        Ok(format!("User {username} left room {room}."))
    }

    fn send_message(
        &self,
        caller: &Caller,
        username: UserName,
        room_name: RoomName,
        message: Text,
        recipient: Recipient,
        key: MessageKey,
    ) -> Result<String, Fault> {
        if message.0.len() > self.max_message_bytes {
            return Err(Refusal::Limit { what: "bytes of one message", value: self.max_message_bytes }.into());
        }
        let recipient = recipient.0.as_ref();
        let call = SendCall { name: &username, room: &room_name, recipient, key: key.0, content: message.0 };
        if let Some(entry) = self.acting(caller, &username, |core, proof| core.send(call, proof, now()))? {
            self.commit(entry)?;
        }
        Ok("Message sent.".into())
    }

    fn receive_messages(
        &self,
        caller: &Caller,
        username: UserName,
        room_name: RoomName,
    ) -> Result<Written<false>, Fault> {
        let messages =
            self.acting(caller, &username, |core, proof| core.receive(&username, &room_name, proof, now()))?;
        Ok(written(&messages))
    }

    fn receive_new_messages(
        &self,
        caller: &Caller,
        username: UserName,
        room_name: RoomName,
        last_timestamp: String,
    ) -> Result<Written<false>, Fault> {
        let stamp = wire::parse_stamp(&last_timestamp)?;
        let receive =
            |core: &mut Core<Deferred>, proof: &Proof| core.receive_later(&username, &room_name, stamp, proof, now());
        Ok(written(&self.acting(caller, &username, receive)?))
    }

    fn wait_messages(
        &self,
        caller: &Caller,
        username: UserName,
        room_name: RoomName,
        after_id: i64,
        timeout_seconds: i64,
        deferred: Deferred,
    ) {
        let bad = |what| Fault::new(Fault::BAD_PARAMS, what);
        let Ok(after) = u64::try_from(after_id) else {
            return deferred.fault(&bad("after_id must be 0 or the last_id of an earlier reply"));
        };
        let time = u64::try_from(timeout_seconds).map(Duration::from_secs).ok().filter(|time| *time <= MAX_WAIT);
        let Some(time) = time else { return deferred.fault(&bad("timeout_seconds must be 0 to 60")) };
        #[cfg(feature = "share")]
        if let Err(refusal) = self.catch_up(&room_name, after) {
            return deferred.fault(&refusal.into());
        }
        let call = WaitCall { name: &username, room: &room_name, after, time, address: caller.address };
        #[allow(clippy::result_large_err, reason = "a refusal gives the right to reply back")]
        let wait = |core: &mut Core<Deferred>, proof: &Proof| core.wait(call, deferred, proof, now());
        let outcome = self.acting(caller, &username, wait);
        match outcome {
            Ok(deliveries) => {
                reply(deliveries);
                self.bell.ring_by(Instant::now() + time);
            }
            Err((refusal, deferred)) => deferred.fault(&refusal.into()),
        }
    }

    fn list_rooms(&self, _: &Caller) -> Result<Vec<String>, Fault> {
        Ok(self.core.lock().list_rooms())
    }

    fn list_users(&self, _: &Caller, room_name: RoomName) -> Result<Vec<String>, Fault> {
        let users = self.core.lock().list_users(&room_name)?;
        Ok(users.iter().map(ToString::to_string).collect())
    }

    /// Ends the wait on `connection`, where another request has arrived or the peer has said that it sends no more; if it is a
    /// stream, the reader may be gone.
    fn end_wait_on(&self, connection: ConnectionId) {
        let mut core = self.core.lock();
        let (ended, streams) = (core.end_wait_on(Some(connection)), core.readers.len());
        drop(core);
        reply(ended);
        if streams > 0 {
            self.streams.suspect(connection);
        }
    }

    /// Ends all waits, and lets nobody wait any more.
    fn end_all_waits(&self) {
        let ended = self.core.lock().end_all_waits();
        reply(ended);
    }

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

    /// Calls `mark` at a moment at which everything in the log is applied and nothing else, and returns the state of then.
    fn snapshot(&self, mark: &dyn Fn()) -> State {
        self.journal.between_turns(|| {
            mark();
            self.core.lock().state().clone()
        })
    }

    fn metrics(&self, out: &mut Metrics) {
        let counts = self.core.lock().counts();
        out.gauge("chat_users", "Registered users", counts.users as u64);
        out.gauge("chat_rooms", "Rooms", counts.rooms as u64);
        out.gauge("chat_waiting", "Calls that wait for messages", counts.waiting as u64);
        out.gauge("chat_streams", "Open streams of events", counts.streams as u64);
        out.counter("chat_messages_total", "Messages accepted", counts.messages);
        out.gauge("chat_history_bytes", "Bytes of the messages that are kept", counts.history_bytes as u64);
        self.log.metrics(out);
    }
}

/// Settles the number of a message that is about to be written, after those of the same turn before it.
fn settle(entry: &mut Entry, state: &State, before: &[Entry]) {
    if let Entry::Send(message) = entry {
        let is_same = |other: &&Entry| matches!(other, Entry::Send(Message { room, .. }) if *room == message.room);
        message.id = Some(state.next_id(message.room) + before.iter().filter(is_same).count() as u64);
    }
}
