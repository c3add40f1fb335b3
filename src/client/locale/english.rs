//! English.

use super::{Argument, Command, Locale, figure};
use crate::program::HelpWords;
use crate::rpc::Fault;

/// English.
pub const ENGLISH: Locale = Locale {
    code: "en",
    help: HelpWords::ENGLISH,
    finding: &super::finding::ENGLISH,

    ask_name: "User name: ",
    ask_room: "Room name: ",
    ask_text: "Message: ",
    ask_recipient: "Recipient (empty for all): ",
    ask_user: "User: ",
    ask_paste: |lines| format!("Send these {lines} lines? [y/N] "),
    ask_create: |room| format!("Create a room named \"{room}\"? With n, your line is sent as a message. [y/n] "),
    yes: &["y", "yes"],
    no: &["n", "no"],
    paste_dropped: "Not sent.",

    welcome: |name| format!("Welcome, {name}. Type help to see all commands."),
    where_to: "You are in no room yet. Type join ROOM to enter one, list to see them, create ROOM to make one.",
    joined: |room, others| format!("Joined {room}. Also here: {others}"),
    joined_alone: |room| format!("Joined {room}. Nobody else is here yet."),
    left: |room| format!("Left {room}."),
    created: |room| format!("Room {room} created. Press Enter to join it, or type join {room} later."),
    created_only: |room| format!("Room {room} created. Type join {room} to enter it."),
    created_to_join: |room| format!("There was no room {room} yet: it has been created."),
    rooms: |rooms| format!("Rooms: {rooms}"),
    no_rooms: "There are no rooms yet. Type create ROOM to make one.",
    users: |users| format!("Users: {users}"),
    no_users: "Nobody is there.",
    no_history: "There are no messages yet.",
    found: |text, count| match count {
        0 => format!("No message contains \"{text}\"."),
        1 => format!("1 message contains \"{text}\":"),
        _ => format!("{count} messages contain \"{text}\":"),
    },
    whoami: |name, room| match room {
        Some(room) => format!("You are {name}, in {room}."),
        None => format!("You are {name}, in no room."),
    },
    ignored: |name| format!("Messages from {name} are hidden. Type /ignore {name} again to show them."),
    unignored: |name| format!("Messages from {name} are shown again."),
    ignoring: |names| format!("Ignored: {names}"),
    ignoring_nobody: "You are not ignoring anybody.",

    came: |names, _| format!("{names} joined"),
    went: |names, _| format!("{names} left"),
    and_more: |names, more| format!("{names} and {more} more"),
    missed: |count| match count {
        1 => "1 message was dropped by the server before you could read it.".into(),
        _ => format!("{count} messages were dropped by the server before you could read them."),
    },
    private: "private",
    private_to: |name| format!("private to {name}"),
    mentions_you: "mentions you",
    sent: |to| match to {
        Some(to) => format!("sent to {to}"),
        None => "sent".into(),
    },
    refused: |text, why| format!("Not sent: {text} ({why})"),
    unsent: |text| format!("Not sent: {text}"),
    unsent_count: |count| match count {
        1 => "1 message was not sent".into(),
        _ => format!("{count} messages were not sent"),
    },
    given_back: "      Press Up to edit and send it again.",
    new_since: |time| format!("new since {time}"),
    new: "new",

    line: |number, text| format!("line {number}: {text}"),
    no_reply: |seconds| format!("the server did not reply within {seconds} seconds"),
    stopped: |lines| format!("stopped by a signal after {lines} messages"),
    line_too_long: |bytes| format!("the line has more than {bytes} bytes"),
    not_utf8: "not all of the input is UTF-8; what is not was replaced by \u{fffd}",
    addressed: "the text begins with @; use --to NAME for one user, or --all for the whole room",
    progress: |lines, rate| match rate {
        Some(rate) => format!("{lines} lines sent; the server takes {rate} a second"),
        None => format!("{lines} lines sent"),
    },

    lost: "connection lost",
    retrying: |seconds| format!("trying again in {seconds} s"),
    back: |time, caught_up| match caught_up {
        0 => format!("reconnected at {time}"),
        1 => format!("reconnected at {time}, 1 message received meanwhile"),
        _ => format!("reconnected at {time}, {caught_up} messages received meanwhile"),
    },
    forgotten: |room| format!("the server has lost the messages of {room}; the room has been created again"),
    ended: |cause| format!("The session has ended: {cause}"),
    no_log: |cause| format!("Nothing more is written to the log: {cause}"),
    over: "the session has ended",
    press_again: "Press Ctrl-C again within 2 seconds to leave.",
    press_again_host: |others, _| {
        format!(
            "This client runs the chat, and {others} would be cut off. Press Ctrl-C again within 2 seconds to leave."
        )
    },

    fault: |fault| match fault.code {
        Fault::NAME_IN_USE => "this name is already in use".into(),
        Fault::NO_SUCH_USER => "there is no such user".into(),
        Fault::NO_SUCH_ROOM => "there is no such room; type list to see the rooms, create ROOM to make one".into(),
        Fault::ROOM_EXISTS => "this room already exists; type join to enter it".into(),
        Fault::NOT_IN_ROOM => "you are not in this room".into(),
        Fault::NO_SUCH_RECIPIENT => "this user is not in the room".into(),
        Fault::NOT_AUTHORISED => {
            ENGLISH.known(&fault.message).unwrap_or_else(|| "this name belongs to somebody else".into())
        }
        Fault::TOO_FAST => match figure(&fault.message) {
            Some(seconds) => format!("too fast; try again in {seconds} s"),
            None => "too fast; try again later".into(),
        },
        // The text says which limit is reached, or what is wrong with a name.
        _ => ENGLISH.translated(&fault.message),
    },
    translations: &[
        ("creating a room requires {}", "creating a room requires {}"),
        ("not reached: {}", "{}"),
        ("no answer: {}", "no reply: {}"),
        ("the binder at {}: {}", "the binder at {}: {}"),
        ("the server at {}: {}", "the server at {}: {}"),
        ("Connection refused (os error {})", "nothing is listening there"),
        ("No route to host (os error {})", "there is no way to that machine"),
        ("Network is unreachable (os error {})", "there is no network"),
        ("connection timed out", "the machine does not answer"),
        ("Connection timed out (os error {})", "the machine does not answer"),
        ("failed to lookup address information: {}", "there is no machine of this name"),
    ],
    error: |text| format!("Error: {text}"),
    unreachable: |cause| format!("the server cannot be reached ({cause})"),
    nobody_offers: "no chat server is registered with the binder",
    out_of_reach: |server, port| {
        format!(
            "the chat server at {server} serves its own machine only; for others, start it with --listen 0.0.0.0:{port}"
        )
    },
    not_a_server: |address| match address {
        "" => "the binder gave an address that is not a chat server's".into(),
        _ => format!("{address} is not a chat server; if it is a binder, use --binder {address}"),
    },
    no_name: "there is no user name; give one with --user",
    in_no_room: "you are in no room; type join ROOM to enter one",
    nobody_to_reply: "nobody has sent you a private message yet",
    not_a_number: "this is not a number",
    unknown: |word, nearest| match nearest {
        Some(nearest) => format!("There is no command {word}. Did you mean {nearest}?"),
        None => format!("There is no command {word}. Type help to see all commands."),
    },

    help_more: "Anything else is sent to the room; @NAME TEXT to one user alone; //TEXT begins with a slash.",
    example: "Example",
    also: "Also",
    command: |command| match command {
        Command::Create => "make a room",
        Command::Join => "enter a room and leave the one before",
        Command::Leave => "leave the room",
        Command::Send => "send a message to all, or with @NAME to one user alone",
        Command::Msg => "send a message to one user alone",
        Command::Reply => "reply to the last private message",
        Command::Me => "say what you are doing",
        Command::List => "list the rooms",
        Command::Users => "list the users in a room",
        Command::History => "show the last COUNT messages (default 20)",
        Command::Search => "show the kept messages that contain TEXT",
        Command::Whoami => "show your name and room",
        Command::Ignore => "hide the messages of a user, or show them again",
        Command::Help => "explain the commands, or one of them",
        Command::Exit => "leave the chat",
    },
    takes: |argument| match argument {
        Argument::Room => "ROOM",
        Argument::User => "USER",
        Argument::Text => "TEXT",
        Argument::Count => "COUNT",
        Argument::Command => "COMMAND",
    },
    names: |spec| spec.names,

    date: |weekday, day, month, year| format!("{weekday}, {day} {month} {year}"),
    weekdays: ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
    months: [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
};
