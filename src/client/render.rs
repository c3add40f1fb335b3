//! Turns events into lines to read. Everything from the network is sanitized here, and nowhere else.
//!
//! On a screen a line is `14:03 <bob> hello`. The character after the time is a mark: `✓` the server has the message, `…` it
//! does not have it yet, `✗` it refuses it, `!` the message mentions the user. `[bob → ana]` is a private message. Plain lines
//! have words for all of this, are never redrawn, and are not wrapped.

mod drafts;
mod json;
mod layout;
mod names;
mod outage;
mod presence;
mod said;
mod style;
#[cfg(test)]
mod tests;
mod unseen;
mod wrap;

use chrono::{NaiveDate, NaiveDateTime, Timelike as _};

use super::event::{Event, Message, is_same_name};
use super::locale::Locale;
use crate::sanitize::Sanitized;
use layout::{Head, ScreenLine, layout};
use names::{few, mentions};
use outage::OutageLine;
use presence::PresenceLine;
use style::{BOLD, DIM};
use unseen::Unseen;

pub(crate) use names::{list, sanitized};
pub(crate) use style::{Size, Style};
pub(crate) use unseen::ReadPosition;

/// Lines for the screen, or for one of the two outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rendered {
    /// Whole lines. On a screen they may begin with taking back the last ones.
    pub(crate) text: String,
    /// If set, they are a message, which belongs on standard output.
    pub(crate) is_message: bool,
    /// Plain lines with dates for the log; empty if they do not belong there.
    pub(crate) log: String,
}

/// The subject of the last lines. Newer lines about the same subject take their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Topic {
    Outage,
    Presence,
    /// The draft with this number.
    Own(u64),
}

/// The last lines on the screen.
#[derive(Debug)]
struct Last {
    topic: Topic,
    rows: usize,
    /// On a screen of another size they take other rows, so they are not replaced there.
    size: Size,
}

/// Makes lines of events.
#[derive(Debug)]
pub(crate) struct Renderer {
    locale: &'static Locale,
    style: Style,
    size: Option<Size>,
    /// The user's name.
    pub(crate) name: String,
    room: Option<String>,
    /// The day of the last line.
    day: NaiveDate,
    pub(crate) ignored: Vec<String>,
    /// The author of the newest private message.
    pub(crate) last_private: Option<String>,
    outage: OutageLine,
    pub(crate) presence: PresenceLine,
    pub(crate) unseen: Unseen,
    last: Option<Last>,
    /// The lines about the current event so far.
    shown: Vec<Rendered>,
}

impl Renderer {
    /// Returns a renderer for the user `name`; `now` is the local time, here and below.
    pub(crate) fn new(locale: &'static Locale, style: Style, name: &str, now: NaiveDateTime) -> Self {
        Self {
            locale,
            style,
            size: None,
            name: name.to_owned(),
            room: None,
            day: now.date(),
            ignored: Vec::new(),
            last_private: None,
            outage: OutageLine::default(),
            presence: PresenceLine::default(),
            unseen: Unseen::default(),
            last: None,
            shown: Vec::new(),
        }
    }

    /// Returns the room that the user is in, according to the events shown so far.
    pub(crate) fn room(&self) -> Option<&str> {
        self.room.as_deref()
    }

    /// Returns a short list of the others in the room, and whether they are several. `None` if the user is alone.
    pub(crate) fn audience(&self) -> Option<(String, bool)> {
        let others = &self.presence.others;
        (!others.is_empty()).then(|| (few(self.locale, others), others.len() > 1))
    }

    /// Sets the size of the terminal. Lines are wrapped only if it is known. Returns whether it has changed.
    pub(crate) fn resize(&mut self, size: Option<Size>) -> bool {
        std::mem::replace(&mut self.size, size) != size
    }

    /// Records that something else was written to the screen, so that no earlier line is replaced.
    pub(crate) fn scrolled(&mut self) {
        self.last = None;
    }

    /// Ignores a user, or no longer. Returns whether the user is ignored now.
    pub(crate) fn ignore(&mut self, name: &str) -> bool {
        let key = name.to_lowercase();
        match self.ignored.iter().position(|ignored| *ignored == key) {
            Some(index) => {
                self.ignored.remove(index);
                false
            }
            None => {
                self.ignored.push(key);
                true
            }
        }
    }

