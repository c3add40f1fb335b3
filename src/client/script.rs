//! For scripts: `client send` and `client tail`. Standard output carries messages only, everything else goes to standard
//! error.

use std::io::Write as _;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, never, select};

use super::conversation::{enter, explain};
use super::event::{DraftId, Event};
use super::locale::Locale;
use super::plain::{SIGNAL_TIMEOUT, now, when};
use super::render::{Rendered, Renderer, Style, sanitized};
use super::session::Session;
use crate::program::{self, Failure, Options};
use crate::random;

/// How long `send` tries.
const SENDING: Duration = Duration::from_secs(30);

/// Sends `text`, or without one each line of standard input, and ends: well only if the server has all of it.
///
/// # Errors
/// When the server cannot be reached, refuses something, or does not answer in time.
pub(super) fn send(options: &Options, locale: &'static Locale, style: Style, text: &[String]) -> Result<(), Failure> {
    let name: String = options.get("user")?;
    let texts = match text {
        [] => std::io::stdin()
            .lines()
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Failure::while_doing("cannot read standard input", error))?,
        words => vec![words.join(" ")],
    };
    let mut script = Script::start(options, locale, style, &name)?;
    let mut open: Vec<DraftId> = Vec::new();
    for text in texts.iter().filter(|text| !text.trim().is_empty()) {
        let draft = script.renderer.typed(text, None);
        open.push(draft);
        script.session.send(draft, text, None);
    }
    let deadline = Instant::now() + SENDING;
    let mut outcome = Ok(());
    while !open.is_empty() && outcome.is_ok() {
        let Ok(event) = script.events.recv_deadline(deadline) else {
            outcome = Err(Failure::Failed(format!("no answer within {} seconds", SENDING.as_secs())));
            break;
        };
        match &event {
            Event::Confirmed { draft } => open.retain(|open| open != draft),
            Event::Refused { fault, .. } => outcome = Err(Failure::Failed(locale.refusal(fault))),
            Event::Ended { cause } => outcome = Err(Failure::Failed(sanitized(cause))),
            // What others say meanwhile is not what the script is for, and the room is known.
            Event::Joined { .. } => {
                script.renderer.event(&event, now());
                continue;
            }
            _ => continue,
        }
        let shown = script.renderer.event(&event, now());
        if outcome.is_ok() && style.json {
            script.write(&shown)?;
        }
    }
    let _ = script.session.close(SIGNAL_TIMEOUT);
    outcome
}

/// Prints what is said in the room, until a signal.
///
/// # Errors
/// When the server cannot be reached, or the session ends by itself.
pub(super) fn tail(options: &Options, locale: &'static Locale, style: Style) -> Result<(), Failure> {
    let stop = when(program::on_stop_signal()?)?;
    let name = match options.text("user") {
        Some(name) => name.to_owned(),
        None => format!("tail-{}", random::hex::<4>()?),
    };
    let mut script = Script::start(options, locale, style, &name)?;
    let outcome = loop {
        select! {
            recv(script.events) -> event => match event {
                Ok(Event::Ended { cause }) => break Err(Failure::Failed(sanitized(&cause))),
                Ok(event) => {
                    let shown = match event {
                        // What was said before has its own command.
                        Event::Joined { room, users, .. } => {
                            script.renderer.event(&Event::Joined { room, users, messages: Vec::new() }, now())
                        }
                        event => script.renderer.event(&event, now()),
                    };
                    if let Err(failure) = script.write(&shown) {
                        break Err(failure);
                    }
                }
                Err(_) => script.events = never(),
            },
            recv(stop) -> _ => break Ok(()),
        }
    };
    let _ = script.session.close(SIGNAL_TIMEOUT);
    outcome
}

struct Script {
    session: Session,
    events: Receiver<Event>,
    renderer: Renderer,
}

impl Script {
    /// Registers and goes to the room.
    fn start(options: &Options, locale: &'static Locale, style: Style, name: &str) -> Result<Self, Failure> {
        let room: String = options.get("room")?;
        let (session, events) = Session::start(super::setup(options)?)?;
        let failed = |error| Failure::Failed(explain(locale, &error));
        session.register(name).map_err(failed)?;
        if let Err(error) = enter(&session, &room) {
            let _ = session.close(SIGNAL_TIMEOUT);
            return Err(failed(error));
        }
        let renderer = Renderer::new(locale, Style { plain: true, ..style }, name, now());
        Ok(Self { session, events, renderer })
    }

    fn write(&self, shown: &[Rendered]) -> Result<(), Failure> {
        for Rendered { text, is_message } in shown {
            if *is_message {
                program::print(text)?;
            } else {
                // Nobody may be reading the reports.
                let _ = std::io::stderr().lock().write_all(text.as_bytes());
            }
        }
        Ok(())
    }
}
