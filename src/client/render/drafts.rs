//! Messages typed here, and their fate.

use chrono::NaiveDateTime;

use super::layout::{Head, ScreenLine};
use super::names::{name, sanitized};
use super::said::Mark;
use super::style::RED;
use super::{Rendered, Renderer, Topic, time};
use crate::client::event::{Draft, Message};
use crate::rpc::Fault;
use crate::stamp::{Stamp, Time};

/// An indent as wide as the time of day and the sign.
const REASON_INDENT: &str = "      ";

impl Renderer {
    /// Returns the lines about a draft that the server has not confirmed at once.
    pub(crate) fn pending(&mut self, draft: &Draft, now: NaiveDateTime) -> Vec<Rendered> {
        self.own(draft, Mark::Pending, now);
        std::mem::take(&mut self.shown)
    }

    /// Shows that the server has a draft.
    pub(super) fn confirmed(&mut self, draft: &Draft, now: NaiveDateTime) {
        let line = if self.style.json {
            self.object(&self.as_message(draft, now), true)
        } else if self.style.plain {
            // A user who listens to the screen has just typed the text itself.
            let to = draft.to.as_deref().map(name);
            self.note(&format!("{} {}", time(now), (self.locale.sent)(to.as_deref())))
        } else {
            return self.own(draft, Mark::Sent, now);
        };
        self.shown.push(Rendered { log: self.log_of(&self.as_message(draft, now), now), ..line });
    }

    /// Shows that the server refuses a draft.
    pub(super) fn refused(&mut self, draft: &Draft, fault: &Fault, now: NaiveDateTime) {
        let why = self.locale.refusal(fault);
        if self.style.plain {
            return self.tell(&(self.locale.refused)(&sanitized(&draft.text), &why), now);
        }
        self.own(draft, Mark::Refused, now);
        let reason = ScreenLine { head: Head::plain(REASON_INDENT), text: why, sgr: RED, is_entry: false };
        let reason = self.lines(&reason, None);
        self.shown.push(reason);
    }

    /// Shows a line of the user's own, in the place of an earlier one about the same draft.
    fn own(&mut self, draft: &Draft, mark: Mark, now: NaiveDateTime) {
        self.begin_day(now.date(), false);
        let message = self.as_message(draft, now);
        let line = self.said(&message, time(now), mark).line(self.style, self.locale);
        let log = if mark == Mark::Sent { self.log_of(&message, now) } else { String::new() };
        let lines = self.lines(&line, Some(Topic::Own(draft.id)));
        self.shown.push(Rendered { log, is_message: true, ..lines });
    }

    /// Returns the message that a draft becomes. Its number is not known.
    fn as_message(&self, draft: &Draft, now: NaiveDateTime) -> Message {
        Message {
            origin: self.name.clone(),
            destination: draft.to.clone(),
            content: draft.text.clone(),
            timestamp: Stamp(now).to_string(),
            time: Some(Time::now().to_string()),
            ..Message::default()
        }
    }
}
