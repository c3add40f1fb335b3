//! Waiting calls: parked `wait_messages`, each a [`Ticket`] that is handed back with its reply.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::{CallContext, Core};
use super::entry::{PersonId, RoomId};
use super::name::RoomName;
use super::refusal::Refusal;
use super::room::{Page, Person};
use super::state::State;
use super::tally::Tally;

/// The least time between deliveries to waiting calls in a room; messages within it go out together at its end, and one that
/// comes alone goes at once.
pub const DELIVERY_GAP: Duration = Duration::from_millis(15);
/// The longest wait.
pub const MAX_WAIT: Duration = Duration::from_secs(60);

/// The right to answer a waiting call later.
pub trait Ticket {
    /// Identifies the connection of a call.
    type ConnectionId: Copy + Eq + Hash + std::fmt::Debug;

    /// Returns the connection that the call came on.
    fn connection(&self) -> Self::ConnectionId;

    /// Returns whether another request waits on that connection for this one's reply.
    fn has_pipelined_request(&self) -> bool;
}

/// The same reply for several tickets.
#[derive(Debug)]
pub struct Delivery<T> {
    /// The reply.
    pub page: Page,
    /// The calls that get it.
    pub tickets: Vec<T>,
}

#[derive(Debug)]
pub(super) struct Waiter<T> {
    reader: Arc<Person>,
    /// The cursor.
    after: u64,
    until: Instant,
    address: Option<IpAddr>,
    ticket: T,
}

#[derive(Debug)]
struct WaitingRoom<T> {
    waiters: HashMap<PersonId, Waiter<T>>,
    last_delivery: Option<Instant>,
    is_due: bool,
}

impl<T> Default for WaitingRoom<T> {
    fn default() -> Self {
        Self { waiters: HashMap::new(), last_delivery: None, is_due: false }
    }
}

/// All waiting calls. A user waits in the room that they are in, and at most once.
#[derive(Debug)]
pub(super) struct Waits<T: Ticket> {
    /// Waiting calls at a time from one address; 0 is no limit.
    per_address: usize,
    rooms: HashMap<RoomId, WaitingRoom<T>>,
    /// The rooms in which users wait, by the time at which the wait ends and the user.
    deadlines: BTreeMap<(Instant, PersonId), RoomId>,
    by_connection: HashMap<T::ConnectionId, (RoomId, PersonId)>,
    by_address: Tally<IpAddr>,
    /// Rooms with something to deliver.
    due_rooms: Vec<RoomId>,
    /// If the server ends, so that nobody waits any more.
    is_ending: bool,
}

