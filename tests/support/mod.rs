//! The common parts of the tests of whole programs: starting one, talking to it, and showing all of it when a test fails.

// Every test file compiles its own copy of this module, and none uses all of it.
#![allow(dead_code, unreachable_pub)]
// A failure here fails the test, as it should.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

pub mod engine;
pub mod events;
pub mod home;
pub mod http;
pub mod lan;
pub mod peer;
pub mod procfs;
pub mod relay;
pub mod scene;
pub mod shared;
pub mod tools;

use std::env;
use std::ffi::OsStr;
use std::fmt::Debug;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use chat_rpc::rpc::{Client, Value};
use chrono::Local;

/// The time to wait for what should come at once: long enough for a busy machine, and only ever used up by a failure.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// The command of a program, to which arguments are added.
pub type CommandLine<'a> = &'a [&'a str];

/// Our binder.
pub const BINDER: CommandLine = &[env!("CARGO_BIN_EXE_binder")];
/// Our chat server.
pub const SERVER: CommandLine = &[env!("CARGO_BIN_EXE_server")];
/// Our terminal client.
pub const CLIENT: CommandLine = &[env!("CARGO_BIN_EXE_client")];

/// The variable that names a directory with other builds of our programs, to be tested in place of those that Cargo has made,
/// for example static ones.
pub const PROGRAMS: &str = "TEST_PROGRAMS";
/// The variable with the command that runs those, for example an emulator of another processor.
pub const RUNNER: &str = "TEST_RUNNER";

/// Puts those programs in the place of ours in a command.
fn in_place(line: CommandLine) -> Vec<String> {
    let Some(directory) = env::var_os(PROGRAMS) else { return line.iter().map(ToString::to_string).collect() };
    let runner = env::var(RUNNER).unwrap_or_default();
    let words = line.iter().flat_map(|&word| {
        let Some(name) = Path::new(word).file_name().filter(|_| [BINDER, SERVER, CLIENT].contains(&&[word][..])) else {
            return vec![word.to_owned()];
        };
        let program = Path::new(&directory).join(name).to_string_lossy().into_owned();
        runner.split_whitespace().map(str::to_owned).chain([program]).collect()
    });
    words.collect()
}

const ORIGINAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/original/original.py");
/// The binder of the original project.
pub const ORIGINAL_BINDER: CommandLine = &["python3", ORIGINAL, "binder"];
/// The chat server of the original project.
pub const ORIGINAL_SERVER: CommandLine = &["python3", ORIGINAL, "server"];
/// The client of the original project.
pub const ORIGINAL_CLIENT: CommandLine = &["python3", ORIGINAL, "client"];

/// A listening address on a port that the system chooses.
pub const ANY_PORT: &str = "127.0.0.1:0";

/// A running program, killed when dropped. If the test is failing by then, its command, status and both streams are
/// printed.
pub struct Process {
    command: Command,
    child: Child,
    stdin: Option<ChildStdin>,
    /// Its standard output so far.
    pub stdout: Output,
    /// Its standard error so far.
    pub stderr: Output,
    address: Option<String>,
}

impl Process {
    /// Starts a program whose standard input stays open until [`Process::end_input`].
    #[track_caller]
    pub fn start(line: CommandLine, arguments: &[impl AsRef<OsStr>]) -> Self {
        Self::start_with(Stdio::piped(), line, arguments)
    }

    /// Starts a program with this as its standard input.
    #[track_caller]
    pub fn start_with(stdin: Stdio, line: CommandLine, arguments: &[impl AsRef<OsStr>]) -> Self {
        let line = in_place(line);
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]).args(arguments);
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let stdin = child.stdin.take();
        let stdout = Output::capture(child.stdout.take());
        let stderr = Output::capture(child.stderr.take());
        Self { command, child, stdin, stdout, stderr, address: None }
    }

    /// Starts a program that listens and waits for its line `… listening on HOST:PORT`.
    #[track_caller]
    pub fn serve(line: CommandLine, arguments: &[impl AsRef<OsStr>]) -> Self {
        Self::start(line, arguments).ready()
    }

    /// Waits for its line `… listening on HOST:PORT`.
    #[track_caller]
    pub fn ready(mut self) -> Self {
        const READY: &str = " listening on ";
        let ready = self.stdout.wait_for_line(READY, TIMEOUT);
        self.address = ready.split_once(READY).map(|(_, address)| address.trim().to_owned());
        self
    }

    /// Returns `HOST:PORT` from the ready line.
    #[track_caller]
    pub fn address(&self) -> &str {
        self.address.as_deref().expect("only a program started by `serve` has an address")
    }

    /// Returns its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes a line to its standard input.
    #[track_caller]
    pub fn send_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("its input has been ended");
        writeln!(stdin, "{line}")
            .and_then(|()| stdin.flush())
            .unwrap_or_else(|error| panic!("sending {line:?}: {error}"));
    }

    /// Ends its standard input.
    pub fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Sends it the signal `name`, such as `TERM`.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        // The shell has `kill` built in, and a child that has not been reaped keeps its id.
        let script = format!("kill -{name} {}", self.id());
        let status = Command::new("sh").args(["-c", &script]).status().expect("sh runs");
        assert!(status.success(), "{script} failed with {status}");
    }

    /// Kills it with SIGKILL and waits until it is gone.
    pub fn kill(&mut self) {
        // An error means that it has ended and been reaped by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.stdout.finish();
        self.stderr.finish();
    }

    /// Waits until it ends by itself; afterwards both streams are complete.
    #[track_caller]
    pub fn wait_exit(&mut self, timeout: Duration) -> ExitStatus {
        let mut status = None;
        eventually("the program ends", timeout, || {
            status = self.child.try_wait().expect("a child can be waited for");
            status.is_some()
        });
        self.stdout.finish();
        self.stderr.finish();
        status.expect("`eventually` returns only once there is a status")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let status = self.child.try_wait();
        self.kill();
        if thread::panicking() {
            let status = match status {
                Ok(Some(status)) => status.to_string(),
                Ok(None) => "still running".to_owned(),
                Err(error) => error.to_string(),
            };
            let (stdout, stderr) = (self.stdout.lines().join("\n"), self.stderr.lines().join("\n"));
            eprintln!("--- {:?}\nstatus: {status}\nstdout:\n{stdout}\nstderr:\n{stderr}\n---", self.command);
        }
    }
}

