//! The client on a terminal: a line editor, above which messages appear.
//!
//! One thread does everything that is seen: it takes keys, events and signals from their channels, and the prompt with the
//! line that is being typed is always the last thing on the screen. Whatever is shown while the user types takes the prompt
//! away and paints it again below.

mod editor;
mod history;
mod keys;
mod modes;
mod prompt;

use std::collections::VecDeque;
use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, never, select, unbounded};
use nix::sys::signal::{SigSet, Signal, kill, raise};
use nix::unistd::Pid;

use super::command::{self, Command, Known, Line, complete, parse};
use super::conversation::{self, Screen};
use super::event::Event;
use super::extras::{self, Extras};
use super::locale::Locale;
use super::plain::{SECOND_INTERRUPT, SIGNAL_TIMEOUT, now};
use super::render::{Rendered, Renderer, Style, sanitized};
use super::session::Session;
use crate::program::{self, Failure, Options};
use editor::{Action, Editor};
use history::History;
use keys::{Decoder, Key, WHERE};
use modes::{Modes, size, write};
use prompt::Prompt;

/// How long sending waits before the prompt returns, so that a message refused at once reappears in it.
const SEND_TIMEOUT: Duration = Duration::from_millis(300);
/// How long leaving waits for typed messages to be sent.
const EXIT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long completing a room may take.
const ROOMS_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a terminal may take to say where its cursor is.
const CURSOR_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a terminal of another size may take to say so.
const RESIZE_TIMEOUT: Duration = Duration::from_millis(500);
/// How often to ask for it while the size goes on changing.
const CURSOR_TRIES: usize = 4;
/// How long after a signal the program ends, whatever it is doing.
const END_TIMEOUT: Duration = Duration::from_secs(5);

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

/// Starts a thread that sends to the returned channel.
fn start<T: Send + 'static>(name: &str, work: impl FnOnce(Sender<T>) + Send + 'static) -> Result<Receiver<T>, Failure> {
    let (sender, receiver) = unbounded();
    program::spawn(name, move || work(sender)).map_err(|error| Failure::while_doing("cannot start", error))?;
    Ok(receiver)
}

