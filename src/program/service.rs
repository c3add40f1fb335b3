//! What a service manager, such as systemd, and a program say to each other: when the program is ready and when it stops
//! (sd_notify(3)), and the socket that the manager listens on in its stead (sd_listen_fds(3)). And the stack of its threads,
//! part of which only the environment decides.

use std::ffi::{CString, OsString};
use std::io;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use listenfd::ListenFd;
use log::{debug, warn};

use super::{Failure, Flag, Options};

/// The program answers now.
pub(super) const READY: &str = "READY=1";
/// The program is about to end.
pub(super) const STOPPING: &str = "STOPPING=1";

/// The option for the stack of every thread.
pub(crate) const THREAD_STACK: Flag = Flag::value(
    "thread-stack-kib",
    "KIB",
    None,
    "Stack of every thread, 64 to 8192 KiB. Without it, own threads have 256 and those of connections what the environment's \
     RUST_MIN_STACK says, in bytes, or 2048.",
);
/// What it may be. The deepest document that is read needs 32 (x86_64), and 112 in a build that is not optimised.
const STACK_KIB: std::ops::RangeInclusive<usize> = 64..=8192;
/// Where std reads the stack of threads that say nothing of their own.
const STACK_VARIABLE: &str = "RUST_MIN_STACK";
/// Stack of our own threads, in bytes: parsing and dispatch stay far below the 256 KiB.
static STACK: AtomicUsize = AtomicUsize::new(256 << 10);

/// Starts a thread with a small stack and a name that a debugger and a panic message show.
pub(crate) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    // In a box, so that a program has what starts a thread once, and not 1 KB for every thread.
    let run: Box<dyn FnOnce() + Send> = Box::new(run);
    std::thread::Builder::new().name(name.to_owned()).stack_size(STACK.load(Ordering::Relaxed)).spawn(run)
}

/// Sets the stack of every thread, if [`THREAD_STACK`] is given. The HTTP library's threads can be told only by the
/// environment, which a process may not change for itself: this one is replaced by itself in another environment, and keeps
/// its id and its descriptors.
///
/// # Errors
/// [`Failure::Usage`] if it is no number or out of range.
pub(super) fn set_stack(options: &Options) -> Result<(), Failure> {
    let Some(kib) = options.find(THREAD_STACK.long)? else { return Ok(()) };
    if !STACK_KIB.contains(&kib) {
        return Err(Failure::Usage(format!("--{} is {} to {}", THREAD_STACK.long, STACK_KIB.start(), STACK_KIB.end())));
    }
    let stack = kib << 10;
    STACK.store(stack, Ordering::Relaxed);
    let value = stack.to_string();
    if std::env::var_os(STACK_VARIABLE).is_none_or(|set| set != *value) {
        let error = start_anew(STACK_VARIABLE, &value);
        warn!("the threads of connections keep a stack of their own size, for this program cannot start anew: {error}");
    }
    Ok(())
}

/// Becomes the same program with the same arguments, where `variable` has this `value`. Returns only if it cannot.
fn start_anew(variable: &str, value: &str) -> io::Error {
    let environment = std::env::vars_os().filter(|(name, _)| name != variable);
    let environment = environment.chain([(variable.into(), value.into())]).map(|(mut text, value)| {
        text.push("=");
        text.push(value);
        text
    });
    let replaced = std::env::current_exe().and_then(|program| {
        let program = c_string(program.into_os_string())?;
        let arguments = std::env::args_os().map(c_string).collect::<io::Result<Vec<_>>>()?;
        let environment = environment.map(c_string).collect::<io::Result<Vec<_>>>()?;
        Ok(nix::unistd::execve(&program, &arguments, &environment)?)
    });
    match replaced {
        Err(error) => error,
        Ok(never) => match never {},
    }
}

fn c_string(text: OsString) -> io::Result<CString> {
    Ok(CString::new(text.into_vec())?)
}

/// Sends `state` to the socket that `$NOTIFY_SOCKET` names: a path, or an abstract name after `@`. Without one nobody
/// wants to know, and who cannot be told does not keep the program from its work.
pub(super) fn notify(state: &str) {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(&name),
    };
    let send = |address| UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address);
    if let Err(error) = address.and_then(send) {
        debug!("the service manager does not learn of {state}: {error}");
    }
}

/// The socket that the service manager has passed to this process, to serve on instead of opening one. To be called once,
/// before there are threads: it takes the variables out of the environment.
///
/// # Errors
/// When what was passed is no TCP socket.
pub(crate) fn activated() -> Result<Option<TcpListener>, Failure> {
    // The variables may be meant for the process that started this one. listenfd would also do without the id.
    let meant_for = std::env::var("LISTEN_PID").ok().and_then(|id| id.parse().ok());
    if meant_for != Some(std::process::id()) {
        return Ok(None);
    }
    let mut passed = ListenFd::from_env();
    if passed.len() > 1 {
        warn!("{} sockets were passed, and only the first is served", passed.len());
    }
    passed.take_tcp_listener(0).map_err(|error| Failure::while_doing("cannot serve the socket that was passed", error))
}
