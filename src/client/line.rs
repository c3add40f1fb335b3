//! Parses typed lines.
//!
//! A line that begins with `/` is a command. One that begins with `//` is a message that begins with one slash. The
//! commands of the original project's client need no slash if they stand alone on their line, or with their arguments. In a
//! room several words after `create` or `join` leave a doubt: `join us at noon` is most likely a message.

use strsim::osa_distance;

use super::command::{Argument, COMMANDS, Command, CommandSpec, first_word};
use super::locale::{ENGLISH, all_names};

/// A parsed line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// Nothing was typed.
    Empty,
    /// A message for the room, or for one user.
    Say {
        /// The only recipient; `None` for the whole room.
        to: Option<String>,
        text: String,
    },
    /// A command with the rest of the line.
    Command(Command, String),
    /// `create` or `join` with several words, in a room: a command or a message.
    Doubtful(Command, String),
    /// No command has this name.
    Unknown {
        /// The word that was typed, without the slash.
        word: String,
        /// The nearest command, if one is near.
        nearest: Option<&'static str>,
    },
    /// A message while the user is in no room.
    Nowhere,
}

/// The fewest letters of a command without a slash in a room. Shorter names are too likely to be words.
const MIN_WORD: usize = 4;

/// Parses a line of a user who is in a room or not.
pub(super) fn parse(line: &str, in_room: bool) -> Line {
    let line = line.trim();
    if line.is_empty() {
        return Line::Empty;
    }
    if let Some(text) = line.strip_prefix('/') {
        if text.starts_with('/') {
            return say(text, in_room);
        }
        let (word, rest) = first_word(text);
        return named(word).map_or_else(|| unknown(word), |spec| command(spec, word, rest, in_room));
    }
    let (word, rest) = first_word(line);
    let is_long = word.len() >= MIN_WORD;
    match named(word) {
        Some(spec) if !in_room || is_long && needs_no_slash(spec, rest) => command(spec, word, rest, in_room),
        Some(spec) if is_long && matches!(spec.command, Command::Create | Command::Join) => {
            Line::Doubtful(spec.command, rest.to_owned())
        }
        _ if in_room => say(line, in_room),
        _ if nearest(word).is_some() => unknown(word),
        _ => Line::Nowhere,
    }
}

/// Returns whether a line in a room that begins with the name of a command is certainly that command.
fn needs_no_slash(spec: &CommandSpec, rest: &str) -> bool {
    spec.slash_optional
        && match spec.takes.first() {
            None => rest.is_empty(),
            Some(Argument::Text) => true,
            // `help me` is no command.
            Some(Argument::Command) => rest.is_empty() || rest.len() > 2 && named(rest).is_some(),
            Some(_) => !rest.contains(char::is_whitespace),
        }
}

fn command(spec: &'static CommandSpec, word: &str, rest: &str, in_room: bool) -> Line {
    if spec.command == Command::Send && !rest.is_empty() {
        return to_or_all(rest);
    }
    // Unlike `leave`, `sair` has two meanings: outside of rooms it leaves the chat.
    let is_english = ENGLISH.names(spec.command).contains(&word.to_lowercase().as_str());
    let is_out = spec.command == Command::Leave && !in_room && !is_english;
    Line::Command(if is_out { Command::Exit } else { spec.command }, rest.to_owned())
}

fn say(text: &str, in_room: bool) -> Line {
    if in_room { to_or_all(text) } else { Line::Nowhere }
}

/// `@bob text` goes to bob alone: a private mention does less harm than a public secret.
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

/// Returns the row with this name in any language, whatever its capitals.
pub(super) fn named(word: &str) -> Option<&'static CommandSpec> {
    let word = word.to_lowercase();
    COMMANDS.iter().find(|spec| all_names(spec.command).any(|name| name == word))
}

/// Returns the command that a misspelt `word` means. At most two of its letters are wrong, and fewer than half.
pub(super) fn nearest(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase();
    let names = COMMANDS.iter().flat_map(|spec| all_names(spec.command)).filter(|name| name.len() > 2);
    let (mistakes, name) = names.map(|name| (osa_distance(&word, name), name)).min_by_key(|(mistakes, _)| *mistakes)?;
    (mistakes <= 2 && mistakes * 2 < name.len()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::command::{COMMANDS, spec_of};

    fn say(text: &str) -> Line {
        Line::Say { to: None, text: text.into() }
    }

    fn whisper(to: &str, text: &str) -> Line {
        Line::Say { to: Some(to.into()), text: text.into() }
    }

    fn run(command: Command, rest: &str) -> Line {
        Line::Command(command, rest.into())
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
            ("join us at noon", Line::Doubtful(Command::Join, "us at noon".into())),
            ("create a list", Line::Doubtful(Command::Create, "a list".into())),
            ("entrar sala", run(Command::Join, "sala")),
            ("sair", run(Command::Leave, "")),
            ("/AJUDA", run(Command::Help, "")),
            ("eu vou", say("eu vou")),
            ("/me waves", run(Command::Me, "waves")),
            ("/search all of it", run(Command::Search, "all of it")),
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
            ("send hello", say("hello")),
            ("create my room", run(Command::Create, "my room")),
            ("sair", run(Command::Exit, "")),
            ("leave", run(Command::Leave, "")),
        ] {
            assert_eq!(parse(line, false), meant, "{line:?}");
        }
    }

    #[test]
    fn every_example_is_an_example_of_its_command() {
        for spec in COMMANDS {
            assert_eq!(spec_of(spec.command).command, spec.command);
            // The example of `send` is text for bob.
            let Line::Command(command, _) = parse(spec.example, true) else { continue };
            assert_eq!(command, spec.command, "{}", spec.example);
        }
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
}
