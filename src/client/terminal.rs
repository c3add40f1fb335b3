//! The client on a terminal: a line editor, above which messages appear.
//!
//! One thread writes to the screen: it takes keys, events and signals from their channels. The prompt with the line that is being
//! typed is always the last thing on the screen; to show something, the thread takes the prompt away and paints it again below.

mod complete;
mod editor;
mod history;
mod keys;
mod modes;
mod prompt;
mod screen;
mod threads;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, never, select};
use nix::sys::signal::{SigSet, Signal, raise};

use super::command::{self, Command, Line, parse};
use super::conversation::{self, Screen};
use super::event::Event;
use super::extras::{self, Extras};
use super::locale::Locale;
use super::plain::{SECOND_INTERRUPT, SIGNAL_TIMEOUT, now};
use super::render::{Rendered, Renderer, Style, sanitized};
use super::session::Session;
use crate::program::{Failure, Options};
use editor::{Action, Editor};
use history::History;
use keys::Key;
use modes::{Modes, size, write};
use prompt::Prompt;
use threads::{read_keys, start, watch_signals};

/// How long sending waits before the prompt returns, so that a message refused at once reappears in it.
const SEND_TIMEOUT: Duration = Duration::from_millis(300);
/// How long leaving waits for typed messages to be sent.
const EXIT_TIMEOUT: Duration = Duration::from_secs(3);

/// Runs the client until the user leaves, or a signal.
///
/// # Errors
/// [`Failure::Failed`] if the server cannot be reached.
pub(super) fn run(options: &Options, locale: &'static Locale, style: Style) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::while_doing("cannot use the terminal", error);
    let signals: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGWINCH].into_iter().collect();
    // Before there are threads, which inherit it.
    signals.thread_block().map_err(|error| failed(&error))?;
    let modes = Modes::set().map_err(|error| failed(&error))?;
    let _restored = Restored(modes.clone());
    if !options.has("log-level") {
        // Log lines would stand in the line that is being typed.
        log::set_max_level(log::LevelFilter::Off);
    }
    let extras = Extras::open(options)?;
    let is_host = Arc::default();
    let is_busy = Arc::new(AtomicBool::new(true));
    let (session, events) = Session::start(super::setup(options, &is_host)?)?;
    let (history, lines) = History::load();
    let mut terminal = Terminal {
        session: Arc::new(session),
        events,
        keys: {
            let is_busy = Arc::clone(&is_busy);
            start("keys", move |sender| read_keys(&sender, &is_busy))?
        },
        signals: {
            let modes = modes.clone();
            start("signals", move |sender| watch_signals(&signals, &sender, &modes))?
        },
        typed_ahead: VecDeque::new(),
        renderer: Renderer::new(locale, style, "", now()),
        locale,
        modes,
        extras,
        is_host,
        editor: Editor::new(lines),
        history,
        prompt: Prompt::default(),
        question: None,
        is_reading: false,
        is_busy,
        given_back: None,
        answers: true,
        interrupted: None,
        is_away: false,
        end: None,
    };
    terminal.renderer.resize(Some(size()));
    terminal.renderer.remember(extras::load_positions());
    terminal.renderer.active(now());
    let outcome = conversation::run(&mut terminal, locale, options);
    outcome.and(terminal.close())
}

/// The modes that the terminal gets back at the end.
struct Restored(Modes);

impl Drop for Restored {
    fn drop(&mut self) {
        self.0.restore();
    }
}

/// The reason why there are no more lines.
enum End {
    /// The user leaves, or the terminal is gone.
    User,
    Signal,
    Session(String),
}

/// Something that comes while the user types.
enum Input {
    Key(Key),
    Event(Event),
    Signal(Signal),
    /// The terminal is gone.
    Gone,
}

struct Terminal {
    session: Arc<Session>,
    events: Receiver<Event>,
    keys: Receiver<Key>,
    signals: Receiver<Signal>,
    /// Keys that came while the terminal was asked for something.
    typed_ahead: VecDeque<Key>,
    renderer: Renderer,
    locale: &'static Locale,
    modes: Modes,
    extras: Extras,
    /// Set while the chat server runs in this process.
    is_host: Arc<AtomicBool>,
    editor: Editor,
    history: History,
    prompt: Prompt,
    /// The question that is asked, if one is.
    question: Option<String>,
    /// If set, the prompt is on the screen.
    is_reading: bool,
    /// Set while nobody takes keys, because a call waits for the server.
    is_busy: Arc<AtomicBool>,
    /// A line to be in the next prompt.
    given_back: Option<String>,
    /// Cleared once the terminal has not said where its cursor is.
    answers: bool,
    /// When Ctrl-C was pressed last in an empty line.
    interrupted: Option<Instant>,
    /// If set, there is no connection.
    is_away: bool,
    end: Option<End>,
}

