//! The chat as one structure: the durable [`State`], and beside it what ends with the process: waiting calls, rates, and
//! when somebody was last heard of. Without threads, sockets or a clock of its own.
//!
//! A change is made in two steps. A method such as [`Core::send`] checks who calls and what the state says, and returns the
//! [`Entry`]; when that has been appended to the log, [`Core::apply`] applies it.

#[cfg(feature = "share")]
mod elsewhere;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::entry::{Entry, IdempotencyKey, MessageEntry, PersonId, RoomId};
use super::identity::Proof;
use super::name::{RoomName, UserName};
use super::rate::Rates;
use super::refusal::Refusal;
use super::room::{JOIN_MESSAGES, Page, Person, Room};
use super::state::{State, User};
use super::streams::{Readers, RoomEvent, STREAM_GRACE};
use super::waits::{Delivery, Ticket, Waits};
use crate::rpc::Metrics;
use crate::secret::{Digest, Verifier};
use crate::stamp::Time;

/// The time of a call, on both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// For durations.
    pub monotonic: Instant,
    /// For timestamps.
    pub time: Time,
}

/// The circumstances of a call, whatever it asks for.
#[derive(Debug, Clone, Copy)]
pub struct CallContext<'a> {
    /// The user that it acts as; `None` for a room's creator who shows no credentials.
    pub user: Option<&'a UserName>,
    /// The credentials that it shows.
    pub proof: &'a Proof,
    /// The address that it comes from; limits for each address do not apply to a call without one.
    pub address: Option<IpAddr>,
    /// The time at which it came.
    pub now: Now,
}

/// The outcome of the first step of a registration.
#[derive(Debug, PartialEq, Eq)]
pub enum SignIn {
    /// The session of an earlier registration goes on.
    Resumed,
    /// The name is free.
    New,
}

/// The consequences of an entry that was applied.
#[derive(Debug)]
pub struct Applied<T> {
    /// The wait of a user who has left the room.
    pub ended: Option<Delivery<T>>,
    /// Whether [`Core::due`] has something to deliver.
    pub wakes: bool,
    /// The events for open streams, in the order in which they are to be sent.
    pub events: Vec<RoomEvent>,
}

/// The volatile part of a user.
#[derive(Debug)]
pub(super) struct Presence {
    /// The last call, or the end of the last wait or stream, in this process.
    pub(super) last_call: Instant,
    /// If set, that was the end of their last stream.
    has_gone: bool,
    /// The last sign of life at another server of the same chat.
    elsewhere: Option<Instant>,
    /// The digest of the secret, once a call has shown the right one.
    digest: Option<Digest>,
}

/// The durable state and what is volatile beside it.
#[derive(Debug)]
pub struct Core<T: Ticket> {
    pub(super) state: State,
    pub(super) waits: Waits<T>,
    pub(super) readers: Readers,
    pub(super) presence: HashMap<PersonId, Presence>,
    /// The last time at which somebody had to do with a room.
    used: HashMap<RoomId, Instant>,
    registrations: Rates<IpAddr>,
    creations: Rates<IpAddr>,
    messages: Rates<PersonId>,
}

impl<T: Ticket> Core<T> {
    /// Returns a chat with this state, which a log may have filled.
    #[must_use]
    pub fn new(state: State, now: Instant) -> Self {
        let limits = &state.limits;
        Self {
            waits: Waits::new(limits.waits_per_address),
            readers: Readers::new(limits.streams_per_address),
            presence: state.users().map(|(id, _)| (id, Presence::new(now))).collect(),
            used: state.rooms().map(|room| (room.id, now)).collect(),
            registrations: Rates::a_minute("registrations a minute from one address", limits.registration_rate),
            creations: Rates::a_minute("new rooms a minute from one address", limits.room_rate),
            messages: Rates::a_second("messages a second of one user", limits.message_rate, limits.message_burst),
            state,
        }
    }

    /// Returns the durable state.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Returns the user, if they are registered and the call may act as them, and records activity.
    fn actor(&mut self, by: CallContext<'_>) -> Result<&User, Refusal> {
        let name = by.user.ok_or(Refusal::NoSuchUser)?.key();
        let user = self.state.user_named(name)?;
        let presence = self.presence.get_mut(&user.person.id);
        if user.person.secret.is_some() {
            let known = presence.as_ref().and_then(|presence| presence.digest.as_ref());
            if known.is_none() || known != by.proof.for_name(name) {
                return Err(Refusal::NotAuthorised("acting as this user requires the credentials of the registration"));
            }
        }
        if let Some(presence) = presence {
            presence.called(by.now.monotonic);
        }
        Ok(user)
    }

