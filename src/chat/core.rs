//! The chat as one structure: the durable [`State`], and beside it what ends with the process: waiting calls, rates, and
//! when somebody was last heard of. Without threads, sockets or a clock of its own.
//!
//! A change is made in two steps. A method such as [`Core::send`] checks who calls and what the state says, and returns the
//! [`Entry`]; when that has been appended to the log, [`Core::apply`] applies it.

mod calls;
#[cfg(feature = "share")]
mod elsewhere;
mod waiting;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use self::calls::{Applied, Counts, Now, SendCall, SignIn, WaitCall};

use super::Limits;
use super::entry::{Entry, Message, PersonId, RoomId};
use super::identity::Proof;
use super::name::{NameKey, RoomName, UserName};
use super::rate::{Bucket, Rates};
use super::refusal::Refusal;
use super::room::{JOIN_MESSAGES, Page, Person, Room};
use super::state::{State, User, WireForm};
use super::streams::{Readers, STREAM_GRACE};
use super::waits::{Ticket, Waits};
use crate::secret::{Digest, Verifier};
use crate::stamp::Time;

/// The volatile part of a user.
#[derive(Debug)]
struct Presence {
    last_call: Instant,
    /// When their last stream ended, if they have made no call since.
    stream_end: Option<Instant>,
    messages: Bucket,
    /// The digest of the secret, once a call has shown the right one.
    digest: Option<Digest>,
}

/// The durable state and what is volatile beside it.
#[derive(Debug)]
pub struct Core<T: Ticket> {
    state: State,
    waits: Waits<T>,
    pub(super) readers: Readers,
    presence: HashMap<PersonId, Presence>,
    /// When users were last heard of at other servers of the same chat.
    #[cfg(feature = "share")]
    elsewhere: HashMap<PersonId, Instant>,
    /// When somebody last had to do with a room.
    used: HashMap<RoomId, Instant>,
    registrations: Rates,
    creations: Rates,
    /// If set, users may register without credentials.
    open_allowed: bool,
}

impl<T: Ticket> Core<T> {
    /// Returns a chat with this state, which a log may have filled. If `open_allowed`, users may register without
    /// credentials.
    #[must_use]
    pub fn new(state: State, open_allowed: bool, now: Instant) -> Self {
        let limits = state.limits();
        let registrations = Rates::new("registrations a minute from one address", limits.registration_rate);
        let creations = Rates::new("new rooms a minute from one address", limits.room_rate);
        let presence = state.users().map(|(id, _)| (id, Presence::new(limits, now))).collect();
        let used = state.rooms().map(|room| (room.id, now)).collect();
        Self {
            waits: Waits::new(limits.waits_per_address),
            readers: Readers::new(limits.streams_per_address),
            presence,
            #[cfg(feature = "share")]
            elsewhere: HashMap::new(),
            used,
            registrations,
            creations,
            open_allowed,
            state,
        }
    }

    /// Returns a chat without anybody in it.
    #[must_use]
    pub fn empty(limits: Limits, form: WireForm, open_allowed: bool, now: Instant) -> Self {
        Self::new(State::new(limits, form), open_allowed, now)
    }

    /// Returns the durable state.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Returns the registered user of this name, if `proof` allows acting as them, and records activity.
    fn actor(&mut self, name: &NameKey, proof: &Proof, now: Now) -> Result<&User, Refusal> {
        let user = self.state.user_named(name)?;
        let presence = self.presence.get_mut(&user.person.id);
        if user.person.secret.is_some() {
            let known = presence.as_ref().and_then(|presence| presence.digest.as_ref());
            if known.is_none() || known != proof.for_name(name) {
                return Err(Refusal::NotAuthorised("acting as this user requires the credentials of the registration"));
            }
        }
        if let Some(presence) = presence {
            presence.last_call = now.monotonic;
            presence.stream_end = None;
        }
        Ok(user)
    }

