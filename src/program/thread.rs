//! Threads, and their stacks, of which some are decided only by the environment.

use std::ffi::{CString, OsString};
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use log::warn;

use super::{Failure, Flag, Options};

/// The option for the stack of every thread.
pub(crate) const THREAD_STACK: Flag = Flag::value(
    "thread-stack-kib",
    "KIB",
    None,
    "Stack of every thread, 64 to 8192 KiB. Without it, own threads have 256 and those of connections what the environment's \
     RUST_MIN_STACK says, in bytes, or 2048.",
);
/// The allowed stack sizes. The deepest document that is read needs 32 (x86_64), and 112 in a build that is not optimised.
const STACK_KIB: std::ops::RangeInclusive<u64> = 64..=8192;
/// The variable from which std takes the stack size of threads that have none of their own.
const STACK_VARIABLE: &str = "RUST_MIN_STACK";
/// Stack of our own threads, in bytes: parsing and dispatch stay far below the 256 KiB.
static STACK: AtomicUsize = AtomicUsize::new(256 << 10);

/// Starts a thread with a small stack and a name that a debugger and a panic message show.
pub(crate) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    // In a box, so that a program has what starts a thread once, and not 1 KB for every thread.
    let run: Box<dyn FnOnce() + Send> = Box::new(run);
    std::thread::Builder::new().name(name.to_owned()).stack_size(STACK.load(Ordering::Relaxed)).spawn(run)
}

/// Starts a thread that ends only when `run` returns: after a panic it begins anew.
pub(crate) fn keep_running(name: &str, run: impl Fn() + Send + 'static) -> io::Result<JoinHandle<()>> {
    spawn(name, move || {
        while catch_unwind(AssertUnwindSafe(&run)).is_err() {
            // A thread that panics at once must not take all of the processor.
            std::thread::sleep(Duration::from_millis(10));
        }
    })
}

/// Sets the stack of every thread, if [`THREAD_STACK`] is given. The HTTP library's threads can be told only by the
/// environment, which a process may not change for itself. So this one is replaced by itself in another environment, and keeps
/// its id and its descriptors.
///
/// # Errors
/// [`Failure::Usage`] if it is no number or out of range.
pub(super) fn set_stack(options: &Options) -> Result<(), Failure> {
    if !options.has(THREAD_STACK.long) {
        return Ok(());
    }
    let stack = (options.number(THREAD_STACK.long, STACK_KIB)? as usize) << 10;
    STACK.store(stack, Ordering::Relaxed);
    let value = stack.to_string();
    if std::env::var_os(STACK_VARIABLE).is_none_or(|set| set != *value) {
        let error = start_anew(STACK_VARIABLE, &value);
        warn!("the threads of connections keep a stack of their own size, for this program cannot start anew: {error}");
    }
    Ok(())
}

/// Replaces this process by the same program with the same arguments, where `variable` has this `value`. Returns only if that
/// fails.
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
