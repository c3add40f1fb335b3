//! `client send` sends a text, or the lines of standard input.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded, select};
use nix::sys::signal::Signal;

use super::super::api::MessageRate;
use super::super::event::Event;
use super::super::extras::Extras;
use super::super::locale::Locale;
use super::super::render::Style;
use super::super::threads::{InputLine, read_lines, start, stop_signals, without_line_break};
use super::super::view::{View, now};
use super::{join, report, write};
use crate::program::{Failure, Flag, Options, Subcommand};

/// The command, for the help.
pub(in crate::client) const COMMAND: Subcommand = Subcommand {
    name: "send",
    about: "Sends TEXT, or each line of standard input, and ends. Servers limit the messages of\n\
            one user: by default 50 at once, then 20 a second.",
    arguments: "[TEXT]",
    flags: &[
        Flag::value("to", "NAME", None, "Only to this user, in private."),
        Flag::switch("all", "To the whole room, even if the text begins with @."),
    ],
    examples: &[
        ("client send --user bot --room ops \"deployed\"", "sends and ends"),
        ("client send --user bot --room ops --to ana \"done\"", "only to ana"),
        ("make 2>&1 | client send --user bot --room ops --all", "each line"),
    ],
};

/// The time for the reply to a message, counted from when its rate limit allows the message.
const SENDING: Duration = Duration::from_secs(30);
/// The longest line that is read, in bytes. Servers take less.
const MAX_LINE: usize = 64 << 10;
/// The time before the progress is first shown on a terminal, and the interval after that.
const SILENCE: Duration = Duration::from_secs(2);
const PROGRESS: Duration = Duration::from_millis(500);

/// Sends `text`, or without a text each line of standard input, and ends. The first refusal ends it too, so that nothing after
/// it is sent.
///
/// # Errors
/// If the server cannot be reached, refuses a message, or does not reply in time. The error names the line.
pub(in crate::client) fn send(
    options: &Options,
    locale: &'static Locale,
    style: Style,
    text: &[String],
) -> Result<(), Failure> {
    let name: String = options.get("user")?;
    let recipient = options.text("to");
    if recipient.is_some() && options.has("all") {
        return Err(Failure::Usage("--to and --all cannot be combined".into()));
    }
    let stop = stop_signals(false)?;
    let is_addressed = recipient.is_some() || options.has("all");
    let (has_lines, text) = (text.is_empty(), text.join(" "));
    if !has_lines && text.trim().is_empty() {
        return Err(Failure::Usage("there is no text to send".into()));
    }
    if !is_addressed && begins_with_at(&text) {
        return Err(Failure::Usage(locale.addressed.into()));
    }
    let view = join(options, locale, style, Extras::default(), &name)?;
    let rate = view.session.message_rate().unwrap_or_default();
    let mut sending = Sending {
        view,
        stop,
        recipient,
        is_addressed,
        json: style.json,
        rate,
        is_utf8: true,
        sent: 0,
        progress: Progress::new(has_lines),
    };
    let outcome = if has_lines { sending.lines() } else { sending.one(&text) };
    sending.progress.clear();
    // Unconfirmed messages are not tried again.
    let _ = sending.view.session.close(Duration::ZERO);
    outcome.map_err(Failure::Failed)
}

fn begins_with_at(text: &str) -> bool {
    text.trim_start().starts_with('@')
}

struct Sending<'a> {
    view: View,
    stop: Receiver<Signal>,
    recipient: Option<&'a str>,
    is_addressed: bool,
    json: bool,
    rate: Option<MessageRate>,
    /// Cleared when a line was not UTF-8, which is said once.
    is_utf8: bool,
    sent: usize,
    progress: Progress,
}