    /// Returns what the secret that `proof` shows has still to be checked against: the first time in this process, where the
    /// user was registered in an earlier one. That takes its time, and is done without a lock; see [`Core::verified`].
    #[must_use]
    pub fn unverified(&self, name: &UserName, proof: &Proof) -> Option<Verifier> {
        let user = self.state.user_named(name.key()).ok()?;
        let verifier = user.person.secret.as_ref()?;
        proof.for_name(name.key())?;
        let is_known = self.presence.get(&user.person.id).is_some_and(|presence| presence.digest.is_some());
        (!is_known).then(|| verifier.clone())
    }

    /// The secret that `proof` shows for `name` is the one that `verifier` is of.
    pub fn verified(&mut self, name: &UserName, proof: &Proof, verifier: &Verifier) {
        // Meanwhile the name may have passed on.
        if let Ok(user) = self.state.user_named(name.key())
            && user.person.secret.as_ref() == Some(verifier)
            && let Some(presence) = self.presence.get_mut(&user.person.id)
        {
            presence.digest = proof.for_name(name.key()).cloned();
        }
    }

    /// Returns the room, if the user of this name may be acted for and is there.
    pub(super) fn member(
        &mut self,
        name: &UserName,
        room: &RoomName,
        proof: &Proof,
        now: Now,
    ) -> Result<(Arc<Person>, &Room), Refusal> {
        let user = self.actor(name.key(), proof, now)?;
        let (person, is_in) = (Arc::clone(&user.person), user.room);
        let room = self.state.room_named(room.key())?;
        if is_in != Some(room.id) {
            return Err(Refusal::NotInRoom);
        }
        self.used.insert(room.id, now.monotonic);
        Ok((person, room))
    }

    /// Registers a user, or resumes the session of one with the same secret.
    ///
    /// # Errors
    /// If the name is in use, there are too many users, or registrations come too fast from `address`.
    pub fn register(
        &mut self,
        name: &UserName,
        proof: &Proof,
        address: Option<IpAddr>,
        now: Now,
    ) -> Result<SignIn, Refusal> {
        let digest = proof.for_registration(name, self.open_allowed)?;
        if let Ok(user) = self.state.user_named(name.key()) {
            let presence = self.presence.get_mut(&user.person.id);
            let presence = presence.filter(|presence| user.person.secret.is_some() && presence.digest.is_some());
            let Some(presence) = presence.filter(|presence| presence.digest.as_ref() == digest) else {
                return Err(Refusal::NameInUse);
            };
            presence.last_call = now.monotonic;
            presence.stream_end = None;
            return Ok(SignIn::Resumed);
        }
        // Before the secret is worked on, which takes its time.
        self.state.check(&Entry::Register { person: PersonId(0), name: name.clone(), secret: None })?;
        self.registrations.take(address, now.monotonic)?;
        Ok(SignIn::New)
    }

    /// Returns the entry that unregisters a user, who leaves the room too.
    ///
    /// # Errors
    /// If there is no such user, or `proof` is not theirs.
    pub fn unregister(&mut self, name: &UserName, proof: &Proof, now: Now) -> Result<Entry, Refusal> {
        Ok(Entry::Unregister { person: self.actor(name.key(), proof, now)?.person.id })
    }

    /// Returns the entry that creates an empty room, with `id` if it has no kept history.
    ///
    /// # Errors
    /// If it exists, there are too many, rooms are created too fast from `address`, or users need credentials here and the
    /// caller has none of a registered user.
    pub fn create(
        &mut self,
        id: RoomId,
        name: RoomName,
        proof: &Proof,
        address: Option<IpAddr>,
        now: Now,
    ) -> Result<Entry, Refusal> {
        if !self.open_allowed {
            let unknown = Refusal::NotAuthorised("creating a room requires the credentials of a registered user");
            let user = proof.user().cloned().ok_or(unknown)?;
            self.actor(&user, proof, now)?;
        }
        let entry = Entry::Create { room: id, name };
        self.state.check(&entry)?;
        self.creations.take(address, now.monotonic)?;
        Ok(entry)
    }

