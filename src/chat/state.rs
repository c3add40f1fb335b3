//! Everything that the chat knows: pure state, without XML, HTTP, threads or a clock of its own.
//!
//! Who waits for messages leaves a ticket, a `T`; [`State::due`] hands tickets back with what they are to be answered.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::NaiveDateTime;

use super::Limits;
use super::identity::Proof;
use super::name::{NameKey, RoomName, UserName};
use super::rate::Bucket;
use super::refusal::Refusal;
use super::room::{JOIN_MESSAGES, Message, News, Person, Room, Waiter};

/// Messages that follow a delivery within this time go out together at its end; one that comes alone goes at once.
pub const DELIVERY_GAP: Duration = Duration::from_millis(15);
/// The longest wait.
pub const MAX_WAIT: Duration = Duration::from_secs(60);

/// The time of a call, on both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// For durations.
    pub monotonic: Instant,
    /// For time stamps: local time.
    pub wall: NaiveDateTime,
}

/// What a waiting call leaves behind in order to be answered later.
pub trait Ticket {
    /// What tells the connections apart that calls come on.
    type Connection: Copy + Eq + Hash;

    /// The connection that the call came on.
    fn connection(&self) -> Self::Connection;

    /// Whether another request waits on that connection for this one's answer.
    fn is_waited_for(&self) -> bool;
}

/// The same answer for several tickets.
#[derive(Debug)]
pub struct Batch<T> {
    /// The answer.
    pub news: News,
    /// Who gets it.
    pub tickets: Vec<T>,
}

/// How many of everything there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Registered users.
    pub users: usize,
    /// Rooms.
    pub rooms: usize,
    /// Calls that wait for messages.
    pub waiting: usize,
    /// Messages sent since the start.
    pub messages: u64,
    /// Bytes of the messages that are kept.
    pub history_bytes: usize,
}

/// What a message is, before it is written for the wire.
#[derive(Debug)]
pub struct Draft<'a> {
    /// Its number in the room.
    pub id: u64,
    /// Who sent it.
    pub origin: &'a UserName,
    /// For whom alone it is; `None` for the whole room.
    pub recipient: Option<&'a UserName>,
    /// Its time, with milliseconds.
    pub stamp: NaiveDateTime,
}

/// A message whose sender has no answer yet. Who waits gets it only when [`State::answered`] takes this back: if the process
/// is killed before, nobody has seen what the sender sends again.
#[must_use]
#[derive(Debug)]
pub struct Unanswered {
    room: NameKey,
    id: u64,
}

#[derive(Debug)]
struct User {
    person: Arc<Person>,
    room: Option<NameKey>,
    last_call: Instant,
    bucket: Bucket,
}

/// Users, rooms, messages and who waits. A user waits in the room that they are in, and at most once.
#[derive(Debug)]
pub struct State<T: Ticket> {
    limits: Limits,
    users: HashMap<NameKey, User>,
    rooms: HashMap<NameKey, Room<T>>,
    /// When waits end: the time with a serial number, and the room and user that it is of.
    deadlines: BTreeMap<(Instant, u64), (NameKey, NameKey)>,
    by_connection: HashMap<T::Connection, (NameKey, NameKey)>,
    waits_by_address: HashMap<IpAddr, usize>,
    registrations: HashMap<IpAddr, Bucket>,
    /// Rooms with something to deliver.
    due_rooms: Vec<NameKey>,
    history_bytes: usize,
    next_serial: u64,
    messages: u64,
    /// Set when the server ends: nobody waits any more.
    is_ending: bool,
}

