//! The functions of the C library by which std, and so an HTTP server that is built on it, uses its sockets. A program may define
//! them itself, and then these are called in their place. What is not a gate's goes to the system at once.

#![allow(unsafe_code, reason = "functions of the C library take raw pointers, from callers that are not seen here")]
#![allow(unreachable_pub, reason = "the linker reaches them")]

use std::io;
use std::mem::MaybeUninit;
use std::net::{Shutdown, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use libc::{SYS_accept4, SYS_close, SYS_getpeername, SYS_recvfrom, SYS_sendto, SYS_shutdown};
use libc::{c_int, c_void, sockaddr, sockaddr_in6, socklen_t};
use nix::errno::Errno;

use crate::table::{self, End};

/// The descriptor that the self check uses, and which functions have seen it.
static CHECKED: AtomicI32 = AtomicI32::new(-1);
static SEEN: AtomicU32 = AtomicU32::new(0);

/// No address: it has the width that a pointer needs among variable arguments.
const NONE: usize = 0;

fn note(fd: RawFd, function: u32) {
    if fd == CHECKED.load(Ordering::Relaxed) {
        SEEN.fetch_or(1 << function, Ordering::Relaxed);
    }
}

/// Checks that all calls that std makes come by here.
///
/// # Errors
/// If one does not, or the system has no sockets.
pub(crate) fn check() -> io::Result<()> {
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock();
    let (mut one, _other) = UnixStream::pair()?;
    SEEN.store(0, Ordering::Relaxed);
    CHECKED.store(one.as_raw_fd(), Ordering::Relaxed);
    let _ = io::Write::write(&mut one, b"x");
    let _ = one.peer_addr();
    let _ = one.shutdown(Shutdown::Both);
    let _ = io::Read::read(&mut one, &mut [0]);
    // It is no listener, and so this fails, after it came by.
    let no_listener = UnixListener::from(OwnedFd::from(one));
    let _ = no_listener.accept();
    drop(no_listener);
    CHECKED.store(-1, Ordering::Relaxed);
    if SEEN.load(Ordering::Relaxed) == 0b11_1111 {
        return Ok(());
    }
    Err(io::Error::other(
        "the program does not read its sockets through its gate; it was built in a way that is not supported",
    ))
}

/// Runs what must not unwind into code that does not expect it.
fn contained<T>(fallback: T, run: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        crate::PANICS.fetch_add(1, Ordering::Relaxed);
        fallback
    })
}

fn fail(errno: c_int) -> isize {
    // SAFETY: the place of errno is this thread's, and valid for as long as it runs.
    unsafe { *libc::__errno_location() = errno };
    -1
}

/// In place of recv(2).
///
/// # Safety
/// As for recv(2): `buffer` must be valid for `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn recv(fd: c_int, buffer: *mut c_void, length: usize, flags: c_int) -> isize {
    note(fd, 0);
    let Some((connection, End::Reader)) = contained(None, || table::connection_or_new_reader(fd)) else {
        // SAFETY: the caller's promises are the system call's.
        return unsafe { libc::syscall(SYS_recvfrom, fd, buffer, length, flags, NONE, NONE) as isize };
    };
    // SAFETY: the caller promises `length` bytes to be written; they may be uninitialised, which this type allows.
    let buffer = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<MaybeUninit<u8>>(), length) };
    contained(0, || connection.read(fd, buffer)) as isize
}

/// In place of send(2). Never waits: what the peer does not take at once is kept for it.
///
/// # Safety
/// As for send(2): `buffer` must be valid for `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn send(fd: c_int, buffer: *const c_void, length: usize, flags: c_int) -> isize {
    note(fd, 1);
    let Some((connection, _)) = table::connection(fd) else {
        // SAFETY: the caller's promises are the system call's.
        return unsafe { libc::syscall(SYS_sendto, fd, buffer, length, flags, NONE, NONE) as isize };
    };
    // SAFETY: the caller promises `length` bytes.
    let bytes = unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), length) };
    match contained(Err(Errno::EPIPE), || connection.write(bytes)) {
        Ok(count) => count as isize,
        Err(error) => fail(error as c_int),
    }
}

