//! Which descriptors are a gate's, and what each of them belongs to.

use std::cell::RefCell;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::connection::Connection;
use crate::shared::Shared;

/// Descriptors from here on are never a gate's.
pub(crate) const MAX_DESCRIPTORS: usize = 1 << 18;

/// 0, [`LISTENER`], or a connection's slot plus 1, which [`READER`] marks at the end that is read. Looked at without a lock,
/// because `close` is called between fork and exec too.
static OWNERS: [AtomicU32; MAX_DESCRIPTORS] = [const { AtomicU32::new(0) }; MAX_DESCRIPTORS];
const LISTENER: u32 = u32::MAX;
const READER: u32 = 1 << 31;

static LISTENERS: Mutex<Vec<(RawFd, Arc<Shared>)>> = Mutex::new(Vec::new());
static CONNECTIONS: Mutex<Slots> = Mutex::new(Slots { all: Vec::new(), free: Vec::new() });

struct Slots {
    all: Vec<Option<Arc<Connection>>>,
    free: Vec<u32>,
}

thread_local! {
    /// The connection that this thread has handed over, until its reading end is known: a duplicate, which std makes.
    static HANDED: RefCell<Option<Arc<Connection>>> = const { RefCell::new(None) };
}

thread_local! {
    static ACCEPTING: RefCell<Option<Accepting>> = const { RefCell::new(None) };
}

/// Tells of the end of the thread that it belongs to.
struct Accepting(Arc<Shared>);

impl Drop for Accepting {
    fn drop(&mut self) {
        self.0.ended();
    }
}

/// Notes that this thread accepts connections of `gate`, whose server is told when it ends.
pub(crate) fn accept(gate: &Arc<Shared>) {
    ACCEPTING.with_borrow_mut(|this| {
        this.get_or_insert_with(|| {
            gate.accepting.fetch_add(1, Ordering::SeqCst);
            Accepting(Arc::clone(gate))
        });
    });
}

/// The ends of a connection that an HTTP server has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum End {
    Writer,
    Reader,
}

fn owner(fd: RawFd) -> Option<&'static AtomicU32> {
    OWNERS.get(usize::try_from(fd).ok()?)
}

fn slots() -> std::sync::MutexGuard<'static, Slots> {
    CONNECTIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The connection that `fd` is an end of.
pub(crate) fn connection(fd: RawFd) -> Option<(Arc<Connection>, End)> {
    let owner = owner(fd)?.load(Ordering::Acquire);
    if owner == 0 || owner == LISTENER {
        return None;
    }
    let end = if owner & READER == 0 { End::Writer } else { End::Reader };
    Some((by_slot((owner & !READER) - 1)?, end))
}

/// The same where it can be the reading end of what this thread has just handed over.
pub(crate) fn connection_or_new_reader(fd: RawFd) -> Option<(Arc<Connection>, End)> {
    if let Some(known) = connection(fd) {
        return Some(known);
    }
    let handed = HANDED.with_borrow(|handed| handed.clone())?;
    if fd < 0 || !handed.is_socket(fd) {
        return None;
    }
    HANDED.take();
    set(fd, &handed, End::Reader);
    handed.has_reader(fd);
    Some((handed, End::Reader))
}

/// Notes what this thread hands over now. Returns what it handed over before, if its reading end was never seen.
pub(crate) fn hand(connection: Option<Arc<Connection>>) -> Option<Arc<Connection>> {
    HANDED.replace(connection)
}

/// Notes that `fd` is this end of `connection`. False if the table does not reach so far.
pub(crate) fn set(fd: RawFd, connection: &Connection, end: End) -> bool {
    let mark = if end == End::Reader { READER } else { 0 };
    owner(fd).map(|owner| owner.store((connection.slot + 1) | mark, Ordering::Release)).is_some()
}

/// Notes that `fd` is about to be closed, and returns what it was an end of.
pub(crate) fn closing(fd: RawFd) -> Option<(Arc<Connection>, End)> {
    let owner = owner(fd)?;
    match owner.load(Ordering::Acquire) {
        0 => None,
        LISTENER => {
            owner.store(0, Ordering::Release);
            listeners().retain(|&(known, _)| known != fd);
            None
        }
        _ => {
            let known = connection(fd);
            owner.store(0, Ordering::Release);
            known
        }
    }
}

pub(crate) fn by_slot(slot: u32) -> Option<Arc<Connection>> {
    slots().all.get(slot as usize)?.clone()
}

/// Adds a connection, which is made knowing its slot.
pub(crate) fn insert(make: impl FnOnce(u32) -> Connection) -> Arc<Connection> {
    let mut slots = slots();
    // There are fewer connections than descriptors.
    let slot = slots.free.pop().unwrap_or(slots.all.len() as u32);
    let new = Arc::new(make(slot));
    if slot as usize == slots.all.len() {
        slots.all.push(None);
    }
    slots.all[slot as usize] = Some(Arc::clone(&new));
    new
}

/// Removes a connection, whose descriptors must be closed or about to be.
pub(crate) fn remove(slot: u32) {
    let mut slots = slots();
    if slots.all.get_mut(slot as usize).and_then(Option::take).is_some() {
        slots.free.push(slot);
    }
}

/// All connections, for those who look for a certain one.
pub(crate) fn all() -> Vec<Arc<Connection>> {
    slots().all.iter().flatten().cloned().collect()
}

fn listeners() -> std::sync::MutexGuard<'static, Vec<(RawFd, Arc<Shared>)>> {
    LISTENERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on what is accepted from `fd` comes through this gate. False if the table does not reach so far.
pub(crate) fn listen(fd: RawFd, gate: Arc<Shared>) -> bool {
    let Some(owner) = owner(fd) else { return false };
    listeners().push((fd, gate));
    owner.store(LISTENER, Ordering::Release);
    true
}

pub(crate) fn listener(fd: RawFd) -> Option<Arc<Shared>> {
    if owner(fd)?.load(Ordering::Acquire) != LISTENER {
        return None;
    }
    listeners().iter().find(|(known, _)| *known == fd).map(|(_, gate)| Arc::clone(gate))
}
