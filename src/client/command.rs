//! The commands. One row for each drives parsing, completion, help and the manual. Every [language](super::locale) has names
//! of its own for them, and all names work in all languages.

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
    spec(Command::Create, "/create lobby").takes(&[Argument::Room]).original(),
    spec(Command::Join, "/join lobby").takes(&[Argument::Room]).original(),
    spec(Command::Leave, "/leave").original(),
    spec(Command::Send, "/send @bob just for you").takes(&[Argument::Text]).original(),
    spec(Command::Msg, "/msg bob just for you").takes(&[Argument::User, Argument::Text]),
    spec(Command::Reply, "/reply see you there").takes(&[Argument::Text]),
    spec(Command::Me, "/me waves").takes(&[Argument::Text]),
    spec(Command::List, "/list").original(),
    spec(Command::Users, "/users").takes(&[Argument::Room]).optional().original(),
    spec(Command::History, "/history 20").takes(&[Argument::Count]).optional(),
    spec(Command::Search, "/search release").takes(&[Argument::Text]),
    spec(Command::Whoami, "/whoami"),
    spec(Command::Ignore, "/ignore bob").takes(&[Argument::User]).optional(),
    spec(Command::Help, "/help join").takes(&[Argument::Command]).optional().original(),
    spec(Command::Exit, "/exit").original(),
];

const fn spec(command: Command, example: &'static str) -> CommandSpec {
    CommandSpec { command, takes: &[], optional: false, slash_optional: false, example }
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

    /// Splits the rest of a line into arguments, all but the last of which are one word. Returns fewer if the line ends early.
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

/// Returns the first word, and the rest.
pub(super) fn first_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim())
}

/// Begins a message about an action of its sender (XMPP's XEP-0245). Clients that do not know it show it as it is.
const ACTION: &str = "/me ";

/// Returns the message about an action.
pub(super) fn action(text: &str) -> String {
    format!("{ACTION}{text}")
}

/// Returns the action that a message is about, if it is about one.
pub(super) fn as_action(message: &str) -> Option<&str> {
    message.strip_prefix(ACTION).filter(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_split_into_what_they_take() {
        assert_eq!(spec_of(Command::Msg).split("@bob  see you"), ["bob", "see you"]);
        assert_eq!(spec_of(Command::Msg).split("bob"), ["bob"]);
        assert_eq!(spec_of(Command::Join).split(" my room "), ["my room"]);
        assert_eq!(spec_of(Command::Leave).split("at once"), [""; 0]);
    }
}
