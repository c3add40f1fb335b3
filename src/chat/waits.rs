//! Waiting calls: parked `wait_messages`, each a [`Ticket`] that is handed back with its reply.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::entry::{PersonId, RoomId};
use super::refusal::Refusal;
use super::room::{Page, Person};
use super::state::State;

/// The least time between deliveries to waiting calls in a room; messages within it go out together at its end, and one that
/// comes alone goes at once.
pub const DELIVERY_GAP: Duration = Duration::from_millis(15);
/// The longest wait.
pub const MAX_WAIT: Duration = Duration::from_secs(60);

/// The right to answer a waiting call later.
pub trait Ticket {
    /// Identifies the connection of a call.
    type Connection: Copy + Eq + Hash + std::fmt::Debug;

    /// Returns the connection that the call came on.
    fn connection(&self) -> Self::Connection;

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

/// A wait, before it is known whether it has to wait.
#[derive(Debug)]
pub(super) struct Wait<T> {
    pub(super) room: RoomId,
    pub(super) reader: Arc<Person>,
    pub(super) after: u64,
    pub(super) time: Duration,
    pub(super) address: Option<IpAddr>,
    pub(super) ticket: T,
}

#[derive(Debug)]
struct Waiter<T> {
    reader: Arc<Person>,
    after: u64,
    deadline: (Instant, u64),
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
    /// The deadlines of the waits, made unique by a serial number.
    deadlines: BTreeMap<(Instant, u64), (RoomId, PersonId)>,
    by_connection: HashMap<T::Connection, (RoomId, PersonId)>,
    by_address: HashMap<IpAddr, usize>,
    /// Rooms with something to deliver.
    due_rooms: Vec<RoomId>,
    next_serial: u64,
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
            by_address: HashMap::new(),
            due_rooms: Vec::new(),
            next_serial: 0,
            is_ending: false,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.deadlines.len()
    }

    pub(super) fn has(&self, room: RoomId, person: PersonId) -> bool {
        self.rooms.get(&room).is_some_and(|room| room.waiters.contains_key(&person))
    }

    /// Waits for messages past `after`. Returns the replies due now: to this call if it need not wait, and to the user's
    /// earlier wait, which it ends.
    ///
    /// # Errors
    /// If too many calls wait from one address. The ticket comes back with the refusal.
    pub(super) fn wait(
        &mut self,
        state: &State,
        wait: Wait<T>,
        now: Instant,
    ) -> Result<Vec<Delivery<T>>, (Refusal, T)> {
        let Wait { room, reader, after, time, address, ticket } = wait;
        let person = reader.id;
        let never_waits = time.is_zero() || self.is_ending || ticket.has_pipelined_request();
        let at_once = never_waits || state.has_page(room, &reader, after);
        let earlier = self.rooms.get(&room).and_then(|room| room.waiters.get(&person));
        let replaces = earlier.is_some_and(|waiter| waiter.address == address);
        let waits = address.and_then(|address| self.by_address.get(&address)).copied().unwrap_or(0);
        if !at_once && !replaces && self.per_address > 0 && waits >= self.per_address {
            return Err((Refusal::Limit { what: "calls that wait from one address", value: self.per_address }, ticket));
        }
        let mut replies: Vec<_> = self.end(state, room, person).into_iter().collect();
        if at_once {
            replies.push(Delivery { page: state.page(room, &reader, after), tickets: vec![ticket] });
            return Ok(replies);
        }
        if let Some(address) = address {
            *self.by_address.entry(address).or_insert(0) += 1;
        }
        self.next_serial += 1;
        let deadline = (now + time.min(MAX_WAIT), self.next_serial);
        self.deadlines.insert(deadline, (room, person));
        self.by_connection.insert(ticket.connection(), (room, person));
        let waiting = self.rooms.entry(room).or_default();
        waiting.waiters.insert(person, Waiter { reader, after, deadline, address, ticket });
        Ok(replies)
    }