impl<T: Ticket> State<T> {
    /// Nobody there yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            users: HashMap::new(),
            rooms: HashMap::new(),
            deadlines: BTreeMap::new(),
            by_connection: HashMap::new(),
            waits_by_address: HashMap::new(),
            registrations: HashMap::new(),
            due_rooms: Vec::new(),
            history_bytes: 0,
            next_serial: 0,
            messages: 0,
            is_ending: false,
        }
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    fn serial(&mut self) -> u64 {
        self.next_serial += 1;
        self.next_serial
    }

    /// The registered user of this name, if `proof` allows to act as them. Counts as a call by them.
    fn actor(&mut self, name: &UserName, proof: &Proof, now: Now) -> Result<&mut User, Refusal> {
        let user = self.users.get_mut(name.key()).ok_or(Refusal::NoSuchUser)?;
        proof.check(user.person.secret.as_ref(), name)?;
        user.last_call = now.monotonic;
        Ok(user)
    }

    fn room(&mut self, name: &RoomName, now: Now) -> Result<&mut Room<T>, Refusal> {
        let room = self.rooms.get_mut(name.key()).ok_or(Refusal::NoSuchRoom)?;
        room.last_interaction = now.monotonic;
        Ok(room)
    }

    /// The room, if the user of this name may be acted for and is there.
    fn member(&mut self, name: &UserName, room: &RoomName, proof: &Proof, now: Now) -> Result<&mut Room<T>, Refusal> {
        self.actor(name, proof, now)?;
        let room = self.room(room, now)?;
        if room.member(name.key()).is_some() { Ok(room) } else { Err(Refusal::NotInRoom) }
    }

    /// Registers a user, or resumes the session of one with the same secret.
    ///
    /// # Errors
    /// The name is in use, there are too many users, or registrations come too fast from `address`.
    pub fn register_user(
        &mut self,
        name: UserName,
        proof: &Proof,
        address: Option<IpAddr>,
        now: Now,
    ) -> Result<(), Refusal> {
        let secret = proof.for_registration(&name)?;
        if let Some(user) = self.users.get_mut(name.key()) {
            if user.person.secret.is_none() || user.person.secret != secret {
                return Err(Refusal::NameInUse);
            }
            user.last_call = now.monotonic;
            return Ok(());
        }
        if self.users.len() >= self.limits.users {
            return Err(Refusal::Limit { what: "registered users", value: self.limits.users });
        }
        if let Some(address) = address {
            let limit = self.limits.registration_rate;
            let bucket = self.registrations.entry(address).or_insert_with(|| Bucket::full(limit, now.monotonic));
            let what = "registrations a minute from one address";
            bucket.take(f64::from(limit) / 60.0, limit, now.monotonic).map_err(|retry_after| Refusal::TooFast {
                what,
                limit,
                retry_after,
            })?;
        }
        let bucket = Bucket::full(self.limits.message_burst, now.monotonic);
        let (key, person) = (name.key().clone(), Arc::new(Person { name, secret }));
        self.users.insert(key, User { person, room: None, last_call: now.monotonic, bucket });
        Ok(())
    }

    /// Unregisters a user, who leaves the room too. Answers the ticket of their wait.
    ///
    /// # Errors
    /// There is no such user, or `proof` is not theirs.
    pub fn unregister_user(&mut self, name: &UserName, proof: &Proof, now: Now) -> Result<Option<Batch<T>>, Refusal> {
        self.actor(name, proof, now)?;
        let ended = self.leave(name.key(), now.monotonic);
        self.users.remove(name.key());
        Ok(ended)
    }

    /// Takes a user out of their room, if they are in one.
    fn leave(&mut self, user: &NameKey, now: Instant) -> Option<Batch<T>> {
        let room_key = self.users.get_mut(user)?.room.take()?;
        let ended = self.end_wait(&room_key, user, now);
        let room = self.rooms.get_mut(&room_key)?;
        room.leave(user);
        room.last_interaction = now;
        ended
    }

    /// Creates an empty room.
    ///
    /// # Errors
    /// It exists, or there are too many.
    pub fn create_room(&mut self, name: RoomName, now: Now) -> Result<(), Refusal> {
        if self.rooms.contains_key(name.key()) {
            return Err(Refusal::RoomExists);
        }
        if self.rooms.len() >= self.limits.rooms {
            return Err(Refusal::Limit { what: "rooms", value: self.limits.rooms });
        }
        self.rooms.insert(name.key().clone(), Room::new(name, now.monotonic));
        Ok(())
    }

    /// Joins a room and leaves the one before. Answers who is there, the newest messages and the cursor to wait from, and
    /// the ticket of a wait in the room before.
    ///
    /// # Errors
    /// There is no such user or room, `proof` is not the user's, or the room is full.
    #[allow(clippy::type_complexity, reason = "two unrelated answers")]
    pub fn join_room(
        &mut self,
        name: &UserName,
        room_name: &RoomName,
        proof: &Proof,
        now: Now,
    ) -> Result<(Vec<UserName>, News, Option<Batch<T>>), Refusal> {
        let before = self.actor(name, proof, now)?.room.clone();
        let full = self.limits.room_users;
        let room = self.room(room_name, now)?;
        let is_there = room.member(name.key()).is_some();
        if !is_there && room.members().len() >= full {
            return Err(Refusal::Limit { what: "users in one room", value: full });
        }
        let left = if before.is_some() && !is_there { self.leave(name.key(), now.monotonic) } else { None };
        let user = self.users.get_mut(name.key()).ok_or(Refusal::NoSuchUser)?;
        user.room = Some(room_name.key().clone());
        let person = Arc::clone(&user.person);
        let room = self.room(room_name, now)?;
        room.enter(name.key(), person);
        let messages = room.newest(name.key(), JOIN_MESSAGES);
        let news = News { messages, last_id: room.last_id(), missed: 0 };
        Ok((room.members().cloned().collect(), news, left))
    }

    /// Leaves the room that the user is in. Answers its name and the ticket of their wait.
    ///
    /// # Errors
    /// There is no such user, `proof` is not theirs, or they are in no room.
    pub fn leave_room(
        &mut self,
        name: &UserName,
        proof: &Proof,
        now: Now,
    ) -> Result<(RoomName, Option<Batch<T>>), Refusal> {
        let room_key = self.actor(name, proof, now)?.room.clone().ok_or(Refusal::NotInRoom)?;
        let room_name = self.rooms.get(&room_key).map(|room| room.name.clone()).ok_or(Refusal::NoSuchRoom)?;
        Ok((room_name, self.leave(name.key(), now.monotonic)))
    }

    /// Sends a message; `write` turns it into what goes over the wire. Who waits for it gets it after
    /// [`State::answered`].
    ///
    /// # Errors
    /// There is no such user, room or recipient there, `proof` is not the user's, or they send too fast.
    pub fn send_message(
        &mut self,
        name: &UserName,
        room_name: &RoomName,
        recipient: Option<&UserName>,
        proof: &Proof,
        now: Now,
        write: impl FnOnce(Draft<'_>) -> Arc<str>,
    ) -> Result<Unanswered, Refusal> {
        self.member(name, room_name, proof, now)?;
        let serial = self.serial();
        // Both are there: `member` has just seen them.
        let (Some(room), Some(user)) = (self.rooms.get_mut(room_name.key()), self.users.get_mut(name.key())) else {
            return Err(Refusal::NotInRoom);
        };
        let recipient = match recipient {
            Some(recipient) => Some(room.member(recipient.key()).ok_or(Refusal::NoSuchRecipient)?.clone()),
            None => None,
        };
        let (what, limit) = ("messages a second of one user", self.limits.message_rate);
        user.bucket
            .take(f64::from(limit), self.limits.message_burst, now.monotonic)
            .map_err(|retry_after| Refusal::TooFast { what, limit, retry_after })?;
        let (id, stamp) = room.next(now.wall);
        let shown = recipient.as_ref().map(|person: &Arc<Person>| &person.name);
        let wire = write(Draft { id, origin: &user.person.name, recipient: shown, stamp });
        let message = Message { stamp, origin: Arc::clone(&user.person), recipient, wire, serial };
        let before = room.bytes();
        room.keep(message, &self.limits);
        self.history_bytes = self.history_bytes + room.bytes() - before;
        self.messages += 1;
        if self.history_bytes > self.limits.memory {
            self.free_memory();
        }
        Ok(Unanswered { room: room_name.key().clone(), id })
    }

    /// The sender of a message has their answer, or will never have one. Answers whether somebody may wait for it.
    pub fn answered(&mut self, message: Unanswered) -> bool {
        let Some(room) = self.rooms.get_mut(&message.room) else { return false };
        room.answered(message.id);
        let wakes = !room.waiting.is_empty();
        if wakes && !room.is_due {
            room.is_due = true;
            self.due_rooms.push(message.room);
        }
        wakes
    }

    /// Drops the oldest messages over all rooms, and some more, so that not every message has to look for them again.
    fn free_memory(&mut self) {
        let enough = self.limits.memory - self.limits.memory / 16;
        let oldest = self.rooms.iter().filter_map(|(key, room)| Some(Reverse((room.oldest_serial()?, key.clone()))));
        let mut oldest: BinaryHeap<_> = oldest.collect();
        while self.history_bytes > enough {
            let Some(Reverse((_, key))) = oldest.pop() else { return };
            let Some(room) = self.rooms.get_mut(&key) else { continue };
            self.history_bytes -= room.drop_oldest(&self.limits);
            oldest.extend(room.oldest_serial().map(|serial| Reverse((serial, key))));
        }
    }

    /// All kept messages that the user may see.
    ///
    /// # Errors
    /// The user is not there, or `proof` is not theirs.
    pub fn receive_messages(
        &mut self,
        name: &UserName,
        room: &RoomName,
        proof: &Proof,
        now: Now,
    ) -> Result<Vec<Arc<str>>, Refusal> {
        Ok(self.member(name, room, proof, now)?.newest(name.key(), usize::MAX))
    }

    /// The kept messages later than `stamp` that the user may see.
    ///
    /// # Errors
    /// The user is not there, or `proof` is not theirs.
    pub fn receive_new_messages(
        &mut self,
        name: &UserName,
        room: &RoomName,
        stamp: NaiveDateTime,
        proof: &Proof,
        now: Now,
    ) -> Result<Vec<Arc<str>>, Refusal> {
        Ok(self.member(name, room, proof, now)?.later_than(name.key(), stamp))
    }

    /// Waits for messages past `after`. Answers what is to be answered now: this ticket if there are messages or no time
    /// to wait, and that of an earlier wait by the same user. A ticket that is refused comes back with the refusal.
    ///
    /// # Errors
    /// The user is not there, `proof` is not theirs, or too many calls wait from `address`.
    #[allow(clippy::too_many_arguments, reason = "the parameters of the call and who makes it")]
    pub fn wait_messages(
        &mut self,
        name: &UserName,
        room_name: &RoomName,
        after: u64,
        time: Duration,
        proof: &Proof,
        address: Option<IpAddr>,
        ticket: T,
        now: Now,
    ) -> Result<Vec<Batch<T>>, (Refusal, T)> {
        let user = name.key();
        let is_ending = self.is_ending;
        let room = match self.member(name, room_name, proof, now) {
            Ok(room) => room,
            Err(refusal) => return Err((refusal, ticket)),
        };
        // Who does not wait sees what there is.
        let never_waits = time.is_zero() || is_ending;
        let until = room.last_shown(never_waits);
        let at_once = never_waits || room.has_news(user, after, until) || ticket.is_waited_for();
        let replaces = room.waiting.get(user).is_some_and(|waiter| waiter.address == address);
        let answer = at_once.then(|| room.news(user, after, until));
        let limit = self.limits.waits_per_address;
        let waits = address.and_then(|address| self.waits_by_address.get(&address)).copied().unwrap_or(0);
        if !at_once && !replaces && limit > 0 && waits >= limit {
            return Err((Refusal::Limit { what: "calls that wait from one address", value: limit }, ticket));
        }
        let mut answers: Vec<_> = self.end_wait(room_name.key(), user, now.monotonic).into_iter().collect();
        if let Some(news) = answer {
            answers.push(Batch { news, tickets: vec![ticket] });
            return Ok(answers);
        }
        if let Some(address) = address {
            *self.waits_by_address.entry(address).or_insert(0) += 1;
        }
        let place = (room_name.key().clone(), user.clone());
        let deadline = (now.monotonic + time.min(MAX_WAIT), self.serial());
        self.deadlines.insert(deadline, place.clone());
        self.by_connection.insert(ticket.connection(), place);
        if let Some(room) = self.rooms.get_mut(room_name.key()) {
            room.waiting.insert(user.clone(), Waiter { after, deadline, address, ticket });
        }
        Ok(answers)
    }

    /// Ends a user's wait with what there is, which may be nothing.
    fn end_wait(&mut self, room: &NameKey, user: &NameKey, now: Instant) -> Option<Batch<T>> {
        let is_ending = self.is_ending;
        let room = self.rooms.get_mut(room)?;
        let waiter = room.waiting.remove(user)?;
        let news = room.news(user, waiter.after, room.last_shown(is_ending));
        Some(Batch { news, tickets: vec![self.forget(user, waiter, now)] })
    }

    /// Removes what is noted of a waiter elsewhere than in its room. Who waited was there until now.
    fn forget(&mut self, user: &NameKey, waiter: Waiter<T>, now: Instant) -> T {
        if let Some(user) = self.users.get_mut(user) {
            user.last_call = now;
        }
        let place = self.deadlines.remove(&waiter.deadline);
        let connection = waiter.ticket.connection();
        if self.by_connection.get(&connection) == place.as_ref() {
            self.by_connection.remove(&connection);
        }
        if let Some(address) = waiter.address
            && let Some(waits) = self.waits_by_address.get_mut(&address)
        {
            *waits -= 1;
            if *waits == 0 {
                self.waits_by_address.remove(&address);
            }
        }
        waiter.ticket
    }

    /// Ends the wait that came on `connection`: another request waits for its answer.
    pub fn hurry(&mut self, connection: T::Connection, now: Instant) -> Option<Batch<T>> {
        let (room, user) = self.by_connection.get(&connection)?.clone();
        self.end_wait(&room, &user, now)
    }

    /// Ends all waits, and every later one as soon as it begins.
    pub fn end_all_waits(&mut self, now: Instant) -> Vec<Batch<T>> {
        self.is_ending = true;
        let places: Vec<_> = self.deadlines.values().cloned().collect();
        places.iter().filter_map(|(room, user)| self.end_wait(room, user, now)).collect()
    }

    /// What is to be answered by now, and when to ask again, if nothing happens before.
    pub fn due(&mut self, now: Instant) -> (Vec<Batch<T>>, Option<Instant>) {
        let mut answers = Vec::new();
        let mut next: Option<Instant> = None;
        for room_key in std::mem::take(&mut self.due_rooms) {
            let Some(room) = self.rooms.get_mut(&room_key) else { continue };
            let at = room.last_delivery.map_or(now, |last| last + DELIVERY_GAP);
            if at > now {
                next = Some(next.map_or(at, |next| next.min(at)));
                self.due_rooms.push(room_key);
                continue;
            }
            room.is_due = false;
            room.last_delivery = Some(now);
            self.deliver(&room_key, &mut answers, now);
        }
        while let Some((&(deadline, _), (room, user))) = self.deadlines.first_key_value() {
            if deadline > now {
                next = Some(next.map_or(deadline, |next| next.min(deadline)));
                break;
            }
            let (room, user) = (room.clone(), user.clone());
            answers.extend(self.end_wait(&room, &user, now));
        }
        (answers, next)
    }

    /// Answers everybody in the room for whom there is something: who waits from the same cursor shares the answer, as long
    /// as it contains nothing private.
    fn deliver(&mut self, room_key: &NameKey, answers: &mut Vec<Batch<T>>, now: Instant) {
        let Some(room) = self.rooms.get_mut(room_key) else { return };
        let until = room.last_shown(false);
        let mut ready = Vec::new();
        let mut shared: HashMap<u64, Option<usize>> = HashMap::new();
        let waiting = std::mem::take(&mut room.waiting);
        for (user, waiter) in waiting {
            if !room.has_news(&user, waiter.after, until) {
                room.waiting.insert(user, waiter);
                continue;
            }
            let place = shared.entry(waiter.after).or_insert_with(|| {
                room.is_common(waiter.after, until).then(|| {
                    answers.push(Batch { news: room.news(&user, waiter.after, until), tickets: Vec::new() });
                    answers.len() - 1
                })
            });
            let place = place.unwrap_or_else(|| {
                answers.push(Batch { news: room.news(&user, waiter.after, until), tickets: Vec::new() });
                answers.len() - 1
            });
            ready.push((place, user, waiter));
        }
        for (place, user, waiter) in ready {
            let ticket = self.forget(&user, waiter, now);
            answers[place].tickets.push(ticket);
        }
    }

    /// Removes empty rooms and users that have been idle for too long.
    pub fn sweep(&mut self, now: Instant) {
        let idle = self.limits.user_idle;
        let is_gone = |user: &User, rooms: &HashMap<NameKey, Room<T>>, key: &NameKey| {
            let waits =
                user.room.as_ref().and_then(|room| rooms.get(room)).is_some_and(|room| room.waiting.contains_key(key));
            !waits && now.saturating_duration_since(user.last_call) >= idle
        };
        let gone: Vec<_> = self
            .users
            .iter()
            .filter(|(key, user)| is_gone(user, &self.rooms, key))
            .map(|(key, _)| key.clone())
            .collect();
        for key in gone {
            self.leave(&key, now);
            self.users.remove(&key);
        }
        let room_idle = self.limits.room_idle;
        let mut freed = 0;
        self.rooms.retain(|_, room| {
            let stays = !room.is_idle(room_idle, now);
            if !stays {
                freed += room.bytes();
            }
            stays
        });
        self.history_bytes -= freed;
        let (rate, burst) = (f64::from(self.limits.registration_rate) / 60.0, self.limits.registration_rate);
        self.registrations.retain(|_, bucket| !bucket.is_full(rate, burst, now));
    }

    /// The names of all rooms, sorted.
    #[must_use]
    pub fn list_rooms(&self) -> Vec<String> {
        let mut names: Vec<_> = self.rooms.values().map(|room| room.name.to_string()).collect();
        names.sort();
        names
    }

    /// Who is in a room.
    ///
    /// # Errors
    /// There is no such room.
    pub fn list_users(&mut self, room: &RoomName, now: Now) -> Result<Vec<UserName>, Refusal> {
        Ok(self.room(room, now)?.members().cloned().collect())
    }

    /// How many of everything there are.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            users: self.users.len(),
            rooms: self.rooms.len(),
            waiting: self.deadlines.len(),
            messages: self.messages,
            history_bytes: self.history_bytes,
        }
    }
}