impl Screen for Terminal {
    fn session(&self) -> &Session {
        &self.session
    }

    fn is_interactive(&self) -> bool {
        true
    }

    fn read(&mut self) -> Option<String> {
        let line = self.read_line(None)?;
        if self.editor.remember(&line) {
            self.history.add(&line);
        }
        Some(line)
    }

    fn ask(&mut self, question: &str) -> Option<String> {
        self.read_line(Some(question))
    }

    fn renderer(&mut self) -> &mut Renderer {
        self.catch_up();
        &mut self.renderer
    }

    fn show(&mut self, make: &mut dyn FnMut(&mut Renderer) -> Vec<Rendered>) {
        self.catch_up();
        let lines = make(&mut self.renderer);
        self.write(&lines);
    }

    fn give_back(&mut self, line: &str) {
        self.given_back = Some(line.to_owned());
    }

    fn send(&mut self, text: &str, to: Option<&str>) {
        self.catch_up();
        let sent = self.session.send(text, to);
        let deadline = Instant::now() + SEND_TIMEOUT;
        while !self.is_away && self.end.is_none() {
            let Ok(event) = self.events.recv_deadline(deadline) else { break };
            self.happened(&event);
            if matches!(&event, Event::Confirmed(draft) | Event::Refused { draft, .. } if draft.id == sent.id) {
                return;
            }
        }
        let lines = self.renderer.pending(&sent, now());
        self.write(&lines);
    }
}

impl Terminal {
    /// Reads a line, or the answer to a question. `None` if the user gives none, or leaves.
    fn read_line(&mut self, question: Option<&str>) -> Option<String> {
        self.catch_up();
        self.question = question.map(str::to_owned);
        if question.is_none()
            && self.editor.is_empty()
            && let Some(line) = self.given_back.take()
        {
            self.editor.set(&line);
        }
        self.is_reading = true;
        self.is_busy.store(false, Ordering::Relaxed);
        self.fit();
        let line = loop {
            if self.end.is_some() {
                break None;
            }
            match self.next_input() {
                Input::Key(key) => {
                    if let Some(outcome) = self.press(key) {
                        break outcome;
                    }
                }
                Input::Event(event) => self.happened(&event),
                Input::Signal(Signal::SIGWINCH) => self.fit(),
                Input::Signal(_) => self.end = Some(End::Signal),
                Input::Gone => self.end = Some(End::User),
            }
        };
        self.question = None;
        self.is_reading = false;
        self.is_busy.store(true, Ordering::Relaxed);
        line
    }

    fn next_input(&mut self) -> Input {
        if let Some(key) = self.typed_ahead.pop_front() {
            return Input::Key(key);
        }
        loop {
            select! {
                recv(self.keys) -> key => return key.map_or(Input::Gone, Input::Key),
                recv(self.signals) -> signal => return signal.map_or(Input::Gone, Input::Signal),
                recv(self.events) -> event => match event {
                    Ok(event) => return Input::Event(event),
                    Err(_) => self.events = never(),
                },
            }
        }
    }

    /// Does what a key means. Returns the line, or that there is none, if reading is over.
    fn press(&mut self, key: Key) -> Option<Option<String>> {
        let is_question = self.question.is_some();
        self.renderer.active(now());
        match self.editor.press(key) {
            Action::Edited => {
                // What comes in one piece is painted once.
                while let Some(key) = self.typed_ahead.pop_front().or_else(|| self.keys.try_recv().ok()) {
                    if matches!(key, Key::Char(c) if c.is_control()) {
                        self.typed_ahead.push_front(key);
                        break;
                    }
                    self.editor.press(key);
                }
                self.repaint();
            }
            Action::Enter => {
                let line = self.editor.take();
                let is_echoed = is_question || !is_said(&line, &self.renderer);
                self.leave_prompt(is_echoed.then_some(&line), "");
                return Some(Some(line));
            }
            Action::Interrupt | Action::EndOfInput if is_question => {
                let line = self.editor.take();
                self.leave_prompt(Some(&line), "^C");
                return Some(None);
            }
            Action::Interrupt if !self.editor.is_empty() => {
                self.editor.take();
                self.repaint();
            }
            Action::Interrupt => {
                if self.interrupted.is_some_and(|at| at.elapsed() < SECOND_INTERRUPT) {
                    self.end = Some(End::User);
                    self.leave_prompt(None, "");
                } else {
                    self.interrupted = Some(Instant::now());
                    let text = conversation::before_leaving(self.locale, &self.renderer, &self.is_host);
                    let line = self.renderer.note(&text);
                    self.write(&[line]);
                }
            }
            Action::EndOfInput if self.is_host.load(Ordering::Relaxed) && self.renderer.audience().is_some() => {
                return self.press(Key::Char('\x03'));
            }
            Action::EndOfInput => {
                self.end = Some(End::User);
                self.leave_prompt(None, "");
            }
            Action::Complete => self.complete(),
            Action::ClearScreen => {
                self.prompt.erase();
                self.renderer.scrolled();
                write("\x1b[H\x1b[2J");
                self.repaint();
            }
            Action::Suspend => {
                let text = self.hide();
                write(&text);
                self.modes.restore();
                let _ = raise(Signal::SIGTSTP);
                let _ = self.modes.set_again();
                self.renderer.scrolled();
                self.repaint();
            }
        }
        None
    }

