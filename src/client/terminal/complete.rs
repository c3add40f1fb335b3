//! Completes the word before the cursor when the user presses Tab.

use std::cmp::Reverse;
use std::time::Duration;

use super::Terminal;
use crate::client::command::{Argument, COMMANDS, CommandSpec, first_word};
use crate::client::line::named;
use crate::client::locale::{ENGLISH, Locale};
use crate::client::render::sanitized;
use crate::client::view::Screen as _;

/// The time for the server's list of rooms.
const ROOMS_TIMEOUT: Duration = Duration::from_millis(500);

impl Terminal {
    /// Completes the word before the cursor as far as possible, or lists the candidates.
    pub(super) fn complete(&mut self) {
        let (typed, _) = self.editor.parts();
        let length = typed.len();
        let known = Known {
            // A server that is slow must not hold up typing.
            rooms: &|| self.view.session.rooms_within(ROOMS_TIMEOUT).unwrap_or_default(),
            users: &self.view.renderer.presence.others,
            in_room: self.view.renderer.room().is_some(),
            locale: self.view.locale,
        };
        let (start, found) = complete(typed, &known);
        let common = common_beginning(&found);
        if found.len() == 1 || common.len() > length - start {
            self.editor.replace_before(start, &common);
            self.repaint();
        } else if !found.is_empty() {
            let names: Vec<_> = found.iter().map(|name| name.trim_end()).collect();
            let line = self.view.renderer.note(&sanitized(&names.join("  ")));
            self.write(&[line]);
        }
    }
}

/// Returns the common beginning of all texts.
fn common_beginning(texts: &[String]) -> String {
    let Some((first, others)) = texts.split_first() else { return String::new() };
    let is_common = |end: usize| others.iter().all(|other| other.get(..end) == first.get(..end));
    let ends = first.char_indices().map(|(at, c)| at + c.len_utf8());
    let end = ends.take_while(|end| is_common(*end)).last().unwrap_or(0);
    first.get(..end).unwrap_or_default().to_owned()
}

/// Candidates to complete a line with.
#[derive(Clone, Copy)]
struct Known<'a> {
    /// Asks for all rooms.
    rooms: &'a dyn Fn() -> Vec<String>,
    /// The users in the room.
    users: &'a [String],
    in_room: bool,
    /// The language whose names of commands are candidates, beside the English ones.
    locale: &'static Locale,
}

/// Returns the candidates to complete the beginning `typed` of a line, and the byte at which they begin.
fn complete(typed: &str, known: &Known<'_>) -> (usize, Vec<String>) {
    let commands = |slash: &str, beginning: &str| {
        let names = |spec: &CommandSpec| [ENGLISH.names(spec.command), known.locale.names(spec.command)].concat();
        let names: Vec<_> = COMMANDS.iter().flat_map(names).filter(|name| name.len() > 2).collect();
        matching(&names, beginning, slash, " ")
    };
    let users = |beginning: &str, before: &str, after: &str| matching(known.users, beginning, before, after);
    let word_at = typed.rfind(char::is_whitespace).map_or(0, |at| at + 1);
    let word = typed.get(word_at..).unwrap_or_default();
    if let Some(beginning) = word.strip_prefix('@') {
        return (word_at, users(beginning, "@", " "));
    }
    let (first, _) = first_word(typed);
    let slashed = first.strip_prefix('/');
    if word_at == 0 {
        let names = if known.in_room && slashed.is_none() { users(word, "", ": ") } else { Vec::new() };
        let slash = if slashed.is_some() { "/" } else { "" };
        return (0, if names.is_empty() { commands(slash, slashed.unwrap_or(word)) } else { names });
    }
    let spec = named(slashed.unwrap_or(first));
    let spec = spec.filter(|spec| slashed.is_some() || !known.in_room || spec.slash_optional);
    match spec.and_then(|spec| spec.takes.first()) {
        Some(Argument::Room) => {
            let beginning = typed.get(first.len()..).unwrap_or_default().trim_start();
            (typed.len() - beginning.len(), matching(&(known.rooms)(), beginning, "", ""))
        }
        Some(Argument::User) if first.len() + 1 == word_at => (word_at, users(word, "", " ")),
        Some(Argument::Command) => (word_at, commands("", word)),
        // Within a text, a name is just a word.
        _ if !word.is_empty() => (word_at, users(word, "", "")),
        _ => (word_at, Vec::new()),
    }
}

/// Returns the names that begin with `beginning`, whatever its capitals, each between `before` and `after`. Those with the same
/// capitals come first.
fn matching(names: &[impl AsRef<str>], beginning: &str, before: &str, after: &str) -> Vec<String> {
    let lower = beginning.to_lowercase();
    let mut found: Vec<_> = names.iter().map(AsRef::as_ref).collect();
    found.retain(|name| name.to_lowercase().starts_with(&lower));
    found.sort_unstable_by_key(|name| (Reverse(name.starts_with(beginning)), *name));
    found.dedup();
    found.into_iter().map(|name| format!("{before}{name}{after}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_have_a_common_beginning() {
        let common = |texts: &[&str]| common_beginning(&texts.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(common(&["help ", "history "]), "h");
        assert_eq!(common(&["one"]), "one");
        assert_eq!(common(&["João", "Joãozinho"]), "João");
        assert_eq!(common(&["ã", "â"]), "");
        assert_eq!(common(&[]), "");
    }

    #[test]
    fn completion_knows_commands_rooms_and_users() {
        let known = Known {
            locale: &ENGLISH,
            rooms: &|| ["lobby", "my room", "my other room"].map(str::to_owned).to_vec(),
            users: &["ana", "Ângela", "bob"].map(str::to_owned),
            in_room: true,
        };
        let nowhere = Known { in_room: false, ..known };
        for (typed, known, at, with) in [
            ("/jo", &known, 0, &["/join "][..]),
            ("/h", &known, 0, &["/help ", "/history "]),
            ("jo", &nowhere, 0, &["join "]),
            ("jo", &known, 0, &["join "]),
            ("a", &known, 0, &["ana: "]),
            ("â", &known, 0, &["Ângela: "]),
            ("/join lo", &known, 6, &["lobby"]),
            ("join my ", &known, 5, &["my other room", "my room"]),
            ("/join ", &known, 6, &["lobby", "my other room", "my room"]),
            ("@b", &known, 0, &["@bob "]),
            ("send @b", &known, 5, &["@bob "]),
            ("/msg B", &known, 5, &["bob "]),
            ("/msg bob b", &known, 9, &["bob"]),
            ("hello b", &known, 6, &["bob"]),
            ("hello ", &known, 6, &[]),
            ("/help jo", &known, 6, &["join "]),
            ("zzz", &known, 0, &[]),
        ] {
            let (start, found) = complete(typed, known);
            assert_eq!((start, found), (at, with.iter().map(ToString::to_string).collect()), "{typed:?}");
        }
    }
}
