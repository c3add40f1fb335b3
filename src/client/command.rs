//! What a typed line means: one row for each command drives parsing, completion, help and the manual.
//!
//! A line is a command if it begins with `/`, and text if it begins with `//`, which sends the rest with one slash. The
//! words of the original project's client are commands without a slash too: alone on their line, or with what they take,
//! which is one word for a room when the user is in a room already, so that `join us at noon` is text there.

use std::cmp::Reverse;

/// A command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// Makes a room.
    Create,
    /// Goes to a room.
    Join,
    /// Leaves the room.
    Leave,
    /// Says something to all, or with `@name` to one.
    Send,
    /// Says something to one.
    Msg,
    /// Answers the newest private message.
    Reply,
    /// Lists the rooms.
    List,
    /// Lists who is in a room.
    Users,
    /// Shows older messages.
    History,
    /// Says who and where one is.
    Whoami,
    /// Hides what a user says, or shows it again.
    Ignore,
    /// Explains the commands.
    Help,
    /// Ends the client.
    Exit,
}

/// What a command takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Argument {
    /// A room: the rest of the line, since names of rooms have spaces.
    Room,
    /// A user: one word, with or without `@`.
    User,
    /// A message: the rest of the line.
    Text,
    /// A number.
    Count,
    /// The name of a command.
    Command,
}

/// A row of the table.
#[derive(Debug)]
pub struct CommandSpec {
    /// Which command.
    pub verb: Command,
    /// Its name and its other names.
    pub names: &'static [&'static str],
    /// What it takes, in order.
    pub takes: &'static [Argument],
    /// Whether it works without what it takes last; otherwise the client asks for it.
    pub optional: bool,
    /// Whether it is one of the original's, which need no slash in a room.
    pub slash_optional: bool,
    /// A line that uses it.
    pub example: &'static str,
}

/// All commands.
pub const COMMANDS: &[CommandSpec] = &[
    row(Command::Create, &["create"], &[Argument::Room], "/create lobby").original(),
    row(Command::Join, &["join", "j"], &[Argument::Room], "/join lobby").original(),
    row(Command::Leave, &["leave", "part"], &[], "/leave").original(),
    row(Command::Send, &["send", "say"], &[Argument::Text], "/send @bob just for you").original(),
    row(Command::Msg, &["msg", "m", "w"], &[Argument::User, Argument::Text], "/msg bob just for you"),
    row(Command::Reply, &["reply", "r"], &[Argument::Text], "/reply see you there"),
    row(Command::List, &["list", "rooms"], &[], "/list").original(),
    row(Command::Users, &["users", "names", "who"], &[Argument::Room], "/users").optional().original(),
    row(Command::History, &["history"], &[Argument::Count], "/history 20").optional(),
    row(Command::Whoami, &["whoami"], &[], "/whoami"),
    row(Command::Ignore, &["ignore"], &[Argument::User], "/ignore bob").optional(),
    row(Command::Help, &["help", "h", "?"], &[Argument::Command], "/help join").optional().original(),
    row(Command::Exit, &["exit", "quit", "q"], &[], "/exit").original(),
];

const fn row(
    verb: Command,
    names: &'static [&'static str],
    takes: &'static [Argument],
    example: &'static str,
) -> CommandSpec {
    CommandSpec { verb, names, takes, optional: false, slash_optional: false, example }
}

impl CommandSpec {
    const fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    const fn original(self) -> Self {
        Self { slash_optional: true, ..self }
    }

    /// The name under which the command is listed.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or_default()
    }

    /// Splits the rest of a line into what the command takes: all but the last are one word. Fewer come out where the
    /// line ends early.
    #[must_use]
    pub fn split(&self, rest: &str) -> Vec<String> {
        let mut rest = rest.trim();
        let mut found = Vec::new();
        for (at, takes) in self.takes.iter().enumerate() {
            if rest.is_empty() {
                break;
            }
            let (one, after) = if at + 1 == self.takes.len() { (rest, "") } else { first_word(rest) };
            found.push(if *takes == Argument::User { one.trim_start_matches('@') } else { one }.to_owned());
            rest = after;
        }
        found
    }
}

/// The row of a command.
#[must_use]
pub fn spec_of(verb: Command) -> &'static CommandSpec {
    // Every verb has its row: a test walks them.
    COMMANDS.iter().find(|row| row.verb == verb).unwrap_or(&COMMANDS[0])
}

