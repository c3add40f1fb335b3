//! Executes the lines of a user, wherever they come from.

use std::time::Duration;

use super::command::{self, Argument, COMMANDS, Command, CommandSpec};
use super::extras;
use super::line::{self, Line};
use super::locale::{Locale, all_names};
use super::render::{list, sanitized};
use super::session::{Session, SessionError};
use super::view::{End, SIGNAL_TIMEOUT, Screen};
use crate::program::{Failure, Options};
use crate::rpc::Fault;

/// The number of messages that `history` shows by default.
const HISTORY: usize = 20;
/// The most messages that `search` shows.
const FOUND: usize = 50;
/// The most pasted lines that are sent without asking the user.
pub(super) const PASTED_LINES: usize = 3;

/// The time for typed messages to be sent before a person or a program leaves.
const EXIT_TIMEOUT: Duration = Duration::from_secs(3);
const END_OF_INPUT_TIMEOUT: Duration = Duration::from_secs(15);

/// Registers the user, joins the room that the options name, executes lines until there are no more or the user wants to
/// leave, and unregisters.
///
/// # Errors
/// If the server cannot be reached, refuses a name or room from the options, or has ended the session. Without a person also
/// if a message could not be sent.
pub(super) fn run(screen: &mut dyn Screen, options: &Options) -> Result<(), Failure> {
    let locale = screen.view().locale;
    let mut conversation = Conversation { screen, locale, offered: None };
    let outcome = conversation.converse(options);
    outcome.and(conversation.close())
}

struct Conversation<'a> {
    screen: &'a mut dyn Screen,
    locale: &'static Locale,
    /// The room that was just created. An empty line joins it.
    offered: Option<String>,
}

