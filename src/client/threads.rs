//! Threads that wait for something, and send it to a channel.

use std::io::{self, BufRead as _, Read as _};

use crossbeam_channel::{Receiver, Sender, unbounded};
use nix::sys::signal::Signal;

use crate::program::{self, Failure};

/// Starts a thread that sends to `channel`. Returns its other end, which is disconnected when the thread ends.
pub(super) fn start<T: Send + 'static>(
    name: &str,
    channel: (Sender<T>, Receiver<T>),
    work: impl FnOnce(Sender<T>) + Send + 'static,
) -> Result<Receiver<T>, Failure> {
    let (sender, receiver) = channel;
    program::spawn(name, move || work(sender)).map_err(|error| Failure::while_doing("cannot start", error))?;
    Ok(receiver)
}

/// Returns a channel with the signals that end a client. A second one ends the process at once, even if its output is stuck.
/// If the client `asks` before it leaves, Ctrl-C does not count. Call before starting threads.
pub(super) fn stop_signals(asks: bool) -> Result<Receiver<Signal>, Failure> {
    let signals = program::stop_signals();
    signals.thread_block().map_err(|error| Failure::while_doing("cannot wait for signals", error))?;
    start("signals", unbounded(), move |sender| {
        while let Ok(signal) = signals.wait() {
            let _ = sender.send(signal);
            if !asks || signal != Signal::SIGINT {
                program::end_at_next_signal(|| {});
            }
        }
    })
}

/// A line of standard input, with its line break.
pub(super) type InputLine = io::Result<Vec<u8>>;

/// Reads the lines of standard input, no further than necessary. Longer ones than `most` bytes come in parts.
pub(super) fn read_lines(lines: &Sender<InputLine>, most: usize) {
    let mut input = io::stdin().lock();
    loop {
        let mut line = Vec::new();
        let outcome = input.by_ref().take(most as u64).read_until(b'\n', &mut line);
        if matches!(outcome, Ok(0)) || lines.send(outcome.map(|_| line)).is_err() {
            return;
        }
    }
}

/// Returns a line without its line break, in the form of any system.
pub(super) fn without_line_break(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
