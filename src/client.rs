//! The terminal client: the `session` produces events, and `render` puts them into the words of a [`locale`].
//!
//! ```text
//! terminal, plain -> conversation (line, command) -> view -> session -> api -> the server
//! script ------------------------------------------> view
//!                         view <- render (locale) <- Event <- session
//! ```

#![cfg_attr(not(feature = "terminal"), allow(dead_code, reason = "some of it is for the line editor only"))]

mod api;
mod cluster;
pub mod command;
mod conversation;
mod event;
mod extras;
mod finding;
mod line;
mod local;
pub mod locale;
mod plain;
mod private;
mod render;
mod script;
mod secret;
mod session;
#[cfg(feature = "terminal")]
mod terminal;
mod threads;
mod view;

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::program::{Failure, Flag, Options, Program, allow_descriptors};
use local::Local;
use locale::Locale;
use render::Style;
use secret::Secrets;
use session::{Discovery, SessionConfig};

/// The options that say where the chat is.
const PLACES: &[&str] = &["binder", "server", "local", "share"];

/// The program.
pub const PROGRAM: Program = Program {
    name: "client",
    about: "Chat in a terminal. For scripts: client send --help. More: man chat-client",
    arguments: "[send TEXT | tail]",
    flags: &[&[
        Flag::value("binder", "HOST:PORT", None, "The binder; without it the client looks around."),
        Flag::value("server", "HOST:PORT", None, "The server, without a binder."),
        Flag::switch("local", "Start the chat on this machine, or join it."),
        Flag::switch("share", "As --local, for the whole network."),
        Flag::value("user", "NAME", None, "The user name; without it the client asks."),
        Flag::value("room", "ROOM", None, "Enter this room; create it if there is none."),
        #[cfg(feature = "tls")]
        Flag::value("ca-file", "FILE", None, "The certificates to trust for https."),
        Flag::value("secret-file", "FILE", None, "The secret of the name; without it one is made."),
        Flag::value("lang", "LANG", None, "The language, such as pt; by default from LC_ALL or LANG."),
        Flag::value("color", "WHEN", Some("auto"), "Colours: auto, always or never."),
        Flag::switch("plain", "Plain lines only, for screen readers."),
        Flag::switch("bell", "Ring the bell on mentions and private messages."),
        Flag::value(extras::ON_MENTION, "COMMAND", None, "Run it on mentions and private messages."),
        Flag::value(extras::LOG, "FILE", None, "Add what is shown to FILE, with dates."),
        Flag::switch("json", "Messages as JSON objects, one on each line."),
        // Log lines of the programs that --local starts would disturb the person at the terminal.
        Flag::value("log-level", "LEVEL", Some("warn"), "How much to log, from off to trace."),
    ]],
    commands: &[script::SEND, script::TAIL],
    alternatives: &[PLACES],
    of_features: &[("ca-file", "tls")],
    examples: &[],
    words: |options| {
        // An unknown language is refused in the language of the environment.
        &language(options).unwrap_or_else(|_| Locale::of_environment(|name| std::env::var(name).ok())).help
    },
};

/// Returns the language of the command line, or else of the environment.
fn language(options: &Options) -> Result<&'static Locale, Failure> {
    let Some(wanted) = options.text("lang") else {
        return Ok(Locale::of_environment(|name| std::env::var(name).ok()));
    };
    Locale::find(wanted)
        .ok_or_else(|| Failure::Usage(format!("--lang: the languages are {}", Locale::codes().join(", "))))
}

/// Runs the client.
///
/// # Errors
/// [`Failure::Usage`] if the command line is wrong, [`Failure::Failed`] if the work could not be done.
pub fn run(options: &Options) -> Result<(), Failure> {
    let locale = language(options)?;
    let style = style(options)?;
    let arguments: Vec<_> = options.arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => {}
        ["send", ..] => return script::send(options, locale, style, &options.arguments[1..]),
        ["tail"] => return script::tail(options, locale, style),
        ["tail", ..] => return Err(Failure::Usage("tail takes no arguments".into())),
        [other, ..] => {
            return Err(Failure::Usage(format!("there is no command {other}; the commands are send and tail")));
        }
    }
    // This comes before the terminal is set up, while a person can still answer in lines.
    let options = &finding::with_binder(options, locale)?;
    #[cfg(feature = "terminal")]
    if !style.plain {
        return terminal::run(options, locale, style);
    }
    plain::run(options, locale, Style { plain: true, ..style })
}

/// Returns the style of lines, which is plain where nothing can be redrawn.
fn style(options: &Options) -> Result<Style, Failure> {
    let is_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let json = options.has("json");
    let plain = options.has("plain") || json || is_dumb || !is_terminal;
    let color = match options.text("color") {
        Some("always") => true,
        Some("never") => false,
        Some("auto") | None => !plain && !no_color,
        Some(other) => return Err(Failure::Usage(format!("--color {other:?} must be auto, always or never"))),
    };
    Ok(Style { color, plain, json, bell: options.has("bell"), log: options.has(extras::LOG) })
}

/// Reads from the command line how to find the server. From then on `is_host` is set while the chat server runs in this
/// process.
fn setup(options: &Options, is_host: &Arc<AtomicBool>) -> Result<SessionConfig, Failure> {
    let given: Vec<_> = PLACES.iter().copied().filter(|name| options.has(name)).collect();
    if let [one, other, ..] = given[..]
        && given != ["local", "share"]
    {
        return Err(Failure::Usage(format!("--{one} and --{other} cannot be combined")));
    }
    let locale = language(options)?;
    let secrets = Secrets::find(options.text("secret-file"))?;
    if options.has("local") || options.has("share") {
        allow_descriptors(u64::MAX);
        let mut local = Local::new(options.has("share"), locale);
        // If this fails, the user should hear of it before being asked for a name.
        local.ensure()?;
        is_host.store(local.is_host(), Ordering::Relaxed);
        if options.has("share") && local.is_host() {
            finding::say(&(locale.sharing)(&local.page()));
        }
        let is_host = Arc::clone(is_host);
        let discover = move || {
            let binder = local.ensure();
            is_host.store(local.is_host(), Ordering::Relaxed);
            binder.map(Discovery::Binder)
        };
        return Ok(SessionConfig { secrets, discover: Box::new(discover) });
    }
    finding::trust(options)?;
    let discovery = match finding::place(options, "server", locale)? {
        Some(server) => Discovery::Server(server),
        None => {
            let binder = finding::place(options, "binder", locale)?;
            Discovery::Binder(binder.ok_or_else(|| Failure::Failed(locale.no_chat.into()))?)
        }
    };
    Ok(SessionConfig { secrets, discover: Box::new(move || Ok(discovery.clone())) })
}