    /// Returns the verifier against which the secret of `proof` has still to be checked: at the first call for a user who was
    /// registered in an earlier process. The check takes its time, and is made without a lock; see [`Core::verified`].
    #[must_use]
    pub fn unverified(&self, name: &UserName, proof: &Proof) -> Option<Verifier> {
        proof.for_name(name.key())?;
        let user = self.state.user_named(name.key()).ok()?;
        let verifier = user.person.secret.as_ref()?;
        let is_known = self.presence.get(&user.person.id).is_some_and(|presence| presence.digest.is_some());
        (!is_known).then(|| verifier.clone())
    }

    /// Notes that the secret that `proof` shows for `name` has passed the check against `verifier`.
    pub fn verified(&mut self, name: &UserName, proof: &Proof, verifier: &Verifier) {
        // Meanwhile the name may have passed on.
        if let Ok(user) = self.state.user_named(name.key())
            && user.person.secret.as_ref() == Some(verifier)
            && let Some(presence) = self.presence.get_mut(&user.person.id)
        {
            presence.digest = proof.for_name(name.key()).cloned();
        }
    }

    /// Returns the user and the room, if the call may act as the user and they are there.
    pub(super) fn member(&mut self, room: &RoomName, by: CallContext<'_>) -> Result<(Arc<Person>, &Room), Refusal> {
        let user = self.actor(by)?;
        let (person, is_in) = (Arc::clone(&user.person), user.room);
        let room = self.state.room_named(room.key())?;
        if is_in != Some(room.id) {
            return Err(Refusal::NotInRoom);
        }
        self.used.insert(room.id, by.now.monotonic);
        Ok((person, room))
    }

    /// Begins a registration, or resumes the session of a user with the same secret.
    ///
    /// # Errors
    /// If the name is in use, there are too many users, or registrations come too fast from the address.
    pub fn register(&mut self, by: CallContext<'_>) -> Result<SignIn, Refusal> {
        let name = by.user.ok_or(Refusal::NoSuchUser)?;
        let digest = by.proof.for_registration(name, self.state.limits.require_auth)?;
        if let Ok(user) = self.state.user_named(name.key()) {
            let presence = self.presence.get_mut(&user.person.id);
            let presence = presence.filter(|presence| user.person.secret.is_some() && presence.digest.is_some());
            let Some(presence) = presence.filter(|presence| presence.digest.as_ref() == digest) else {
                return Err(Refusal::NameInUse);
            };
            presence.called(by.now.monotonic);
            return Ok(SignIn::Resumed);
        }
        // Before the secret is worked on, which takes its time.
        self.state.check(&Entry::Register { person: PersonId(0), name: name.clone(), secret: None })?;
        self.registrations.take(by.address, by.now.monotonic)?;
        Ok(SignIn::New)
    }

    /// Returns the entry that unregisters a user, who leaves the room too.
    ///
    /// # Errors
    /// If there is no such user, or the call may not act as them.
    pub fn unregister(&mut self, by: CallContext<'_>) -> Result<Entry, Refusal> {
        Ok(Entry::Unregister(self.actor(by)?.person.id))
    }

    /// Returns the entry that creates an empty room, with `id` if it has no kept history.
    ///
    /// # Errors
    /// If it exists, there are too many, rooms are created too fast from the address, or users need credentials here and the
    /// call has none of a registered user.
    pub fn create(&mut self, id: RoomId, name: RoomName, by: CallContext<'_>) -> Result<Entry, Refusal> {
        if self.state.limits.require_auth {
            let unknown = Refusal::NotAuthorised("creating a room requires the credentials of a registered user");
            by.user.ok_or(unknown)?;
            self.actor(by)?;
        }
        let entry = Entry::Create(id, name);
        self.state.check(&entry)?;
        self.creations.take(by.address, by.now.monotonic)?;
        Ok(entry)
    }

