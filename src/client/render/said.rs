//! The look of messages.

use super::layout::{Head, ScreenLine, readable};
use super::names::name;
use super::style::{BOLD, DIM, GREEN, MENTIONED, PRIVATE, RED, Style};
use crate::client::command::as_action;
use crate::client::locale::Locale;

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

/// A message, of the user or another one.
#[derive(Debug, Clone)]
pub(super) struct Said<'a> {
    /// The time of day.
    pub(super) clock: &'a str,
    pub(super) mark: Mark,
    pub(super) origin: &'a str,
    /// The only recipient; `None` for the whole room.
    pub(super) to: Option<&'a str>,
    pub(super) text: &'a str,
    /// If set, it is the user's own.
    pub(super) is_mine: bool,
}

impl Said<'_> {
    /// Returns the line in a style.
    pub(super) fn line(&self, style: Style, locale: &Locale) -> ScreenLine {
        if style.plain { self.in_words(locale) } else { self.on_screen(style) }
    }

    fn on_screen(&self, style: Style) -> ScreenLine {
        let (sign, sign_style) = match self.mark {
            Mark::None => (" ", DIM),
            Mark::Sent => ("✓", GREEN),
            Mark::Pending => ("…", DIM),
            Mark::Refused => ("✗", RED),
            Mark::Mention => ("!", MENTIONED),
        };
        let user = |head: Head, user: &str| Head {
            plain: head.plain + &name(user),
            colored: head.colored + &style.user(user),
        };
        let mut head = Head::default().with(style, DIM, self.clock).with(style, sign_style, sign);
        let action = as_action(self.text);
        if let Some(to) = self.to {
            head = user(user(head.with(style, "", "["), self.origin).with(style, "", " → "), to).with(style, "", "] ");
        } else if action.is_none() {
            head = user(head.with(style, "", "<"), self.origin).with(style, "", "> ");
        }
        if action.is_some() {
            head = user(head.with(style, "", "* "), self.origin).with(style, "", " ");
        }
        let sgr = match (self.to, self.mark) {
            (Some(_), _) => PRIVATE,
            (None, Mark::Mention) => BOLD,
            _ => "",
        };
        ScreenLine { head, text: readable(action.unwrap_or(self.text)), sgr, is_entry: false }
    }

    fn in_words(&self, locale: &Locale) -> ScreenLine {
        let note = match self.to {
            Some(to) if self.is_mine => (locale.private_to)(&name(to)),
            Some(_) => locale.private.to_owned(),
            None if self.mark == Mark::Mention => locale.mentions_you.to_owned(),
            None => String::new(),
        };
        let note = if note.is_empty() { note } else { format!(" ({note})") };
        let (origin, action) = (name(self.origin), as_action(self.text));
        let head = match action {
            Some(_) => format!("{} * {origin}{note} ", self.clock),
            None => format!("{} {origin}{note}: ", self.clock),
        };
        ScreenLine { head: Head::plain(&head), text: readable(action.unwrap_or(self.text)), ..ScreenLine::default() }
    }
}