impl Sending<'_> {
    /// Sends the lines of standard input, one after the other.
    fn lines(&mut self) -> Result<(), String> {
        let started = start("input", bounded(0), |lines| read_lines(&lines, MAX_LINE + 1));
        let lines = started.map_err(|failure| failure.to_string())?;
        let mut number = 0;
        while let Some(line) = self.next_line(&lines)? {
            number += 1;
            let line = line.map_err(|error| format!("cannot read standard input: {error}"))?;
            let sent = self.line(without_line_break(&line));
            sent.map_err(|error| (self.view.locale.line)(number, &error))?;
        }
        Ok(())
    }

    /// Waits for the next line. `None` at the end of the input.
    fn next_line(&mut self, lines: &Receiver<InputLine>) -> Result<Option<InputLine>, String> {
        loop {
            select! {
                recv(lines) -> line => return Ok(line.ok()),
                recv(self.view.events) -> event => match event.unwrap_or(Event::ENDED) {
                    Event::Ended { error } => return Err(self.view.locale.explain(&error)),
                    event => self.pass(&event),
                },
                recv(self.stop) -> _ => return Err(self.stopped()),
            }
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), String> {
        let locale = self.view.locale;
        if line.len() > MAX_LINE {
            return Err((locale.line_too_long)(MAX_LINE));
        }
        let text = String::from_utf8_lossy(line);
        if matches!(text, Cow::Owned(_)) && std::mem::take(&mut self.is_utf8) {
            self.progress.clear();
            report(&format!("client: {}\n", locale.not_utf8));
        }
        if text.trim().is_empty() {
            return Ok(());
        }
        if !self.is_addressed && begins_with_at(&text) {
            return Err(locale.addressed.to_owned());
        }
        self.one(&text)?;
        self.sent += 1;
        self.tell_progress();
        Ok(())
    }

    /// Handles an event that is not about a line. Messages of others are not shown.
    fn pass(&mut self, event: &Event) {
        if matches!(event, Event::Joined { .. }) {
            // The renderer has to know the room.
            self.view.renderer.event(event, now());
        }
    }

    /// Sends one text, and waits until the server has it.
    fn one(&mut self, text: &str) -> Result<(), String> {
        let locale = self.view.locale;
        self.view.session.send(text, self.recipient);
        // The session sends no faster than the server allows, so it may begin this much later.
        let interval = self.rate.map_or(Duration::ZERO, |rate| Duration::from_secs(1) / rate.per_second);
        let deadline = Instant::now() + interval + SENDING;
        loop {
            let event = select! {
                recv(self.view.events) -> event => event.unwrap_or(Event::ENDED),
                recv(self.stop) -> _ => return Err(self.stopped()),
                default(deadline.saturating_duration_since(Instant::now())) => {
                    return Err((locale.no_reply)(SENDING.as_secs()));
                }
            };
            match event {
                event @ Event::Confirmed(_) => {
                    if self.json {
                        // If nobody reads the output any more, the lines are still sent.
                        let _ = write(&self.view.renderer.event(&event, now()));
                    } else {
                        self.view.renderer.event(&event, now());
                    }
                    return Ok(());
                }
                Event::Refused { fault, .. } => return Err(locale.refusal(&fault)),
                Event::Ended { error } => return Err(locale.explain(&error)),
                event => self.pass(&event),
            }
            self.tell_progress();
        }
    }

    fn stopped(&self) -> String {
        (self.view.locale.stopped)(self.sent)
    }

    fn tell_progress(&mut self) {
        let rate = self.rate.map(|rate| rate.per_second);
        self.progress.tell(Instant::now(), || (self.view.locale.progress)(self.sent, rate));
    }
}

/// A line on the terminal about the progress.
struct Progress {
    /// The time to show it next; `None` if standard error is not a terminal.
    next: Option<Instant>,
    is_shown: bool,
}

impl Progress {
    fn new(has_lines: bool) -> Self {
        let is_seen = has_lines && io::stderr().is_terminal();
        Self { next: is_seen.then(|| Instant::now() + SILENCE), is_shown: false }
    }

    fn tell(&mut self, now: Instant, text: impl FnOnce() -> String) {
        if self.next.is_some_and(|next| now >= next) {
            self.next = Some(now + PROGRESS);
            self.is_shown = true;
            report(&format!("\r\x1b[K{}", text()));
        }
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.is_shown) {
            report("\r\x1b[K");
        }
    }
}
