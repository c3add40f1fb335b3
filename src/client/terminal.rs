//! The client on a terminal: a line editor, above which messages appear.
//!
//! The editor belongs to the main thread. Another thread makes lines of what happens. While the user types, they wait until
//! the editor paints its prompt, which carries them before it: so they are written by the thread that knows where the cursor
//! is, in their order, and lines that take the place of others know what is above the prompt. What is printed by the external
//! printer itself could come after a line that was written later, once the user presses Enter; so it only wakes the editor up.

use std::borrow::Cow;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use parking_lot::{Condvar, Mutex, MutexGuard};
use rustix::termios::{InputModes, LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{ColorMode, CompletionType, Config, Context, Editor, ExternalPrinter, Helper};
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

use super::command::{self, Command, Known, Line, complete, parse};
use super::conversation::{self, Screen};
use super::event::Event;
use super::locale::Locale;
use super::plain::{SIGNAL_TIMEOUT, now};
use super::render::{Rendered, Renderer, Size, Style, sanitized};
use super::session::Session;
use crate::program::{self, Failure, Options};

/// How long to wait for the server before the prompt comes back: what is refused at once is in the prompt again.
const AT_ONCE: Duration = Duration::from_millis(300);
/// How long leaving waits for what was typed to be sent.
const AT_EXIT: Duration = Duration::from_secs(3);
/// How long completing a room may take.
const FOR_ROOMS: Duration = Duration::from_millis(500);
/// The most lines that are kept for Up.
const HISTORY_LINES: usize = 1000;
/// `FD_SETSIZE`.
const MOST_DESCRIPTORS: u64 = 1024;
/// What wakes the editor up, which ends it with a line break: up and down again.
const NOTHING: &str = "\x1b[A\n";
/// Ends the bracketed paste mode of the editor.
const PASTE_OFF: &[u8] = b"\x1b[?2004l";

/// Runs the client until the user leaves, or a signal.
///
/// # Errors
/// [`Failure::Failed`] when the server cannot be reached.
pub(super) fn run(options: &Options, locale: &'static Locale, style: Style) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::while_doing("cannot use the terminal", error);
    let stopped = program::on_stop_signal()?;
    let modes = Modes::set().map_err(|error| failed(&error))?;
    if !options.has("log-level") {
        // What is logged would stand in the line that is being typed.
        log::set_max_level(log::LevelFilter::Off);
    }
    // The editor waits with `select`, which knows no more; what --local runs in this process must not take them all.
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, soft.min(MOST_DESCRIPTORS), hard);
    }
    let (session, events) = Session::start(super::setup(options)?)?;
    let session = Arc::new(session);
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .completion_show_all_if_ambiguous(true)
        .history_ignore_space(true)
        .max_history_size(HISTORY_LINES)
        .map_err(|error| failed(&error))?
        // The prompt carries the lines above it, with colours or without.
        .color_mode(ColorMode::Forced)
        .build();
    let mut editor = Editor::<EditorHelper, DefaultHistory>::with_config(config).map_err(|error| failed(&error))?;
    let mut printer = editor.create_external_printer().map_err(|error| failed(&error))?;
    let output = Arc::new(Output {
        state: Mutex::new(ScreenState {
            renderer: Renderer::new(locale, style, "", now()),
            mode: Mode::Free,
            waiting: String::new(),
            is_waking: false,
            typed: String::new(),
            refused: None,
            is_away: false,
        }),
        changed: Condvar::new(),
        modes,
    });
    editor.set_helper(Some(EditorHelper { output: Arc::clone(&output), session: Arc::clone(&session) }));
    let history = history_file();
    if let Some(path) = &history {
        // There is none the first time.
        let _ = editor.load_history(path);
    }

    let start = |name: &str, work: Box<dyn FnOnce() + Send>| {
        program::spawn(name, work).map_err(|error| Failure::while_doing("cannot start", error))
    };
    let wake = Box::new(move || drop(printer.print(NOTHING.to_owned())));
    let (shared, ending) = (Arc::clone(&output), Arc::clone(&session));
    start("events", Box::new(move || shared.watch(&events, wake, &ending)))?;
    let (shared, ending) = (Arc::clone(&output), Arc::clone(&session));
    start(
        "signals",
        Box::new(move || {
            stopped();
            shared.end(&ending, 0);
        }),
    )?;

    let mut terminal = Terminal { editor, output: Arc::clone(&output), session: Arc::clone(&session), history };
    let outcome = conversation::run(&mut terminal, locale, options);
    // What is still shown has no prompt below it.
    output.free();
    if let Ok(unsent) = session.close(AT_EXIT) {
        output.show(|renderer| unsent.iter().map(|text| renderer.unsent(text)).collect());
    }
    // The other threads keep the output.
    output.modes.restore();
    outcome
}

