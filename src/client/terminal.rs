//! The client on a terminal: a line editor, above which messages appear.
//!
//! One thread takes keys, events and signals from their channels, and writes to the screen. The prompt with the typed line is
//! always the last thing on the screen. To show something, the thread erases the prompt and paints it again below.

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

use crossbeam_channel::{Receiver, select, unbounded};
use nix::sys::signal::{SigSet, Signal, raise};

use super::command::{self, Command};
use super::conversation;
use super::event::{Draft, Event};
use super::extras::Extras;
use super::line::{Line, parse};
use super::locale::Locale;
use super::render::{Rendered, Renderer, Style};
use super::threads::start;
use super::view::{End, Screen, View, now};
use crate::program::{Failure, Options};
use editor::{Action, Editor};
use history::History;
use keys::Key;
use modes::{Modes, size, write};
use prompt::Prompt;
use threads::{read_keys, watch_signals};

/// The time for the reply to a message before the prompt returns, so that a message refused at once reappears in it.
const SEND_TIMEOUT: Duration = Duration::from_millis(300);

/// Runs the client until the user leaves, or a signal.
///
/// # Errors
/// [`Failure::Failed`] if the server cannot be reached.
pub(super) fn run(options: &Options, locale: &'static Locale, style: Style) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::while_doing("cannot use the terminal", error);
    let signals: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGWINCH].into_iter().collect();
    // This is done before there are threads, because they inherit the mask.
    signals.thread_block().map_err(|error| failed(&error))?;
    let modes = Modes::set().map_err(|error| failed(&error))?;
    let _restored = Restored(modes.clone());
    if !options.has("log-level") {
        // Log lines would be written into the line that is being typed.
        log::set_max_level(log::LevelFilter::Off);
    }
    let view = View::start(options, locale, style, Extras::open(options)?, true)?;
    let is_reading = Arc::new(AtomicBool::new(false));
    let mut terminal = Terminal {
        view,
        keys: {
            let is_reading = Arc::clone(&is_reading);
            start("keys", unbounded(), move |sender| read_keys(&sender, &is_reading))?
        },
        signals: {
            let modes = modes.clone();
            start("signals", unbounded(), move |sender| watch_signals(&signals, &sender, &modes))?
        },
        typed_ahead: VecDeque::new(),
        modes,
        editor: Editor::new(History::load()),
        prompt: Prompt::default(),
        question: None,
        is_reading,
        given_back: None,
        answers: true,
        is_away: false,
    };
    terminal.view.renderer.resize(Some(size()));
    conversation::run(&mut terminal, options)
}

/// Gives the terminal its modes back at the end.
struct Restored(Modes);

impl Drop for Restored {
    fn drop(&mut self) {
        self.0.restore();
    }
}

struct Terminal {
    view: View,
    keys: Receiver<Key>,
    signals: Receiver<Signal>,
    /// Keys that came before a reply of the terminal.
    typed_ahead: VecDeque<Key>,
    modes: Modes,
    editor: Editor,
    prompt: Prompt,
    /// The question in place of the prompt, if there is one.
    question: Option<String>,
    /// If set, the prompt is on the screen, and keys are taken. Otherwise a call may wait for the server.
    is_reading: Arc<AtomicBool>,
    /// The line for the next prompt.
    given_back: Option<String>,
    /// Cleared if the terminal does not report its cursor.
    answers: bool,
    /// If set, there is no connection.
    is_away: bool,
}

impl Screen for Terminal {
    fn view(&mut self) -> &mut View {
        &mut self.view
    }

    fn read(&mut self, question: Option<&str>) -> Option<String> {
        self.catch_up();
        self.question = question.map(|question| self.show_question(question));
        if question.is_none()
            && self.editor.is_empty()
            && let Some(line) = self.given_back.take()
        {
            self.editor.set(&line);
        }
        self.is_reading.store(true, Ordering::Relaxed);
        self.fit();
        let line = self.read_line();
        self.question = None;
        self.is_reading.store(false, Ordering::Relaxed);
        let line = line?;
        if question.is_none() {
            self.editor.history.add(&line);
        }
        Some(line)
    }

    fn happened(&mut self, event: &Event) {
        if self.view.renderer.resize(Some(size())) {
            self.fit();
        }
        match event {
            Event::Lost => self.is_away = true,
            Event::Back { .. } => self.is_away = false,
            _ => {}
        }
        let mut lines = self.view.event(event);
        if let Event::Refused { draft, .. } = event {
            // A line that the user has begun since must stay as it is.
            if !self.editor.is_empty() || self.given_back.is_some() {
                lines.push(self.view.renderer.note(self.view.locale.given_back));
            } else if self.is_reading.load(Ordering::Relaxed) && self.question.is_none() {
                self.editor.set(&line_of(draft));
            } else {
                self.given_back = Some(line_of(draft));
            }
        }
        self.write(&lines);
    }

