//! The look of messages.

use super::layout::{Head, ScreenLine, readable};
use super::names::name;
use super::style::{BOLD, DIM, GREEN, MENTIONED, PRIVATE, RED, Style, color};
use crate::client::command::as_action;
use crate::client::event::Message;
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
