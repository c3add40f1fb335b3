//! Lines for the log, which are plain and have dates.

use chrono::NaiveDateTime;

use super::super::event::Message;
use super::layout::layout;
use super::{Renderer, Style};
use crate::stamp::Stamp;

impl Renderer {
    /// Returns a line for the log; empty without a log.
    pub(super) fn log(&self, when: NaiveDateTime, text: &str) -> String {
        if self.style.log { format!("{} {text}\n", date_and_time(when)) } else { String::new() }
    }

    /// Returns a message for the log; empty without a log.
    pub(super) fn log_of(&self, message: &Message, when: NaiveDateTime) -> String {
        if !self.style.log {
            return String::new();
        }
        let style = Style { plain: true, ..Style::default() };
        let said = self.said(message, date_and_time(when), self.mark(message));
        layout(style, None, &said.line(style, self.locale)).text
    }
}

/// Returns a time in the form of the log.
fn date_and_time(time: NaiveDateTime) -> String {
    Stamp(time).to_string().get(.."YYYY-MM-DD HH:MM:SS".len()).unwrap_or_default().to_owned()
}
