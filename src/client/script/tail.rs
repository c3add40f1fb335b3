//! `client tail` prints the messages of a room.

use std::io;
use std::os::fd::AsFd as _;

use crossbeam_channel::{Receiver, bounded, select};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use super::super::event::{Event, Message};
use super::super::extras::Extras;
use super::super::locale::Locale;
use super::super::render::Style;
use super::super::threads::{start, stop_signals};
use super::super::view::{SIGNAL_TIMEOUT, View};
use super::{join, report, write};
use crate::program::{Failure, Flag, Options, Subcommand};
use crate::random;

/// The command, for the help.
pub(in crate::client) const COMMAND: Subcommand = Subcommand {
    name: "tail",
    about: "Prints what is said in the room, until a signal.",
    arguments: "",
    flags: &[
        Flag::value("history", "COUNT", Some("0"), "Print up to COUNT earlier messages first."),
        Flag::value("count", "COUNT", None, "End after COUNT messages."),
    ],
    examples: &[
        ("client tail --room ops --json", "for programs"),
        ("client tail --room ops --history 1 --count 1", "the last message"),
    ],
};

/// Prints the messages of the room, until a signal, or until nobody reads the output any more.
///
/// # Errors
/// If the server cannot be reached, or the session ends by itself.
pub(in crate::client) fn tail(options: &Options, locale: &'static Locale, style: Style) -> Result<(), Failure> {
    let earlier: usize = options.get("history")?;
    let left = options.find::<usize>("count")?.unwrap_or(usize::MAX);
    let extras = Extras::open(options)?;
    let stop = stop_signals(false)?;
    let closed = closed_output()?;
    let name = match options.text("user") {
        Some(name) => name.to_owned(),
        None => format!("tail-{}", random::hex::<4>()?),
    };
    let view = join(options, locale, style, extras, &name)?;
    let mut tail = Tail { view, earlier, left };
    let outcome = tail.run(&stop, &closed);
    let _ = tail.view.session.close(SIGNAL_TIMEOUT);
    outcome
}

/// Returns a channel that is disconnected as soon as nobody can read standard output any more, if the system can tell.
fn closed_output() -> Result<Receiver<()>, Failure> {
    start("output", bounded(0), |_sender| {
        let output = io::stdout();
        // Errors and hang-ups are reported without flags.
        let mut descriptors = [PollFd::new(output.as_fd(), PollFlags::empty())];
        while poll(&mut descriptors, PollTimeout::NONE).is_err() {}
    })
}

struct Tail {
    view: View,
    /// The number of earlier messages to print.
    earlier: usize,
    /// The number of messages left to print.
    left: usize,
}

impl Tail {
    fn run(&mut self, stop: &Receiver<Signal>, closed: &Receiver<()>) -> Result<(), Failure> {
        while self.left > 0 {
            select! {
                recv(self.view.events) -> event => match event.unwrap_or(Event::ENDED) {
                    Event::Ended { error } => return Err(self.view.failed(&error)),
                    Event::Joined { room, users, messages } => {
                        let messages = self.earlier(messages);
                        self.print(&Event::Joined { room, users, messages })?;
                    }
                    event => self.print(&event)?,
                },
                recv(stop) -> _ => return Ok(()),
                recv(closed) -> _ => return Ok(()),
            }
        }
        Ok(())
    }

    /// Returns the earlier messages to print. `newest` came with joining. Newer ones come as events.
    fn earlier(&mut self, newest: Vec<Message>) -> Vec<Message> {
        let wanted = std::mem::take(&mut self.earlier);
        let mut messages = newest;
        if wanted > messages.len()
            && let Some(last) = messages.last()
            && let Ok(mut all) = self.view.session.history(usize::MAX)
            && let Some(index) = all.iter().rposition(|message| message == last)
        {
            all.truncate(index + 1);
            messages = all;
        }
        messages.drain(..messages.len().saturating_sub(wanted));
        messages
    }

    /// Prints the lines about an event. If nobody reads the output any more, there is nothing left to print.
    fn print(&mut self, event: &Event) -> Result<(), Failure> {
        let mut shown = self.view.event(event);
        let messages = shown.iter().enumerate().filter(|(_, shown)| shown.is_message);
        if let Some((last, _)) = messages.clone().nth(self.left - 1) {
            shown.truncate(last + 1);
        }
        if let Some(note) = self.view.log(&shown) {
            report(&format!("client: {}", note.text));
        }
        self.left -= shown.iter().filter(|shown| shown.is_message).count();
        match write(&shown) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.left = 0,
            written => written.map_err(|error| Failure::while_doing("cannot write to standard output", error))?,
        }
        Ok(())
    }
}
