//! The common parts of the three programs: the command line, the log, the signals, and how they end.

pub mod options;
pub(crate) mod service_manager;
pub(crate) mod thread;

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use backtrace::Backtrace;
use chrono::Utc;
use log::{LevelFilter, Log, Metadata, Record, debug};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal, raise};
use simple_logger::SimpleLogger;

pub use options::{Flag, HelpWords, Options, Program, Subcommand};
pub(crate) use thread::{keep_running, spawn};

use crate::stamp::Stamp;

/// musl's allocator holds one lock for long, and every thread waits for it.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// The failure of a program.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// The command line is wrong: exit code 2.
    Usage(String),
    /// The work could not be done: exit code 1.
    Failed(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::Failed(text) => formatter.write_str(text),
        }
    }
}

impl std::error::Error for Failure {}

impl Failure {
    /// Returns the failure of what was done (`doing`).
    pub fn while_doing(doing: impl fmt::Display, error: impl fmt::Display) -> Self {
        Self::Failed(format!("{doing}: {error}"))
    }
}

/// Runs `program`: replies to `--help` and `--version` itself, sets up the log, and turns a failure into one line on standard
/// error and an exit code.
pub fn run(program: &Program, work: impl FnOnce(&Options) -> Result<(), Failure>) -> ExitCode {
    let (mut options, parsed) = Options::read(program, std::env::args_os().skip(1));
    let outcome = parsed.and_then(|()| {
        if let Some(text) = options.answer(program) {
            print(&text)?;
            return Ok(());
        }
        options.read_config(program)?;
        start_log(log_level(&options)?)?;
        log_panics();
        thread::set_stack(&options)?;
        work(&options)
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let words = (program.words)(&options);
            let text = (words.translated)(&failure.to_string());
            let hint =
                if matches!(failure, Failure::Usage(_)) { (words.see_help)(program.name) } else { String::new() };
            let _ = writeln!(std::io::stderr(), "{}: {text}{hint}", program.name);
            ExitCode::from(if matches!(failure, Failure::Usage(_)) { 2 } else { 1 })
        }
    }
}

/// Prints to standard output, at once.
///
/// # Errors
/// If standard output is closed.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Failure::while_doing("cannot write to standard output", error))
}

/// Returns the directory of this project in the one that `variable` names, or else in `default` in the user's home (XDG Base
/// Directory Specification).
#[must_use]
pub fn user_directory(variable: &str, default: &str) -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute(variable).or_else(|| Some(absolute("HOME")?.join(default)))?;
    Some(base.join("chat-rpc"))
}

fn log_level(options: &Options) -> Result<LevelFilter, Failure> {
    let text = options.text("log-level").unwrap_or_default();
    let wrong = |_| Failure::Usage(format!("--log-level {text:?} must be off, error, warn, info, debug or trace"));
    text.parse().map_err(wrong)
}

fn start_log(level: LevelFilter) -> Result<(), Failure> {
    log::set_logger(Box::leak(Box::new(Ours(SimpleLogger::new().with_level(level)))))
        .map_err(|error| Failure::while_doing("cannot set up the log", error))?;
    log::set_max_level(level);
    Ok(())
}

/// The simple logger for what this project says, with the time in UTC before each message. Its own time stamps add 50 KB to a
/// program.
struct Ours(SimpleLogger);

impl Log for Ours {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // The libraries' own messages can carry what a peer sent, unescaped; ours say what matters of it.
        let origin = metadata.target().split("::").next().unwrap_or_default();
        ["chat_rpc", "server", "binder", "client"].contains(&origin) && self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let now = Stamp(Utc::now().naive_utc());
            let (metadata, module) = (record.metadata().clone(), record.module_path());
            let message = record.args();
            self.0.log(
                &Record::builder().metadata(metadata).module_path(module).args(format_args!("{now} {message}")).build(),
            );
        }
    }

    fn flush(&self) {
        self.0.flush();
    }
}

/// Raises the soft limit of open files to `wanted`, at most to the hard limit. The usual 1,024 are for programs that use `select`.
pub fn allow_descriptors(wanted: u64) {
    let limit = Resource::RLIMIT_NOFILE;
    if let Err(error) = getrlimit(limit).and_then(|(soft, hard)| setrlimit(limit, wanted.min(hard).max(soft), hard)) {
        debug!("the limit of open files stays as it is: {error}");
    }
}

static PANICS: AtomicU64 = AtomicU64::new(0);

/// Returns how many panics there were since [`log_panics`].
pub(crate) fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// Sends every panic to the log, with a backtrace: addresses, and their names in a debug build. What is shipped is
/// stripped; there `addr2line` tells the names, given a program of the same version that is not.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        let thread = std::thread::current();
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        let mut trace = Backtrace::new_unresolved();
        if cfg!(debug_assertions) {
            trace.resolve();
        }
        let mut lines = String::new();
        for frame in trace.frames() {
            let _ = write!(lines, "\n  at {:p}", frame.ip());
            // The code that writes a name is 15 KB.
            if cfg!(debug_assertions)
                && let Some(name) = frame.symbols().first().and_then(|symbol| symbol.name())
            {
                let _ = write!(lines, " {name}");
            }
        }
        log::error!(
            "thread {} panicked at {place}: {}{lines}",
            thread.name().unwrap_or("without a name"),
            panic.payload_as_str().unwrap_or("no message")
        );
    }));
}

/// Prints the ready line with `address`, and returns when `stopped` does. The service manager is told of both.
///
/// # Errors
/// If standard output is closed.
pub fn serve_until(stopped: impl FnOnce(), program: &Program, address: SocketAddr) -> Result<(), Failure> {
    print(&format!("{} listening on {address}\n", program.name))?;
    service_manager::notify(service_manager::READY);
    service_manager::keep_watch(address);
    stopped();
    service_manager::notify(service_manager::STOPPING);
    Ok(())
}

/// Blocks the signals that end a program; the returned function waits for one. Call before starting threads, which inherit the mask.
///
/// # Errors
/// If the system refuses.
pub fn on_stop_signal() -> Result<impl FnOnce() + Send, Failure> {
    let signals = stop_signals();
    signals.thread_block().map_err(|error| Failure::while_doing("cannot wait for signals", error))?;
    Ok(move || while signals.wait().is_err() {})
}

/// Waits for a further signal that ends the program, calls `last`, and lets it end the process at once, whatever its other threads
/// do. For a thread of its own, after [`on_stop_signal`].
pub fn end_at_next_signal(last: impl FnOnce()) {
    let signals = stop_signals();
    if let Ok(signal) = signals.wait() {
        last();
        let _ = signals.thread_unblock().and_then(|()| raise(signal));
    }
}

/// Returns the signals that end a program: SIGTERM, SIGINT, and SIGHUP of a terminal that is closed, unless the program was
/// started to outlive it (`nohup`).
#[must_use]
pub fn stop_signals() -> SigSet {
    let mut signals: SigSet = [Signal::SIGTERM, Signal::SIGINT].into_iter().collect();
    if !is_ignored(Signal::SIGHUP) {
        signals.add(Signal::SIGHUP);
    }
    signals
}

/// Returns whether the program was started with `signal` ignored.
fn is_ignored(signal: Signal) -> bool {
    let ignored = own_status("SigIgn").and_then(|mask| u64::from_str_radix(&mask, 16).ok()).unwrap_or_default();
    ignored >> (signal as i32 - 1) & 1 == 1
}

/// Returns the first word of a line of `/proc/self/status`; `None` where the system does not say.
pub(crate) fn own_status(name: &str) -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next().map(str::to_owned)
}