    /// Returns whether a message is private for the user or mentions them, and is not from an ignored user.
    pub(crate) fn is_call(&self, message: &Message) -> bool {
        !self.is_me(&message.origin)
            && !self.ignored.contains(&message.origin.to_lowercase())
            && (message.destination.is_some() || mentions(&message.content, &self.name))
    }

    /// Returns the prompt without and with colours. It has the name and the room, and takes at most half a row.
    pub(crate) fn prompt(&self) -> (String, String) {
        let place = self.room.as_ref().map_or_else(|| self.name.clone(), |room| format!("{}@{room}", self.name));
        let width = self.size.map_or(40, |size| (size.columns / 2).saturating_sub(2).max(4));
        let plain = format!("{place:.width$}> ", place = Sanitized(&place));
        let colored = self.style.paint(BOLD, &plain);
        (plain, colored)
    }

    /// Returns the lines about an event.
    pub(crate) fn event(&mut self, event: &Event, now: NaiveDateTime) -> Vec<Rendered> {
        let locale = self.locale;
        match event {
            Event::Joined { room, users, messages } => self.joined(room, users, messages, now),
            Event::Created { room } => {
                let line = self.note(&(locale.created_to_join)(&sanitized(room)));
                self.shown.push(line);
            }
            Event::Left { room } => {
                self.room = None;
                self.presence.others.clear();
                self.tell(&(locale.left)(&sanitized(room)), now);
            }
            Event::Message(message) => {
                self.divide_after_idling(message, now);
                self.message(message, true, true);
            }
            Event::Confirmed(draft) => self.confirmed(draft, now),
            Event::Refused { draft, fault } => self.refused(draft, fault, now),
            Event::Presence { came, went } => self.presence(came, went, now),
            Event::Missed { count } => self.tell(&(locale.missed)(*count), now),
            Event::Lost | Event::Retrying { .. } | Event::Forgotten { .. } | Event::Back { .. } => {
                self.outage(event, now);
            }
            // The program says at its end why.
            Event::Ended { .. } => {}
        }
        std::mem::take(&mut self.shown)
    }

    fn joined(&mut self, room: &str, users: &[String], messages: &[Message], now: NaiveDateTime) {
        self.room = Some(room.to_owned());
        self.presence.others = users.iter().filter(|user| !self.is_me(user)).cloned().collect();
        let text = match self.audience() {
            None => (self.locale.joined_alone)(&sanitized(room)),
            Some((others, _)) => (self.locale.joined)(&sanitized(room), &others),
        };
        self.tell(&text, now);
        let read = self.unseen.position(&self.name, room).map(str::to_owned);
        for message in messages {
            let was_read = read.as_ref().is_some_and(|read| *read >= message.timestamp);
            // The user has seen their own messages, which were logged when the server had them.
            let is_new = !was_read && !self.is_me(&message.origin);
            if read.is_some() && is_new && !self.unseen.is_divided {
                self.divide(read.as_deref(), now);
            }
            self.message(message, false, is_new);
        }
        self.unseen.active(now);
    }

    /// Returns older messages.
    pub(crate) fn messages(&mut self, messages: &[Message]) -> Vec<Rendered> {
        messages.iter().for_each(|message| self.message(message, false, false));
        std::mem::take(&mut self.shown)
    }

    /// Returns a line that is not a message and has no time. `text` is sanitized.
    pub(crate) fn note(&mut self, text: &str) -> Rendered {
        self.lines(&ScreenLine { text: text.to_owned(), ..ScreenLine::default() }, None)
    }

    /// Returns an entry of a list: `left` in a column of its own.
    pub(crate) fn entry(&mut self, left: &str, text: &str) -> Rendered {
        let line =
            ScreenLine { head: Head::plain(left), text: text.to_owned(), is_entry: true, ..ScreenLine::default() };
        self.lines(&line, None)
    }

    /// Returns a line about a message that was not sent before the session was closed.
    pub(crate) fn unsent(&mut self, text: &str) -> Rendered {
        let told = (self.locale.unsent)(&sanitized(text));
        self.note(&told)
    }

