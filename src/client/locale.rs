//! All texts of the client, in one table for each language. A table that lacks a text does not compile, and a test walks
//! the texts that are looked up by name. To add a language, copy `portuguese.rs` and name it in [`LANGUAGES`].

mod english;
pub mod finding;
mod portuguese;
mod translate;

use chrono::{Datelike as _, NaiveDate};

use super::command::{Argument, Command, CommandSpec};
use crate::program::HelpWords;
use crate::rpc::Fault;
use crate::sanitize::Sanitized;

pub use english::ENGLISH;
pub use portuguese::PORTUGUESE;

/// The texts of one language. Names and other texts from peers that are passed in are sanitized already.
#[derive(Debug)]
pub struct Locale {
    /// Its code, as `--lang` takes it.
    pub code: &'static str,
    /// The texts of `--help`.
    pub help: HelpWords,

    /// Where the chat is.
    pub finding: &'static finding::FindingWords,

    /// Asks for a user name.
    pub ask_name: &'static str,
    /// Asks for a room.
    pub ask_room: &'static str,
    /// Asks for a message.
    pub ask_text: &'static str,
    /// Asks for the recipient of a message; nothing means all.
    pub ask_recipient: &'static str,
    /// Asks for a user.
    pub ask_user: &'static str,
    /// Asks whether to send so many pasted lines.
    pub ask_paste: fn(usize) -> String,
    /// Asks whether a line in a room is a command that creates this room.
    pub ask_create: fn(room: &str) -> String,
    /// The answers that mean yes, in small letters.
    pub yes: &'static [&'static str],
    /// The answers that mean no, in small letters.
    pub no: &'static [&'static str],
    /// Pasted lines were not sent.
    pub paste_dropped: &'static str,

    /// Greets a user after registering.
    pub welcome: fn(&str) -> String,
    /// Says how to go to a room.
    pub where_to: &'static str,
    /// The user is in a room, with these others, who are already listed.
    pub joined: fn(room: &str, others: &str) -> String,
    /// The user is in a room, alone.
    pub joined_alone: fn(room: &str) -> String,
    /// The user has left a room.
    pub left: fn(room: &str) -> String,
    /// A room was created; an empty line joins it.
    pub created: fn(room: &str) -> String,
    /// A room was created, by a program.
    pub created_only: fn(room: &str) -> String,
    /// A room to join did not exist, and was created.
    pub created_to_join: fn(room: &str) -> String,
    /// The rooms there are.
    pub rooms: fn(rooms: &str) -> String,
    /// There is no room.
    pub no_rooms: &'static str,
    /// The users in a room.
    pub users: fn(users: &str) -> String,
    /// Nobody is in a room.
    pub no_users: &'static str,
    /// There are no older messages.
    pub no_history: &'static str,
    /// So many of the kept messages have this text in them; they follow.
    pub found: fn(text: &str, count: usize) -> String,
    /// The user's name, and the room if there is one.
    pub whoami: fn(name: &str, room: Option<&str>) -> String,
    /// A user is ignored from now on.
    pub ignored: fn(name: &str) -> String,
    /// A user is shown again.
    pub unignored: fn(name: &str) -> String,
    /// The ignored users.
    pub ignoring: fn(names: &str) -> String,
    /// Nobody is ignored.
    pub ignoring_nobody: &'static str,

    /// Others have come.
    pub came: fn(names: &str, several: bool) -> String,
    /// Others have left.
    pub went: fn(names: &str, several: bool) -> String,
    /// A list of names that was cut short.
    pub and_more: fn(names: &str, more: usize) -> String,
    /// Messages were dropped by the server.
    pub missed: fn(u64) -> String,
    /// A private message, in plain lines, from somebody.
    pub private: &'static str,
    /// A private message, in plain lines, to somebody.
    pub private_to: fn(name: &str) -> String,
    /// A message that mentions the user, in plain lines.
    pub mentions_you: &'static str,
    /// The server has a message, in plain lines: one for all, or one for this user.
    pub sent: fn(to: Option<&str>) -> String,
    /// A message was refused by the server, in plain lines.
    pub refused: fn(text: &str, why: &str) -> String,
    /// A message was never sent.
    pub unsent: fn(text: &str) -> String,
    /// So many messages were not sent.
    pub unsent_count: fn(usize) -> String,
    /// The refused line can be brought back by Up.
    pub given_back: &'static str,
    /// The messages below this line have come since this time.
    pub new_since: fn(time: &str) -> String,
    /// The messages below this line were not seen before.
    pub new: &'static str,

    /// Says which line of the input an error is about.
    pub line: fn(number: usize, text: &str) -> String,
    /// The server did not reply in time.
    pub no_reply: fn(seconds: u64) -> String,
    /// A signal has stopped the sending of lines.
    pub stopped: fn(lines: usize) -> String,
    /// A line of the input is too long.
    pub line_too_long: fn(bytes: usize) -> String,
    /// The input is not all UTF-8.
    pub not_utf8: &'static str,
    /// A text looks as if it were meant for one user.
    pub addressed: &'static str,
    /// So many lines were sent, and so many a second are taken.
    pub progress: fn(lines: usize, rate: Option<u32>) -> String,

    /// The connection is lost.
    pub lost: &'static str,
    /// The next attempt follows in so many seconds.
    pub retrying: fn(seconds: u64) -> String,
    /// The connection is back; so many messages were said meanwhile.
    pub back: fn(time: &str, caught_up: usize) -> String,
    /// The server no longer knew the room.
    pub forgotten: fn(room: &str) -> String,
    /// The session has ended.
    pub ended: fn(cause: &str) -> String,

    /// The log cannot be written any more.
    pub no_log: fn(cause: &str) -> String,
    /// The session is over.
    pub over: &'static str,
    /// A second Ctrl-C leaves.
    pub press_again: &'static str,
    /// A second Ctrl-C leaves, and ends the chat of these others, who are already listed.
    pub press_again_host: fn(others: &str, several: bool) -> String,

    /// The refusals of a server, by fault code; see [`Locale::refusal`].
    fault: fn(&Fault) -> String,
    /// Texts of servers, of the system and of the command line, and what they are in this language; see
    /// [`Locale::translated`].
    translations: &'static [(&'static str, &'static str)],
    /// Something has failed.
    pub error: fn(&str) -> String,
    /// The server cannot be reached.
    pub unreachable: fn(cause: &str) -> String,
    /// No server is registered with the binder.
    pub nobody_offers: &'static str,
    /// The binder knows only a server at this address and port, which its own machine reaches and no other.
    pub out_of_reach: fn(server: &str, port: u16) -> String,
    /// The given address is not that of a chat server.
    pub not_a_server: fn(address: &str) -> String,
    /// Input ended before there was a user name.
    pub no_name: &'static str,
    /// The command needs a room.
    pub in_no_room: &'static str,
    /// There is nobody to reply to.
    pub nobody_to_reply: &'static str,
    /// A number was expected.
    pub not_a_number: &'static str,
    /// There is no such command; another one is near.
    pub unknown: fn(word: &str, nearest: Option<&str>) -> String,

    /// The last line of `help`.
    pub help_more: &'static str,
    /// Stands before an example.
    pub example: &'static str,
    /// Stands before the other names of a command.
    pub also: &'static str,
    /// Explains a command.
    pub command: fn(Command) -> &'static str,
    /// Stands for an argument.
    pub takes: fn(Argument) -> &'static str,
    /// The names of a command in this language, the first one for lists.
    pub names: fn(&CommandSpec) -> &'static [&'static str],

    /// A date, with the day of the week.
    pub date: fn(weekday: &str, day: u32, month: &str, year: i32) -> String,
    /// From Monday.
    pub weekdays: [&'static str; 7],
    /// From January.
    pub months: [&'static str; 12],
}

/// Every language there is; the first is for whoever speaks none of them.
pub const LANGUAGES: [&Locale; 2] = [&ENGLISH, &PORTUGUESE];

impl Locale {
    /// The language that `--lang` names, or else the first that is set of `LC_ALL`, `LC_MESSAGES` and `LANG`.
    ///
    /// # Errors
    /// When `--lang` names none of [`LANGUAGES`].
    pub fn choose(
        option: Option<&str>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<&'static Locale, &'static str> {
        if let Some(wanted) = option {
            return Self::find(wanted).ok_or("the languages are en and pt");
        }
        let set =
            ["LC_ALL", "LC_MESSAGES", "LANG"].iter().find_map(|name| variable(name).filter(|text| !text.is_empty()));
        Ok(set.and_then(|text| Self::find(&text)).unwrap_or(LANGUAGES[0]))
    }

    /// The language of `pt`, `pt_BR.UTF-8` or `pt-BR`.
    fn find(tag: &str) -> Option<&'static Locale> {
        let code = tag.split(['_', '-', '.', '@']).next().unwrap_or_default();
        LANGUAGES.into_iter().find(|words| words.code.eq_ignore_ascii_case(code))
    }

    /// Returns why the server refuses something.
    #[must_use]
    pub fn refusal(&self, fault: &Fault) -> String {
        let message = shown_characters(&Sanitized(&fault.message).to_string());
        (self.fault)(&Fault::new(fault.code, message))
    }

    /// Returns a text of the server, the system or the command line in this language, as far as it is known.
    #[must_use]
    pub fn translated(&self, text: &str) -> String {
        translate::translated(self.translations, text).unwrap_or_else(|| text.to_owned())
    }

    /// Returns a text in this language if it is known.
    fn known(&self, text: &str) -> Option<String> {
        translate::translated(self.translations, text)
    }

    /// Returns the name under which a command is listed.
    #[must_use]
    pub fn name(&self, spec: &CommandSpec) -> &'static str {
        (self.names)(spec).first().copied().unwrap_or_else(|| spec.name())
    }

    /// Returns a command with its arguments, in brackets the one that may be absent.
    #[must_use]
    pub fn usage(&self, spec: &CommandSpec) -> String {
        let mut text = self.name(spec).to_owned();
        for (index, argument) in spec.takes.iter().enumerate() {
            let argument = (self.takes)(*argument);
            let optional = spec.optional && index + 1 == spec.takes.len();
            text.push_str(&if optional { format!(" [{argument}]") } else { format!(" {argument}") });
        }
        text
    }

    /// Returns a date in words.
    #[must_use]
    pub fn day(&self, date: NaiveDate) -> String {
        let weekday = self.weekdays.get(date.weekday().num_days_from_monday() as usize).copied().unwrap_or_default();
        let month = self.months.get(date.month0() as usize).copied().unwrap_or_default();
        (self.date)(weekday, date.day(), month, date.year())
    }
}

