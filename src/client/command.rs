//! Parses typed lines: one row for each command drives parsing, completion, help and the manual.
//!
//! A line is a command if it begins with `/`, and text if it begins with `//`, which sends the rest with one slash. The
//! words of the original project's client are commands without a slash too: alone on their line, or with what they take.
//! In a room several words after `create` or `join` leave a doubt: `join us at noon` is most likely a message.

mod complete;

pub use complete::{Known, complete, nearest, takes_room};

/// A command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// Creates a room.
    Create,
    /// Joins a room.
    Join,
    /// Leaves the room.
    Leave,
    /// Sends a message to all, or with `@name` to one user.
    Send,
    /// Sends a message to one user.
    Msg,
    /// Replies to the newest private message.
    Reply,
    /// Says what the user does.
    Me,
    /// Lists the rooms.
    List,
    /// Lists the users in a room.
    Users,
    /// Shows older messages.
    History,
    /// Shows the kept messages with a text in them.
    Search,
    /// Shows the user's name and room.
    Whoami,
    /// Hides the messages of a user, or shows them again.
    Ignore,
    /// Explains the commands.
    Help,
    /// Ends the client.
    Exit,
}

/// An argument of a command.
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
    /// The command.
    pub command: Command,
    /// Its name and its other names.
    pub names: &'static [&'static str],
    /// Its Portuguese name and its other Portuguese names, which work in every language.
    pub portuguese: &'static [&'static str],
    /// Its arguments, in order.
    pub takes: &'static [Argument],
    /// If set, the last argument may be absent; otherwise the client asks for it.
    pub optional: bool,
    /// If set, it is one of the original's commands, which need no slash in a room.
    pub slash_optional: bool,
    /// A line that uses it.
    pub example: &'static str,
}

/// All commands.
pub const COMMANDS: &[CommandSpec] = &[
    spec(Command::Create, &["create"], &["criar"], "/create lobby").takes(&[Argument::Room]).original(),
    spec(Command::Join, &["join", "j"], &["entrar"], "/join lobby").takes(&[Argument::Room]).original(),
    spec(Command::Leave, &["leave", "part"], &["sair"], "/leave").original(),
    spec(Command::Send, &["send", "say"], &["enviar"], "/send @bob just for you").takes(&[Argument::Text]).original(),
    spec(Command::Msg, &["msg", "m", "w"], &["particular"], "/msg bob just for you")
        .takes(&[Argument::User, Argument::Text]),
    spec(Command::Reply, &["reply", "r"], &["responder"], "/reply see you there").takes(&[Argument::Text]),
    spec(Command::Me, &["me"], &["eu"], "/me waves").takes(&[Argument::Text]),
    spec(Command::List, &["list", "rooms"], &["salas", "listar"], "/list").original(),
    spec(Command::Users, &["users", "names", "who"], &["usuários", "usuarios"], "/users")
        .takes(&[Argument::Room])
        .optional()
        .original(),
    spec(Command::History, &["history"], &["histórico", "historico"], "/history 20")
        .takes(&[Argument::Count])
        .optional(),
    spec(Command::Search, &["search", "find"], &["procurar", "buscar"], "/search release").takes(&[Argument::Text]),
    spec(Command::Whoami, &["whoami"], &["quemsou"], "/whoami"),
    spec(Command::Ignore, &["ignore"], &["ignorar"], "/ignore bob").takes(&[Argument::User]).optional(),
    spec(Command::Help, &["help", "h", "?"], &["ajuda"], "/help join")
        .takes(&[Argument::Command])
        .optional()
        .original(),
    spec(Command::Exit, &["exit", "quit", "q"], &["encerrar", "fechar"], "/exit").original(),
];

const fn spec(
    command: Command,
    names: &'static [&'static str],
    portuguese: &'static [&'static str],
    example: &'static str,
) -> CommandSpec {
    CommandSpec { command, names, portuguese, takes: &[], optional: false, slash_optional: false, example }
}

impl CommandSpec {
    const fn takes(self, takes: &'static [Argument]) -> Self {
        Self { takes, ..self }
    }

    const fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    const fn original(self) -> Self {
        Self { slash_optional: true, ..self }
    }