    /// Shows what has happened up to now.
    fn catch_up(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            self.happened(&event);
        }
    }

    fn happened(&mut self, event: &Event) {
        if self.renderer.resize(Some(size())) {
            self.fit();
        }
        let mut refused = None;
        match event {
            Event::Lost { .. } => self.is_away = true,
            Event::Back { .. } => self.is_away = false,
            Event::Refused { draft, .. } => refused = Some(draft.line()),
            Event::Ended { cause } => self.end = Some(End::Session(cause.clone())),
            _ => {}
        }
        self.extras.happened(event, &self.renderer);
        let mut lines = self.renderer.event(event, now());
        if let Some(line) = refused {
            // A line that has been begun since must not be touched.
            if self.editor.is_empty() && self.given_back.is_none() {
                if self.is_reading && self.question.is_none() {
                    self.editor.set(&line);
                } else {
                    self.given_back = Some(line);
                }
            } else {
                lines.push(self.renderer.note(self.locale.given_back));
            }
        }
        self.write(&lines);
    }

    /// Sends what was typed, as long as the reason to end allows, and unregisters.
    fn close(mut self) -> Result<(), Failure> {
        let timeout = if matches!(self.end, Some(End::Signal)) { SIGNAL_TIMEOUT } else { EXIT_TIMEOUT };
        let unsent = self.session.close(timeout).unwrap_or_default();
        self.catch_up();
        let lines: Vec<_> = unsent.iter().map(|text| self.renderer.unsent(text)).collect();
        self.write(&lines);
        extras::save_positions(self.renderer.positions());
        match self.end {
            // The screen says why.
            Some(End::Session(cause)) => Err(Failure::Failed(self.locale.translated(&sanitized(&cause)))),
            _ => Ok(()),
        }
    }
}

/// Returns whether a line is shown again as a message.
fn is_said(line: &str, renderer: &Renderer) -> bool {
    let first = line.lines().next().unwrap_or_default();
    let is_whole =
        |command, rest: &str| command::spec_of(command).split(rest).len() == command::spec_of(command).takes.len();
    line.lines().count() <= conversation::PASTED_LINES
        && match parse(first, renderer.room().is_some()) {
            Line::Say { .. } | Line::Doubtful(Command::Join, _) => true,
            // It is in the prompt again.
            Line::Nowhere => true,
            Line::Command(Command::Me, rest) => !rest.is_empty() && renderer.room().is_some(),
            Line::Command(Command::Msg, rest) => is_whole(Command::Msg, &rest),
            Line::Command(Command::Reply, rest) => is_whole(Command::Reply, &rest) && renderer.last_private().is_some(),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::locale::ENGLISH;

    #[test]
    fn messages_come_back_with_their_mark_and_commands_as_they_were() {
        let mut renderer = Renderer::new(&ENGLISH, Style::default(), "ana", now());
        assert!(is_said("hello", &renderer));
        assert!(!is_said("/me waves", &renderer));
        renderer.event(&Event::Joined { room: "lobby".into(), users: Vec::new(), messages: Vec::new() }, now());
        for (line, wanted) in [
            ("hello", true),
            ("one\ntwo", true),
            ("one\ntwo\nthree\nfour", false),
            ("/join lobby", false),
            ("/msg bob hello", true),
            ("/msg bob", false),
            ("/reply hello", false),
            ("/me waves", true),
        ] {
            assert_eq!(is_said(line, &renderer), wanted, "{line}");
        }
    }
}