    /// Writes lines above the prompt.
    fn write(&mut self, lines: &[Rendered]) {
        if lines.is_empty() {
            return;
        }
        let mut text = self.hide();
        let failed = self.view.log(lines);
        text.extend(lines.iter().chain(&failed).map(|line| line.text.as_str()));
        self.paint(text);
    }

    fn give_back(&mut self, line: &str) {
        self.given_back = Some(line.to_owned());
    }

    /// Waits for the server's reply, and shows the message as pending if there is none soon.
    fn sent(&mut self, sent: &Draft) {
        let deadline = Instant::now() + SEND_TIMEOUT;
        while !self.is_away && self.view.end.is_none() {
            let Ok(event) = self.view.events.recv_deadline(deadline) else { break };
            self.happened(&event);
            if matches!(&event, Event::Confirmed(draft) | Event::Refused { draft, .. } if draft.id == sent.id) {
                return;
            }
        }
        let lines = self.view.renderer.pending(sent, now());
        self.write(&lines);
    }
}

impl Terminal {
    /// Takes keys, events and signals until a line is complete. `None` if there is none.
    fn read_line(&mut self) -> Option<String> {
        while self.view.end.is_none() {
            let mut key = self.typed_ahead.pop_front();
            if key.is_none() {
                select! {
                    recv(self.keys) -> pressed => match pressed {
                        Ok(pressed) => key = Some(pressed),
                        // The terminal is gone.
                        Err(_) => self.view.end = Some(End::User),
                    },
                    recv(self.signals) -> signal => match signal {
                        Ok(Signal::SIGWINCH) => self.fit(),
                        _ => self.view.end = Some(End::Signal),
                    },
                    recv(self.view.events) -> event => self.happened(&event.unwrap_or(Event::ENDED)),
                }
            }
            if let Some(outcome) = key.and_then(|key| self.press(key)) {
                return outcome;
            }
        }
        None
    }

    /// Handles a key. If reading is over, returns the line, or that there is none.
    fn press(&mut self, key: Key) -> Option<Option<String>> {
        let is_question = self.question.is_some();
        self.view.renderer.unseen.active(now());
        match self.editor.press(key) {
            Action::Edited => self.edit(),
            Action::Enter => {
                let line = self.editor.take();
                let is_echoed = is_question || !is_said(&line, &self.view.renderer);
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
            Action::Interrupt => self.interrupt(),
            // Leaving would cut off others, so this asks again as Ctrl-C does.
            Action::EndOfInput if self.view.guests().is_some() => self.interrupt(),
            Action::EndOfInput => {
                self.view.end = Some(End::User);
                self.leave_prompt(None, "");
            }
            Action::Complete => self.complete(),
            Action::ClearScreen => {
                self.prompt.erase();
                self.view.renderer.scrolled();
                write("\x1b[H\x1b[2J");
                self.repaint();
            }
            Action::Suspend => self.suspend(),
        }
        None
    }

    /// Shows the line after a key. Keys that came together are painted once.
    fn edit(&mut self) {
        while let Some(key) = self.typed_ahead.pop_front().or_else(|| self.keys.try_recv().ok()) {
            if matches!(key, Key::Char(c) if c.is_control()) {
                self.typed_ahead.push_front(key);
                break;
            }
            self.editor.press(key);
        }
        self.repaint();
    }

    fn interrupt(&mut self) {
        match self.view.interrupt() {
            Some(line) => self.write(&[line]),
            None => self.leave_prompt(None, ""),
        }
    }

    fn suspend(&mut self) {
        let text = self.hide();
        write(&text);
        self.modes.restore();
        let _ = raise(Signal::SIGTSTP);
        let _ = self.modes.set_again();
        self.view.renderer.scrolled();
        self.repaint();
    }
}

/// Returns the line that the user would type for a draft.
fn line_of(draft: &Draft) -> String {
    match &draft.to {
        Some(to) => format!("@{to} {}", draft.text),
        None if draft.text.starts_with('/') => format!("/{}", draft.text),
        None => draft.text.clone(),
    }
}

/// Returns whether a line will be shown again, as a message or in the prompt.
fn is_said(line: &str, renderer: &Renderer) -> bool {
    let first = line.lines().next().unwrap_or_default();
    let is_whole =
        |command, rest: &str| command::spec_of(command).split(rest).len() == command::spec_of(command).takes.len();
    line.lines().count() <= conversation::PASTED_LINES
        && match parse(first, renderer.room().is_some()) {
            Line::Say { .. } | Line::Doubtful(Command::Join, _) => true,
            // The line will be in the prompt again.
            Line::Nowhere => true,
            Line::Command(Command::Me, rest) => !rest.is_empty() && renderer.room().is_some(),
            Line::Command(Command::Msg, rest) => is_whole(Command::Msg, &rest),
            Line::Command(Command::Reply, rest) => is_whole(Command::Reply, &rest) && renderer.last_private.is_some(),
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