/// Where the typed lines are kept, in a directory for this user alone.
fn history_file() -> Option<PathBuf> {
    let directory = super::secret::state_directory()?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory).ok()?;
    Some(directory.join("history"))
}

/// What threads share: the screen.
struct Output {
    state: Mutex<ScreenState>,
    /// Something was shown.
    changed: Condvar,
    modes: Modes,
}

/// The modes that the terminal had, which it gets back at the end. Meanwhile it does not echo: what is typed while the
/// editor is not reading waits for it as keys, and signals work.
struct Modes(Termios);

impl Modes {
    fn set() -> rustix::io::Result<Self> {
        let before = tcgetattr(std::io::stdin())?;
        let mut modes = before.clone();
        modes.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::IEXTEN);
        modes.input_modes.remove(InputModes::ICRNL);
        tcsetattr(std::io::stdin(), OptionalActions::Drain, &modes)?;
        Ok(Self(before))
    }

    fn restore(&self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Drain, &self.0);
    }
}

impl Drop for Modes {
    fn drop(&mut self) {
        self.restore();
    }
}

struct ScreenState {
    renderer: Renderer,
    mode: Mode,
    /// Lines to be written above the prompt.
    waiting: String,
    /// Whether the editor is about to wake up and write them.
    is_waking: bool,
    /// What is in the line that is being typed.
    typed: String,
    /// What the server refused since the last prompt, to be in the next one.
    refused: Option<String>,
    /// Whether there is no connection.
    is_away: bool,
}

/// Who may write to the screen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Whoever has the lock.
    Free,
    /// Nobody, until what was typed is dealt with.
    Held,
    /// The editor.
    Editing,
}

impl ScreenState {
    /// Writes lines, or keeps them for later. Answers whether the editor has to be woken up.
    fn add(&mut self, make: impl FnOnce(&mut Renderer) -> Vec<Rendered>) -> bool {
        self.renderer.resize(size());
        for shown in make(&mut self.renderer) {
            self.waiting.push_str(&shown.text);
        }
        match self.mode {
            Mode::Free => self.flush(),
            Mode::Editing if !self.waiting.is_empty() => return !std::mem::replace(&mut self.is_waking, true),
            Mode::Editing | Mode::Held => {}
        }
        false
    }

    fn flush(&mut self) {
        write(self.take().as_bytes());
    }

    fn take(&mut self) -> String {
        self.is_waking = false;
        std::mem::take(&mut self.waiting)
    }
}

impl Output {
    fn lock(&self) -> MutexGuard<'_, ScreenState> {
        self.state.lock()
    }

    /// Shows lines from the main thread, which is not in the editor.
    fn show(&self, make: impl FnOnce(&mut Renderer) -> Vec<Rendered>) {
        self.lock().add(make);
    }

    /// What waits is written, and from now on everything at once.
    fn free(&self) {
        let mut state = self.lock();
        state.mode = Mode::Free;
        state.flush();
    }

    /// Shows what happens, until the session ends.
    fn watch(&self, events: &Receiver<Event>, mut wake: Box<dyn FnMut() + Send>, session: &Session) {
        while let Ok(event) = events.recv() {
            let mut state = self.lock();
            let mut is_late = false;
            match &event {
                Event::Lost { .. } => state.is_away = true,
                Event::Back { .. } => state.is_away = false,
                Event::Refused { draft, .. } => {
                    // A line that has been begun since must not be touched.
                    is_late = state.mode == Mode::Editing;
                    state.refused = state.renderer.line_of(*draft).filter(|_| !is_late);
                }
                _ => {}
            }
            let has_to_wake = state.add(|renderer| {
                let mut shown = renderer.event(&event, now());
                if is_late {
                    let hint = renderer.locale().given_back;
                    shown.push(renderer.note(hint));
                }
                shown
            });
            drop(state);
            self.changed.notify_all();
            if matches!(event, Event::Ended { .. }) {
                self.end(session, 1);
            }
            if has_to_wake {
                // Outside of the lock: it waits for the editor, which takes the lock.
                wake();
            }
        }
    }

    /// Ends the program from outside of the editor, which cannot be interrupted: the terminal gets its modes back.
    fn end(&self, session: &Session, code: i32) -> ! {
        let unsent = session.close(SIGNAL_TIMEOUT);
        let mut state = self.lock();
        if state.mode == Mode::Editing {
            // The prompt stays, and the rest goes below it.
            write(b"\r\n");
        }
        write(PASTE_OFF);
        self.modes.restore();
        state.mode = Mode::Free;
        state.flush();
        if let Ok(unsent) = unsent {
            state.add(|renderer| unsent.iter().map(|text| renderer.unsent(text)).collect());
        }
        // With the lock, so that the editor does not paint any more.
        std::process::exit(code);
    }
}

