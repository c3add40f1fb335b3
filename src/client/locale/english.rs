//! All texts of the client in English. The tables of other languages have the same fields.

use super::{Argument, Command, figure, stunnel};
use crate::program::HelpWords;
use crate::rpc::Fault;

type Text = &'static str;

/// Makes the type of all tables, and the table of English, from one list.
macro_rules! texts {
    ($($name:ident: $kind:ty = $english:expr;)*) => {
        /// The texts of one language. Their arguments are sanitized before.
        #[derive(Debug)]
        pub struct Locale {
            $(#[doc = concat!("`", stringify!($english), "`")] pub $name: $kind,)*
        }

        /// English.
        pub static ENGLISH: Locale = Locale { $($name: $english,)* };
    };
}

texts! {
    // The code for `--lang`.
    code: Text = "en";
    help: HelpWords = HelpWords::ENGLISH;

    looking: Text = "No chat on this machine; looking around in the network.";
    found_chat: fn(&str, &str) -> String = |name, address| format!("Found the chat of {name} at {address}.");
    sharing: fn(&str) -> String = |page| {
        format!("The chat is on this machine. Others in this network join it with client, or in a browser at {page}")
    };
    which_chat: Text = "Which one? [1] ";
    several_chats: fn(&str) -> String =
        |addresses| format!("there are several chats in this network; choose one with --binder: {addresses}");
    no_chat: Text = "no chat found; start one with --local (or --share, for the whole network), or say where it is \
                     with --binder HOST:PORT or --server HOST:PORT";
    without_tls: fn(&str, &str) -> String = |address, host| {
        format!(
            "this client is built without TLS; let stunnel do it, and use 127.0.0.1:9443 instead: {}",
            stunnel(address, host)
        )
    };
    port_taken: fn(u16) -> String = |port| {
        format!(
            "port {port} is in use by another program; stop it, or use a chat elsewhere with --binder \
             HOST:PORT or --server HOST:PORT"
        )
    };
    not_registered: fn(u16) -> String = |port| {
        format!(
            "the chat server on port {port} is not registered with the binder of this machine; reach it with --server \
             127.0.0.1:{port}"
        )
    };
    host_gone: Text = "the machine that shared the chat is gone; searching the network";

    ask_name: Text = "User name: ";
    ask_room: Text = "Room name: ";
    ask_text: Text = "Message: ";
    ask_recipient: Text = "Recipient (empty for all): ";
    ask_user: Text = "User: ";
    ask_paste: fn(usize) -> String = |lines| format!("Send these {lines} lines? [y/N] ");
    ask_create: fn(&str) -> String =
        |room| format!("Create a room named \"{room}\"? With n, your line is sent as a message. [y/n] ");
    // In small letters.
    yes: &'static [Text] = &["y", "yes"];
    no: &'static [Text] = &["n", "no"];
    paste_dropped: Text = "Not sent.";

    welcome: fn(&str) -> String = |name| format!("Welcome, {name}. Type help to see all commands.");
    where_to: Text = "You are in no room yet. Type join ROOM to enter one, list to see them, create ROOM to make one.";
    joined: fn(&str, &str) -> String = |room, others| format!("Joined {room}. Also here: {others}");
    joined_alone: fn(&str) -> String = |room| format!("Joined {room}. Nobody else is here yet.");
    left: fn(&str) -> String = |room| format!("Left {room}.");
    created: fn(&str) -> String =
        |room| format!("Room {room} created. Press Enter to join it, or type join {room} later.");
    created_only: fn(&str) -> String = |room| format!("Room {room} created. Type join {room} to enter it.");
    created_to_join: fn(&str) -> String = |room| format!("There was no room {room} yet: it has been created.");
    rooms: fn(&str) -> String = |rooms| format!("Rooms: {rooms}");
    no_rooms: Text = "There are no rooms yet. Type create ROOM to make one.";
    users: fn(&str) -> String = |users| format!("Users: {users}");
    no_users: Text = "Nobody is there.";
    no_history: Text = "There are no messages yet.";
    found: fn(&str, usize) -> String = |text, count| match count {
        0 => format!("No message contains \"{text}\"."),
        1 => format!("1 message contains \"{text}\":"),
        _ => format!("{count} messages contain \"{text}\":"),
    };
    whoami: fn(&str, Option<&str>) -> String = |name, room| match room {
        Some(room) => format!("You are {name}, in {room}."),
        None => format!("You are {name}, in no room."),
    };
    ignored: fn(&str) -> String =
        |name| format!("Messages from {name} are hidden. Type /ignore {name} again to show them.");
    unignored: fn(&str) -> String = |name| format!("Messages from {name} are shown again.");
    ignoring: fn(&str) -> String = |names| format!("Ignored: {names}");
    ignoring_nobody: Text = "You are not ignoring anybody.";

    // The second argument is set for several names, which makes no difference in English.
    came: fn(&str, bool) -> String = |names, _| format!("{names} joined");
    went: fn(&str, bool) -> String = |names, _| format!("{names} left");
    and_more: fn(&str, usize) -> String = |names, more| format!("{names} and {more} more");
    missed: fn(u64) -> String = |count| match count {
        1 => "1 message was dropped by the server before you could read it.".into(),
        _ => format!("{count} messages were dropped by the server before you could read them."),
    };
    private: Text = "private";
    private_to: fn(&str) -> String = |name| format!("private to {name}");
    mentions_you: Text = "mentions you";
    sent: fn(Option<&str>) -> String = |to| match to {
        Some(to) => format!("sent to {to}"),
        None => "sent".into(),
    };
    refused: fn(&str, &str) -> String = |text, why| format!("Not sent: {text} ({why})");
    unsent: fn(&str) -> String = |text| format!("Not sent: {text}");
    unsent_count: fn(usize) -> String = |count| match count {
        1 => "1 message was not sent".into(),
        _ => format!("{count} messages were not sent"),
    };
    given_back: Text = "      Press Up to edit and send it again.";
    new_since: fn(&str) -> String = |time| format!("new since {time}");
    new: Text = "new";

    line: fn(usize, &str) -> String = |number, text| format!("line {number}: {text}");
    no_reply: fn(u64) -> String = |seconds| format!("the server did not reply within {seconds} seconds");
    stopped: fn(usize) -> String = |lines| format!("stopped by a signal after {lines} messages");
    line_too_long: fn(usize) -> String = |bytes| format!("the line has more than {bytes} bytes");
    not_utf8: Text = "the input is not all UTF-8; invalid bytes were replaced by \u{fffd}";
    addressed: Text = "the text begins with @; use --to NAME for one user, or --all for the whole room";
    progress: fn(usize, Option<u32>) -> String = |lines, rate| match rate {
        Some(rate) => format!("{lines} lines sent; the server takes {rate} a second"),
        None => format!("{lines} lines sent"),
    };

    lost: Text = "connection lost";
    retrying: fn(u64) -> String = |seconds| format!("trying again in {seconds} s");
    back: fn(&str, usize) -> String = |time, caught_up| match caught_up {
        0 => format!("reconnected at {time}"),
        1 => format!("reconnected at {time}, 1 message received meanwhile"),
        _ => format!("reconnected at {time}, {caught_up} messages received meanwhile"),
    };
    forgotten: fn(&str) -> String =
        |room| format!("the server has lost the messages of {room}; the room has been created again");
    no_log: fn(&str) -> String = |cause| format!("Nothing more is written to the log: {cause}");
    over: Text = "the session has ended";
    press_again: Text = "Press Ctrl-C again within 2 seconds to leave.";
    press_again_host: fn(&str, bool) -> String = |others, _| {
        format!(
            "This client runs the chat, and {others} would be cut off. Press Ctrl-C again within 2 seconds to leave."
        )
    };

    // The refusals of a server; see [`Locale::refusal`].
    fault: fn(&Fault) -> String = |fault| match fault.code {
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
    };
    // Texts of servers, of the system and of the command line, and how they read in this language; see
    // [`Locale::translated`].
    translations: &'static [(Text, Text)] = &[
        ("creating a room requires {}", "creating a room requires {}"),
        ("not reached: {}", "{}"),
        ("no answer: {}", "no reply: {}"),
        ("the binder at {}: {}", "the binder at {}: {}"),
        ("the server at {}: {}", "the server at {}: {}"),
        ("Connection refused (os error {})", "nothing is listening there"),
        ("No route to host (os error {})", "that machine cannot be reached"),
        ("Network is unreachable (os error {})", "there is no network"),
        ("connection timed out", "the machine does not answer"),
        ("Connection timed out (os error {})", "the machine does not answer"),
        ("failed to lookup address information: {}", "no machine has this name"),
    ];
    error: fn(&str) -> String = |text| format!("Error: {text}");
    unreachable: fn(&str) -> String = |cause| format!("the server cannot be reached ({cause})");
    nobody_offers: Text = "no chat server is registered with the binder";
    out_of_reach: fn(&str, u16) -> String = |server, port| {
        format!(
            "the chat server at {server} serves its own machine only; for others, start it with --listen 0.0.0.0:{port}"
        )
    };
    not_a_server: fn(&str) -> String = |address| match address {
        "" => "the binder gave an address that is not a chat server's".into(),
        _ => format!("{address} is not a chat server; if it is a binder, use --binder {address}"),
    };
    not_a_binder: fn(&str) -> String =
        |address| format!("{address} is not a binder; if it is a chat server, use --server {address}");
    no_name: Text = "there is no user name; give one with --user";
    in_no_room: Text = "you are in no room; type join ROOM to enter one";
    nobody_to_reply: Text = "nobody has sent you a private message yet";
    not_a_number: Text = "this is not a number";
    unknown: fn(&str, Option<&str>) -> String = |word, nearest| match nearest {
        Some(nearest) => format!("There is no command {word}. Did you mean {nearest}?"),
        None => format!("There is no command {word}. Type help to see all commands."),
    };

    help_more: Text = "Anything else is sent to the room; @NAME TEXT to one user alone; //TEXT begins with a slash.";
    example: Text = "Example";
    also: Text = "Also";
    // The names of a command, the first one for lists, and what it does.
    command: fn(Command) -> (&'static [Text], Text) = |command| match command {
        Command::Create => (&["create"], "make a room"),
        Command::Join => (&["join", "j"], "enter a room and leave the one before"),
        Command::Leave => (&["leave", "part"], "leave the room"),
        Command::Send => (&["send", "say"], "send a message to all, or with @NAME to one user alone"),
        Command::Msg => (&["msg", "m", "w"], "send a message to one user alone"),
        Command::Reply => (&["reply", "r"], "reply to the last private message"),
        Command::Me => (&["me"], "say what you are doing"),
        Command::List => (&["list", "rooms"], "list the rooms"),
        Command::Users => (&["users", "names", "who"], "list the users in a room"),
        Command::History => (&["history"], "show the last COUNT messages (default 20)"),
        Command::Search => (&["search", "find"], "show the kept messages that contain TEXT"),
        Command::Whoami => (&["whoami"], "show your name and room"),
        Command::Ignore => (&["ignore"], "hide the messages of a user, or show them again"),
        Command::Help => (&["help", "h", "?"], "explain the commands, or one of them"),
        Command::Exit => (&["exit", "quit", "q"], "leave the chat"),
    };
    takes: fn(Argument) -> Text = |argument| match argument {
        Argument::Room => "ROOM",
        Argument::User => "USER",
        Argument::Text => "TEXT",
        Argument::Count => "COUNT",
        Argument::Command => "COMMAND",
    };

    date: fn(&str, u32, &str, i32) -> String = |weekday, day, month, year| format!("{weekday}, {day} {month} {year}");
    weekdays: [Text; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    months: [Text; 12] = [
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
    ];
}
