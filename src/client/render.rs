//! Turns what happens into lines to read. Everything from the network is sanitized here, and nowhere else.
//!
//! On a screen a line is `14:03 <bob> hello`. The character after the time says what is special: `✓` the server has it, `…` it
//! does not yet, `✗` it refuses it, `!` it mentions the user. `[bob → ana]` is a private message. Plain lines say all of
//! this in words, nothing in them is ever redrawn, and they are not wrapped.

mod drafts;
mod json;
mod names;
mod outage;
mod presence;
mod style;
#[cfg(test)]
mod tests;
mod wrap;

use chrono::{NaiveDate, NaiveDateTime, Timelike as _};
use unicode_width::UnicodeWidthStr as _;

use super::event::{DraftId, Event, Message};
use super::locale::Locale;
use crate::rpc::Fault;
use crate::sanitize::Sanitized;
use crate::stamp::Stamp;
use drafts::{Drafts, Typed};
use names::{few, is_same, mentions, name};
use outage::OutageLine;
use presence::Presence;
use style::{BOLD, DIM, GREEN, MENTIONED, PRIVATE, RED};

pub use names::{list, sanitized};
pub use style::{Size, Style};

/// As wide as the time of day and the sign.
const REASON_INDENT: &str = "      ";

/// Something to write to the screen, or to one of the two outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Whole lines. On a screen they may begin with taking back the last ones.
    pub text: String,
    /// Whether it is a message, which is what standard output is for.
    pub is_message: bool,
}

/// The subject of the last lines, where newer lines about the same subject take their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Topic {
    Outage,
    Presence,
    Own(DraftId),
}

/// The last lines on the screen.
#[derive(Debug)]
struct Last {
    topic: Topic,
    rows: usize,
    /// On a screen of another size they take other rows, and are left alone.
    size: Size,
}

/// What became of a draft.
#[derive(Debug, Clone)]
enum Outcome {
    Confirmed,
    Refused(Fault),
}

/// Makes lines.
#[derive(Debug)]
pub struct Renderer {
    locale: &'static Locale,
    style: Style,
    size: Option<Size>,
    name: String,
    room: Option<String>,
    /// The day of the line before.
    day: NaiveDate,
    ignored: Vec<String>,
    last_private: Option<String>,
    drafts: Drafts,
    outage: OutageLine,
    presence: Presence,
    last: Option<Last>,
}

impl Renderer {
    /// For the user `name`; `now` is the local time, here and below.
    #[must_use]
    pub fn new(locale: &'static Locale, style: Style, name: &str, now: NaiveDateTime) -> Self {
        Self {
            locale,
            style,
            size: None,
            name: name.to_owned(),
            room: None,
            day: now.date(),
            ignored: Vec::new(),
            last_private: None,
            drafts: Drafts::default(),
            outage: OutageLine::default(),
            presence: Presence::default(),
            last: None,
        }
    }

