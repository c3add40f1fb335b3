//! English.

use super::{Argument, Command, Locale, figure};
use crate::program::HelpWords;
use crate::rpc::Fault;

/// English.
pub const ENGLISH: Locale = Locale {
    code: "en",
    help: HelpWords::ENGLISH,

    ask_name: "User name: ",
    ask_room: "Room name: ",
    ask_text: "Message: ",
    ask_recipient: "Recipient (empty for all): ",
    ask_user: "User: ",
    ask_paste: |lines| format!("Send these {lines} lines? [y/N] "),
    yes: &["y", "yes"],
    paste_dropped: "Not sent.",

    welcome: |name| format!("Welcome, {name}. All commands: help"),
    where_to: "You are in no room yet. Go to one with: join ROOM (list shows them, create ROOM makes one)",
    joined: |room, others| format!("Joined {room}. Also here: {others}"),
    joined_alone: |room| format!("Joined {room}. Nobody else is here yet."),
    left: |room| format!("Left {room}."),
    created: |room| format!("Room {room} is created. Go there with: join {room}"),
    rooms: |rooms| format!("Rooms: {rooms}"),
    no_rooms: "There are no rooms yet. Make one with: create ROOM",
    users: |users| format!("Users: {users}"),
    no_users: "Nobody is there.",
    no_history: "Nothing has been said yet.",
    whoami: |name, room| match room {
        Some(room) => format!("You are {name}, in {room}."),
        None => format!("You are {name}, in no room."),
    },
    ignored: |name| format!("You will not see what {name} says, until you type /ignore {name} again."),
    unignored: |name| format!("You will see what {name} says again."),
    ignoring: |names| format!("Ignored: {names}"),
    ignoring_nobody: "You ignore nobody.",

    came: |names, _| format!("{names} joined"),
    went: |names, _| format!("{names} left"),
    and_more: |names, more| format!("{names} and {more} more"),
    missed: |count| match count {
        1 => "1 message was dropped by the server before you could read it.".into(),
        _ => format!("{count} messages were dropped by the server before you could read them."),
    },
    private: "private",
    private_to: |name| format!("private to {name}"),
    delivered: "delivered",
    not_sent: |text, why| format!("Not sent: {text} ({why})"),
    unsent: |text| format!("Not sent: {text}"),
    given_back: "      Press Up to get it back.",

    lost: "connection lost",
    retrying: |seconds| format!("trying again in {seconds} s"),
    back: |time, caught_up| match caught_up {
        0 => format!("connected again at {time}"),
        1 => format!("connected again at {time}, 1 message caught up"),
        _ => format!("connected again at {time}, {caught_up} messages caught up"),
    },
    forgotten: |room| {
        format!("the server has forgotten {room}, and what was said before is lost; the room was created again")
    },
    ended: |cause| format!("The session has ended: {cause}"),
    over: "the session is over",

    fault: |fault| match fault.code {
        Fault::NAME_IN_USE => "this name is already in use".into(),
        Fault::NO_SUCH_USER => "there is no such user".into(),
        Fault::NO_SUCH_ROOM => "there is no such room; list shows the rooms, create ROOM makes one".into(),
        Fault::ROOM_EXISTS => "this room exists already; go there with join".into(),
        Fault::NOT_IN_ROOM => "you are not in this room".into(),
        Fault::NO_SUCH_RECIPIENT => "this user is not in the room".into(),
        Fault::NOT_AUTHORISED => "this name belongs to somebody else".into(),
        Fault::TOO_FAST => match figure(&fault.message) {
            Some(seconds) => format!("too fast; try again in {seconds} s"),
            None => "too fast; try again later".into(),
        },
        // What is wrong with a name, and which limit is reached, says the text.
        _ => fault.message.clone(),
    },
    error: |text| format!("Error: {text}"),
    unreachable: |cause| format!("the server cannot be reached ({cause})"),
    nobody_offers: "no chat server is registered with the binder",
    out_of_reach: |server, port| {
        format!(
            "the chat server at {server} serves its own machine only; for others, start it with --listen 0.0.0.0:{port}"
        )
    },
    in_no_room: "you are in no room; go to one with: join ROOM",
    nobody_to_reply: "nobody has written to you privately yet",
    not_a_number: "this is not a number",
    unknown: |word, nearest| match nearest {
        Some(nearest) => format!("There is no command {word}. Did you mean {nearest}?"),
        None => format!("There is no command {word}. All commands: help"),
    },

    help_more: "Anything else is sent to the room; @NAME TEXT to one user alone; //TEXT begins with a slash.",
    example: "Example",
    also: "also",
    command: |verb| match verb {
        Command::Create => "make a room",
        Command::Join => "go to a room, and leave the one before",
        Command::Leave => "leave the room",
        Command::Send => "say something to all, or with @NAME to one user alone",
        Command::Msg => "say something to one user alone",
        Command::Reply => "answer the last private message",
        Command::List => "show the rooms",
        Command::Users => "show who is in a room",
        Command::History => "show what was said, the last 20 messages or as many as you say",
        Command::Whoami => "show your name and room",
        Command::Ignore => "hide what a user says, or show it again",
        Command::Help => "explain the commands, or one of them",
        Command::Exit => "leave the chat",
    },
    takes: |takes| match takes {
        Argument::Room => "ROOM",
        Argument::User => "USER",
        Argument::Text => "TEXT",
        Argument::Count => "COUNT",
        Argument::Command => "COMMAND",
    },

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
