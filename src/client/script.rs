//! The commands for scripts, `client send` and `client tail`. Standard output carries messages only, and everything else goes
//! to standard error.

mod send;
mod tail;

use std::io::{self, Write as _};
use std::sync::Arc;

use crossbeam_channel::Receiver;

pub(super) use send::{COMMAND as SEND, send};
pub(super) use tail::{COMMAND as TAIL, tail};

use super::conversation::explain;
use super::event::Event;
use super::finding;
use super::locale::Locale;

use super::render::{Rendered, Renderer, Style};
use super::session::{Session, SessionError};
use super::view::{SIGNAL_TIMEOUT, now};
use crate::program::{Failure, Options};

/// A session in a room.
struct Script {
    session: Session,
    events: Receiver<Event>,
    renderer: Renderer,
    locale: &'static Locale,
}

impl Script {
    /// Registers the user and joins the room of the options.
    fn start(options: &Options, locale: &'static Locale, style: Style, name: &str) -> Result<Self, Failure> {
        let room: String = options.get("room")?;
        let options = &finding::with_binder(options, locale)?;
        let (session, events) = Session::start(super::setup(options, &Arc::default())?)?;
        let script = Self {
            session,
            events,
            renderer: Renderer::new(locale, Style { plain: true, ..style }, name, now()),
            locale,
        };
        script.session.register(name).map_err(|error| script.failed(&error))?;
        if let Err(error) = script.session.join(&room) {
            let _ = script.session.close(SIGNAL_TIMEOUT);
            return Err(script.failed(&error));
        }
        Ok(script)
    }

    fn failed(&self, error: &SessionError) -> Failure {
        Failure::Failed(explain(self.locale, error))
    }
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
