//! The screen of the client: the prompt below everything else, wherever the terminal has moved it.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::keys::{Key, WHERE};
use super::modes::{size, write};
use super::{End, Terminal};
use crate::client::render::{Rendered, sanitized};

/// How long a terminal may take to say where its cursor is.
const CURSOR_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a terminal of another size may take to say so.
const RESIZE_TIMEOUT: Duration = Duration::from_millis(500);
/// How often to ask for the cursor while the size goes on changing.
const CURSOR_TRIES: usize = 4;

impl Terminal {
    /// Takes the prompt away, and leaves in its place the line that is echoed, if it is, and `mark`.
    pub(super) fn leave_prompt(&mut self, echoed: Option<&String>, mark: &str) {
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
    pub(super) fn repaint(&mut self) {
        let (_, colored) = self.prompt_text();
        let text = self.prompt.extend(&colored, self.editor.parts(), size());
        let text = text.unwrap_or_else(|| self.hide() + &self.painted());
        write(&text);
    }

    /// Returns what takes the prompt away, wherever it is after what the terminal was resized to.
    pub(super) fn hide(&mut self) -> String {
        let mut known = size();
        if !self.prompt.is_outdated(known) {
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
            known = size();
        }
        let mut column = None;
        for _ in 0..CURSOR_TRIES {
            column = self.cursor_column();
            let now = size();
            if now == known {
                break;
            }
            // It says where the cursor was meanwhile.
            (known, column) = (now, None);
        }
        self.renderer.resize(Some(known));
        self.renderer.scrolled();
        self.prompt.erase_resized(known, column)
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
    pub(super) fn write(&mut self, lines: &[Rendered]) {
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
    pub(super) fn fit(&mut self) {
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
}