/// The row whose name or other name is `word`, in capitals or small letters.
#[must_use]
pub fn named(word: &str) -> Option<&'static CommandSpec> {
    COMMANDS.iter().find(|row| row.names.iter().any(|name| name.eq_ignore_ascii_case(word)))
}

/// A line, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// Nothing was typed.
    Empty,
    /// A message for the room, or for one user.
    Say {
        /// For whom alone.
        to: Option<String>,
        /// What.
        text: String,
    },
    /// A command with the rest of the line.
    Command(Command, String),
    /// No command has this name.
    Unknown {
        /// What was typed, without the slash.
        word: String,
        /// The command that is meant, if one is near.
        nearest: Option<&'static str>,
    },
    /// Text while in no room.
    Nowhere,
}

/// Reads a line of somebody who is in a room or not.
#[must_use]
pub fn parse(line: &str, in_room: bool) -> Line {
    let line = line.trim();
    if line.is_empty() {
        return Line::Empty;
    }
    if let Some(text) = line.strip_prefix('/') {
        if text.starts_with('/') {
            return say(text, in_room);
        }
        let (word, rest) = first_word(text);
        return match named(word) {
            Some(row) => command(row, rest),
            None => unknown(word),
        };
    }
    let (word, rest) = first_word(line);
    match named(word) {
        Some(row) if !in_room || needs_no_slash(row, word, rest) => command(row, rest),
        _ if in_room => say(line, in_room),
        _ if nearest(word).is_some() => unknown(word),
        _ => Line::Nowhere,
    }
}

/// Whether a word that begins a line in a room is meant as the command.
fn needs_no_slash(row: &CommandSpec, word: &str, rest: &str) -> bool {
    // The short names are too likely to be words.
    if !row.slash_optional || word.len() < 4 {
        return false;
    }
    match row.takes.first() {
        None => rest.is_empty(),
        Some(Argument::Text) => true,
        Some(Argument::Command) => rest.is_empty() || named(rest).is_some(),
        Some(_) => !rest.contains(char::is_whitespace),
    }
}

fn command(row: &'static CommandSpec, rest: &str) -> Line {
    if row.verb == Command::Send && !rest.is_empty() {
        to_or_all(rest)
    } else {
        Line::Command(row.verb, rest.to_owned())
    }
}

fn say(text: &str, in_room: bool) -> Line {
    if in_room { to_or_all(text) } else { Line::Nowhere }
}

/// `@bob text` is for bob alone: who takes it for a mere mention does less harm than the other way round.
fn to_or_all(text: &str) -> Line {
    if let Some(addressed) = text.strip_prefix('@') {
        let (name, text) = first_word(addressed);
        if !name.is_empty() && !text.is_empty() {
            return Line::Say { to: Some(name.to_owned()), text: text.to_owned() };
        }
    }
    Line::Say { to: None, text: text.to_owned() }
}

fn unknown(word: &str) -> Line {
    Line::Unknown { word: word.to_owned(), nearest: nearest(word) }
}

/// The first word, and what follows it.
fn first_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim())
}

/// The command that a misspelt `word` means: at most two mistakes, and fewer than half of its letters.
#[must_use]
pub fn nearest(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase();
    let names = COMMANDS.iter().flat_map(|row| row.names).filter(|name| name.len() > 2);
    let (mistakes, name) = names.map(|name| (mistakes(&word, name), *name)).min_by_key(|(mistakes, _)| *mistakes)?;
    (mistakes <= 2 && mistakes * 2 < name.len()).then_some(name)
}

/// How many letters are wrong, missing, too many or swapped with their neighbour.
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

/// What a line can be completed with.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Known {
    /// All rooms.
    pub rooms: Vec<String>,
    /// Who is in the room.
    pub users: Vec<String>,
    /// Whether the user is in a room.
    pub in_room: bool,
}

/// Whether the beginning `typed` of a line is completed with rooms.
#[must_use]
pub fn takes_room(typed: &str, in_room: bool) -> bool {
    typed.contains(char::is_whitespace)
        && row_in(typed, in_room).is_some_and(|row| row.takes.first() == Some(&Argument::Room))
}

/// The row of the command that a line begins with.
fn row_in(typed: &str, in_room: bool) -> Option<&'static CommandSpec> {
    let (first, _) = first_word(typed);
    let slashed = first.strip_prefix('/');
    named(slashed.unwrap_or(first)).filter(|row| slashed.is_some() || !in_room || row.slash_optional)
}

