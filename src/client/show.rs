//! Turns what happens into lines to read. Everything from the network is made harmless here, and nowhere else.
//!
//! On a screen a line is `14:03 <bob> hello`. The character after the time says what is special: `✓` the server has it, `…` it
//! does not yet, `✗` it refuses it, `!` somebody calls the user. `[bob → ana]` is a private message. Plain lines say all of
//! this in words, nothing in them is ever redrawn, and they are not wrapped.

mod json;
mod wrap;

use chrono::{NaiveDate, NaiveDateTime, Timelike as _};
use unicode_width::UnicodeWidthStr as _;

use super::event::{Draft, Event, Message};
use super::words::Words;
use crate::rpc::Fault;
use crate::stamp::Stamp;
use crate::text::Harmless;

/// Most names in a list of who came or left; the others are counted.
const MAX_NAMES: usize = 5;
/// Most characters of a name in a line. Longer ones are not allowed by our server.
const MAX_NAME: usize = 64;
/// As wide as the time of day and the sign.
const REASON_INDENT: &str = "      ";

// Select Graphic Rendition (ECMA-48).
const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const CALLED: &str = "1;33";
const PRIVATE: &str = "35";
/// The colours of users: those that can be read on black and on white, and are not the colour of an error.
const COLORS: [&str; 10] = ["32", "33", "34", "35", "36", "92", "93", "94", "95", "96"];

/// How lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style {
    /// With colours.
    pub color: bool,
    /// Plain lines: words instead of signs, and nothing is redrawn.
    pub plain: bool,
    /// Messages as JSON objects; the rest as plain lines.
    pub json: bool,
    /// Private messages and calls ring the bell.
    pub bell: bool,
}

/// The size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Its width.
    pub columns: usize,
    /// Its height.
    pub rows: usize,
}

/// Something to write to the screen, or to one of the two outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Whole lines. On a screen they may begin with taking back the last ones.
    pub text: String,
    /// Whether it is a message, which is what standard output is for.
    pub is_message: bool,
}

/// What the last lines are about, where newer lines about the same take their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Topic {
    Outage,
    Presence,
    Own(Draft),
}

/// The last lines on the screen.
#[derive(Debug)]
struct Last {
    topic: Topic,
    rows: usize,
    /// In a screen of another size they take other rows, and are left alone.
    size: Size,
}

/// What was typed here and is on its way.
#[derive(Debug)]
struct Typed {
    text: String,
    to: Option<String>,
}

/// What the server said of it.
#[derive(Debug, Clone)]
enum Outcome {
    Confirmed,
    Refused(Fault),
}

/// A loss of the connection, told in one line.
#[derive(Debug, Default)]
struct Outage {
    lost: Option<&'static str>,
    retrying: Option<String>,
    forgotten: Option<String>,
    back: Option<String>,
}

impl Outage {
    /// The story so far. The next attempt is of no interest once one has succeeded.
    fn told(&self) -> String {
        let end = self.back.as_deref().or(self.retrying.as_deref());
        [self.lost, self.forgotten.as_deref(), end].into_iter().flatten().collect::<Vec<_>>().join(" · ")
    }
}

/// Makes lines.
#[derive(Debug)]
pub struct Show {
    words: &'static Words,
    style: Style,
    size: Option<Size>,
    name: String,
    room: Option<String>,
    /// The day of the line before.
    day: NaiveDate,
    ignored: Vec<String>,
    last_private: Option<String>,
    /// Drafts that are open: few, and so a list.
    typed: Vec<(Draft, Typed)>,
    drafts: Draft,
    outage: Outage,
    /// Who else is in the room, as far as it is known.
    others: Vec<String>,
    came: Vec<String>,
    went: Vec<String>,
    last: Option<Last>,
}

impl Show {
    /// For the user `name`; `now` is the local time, here and below.
    #[must_use]
    pub fn new(words: &'static Words, style: Style, name: &str, now: NaiveDateTime) -> Self {
        Self {
            words,
            style,
            size: None,
            name: name.to_owned(),
            room: None,
            day: now.date(),
            ignored: Vec::new(),
            last_private: None,
            typed: Vec::new(),
            drafts: 0,
            outage: Outage::default(),
            others: Vec::new(),
            came: Vec::new(),
            went: Vec::new(),
            last: None,
        }
    }

