//! The plain line mode: commands line by line, nothing is ever redrawn. With standard input not a terminal, standard output
//! carries messages only; everything else goes to standard error.

use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded, never, select, unbounded};

use super::event::{Event, Message};
use super::session::{Session, SessionError};
use crate::program::{self, Failure, Options};
use crate::text::Harmless;

/// How long the end of input waits for what was typed to be sent.
const AT_END_OF_INPUT: Duration = Duration::from_secs(15);
/// How long a signal waits for it.
const AT_SIGNAL: Duration = Duration::from_millis(500);

const HELP: &str = "\
create [ROOM]          create a room
join [ROOM]            join a room, and leave the one before
send [TEXT]            send to everybody in the room
send @USER TEXT        send to one user in the room
list                   the rooms
users [ROOM]           who is there
leave                  leave the room
exit                   leave the chat
A / before a command is fine too.";

/// Runs the client until the end of input, `exit`, or a signal.
///
/// # Errors
/// [`Failure::Failed`] when the server cannot be reached, or there is something that could not be sent.
pub fn run(options: &Options) -> Result<(), Failure> {
    let stopped = program::on_stop_signal()?;
    let (session, events) = Session::start(super::setup(options)?)?;
    let mut console = Console {
        session,
        events,
        lines: read_lines()?,
        stop: when(stopped)?,
        is_terminal: std::io::stdin().is_terminal(),
        is_prompted: false,
        end: None,
        refused: 0,
    };
    if console.register(options.text("user"))? {
        while let Some(line) = console.line("> ") {
            if !console.command(&line) {
                break;
            }
        }
    }
    console.close()
}

/// The lines of standard input; disconnected at its end.
fn read_lines() -> Result<Receiver<String>, Failure> {
    let (sender, lines) = bounded(0);
    let read = move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    };
    crate::rpc::spawn("input", read).map_err(|error| Failure::while_doing("cannot start", error))?;
    Ok(lines)
}

/// Disconnected once `wait` returns.
fn when(wait: impl FnOnce() + Send + 'static) -> Result<Receiver<()>, Failure> {
    let (sender, receiver) = unbounded();
    let wait = move || {
        wait();
        drop(sender);
    };
    crate::rpc::spawn("signals", wait).map_err(|error| Failure::while_doing("cannot start", error))?;
    Ok(receiver)
}

/// Why there are no more lines.
enum End {
    OfInput,
    Signal,
    Session(String),
}

struct Console {
    session: Session,
    events: Receiver<Event>,
    lines: Receiver<String>,
    stop: Receiver<()>,
    is_terminal: bool,
    /// Whether the line that the cursor is in begins with a prompt.
    is_prompted: bool,
    end: Option<End>,
    /// Messages that the server refused.
    refused: usize,
}

impl Console {
    /// Registers `given`, or whatever the user types until a name is accepted. Answers whether there is a user.
    fn register(&mut self, given: Option<&str>) -> Result<bool, Failure> {
        let mut given = given.map(str::to_owned);
        loop {
            let is_given = given.is_some();
            let Some(name) = given.take().or_else(|| self.line("Username: ")) else {
                return if self.is_terminal { Ok(false) } else { Err(Failure::Failed("no user name".into())) };
            };
            match self.session.register(name.trim()) {
                Ok(()) => {
                    self.say(format_args!("Welcome, {}. \"help\" shows the commands.", Harmless(name.trim())));
                    return Ok(true);
                }
                // Without a terminal the next line is not an answer to this.
                Err(error @ SessionError::Refused(_)) if self.is_terminal || !is_given => self.fail(&error),
                Err(error) => return Err(Failure::Failed(Harmless(&error.to_string()).to_string())),
            }
        }
    }

    /// The next line; until it comes, what happens is shown.
    fn line(&mut self, prompt: &str) -> Option<String> {
        if self.end.is_some() {
            return None;
        }
        self.prompt(prompt);
        loop {
            select! {
                recv(self.events) -> event => match event {
                    Ok(Event::Ended { cause }) => {
                        self.end = Some(End::Session(cause));
                        return None;
                    }
                    Ok(Event::Confirmed { .. }) => {}
                    Ok(event) => {
                        self.show(event);
                        self.prompt(prompt);
                    }
                    Err(_) => self.events = never(),
                },
                recv(self.lines) -> line => {
                    self.is_prompted = false;
                    if line.is_err() {
                        self.end = Some(End::OfInput);
                    }
                    return line.ok();
                }
                recv(self.stop) -> _ => {
                    self.end = Some(End::Signal);
                    return None;
                }
            }
        }
    }

    /// What follows a command, or else an answer to the question.
    fn need(&mut self, given: &str, question: &str) -> Option<String> {
        if given.is_empty() { self.line(question).map(|line| line.trim().to_owned()) } else { Some(given.to_owned()) }
    }