/// In place of accept4(2). At a gate's listener it returns only with a connection whose request is whole.
///
/// # Safety
/// As for accept4(2): `address` must be null, or valid for as many bytes as `length` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn accept4(fd: c_int, address: *mut sockaddr, length: *mut socklen_t, flags: c_int) -> c_int {
    note(fd, 2);
    let Some(gate) = table::listener(fd) else {
        // SAFETY: the caller's promises are the system call's.
        return unsafe { libc::syscall(SYS_accept4, fd, address, length, flags) as c_int };
    };
    table::accept(&gate);
    loop {
        if let Some((end, token)) = contained(None, || Some(gate.next())) {
            // SAFETY: the caller's promises about `address` and `length` are the same.
            unsafe { write_address(token, address, length) };
            return end;
        }
    }
}

/// In place of getpeername(2). A connection's peer, for the HTTP server, is the number by which the gate knows it again.
///
/// # Safety
/// As for getpeername(2): `address` must be valid for as many bytes as `length` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getpeername(fd: c_int, address: *mut sockaddr, length: *mut socklen_t) -> c_int {
    note(fd, 3);
    let Some((connection, _)) = contained(None, || table::connection_or_new_reader(fd)) else {
        // SAFETY: the caller's promises are the system call's.
        return unsafe { libc::syscall(SYS_getpeername, fd, address, length) as c_int };
    };
    // SAFETY: the caller's promises about `address` and `length` are the same.
    unsafe { write_address(connection.token(), address, length) };
    0
}

/// In place of shutdown(2). The gate decides when a connection ends.
#[unsafe(no_mangle)]
pub extern "C" fn shutdown(fd: c_int, how: c_int) -> c_int {
    note(fd, 4);
    if table::connection(fd).is_some() {
        return 0;
    }
    // SAFETY: it has no pointers.
    unsafe { libc::syscall(SYS_shutdown, fd, how) as c_int }
}

/// In place of close(2).
#[unsafe(no_mangle)]
pub extern "C" fn close(fd: c_int) -> c_int {
    note(fd, 5);
    // Before it is closed: its number can be another one's at once.
    contained((), || {
        if let Some((connection, end)) = table::closing(fd) {
            connection.lost(fd, end);
        }
    });
    // SAFETY: it has no pointers. Whoever closes a descriptor owns it.
    unsafe { libc::syscall(SYS_close, fd) as c_int }
}

/// A descriptor for a question to the system that harms nobody if there is no such descriptor.
pub(crate) fn borrow<'a>(fd: RawFd) -> BorrowedFd<'a> {
    // SAFETY: it is not -1, for it was passed to a function that only takes open ones, and its caller keeps it open meanwhile.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// Writes as much of an address as there is room for, and how long it is.
///
/// # Safety
/// `address` must be null, or valid for as many bytes as `length`, which must then be valid, says.
unsafe fn write_address(token: SocketAddrV6, address: *mut sockaddr, length: *mut socklen_t) {
    if address.is_null() {
        return;
    }
    // SAFETY: all of its members are integers, which may be 0.
    let mut whole: sockaddr_in6 = unsafe { std::mem::zeroed() };
    whole.sin6_family = libc::AF_INET6 as libc::sa_family_t;
    whole.sin6_port = token.port().to_be();
    whole.sin6_addr.s6_addr = token.ip().octets();
    let size = size_of::<sockaddr_in6>();
    // SAFETY: by this function's own condition, and no more is written than there is room for.
    unsafe {
        let room = (*length as usize).min(size);
        std::ptr::copy_nonoverlapping((&raw const whole).cast::<u8>(), address.cast::<u8>(), room);
        *length = size as socklen_t;
    }
}
