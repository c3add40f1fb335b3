//! Messages typed here, and their fate.

use chrono::NaiveDateTime;

use super::layout::Head;
use super::names::{name, sanitized};
use super::said::{Mark, Said};
use super::style::RED;
use super::{Rendered, Renderer, Topic, time};
use crate::client::event::{Draft, Message};
use crate::rpc::Fault;
use crate::stamp::{Stamp, Time};

/// As wide as the time of day and the sign.
const REASON_INDENT: &str = "      ";

impl Renderer {
    /// Returns the lines that say that a draft has not arrived at once.
    pub(crate) fn pending(&mut self, draft: &Draft, now: NaiveDateTime) -> Vec<Rendered> {
        self.own(draft, Mark::Pending, now)
    }

    /// Returns the lines about a draft that the server has.
    pub(super) fn confirmed(&mut self, draft: &Draft, now: NaiveDateTime) -> Vec<Rendered> {
        if self.style.json {
            return vec![self.object(&self.as_message(draft, now), true)];
        }
        if !self.style.plain {
            return self.own(draft, Mark::Sent, now);
        }
        // Whoever listens to the screen has just typed it.
        let to = draft.to.as_deref().map(name);
        let line = self.note(&format!("{} {}", time(now), (self.locale.sent)(to.as_deref())));
        vec![Rendered { log: self.log_of_own(draft, now), ..line }]
    }

    /// Returns the lines about a draft that the server refuses.
    pub(super) fn refused(&mut self, draft: &Draft, fault: &Fault, now: NaiveDateTime) -> Vec<Rendered> {
        let why = self.locale.refusal(fault);
        if self.style.plain {
            return vec![self.logged_note(&(self.locale.refused)(&sanitized(&draft.text), &why), now)];
        }
        let mut shown = self.own(draft, Mark::Refused, now);
        shown.push(self.lines(4, &Head::plain(REASON_INDENT), &why, RED, None, false));
        shown
    }

    /// Returns a line of the user's own, in the place of an earlier one about the same draft.
    fn own(&mut self, draft: &Draft, mark: Mark, now: NaiveDateTime) -> Vec<Rendered> {
        let mut shown: Vec<_> = self.new_day(now.date(), false).into_iter().collect();
        let name = self.name.clone();
        let clock = time(now);
        let to = draft.to.as_deref();
        let said = Said { clock: &clock, mark, origin: &name, to, text: &draft.text, is_mine: true };
        let (head, text, sgr) = said.on_screen(self.style);
        let log = if mark == Mark::Sent { self.log_of_own(draft, now) } else { String::new() };
        shown.push(Rendered { log, ..self.lines(4, &head, &text, sgr, Some(Topic::Own(draft.id)), true) });
        shown
    }

    /// Returns the message that a draft has become, as far as it is known here.
    fn as_message(&self, draft: &Draft, now: NaiveDateTime) -> Message {
        Message {
            id: None,
            origin: self.name.clone(),
            destination: draft.to.clone(),
            content: draft.text.clone(),
            timestamp: Stamp(now).to_string(),
            time: Some(Time::now().to_string()),
            room_id: None,
            key: None,
        }
    }
}