    /// Returns the entry that joins a room and leaves the one before.
    ///
    /// # Errors
    /// If there is no such user or room, or the call may not act as the user.
    pub fn join(&mut self, room: &RoomName, by: CallContext<'_>) -> Result<Entry, Refusal> {
        let person = self.actor(by)?.person.id;
        Ok(Entry::Join(person, self.state.room_named(room.key())?.id))
    }

    /// Returns the users in the room, the newest messages, and the cursor to wait from.
    ///
    /// # Errors
    /// If the user is not there, or the call may not act as them.
    pub fn joined(&mut self, room: &RoomName, by: CallContext<'_>) -> Result<(Vec<UserName>, Page), Refusal> {
        let (reader, room) = self.member(room, by)?;
        let messages = room.newest(&reader, JOIN_MESSAGES);
        let users = room.members().map(|person| person.name.clone()).collect();
        Ok((users, Page { room: room.id, messages, last_id: room.last_id, missed: 0 }))
    }

    /// Returns the entry that leaves the room that the user is in, and the room's name.
    ///
    /// # Errors
    /// If there is no such user, the call may not act as them, or they are in no room.
    pub fn leave(&mut self, by: CallContext<'_>) -> Result<(RoomName, Entry), Refusal> {
        let user = self.actor(by)?;
        let (person, room) = (user.person.id, user.room.ok_or(Refusal::NotInRoom)?);
        Ok((self.state.room(room)?.name.clone(), Entry::Leave(person)))
    }

    /// Returns the entry that sends a message; `None` for one with a key that the user has used lately, which has been sent.
    ///
    /// # Errors
    /// If the message is too long, there is no such user, room or recipient there, the call may not act as the user, or they
    /// send too fast.
    pub fn send(
        &mut self,
        room: &RoomName,
        recipient: Option<&UserName>,
        key: Option<IdempotencyKey>,
        content: String,
        by: CallContext<'_>,
    ) -> Result<Option<Entry>, Refusal> {
        let most = self.state.limits.message_bytes;
        if content.len() > most {
            return Err(Refusal::Limit { what: "bytes of one message", value: most });
        }
        let user = self.actor(by)?;
        if key.as_ref().is_some_and(|key| user.has_used(key)) {
            return Ok(None);
        }
        let (origin, room) = self.member(room, by)?;
        let recipient = match recipient {
            Some(recipient) => Some(room.member(recipient.key()).ok_or(Refusal::NoSuchRecipient)?.id),
            None => None,
        };
        let (room, origin, time) = (room.id, origin.id, by.now.time);
        self.messages.take(Some(origin), by.now.monotonic)?;
        Ok(Some(Entry::Send(MessageEntry { room, id: None, origin, recipient, key, time, content })))
    }

    /// Applies an entry that the log has. Returns the waits that end with it, and whether there is something to deliver.
    ///
    /// # Errors
    /// If the state refuses it. Then nothing has changed.
    pub fn apply(&mut self, entry: Entry, now: Instant) -> Result<Applied<T>, Refusal> {
        let effects = self.state.apply(entry)?;
        let events = self.readers.events(&self.state, &effects);
        let mut applied = Applied { ended: None, wakes: false, events };
        if let Some(person) = effects.registered {
            self.presence.insert(person, Presence::new(now));
        }
        if let Some((room, person)) = &effects.left {
            applied.ended = self.waits.end(&self.state, *room, person.id);
            self.used.insert(*room, now);
        }
        if let Some(person) = effects.unregistered {
            self.presence.remove(&person);
        }
        if let Some(room) = effects.used.or(effects.joined.as_ref().map(|(room, _)| *room)) {
            self.used.insert(room, now);
        }
        if let Some(room) = effects.removed {
            self.used.remove(&room);
            self.waits.forget_room(room);
        }
        if let Some((room, _)) = effects.said {
            applied.wakes = self.waits.said(room);
        }
        Ok(applied)
    }

    /// Notes that the last stream of a user has ended: they were there until now.
    pub(super) fn note_stream_end(&mut self, person: PersonId, now: Instant) {
        if let Some(presence) = self.presence.get_mut(&person) {
            presence.called(now);
            presence.has_gone = true;
        }
    }