impl Conversation<'_> {
    fn converse(&mut self, options: &Options) -> Result<(), Failure> {
        let Some(name) = self.register(options)? else { return Ok(()) };
        self.screen.renderer().name.clone_from(&name);
        self.say(&(self.locale.welcome)(&sanitized(&name)));
        if let Some(room) = options.text("room") {
            let outcome = self.session().join(room);
            outcome.map_err(|error| self.screen.view().failed(&error))?;
        } else if self.is_interactive() {
            self.say(self.locale.where_to);
        }
        while let Some(line) = self.screen.read(None) {
            if !self.lines(&line) {
                break;
            }
        }
        Ok(())
    }

    /// Registers the name of the options, or what the user types until the server takes it. `None` if the user types nothing
    /// more.
    fn register(&mut self, options: &Options) -> Result<Option<String>, Failure> {
        let (locale, is_interactive) = (self.locale, self.is_interactive());
        let mut given = options.text("user").map(str::to_owned);
        loop {
            let is_given = given.is_some();
            let Some(name) = given.take().or_else(|| self.screen.ask(locale.ask_name)) else {
                return if is_interactive { Ok(None) } else { Err(Failure::Failed(locale.no_name.into())) };
            };
            let name = name.trim();
            if name.is_empty() {
                continue;
            }
            match self.session().register(name) {
                Ok(()) => return Ok(Some(name.to_owned())),
                Err(SessionError::Refused(fault)) if fault.code == Fault::NO_SUCH_PROCEDURE => {
                    let server = options.text("server").unwrap_or_default();
                    return Err(Failure::Failed((locale.not_a_server)(&sanitized(server))));
                }
                // Without a person, the next line of the input is not another name.
                refused @ Err(SessionError::Refused(_)) if is_interactive || !is_given => self.explain(refused),
                Err(error) => return Err(self.screen.view().failed(&error)),
            }
        }
    }

    /// Waits until typed messages are sent, as long as the reason to end allows, and unregisters.
    fn close(&mut self) -> Result<(), Failure> {
        let view = self.screen.view();
        let is_interactive = view.is_interactive;
        let timeout = match view.end {
            Some(End::Signal) => SIGNAL_TIMEOUT,
            _ if is_interactive => EXIT_TIMEOUT,
            _ => END_OF_INPUT_TIMEOUT,
        };
        let unsent = match view.session.close(timeout) {
            Ok(unsent) => unsent,
            Err(SessionError::Ended) => Vec::new(),
            Err(_) if is_interactive => Vec::new(),
            Err(error) => return Err(view.failed(&error)),
        };
        let renderer = self.screen.renderer();
        let lines: Vec<_> = unsent.iter().map(|text| renderer.unsent(text)).collect();
        self.screen.write(&lines);
        let view = self.screen.view();
        if is_interactive {
            extras::save_positions(&view.renderer.unseen.positions);
        }
        let lost = view.lost + unsent.len();
        match &view.end {
            Some(End::Session(error)) => Err(view.failed(error)),
            _ if !is_interactive && lost > 0 => Err(Failure::Failed((self.locale.unsent_count)(lost))),
            _ => Ok(()),
        }
    }

    /// Executes a typed line, or several pasted ones. Returns whether to go on.
    fn lines(&mut self, typed: &str) -> bool {
        let offered = self.offered.take();
        let lines: Vec<_> = typed.lines().filter(|line| !line.trim().is_empty()).collect();
        if lines.is_empty() {
            if let Some(room) = offered {
                let outcome = self.session().join(&room);
                self.explain(outcome);
            }
            return true;
        }
        if lines.len() > PASTED_LINES {
            let question = (self.locale.ask_paste)(lines.len());
            if !self.screen.ask(&question).is_some_and(|answer| self.is_yes(&answer)) {
                self.say(self.locale.paste_dropped);
                return true;
            }
        }
        // If the first of several lines is a message, the others go to the same recipients, and are no commands.
        if let [first, others @ ..] = &lines[..]
            && !others.is_empty()
            && let Line::Say { to, text } = line::parse(first, self.is_in_room())
        {
            self.screen.send(&text, to.as_deref());
            others.iter().for_each(|line| self.screen.send(line, to.as_deref()));
            return true;
        }
        lines.into_iter().all(|line| self.line(line))
    }

    fn line(&mut self, line: &str) -> bool {
        match line::parse(line, self.is_in_room()) {
            Line::Empty => {}
            Line::Say { to, text } => self.screen.send(&text, to.as_deref()),
            Line::Nowhere => {
                self.say(self.locale.where_to);
                self.screen.give_back(line);
            }
            Line::Unknown { word, nearest } => self.say(&(self.locale.unknown)(&sanitized(&word), nearest)),
            Line::Doubtful(command, rest) => self.doubtful(command, &rest, line),
            Line::Command(command, rest) => return self.command(command, &rest),
        }
        true
    }

    /// Executes a line that may be a command or a message.
    fn doubtful(&mut self, command: Command, rest: &str, line: &str) {
        let locale = self.locale;
        if command == Command::Join {
            let is_room = |rooms: Vec<String>| rooms.iter().any(|room| room.to_lowercase() == rest.to_lowercase());
            if self.session().rooms().is_ok_and(is_room) {
                let outcome = self.session().join(rest);
                return self.explain(outcome);
            }
        } else if self.is_interactive() {
            let answer = self.screen.ask(&(locale.ask_create)(&sanitized(rest))).unwrap_or_default();
            if self.is_yes(&answer) {
                let outcome = self.create(rest);
                return self.explain(outcome);
            }
            if !locale.no.contains(&answer.trim().to_lowercase().as_str()) {
                return self.screen.give_back(line);
            }
        }
        self.screen.send(line, None);
    }

    fn command(&mut self, command: Command, rest: &str) -> bool {
        // Without an answer to its question, a command is dropped.
        let Some(arguments) = self.arguments(command::spec_of(command), rest) else { return true };
        let mut arguments = arguments.into_iter();
        let (first, second) = (arguments.next(), arguments.next());
        let one = first.as_deref().unwrap_or_default();
        let locale = self.locale;
        let mut outcome = Ok(());
        match command {
            Command::Create => outcome = self.create(one),
            Command::Join => outcome = self.session().join(one),
            Command::Leave => outcome = self.session().leave(),
            Command::Send => {
                let Some(to) = self.screen.ask(locale.ask_recipient) else { return true };
                let to = Some(to.trim().trim_start_matches('@')).filter(|to| !to.is_empty());
                self.screen.send(one, to);
            }
            Command::Msg => self.screen.send(&second.unwrap_or_default(), Some(one)),
            Command::Reply => match self.screen.renderer().last_private.clone() {
                Some(to) => self.screen.send(one, Some(&to)),
                None => self.fail(locale.nobody_to_reply),
            },
            Command::Me if !self.is_in_room() => self.fail(locale.in_no_room),
            Command::Me => self.screen.send(&command::action(one), None),
            Command::List => {
                outcome = self.session().rooms().map(|rooms| self.list(&rooms, locale.rooms, locale.no_rooms));
            }
            Command::Users => {
                let users = self.session().users(first.as_deref());
                outcome = users.map(|users| self.list(&users, locale.users, locale.no_users));
            }
            Command::History => match first.as_deref().map_or(Ok(HISTORY), str::parse) {
                Ok(count) => outcome = self.history(count),
                Err(_) => self.fail(locale.not_a_number),
            },
            Command::Search => outcome = self.search(one),
            Command::Whoami => {
                let renderer = self.screen.renderer();
                let room = renderer.room().map(sanitized);
                let text = (locale.whoami)(&sanitized(&renderer.name), room.as_deref());
                self.say(&text);
            }
            Command::Ignore => self.ignore(first.as_deref()),
            Command::Help => self.help(first.as_deref()),
            Command::Exit => return false,
        }
        self.explain(outcome);
        true
    }

    /// Returns the arguments of a command from its line, and asks the user for those that it lacks. `None` if the user does not
    /// answer.
    fn arguments(&mut self, spec: &CommandSpec, rest: &str) -> Option<Vec<String>> {
        let mut arguments = spec.split(rest);
        for (index, argument) in spec.takes.iter().enumerate().skip(arguments.len()) {
            if spec.optional && index + 1 == spec.takes.len() {
                break;
            }
            let question = match argument {
                Argument::Room => self.locale.ask_room,
                Argument::User => self.locale.ask_user,
                Argument::Text | Argument::Count | Argument::Command => self.locale.ask_text,
            };
            let answer = self.screen.ask(question)?.trim().to_owned();
            if answer.is_empty() {
                return None;
            }
            arguments.push(answer);
        }
        Some(arguments)
    }

    fn create(&mut self, room: &str) -> Result<(), SessionError> {
        self.session().create_room(room)?;
        let shown = sanitized(room);
        if self.is_interactive() {
            self.say(&(self.locale.created)(&shown));
            self.offered = Some(room.to_owned());
        } else {
            self.say(&(self.locale.created_only)(&shown));
        }
        Ok(())
    }

    fn list(&mut self, names: &[String], some: fn(&str) -> String, none: &str) {
        let text = if names.is_empty() { none.to_owned() } else { some(&list(names)) };
        self.say(&text);
    }

    fn history(&mut self, count: usize) -> Result<(), SessionError> {
        let messages = self.session().history(count)?;
        if messages.is_empty() {
            self.say(self.locale.no_history);
        }
        let lines = self.screen.renderer().messages(&messages);
        self.screen.write(&lines);
        Ok(())
    }

    /// Shows the newest kept messages that contain `text`, whatever its capitals.
    fn search(&mut self, text: &str) -> Result<(), SessionError> {
        let wanted = text.to_lowercase();
        let mut found = self.session().history(usize::MAX)?;
        found.retain(|message| message.content.to_lowercase().contains(&wanted));
        self.say(&(self.locale.found)(&sanitized(text), found.len()));
        let newest = found.get(found.len().saturating_sub(FOUND)..).unwrap_or_default();
        let lines = self.screen.renderer().messages(newest);
        self.screen.write(&lines);
        Ok(())
    }

    fn ignore(&mut self, name: Option<&str>) {
        let (locale, renderer) = (self.locale, self.screen.renderer());
        let text = match name {
            Some(name) if renderer.ignore(name) => (locale.ignored)(&sanitized(name)),
            Some(name) => (locale.unignored)(&sanitized(name)),
            None if renderer.ignored.is_empty() => locale.ignoring_nobody.to_owned(),
            None => (locale.ignoring)(&list(&renderer.ignored)),
        };
        self.say(&text);
    }

    fn help(&mut self, name: Option<&str>) {
        let (locale, renderer) = (self.locale, self.screen.renderer());
        let mut lines = Vec::new();
        if let Some(name) = name.map(|name| name.trim_start_matches('/')) {
            let Some(spec) = line::named(name) else {
                return self.say(&(locale.unknown)(&sanitized(name), line::nearest(name)));
            };
            lines.push(renderer.entry(&format!("/{}: ", locale.usage(spec)), locale.explanation(spec.command)));
            let shown = locale.name(spec.command);
            let others: Vec<_> = all_names(spec.command).filter(|name| *name != shown).collect();
            if !others.is_empty() {
                lines.push(renderer.note(&format!("{}: {}", locale.also, others.join(", "))));
            }
            lines.push(renderer.note(&format!("{}: {}", locale.example, spec.example)));
        } else {
            for spec in COMMANDS {
                let left = format!("  {:<20} ", locale.usage(spec));
                lines.push(renderer.entry(&left, locale.explanation(spec.command)));
            }
            lines.push(renderer.note(locale.help_more));
        }
        self.screen.write(&lines);
    }

    fn session(&mut self) -> &Session {
        &self.screen.view().session
    }

    fn is_interactive(&mut self) -> bool {
        self.screen.view().is_interactive
    }

    fn is_in_room(&mut self) -> bool {
        self.screen.renderer().room().is_some()
    }

    fn is_yes(&self, answer: &str) -> bool {
        self.locale.yes.contains(&answer.trim().to_lowercase().as_str())
    }

    fn say(&mut self, text: &str) {
        let line = self.screen.renderer().note(text);
        self.screen.write(&[line]);
    }

    fn explain(&mut self, outcome: Result<(), SessionError>) {
        if let Err(error) = outcome {
            self.fail(&self.locale.explain(&error));
        }
    }

    fn fail(&mut self, text: &str) {
        let text = (self.locale.error)(text);
        self.say(&text);
    }
}