    /// Shows a note about something that happens now, which belongs in the log too.
    fn tell(&mut self, text: &str, now: NaiveDateTime) {
        let line = Rendered { log: self.log(now, text), ..self.note(text) };
        self.shown.push(line);
    }

    /// Shows a message. If `live`, it has just arrived; if `logged`, it belongs in the log.
    fn message(&mut self, message: &Message, live: bool, logged: bool) {
        if let Some(room) = &self.room {
            self.unseen.read(&self.name, room, &message.timestamp);
        }
        if self.ignored.contains(&message.origin.to_lowercase()) {
            return;
        }
        let is_call = self.is_call(message);
        if is_call && message.destination.is_some() {
            self.last_private = Some(message.origin.clone());
        }
        let said_at = message.said_at();
        let mut lines = if self.style.json {
            self.object(message, false)
        } else {
            if let Some(said_at) = said_at {
                self.begin_day(said_at.date(), true);
            }
            let said = self.said(message, said_at.map(time).unwrap_or_default(), self.mark(message));
            self.lines(&said.line(self.style, self.locale), None)
        };
        lines.is_message = true;
        if logged {
            lines.log = self.log_of(message, said_at.unwrap_or_default());
        }
        if live && self.style.bell && is_call && !self.style.json {
            lines.text.insert(0, '\x07');
        }
        self.shown.push(lines);
    }

    fn presence(&mut self, came: &[String], went: &[String], now: NaiveDateTime) {
        if !self.is_last(Topic::Presence) {
            self.presence.begin_line();
        }
        self.presence.change(came, went);
        let told = self.presence.told(self.locale);
        if !told.is_empty() {
            self.dim_line(&told, Topic::Presence, now);
        }
    }

    fn dim_line(&mut self, text: &str, topic: Topic, now: NaiveDateTime) {
        self.begin_day(now.date(), false);
        let head = Head::default().with(self.style, DIM, &format!("{} ", time(now)));
        let line = ScreenLine { head, text: text.to_owned(), sgr: DIM, is_entry: false };
        let lines = Rendered { log: self.log(now, text), ..self.lines(&line, Some(topic)) };
        self.shown.push(lines);
    }

    /// Shows a line for a new day. Only messages go back in time.
    fn begin_day(&mut self, day: NaiveDate, may_go_back: bool) {
        if day > self.day || day < self.day && may_go_back {
            self.day = day;
            let text = self.locale.day(day);
            self.rule(&text);
        }
    }

    /// Shows a line that divides others.
    fn rule(&mut self, text: &str) {
        let text = if self.style.plain { text.to_owned() } else { format!("── {text} ──") };
        let lines = self.lines(&ScreenLine { text, sgr: DIM, ..ScreenLine::default() }, None);
        self.shown.push(lines);
    }

    /// Returns lines, in place of the last ones if those have the same topic.
    fn lines(&mut self, line: &ScreenLine, topic: Option<Topic>) -> Rendered {
        let lines = layout(self.style, self.size, line);
        let mut text = String::new();
        if let Some(size) = self.size.filter(|_| !self.style.plain) {
            if let Some(last) = self.last.take()
                && Some(last.topic) == topic
                && last.size == size
                && last.rows < size.rows
            {
                text = format!("\x1b[{}A\r\x1b[J", last.rows);
            }
            self.last = topic.map(|topic| Last { topic, rows: lines.rows, size });
        }
        text.push_str(&lines.text);
        Rendered { text, is_message: false, log: String::new() }
    }

    /// Returns a message as a JSON object.
    fn object(&self, message: &Message, confirmed: bool) -> Rendered {
        let text = json::message(self.room().unwrap_or_default(), message, confirmed);
        Rendered { text, is_message: true, log: String::new() }
    }

    fn is_last(&self, topic: Topic) -> bool {
        self.last.as_ref().is_some_and(|last| last.topic == topic)
    }

    fn is_me(&self, name: &str) -> bool {
        is_same_name(name, &self.name)
    }
}

/// Returns the hour and the minute.
fn time(now: NaiveDateTime) -> String {
    format!("{:02}:{:02}", now.hour(), now.minute())
}