    /// The language.
    #[must_use]
    pub fn locale(&self) -> &'static Locale {
        self.locale
    }

    /// The user's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The user has this name now.
    pub fn set_name(&mut self, name: &str) {
        name.clone_into(&mut self.name);
    }

    /// The user is in this room now, which [`Event::Joined`] will say as well.
    pub fn set_room(&mut self, room: Option<&str>) {
        self.room = room.map(str::to_owned);
    }

    /// The room that the user is in.
    #[must_use]
    pub fn room(&self) -> Option<&str> {
        self.room.as_deref()
    }

    /// Who else is in the room.
    #[must_use]
    pub fn others(&self) -> Vec<String> {
        self.presence.others.clone()
    }

    /// Who wrote the newest private message.
    #[must_use]
    pub fn last_private(&self) -> Option<&str> {
        self.last_private.as_deref()
    }

    /// The size of the terminal now; without one, lines are not wrapped.
    pub fn resize(&mut self, size: Option<Size>) {
        self.size = size;
    }

    /// Something else was written to the screen: what is there is left alone.
    pub fn scrolled(&mut self) {
        self.last = None;
    }

    /// Ignores a user, or shows the user again; answers which.
    pub fn ignore(&mut self, name: &str) -> bool {
        let key = name.to_lowercase();
        match self.ignored.iter().position(|ignored| *ignored == key) {
            Some(at) => {
                self.ignored.remove(at);
                false
            }
            None => {
                self.ignored.push(key);
                true
            }
        }
    }

    /// Who is ignored.
    #[must_use]
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// The prompt without and with colours: the name and the room, in at most half of the screen.
    #[must_use]
    pub fn prompt(&self) -> (String, String) {
        let place = self.room.as_ref().map_or_else(|| self.name.clone(), |room| format!("{}@{room}", self.name));
        let width = self.size.map_or(40, |size| (size.columns / 2).saturating_sub(2).max(4));
        let plain = format!("{place:.width$}> ", place = Sanitized(&place));
        let colored = self.style.paint(BOLD, &plain);
        (plain, colored)
    }

    /// The lines about an event.
    pub fn event(&mut self, event: &Event, now: NaiveDateTime) -> Vec<Rendered> {
        let locale = self.locale;
        match event {
            Event::Joined { room, users, messages } => {
                self.room = Some(room.clone());
                let others: Vec<_> = users.iter().filter(|user| !self.is_me(user)).cloned().collect();
                let text = if others.is_empty() {
                    (locale.joined_alone)(&sanitized(room))
                } else {
                    (locale.joined)(&sanitized(room), &few(locale, &others))
                };
                self.presence.others = others;
                let mut shown = vec![self.note(&text)];
                shown.extend(self.messages(messages));
                shown
            }
            Event::Left { room } => {
                self.room = None;
                self.presence.others.clear();
                vec![self.note(&(locale.left)(&sanitized(room)))]
            }
            Event::Message(message) => self.message(message, true),
            Event::Confirmed { draft } => self.outcome(*draft, Outcome::Confirmed, now),
            Event::Refused { draft, fault, .. } => self.outcome(*draft, Outcome::Refused(fault.clone()), now),
            Event::Presence { came, went } => self.presence(came, went, now),
            Event::Missed { count } => vec![self.note(&(locale.missed)(*count))],
            Event::Lost { .. } => {
                self.outage = OutageLine { lost: Some(locale.lost), ..OutageLine::default() };
                self.tell_outage(locale.lost, now)
            }
            Event::Retrying { pause } => {
                let text = (locale.retrying)(pause.as_secs_f64().round().max(1.0) as u64);
                // Plain lines say it once: what comes again every few seconds only disturbs.
                let is_told = self.outage.retrying.replace(text.clone()).is_some();
                if is_told && self.style.plain { Vec::new() } else { self.tell_outage(&text, now) }
            }
            Event::Back { caught_up } => {
                let text = (locale.back)(&time(now), *caught_up);
                self.outage.back = Some(text.clone());
                self.tell_outage(&text, now)
            }
            Event::Forgotten { room } => {
                if self.outage.back.is_some() && !self.is_last(Topic::Outage) {
                    // A story of its own.
                    self.outage = OutageLine::default();
                }
                let text = (locale.forgotten)(&sanitized(room));
                self.outage.forgotten = Some(text.clone());
                self.tell_outage(&text, now)
            }
            Event::Ended { cause } => vec![self.note(&(locale.ended)(&sanitized(cause)))],
        }
    }

    /// Older messages.
    pub fn messages(&mut self, messages: &[Message]) -> Vec<Rendered> {
        messages.iter().flat_map(|message| self.message(message, false)).collect()
    }

    /// A line that is not a message and has no time. `text` is harmless already.
    pub fn note(&mut self, text: &str) -> Rendered {
        let lines = self.wrapped("", "", text, "");
        self.shown(&lines, None, false)
    }

    /// An entry of a list: `left` in a column of its own.
    pub fn entry(&mut self, left: &str, text: &str) -> Rendered {
        let lines = self.wrapped_below(2, left, left, text, "");
        self.shown(&lines, None, false)
    }

    /// What was not sent before the session was closed.
    pub fn unsent(&mut self, text: &str) -> Rendered {
        let told = (self.locale.unsent)(&sanitized(text));
        self.note(&told)
    }

    /// The user has typed this. To be mentioned before it is sent, so that whatever becomes of it finds it here.
    pub fn typed(&mut self, text: &str, to: Option<&str>) -> DraftId {
        self.drafts.add(text, to)
    }

    /// It has not arrived at once: the lines that say so. Empty if it has.
    pub fn pending(&mut self, draft: DraftId, now: NaiveDateTime) -> Vec<Rendered> {
        match self.drafts.get(draft).cloned() {
            Some(Typed { text, to }) if !self.style.plain => self.own(&text, to.as_deref(), '…', now, draft),
            _ => Vec::new(),
        }
    }

    /// Whether the server has not answered yet.
    #[must_use]
    pub fn is_open(&self, draft: DraftId) -> bool {
        self.drafts.get(draft).is_some()
    }

    /// The line that the user would type for a draft that is open.
    #[must_use]
    pub fn line_of(&self, draft: DraftId) -> Option<String> {
        self.drafts.get(draft).map(Typed::line)
    }

    fn outcome(&mut self, draft: DraftId, outcome: Outcome, now: NaiveDateTime) -> Vec<Rendered> {
        let Some(Typed { text, to }) = self.drafts.take(draft) else { return Vec::new() };
        let locale = self.locale;
        match outcome {
            Outcome::Confirmed if self.style.json => {
                let message = Message {
                    id: None,
                    origin: self.name.clone(),
                    destination: to,
                    content: text,
                    timestamp: Stamp(now).to_string(),
                    time: None,
                    room_id: None,
                    key: None,
                };
                vec![self.object(&message, true)]
            }
            Outcome::Confirmed if self.style.plain => {
                vec![self.note(&format!("{} {}: {:.40}", time(now), locale.delivered, Sanitized(&text)))]
            }
            Outcome::Confirmed => self.own(&text, to.as_deref(), '✓', now, draft),
            Outcome::Refused(fault) => {
                let why = locale.refusal(&fault);
                if self.style.plain {
                    return vec![self.note(&(locale.not_sent)(&sanitized(&text), &why))];
                }
                let mut shown = self.own(&text, to.as_deref(), '✗', now, draft);
                let lines = self.wrapped(REASON_INDENT, REASON_INDENT, &why, RED);
                shown.push(self.shown(&lines, None, false));
                shown
            }
        }
    }

    /// A line of the user's own, in the place of an earlier one about the same draft.
    fn own(&mut self, text: &str, to: Option<&str>, sign: char, now: NaiveDateTime, draft: DraftId) -> Vec<Rendered> {
        let mut shown: Vec<_> = self.new_day(now.date(), false).into_iter().collect();
        let name = self.name.clone();
        let body_style = if to.is_some() { PRIVATE } else { "" };
        let lines = self.said(&time(now), sign, &name, to, text, body_style);
        shown.push(self.shown(&lines, Some(Topic::Own(draft)), true));
        shown
    }

    fn message(&mut self, message: &Message, live: bool) -> Vec<Rendered> {
        let mine = self.is_me(&message.origin);
        if self.ignored.contains(&message.origin.to_lowercase()) {
            return Vec::new();
        }
        if self.style.json {
            return vec![self.object(message, false)];
        }
        let said_at = message.said_at();
        let day = said_at.map(|time| time.date());
        let mut shown: Vec<_> = day.and_then(|day| self.new_day(day, true)).into_iter().collect();
        let clock = said_at.map(time).unwrap_or_default();
        let private = message.destination.is_some();
        let mentioned = !mine && !private && mentions(&message.content, &self.name);
        if private && !mine {
            self.last_private = Some(message.origin.clone());
        }
        let lines = if self.style.plain {
            let origin = name(&message.origin);
            let origin = match &message.destination {
                Some(to) if mine => format!("{origin} ({})", (self.locale.private_to)(&name(to))),
                Some(_) => format!("{origin} ({})", self.locale.private),
                None => origin,
            };
            vec![format!("{clock} {origin}: {}", Sanitized(&message.content))]
        } else {
            let sign = if mentioned { '!' } else { ' ' };
            let body_style = if private {
                PRIVATE
            } else if mentioned {
                BOLD
            } else {
                ""
            };
            let to = message.destination.as_deref();
            self.said(&clock, sign, &message.origin, to, &message.content, body_style)
        };
        let mut lines = self.shown(&lines, None, true);
        if live && self.style.bell && !mine && (private || mentioned) {
            lines.text.insert(0, '\x07');
        }
        shown.push(lines);
        shown
    }

    /// The lines of something that somebody said.
    fn said(
        &self,
        clock: &str,
        sign: char,
        origin: &str,
        to: Option<&str>,
        text: &str,
        body_style: &str,
    ) -> Vec<String> {
        let sign_style = match sign {
            '✓' => GREEN,
            '✗' => RED,
            '!' => MENTIONED,
            _ => DIM,
        };
        let sign = sign.to_string();
        let (plain, colored) = match to {
            Some(to) => (
                format!("[{} → {}] ", name(origin), name(to)),
                format!("[{} → {}] ", self.style.user(origin), self.style.user(to)),
            ),
            None => (format!("<{}> ", name(origin)), format!("<{}> ", self.style.user(origin))),
        };
        let head = format!("{clock}{sign}{plain}");
        let colored = format!("{}{}{colored}", self.style.paint(DIM, clock), self.style.paint(sign_style, &sign));
        self.wrapped(&head, &colored, &sanitized(text), body_style)
    }

    fn presence(&mut self, came: &[String], went: &[String], now: NaiveDateTime) -> Vec<Rendered> {
        if !self.is_last(Topic::Presence) {
            self.presence.begin_line();
        }
        self.presence.change(came, went);
        let told = self.presence.told(self.locale);
        if told.is_empty() {
            return Vec::new();
        }
        self.dim_line(&told, Topic::Presence, now)
    }

    /// The whole story; in plain lines only what is new.
    fn tell_outage(&mut self, news: &str, now: NaiveDateTime) -> Vec<Rendered> {
        let told = if self.style.plain { news.to_owned() } else { self.outage.told() };
        self.dim_line(&capitalized(&told), Topic::Outage, now)
    }

    fn dim_line(&mut self, text: &str, topic: Topic, now: NaiveDateTime) -> Vec<Rendered> {
        let mut shown: Vec<_> = self.new_day(now.date(), false).into_iter().collect();
        let clock = format!("{} ", time(now));
        let lines = self.wrapped(&clock, &self.style.paint(DIM, &clock), text, DIM);
        shown.push(self.shown(&lines, Some(topic), false));
        shown
    }

    /// A line for a day that is another than the last line's. Only messages go back in time.
    fn new_day(&mut self, day: NaiveDate, may_go_back: bool) -> Option<Rendered> {
        if day == self.day || day < self.day && !may_go_back {
            return None;
        }
        self.day = day;
        let text = self.locale.day(day);
        let text = if self.style.plain { text } else { self.style.paint(DIM, &format!("── {text} ──")) };
        Some(self.shown(&[text], None, false))
    }

    /// A line's head, without and with colours, and its text, wrapped.
    fn wrapped(&self, head: &str, colored: &str, text: &str, style: &str) -> Vec<String> {
        self.wrapped_below(4, head, colored, text, style)
    }

    /// The same; further lines begin below the text, but not further to the right than at this part of the screen.
    fn wrapped_below(&self, part: usize, head: &str, colored: &str, text: &str, style: &str) -> Vec<String> {
        let Some(size) = self.size.filter(|_| !self.style.plain) else {
            return vec![format!("{colored}{}", self.style.paint(style, text))];
        };
        // The last column stays free: terminals differ in what they do after it.
        let columns = size.columns.saturating_sub(1).max(8);
        let indent = head.width().min(columns / part);
        let lines = wrap::wrap(text, columns, head.width(), indent);
        let mut lines = lines.into_iter();
        let first = lines.next().unwrap_or_default();
        let first = if first.is_empty() {
            colored.trim_end().to_owned()
        } else {
            format!("{colored}{}", self.style.paint(style, first))
        };
        let rest = lines.map(|line| format!("{:indent$}{}", "", self.style.paint(style, line)));
        std::iter::once(first).chain(rest).collect()
    }

    /// Lines, in place of the last ones if those are about the same topic.
    fn shown(&mut self, lines: &[String], topic: Option<Topic>, is_message: bool) -> Rendered {
        let mut text = String::new();
        if let Some(size) = self.size.filter(|_| !self.style.plain) {
            if let Some(last) = self.last.take()
                && Some(last.topic) == topic
                && last.size == size
                && last.rows < size.rows
            {
                text = format!("\x1b[{}A\r\x1b[J", last.rows);
            }
            self.last = topic.map(|topic| Last { topic, rows: lines.len(), size });
        }
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        Rendered { text, is_message }
    }

    fn object(&self, message: &Message, confirmed: bool) -> Rendered {
        Rendered { text: json::message(self.room().unwrap_or_default(), message, confirmed), is_message: true }
    }

    fn is_last(&self, topic: Topic) -> bool {
        self.last.as_ref().is_some_and(|last| last.topic == topic)
    }

    fn is_me(&self, name: &str) -> bool {
        is_same(name, &self.name)
    }
}

/// A text that begins a line.
fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// The hour and the minute.
fn time(now: NaiveDateTime) -> String {
    format!("{:02}:{:02}", now.hour(), now.minute())
}