    /// The language.
    #[must_use]
    pub fn words(&self) -> &'static Words {
        self.words
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
        self.others.clone()
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
        let plain = format!("{place:.width$}> ", place = Harmless(&place));
        let colored = self.paint(BOLD, &plain);
        (plain, colored)
    }

    /// The lines about an event.
    pub fn event(&mut self, event: &Event, now: NaiveDateTime) -> Vec<Shown> {
        let words = self.words;
        match event {
            Event::Joined { room, users, messages } => {
                self.room = Some(room.clone());
                self.others = users.iter().filter(|user| !self.is_me(user)).cloned().collect();
                let text = if self.others.is_empty() {
                    (words.joined_alone)(&harmless(room))
                } else {
                    (words.joined)(&harmless(room), &self.few(&self.others))
                };
                let mut shown = vec![self.note(&text)];
                shown.extend(self.messages(messages));
                shown
            }
            Event::Left { room } => {
                self.room = None;
                self.others.clear();
                vec![self.note(&(words.left)(&harmless(room)))]
            }
            Event::Message(message) => self.message(message, true),
            Event::Confirmed { draft } => self.outcome(*draft, Outcome::Confirmed, now),
            Event::Refused { draft, fault, .. } => self.outcome(*draft, Outcome::Refused(fault.clone()), now),
            Event::Presence { came, went } => self.presence(came, went, now),
            Event::Missed { count } => vec![self.note(&(words.missed)(*count))],
            Event::Lost { .. } => {
                self.outage = Outage { lost: Some(words.lost), ..Outage::default() };
                self.tell_outage(words.lost, now)
            }
            Event::Retrying { pause } => {
                let text = (words.retrying)(pause.as_secs_f64().round().max(1.0) as u64);
                // Plain lines say it once: what comes again every few seconds only disturbs.
                let is_told = self.outage.retrying.replace(text.clone()).is_some();
                if is_told && self.style.plain { Vec::new() } else { self.tell_outage(&text, now) }
            }
            Event::Back { caught_up } => {
                let text = (words.back)(&time(now), *caught_up);
                self.outage.back = Some(text.clone());
                self.tell_outage(&text, now)
            }
            Event::Forgotten { room } => {
                if self.outage.back.is_some() && !self.is_last(Topic::Outage) {
                    // A story of its own.
                    self.outage = Outage::default();
                }
                let text = (words.forgotten)(&harmless(room));
                self.outage.forgotten = Some(text.clone());
                self.tell_outage(&text, now)
            }
            Event::Ended { cause } => vec![self.note(&(words.ended)(&harmless(cause)))],
        }
    }

    /// Older messages.
    pub fn messages(&mut self, messages: &[Message]) -> Vec<Shown> {
        messages.iter().flat_map(|message| self.message(message, false)).collect()
    }

    /// A line that is not a message and has no time. `text` is harmless already.
    pub fn note(&mut self, text: &str) -> Shown {
        let lines = self.wrapped("", "", text, "");
        self.shown(&lines, None, false)
    }

    /// An entry of a list: `left` in a column of its own.
    pub fn entry(&mut self, left: &str, text: &str) -> Shown {
        let lines = self.wrapped_below(2, left, left, text, "");
        self.shown(&lines, None, false)
    }

    /// What was not sent before the session was closed.
    pub fn unsent(&mut self, text: &str) -> Shown {
        let told = (self.words.unsent)(&harmless(text));
        self.note(&told)
    }

    /// The user has typed this. To be called before it is sent, so that whatever becomes of it finds it here.
    pub fn typed(&mut self, text: &str, to: Option<&str>) -> Draft {
        self.drafts += 1;
        self.typed.push((self.drafts, Typed { text: text.to_owned(), to: to.map(str::to_owned) }));
        self.drafts
    }

    /// It has not arrived at once: the lines that say so. Empty if it has.
    pub fn pending(&mut self, draft: Draft, now: NaiveDateTime) -> Vec<Shown> {
        match self.open(draft) {
            Some(typed) if !self.style.plain => {
                let (text, to) = (typed.text.clone(), typed.to.clone());
                self.own(&text, to.as_deref(), '…', now, draft)
            }
            _ => Vec::new(),
        }
    }

    fn open(&self, draft: Draft) -> Option<&Typed> {
        self.typed.iter().find(|(open, _)| *open == draft).map(|(_, typed)| typed)
    }

    /// Whether the server has not answered yet.
    #[must_use]
    pub fn is_open(&self, draft: Draft) -> bool {
        self.open(draft).is_some()
    }

    /// The line that the user would type for a draft that is open.
    #[must_use]
    pub fn line_of(&self, draft: Draft) -> Option<String> {
        let Typed { text, to } = self.open(draft)?;
        Some(match to {
            Some(to) => format!("@{to} {text}"),
            None if text.starts_with('/') => format!("/{text}"),
            None => text.clone(),
        })
    }

    fn outcome(&mut self, draft: Draft, outcome: Outcome, now: NaiveDateTime) -> Vec<Shown> {
        let Some(place) = self.typed.iter().position(|(open, _)| *open == draft) else { return Vec::new() };
        let (_, Typed { text, to }) = self.typed.swap_remove(place);
        let words = self.words;
        match outcome {
            Outcome::Confirmed if self.style.json => {
                let message = Message {
                    id: None,
                    origin: self.name.clone(),
                    destination: to,
                    content: text,
                    timestamp: Stamp(now).to_string(),
                };
                vec![self.object(&message, true)]
            }
            Outcome::Confirmed if self.style.plain => {
                vec![self.note(&format!("{} {}: {:.40}", time(now), words.delivered, Harmless(&text)))]
            }
            Outcome::Confirmed => self.own(&text, to.as_deref(), '✓', now, draft),
            Outcome::Refused(fault) => {
                let why = words.refusal(&fault);
                if self.style.plain {
                    return vec![self.note(&(words.not_sent)(&harmless(&text), &why))];
                }
                let mut shown = self.own(&text, to.as_deref(), '✗', now, draft);
                let lines = self.wrapped(REASON_INDENT, REASON_INDENT, &why, RED);
                shown.push(self.shown(&lines, None, false));
                shown
            }
        }
    }

    /// A line of the user's own, in the place of an earlier one about the same draft.
    fn own(&mut self, text: &str, to: Option<&str>, sign: char, now: NaiveDateTime, draft: Draft) -> Vec<Shown> {
        let mut shown: Vec<_> = self.new_day(now.date(), false).into_iter().collect();
        let name = self.name.clone();
        let body_style = if to.is_some() { PRIVATE } else { "" };
        let lines = self.said(&time(now), sign, &name, to, text, body_style);
        shown.push(self.shown(&lines, Some(Topic::Own(draft)), true));
        shown
    }

    fn message(&mut self, message: &Message, live: bool) -> Vec<Shown> {
        let mine = self.is_me(&message.origin);
        if self.ignored.contains(&message.origin.to_lowercase()) {
            return Vec::new();
        }
        if self.style.json {
            return vec![self.object(message, false)];
        }
        let day = Stamp::parse(&message.timestamp).map(|Stamp(time)| time.date());
        let mut shown: Vec<_> = day.and_then(|day| self.new_day(day, true)).into_iter().collect();
        let clock = message.timestamp.get(11..16).unwrap_or_default();
        let private = message.destination.is_some();
        let called = !mine && !private && mentions(&message.content, &self.name);
        if private && !mine {
            self.last_private = Some(message.origin.clone());
        }
        let lines = if self.style.plain {
            let origin = name(&message.origin);
            let origin = match &message.destination {
                Some(to) if mine => format!("{origin} ({})", (self.words.private_to)(&name(to))),
                Some(_) => format!("{origin} ({})", self.words.private),
                None => origin,
            };
            vec![format!("{clock} {origin}: {}", Harmless(&message.content))]
        } else {
            let sign = if called { '!' } else { ' ' };
            let body_style = if private {
                PRIVATE
            } else if called {
                BOLD
            } else {
                ""
            };
            let to = message.destination.as_deref();
            self.said(clock, sign, &message.origin, to, &message.content, body_style)
        };
        let mut lines = self.shown(&lines, None, true);
        if live && self.style.bell && !mine && (private || called) {
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
            '!' => CALLED,
            _ => DIM,
        };
        let sign = sign.to_string();
        let (plain, colored) = match to {
            Some(to) => (
                format!("[{} → {}] ", name(origin), name(to)),
                format!("[{} → {}] ", self.colored(origin), self.colored(to)),
            ),
            None => (format!("<{}> ", name(origin)), format!("<{}> ", self.colored(origin))),
        };
        let head = format!("{clock}{sign}{plain}");
        let colored = format!("{}{}{colored}", self.paint(DIM, clock), self.paint(sign_style, &sign));
        self.wrapped(&head, &colored, &harmless(text), body_style)
    }

    fn presence(&mut self, came: &[String], went: &[String], now: NaiveDateTime) -> Vec<Shown> {
        if !self.is_last(Topic::Presence) {
            self.came.clear();
            self.went.clear();
        }
        let nobody = &mut Vec::new();
        gather(came, &mut self.others, nobody);
        gather(went, nobody, &mut self.others);
        gather(came, &mut self.came, &mut self.went);
        gather(went, &mut self.went, &mut self.came);
        let words = self.words;
        let told =
            [(&self.came, words.came), (&self.went, words.went)].into_iter().filter(|(names, _)| !names.is_empty());
        let told = told.map(|(names, tell)| tell(&self.few(names), names.len() > 1)).collect::<Vec<_>>().join(" · ");
        if told.is_empty() {
            return Vec::new();
        }
        self.dim_line(&told, Topic::Presence, now)
    }

    /// The whole story; in plain lines only what is new.
    fn tell_outage(&mut self, news: &str, now: NaiveDateTime) -> Vec<Shown> {
        let told = if self.style.plain { news.to_owned() } else { self.outage.told() };
        self.dim_line(&capitalized(&told), Topic::Outage, now)
    }

    fn dim_line(&mut self, text: &str, topic: Topic, now: NaiveDateTime) -> Vec<Shown> {
        let mut shown: Vec<_> = self.new_day(now.date(), false).into_iter().collect();
        let clock = format!("{} ", time(now));
        let lines = self.wrapped(&clock, &self.paint(DIM, &clock), text, DIM);
        shown.push(self.shown(&lines, Some(topic), false));
        shown
    }

    /// A line for a day that is another than the last line's. Only messages go back in time.
    fn new_day(&mut self, day: NaiveDate, may_go_back: bool) -> Option<Shown> {
        if day == self.day || day < self.day && !may_go_back {
            return None;
        }
        self.day = day;
        let text = self.words.day(day);
        let text = if self.style.plain { text } else { self.paint(DIM, &format!("── {text} ──")) };
        Some(self.shown(&[text], None, false))
    }

    /// A line's head, without and with colours, and its text, wrapped.
    fn wrapped(&self, head: &str, colored: &str, text: &str, style: &str) -> Vec<String> {
        self.wrapped_below(4, head, colored, text, style)
    }

    /// The same; further lines begin below the text, but not further to the right than at this part of the screen.
    fn wrapped_below(&self, part: usize, head: &str, colored: &str, text: &str, style: &str) -> Vec<String> {
        let Some(size) = self.size.filter(|_| !self.style.plain) else {
            return vec![format!("{colored}{}", self.paint(style, text))];
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
            format!("{colored}{}", self.paint(style, first))
        };
        let rest = lines.map(|line| format!("{:indent$}{}", "", self.paint(style, line)));
        std::iter::once(first).chain(rest).collect()
    }

    /// Lines, in place of the last ones if those are about the same topic.
    fn shown(&mut self, lines: &[String], topic: Option<Topic>, is_message: bool) -> Shown {
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
        Shown { text, is_message }
    }

    fn object(&self, message: &Message, confirmed: bool) -> Shown {
        Shown { text: json::message(self.room().unwrap_or_default(), message, confirmed), is_message: true }
    }

    fn is_last(&self, topic: Topic) -> bool {
        self.last.as_ref().is_some_and(|last| last.topic == topic)
    }

    fn is_me(&self, name: &str) -> bool {
        name.to_lowercase() == self.name.to_lowercase()
    }

    /// A list of names, cut short.
    fn few(&self, names: &[String]) -> String {
        match names.get(..MAX_NAMES) {
            // Counting a single one takes as much room as its name.
            Some(first) if names.len() > MAX_NAMES + 1 => (self.words.and_more)(&list(first), names.len() - MAX_NAMES),
            _ => list(names),
        }
    }

    fn colored(&self, user: &str) -> String {
        self.paint(color(user), &name(user))
    }

    fn paint(&self, style: &str, text: &str) -> String {
        if self.style.color && !style.is_empty() && !text.is_empty() {
            format!("\x1b[{style}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// A list of names.
#[must_use]
pub fn list(names: &[String]) -> String {
    names.iter().map(|user| name(user)).collect::<Vec<_>>().join(", ")
}

/// Text from the network, harmless.
#[must_use]
pub fn harmless(text: &str) -> String {
    Harmless(text).to_string()
}

fn name(user: &str) -> String {
    format!("{:.MAX_NAME$}", Harmless(user))
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

/// The colour of a user, the same in every client: FNV-1a of the name in small letters.
fn color(user: &str) -> &'static str {
    let hash = user
        .to_lowercase()
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    COLORS.get(hash as usize % COLORS.len()).copied().unwrap_or_default()
}

/// Adds `names` to those that came or left, and takes them from the others.
fn gather(names: &[String], to: &mut Vec<String>, from: &mut Vec<String>) {
    from.retain(|name| !names.contains(name));
    to.retain(|name| !names.contains(name));
    to.extend_from_slice(names);
}

/// Whether `text` has `name` as a word in it, in capitals or small letters.
fn mentions(text: &str, name: &str) -> bool {
    let (text, name) = (text.to_lowercase(), name.to_lowercase());
    if name.is_empty() {
        return false;
    }
    text.match_indices(&name).any(|(at, found)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text.get(at + found.len()..).and_then(|after| after.chars().next());
        ![before, after].into_iter().flatten().any(char::is_alphanumeric)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::client::words::{ENGLISH, PORTUGUESE};

    const SCREEN: Size = Size { columns: 80, rows: 24 };

    fn now() -> NaiveDateTime {
        at("2025-11-23 14:03:11")
    }

    fn at(text: &str) -> NaiveDateTime {
        Stamp::parse(text).unwrap().0
    }

    fn show(style: Style, size: Option<Size>) -> Show {
        let mut show = Show::new(&ENGLISH, style, "ana", now());
        show.resize(size);
        show.event(&Event::Joined { room: "lobby".into(), users: Vec::new(), messages: Vec::new() }, now());
        show
    }

    fn on_screen() -> Show {
        show(Style::default(), Some(SCREEN))
    }

    fn message(origin: &str, to: Option<&str>, content: &str) -> Event {
        Event::Message(Message {
            id: Some(1),
            origin: origin.into(),
            destination: to.map(str::to_owned),
            content: content.into(),
            timestamp: "2025-11-23 14:03:11.123".into(),
        })
    }

    fn text(shown: &[Shown]) -> String {
        shown.iter().map(|shown| shown.text.as_str()).collect()
    }

    fn presence(came: &[&str], went: &[&str]) -> Event {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Event::Presence { came: names(came), went: names(went) }
    }

    #[test]
    fn messages_say_who_when_and_to_whom() {
        let mut show = on_screen();
        for (event, line) in [
            (message("bob", None, "hello"), "14:03 <bob> hello\n"),
            (message("bob", Some("ana"), "psst"), "14:03 [bob → ana] psst\n"),
            (message("bob", None, "Ana, look"), "14:03!<bob> Ana, look\n"),
            (message("bob", None, "banana"), "14:03 <bob> banana\n"),
            (message("ana", None, "I am ana"), "14:03 <ana> I am ana\n"),
        ] {
            assert_eq!(text(&show.event(&event, now())), line);
        }
        assert_eq!(show.last_private(), Some("bob"));
    }

    #[test]
    fn plain_lines_say_it_in_words() {
        let mut show = show(Style { plain: true, ..Style::default() }, Some(Size { columns: 20, rows: 24 }));
        for (event, line) in [
            (
                message("bob", None, "hello, this is a line that is not wrapped"),
                "14:03 bob: hello, this is a line that is not wrapped\n",
            ),
            (message("bob", Some("ana"), "psst"), "14:03 bob (private): psst\n"),
            (message("ana", Some("bob"), "psst"), "14:03 ana (private to bob): psst\n"),
        ] {
            assert_eq!(text(&show.event(&event, now())), line);
        }
        assert_eq!(show.typed("hello", None), 1);
        assert_eq!(text(&show.event(&Event::Confirmed { draft: 1 }, now())), "14:03 delivered: hello\n");
        show.event(&Event::Lost { cause: "x".into() }, now());
        let retry = Event::Retrying { pause: Duration::from_secs(2) };
        assert_eq!(text(&show.event(&retry, now())), "14:03 Trying again in 2 s\n");
        assert_eq!(text(&show.event(&retry, now())), "");
    }

    #[test]
    fn messages_are_json_for_programs() {
        let mut show = show(Style { plain: true, json: true, ..Style::default() }, None);
        let shown = show.event(&message("bob", None, "a \"quote\"\u{1b}"), now());
        assert_eq!(
            text(&shown),
            concat!(
                r#"{"room":"lobby","id":1,"origin":"bob","destination":null,"#,
                r#""content":"a \"quote\"\u001b","timestamp":"2025-11-23 14:03:11.123"}"#,
                "\n"
            )
        );
        assert!(shown.iter().all(|shown| shown.is_message));
    }

    #[test]
    fn nothing_from_the_network_reaches_the_terminal_raw() {
        let evil = "\x1b[2J\u{9b}\u{202e}\r\n\x07";
        let fault = Fault::new(99, evil);
        for style in
            [Style::default(), Style { plain: true, ..Style::default() }, Style { json: true, ..Style::default() }]
        {
            let mut show = show(style, None);
            let draft = show.typed(evil, Some(evil));
            let mut all = Vec::new();
            for event in [
                message(evil, Some(evil), evil),
                message(evil, None, evil),
                Event::Joined { room: evil.into(), users: vec![evil.into()], messages: Vec::new() },
                presence(&[evil], &["bob"]),
                Event::Refused { draft, text: evil.into(), fault: fault.clone() },
                Event::Lost { cause: evil.into() },
                Event::Forgotten { room: evil.into() },
                Event::Left { room: evil.into() },
                Event::Ended { cause: evil.into() },
            ] {
                all.extend(show.event(&event, now()));
            }
            let all = text(&all) + &show.prompt().0;
            let bad = all.chars().find(|c| c.is_control() && *c != '\n' || *c == '\u{202e}');
            assert_eq!(bad, None, "{all:?}");
        }
    }

    #[test]
    fn a_day_has_a_line_of_its_own() {
        let mut show = on_screen();
        let old = |timestamp: &str| Message {
            id: None,
            origin: "bob".into(),
            destination: None,
            content: "x".into(),
            timestamp: timestamp.into(),
        };
        let shown =
            show.messages(&[old("2025-11-22 23:59:59"), old("2025-11-22 23:59:59"), old("2025-11-23 00:00:01")]);
        assert_eq!(
            text(&shown),
            "── Saturday, 22 November 2025 ──\n23:59 <bob> x\n23:59 <bob> x\n── Sunday, 23 November 2025 ──\n00:00 <bob> x\n"
        );
        let shown = show.event(&presence(&["bob"], &[]), at("2025-11-24 00:00:00"));
        assert_eq!(text(&shown), "── Monday, 24 November 2025 ──\n00:00 bob joined\n");
    }

    #[test]
    fn what_is_typed_is_marked_when_the_server_has_it() {
        let mut show = on_screen();
        assert_eq!(show.typed("hello", None), 1);
        assert_eq!(text(&show.event(&Event::Confirmed { draft: 1 }, now())), "14:03✓<ana> hello\n");
        assert_eq!(show.typed("again", Some("bob")), 2);
        assert_eq!(text(&show.event(&Event::Confirmed { draft: 2 }, now())), "14:03✓[ana → bob] again\n");
        assert_eq!(text(&show.pending(2, now())), "");
    }

    #[test]
    fn what_is_late_takes_its_place_only_if_nothing_came_between() {
        let mut show = on_screen();
        show.typed("one", None);
        assert_eq!(text(&show.pending(1, now())), "14:03…<ana> one\n");
        assert_eq!(text(&show.event(&Event::Confirmed { draft: 1 }, now())), "\x1b[1A\r\x1b[J14:03✓<ana> one\n");
        show.typed("two", None);
        show.pending(2, now());
        show.event(&message("bob", None, "hello"), now());
        assert_eq!(text(&show.event(&Event::Confirmed { draft: 2 }, now())), "14:03✓<ana> two\n");
        show.typed("three", None);
        show.pending(3, now());
        show.scrolled();
        assert_eq!(text(&show.event(&Event::Confirmed { draft: 3 }, now())), "14:03✓<ana> three\n");
    }

    #[test]
    fn a_refusal_says_why() {
        let mut show = on_screen();
        show.typed("hi", Some("bob"));
        let refused = Event::Refused { draft: 1, text: "hi".into(), fault: Fault::new(Fault::NO_SUCH_RECIPIENT, "x") };
        let shown = text(&show.event(&refused, now()));
        assert_eq!(shown, "14:03✗[ana → bob] hi\n      this user is not in the room\n");
    }

    #[test]
    fn an_outage_is_one_line() {
        let mut show = on_screen();
        let lost = text(&show.event(&Event::Lost { cause: "refused".into() }, now()));
        assert_eq!(lost, "14:03 Connection lost\n");
        let retry = |seconds| Event::Retrying { pause: Duration::from_secs(seconds) };
        let shown = text(&show.event(&retry(2), now()));
        assert_eq!(shown, "\x1b[1A\r\x1b[J14:03 Connection lost · trying again in 2 s\n");
        let shown = text(&show.event(&retry(4), now()));
        assert_eq!(shown, "\x1b[1A\r\x1b[J14:03 Connection lost · trying again in 4 s\n");
        let back = at("2025-11-23 14:05:00");
        let shown = text(&show.event(&Event::Back { caught_up: 12 }, back));
        assert!(shown.ends_with("Connection lost · connected again at 14:05, 12 messages caught up\n"), "{shown:?}");
        let shown = text(&show.event(&Event::Forgotten { room: "lobby".into() }, back));
        assert!(shown.starts_with("\x1b[2A\r\x1b[J") || shown.starts_with("\x1b[1A\r\x1b[J"), "{shown:?}");
        assert!(shown.contains("lost · the server has forgotten lobby"), "{shown:?}");
        assert!(shown.contains("connected again"), "{shown:?}");
        // Without an outage before it, it stands alone.
        show.event(&message("bob", None, "hello"), back);
        let shown = text(&show.event(&Event::Forgotten { room: "lobby".into() }, back));
        assert!(shown.starts_with("14:05 The server has forgotten lobby"), "{shown:?}");
    }

    #[test]
    fn comings_and_goings_are_one_line() {
        let mut show = on_screen();
        assert_eq!(text(&show.event(&presence(&["bob"], &[]), now())), "14:03 bob joined\n");
        assert_eq!(text(&show.event(&presence(&["eva"], &[]), now())), "\x1b[1A\r\x1b[J14:03 bob, eva joined\n");
        let shown = text(&show.event(&presence(&[], &["bob"]), now()));
        assert_eq!(shown, "\x1b[1A\r\x1b[J14:03 eva joined · bob left\n");
        show.event(&message("eva", None, "hello"), now());
        let many = ["a", "b", "c", "d", "e", "f", "g"];
        let shown = text(&show.event(&presence(&many, &[]), now()));
        assert_eq!(shown, "14:03 a, b, c, d, e and 2 more joined\n");
        show.words = &PORTUGUESE;
        show.event(&message("eva", None, "hello"), now());
        let shown = text(&show.event(&presence(&["bob", "eva"], &["ana"]), now()));
        assert_eq!(shown, "14:03 bob, eva entraram · ana saiu\n");
    }

    #[test]
    fn narrow_screens_get_whole_words() {
        let mut show = show(Style { color: true, ..Style::default() }, Some(Size { columns: 20, rows: 24 }));
        let shown = text(&show.event(&message("bob", None, "the quick brown fox"), now()));
        let plain: String =
            shown.split('\x1b').map(|part| part.split_once('m').map_or(part, |(_, rest)| rest)).collect();
        assert_eq!(plain, "14:03 <bob> the\n    quick brown fox\n");
        assert!(plain.lines().all(|line| line.width() < 20));
        assert!(show.prompt().0.width() <= 10, "{:?}", show.prompt());
    }

    #[test]
    fn the_ignored_are_not_shown() {
        let mut show = on_screen();
        assert!(show.ignore("Bob"));
        assert_eq!(show.event(&message("bob", None, "hello"), now()), []);
        assert!(!show.ignore("bob"));
        assert_eq!(text(&show.event(&message("bob", None, "hello"), now())), "14:03 <bob> hello\n");
    }

    #[test]
    fn the_bell_rings_for_calls_and_private_messages_only() {
        let mut show = show(Style { bell: true, ..Style::default() }, Some(SCREEN));
        for (event, rings) in [
            (message("bob", None, "hello"), false),
            (message("bob", None, "hello ana"), true),
            (message("bob", Some("ana"), "psst"), true),
            (message("ana", Some("bob"), "psst"), false),
        ] {
            assert_eq!(text(&show.event(&event, now())).contains('\x07'), rings, "{event:?}");
        }
    }

    #[test]
    fn a_user_has_one_colour() {
        assert_eq!(color("João"), color("joão"));
        let some: std::collections::HashSet<_> = ["ana", "bob", "carla", "dan", "eva"].map(color).into();
        assert!(some.len() > 2);
    }
}
