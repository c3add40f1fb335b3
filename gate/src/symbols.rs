//! The functions of the C library by which std, and so an HTTP server that is built on it, accepts and reads. A program may
//! define them itself, and then these are called in their place. What is not a gate's goes to the system at once.

#![allow(unsafe_code, reason = "functions of the C library take raw pointers, from callers that are not seen here")]
#![allow(unreachable_pub, reason = "the linker reaches them")]

use std::cell::RefCell;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use libc::{SYS_accept4, SYS_recvfrom, c_int, c_void, sockaddr, socklen_t};
use nix::sys::stat::fstat;

use crate::shared::{Shared, guard};

/// Panics in the gate's own code.
pub(crate) static PANICS: AtomicU64 = AtomicU64::new(0);

/// All gates, each with the inode of the listener that its HTTP server serves.
static GATES: Mutex<Vec<(libc::ino_t, Arc<Shared>)>> = Mutex::new(Vec::new());

thread_local! {
    /// The lane that this thread reads.
    static LANE: RefCell<Option<(RawFd, Arc<Shared>)>> = const { RefCell::new(None) };
}

/// No address: it has the width that a pointer needs among variable arguments.
const NONE: usize = 0;

/// Adds a gate. Returns the listener that its HTTP server serves. It listens to nothing: where `accept4` does not come here,
/// that server ends at once.
pub(crate) fn add(gate: &Arc<Shared>) -> io::Result<UnixListener> {
    let (socket, _) = UnixStream::pair()?;
    guard(&GATES).push((inode(socket.as_fd()), Arc::clone(gate)));
    Ok(OwnedFd::from(socket).into())
}

pub(crate) fn inode(fd: BorrowedFd<'_>) -> libc::ino_t {
    fstat(fd).map_or(0, |status| status.st_ino)
}

fn inode_of_caller(fd: RawFd) -> libc::ino_t {
    if fd < 0 {
        return 0;
    }
    // SAFETY: it is not -1, and whoever passes it to a function keeps it open meanwhile.
    inode(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Returns the gate whose HTTP server serves `fd`.
fn served(fd: RawFd) -> Option<Arc<Shared>> {
    let inode = inode_of_caller(fd);
    guard(&GATES).iter().find(|(listener, _)| *listener == inode).map(|(_, gate)| Arc::clone(gate))
}

/// Returns the gate whose lane `fd` is. The HTTP server reads a lane by a duplicate, which the first read makes known.
fn lane(fd: RawFd) -> Option<Arc<Shared>> {
    let known =
        LANE.with_borrow(|lane| lane.as_ref().filter(|(lane, _)| *lane == fd).map(|(_, gate)| Arc::clone(gate)));
    if known.is_some() {
        return known;
    }
    let gate = guard(&GATES)
        .iter()
        .find(|(_, gate)| gate.lane.is_awaited(|| inode_of_caller(fd)))
        .map(|(_, gate)| Arc::clone(gate))?;
    LANE.set(Some((fd, Arc::clone(&gate))));
    Some(gate)
}

/// Runs what must not unwind into code that does not expect it.
pub(crate) fn contained<T>(fallback: T, run: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        fallback
    })
}

/// In place of recv(2). From a lane it returns only heads of whole requests.
///
/// # Safety
/// As for recv(2): `buffer` must be valid for `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn recv(fd: c_int, buffer: *mut c_void, length: usize, flags: c_int) -> isize {
    let Some(gate) = contained(None, || lane(fd)) else {
        // SAFETY: the caller's promises are the system call's.
        return unsafe { libc::syscall(SYS_recvfrom, fd, buffer, length, flags, NONE, NONE) as isize };
    };
    // SAFETY: the caller promises `length` bytes to be written; they may be uninitialised, which this type allows.
    let buffer = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<MaybeUninit<u8>>(), length) };
    loop {
        let count = contained(0, || gate.read(buffer));
        if count > 0 || length == 0 {
            return count as isize;
        }
    }
}

/// In place of accept4(2). From the listener that a gate's HTTP server serves it returns a lane when there is none.
///
/// # Safety
/// As for accept4(2): `address` must be null, or valid for as many bytes as `length` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn accept4(fd: c_int, address: *mut sockaddr, length: *mut socklen_t, flags: c_int) -> c_int {
    let Some(gate) = contained(None, || served(fd)) else {
        // SAFETY: the caller's promises about the pointers are the system call's.
        return unsafe { libc::syscall(SYS_accept4, fd, address, length, flags) as c_int };
    };
    if !length.is_null() {
        // SAFETY: the caller promises that it is valid if it is not null. The lane's peer has no name.
        unsafe { *length = 0 };
    }
    loop {
        if let Some(lane) = contained(None, || Some(gate.open_lane())) {
            return lane;
        }
    }
}
