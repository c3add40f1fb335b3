//! The look of messages, on the screen and in the log. The log has plain lines with dates.

use chrono::NaiveDateTime;

use super::Renderer;
use super::layout::{Head, ScreenLine, layout, readable};
use super::names::name;
use super::style::{BOLD, DIM, GREEN, MENTIONED, PRIVATE, RED, Style, color};
use crate::client::command::as_action;
use crate::client::event::Message;
use crate::client::locale::Locale;
use crate::stamp::Stamp;

/// A mark of a message, which is a sign on the screen and words in plain lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    None,
    /// The server has it.
    Sent,
    /// It is on its way.
    Pending,
    /// The server refuses it.
    Refused,
    /// It mentions the user.
    Mention,
}

/// A message to show.
#[derive(Debug)]
pub(super) struct Said<'a> {
    pub(super) message: &'a Message,
    /// The time of day, perhaps with the date.
    pub(super) clock: String,
    pub(super) mark: Mark,
    /// If set, it is the user's own.
    pub(super) is_mine: bool,
}

impl Said<'_> {
    /// Returns the line in a style.
    pub(super) fn line(&self, style: Style, locale: &Locale) -> ScreenLine {
        let action = as_action(&self.message.content);
        let head =
            if style.plain { self.in_words(locale, action.is_some()) } else { self.on_screen(style, action.is_some()) };
        let sgr = match (&self.message.destination, self.mark) {
            _ if style.plain => "",
            (Some(_), _) => PRIVATE,
            (None, Mark::Mention) => BOLD,
            _ => "",
        };
        ScreenLine { head, text: readable(action.unwrap_or(&self.message.content)), sgr, is_entry: false }
    }

    fn on_screen(&self, style: Style, is_action: bool) -> Head {
        let (sign, sign_style) = match self.mark {
            Mark::None => (" ", DIM),
            Mark::Sent => ("✓", GREEN),
            Mark::Pending => ("…", DIM),
            Mark::Refused => ("✗", RED),
            Mark::Mention => ("!", MENTIONED),
        };
        let between = |head: Head, before: &str, user: &str, after: &str| {
            head.with(style, "", before).with(style, color(user), &name(user)).with(style, "", after)
        };
        let Message { origin, destination, .. } = self.message;
        let mut head = Head::default().with(style, DIM, &self.clock).with(style, sign_style, sign);
        if let Some(to) = destination {
            head = between(between(head, "[", origin, " → "), "", to, "] ");
        } else if !is_action {
            head = between(head, "<", origin, "> ");
        }
        if is_action { between(head, "* ", origin, " ") } else { head }
    }

    fn in_words(&self, locale: &Locale, is_action: bool) -> Head {
        let note = match &self.message.destination {
            Some(to) if self.is_mine => (locale.private_to)(&name(to)),
            Some(_) => locale.private.to_owned(),
            None if self.mark == Mark::Mention => locale.mentions_you.to_owned(),
            None => String::new(),
        };
        let note = if note.is_empty() { note } else { format!(" ({note})") };
        let (clock, origin) = (&self.clock, name(&self.message.origin));
        Head::plain(&if is_action { format!("{clock} * {origin}{note} ") } else { format!("{clock} {origin}{note}: ") })
    }
}

impl Renderer {
    pub(super) fn said<'a>(&self, message: &'a Message, clock: String, mark: Mark) -> Said<'a> {
        Said { message, clock, mark, is_mine: self.is_me(&message.origin) }
    }

    /// Returns the mark of a message that was received.
    pub(super) fn mark(&self, message: &Message) -> Mark {
        if message.destination.is_none() && self.is_call(message) { Mark::Mention } else { Mark::None }
    }

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