    /// Answers whether to go on.
    fn command(&mut self, line: &str) -> bool {
        let line = line.trim();
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        let outcome = match word.strip_prefix('/').unwrap_or(word) {
            "" => Ok(()),
            "create" => {
                let Some(room) = self.need(rest, "Room name: ") else { return false };
                self.session.create_room(&room).map(|()| self.say(format_args!("Created {}.", Harmless(&room))))
            }
            "join" => {
                let Some(room) = self.need(rest, "Room name: ") else { return false };
                self.session.join(&room)
            }
            "leave" => self.session.leave(),
            "send" => return self.send(rest),
            "list" => self.session.rooms().map(|rooms| self.say(format_args!("Rooms: {}", list(&rooms)))),
            "users" => {
                let room = Some(rest).filter(|room| !room.is_empty());
                self.session.users(room).map(|users| self.say(format_args!("Users: {}", list(&users))))
            }
            "help" => {
                self.say(HELP);
                Ok(())
            }
            "exit" => return false,
            other => {
                self.say(format_args!("Unknown command: {}; \"help\" shows the commands.", Harmless(other)));
                Ok(())
            }
        };
        if let Err(error) = outcome {
            self.fail(&error);
        }
        true
    }

    fn send(&mut self, given: &str) -> bool {
        if given.is_empty() {
            let Some(text) = self.line("Message: ") else { return false };
            let Some(recipient) = self.line("Recipient (empty for all): ") else { return false };
            let recipient = Some(recipient.trim()).filter(|recipient| !recipient.is_empty());
            self.session.send(&text, recipient);
        } else {
            let private = given.strip_prefix('@').and_then(|rest| rest.split_once(char::is_whitespace));
            match private {
                Some((recipient, text)) => self.session.send(text.trim_start(), Some(recipient)),
                None => self.session.send(given, None),
            };
        }
        true
    }

    fn show(&mut self, event: Event) {
        match event {
            Event::Joined { room, users, messages } => {
                self.say(format_args!("Joined {}, users: {}", Harmless(&room), list(&users)));
                messages.iter().for_each(|message| self.message(message));
            }
            Event::Left { room } => self.say(format_args!("Left {}.", Harmless(&room))),
            Event::Message(message) => self.message(&message),
            Event::Confirmed { .. } => {}
            Event::Refused { text, fault, .. } => {
                self.refused += 1;
                self.say(format_args!("Not sent: {} ({})", Harmless(&text), Harmless(&fault.message)));
            }
            Event::Presence { came, went } => {
                if !came.is_empty() {
                    self.say(format_args!("Came: {}", list(&came)));
                }
                if !went.is_empty() {
                    self.say(format_args!("Went: {}", list(&went)));
                }
            }
            Event::Missed { count } => {
                self.say(format_args!("{count} messages were dropped before they could be read."))
            }
            Event::Lost { cause } => self.say(format_args!("Connection lost: {}", Harmless(&cause))),
            Event::Retrying { pause } => self.say(format_args!("Trying again in {:.1} s.", pause.as_secs_f32())),
            Event::Back { caught_up } => self.say(format_args!("Connected again, {caught_up} messages caught up.")),
            Event::Forgotten { room } => self.say(format_args!(
                "The server has forgotten {}: what was said before is lost there. The room was created again.",
                Harmless(&room)
            )),
            Event::Ended { cause } => self.say(format_args!("The session has ended: {}", Harmless(&cause))),
        }
    }

    fn message(&mut self, message: &Message) {
        let time = message.timestamp.get(11..16).unwrap_or_default();
        let to = message.destination.as_ref().map(|to| format!(" -> {}", Harmless(to))).unwrap_or_default();
        self.write(format_args!("{time} {}{to}: {}", Harmless(&message.origin), Harmless(&message.content)), true);
    }

    fn fail(&mut self, error: &SessionError) {
        self.say(format_args!("Error: {}", Harmless(&error.to_string())));
    }

    /// Something that is not a message.
    fn say(&mut self, text: impl Display) {
        self.write(text, self.is_terminal);
    }

    /// Standard output may be closed by whoever reads it; that ends nothing here.
    fn write(&mut self, text: impl Display, to_stdout: bool) {
        // On a terminal the prompt stands in the line, perhaps with something typed.
        let start = if self.is_prompted { "\n" } else { "" };
        let line = format!("{start}{text}\n");
        self.is_prompted = false;
        let _ = if to_stdout {
            program::print(&line).is_ok()
        } else {
            std::io::stderr().lock().write_all(line.as_bytes()).is_ok()
        };
    }

    fn prompt(&mut self, prompt: &str) {
        if self.is_terminal {
            self.is_prompted = program::print(prompt).is_ok();
        }
    }

    /// Sends what was typed, as long as the reason to end allows, and unregisters.
    fn close(mut self) -> Result<(), Failure> {
        let patience = if matches!(self.end, Some(End::Signal)) { AT_SIGNAL } else { AT_END_OF_INPUT };
        let unsent = match self.session.close(patience) {
            Err(SessionError::Ended) => Vec::new(),
            closed => closed.map_err(|error| Failure::Failed(error.to_string()))?,
        };
        while let Ok(event) = self.events.try_recv() {
            self.show(event);
        }
        for text in &unsent {
            self.say(format_args!("Not sent: {}", Harmless(text)));
        }
        match &self.end {
            Some(End::Session(cause)) => Err(Failure::Failed(Harmless(cause).to_string())),
            _ if !self.is_terminal && unsent.len() + self.refused > 0 => {
                Err(Failure::Failed(format!("{} messages were not sent", unsent.len() + self.refused)))
            }
            _ => Ok(()),
        }
    }
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| Harmless(name).to_string()).collect::<Vec<_>>().join(", ")
}