impl<T: Ticket> Waits<T> {
    pub(super) fn new(per_address: usize) -> Self {
        Self {
            per_address,
            rooms: HashMap::new(),
            deadlines: BTreeMap::new(),
            by_connection: HashMap::new(),
            by_address: Tally::new(),
            due_rooms: Vec::new(),
            is_ending: false,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.deadlines.len()
    }

    pub(super) fn has(&self, room: RoomId, person: PersonId) -> bool {
        self.rooms.get(&room).is_some_and(|room| room.waiters.contains_key(&person))
    }

    /// Returns whether a user may wait from `address`, if that ends an earlier wait of theirs.
    fn allows(&self, room: RoomId, person: PersonId, address: Option<IpAddr>) -> bool {
        let earlier = self.rooms.get(&room).and_then(|room| room.waiters.get(&person));
        let replaces = earlier.is_some_and(|waiter| waiter.address == address);
        let waits = address.map_or(0, |address| self.by_address.of(&address));
        replaces || self.per_address == 0 || waits < self.per_address
    }

    fn insert(&mut self, room: RoomId, waiter: Waiter<T>) {
        let person = waiter.reader.id;
        if let Some(address) = waiter.address {
            self.by_address.add(address);
        }
        self.deadlines.insert((waiter.until, person), room);
        self.by_connection.insert(waiter.ticket.connection(), (room, person));
        self.rooms.entry(room).or_default().waiters.insert(person, waiter);
    }

    /// Ends a user's wait with what there is, which may be nothing.
    pub(super) fn end(&mut self, state: &State, room: RoomId, person: PersonId) -> Option<Delivery<T>> {
        let kept = state.room(room).ok()?;
        let waiter = self.rooms.get_mut(&room)?.waiters.remove(&person)?;
        let page = kept.page(&waiter.reader, waiter.after);
        Some(Delivery { page, tickets: vec![self.unindex(room, waiter)] })
    }

    /// Removes a waiter from the other indexes.
    fn unindex(&mut self, room: RoomId, waiter: Waiter<T>) -> T {
        let person = waiter.reader.id;
        self.deadlines.remove(&(waiter.until, person));
        let connection = waiter.ticket.connection();
        if self.by_connection.get(&connection) == Some(&(room, person)) {
            self.by_connection.remove(&connection);
        }
        if let Some(address) = waiter.address {
            self.by_address.remove(&address);
        }
        waiter.ticket
    }

    /// Ends all waits that there are.
    pub(super) fn end_all(&mut self, state: &State) -> Vec<Delivery<T>> {
        let waiters: Vec<_> = self.deadlines.iter().map(|((_, person), room)| (*room, *person)).collect();
        waiters.into_iter().filter_map(|(room, person)| self.end(state, room, person)).collect()
    }

    /// Notes that there is a new message in `room`. Returns whether that makes something due.
    pub(super) fn said(&mut self, room: RoomId) -> bool {
        let waiting = self.rooms.get_mut(&room).filter(|waiting| !waiting.waiters.is_empty() && !waiting.is_due);
        let Some(waiting) = waiting else { return false };
        waiting.is_due = true;
        self.due_rooms.push(room);
        true
    }

    /// Forgets a room that has left the list.
    pub(super) fn forget_room(&mut self, room: RoomId) {
        self.rooms.remove(&room);
    }

    /// Returns the replies due, with the users whose waits they end, and when to ask again if nothing happens first.
    fn due(&mut self, state: &State, now: Instant) -> (Vec<Delivery<T>>, Vec<PersonId>, Option<Instant>) {
        let (mut deliveries, mut ended) = (Vec::new(), Vec::new());
        let mut next: Option<Instant> = None;
        for room in std::mem::take(&mut self.due_rooms) {
            let Some(waiting) = self.rooms.get_mut(&room) else { continue };
            let at = waiting.last_delivery.map_or(now, |last| last + DELIVERY_GAP);
            if at > now {
                next = Some(next.map_or(at, |next| next.min(at)));
                self.due_rooms.push(room);
                continue;
            }
            waiting.is_due = false;
            waiting.last_delivery = Some(now);
            self.deliver(state, room, &mut deliveries, &mut ended);
        }
        while let Some(first) = self.deadlines.first_entry() {
            let (until, person) = *first.key();
            if until > now {
                next = Some(next.map_or(until, |next| next.min(until)));
                break;
            }
            let room = first.remove();
            deliveries.extend(self.end(state, room, person));
            ended.push(person);
        }
        (deliveries, ended, next)
    }

    /// Collects replies for waiting calls with something to read. Equal cursors share one unless it covers private messages.
    fn deliver(&mut self, state: &State, room: RoomId, deliveries: &mut Vec<Delivery<T>>, ended: &mut Vec<PersonId>) {
        let (Some(waiting), Ok(kept)) = (self.rooms.get_mut(&room), state.room(room)) else { return };
        // The index of the delivery for a cursor, where all who have that cursor can share one.
        let mut shared: HashMap<u64, Option<usize>> = HashMap::new();
        let ready = waiting.waiters.extract_if(|_, waiter| kept.has_page(&waiter.reader, waiter.after));
        for (person, waiter) in ready.collect::<Vec<_>>() {
            let mut add = || {
                let page = kept.page(&waiter.reader, waiter.after);
                deliveries.push(Delivery { page, tickets: Vec::new() });
                deliveries.len() - 1
            };
            let common = shared.entry(waiter.after).or_insert_with(|| kept.is_common(waiter.after).then(&mut add));
            let index = common.unwrap_or_else(add);
            let ticket = self.unindex(room, waiter);
            deliveries[index].tickets.push(ticket);
            ended.push(person);
        }
    }
}

impl<T: Ticket> Core<T> {
    /// Waits for messages past the cursor `after`, for `time` and at most [`MAX_WAIT`]. Returns the replies due now: to this
    /// call if it need not wait, and to the user's earlier wait, which it ends.
    ///
    /// # Errors
    /// If the user is not there, the call may not act as them, or too many calls wait from one address. The ticket comes back
    /// with the refusal.
    pub fn wait(
        &mut self,
        room: &RoomName,
        after: u64,
        time: Duration,
        ticket: T,
        by: CallContext<'_>,
    ) -> Result<Vec<Delivery<T>>, (Refusal, T)> {
        let (reader, room) = match self.member(room, by) {
            Ok(member) => member,
            Err(refusal) => return Err((refusal, ticket)),
        };
        let (room, page) = (room.id, room.page(&reader, after));
        let at_once =
            !page.messages.is_empty() || time.is_zero() || self.waits.is_ending || ticket.has_pipelined_request();
        if !at_once && !self.waits.allows(room, reader.id, by.address) {
            let what = "calls that wait from one address";
            return Err((Refusal::Limit { what, value: self.waits.per_address }, ticket));
        }
        let mut replies: Vec<_> = self.waits.end(&self.state, room, reader.id).into_iter().collect();
        if at_once {
            replies.push(Delivery { page, tickets: vec![ticket] });
        } else {
            let until = by.now.monotonic + time.min(MAX_WAIT);
            self.waits.insert(room, Waiter { reader, after, until, address: by.address, ticket });
        }
        Ok(replies)
    }

    /// Ends the wait that came on `connection`, because another request waits for its reply.
    pub fn end_wait_on(&mut self, connection: T::ConnectionId) -> Option<Delivery<T>> {
        let (room, person) = *self.waits.by_connection.get(&connection)?;
        self.waits.end(&self.state, room, person)
    }

    /// Ends all waits, and every later one as soon as it begins.
    pub fn end_all_waits(&mut self) -> Vec<Delivery<T>> {
        self.waits.is_ending = true;
        self.waits.end_all(&self.state)
    }

    /// Returns the replies due, and when to ask again if nothing happens first.
    pub fn due(&mut self, now: Instant) -> (Vec<Delivery<T>>, Option<Instant>) {
        let (deliveries, ended, next) = self.waits.due(&self.state, now);
        for person in ended {
            // A user who waited was there until now.
            if let Some(presence) = self.presence.get_mut(&person) {
                presence.last_call = now;
            }
        }
        (deliveries, next)
    }
}
