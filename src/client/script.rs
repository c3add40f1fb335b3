//! The commands for scripts, `client send` and `client tail`. Standard output carries messages only, and everything else goes
//! to standard error.

mod send;
mod tail;

use std::io::{self, Write as _};

pub(super) use send::{COMMAND as SEND, send};
pub(super) use tail::{COMMAND as TAIL, tail};

use super::extras::Extras;
use super::finding;
use super::locale::Locale;
use super::render::{Rendered, Style};
use super::view::{SIGNAL_TIMEOUT, View};
use crate::program::{Failure, Options};

/// Starts a session, registers the user, and joins the room of the options.
fn join(options: &Options, locale: &'static Locale, style: Style, extras: Extras, name: &str) -> Result<View, Failure> {
    let room: String = options.get("room")?;
    let options = &finding::with_binder(options, locale)?;
    let mut view = View::start(options, locale, Style { plain: true, ..style }, extras, false)?;
    name.clone_into(&mut view.renderer.name);
    view.session.register(name).map_err(|error| view.failed(&error))?;
    if let Err(error) = view.session.join(&room) {
        let _ = view.session.close(SIGNAL_TIMEOUT);
        return Err(view.failed(&error));
    }
    Ok(view)
}

/// Writes messages to standard output, and everything else to standard error.
///
/// # Errors
/// If standard output is closed.
fn write(shown: &[Rendered]) -> io::Result<()> {
    for Rendered { text, is_message, .. } in shown {
        if *is_message {
            let mut out = io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())?;
        } else {
            report(text);
        }
    }
    Ok(())
}

/// Writes to standard error, even if nobody reads it.
fn report(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
