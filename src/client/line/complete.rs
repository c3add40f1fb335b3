//! Completes lines for Tab, and finds the command that a misspelt word means.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::named;
use crate::client::command::{Argument, COMMANDS, CommandSpec, first_word};
use crate::client::locale::{ENGLISH, Locale, all_names};

/// The names that a line can be completed with.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    /// All rooms.
    pub(crate) rooms: Vec<String>,
    /// The users in the room.
    pub(crate) users: Vec<String>,
    /// If set, the user is in a room.
    pub(crate) in_room: bool,
    /// The language whose names of commands are meant, beside the English ones.
    pub(crate) locale: &'static Locale,
}

/// Returns whether the beginning `typed` of a line is completed with rooms.
pub(crate) fn takes_room(typed: &str, in_room: bool) -> bool {
    typed.contains(char::is_whitespace)
        && spec_in(typed, in_room).is_some_and(|spec| spec.takes.first() == Some(&Argument::Room))
}

/// Returns the row of the command that a line begins with.
fn spec_in(typed: &str, in_room: bool) -> Option<&'static CommandSpec> {
    let (first, _) = first_word(typed);
    let slashed = first.strip_prefix('/');
    named(slashed.unwrap_or(first)).filter(|spec| slashed.is_some() || !in_room || spec.slash_optional)
}

/// Returns the ways to complete the beginning `typed` of a line: from which byte on, and with what.
pub(crate) fn complete(typed: &str, known: &Known) -> (usize, Vec<String>) {
    let commands = |slash: &str, beginning: &str| {
        let names = |spec: &CommandSpec| [ENGLISH.names(spec.command), known.locale.names(spec.command)].concat();
        let names: BTreeSet<_> = COMMANDS.iter().flat_map(names).filter(|name| name.len() > 2).collect();
        matching(names.into_iter(), beginning).map(|name| format!("{slash}{name} ")).collect::<Vec<_>>()
    };
    let word_at = typed.rfind(char::is_whitespace).map_or(0, |at| at + 1);
    // White space is one byte wide or more; a slice at a boundary is what `get` gives.
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
        // Anywhere in a text, a name is just a word.
        _ if !word.is_empty() => (word_at, users(word).collect()),
        _ => (word_at, Vec::new()),
    }
}

/// Returns those that begin with `beginning`, whatever their capitals; those with the same capitals first.
fn matching<'a>(names: impl Iterator<Item = &'a str>, beginning: &str) -> std::vec::IntoIter<&'a str> {
    let beginning = beginning.to_lowercase();
    let mut found: Vec<_> = names.filter(|name| name.to_lowercase().starts_with(&beginning)).collect();
    found.sort_by_key(|name| (Reverse(name.starts_with(&beginning)), *name));
    found.into_iter()
}

/// Returns the command that a misspelt `word` means: at most two mistakes, and fewer than half of its letters.
pub(crate) fn nearest(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase();
    let names = COMMANDS.iter().flat_map(|spec| all_names(spec.command)).filter(|name| name.len() > 2);
    let (mistakes, name) = names.map(|name| (mistakes(&word, name), name)).min_by_key(|(mistakes, _)| *mistakes)?;
    (mistakes <= 2 && mistakes * 2 < name.len()).then_some(name)
}

/// Returns how many letters are wrong, missing, too many or swapped with their neighbour.
fn mistakes(typed: &str, meant: &str) -> usize {
    let (typed, meant): (Vec<char>, Vec<char>) = (typed.chars().collect(), meant.chars().collect());
    // The rows of the table of distances between all beginnings of both words.
    let mut rows: Vec<Vec<usize>> = vec![(0..=meant.len()).collect()];
    for i in 0..typed.len() {
        let mut row = vec![i + 1];
        for j in 0..meant.len() {
            let wrong = usize::from(typed[i] != meant[j]);
            let mut least = (rows[i][j] + wrong).min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && typed[i] == meant[j - 1] && typed[i - 1] == meant[j] {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[typed.len()][meant.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_words_find_their_command() {
        for (typed, meant) in [
            ("jion", Some("join")),
            ("joni", Some("join")),
            ("crate", Some("create")),
            ("hstory", Some("history")),
            ("hlep", Some("help")),
            ("whomai", Some("whoami")),
            ("banana", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed), meant, "{typed}");
        }
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
