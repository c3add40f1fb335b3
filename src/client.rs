//! The terminal client: [`event`] is what happens in a chat, the [`session`] makes it happen, and a screen shows it.
//!
//! ```text
//! standard input -> command -> session -> api -> the server
//!                                 |
//! screen <- Event <- channel <----+
//! ```

pub mod api;
pub mod event;
pub mod line;
pub mod local;
pub mod secret;
pub mod session;

use crate::program::{Failure, Flag, Options};
use local::Local;
use secret::Secrets;
use session::{Place, Setup};

/// The client's options.
pub const FLAGS: &[&[Flag]] = &[&[
    Flag::value("binder", "HOST:PORT", Some("127.0.0.1:5000"), "The binder to look the server up at."),
    Flag::value("server", "HOST:PORT", None, "The server, without a binder."),
    Flag::switch("local", "Run binder and server in this process too, unless they run on this machine already."),
    Flag::value("user", "NAME", None, "The user name; without it the client asks."),
    Flag::value(
        "secret-file",
        "FILE",
        None,
        "The secret that proves the user name; without it, and without the variable CHAT_SECRET, the client makes one.",
    ),
    // What --local runs in this process is not what the person at the terminal wants to read of.
    Flag::value("log-level", "LEVEL", Some("warn"), "How much to log: off, error, warn, info, debug or trace."),
]];

/// Reads from the command line how to find the server.
///
/// # Errors
/// [`Failure::Usage`] for what is wrong in it, [`Failure::Failed`] for a secret that cannot be read.
pub fn setup(options: &Options) -> Result<Setup, Failure> {
    let given: Vec<_> = ["binder", "server", "local"].into_iter().filter(|name| options.has(name)).collect();
    if let [one, other, ..] = given[..] {
        return Err(Failure::Usage(format!("--{one} and --{other} exclude each other")));
    }
    let secrets = Secrets::find(options.text("secret-file"))?;
    if options.has("local") {
        let mut local = Local::default();
        return Ok(Setup { place: Place::Binder(Local::binder()), secrets, prepare: Box::new(move || local.ensure()) });
    }
    let place = match options.find("server")? {
        Some(server) => Place::Server(server),
        None => Place::Binder(options.get("binder")?),
    };
    Ok(Setup { place, secrets, prepare: Box::new(|| Ok(())) })
}
