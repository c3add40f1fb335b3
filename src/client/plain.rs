//! The plain mode: commands line by line, and nothing is ever redrawn. With standard input not a terminal, standard output
//! carries messages only; everything else goes to standard error.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use chrono::{Local, NaiveDateTime};
use crossbeam_channel::{Receiver, bounded, never, select, unbounded};
use nix::sys::signal::{SigSet, Signal};

use super::conversation::{self, Screen};
use super::event::Event;
use super::extras::{self, Extras};
use super::locale::Locale;
use super::render::{Rendered, Renderer, Style, sanitized};
use super::session::{Session, SessionError};
use crate::program::{self, Failure, Options};

/// How long the end of input waits for what was typed to be sent.
const AT_END_OF_INPUT: Duration = Duration::from_secs(15);
/// How long a signal waits for it.
pub(super) const SIGNAL_TIMEOUT: Duration = Duration::from_millis(500);

/// The time for a second Ctrl-C, which leaves.
pub(super) const SECOND_INTERRUPT: Duration = Duration::from_secs(2);

/// Runs the client until the end of input, `exit`, or a signal.
///
/// # Errors
/// [`Failure::Failed`] if the server cannot be reached, or something could not be sent.
pub(super) fn run(options: &Options, locale: &'static Locale, style: Style) -> Result<(), Failure> {
    let is_terminal = std::io::stdin().is_terminal();
    let signals = receive_signals(is_terminal)?;
    let extras = Extras::open(options)?;
    let is_host = Arc::default();
    let (session, events) = Session::start(super::setup(options, &is_host)?)?;
    let mut console = Console {
        session,
        events,
        lines: read_lines()?,
        signals,
        extras,
        is_host,
        interrupted: None,
        locale,
        renderer: Renderer::new(locale, style, "", now()),
        is_terminal,
        is_prompted: false,
        end: None,
        refused: 0,
    };
    if is_terminal {
        console.renderer.remember(extras::load_positions());
        console.renderer.active(now());
    }
    let outcome = conversation::run(&mut console, locale, options);
    outcome.and(console.close())
}

/// Returns the local time.
pub(super) fn now() -> NaiveDateTime {
    Local::now().naive_local()
}

/// Returns the lines of standard input; disconnected at its end.
fn read_lines() -> Result<Receiver<String>, Failure> {
    let (sender, lines) = bounded(0);
    let read = move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    };
    program::spawn("input", read).map_err(|error| Failure::while_doing("cannot start", error))?;
    Ok(lines)
}

/// Returns the signals that end the client, or from the keyboard of a terminal perhaps only a question. A second one that ends
/// it does so at once. Call before starting threads.
fn receive_signals(is_terminal: bool) -> Result<Receiver<Signal>, Failure> {
    let signals: SigSet = [Signal::SIGTERM, Signal::SIGINT].into_iter().collect();
    signals.thread_block().map_err(|error| Failure::while_doing("cannot wait for signals", error))?;
    let (sender, receiver) = unbounded();
    let receive = move || {
        while let Ok(signal) = signals.wait() {
            let _ = sender.send(signal);
            if !is_terminal || signal != Signal::SIGINT {
                program::end_at_next_signal(|| {});
            }
        }
    };
    program::spawn("signals", receive).map_err(|error| Failure::while_doing("cannot start", error))?;
    Ok(receiver)
}

/// Returns a channel that is disconnected at the first SIGTERM or SIGINT; the second one ends the process at once, whatever its output does. Call before
/// starting threads.
pub(super) fn stop_signal() -> Result<Receiver<()>, Failure> {
    let wait = program::on_stop_signal()?;
    let (sender, receiver) = unbounded();
    let wait = move || {
        wait();
        drop(sender);
        program::end_at_next_signal(|| {});
    };
    program::spawn("signals", wait).map_err(|error| Failure::while_doing("cannot start", error))?;
    Ok(receiver)
}

/// The reason why there are no more lines.
enum End {
    OfInput,
    Signal,
    Session(String),
}

struct Console {
    session: Session,
    events: Receiver<Event>,
    lines: Receiver<String>,
    signals: Receiver<Signal>,
    extras: Extras,
    /// Set while the chat server runs in this process.
    is_host: Arc<AtomicBool>,
    /// When Ctrl-C was pressed last.
    interrupted: Option<Instant>,
    locale: &'static Locale,
    renderer: Renderer,
    is_terminal: bool,
    /// If set, the line that the cursor is in begins with a prompt.
    is_prompted: bool,
    end: Option<End>,
    /// Messages that the server refused.
    refused: usize,
}

impl Screen for Console {
    fn session(&self) -> &Session {
        &self.session
    }

    fn is_interactive(&self) -> bool {
        self.is_terminal
    }

    fn read(&mut self) -> Option<String> {
        self.read_line(None)
    }

    fn ask(&mut self, question: &str) -> Option<String> {
        self.read_line(Some(question))
    }

    fn show(&mut self, make: &mut dyn FnMut(&mut Renderer) -> Vec<Rendered>) {
        self.catch_up();
        let shown = make(&mut self.renderer);
        self.write(&shown);
    }

