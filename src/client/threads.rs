//! Threads that wait for something, and send it to a channel.

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