/// The size of the terminal now.
fn size() -> Option<Size> {
    let size = tcgetwinsize(std::io::stdout()).ok()?;
    // A terminal that does not know its size says 0.
    let or = |figure: u16, default| if figure == 0 { default } else { usize::from(figure) };
    Some(Size { columns: or(size.ws_col, 80), rows: or(size.ws_row, 24) })
}

/// When the terminal is gone, there is nobody to tell.
fn write(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

/// The rows that the prompt and a line take, as the editor counts them.
fn rows(prompt: &str, line: &str, columns: usize) -> usize {
    let (mut rows, mut column) = (1, 0);
    for cluster in prompt.graphemes(true).chain(line.graphemes(true)) {
        if cluster == "\n" {
            (rows, column) = (rows + 1, 0);
            continue;
        }
        let width = cluster.width();
        column += width;
        if column > columns {
            (rows, column) = (rows + 1, width);
        }
    }
    if column == columns { rows + 1 } else { rows }
}

struct Terminal {
    editor: Editor<EditorHelper, DefaultHistory>,
    output: Arc<Output>,
    session: Arc<Session>,
    history: Option<PathBuf>,
}

impl Screen for Terminal {
    fn session(&self) -> &Session {
        &self.session
    }

    fn is_interactive(&self) -> bool {
        true
    }

    fn read(&mut self, question: Option<&str>) -> Option<String> {
        loop {
            let (prompt, given_back) = {
                let mut state = self.output.lock();
                state.renderer.resize(size());
                let prompt =
                    question.map_or_else(|| state.renderer.prompt(), |text| (text.to_owned(), text.to_owned()));
                state.mode = Mode::Free;
                state.flush();
                state.mode = Mode::Editing;
                let given_back = state.refused.take_if(|_| question.is_none()).unwrap_or_default();
                state.typed.clone_from(&given_back);
                (prompt, given_back)
            };
            let outcome = self.editor.readline_with_initial(&prompt, (&given_back, ""));
            let mut state = self.output.lock();
            state.mode = Mode::Held;
            let typed = outcome.as_deref().unwrap_or(&state.typed).to_owned();
            // The typed line goes, so that what waits finds the screen as it was. A message comes back with its mark, and
            // everything else as it was.
            let columns = size().map_or(80, |size| size.columns);
            let erase = format!("\x1b[{}A\r\x1b[J", rows(&prompt.0, &typed, columns));
            let waiting = state.take();
            write(format!("{erase}{waiting}").as_bytes());
            match outcome {
                Ok(line) => {
                    if question.is_some() || !is_said(&line, &state.renderer) {
                        let echo: String = line.lines().map(|line| sanitized(line) + "\n").collect();
                        write(format!("{}{}", prompt.1, if echo.is_empty() { "\n" } else { &echo }).as_bytes());
                        state.renderer.scrolled();
                        state.mode = Mode::Free;
                    }
                    drop(state);
                    if question.is_none() {
                        self.remember(&line);
                    }
                    return Some(line);
                }
                // A line that was begun is dropped; without one, Ctrl-C leaves.
                Err(ReadlineError::Interrupted) if !typed.is_empty() => {}
                Err(_) => return None,
            }
        }
    }

    fn show(&mut self, make: &mut dyn FnMut(&mut Renderer) -> Vec<Rendered>) {
        self.output.show(make);
    }

    fn with(&mut self, look: &mut dyn FnMut(&mut Renderer)) {
        look(&mut self.output.lock().renderer);
    }

    fn send(&mut self, text: &str, to: Option<&str>) {
        let draft = {
            let mut state = self.output.lock();
            state.mode = Mode::Held;
            state.renderer.typed(text, to)
        };
        let deadline = Instant::now() + AT_ONCE;
        self.session.send(draft, text, to);
        let mut state = self.output.lock();
        while state.renderer.is_open(draft) && !state.is_away {
            if self.output.changed.wait_until(&mut state, deadline).timed_out() {
                break;
            }
        }
        state.add(|renderer| renderer.pending(draft, now()));
        state.mode = Mode::Free;
        state.flush();
    }
}

impl Terminal {
    /// Keeps a line for Up. The file is written at once, since a signal may end the program.
    fn remember(&mut self, line: &str) {
        if self.editor.add_history_entry(line).is_ok_and(|is_new| is_new)
            && let Some(path) = &self.history
            && let Err(error) = self.editor.append_history(path)
        {
            log::info!("the typed lines are not kept: {error}");
        }
    }
}

/// Whether a line is shown again as a message.
fn is_said(line: &str, renderer: &Renderer) -> bool {
    let first = line.lines().next().unwrap_or_default();
    let is_whole = |verb, rest: &str| command::spec_of(verb).split(rest).len() == command::spec_of(verb).takes.len();
    line.lines().count() <= conversation::PASTED_LINES
        && match parse(first, renderer.room().is_some()) {
            Line::Say { .. } => true,
            Line::Command(Command::Msg, rest) => is_whole(Command::Msg, &rest),
            Line::Command(Command::Reply, rest) => is_whole(Command::Reply, &rest) && renderer.last_private().is_some(),
            _ => false,
        }
}

/// What the editor asks while a line is being typed.
struct EditorHelper {
    output: Arc<Output>,
    session: Arc<Session>,
}

impl Helper for EditorHelper {}

impl Validator for EditorHelper {}

impl Highlighter for EditorHelper {
    /// The lines that wait come before the prompt; see the top of this file.
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _default: bool) -> Cow<'b, str> {
        let mut waiting = self.output.lock().take();
        if waiting.is_empty() {
            return Cow::Borrowed(prompt);
        }
        waiting.push_str(prompt);
        Cow::Owned(waiting)
    }
}

