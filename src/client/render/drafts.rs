//! Messages typed here whose fate the server has not told yet.

use chrono::NaiveDateTime;

use super::layout::Head;
use super::names::{name, sanitized};
use super::said::{Mark, Said};
use super::style::RED;
use super::{Rendered, Renderer, Topic, time};
use crate::client::event::{DraftId, Message};
use crate::rpc::Fault;
use crate::stamp::{Stamp, Time};

/// As wide as the time of day and the sign.
const REASON_INDENT: &str = "      ";

/// A message that was typed here.
#[derive(Debug, Clone)]
pub(super) struct Typed {
    pub(super) text: String,
    pub(super) to: Option<String>,
}

/// The open drafts: few, and so a list.
#[derive(Debug, Default)]
pub(super) struct Drafts {
    open: Vec<(DraftId, Typed)>,
    last: DraftId,
}

impl Drafts {
    /// Adds a draft and returns its number.
    pub(super) fn add(&mut self, text: &str, to: Option<&str>) -> DraftId {
        self.last += 1;
        self.open.push((self.last, Typed { text: text.to_owned(), to: to.map(str::to_owned) }));
        self.last
    }

    /// Returns a draft that is open.
    pub(super) fn get(&self, draft: DraftId) -> Option<&Typed> {
        self.open.iter().find(|(open, _)| *open == draft).map(|(_, typed)| typed)
    }

    /// Closes a draft and returns it.
    pub(super) fn take(&mut self, draft: DraftId) -> Option<Typed> {
        let index = self.open.iter().position(|(open, _)| *open == draft)?;
        Some(self.open.swap_remove(index).1)
    }
}

impl Typed {
    /// Returns the line that the user would type for it.
    pub(super) fn line(&self) -> String {
        match &self.to {
            Some(to) => format!("@{to} {}", self.text),
            None if self.text.starts_with('/') => format!("/{}", self.text),
            None => self.text.clone(),
        }
    }
}

/// The fate of a draft.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    Confirmed,
    Refused(Fault),
}

impl Renderer {
    /// Records a typed message and returns its draft. Call before sending, so that the outcome finds it.
    pub(crate) fn typed(&mut self, text: &str, to: Option<&str>) -> DraftId {
        self.drafts.add(text, to)
    }

    /// Returns the lines that say that a draft has not arrived at once; none if it has.
    pub(crate) fn pending(&mut self, draft: DraftId, now: NaiveDateTime) -> Vec<Rendered> {
        match self.drafts.get(draft).cloned() {
            Some(typed) if !self.style.plain => self.own(&typed, Mark::Pending, now, draft),
            _ => Vec::new(),
        }
    }

    /// Returns whether the server has not replied yet.
    pub(crate) fn is_open(&self, draft: DraftId) -> bool {
        self.drafts.get(draft).is_some()
    }

    /// Returns the line that the user would type for a draft that is open.
    pub(crate) fn line_of(&self, draft: DraftId) -> Option<String> {
        self.drafts.get(draft).map(Typed::line)
    }

    /// Returns the lines about the fate of a draft.
    pub(super) fn outcome(&mut self, draft: DraftId, outcome: Outcome, now: NaiveDateTime) -> Vec<Rendered> {
        let Some(typed) = self.drafts.take(draft) else { return Vec::new() };
        let locale = self.locale;
        match outcome {
            Outcome::Confirmed if self.style.json => {
                let message = Message {
                    id: None,
                    origin: self.name.clone(),
                    destination: typed.to,
                    content: typed.text,
                    timestamp: Stamp(now).to_string(),
                    time: Some(Time::now().to_string()),
                    room_id: None,
                    key: None,
                };
                vec![self.object(&message, true)]
            }
            Outcome::Confirmed if self.style.plain => {
                // Whoever listens to the screen has just typed it.
                let to = typed.to.as_deref().map(name);
                let line = self.note(&format!("{} {}", time(now), (locale.sent)(to.as_deref())));
                vec![Rendered { log: self.log_of_own(&typed, now), ..line }]
            }
            Outcome::Confirmed => self.own(&typed, Mark::Sent, now, draft),
            Outcome::Refused(fault) => {
                let why = locale.refusal(&fault);
                if self.style.plain {
                    return vec![self.logged_note(&(locale.refused)(&sanitized(&typed.text), &why), now)];
                }
                let mut shown = self.own(&typed, Mark::Refused, now, draft);
                shown.push(self.lines(4, &Head::plain(REASON_INDENT), &why, RED, None, false));
                shown
            }
        }
    }

    /// Returns a line of the user's own, in the place of an earlier one about the same draft.
    fn own(&mut self, typed: &Typed, mark: Mark, now: NaiveDateTime, draft: DraftId) -> Vec<Rendered> {
        let mut shown: Vec<_> = self.new_day(now.date(), false).into_iter().collect();
        let name = self.name.clone();
        let clock = time(now);
        let to = typed.to.as_deref();
        let said = Said { clock: &clock, mark, origin: &name, to, text: &typed.text, is_mine: true };
        let (head, text, sgr) = said.on_screen(self.style);
        let log = if mark == Mark::Sent { self.log_of_own(typed, now) } else { String::new() };
        shown.push(Rendered { log, ..self.lines(4, &head, &text, sgr, Some(Topic::Own(draft)), true) });
        shown
    }
}