    /// Returns the entry that joins a room and leaves the one before.
    ///
    /// # Errors
    /// If there is no such user or room, `proof` is not the user's, or the room is full.
    pub fn join(&mut self, name: &UserName, room: &RoomName, proof: &Proof, now: Now) -> Result<Entry, Refusal> {
        let person = self.actor(name.key(), proof, now)?.person.id;
        let entry = Entry::Join { person, room: self.state.room_named(room.key())?.id };
        self.state.check(&entry)?;
        Ok(entry)
    }

    /// Returns the users in the room, the newest messages, and the cursor to wait from.
    ///
    /// # Errors
    /// If the user is not there, or `proof` is not theirs.
    pub fn joined(
        &mut self,
        name: &UserName,
        room: &RoomName,
        proof: &Proof,
        now: Now,
    ) -> Result<(Vec<UserName>, Page), Refusal> {
        let (reader, room) = self.member(name, room, proof, now)?;
        let messages = room.newest(&reader, JOIN_MESSAGES);
        let users = room.members().map(|person| person.name.clone()).collect();
        Ok((users, Page { room: room.id, messages, last_id: room.last_id, missed: 0 }))
    }

    /// Returns the entry that leaves the room that the user is in, and the room's name.
    ///
    /// # Errors
    /// If there is no such user, `proof` is not theirs, or they are in no room.
    pub fn leave(&mut self, name: &UserName, proof: &Proof, now: Now) -> Result<(RoomName, Entry), Refusal> {
        let user = self.actor(name.key(), proof, now)?;
        let (person, room) = (user.person.id, user.room.ok_or(Refusal::NotInRoom)?);
        Ok((self.state.room(room)?.name.clone(), Entry::Leave { person }))
    }