impl Hinter for EditorHelper {
    type Hint = String;

    /// There are no hints; but Ctrl-C has to know whether there is a line.
    fn hint(&self, line: &str, _pos: usize, _context: &Context<'_>) -> Option<String> {
        line.clone_into(&mut self.output.lock().typed);
        None
    }
}

impl Completer for EditorHelper {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = line.get(..pos).unwrap_or_default();
        let mut known = {
            let state = self.output.lock();
            Known { rooms: Vec::new(), users: state.renderer.others(), in_room: state.renderer.room().is_some() }
        };
        if command::takes_room(typed, known.in_room) {
            known.rooms = self.rooms();
        }
        let found = complete(typed, &known);
        if found.1.len() > 1 {
            // The editor lists them above the prompt.
            self.output.lock().renderer.scrolled();
        }
        Ok(found)
    }
}

impl EditorHelper {
    /// The rooms, unless the server takes its time.
    fn rooms(&self) -> Vec<String> {
        let (answer, rooms) = bounded(1);
        let session = Arc::clone(&self.session);
        let ask = move || {
            let _ = answer.try_send(session.rooms().unwrap_or_default());
        };
        if program::spawn("rooms", ask).is_err() {
            return Vec::new();
        }
        rooms.recv_timeout(FOR_ROOMS).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::locale::ENGLISH;

    #[test]
    fn rows_are_those_of_the_editor() {
        for (prompt, line, columns, wanted) in [
            ("> ", "", 10, 1),
            ("> ", "1234567", 10, 1),
            // The cursor stands in the next row already.
            ("> ", "12345678", 10, 2),
            ("> ", "123456789", 10, 2),
            ("> ", "1234567漢", 10, 2),
            ("> ", "one\ntwo", 10, 2),
            ("> ", "👩‍🚀👩‍🚀👩‍🚀", 10, 1),
        ] {
            assert_eq!(rows(prompt, line, columns), wanted, "{prompt}{line}");
        }
    }

    #[test]
    fn messages_come_back_with_their_mark_and_commands_as_they_were() {
        let mut renderer = Renderer::new(&ENGLISH, Style::default(), "ana", now());
        assert!(!is_said("hello", &renderer));
        renderer.set_room(Some("lobby"));
        for (line, wanted) in [
            ("hello", true),
            ("one\ntwo", true),
            ("one\ntwo\nthree\nfour", false),
            ("/join lobby", false),
            ("/msg bob hello", true),
            ("/msg bob", false),
            ("/reply hello", false),
        ] {
            assert_eq!(is_said(line, &renderer), wanted, "{line}");
        }
    }
}