/// Reads keys until the terminal is gone. Ctrl-C twice ends the client also while it waits for a server that does not reply.
fn read_keys(keys: &Sender<Key>, is_busy: &AtomicBool) {
    let mut interrupted: Option<Instant> = None;
    let mut decoder = Decoder::default();
    let mut bytes = [0; 1024];
    let mut input = std::io::stdin().lock();
    while let Ok(count @ 1..) = input.read(&mut bytes) {
        for key in bytes.iter().take(count).filter_map(|byte| decoder.feed(*byte)) {
            if key == Key::Char('\x03') && is_busy.load(Ordering::Relaxed) {
                if interrupted.is_some_and(|at| at.elapsed() < SECOND_INTERRUPT) {
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

/// Passes signals on. The program ends soon after one that asks for it, even if it is just waiting for the server.
fn watch_signals(signals: &SigSet, sender: &Sender<Signal>, modes: &Modes) {
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

/// The modes that the terminal gets back at the end.
struct Restored(Modes);

impl Drop for Restored {
    fn drop(&mut self) {
        self.0.restore();
    }
}

/// Why there are no more lines.
enum End {
    /// The user leaves, or the terminal is gone.
    User,
    Signal,
    Session(String),
}

/// What comes while the user types.
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
    /// Whether the chat server runs in this process.
    is_host: Arc<AtomicBool>,
    editor: Editor,
    history: History,
    prompt: Prompt,
    /// The question that is asked, if one is.
    question: Option<String>,
    /// Whether the prompt is on the screen.
    is_reading: bool,
    /// Whether nobody takes keys, because the server is waited for.
    is_busy: Arc<AtomicBool>,
    /// A line to be in the next prompt.
    given_back: Option<String>,
    /// Whether the terminal says where its cursor is, as far as it was asked.
    answers: bool,
    /// When Ctrl-C was pressed last in an empty line.
    interrupted: Option<Instant>,
    /// Whether there is no connection.
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
        let draft = self.renderer.typed(text, to);
        self.session.send(draft, text, to);
        let deadline = Instant::now() + SEND_TIMEOUT;
        while self.renderer.is_open(draft) && !self.is_away && self.end.is_none() {
            let Ok(event) = self.events.recv_deadline(deadline) else { break };
            self.happened(&event);
        }
        let lines = self.renderer.pending(draft, now());
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

    /// Takes the prompt away, and leaves in its place the line that is echoed, if it is, and `mark`.
    fn leave_prompt(&mut self, echoed: Option<&String>, mark: &str) {
        let mut text = self.hide();
        if let Some(line) = echoed {
            let (_, colored) = self.prompt_text();
            let echo: Vec<_> = line.lines().map(sanitized).collect();
            text.push_str(&format!("{colored}{}{mark}\n", echo.join("\n")));
            self.renderer.scrolled();
        }
        self.is_reading = false;
        write(&text);
    }

    /// Returns the prompt without and with colours.
    fn prompt_text(&self) -> (String, String) {
        self.question.as_ref().map_or_else(|| self.renderer.prompt(), |text| (text.clone(), text.clone()))
    }

    /// Shows the line as it is now.
    fn repaint(&mut self) {
        let (_, colored) = self.prompt_text();
        let text = self.prompt.extend(&colored, self.editor.parts(), size());
        let text = text.unwrap_or_else(|| self.hide() + &self.painted());
        write(&text);
    }

    /// Returns what takes the prompt away, wherever it is after what the terminal was resized to.
    fn hide(&mut self) -> String {
        let mut size = size();
        if !self.prompt.is_outdated(size) {
            let Some(expected) = self.prompt.column_below_others().filter(|_| self.answers) else {
                return self.prompt.erase();
            };
            match self.cursor_column() {
                Some(column) if column != expected => {}
                _ => return self.prompt.erase(),
            }
            // It has another size, and will say so soon.
            match self.signals.recv_timeout(RESIZE_TIMEOUT) {
                Ok(Signal::SIGWINCH) | Err(_) => {}
                Ok(_) => self.end = Some(End::Signal),
            }
            size = modes::size();
        }
        let mut column = None;
        for _ in 0..CURSOR_TRIES {
            column = self.cursor_column();
            let now = modes::size();
            if now == size {
                break;
            }
            // It says where the cursor was meanwhile.
            (size, column) = (now, None);
        }
        self.renderer.resize(Some(size));
        self.renderer.scrolled();
        self.prompt.erase_resized(size, column)
    }

    /// Returns what paints the prompt, if it is to be on the screen.
    fn painted(&mut self) -> String {
        if !self.is_reading {
            return String::new();
        }
        let (plain, colored) = self.prompt_text();
        self.prompt.paint(&colored, &plain, self.editor.parts(), size())
    }

    /// Writes lines above the prompt.
    fn write(&mut self, lines: &[Rendered]) {
        if lines.is_empty() {
            return;
        }
        let mut text = self.hide();
        text.extend(lines.iter().map(|line| line.text.as_str()));
        if let Some(error) = self.extras.shown(lines) {
            let note = (self.locale.no_log)(&self.locale.translated(&error.to_string()));
            text.push_str(&self.renderer.note(&note).text);
        }
        text.push_str(&self.painted());
        write(&text);
    }

    /// Sees to it that lines and the prompt fit the terminal, whose size may have changed, and that the prompt is there.
    fn fit(&mut self) {
        if self.renderer.resize(Some(size())) {
            self.renderer.scrolled();
        }
        let text = self.hide() + &self.painted();
        write(&text);
    }

    /// Asks the terminal for the column of the cursor. One that does not say it is not asked again.
    fn cursor_column(&mut self) -> Option<usize> {
        if !self.answers {
            return None;
        }
        write(WHERE);
        let deadline = Instant::now() + CURSOR_TIMEOUT;
        loop {
            match self.keys.recv_deadline(deadline) {
                Ok(Key::CursorColumn(column)) => return Some(column),
                Ok(key) => self.typed_ahead.push_back(key),
                Err(_) => {
                    self.answers = false;
                    return None;
                }
            }
        }
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
            Event::Refused { draft, .. } => refused = self.renderer.line_of(*draft),
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

    fn complete(&mut self) {
        let (typed, _) = self.editor.parts();
        let typed = typed.to_owned();
        let in_room = self.renderer.room().is_some();
        let rooms = if command::takes_room(&typed, in_room) { self.rooms() } else { Vec::new() };
        let (start, found) = complete(
            &typed,
            &Known { rooms, users: self.renderer.others(), in_room, portuguese: self.locale.code == "pt" },
        );
        let common = common_beginning(&found);
        if found.len() == 1 || common.len() > typed.len() - start {
            self.editor.replace_before(start, &common);
            self.repaint();
        } else if !found.is_empty() {
            let names: Vec<_> = found.iter().map(|name| name.trim_end().to_owned()).collect();
            let line = self.renderer.note(&sanitized(&names.join("  ")));
            self.write(&[line]);
        }
    }

    /// Returns the rooms, unless the server takes its time.
    fn rooms(&self) -> Vec<String> {
        let (answer, rooms) = bounded(1);
        let session = Arc::clone(&self.session);
        let ask = move || {
            let _ = answer.try_send(session.rooms().unwrap_or_default());
        };
        if program::spawn("rooms", ask).is_err() {
            return Vec::new();
        }
        rooms.recv_timeout(ROOMS_TIMEOUT).unwrap_or_default()
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

/// Returns what all texts begin with.
fn common_beginning(texts: &[String]) -> String {
    let Some((first, others)) = texts.split_first() else { return String::new() };
    let is_common = |end: usize| others.iter().all(|other| other.get(..end) == first.get(..end));
    let ends = first.char_indices().map(|(at, c)| at + c.len_utf8());
    let end = ends.take_while(|end| is_common(*end)).last().unwrap_or(0);
    first.get(..end).unwrap_or_default().to_owned()
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
    fn candidates_have_a_common_beginning() {
        let common = |texts: &[&str]| common_beginning(&texts.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(common(&["help ", "history "]), "h");
        assert_eq!(common(&["one"]), "one");
        assert_eq!(common(&["João", "Joãozinho"]), "João");
        assert_eq!(common(&["ã", "â"]), "");
        assert_eq!(common(&[]), "");
    }

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