    /// Returns the entry that sends a message; `None` for one with a key that the user has used lately, which has been sent.
    ///
    /// # Errors
    /// If there is no such user, room or recipient there, `proof` is not the user's, or they send too fast.
    pub fn send(&mut self, call: SendCall<'_>, proof: &Proof, now: Now) -> Result<Option<Entry>, Refusal> {
        let SendCall { name, room, recipient, key, content } = call;
        let user = self.actor(name.key(), proof, now)?;
        let origin = user.person.id;
        if key.as_ref().is_some_and(|key| State::has_used(user, key)) {
            return Ok(None);
        }
        let (_, room) = self.member(name, room, proof, now)?;
        let recipient = match recipient {
            Some(recipient) => Some(room.member(recipient.key()).ok_or(Refusal::NoSuchRecipient)?.id),
            None => None,
        };
        let message = Message { room: room.id, id: None, origin, recipient, key, time: now.time, content };
        let limits = self.state.limits();
        if let Some(presence) = self.presence.get_mut(&origin) {
            let (what, limit) = ("messages a second of one user", limits.message_rate);
            let taken = presence.messages.take(f64::from(limit), limits.message_burst, now.monotonic);
            taken.map_err(|retry_after| Refusal::TooFast { what, limit, retry_after })?;
        }
        Ok(Some(Entry::Send(message)))
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
            self.presence.insert(person, Presence::new(self.state.limits(), now));
        }
        if let Some((room, person)) = &effects.left {
            applied.ended = self.waits.end(&self.state, *room, person.id);
            self.used.insert(*room, now);
        }
        if let Some(person) = effects.unregistered {
            self.presence.remove(&person);
            #[cfg(feature = "share")]
            self.elsewhere.remove(&person);
        }
        if let Some(room) = effects.used.or(effects.joined.as_ref().map(|(room, _)| *room)) {
            self.used.insert(room, now);
        }
        if let Some(room) = effects.removed {
            self.used.remove(&room);
            self.waits.forget_room(room);
        }
        if let Some(room) = effects.said {
            applied.wakes = self.waits.said(room);
        }
        Ok(applied)
    }

    /// The last stream of a user has ended: they were there until now.
    pub(super) fn note_stream_end(&mut self, person: PersonId, now: Instant) {
        if let Some(presence) = self.presence.get_mut(&person) {
            presence.last_call = now;
            presence.stream_end = Some(now);
        }
    }

    /// Returns all kept messages that the user may see.
    ///
    /// # Errors
    /// If the user is not there, or `proof` is not theirs.
    pub fn receive(
        &mut self,
        name: &UserName,
        room: &RoomName,
        proof: &Proof,
        now: Now,
    ) -> Result<Vec<Arc<str>>, Refusal> {
        let (reader, room) = self.member(name, room, proof, now)?;
        Ok(room.newest(&reader, usize::MAX))
    }

    /// Returns the kept messages that the user may see and whose timestamp is later than `stamp`, in milliseconds of local
    /// time.
    ///
    /// # Errors
    /// If the user is not there, or `proof` is not theirs.
    pub fn receive_later(
        &mut self,
        name: &UserName,
        room: &RoomName,
        stamp: i64,
        proof: &Proof,
        now: Now,
    ) -> Result<Vec<Arc<str>>, Refusal> {
        let (reader, room) = self.member(name, room, proof, now)?;
        Ok(room.later_than(&reader, stamp))
    }

    /// Returns the entries that remove empty rooms and users that have been idle for too long, and forget histories whose time
    /// is over.
    pub fn sweep(&mut self, now: Now) -> Vec<Entry> {
        let limits = self.state.limits();
        let users = self.state.users().filter(|(id, user)| {
            let last_call = self.presence.get(id).map(|presence| presence.last_call);
            !self.waits_or_reads(*id, user) && self.is_silent(*id, last_call, limits.user_idle, now.monotonic)
        });
        let users = users.map(|(person, _)| Entry::Unregister { person });
        let empty = self.state.rooms().filter(|room| room.members().len() == 0);
        let rooms = empty.filter(|room| is_past(self.used.get(&room.id).copied(), limits.room_idle, now.monotonic));
        let keep = i64::try_from(limits.keep_history.as_millis()).unwrap_or(i64::MAX);
        let keep_until = (keep > 0).then(|| Time { utc: now.time.utc.saturating_add(keep), ..now.time });
        let rooms = rooms.map(|room| Entry::Remove { room: room.id, keep_until });
        let over = self.state.removed_rooms().filter(|(_, until)| until.utc <= now.time.utc);
        users.chain(rooms).chain(over.map(|(room, _)| Entry::Forget { room })).collect()
    }

    /// Returns the entries that remove users whose last stream has ended in this process, and who have not called since.
    pub fn sweep_gone(&mut self, now: Instant) -> Vec<Entry> {
        self.registrations.forget_full(now);
        self.creations.forget_full(now);
        let gone = self.state.users().filter(|(id, user)| {
            let stream_end = self.presence.get(id).and_then(|presence| presence.stream_end);
            stream_end.is_some()
                && !self.waits_or_reads(*id, user)
                && self.is_silent(*id, stream_end, STREAM_GRACE, now)
        });
        gone.map(|(person, _)| Entry::Unregister { person }).collect()
    }

    /// Returns whether a call of this user waits, or a stream of theirs is open.
    fn waits_or_reads(&self, person: PersonId, user: &User) -> bool {
        self.readers.has(person) || user.room.is_some_and(|room| self.waits.has(room, person))
    }

    /// Returns whether nothing was heard of a user for `time`: since `here` in this process, and at no other server.
    fn is_silent(&self, person: PersonId, here: Option<Instant>, time: Duration, now: Instant) -> bool {
        // Only a shared chat has others.
        let _ = person;
        #[cfg(feature = "share")]
        if !is_past(self.elsewhere.get(&person).copied(), time, now) {
            return false;
        }
        is_past(here, time, now)
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

    /// Returns how many of everything there are.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            users: self.state.users().len(),
            rooms: self.state.listed_rooms(),
            waiting: self.waits.len(),
            streams: self.readers.len(),
            messages: self.state.messages(),
            history_bytes: self.state.history_bytes(),
        }
    }
}

/// Returns whether `time` has passed since then; zero is a time that never passes.
fn is_past(since: Option<Instant>, time: Duration, now: Instant) -> bool {
    !time.is_zero() && since.is_none_or(|since| now.saturating_duration_since(since) >= time)
}

impl Presence {
    fn new(limits: &Limits, now: Instant) -> Self {
        Self { last_call: now, stream_end: None, messages: Bucket::full(limits.message_burst, now), digest: None }
    }
}