    /// Ends a user's wait with what there is, which may be nothing.
    pub(super) fn end(&mut self, state: &State, room: RoomId, person: PersonId) -> Option<Delivery<T>> {
        let waiter = self.rooms.get_mut(&room)?.waiters.remove(&person)?;
        let page = state.page(room, &waiter.reader, waiter.after);
        Some(Delivery { page, tickets: vec![self.unindex(waiter)] })
    }

    /// Removes a waiter from the other indexes.
    fn unindex(&mut self, waiter: Waiter<T>) -> T {
        let index = self.deadlines.remove(&waiter.deadline);
        let connection = waiter.ticket.connection();
        if self.by_connection.get(&connection) == index.as_ref() {
            self.by_connection.remove(&connection);
        }
        if let Some(address) = waiter.address
            && let Some(waits) = self.by_address.get_mut(&address)
        {
            *waits -= 1;
            if *waits == 0 {
                self.by_address.remove(&address);
            }
        }
        waiter.ticket
    }

    /// Ends the wait that came on `connection`, because another request waits for its reply.
    pub(super) fn end_on(&mut self, state: &State, connection: T::Connection) -> Option<Delivery<T>> {
        let (room, person) = *self.by_connection.get(&connection)?;
        self.end(state, room, person)
    }

    /// Ends all waits, and every later one as soon as it begins.
    pub(super) fn end_all(&mut self, state: &State) -> Vec<Delivery<T>> {
        self.is_ending = true;
        self.interrupt_all(state)
    }

    /// Ends all waits that there are.
    pub(super) fn interrupt_all(&mut self, state: &State) -> Vec<Delivery<T>> {
        let waiters: Vec<_> = self.deadlines.values().copied().collect();
        waiters.into_iter().filter_map(|(room, person)| self.end(state, room, person)).collect()
    }

    /// There is a new message in `room`. Returns whether any call waits there.
    pub(super) fn said(&mut self, room: RoomId) -> bool {
        let Some(waiting) = self.rooms.get_mut(&room) else { return false };
        let wakes = !waiting.waiters.is_empty();
        if wakes && !waiting.is_due {
            waiting.is_due = true;
            self.due_rooms.push(room);
        }
        wakes
    }

    /// Forgets a room that has left the list.
    pub(super) fn forget_room(&mut self, room: RoomId) {
        self.rooms.remove(&room);
    }

    /// Returns the replies due, with the users whose waits they end, and when to ask again if nothing happens first.
    pub(super) fn due(&mut self, state: &State, now: Instant) -> (Vec<Delivery<T>>, Vec<PersonId>, Option<Instant>) {
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
        while let Some((&(deadline, _), &(room, person))) = self.deadlines.first_key_value() {
            if deadline > now {
                next = Some(next.map_or(deadline, |next| next.min(deadline)));
                break;
            }
            deliveries.extend(self.end(state, room, person));
            ended.push(person);
        }
        (deliveries, ended, next)
    }

    /// Collects replies for waiting calls with something to read. Equal cursors share one unless it covers private messages.
    fn deliver(&mut self, state: &State, room: RoomId, deliveries: &mut Vec<Delivery<T>>, ended: &mut Vec<PersonId>) {
        let Some(waiting) = self.rooms.get_mut(&room) else { return };
        // The index of the delivery for a cursor, where all who have that cursor can share one.
        let mut shared: HashMap<u64, Option<usize>> = HashMap::new();
        let ready = waiting.waiters.extract_if(|_, waiter| state.has_page(room, &waiter.reader, waiter.after));
        for (person, waiter) in ready.collect::<Vec<_>>() {
            let mut add = || {
                let page = state.page(room, &waiter.reader, waiter.after);
                deliveries.push(Delivery { page, tickets: Vec::new() });
                deliveries.len() - 1
            };
            let common =
                shared.entry(waiter.after).or_insert_with(|| state.is_common(room, waiter.after).then(&mut add));
            let index = common.unwrap_or_else(add);
            let ticket = self.unindex(waiter);
            deliveries[index].tickets.push(ticket);
            ended.push(person);
        }
    }
}
