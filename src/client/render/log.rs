//! Lines for the log, which are plain and have dates.

use chrono::NaiveDateTime;

use super::super::event::Draft;
use super::layout::layout;
use super::said::{Mark, Said};
use super::{Renderer, Style};
use crate::stamp::Stamp;

impl Renderer {
    /// Returns a line for the log; empty without a log.
    pub(super) fn log(&self, when: NaiveDateTime, text: &str) -> String {
        if self.style.log { format!("{} {text}\n", date_and_time(when)) } else { String::new() }
    }

    pub(super) fn log_of(&self, said: &Said<'_>, when: NaiveDateTime) -> String {
        if !self.style.log {
            return String::new();
        }
        let style = Style { plain: true, ..Style::default() };
        let line = Said { clock: &date_and_time(when), ..said.clone() }.line(style, self.locale);
        layout(style, None, &line).text
    }

    pub(super) fn log_of_own(&self, draft: &Draft, now: NaiveDateTime) -> String {
        let to = draft.to.as_deref();
        let said = Said { clock: "", mark: Mark::None, origin: &self.name, to, text: &draft.text, is_mine: true };
        self.log_of(&said, now)
    }
}

/// Returns a time in the form of the log.
fn date_and_time(time: NaiveDateTime) -> String {
    Stamp(time).to_string().get(.."YYYY-MM-DD HH:MM:SS".len()).unwrap_or_default().to_owned()
}
