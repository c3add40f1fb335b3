//! All texts of the client, in one table for each language. A table that lacks a text does not compile, and a test checks
//! the texts that are looked up by name. To add a language, copy `portuguese.rs` and name it in [`LANGUAGES`].

mod english;
mod portuguese;
mod translate;

use chrono::{Datelike as _, NaiveDate};

use super::command::{Argument, Command, CommandSpec};
use super::session::SessionError;
use crate::rpc::Fault;
use crate::sanitize::Sanitized;

pub use english::{ENGLISH, Locale};

/// All languages. The first one is the default.
pub static LANGUAGES: &[&Locale] = &[&ENGLISH, &portuguese::PORTUGUESE];

impl Locale {
    /// Returns the codes of all languages, as `--lang` takes them.
    #[must_use]
    pub fn codes() -> Vec<&'static str> {
        LANGUAGES.iter().map(|locale| locale.code).collect()
    }

    /// Returns the language of `pt`, `pt_BR.UTF-8` or `pt-BR`.
    #[must_use]
    pub fn find(tag: &str) -> Option<&'static Self> {
        let code = tag.split(['_', '-', '.', '@']).next().unwrap_or_default();
        LANGUAGES.iter().copied().find(|locale| locale.code.eq_ignore_ascii_case(code))
    }

    /// Returns the language of the first variable that is set of `LC_ALL`, `LC_MESSAGES` and `LANG`.
    pub(super) fn of_environment(variable: impl Fn(&str) -> Option<String>) -> &'static Self {
        let set =
            ["LC_ALL", "LC_MESSAGES", "LANG"].iter().find_map(|name| variable(name).filter(|text| !text.is_empty()));
        set.and_then(|text| Self::find(&text)).unwrap_or(&ENGLISH)
    }

    /// Returns the reason of a refusal.
    #[must_use]
    pub fn refusal(&self, fault: &Fault) -> String {
        let message = shown_characters(&Sanitized(&fault.message).to_string());
        (self.fault)(&Fault::new(fault.code, message))
    }

    /// Returns the reason of a failure.
    pub(super) fn explain(&self, error: &SessionError) -> String {
        match error {
            SessionError::Refused(fault) => self.refusal(fault),
            SessionError::Unreachable(cause) => (self.unreachable)(&self.translated(&Sanitized(cause).to_string())),
            SessionError::NobodyOffers => self.nobody_offers.into(),
            SessionError::OutOfReach(server) => (self.out_of_reach)(&server.to_string(), server.port),
            SessionError::NotABinder(address) => (self.not_a_binder)(&address.to_string()),
            SessionError::InNoRoom => self.in_no_room.into(),
            SessionError::Ended => self.over.into(),
        }
    }

    /// Returns a text of the server, the system or the command line in this language, as far as the table has it.
    #[must_use]
    pub fn translated(&self, text: &str) -> String {
        translate::translated(self.translations, text).unwrap_or_else(|| text.to_owned())
    }

    /// Returns such a text only if the table has it.
    fn known(&self, text: &str) -> Option<String> {
        translate::translated(self.translations, text)
    }

    /// Returns the names of a command.
    #[must_use]
    pub fn names(&self, command: Command) -> &'static [&'static str] {
        (self.command)(command).0
    }

    /// Returns the name under which a command is listed.
    #[must_use]
    pub fn name(&self, command: Command) -> &'static str {
        self.names(command).first().copied().unwrap_or_default()
    }

    /// Returns the explanation of a command.
    #[must_use]
    pub fn explanation(&self, command: Command) -> &'static str {
        (self.command)(command).1
    }

    /// Returns a command with its arguments. An optional one is in brackets.
    #[must_use]
    pub fn usage(&self, spec: &CommandSpec) -> String {
        let mut text = self.name(spec.command).to_owned();
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

/// Returns all names of a command, in every language, the English ones first.
pub fn all_names(command: Command) -> impl Iterator<Item = &'static str> {
    LANGUAGES.iter().flat_map(move |locale| locale.names(command)).copied()
}

/// Returns the line that tunnels 127.0.0.1:9443 to `address`, and checks that it has a certificate for `host`.
fn stunnel(address: &str, host: &str) -> String {
    let check = if host.parse::<std::net::IpAddr>().is_ok() { "checkIP" } else { "checkHost" };
    format!(
        "printf '%s\\n' foreground=yes '[chat]' client=yes accept=127.0.0.1:9443 connect={address} verifyChain=yes \
         CAfile=/etc/ssl/certs/ca-certificates.crt {check}={host} | stunnel -fd 0"
    )
}

/// Returns `text` with visible characters of ASCII in place of their numbers, such as `U+003A`.
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

/// Returns the last number in the text of a fault, such as a limit or a time to wait, which is worth showing even if the text
/// is not translated.
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
    use crate::client::command::COMMANDS;

    #[test]
    fn the_language_is_that_of_the_first_variable_that_is_set() {
        let choose = |set: &[(&str, &str)]| {
            let variable = |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            Locale::of_environment(variable).code
        };
        assert_eq!(choose(&[]), "en");
        assert_eq!(choose(&[("LANG", "pt_BR.UTF-8")]), "pt");
        assert_eq!(choose(&[("LANG", "pt_BR.UTF-8"), ("LC_ALL", "C")]), "en");
        assert_eq!(choose(&[("LANG", "en_US.UTF-8"), ("LC_MESSAGES", "pt_PT")]), "pt");
        assert_eq!(choose(&[("LC_ALL", ""), ("LANG", "pt")]), "pt");
        assert_eq!(choose(&[("LANG", "de_DE.UTF-8")]), "en");
        assert_eq!(Locale::find("pt-BR").map(|locale| locale.code), Some("pt"));
        assert!(Locale::find("klingon").is_none());
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
    fn no_language_has_english_sentences() {
        for locale in LANGUAGES.iter().skip(1) {
            for spec in COMMANDS {
                assert_ne!(locale.explanation(spec.command), ENGLISH.explanation(spec.command));
            }
            for code in 1..=10 {
                let fault = Fault::new(code, "x: the limit is 42");
                assert_ne!(locale.refusal(&fault), ENGLISH.refusal(&fault), "fault {code} in {}", locale.code);
            }
        }
    }

    #[test]
    fn a_name_means_one_command() {
        for spec in COMMANDS {
            for other in COMMANDS.iter().filter(|other| other.command != spec.command) {
                let shared: Vec<_> =
                    all_names(spec.command).filter(|name| all_names(other.command).any(|n| n == *name)).collect();
                assert!(shared.is_empty(), "{shared:?}");
            }
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
        assert_eq!(portuguese::PORTUGUESE.day(date), "domingo, 23 de novembro de 2025");
    }
}