    /// Returns the name under which the command is listed.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or_default()
    }

    /// Returns all names, in every language.
    pub fn all_names(&self) -> impl Iterator<Item = &'static str> {
        self.names.iter().chain(self.portuguese).copied()
    }

    /// Splits the rest of a line into arguments: all but the last are one word. Fewer come out where the line ends early.
    #[must_use]
    pub fn split(&self, rest: &str) -> Vec<String> {
        let mut rest = rest.trim();
        let mut found = Vec::new();
        for (index, argument) in self.takes.iter().enumerate() {
            if rest.is_empty() {
                break;
            }
            let (one, after) = if index + 1 == self.takes.len() { (rest, "") } else { first_word(rest) };
            found.push(if *argument == Argument::User { one.trim_start_matches('@') } else { one }.to_owned());
            rest = after;
        }
        found
    }
}

/// Returns the row of a command.
#[must_use]
pub fn spec_of(command: Command) -> &'static CommandSpec {
    // Every command has its row: a test walks them.
    COMMANDS.iter().find(|spec| spec.command == command).unwrap_or(&COMMANDS[0])
}

/// Returns the row with this name in any language, in capitals or small letters.
#[must_use]
pub fn named(word: &str) -> Option<&'static CommandSpec> {
    let word = word.to_lowercase();
    COMMANDS.iter().find(|spec| spec.all_names().any(|name| name == word))
}

/// The beginning of a message that says what its sender does (XMPP's XEP-0245): clients that do not know it show it as it is.
const ACTION: &str = "/me ";

/// Returns the message that says that the user does this.
#[must_use]
pub fn action(text: &str) -> String {
    format!("{ACTION}{text}")
}

/// Returns what the sender of a message does, if it says so.
#[must_use]
pub fn as_action(message: &str) -> Option<&str> {
    message.strip_prefix(ACTION).filter(|text| !text.trim().is_empty())
}

/// A line, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// Nothing was typed.
    Empty,
    /// A message for the room, or for one user.
    Say {
        /// The only recipient, if there is one.
        to: Option<String>,
        /// The message.
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
        /// The command that is meant, if one is near.
        nearest: Option<&'static str>,
    },
    /// Text while in no room.
    Nowhere,
}

/// The fewest letters of a command without a slash in a room: shorter names are too likely to be words.
const MIN_WORD: usize = 4;

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

/// Returns whether a name that begins a line in a room is certainly meant as the command.
fn needs_no_slash(spec: &CommandSpec, rest: &str) -> bool {
    spec.slash_optional
        && match spec.takes.first() {
            None => rest.is_empty(),
            Some(Argument::Text) => true,
            // `help me` is none.
            Some(Argument::Command) => rest.is_empty() || rest.len() > 2 && named(rest).is_some(),
            Some(_) => !rest.contains(char::is_whitespace),
        }
}

fn command(spec: &'static CommandSpec, word: &str, rest: &str, in_room: bool) -> Line {
    if spec.command == Command::Send && !rest.is_empty() {
        return to_or_all(rest);
    }
    // The Portuguese word says both: out of the room, and where there is none, out of the chat.
    let is_out = spec.command == Command::Leave && !in_room && spec.portuguese.contains(&word.to_lowercase().as_str());
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

/// Returns the first word, and the rest.
fn first_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim())
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
    fn the_table_is_whole_and_unambiguous() {
        let mut names: Vec<_> = COMMANDS.iter().flat_map(CommandSpec::all_names).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all, "a name stands twice");
        for spec in COMMANDS {
            assert_eq!(spec_of(spec.command).name(), spec.name());
            // The example of `send` is text for bob.
            let Line::Command(command, _) = parse(spec.example, true) else { continue };
            assert_eq!(command, spec.command, "{}", spec.example);
        }
    }

    #[test]
    fn commands_are_split_into_what_they_take() {
        assert_eq!(spec_of(Command::Msg).split("@bob  see you"), ["bob", "see you"]);
        assert_eq!(spec_of(Command::Msg).split("bob"), ["bob"]);
        assert_eq!(spec_of(Command::Join).split(" my room "), ["my room"]);
        assert_eq!(spec_of(Command::Leave).split("at once"), [""; 0]);
    }
}
