//! Finding the chat without an address: on this machine, or else in the network, where binders announce themselves.

use std::io::{IsTerminal as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::PLACES;
use super::local::{BINDER_PORT, SERVER_PORT};
use super::locale::Locale;
use crate::discovery::{Browser, Found};
use crate::endpoint::Endpoint;
use crate::program::{Failure, Options};
use crate::rpc::{CallError, Client, Value};

/// The time in which binders in the network reply.
const LOOK: Duration = Duration::from_secs(2);
/// The time for a program on a port to identify itself.
const INTRODUCTION: Duration = Duration::from_secs(2);

/// The program that listens on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Occupant {
    /// The one that belongs there.
    Expected,
    /// Another program.
    Other,
    /// Nobody listens.
    Nobody,
}

impl Occupant {
    /// Looks for the program that belongs on `port` of this machine, by a procedure that no other program has, and that changes
    /// nothing.
    pub(super) fn of(port: u16) -> Self {
        let client = Client::new(&here(port).to_string()).with_timeout(INTRODUCTION);
        let reply = match port {
            BINDER_PORT => client.call("lookup_procedure", &["send_message".into()]),
            _ => client.call("list_rooms", &[]),
        };
        match reply {
            // Only a program of ours replies that it is busy.
            Ok(_) | Err(CallError::Busy { .. }) => Self::Expected,
            Err(CallError::NotReached(_)) => Self::Nobody,
            Err(_) => Self::Other,
        }
    }
}

/// Returns the address of a port on this machine.
pub(super) fn here(port: u16) -> Endpoint {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()
}

/// Returns the binders in the network, in the order of their names.
pub(super) fn elsewhere() -> Vec<Found> {
    let mut found = Browser::open().look(LOOK, true);
    found.sort_by(|a, b| (&a.name, &a.endpoint.host).cmp(&(&b.name, &b.endpoint.host)));
    found
}

/// Returns whether a binder knows a chat server.
pub(super) fn has_chat(binder: &Endpoint) -> bool {
    let client = Client::new(&binder.to_string()).with_timeout(INTRODUCTION);
    client.call("lookup_procedure", &["send_message".into()]).is_ok_and(|server| server != Value::Nil)
}

/// Returns those binders that know a chat server. They are asked all at once, since any of them may be slow.
pub(super) fn with_chat(binders: &[Found]) -> Vec<Found> {
    std::thread::scope(|scope| {
        let asked: Vec<_> = binders.iter().map(|binder| (binder, scope.spawn(|| has_chat(&binder.endpoint)))).collect();
        let known =
            asked.into_iter().filter_map(|(binder, asked)| asked.join().is_ok_and(|known| known).then_some(binder));
        known.cloned().collect()
    })
}

/// Returns `options` with a binder: if they do not say where the chat is, the one on this machine, or else one in the network,
/// which a person at a terminal can choose.
///
/// # Errors
/// [`Failure::Failed`] if there is none, or there are several and nobody to ask.
pub(super) fn with_binder(options: &Options, locale: &'static Locale) -> Result<Options, Failure> {
    if PLACES.iter().any(|name| options.has(name)) {
        return Ok(options.clone());
    }
    if Occupant::of(BINDER_PORT) == Occupant::Expected {
        return Ok(options.clone().with("binder", here(BINDER_PORT).to_string()));
    }
    let is_terminal = std::io::stdin().is_terminal();
    if is_terminal {
        say(locale.looking);
    }
    let mut found = elsewhere();
    if found.len() > 1 {
        let chats = with_chat(&found);
        // If no binder knows a chat server, the one that is chosen says so.
        found = if chats.is_empty() { found } else { chats };
    }
    let chosen = match &found[..] {
        [] => return Err(Failure::Failed(locale.no_chat.into())),
        [one] => one,
        several if is_terminal => choose(several, locale)?,
        several => {
            let list: Vec<_> = several.iter().map(|found| found.endpoint.to_string()).collect();
            return Err(Failure::Failed((locale.several_chats)(&list.join(", "))));
        }
    };
    let address = chosen.endpoint.to_string();
    say(&(locale.found_chat)(&chosen.name, &address));
    Ok(options.clone().with("binder", address))
}

/// Returns the address in the option `name`, if it was given: a port may be left out, and it may be a URL.
///
/// # Errors
/// [`Failure::Usage`] if it is no address, or one behind TLS that this build cannot reach.
pub(super) fn place(options: &Options, name: &str, locale: &Locale) -> Result<Option<Endpoint>, Failure> {
    let port = if name == "binder" { BINDER_PORT } else { SERVER_PORT };
    let Some(text) = options.text(name) else { return Ok(None) };
    let usage = |error: &dyn std::fmt::Display| Failure::Usage(format!("--{name} {text:?}: {error}"));
    let endpoint = Endpoint::parse_url(text, port).map_err(|error| usage(&error))?;
    if endpoint.tls && cfg!(not(feature = "tls")) {
        return Err(usage(&(locale.without_tls)(&endpoint.authority(), &endpoint.host)));
    }
    Ok(Some(endpoint))
}

/// Trusts what `--ca-file` says.
///
/// # Errors
/// [`Failure::Failed`] if the file has no certificates.
pub(super) fn trust(options: &Options) -> Result<(), Failure> {
    #[cfg(feature = "tls")]
    if let Some(file) = options.text("ca-file") {
        crate::rpc::tls::trust(file.as_ref())?;
    }
    let _ = options;
    Ok(())
}

/// Standard output is for messages.
pub(super) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Lets the person at the terminal choose; the first with Enter alone.
fn choose<'a>(found: &'a [Found], locale: &Locale) -> Result<&'a Found, Failure> {
    for (number, Found { name, endpoint }) in (1..).zip(found) {
        say(&format!("{number:3}  {name}  {endpoint}"));
    }
    loop {
        let _ = write!(std::io::stderr(), "{}", locale.which_chat);
        let mut line = String::new();
        let size = std::io::stdin().read_line(&mut line);
        if !size.is_ok_and(|size| size > 0) {
            return Err(Failure::Failed(locale.no_chat.into()));
        }
        let number = if line.trim().is_empty() { Some(1) } else { line.trim().parse::<usize>().ok() };
        if let Some(chosen) = number.and_then(|number| found.get(number.checked_sub(1)?)) {
            return Ok(chosen);
        }
    }
}
