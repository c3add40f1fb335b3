//! Completes the word before the cursor when the user presses Tab.

use std::cmp::Reverse;
use std::collections::BTreeSet;
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
        let typed = typed.to_owned();
        let in_room = self.view.renderer.room().is_some();
        let rooms = if takes_room(&typed, in_room) {
            self.view.session.rooms_within(ROOMS_TIMEOUT).unwrap_or_default()
        } else {
            Vec::new()
        };
        let (start, found) = complete(
            &typed,
            &Known { rooms, users: self.view.renderer.presence.others.clone(), in_room, locale: self.view.locale },
        );
        let common = common_beginning(&found);
        if found.len() == 1 || common.len() > typed.len() - start {
            self.editor.replace_before(start, &common);
            self.repaint();
        } else if !found.is_empty() {
            let names: Vec<_> = found.iter().map(|name| name.trim_end().to_owned()).collect();
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
#[derive(Debug, Clone)]
struct Known {
    /// All rooms.
    rooms: Vec<String>,
    /// The users in the room.
    users: Vec<String>,
    /// If set, the user is in a room.
    in_room: bool,
    /// The language whose names of commands are candidates, beside the English ones.
    locale: &'static Locale,
}

/// Returns whether the beginning `typed` of a line is completed with rooms.
fn takes_room(typed: &str, in_room: bool) -> bool {
    typed.contains(char::is_whitespace)
        && spec_in(typed, in_room).is_some_and(|spec| spec.takes.first() == Some(&Argument::Room))
}

/// Returns the row of the command at the beginning of a line.
fn spec_in(typed: &str, in_room: bool) -> Option<&'static CommandSpec> {
    let (first, _) = first_word(typed);
    let slashed = first.strip_prefix('/');
    named(slashed.unwrap_or(first)).filter(|spec| slashed.is_some() || !in_room || spec.slash_optional)
}

/// Returns the candidates to complete the beginning `typed` of a line, and the byte at which they begin.
fn complete(typed: &str, known: &Known) -> (usize, Vec<String>) {
    let commands = |slash: &str, beginning: &str| {
        let names = |spec: &CommandSpec| [ENGLISH.names(spec.command), known.locale.names(spec.command)].concat();
        let names: BTreeSet<_> = COMMANDS.iter().flat_map(names).filter(|name| name.len() > 2).collect();
        matching(names.into_iter(), beginning).map(|name| format!("{slash}{name} ")).collect::<Vec<_>>()
    };
    let word_at = typed.rfind(char::is_whitespace).map_or(0, |at| at + 1);
    let word = typed.get(word_at..).unwrap_or_default();
    let users = |beginning: &str| matching(known.users.iter().map(String::as_str), beginning).map(str::to_owned);
    if let Some(beginning) = word.strip_prefix('@') {
        return (word_at, users(beginning).map(|name| format!("@{name} ")).collect());
    }
    if word_at == 0 {
        return match word.strip_prefix('/') {
            Some(beginning) => (0, commands("/", beginning)),
            None if known.in_room => {
                let mut all: Vec<_> = users(word).map(|name| format!("{name}: ")).collect();
                if all.is_empty() {
                    all = commands("", word);
                }
                (0, all)
            }
            None => (0, commands("", word)),
        };
    }
    let (first, _) = first_word(typed);
    match spec_in(typed, known.in_room).and_then(|spec| spec.takes.first()) {
        Some(Argument::Room) => {
            let at = typed.len() - typed.get(first.len()..).unwrap_or_default().trim_start().len();
            let beginning = typed.get(at..).unwrap_or_default();
            let rooms = matching(known.rooms.iter().map(String::as_str), beginning);
            (at, rooms.map(str::to_owned).collect())
        }
        Some(Argument::User) if first.len() + 1 == word_at => (word_at, users(word).map(|name| name + " ").collect()),
        Some(Argument::Command) => (word_at, commands("", word)),
        // Within a text, a name is just a word.
        _ if !word.is_empty() => (word_at, users(word).collect()),
        _ => (word_at, Vec::new()),
    }
}

/// Returns the names that begin with `beginning`, whatever its capitals. Those with the same capitals come first.
fn matching<'a>(names: impl Iterator<Item = &'a str>, beginning: &str) -> std::vec::IntoIter<&'a str> {
    let beginning = beginning.to_lowercase();
    let mut found: Vec<_> = names.filter(|name| name.to_lowercase().starts_with(&beginning)).collect();
    found.sort_by_key(|name| (Reverse(name.starts_with(&beginning)), *name));
    found.into_iter()
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
            rooms: vec!["lobby".into(), "my room".into(), "my other room".into()],
            users: vec!["ana".into(), "Ângela".into(), "bob".into()],
            in_room: true,
        };
        let nowhere = Known { in_room: false, ..known.clone() };
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