/// The ways to complete the beginning `typed` of a line: from which byte on, and with what.
#[must_use]
pub fn complete(typed: &str, known: &Known) -> (usize, Vec<String>) {
    let commands = |slash: &str, beginning: &str| {
        let names = COMMANDS.iter().flat_map(|row| row.names).filter(|name| name.len() > 2);
        matching(names.copied(), beginning).map(|name| format!("{slash}{name} ")).collect::<Vec<_>>()
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
    match row_in(typed, known.in_room).and_then(|row| row.takes.first()) {
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

/// Those that begin with `beginning`, whatever their capitals; those with the same capitals first.
fn matching<'a>(names: impl Iterator<Item = &'a str>, beginning: &str) -> std::vec::IntoIter<&'a str> {
    let beginning = beginning.to_lowercase();
    let mut found: Vec<_> = names.filter(|name| name.to_lowercase().starts_with(&beginning)).collect();
    found.sort_by_key(|name| (Reverse(name.starts_with(&beginning)), *name));
    found.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(text: &str) -> Line {
        Line::Say { to: None, text: text.into() }
    }

    fn whisper(to: &str, text: &str) -> Line {
        Line::Say { to: Some(to.into()), text: text.into() }
    }

    fn run(verb: Command, rest: &str) -> Line {
        Line::Command(verb, rest.into())
    }

    #[test]
    fn lines_mean_what_people_expect_in_a_room() {
        for (line, meant) in [
            ("", Line::Empty),
            ("  ", Line::Empty),
            ("hello all", say("hello all")),
            ("//etc is a directory", say("/etc is a directory")),
            ("/join lobby", run(Command::Join, "lobby")),
            ("/JOIN my room", run(Command::Join, "my room")),
            ("join lobby", run(Command::Join, "lobby")),
            ("join", run(Command::Join, "")),
            ("join us at noon", say("join us at noon")),
            ("create a list", say("create a list")),
            ("create lists", run(Command::Create, "lists")),
            ("leave", run(Command::Leave, "")),
            ("leave me alone", say("leave me alone")),
            ("list", run(Command::List, "")),
            ("help", run(Command::Help, "")),
            ("help join", run(Command::Help, "join")),
            ("help me", say("help me")),
            ("exit", run(Command::Exit, "")),
            ("quit", run(Command::Exit, "")),
            ("q", say("q")),
            ("who", say("who")),
            ("history", say("history")),
            ("/history 20", run(Command::History, "20")),
            ("send hello", say("hello")),
            ("send", run(Command::Send, "")),
            ("send @bob just for you", whisper("bob", "just for you")),
            ("@bob just for you", whisper("bob", "just for you")),
            ("@bob", say("@bob")),
            ("/send /etc", say("/etc")),
            ("/jion lobby", Line::Unknown { word: "jion".into(), nearest: Some("join") }),
            ("/xyzzy", Line::Unknown { word: "xyzzy".into(), nearest: None }),
            ("/", Line::Unknown { word: String::new(), nearest: None }),
        ] {
            assert_eq!(parse(line, true), meant, "{line:?}");
        }
    }

    #[test]
    fn outside_of_rooms_nothing_is_sent() {
        for (line, meant) in [
            ("hello all", Line::Nowhere),
            ("//etc", Line::Nowhere),
            ("whoami", run(Command::Whoami, "")),
            ("join us at noon", run(Command::Join, "us at noon")),
            ("jion lobby", Line::Unknown { word: "jion".into(), nearest: Some("join") }),
            ("@bob hello", Line::Nowhere),
        ] {
            assert_eq!(parse(line, false), meant, "{line:?}");
        }
    }

    #[test]
    fn the_table_is_whole_and_unambiguous() {
        let mut names: Vec<_> = COMMANDS.iter().flat_map(|row| row.names).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all, "a name stands twice");
        for row in COMMANDS {
            assert_eq!(spec_of(row.verb).name(), row.name());
            // The example of `send` is text for bob.
            let Line::Command(verb, _) = parse(row.example, true) else { continue };
            assert_eq!(verb, row.verb, "{}", row.example);
        }
    }

    #[test]
    fn commands_are_split_into_what_they_take() {
        assert_eq!(spec_of(Command::Msg).split("@bob  see you"), ["bob", "see you"]);
        assert_eq!(spec_of(Command::Msg).split("bob"), ["bob"]);
        assert_eq!(spec_of(Command::Join).split(" my room "), ["my room"]);
        assert_eq!(spec_of(Command::Leave).split("at once"), [""; 0]);
    }

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
