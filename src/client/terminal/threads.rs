//! The threads that read keys and signals.

use std::io::Read as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

use super::keys::{Decoder, Key};
use super::modes::Modes;
use crate::client::view::SECOND_INTERRUPT;

/// The time after a signal in which the program ends, even if it is stuck.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads keys until the terminal is gone. Pressing Ctrl-C twice ends the client even while it waits for a server and takes no
/// keys.
pub(super) fn read_keys(keys: &Sender<Key>, is_reading: &AtomicBool) {
    let mut interrupted: Option<Instant> = None;
    let mut decoder = Decoder::default();
    let mut bytes = [0; 1024];
    let mut input = std::io::stdin().lock();
    while let Ok(count @ 1..) = input.read(&mut bytes) {
        for key in bytes.iter().take(count).filter_map(|byte| decoder.feed(*byte)) {
            if key == Key::Char('\x03') {
                let is_second = interrupted.is_some_and(|at| at.elapsed() < SECOND_INTERRUPT);
                if is_second && !is_reading.load(Ordering::Relaxed) {
                    let _ = kill(Pid::this(), Signal::SIGINT);
                }
                interrupted = Some(Instant::now());
            }
            if keys.send(key).is_err() {
                return;
            }
        }
    }
}

/// Passes signals on. After a signal to end, the program ends soon, even if it waits for the server.
pub(super) fn watch_signals(signals: &SigSet, sender: &Sender<Signal>, modes: &Modes) {
    loop {
        let Ok(signal) = signals.wait() else { continue };
        let _ = sender.send(signal);
        if signal != Signal::SIGWINCH {
            std::thread::sleep(END_TIMEOUT);
            modes.restore();
            std::process::exit(0);
        }
    }
}
