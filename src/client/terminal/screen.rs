//! The screen, with the prompt below everything else.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::keys::{Key, RIGHT_MARGIN, WHERE};
use super::modes::{size, write};
use super::prompt::{Seen, right};
use super::{End, Terminal};
use crate::client::render::sanitized;

/// The time for a terminal to report its cursor.
const CURSOR_TIMEOUT: Duration = Duration::from_secs(1);
/// The time for a terminal of another size to report it.
const RESIZE_TIMEOUT: Duration = Duration::from_millis(300);
/// The time without another change of size before rows above the cursor are erased.
const STEADY: Duration = Duration::from_millis(100);
/// The most questions for the cursor while the size keeps changing.
const CURSOR_TRIES: usize = 4;

impl Terminal {
    /// Erases the prompt, or leaves the prompt with an echo of the line and `mark`.
    pub(super) fn leave_prompt(&mut self, echoed: Option<&String>, mark: &str) {
        let mut text = self.hide();
        if let Some(line) = echoed {
            let (_, colored) = self.prompt_text();
            let echo: Vec<_> = line.lines().map(sanitized).collect();
            text.push_str(&format!("{colored}{}{mark}\n", echo.join("\n")));
            self.view.renderer.scrolled();
        }
        self.is_reading.store(false, Ordering::Relaxed);
        write(&text);
    }

    /// Shows all rows of a question but the last, and returns that as the prompt. The terminal wraps a prompt within words.
    pub(super) fn show_question(&mut self, question: &str) -> String {
        let rows = self.view.renderer.note(question.trim_end());
        let Some((above, last)) = rows.text.trim_end().rsplit_once('\n') else { return question.to_owned() };
        let text = self.hide();
        write(&format!("{text}{above}\n"));
        format!("{last} ")
    }

    /// Returns the prompt without and with colours.
    fn prompt_text(&self) -> (String, String) {
        self.question.as_ref().map_or_else(|| self.view.renderer.prompt(), |text| (text.clone(), text.clone()))
    }

    /// Shows the current line.
    pub(super) fn repaint(&mut self) {
        let (_, colored) = self.prompt_text();
        match self.prompt.extend(&colored, self.editor.parts(), size()) {
            Some(text) => write(&text),
            None => {
                let text = self.hide();
                self.paint(text);
            }
        }
    }

    /// Writes `text`, and below it the prompt, if a line is being read.
    pub(super) fn paint(&mut self, mut text: String) {
        if self.is_reading.load(Ordering::Relaxed) {
            let (plain, colored) = self.prompt_text();
            text.push_str(&self.prompt.paint(&colored, &plain, self.editor.parts(), size()));
        }
        write(&text);
        if self.prompt.is_below_others() {
            let seen = self.seen();
            write(&self.prompt.settle(seen));
        }
    }

    /// Erases the prompt, even after the terminal was resized. Returns the text that is still to be written for this.
    pub(super) fn hide(&mut self) -> String {
        let is_outdated = self.prompt.is_outdated(size());
        if !is_outdated && (!self.answers || !self.prompt.is_below_others()) {
            return self.prompt.erase();
        }
        // A window that is being dragged changes its size faster than the terminal replies.
        while is_outdated && self.signals.recv_timeout(STEADY).is_ok_and(|signal| self.took(signal)) {}
        let mut seen = self.seen();
        for _ in 0..CURSOR_TRIES {
            if seen.is_none_or(|seen| seen.columns == size().columns) {
                break;
            }
            // The terminal has another size than it has reported, and will report it soon.
            while self.signals.recv_timeout(RESIZE_TIMEOUT).is_ok_and(|signal| self.took(signal)) {}
            seen = self.seen();
        }
        // The prompt is erased at once, before the size changes again.
        if seen.is_some_and(|seen| self.prompt.is_as_painted(seen)) {
            write(&self.prompt.erase());
        } else {
            let columns = seen.map_or_else(|| size().columns, |seen| seen.columns);
            write(&self.prompt.erase_resized(columns, seen.map(|seen| seen.column)));
            self.view.renderer.resize(Some(size()));
            self.view.renderer.scrolled();
        }
        String::new()
    }

    /// Handles a signal that comes while the terminal changes. Returns whether it is about another size.
    fn took(&mut self, signal: Signal) -> bool {
        if signal != Signal::SIGWINCH {
            self.view.end = Some(End::Signal);
        }
        signal == Signal::SIGWINCH
    }

    /// Paints the prompt again, for a terminal whose size may have changed.
    pub(super) fn fit(&mut self) {
        if self.view.renderer.resize(Some(size())) {
            self.view.renderer.scrolled();
        }
        let text = self.hide();
        self.paint(text);
    }

    /// Asks the terminal for its cursor and its width. If it does not reply, it is not asked again.
    fn seen(&mut self) -> Option<Seen> {
        if !self.answers {
            return None;
        }
        write(&format!("{WHERE}{RIGHT_MARGIN}{WHERE}"));
        let deadline = Instant::now() + CURSOR_TIMEOUT;
        let mut columns = [0; 2];
        for column in &mut columns {
            *column = loop {
                match self.keys.recv_deadline(deadline) {
                    Ok(Key::CursorColumn(column)) => break column,
                    Ok(key) => self.typed_ahead.push_back(key),
                    Err(_) => {
                        self.answers = false;
                        return None;
                    }
                }
            };
        }
        let [column, last] = columns;
        write(&format!("\r{}", right(column)));
        Some(Seen { column, columns: last + 1 })
    }
}