    /// Returns the kept messages that the user may see and whose timestamp is later than `stamp`, in milliseconds of local
    /// time; all that are kept, if it is the least number.
    ///
    /// # Errors
    /// If the user is not there, or the call may not act as them.
    pub fn receive(&mut self, room: &RoomName, stamp: i64, by: CallContext<'_>) -> Result<Vec<Arc<str>>, Refusal> {
        let (reader, room) = self.member(room, by)?;
        Ok(room.later_than(&reader, stamp))
    }

    /// Returns the entries that remove empty rooms and users that have been idle for too long, and forget histories whose time
    /// is over.
    pub fn sweep(&mut self, now: Now) -> Vec<Entry> {
        let limits = &self.state.limits;
        let users = self.silent(limits.user_idle, now.monotonic).map(|(person, _)| Entry::Unregister(person));
        let empty = self.state.rooms().filter(|room| room.members().len() == 0);
        let rooms = empty.filter(|room| is_past(self.used.get(&room.id).copied(), limits.room_idle, now.monotonic));
        let keep = i64::try_from(limits.keep_history.as_millis()).unwrap_or(i64::MAX);
        let keep_until = (keep > 0).then(|| Time { utc: now.time.utc.saturating_add(keep), ..now.time });
        let rooms = rooms.map(|room| Entry::Remove { room: room.id, keep_until });
        let over = self.state.removed_rooms().filter(|(_, until)| until.utc <= now.time.utc);
        users.chain(rooms).chain(over.map(|(room, _)| Entry::Forget(room))).collect()
    }

    /// Returns the entries that remove users whose last stream has ended in this process, and who have not called since.
    pub fn sweep_gone(&mut self, now: Instant) -> Vec<Entry> {
        self.registrations.forget_full(now);
        self.creations.forget_full(now);
        self.messages.forget_full(now);
        let gone = self.silent(STREAM_GRACE, now).filter(|(_, presence)| presence.has_gone);
        gone.map(|(person, _)| Entry::Unregister(person)).collect()
    }

    /// Returns the users of whom nothing was heard for `time`, neither in this process nor at another server.
    fn silent(&self, time: Duration, now: Instant) -> impl Iterator<Item = (PersonId, &Presence)> {
        self.state.users().filter_map(move |(id, user)| {
            let presence = self.presence.get(&id)?;
            let is_silent = is_past(Some(presence.last_call), time, now) && is_past(presence.elsewhere, time, now);
            (is_silent && !self.waits_or_reads(id, user)).then_some((id, presence))
        })
    }

    /// Returns whether a call of this user waits, or a stream of theirs is open.
    fn waits_or_reads(&self, person: PersonId, user: &User) -> bool {
        self.readers.has(person) || user.room.is_some_and(|room| self.waits.has(room, person))
    }

    /// Returns the names of all rooms on the list, sorted.
    #[must_use]
    pub fn list_rooms(&self) -> Vec<String> {
        let mut names: Vec<_> = self.state.rooms().map(|room| room.name.to_string()).collect();
        names.sort();
        names
    }

    /// Returns the users in a room.
    ///
    /// # Errors
    /// If there is no such room.
    pub fn list_users(&self, room: &RoomName) -> Result<Vec<UserName>, Refusal> {
        Ok(self.state.room_named(room.key())?.members().map(|person| person.name.clone()).collect())
    }

    /// Adds the numbers of everything there is.
    pub fn metrics(&self, out: &mut Metrics) {
        out.gauge("chat_users", "Registered users", self.state.users().len() as u64);
        out.gauge("chat_rooms", "Rooms", self.state.listed_rooms() as u64);
        out.gauge("chat_waiting", "Calls that wait for messages", self.waits.len() as u64);
        out.gauge("chat_streams", "Open streams of events", self.readers.len() as u64);
        out.counter("chat_messages_total", "Messages accepted", self.state.messages);
        out.gauge("chat_history_bytes", "Bytes of the messages that are kept", self.state.history_bytes as u64);
    }
}

/// Returns whether `time` has passed since then; zero is a time that never passes.
fn is_past(since: Option<Instant>, time: Duration, now: Instant) -> bool {
    !time.is_zero() && since.is_none_or(|since| now.saturating_duration_since(since) >= time)
}

impl Presence {
    fn new(now: Instant) -> Self {
        Self { last_call: now, has_gone: false, elsewhere: None, digest: None }
    }

    /// Notes that the user has called.
    fn called(&mut self, now: Instant) {
        (self.last_call, self.has_gone) = (now, false);
    }
}