/// Returns `text` with the characters themselves where it names visible ones of ASCII by their number, as in `U+003A`.
fn shown_characters(text: &str) -> String {
    let mut parts = text.split("U+");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..4).and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(u8::is_ascii_graphic);
        match code {
            Some(code) => shown.extend(['"', char::from(code), '"'].into_iter().chain(part.chars().skip(4))),
            None => shown.extend(["U+", part]),
        }
    }
    shown
}

/// Returns the last number in the text of a fault, such as a limit or a time to wait: the texts of peers are not translated, but
/// their figures are what counts.
fn figure(text: &str) -> Option<&str> {
    let is_part = |c: char| c.is_ascii_digit() || c == '.';
    let text = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let text = &text[..text.rfind(is_part).map_or(0, |at| at + 1)];
    let number = text.rsplit(|c| !is_part(c)).next()?.trim_matches('.');
    (!number.is_empty()).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::PROGRAM;

    #[test]
    fn the_language_is_the_option_or_the_first_variable_that_is_set() {
        let choose = |option: Option<&str>, set: &[(&str, &str)]| {
            let variable = |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            Locale::choose(option, variable).map(|words| words.code)
        };
        assert_eq!(choose(None, &[]), Ok("en"));
        assert_eq!(choose(None, &[("LANG", "pt_BR.UTF-8")]), Ok("pt"));
        assert_eq!(choose(None, &[("LANG", "pt_BR.UTF-8"), ("LC_ALL", "C")]), Ok("en"));
        assert_eq!(choose(None, &[("LANG", "en_US.UTF-8"), ("LC_MESSAGES", "pt_PT")]), Ok("pt"));
        assert_eq!(choose(None, &[("LC_ALL", ""), ("LANG", "pt")]), Ok("pt"));
        assert_eq!(choose(None, &[("LANG", "de_DE.UTF-8")]), Ok("en"));
        assert_eq!(choose(Some("pt-BR"), &[("LANG", "C")]), Ok("pt"));
        assert!(choose(Some("klingon"), &[]).is_err());
    }

    #[test]
    fn every_option_is_explained_in_every_language() {
        for words in LANGUAGES {
            for flag in PROGRAM.all_flags() {
                let help = words.help.option(flag);
                assert!(!help.is_empty(), "{} lacks --{}", words.code, flag.long);
                assert!(words.code == "en" || help != flag.help, "{} has --{} in English", words.code, flag.long);
            }
        }
    }

    #[test]
    fn no_two_languages_share_a_sentence() {
        let english = |command| (ENGLISH.command)(command);
        for spec in crate::client::command::COMMANDS {
            assert_ne!(english(spec.command), (PORTUGUESE.command)(spec.command));
        }
        for code in 1..=10 {
            let fault = Fault::new(code, "x: the limit is 42");
            assert_ne!((ENGLISH.fault)(&fault), (PORTUGUESE.fault)(&fault), "fault {code}");
        }
    }

    #[test]
    fn figures_are_kept_from_texts_that_are_not_translated() {
        for (text, found) in [
            ("bytes of a message: the limit is 4096", Some("4096")),
            ("too fast; try again in 0.5 seconds", Some("0.5")),
            ("at most 64.", Some("64")),
            ("none", None),
            ("", None),
            ("é1é", Some("1")),
        ] {
            assert_eq!(figure(text), found, "{text}");
        }
    }

    #[test]
    fn dates_are_words() {
        let date = NaiveDate::from_ymd_opt(2025, 11, 23).unwrap();
        assert_eq!(ENGLISH.day(date), "Sunday, 23 November 2025");
        assert_eq!(PORTUGUESE.day(date), "domingo, 23 de novembro de 2025");
    }
}
