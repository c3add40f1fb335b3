//! Everything beside the screen: a command for mentions, a log, and the file of read positions.

use std::fs::File;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::event::{Event, Message};
use super::locale::Locale;
use super::private::{StateFile, private};
use super::render::{ReadPosition, Rendered, Renderer};
use crate::program::{self, Failure, Options};

/// The option that names the command for mentions.
pub(super) const ON_MENTION: &str = "on-mention";
/// The option that names the log.
pub(super) const LOG: &str = "log";

/// The command and the log, if the options name them.
#[derive(Default)]
pub(super) struct Extras {
    notifier: Option<Notifier>,
    log: Option<File>,
}

impl Extras {
    /// Reads the options and opens the log.
    ///
    /// # Errors
    /// If the log cannot be written.
    pub(super) fn open(options: &Options) -> Result<Self, Failure> {
        let open = |path: &str| {
            // Nobody else may read private messages.
            private()
                .append(true)
                .open(path)
                .map_err(|error| Failure::while_doing(format_args!("cannot write {path}"), error))
        };
        Ok(Self {
            notifier: options.text(ON_MENTION).and_then(Notifier::new),
            log: options.text(LOG).map(open).transpose()?,
        })
    }

    /// Runs the command if a new message is for the user.
    pub(super) fn happened(&self, event: &Event, renderer: &Renderer) {
        if let (Event::Message(message), Some(notifier)) = (event, &self.notifier)
            && renderer.is_call(message)
        {
            notifier.run(message, renderer);
        }
    }

    /// Adds lines to the log. Returns a note for the user if that fails; from then on there is no log.
    pub(super) fn shown(&mut self, lines: &[Rendered], locale: &Locale) -> Option<String> {
        let file = self.log.as_mut()?;
        let text: String = lines.iter().map(|line| line.log.as_str()).collect();
        let error = file.write_all(text.as_bytes()).err()?;
        self.log = None;
        Some((locale.no_log)(&locale.translated(&error.to_string())))
    }
}

/// A command that is run when somebody mentions the user or writes privately.
struct Notifier {
    program: String,
    arguments: Vec<String>,
    is_running: Arc<AtomicBool>,
}

impl Notifier {
    /// Splits a command line at its spaces. No shell interprets it.
    fn new(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace().map(str::to_owned);
        Some(Self { program: words.next()?, arguments: words.collect(), is_running: Arc::default() })
    }

    /// Runs the command with the message in its environment, unless it is still running.
    fn run(&self, message: &Message, renderer: &Renderer) {
        if self.is_running.swap(true, Ordering::SeqCst) {
            return;
        }
        // The environment cannot hold zero bytes.
        let text = |text: &str| text.replace('\0', " ");
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.env_remove("CHAT_SECRET");
        command.env("CHAT_FROM", text(&message.origin)).env("CHAT_TEXT", text(&message.content));
        command.env("CHAT_ROOM", text(renderer.room().unwrap_or_default()));
        command.env("CHAT_PRIVATE", if message.destination.is_some() { "1" } else { "" });
        let is_running = Arc::clone(&self.is_running);
        let wait = move || {
            match command.spawn().and_then(|mut child| child.wait()) {
                Ok(status) if status.success() => {}
                Ok(status) => log::warn!("the command for mentions: {status}"),
                Err(error) => log::warn!("the command for mentions: {error}"),
            }
            is_running.store(false, Ordering::SeqCst);
        };
        if program::spawn("on-mention", wait).is_err() {
            self.is_running.store(false, Ordering::SeqCst);
        }
    }
}

/// Returns the file of read positions.
fn positions_file() -> StateFile {
    StateFile::find("read")
}

/// Returns the read positions at the end of the last client.
pub(super) fn load_positions() -> Vec<ReadPosition> {
    let position = |line: &str| {
        let mut parts = line.split('\t').map(str::to_owned);
        Some(ReadPosition { timestamp: parts.next()?, user: parts.next()?, room: parts.next()? })
    };
    positions_file().read().lines().filter_map(position).collect()
}

/// Keeps the read positions for the next client.
pub(super) fn save_positions(positions: &[ReadPosition]) {
    let is_line = |part: &str| !part.contains(['\t', '\n', '\r']);
    let parts = positions.iter().map(|position| [&*position.timestamp, &position.user, &position.room]);
    let lines = parts.filter(|parts| parts.iter().all(|part| is_line(part)));
    positions_file().replace(&lines.map(|parts| parts.join("\t") + "\n").collect::<String>());
}