/// The lines of one output stream of a program, as they come.
pub struct Output {
    shared: Arc<(Mutex<Written>, Condvar)>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Written {
    lines: Vec<String>,
    ended: bool,
}

impl Output {
    fn capture(stream: Option<impl Read + Send + 'static>) -> Self {
        let mut stream = BufReader::new(stream.expect("the stream is piped"));
        let shared = Arc::new((Mutex::new(Written::default()), Condvar::new()));
        let writer = Arc::clone(&shared);
        let reader = thread::spawn(move || {
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                let text = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
                lock(&writer.0).lines.push(text);
                writer.1.notify_all();
                line.clear();
            }
            lock(&writer.0).ended = true;
            writer.1.notify_all();
        });
        Self { shared, reader: Some(reader) }
    }

    /// Returns all lines so far.
    pub fn lines(&self) -> Vec<String> {
        lock(&self.shared.0).lines.clone()
    }

    /// Returns the first line, written already or yet to come, that contains `text`.
    #[track_caller]
    pub fn wait_for_line(&self, text: &str, timeout: Duration) -> String {
        self.wait_for(text, timeout, |lines| lines.iter().find(|line| line.contains(text)).cloned())
    }

    /// Returns what `find` finds in all lines so far; it is asked again after every new line. Fails when `timeout` is over or
    /// the stream has ended; `what` then says what was missing.
    #[track_caller]
    pub fn wait_for<T>(&self, what: impl Debug, timeout: Duration, mut find: impl FnMut(&[String]) -> Option<T>) -> T {
        let deadline = Instant::now() + timeout;
        let (written, changed) = &*self.shared;
        let mut written = lock(written);
        loop {
            if let Some(found) = find(&written.lines) {
                return found;
            }
            assert!(!written.ended, "the stream ended without {what:?}");
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no {what:?} within {timeout:?}");
            written = changed.wait_timeout(written, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn finish(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader does not panic");
        }
    }
}

/// A failed wait poisons the mutex, and what was written is still to be shown.
fn lock(written: &Mutex<Written>) -> MutexGuard<'_, Written> {
    written.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a chat server that no binder knows, on a port of its own.
#[track_caller]
pub fn server(options: &[&str]) -> Process {
    Process::serve(SERVER, &[&["--listen", ANY_PORT, "--no-binder"], options].concat())
}

/// Starts a chat server that registers itself at `binder`.
#[track_caller]
pub fn server_at(binder: &Process, options: &[&str]) -> Process {
    Process::serve(SERVER, &[&["--listen", ANY_PORT, "--binder", binder.address()], options].concat())
}

/// Starts a binder on a port of its own.
#[track_caller]
pub fn binder(options: &[&str]) -> Process {
    Process::serve(BINDER, &[&["--listen", ANY_PORT], options].concat())
}

/// Waits until the binder at `address` knows a chat server.
#[track_caller]
pub fn wait_for_a_server(address: &str) {
    let binder = Client::new(address);
    eventually("the server is registered", TIMEOUT, || {
        binder.call("lookup_procedure", &["send_message".into()]).is_ok_and(|found| found != Value::Nil)
    });
}

/// Waits until the clock shows another second, because a client of the original shows no two messages of the same one.
pub fn wait_for_the_next_second() {
    let start = Local::now().timestamp();
    eventually("the clock goes on", TIMEOUT, || Local::now().timestamp() > start);
}

/// Starts a client of the original project and registers `name`.
#[track_caller]
pub fn original_client(binder: &Process, name: &str) -> Process {
    let mut client = Process::start(ORIGINAL_CLIENT, &["--binder", binder.address()]);
    client.send_line(name);
    client.stdout.wait_for_line(&format!("User {name} registered"), TIMEOUT);
    client
}

/// Writes lines to a program's standard input.
pub fn send_lines(client: &mut Process, lines: &[&str]) {
    lines.iter().for_each(|line| client.send_line(line));
}

/// Runs a Python script to its end, asserts that it succeeded, and returns its output.
#[track_caller]
pub fn python(script: &str, arguments: &[impl AsRef<OsStr>]) -> String {
    let mut program = Process::start(&["python3", "-"], arguments);
    program.send_line(script);
    program.end_input();
    let status = program.wait_exit(TIMEOUT);
    assert!(status.success(), "the Python script failed with {status}");
    program.stdout.lines().join("\n")
}

/// Polls until `condition` holds. Panics after `timeout` with `what`, which names the condition.
#[track_caller]
pub fn eventually(what: &str, timeout: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + timeout;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {timeout:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