    fn renderer(&mut self) -> &mut Renderer {
        self.catch_up();
        &mut self.renderer
    }

    /// On a terminal the line stands on the screen, and cannot be put into a prompt.
    fn give_back(&mut self, line: &str) {
        if !self.is_terminal {
            self.refused += 1;
            let shown = self.renderer.unsent(line);
            self.write(&[shown]);
        }
    }

    fn send(&mut self, text: &str, to: Option<&str>) {
        self.session.send(text, to);
    }
}

impl Console {
    /// Reads a line, or the answer to a question, and shows what happens meanwhile.
    fn read_line(&mut self, question: Option<&str>) -> Option<String> {
        if self.end.is_some() {
            return None;
        }
        let prompt = |renderer: &Renderer| question.map_or_else(|| renderer.prompt().0, str::to_owned);
        self.prompt(prompt);
        loop {
            select! {
                recv(self.events) -> event => match event {
                    Ok(Event::Ended { cause }) => {
                        self.end = Some(End::Session(cause));
                        return None;
                    }
                    Ok(event) => {
                        if self.happened(&event) {
                            self.prompt(prompt);
                        }
                    }
                    Err(_) => self.events = never(),
                },
                recv(self.lines) -> line => {
                    self.is_prompted = false;
                    if self.is_terminal {
                        self.renderer.active(now());
                    }
                    if line.is_err() {
                        self.end = Some(End::OfInput);
                    }
                    return line.ok();
                }
                recv(self.signals) -> signal => {
                    let is_interrupt = self.is_terminal && signal == Ok(Signal::SIGINT);
                    if is_interrupt && question.is_some() {
                        return None;
                    }
                    if !is_interrupt || self.interrupted.is_some_and(|at| at.elapsed() < SECOND_INTERRUPT) {
                        self.end = Some(End::Signal);
                        return None;
                    }
                    self.interrupted = Some(Instant::now());
                    let text = conversation::before_leaving(self.locale, &self.renderer, &self.is_host);
                    let line = self.renderer.note(&text);
                    self.write(&[line]);
                    self.prompt(prompt);
                }
            }
        }
    }

    /// Shows what has happened up to now.
    fn catch_up(&mut self) {
        while let Some(event) = self.next_event() {
            self.happened(&event);
        }
    }

    /// Returns the next event, unless it is the end.
    fn next_event(&mut self) -> Option<Event> {
        match self.events.try_recv().ok()? {
            Event::Ended { cause } => {
                self.end = Some(End::Session(cause));
                None
            }
            event => Some(event),
        }
    }

    /// Shows an event. Returns whether there was something to show.
    fn happened(&mut self, event: &Event) -> bool {
        self.refused += usize::from(matches!(event, Event::Refused { .. }));
        self.extras.happened(event, &self.renderer);
        let shown = self.renderer.event(event, now());
        self.write(&shown);
        !shown.is_empty()
    }

    /// Writes lines. An output that its reader has closed ends nothing here.
    fn write(&mut self, shown: &[Rendered]) {
        if let Some(error) = self.extras.shown(shown) {
            let note = (self.locale.no_log)(&self.locale.translated(&error.to_string()));
            let line = self.renderer.note(&note);
            self.write(&[line]);
        }
        for Rendered { text, is_message, .. } in shown {
            // On a terminal the prompt stands in the line, perhaps with something typed.
            let start = if std::mem::take(&mut self.is_prompted) { "\n" } else { "" };
            let text = format!("{start}{text}");
            let _ = if *is_message || self.is_terminal {
                program::print(&text).is_ok()
            } else {
                std::io::stderr().lock().write_all(text.as_bytes()).is_ok()
            };
        }
    }

    fn prompt(&mut self, prompt: impl FnOnce(&Renderer) -> String) {
        if self.is_terminal {
            self.is_prompted = program::print(&prompt(&self.renderer)).is_ok();
        }
    }

    /// Sends what was typed, as long as the reason to end allows, and unregisters.
    fn close(mut self) -> Result<(), Failure> {
        let patience = if matches!(self.end, Some(End::Signal)) { SIGNAL_TIMEOUT } else { AT_END_OF_INPUT };
        let unsent = match self.session.close(patience) {
            Err(SessionError::Ended) => Vec::new(),
            closed => closed.map_err(|error| Failure::Failed(conversation::explain(self.locale, &error)))?,
        };
        self.catch_up();
        if self.is_terminal {
            extras::save_positions(self.renderer.positions());
        }
        for text in &unsent {
            let shown = self.renderer.unsent(text);
            self.write(&[shown]);
        }
        match &self.end {
            Some(End::Session(cause)) => Err(Failure::Failed(self.locale.translated(&sanitized(cause)))),
            _ if !self.is_terminal && unsent.len() + self.refused > 0 => {
                Err(Failure::Failed((self.locale.unsent_count)(unsent.len() + self.refused)))
            }
            _ => Ok(()),
        }
    }
}
