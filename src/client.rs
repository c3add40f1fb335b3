//! The terminal client: [`event`] is what happens in a chat, the session makes it happen, and a screen shows it.
//!
//! ```text
//! standard input -> command -> session -> api -> the server
//!                                 |
//! screen <- Event <- channel <----+
//! ```

pub mod command;
pub mod event;
pub mod show;
pub mod words;

use crate::program::{Flag, Options, Program};
use words::Words;

/// The program.
pub const PROGRAM: Program = Program {
    name: "client",
    about: "Chats in a terminal; help there shows the commands, man client tells the rest.",
    arguments: "[send TEXT | tail]",
    flags: &[&[
        Flag::value("binder", "HOST:PORT", Some("127.0.0.1:5000"), "The binder that knows the server."),
        Flag::value("server", "HOST:PORT", None, "The server, without a binder."),
        Flag::switch("local", "Start binder and server too, unless they run."),
        Flag::value("user", "NAME", None, "The user name; without it the client asks."),
        Flag::value("room", "ROOM", None, "Go to this room at once."),
        Flag::value("secret-file", "FILE", None, "The secret of the name; without it one is made."),
        Flag::value("lang", "LANG", None, "en or pt; else what the system speaks."),
        Flag::value("color", "WHEN", Some("auto"), "Colours: auto, always or never."),
        Flag::switch("plain", "Plain lines only, for screen readers."),
        Flag::switch("bell", "Ring when somebody calls or writes privately."),
        Flag::switch("json", "Messages as JSON objects, one on each line."),
        // What --local runs in this process is not what the person at the terminal wants to read of.
        Flag::value("log-level", "LEVEL", Some("warn"), "off, error, warn, info, debug or trace."),
    ]],
    examples: &[
        ("client --local", "the whole chat; again in another terminal"),
        ("client send --user bot --room ops \"deployed\"", "sends and ends"),
    ],
    words: |options| language(options).map_or(&words::ENGLISH.help, |words| &words.help),
};

/// The language that the command line and the environment ask for.
fn language(options: &Options) -> Result<&'static Words, &'static str> {
    Words::choose(options.text("lang"), |name| std::env::var(name).ok())
}
