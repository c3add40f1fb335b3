//! What a user does in a session, wherever the lines come from.

use super::command::{self, Argument, COMMANDS, Command, CommandSpec, Line};
use super::locale::Locale;
use super::render::{Rendered, Renderer, list, sanitized};
use super::session::{Session, SessionError};
use crate::program::{Failure, Options};

/// How many messages `history` shows unless it is told.
const HISTORY: usize = 20;
/// More pasted lines than this are not sent before the user was asked.
pub(super) const PASTED_LINES: usize = 3;

/// Where lines come from, and where answers go.
pub(super) trait Screen {
    /// The session.
    fn session(&self) -> &Session;

    /// Whether a person is there to answer questions.
    fn is_interactive(&self) -> bool;

    /// The next line, or the answer to a question. `None` when there are no more.
    fn read(&mut self, question: Option<&str>) -> Option<String>;

    /// Shows what `make` makes.
    fn show(&mut self, make: &mut dyn FnMut(&mut Renderer) -> Vec<Rendered>);

    /// Calls `look` once, with what the lines are made with.
    fn with(&mut self, look: &mut dyn FnMut(&mut Renderer));

    /// Sends what the user typed, and shows it if that is not done elsewhere.
    fn send(&mut self, text: &str, to: Option<&str>);
}

/// Registers the user, goes to the room that the options name, and does what the lines say, until there are no more or the
/// user wants to leave.
///
/// # Errors
/// When the server cannot be reached, or refuses what the options say.
pub(super) fn run(screen: &mut dyn Screen, locale: &'static Locale, options: &Options) -> Result<(), Failure> {
    let Some(name) = register(screen, locale, options.text("user"))? else { return Ok(()) };
    screen.with(&mut |renderer| renderer.set_name(&name));
    let mut conversation = Conversation { screen, locale, in_room: false };
    conversation.say(&(locale.welcome)(&sanitized(&name)));
    if let Some(room) = options.text("room") {
        enter(conversation.screen.session(), room).map_err(|error| Failure::Failed(explain(locale, &error)))?;
        conversation.entered(room);
    } else if conversation.screen.is_interactive() {
        conversation.say(locale.where_to);
    }
    while let Some(line) = conversation.screen.read(None) {
        if !conversation.lines(&line) {
            break;
        }
    }
    Ok(())
}

/// Registers `given`, or what the user types until the server takes it. `None` if the user types nothing more.
fn register(screen: &mut dyn Screen, locale: &Locale, given: Option<&str>) -> Result<Option<String>, Failure> {
    let mut given = given.map(str::to_owned);
    loop {
        let is_given = given.is_some();
        let Some(name) = given.take().or_else(|| screen.read(Some(locale.ask_name))) else {
            return if screen.is_interactive() { Ok(None) } else { Err(Failure::Failed("no user name".into())) };
        };
        let name = name.trim();
        if name.is_empty() {
            continue;
        }
        match screen.session().register(name) {
            Ok(()) => return Ok(Some(name.to_owned())),
            // Without a person the next line is no answer to this.
            Err(error @ SessionError::Refused(_)) if screen.is_interactive() || !is_given => {
                let text = (locale.error)(&explain(locale, &error));
                screen.show(&mut |renderer| vec![renderer.note(&text)]);
            }
            Err(error) => return Err(Failure::Failed(explain(locale, &error))),
        }
    }
}

/// Joins a room, which is created if there is none.
pub(super) fn enter(session: &Session, room: &str) -> Result<(), SessionError> {
    session.join(room).or_else(|error| match error {
        SessionError::Refused(_) if session.create_room(room).is_ok() => session.join(room),
        error => Err(error),
    })
}

/// Why something has failed, in words.
pub(super) fn explain(locale: &Locale, error: &SessionError) -> String {
    match error {
        SessionError::Refused(fault) => locale.refusal(fault),
        SessionError::Unreachable(cause) => (locale.unreachable)(&sanitized(cause)),
        SessionError::NobodyOffers => locale.nobody_offers.into(),
        SessionError::OutOfReach(server) => (locale.out_of_reach)(&server.to_string(), server.port),
        SessionError::InNoRoom => locale.in_no_room.into(),
        SessionError::Ended => locale.over.into(),
    }
}

struct Conversation<'a> {
    screen: &'a mut dyn Screen,
    locale: &'static Locale,
    in_room: bool,
}

impl Conversation<'_> {
    /// Does what a line says; answers whether to go on. What was pasted has several.
    fn lines(&mut self, typed: &str) -> bool {
        let lines: Vec<_> = typed.lines().filter(|line| !line.trim().is_empty()).collect();
        if lines.len() > PASTED_LINES {
            let question = (self.locale.ask_paste)(lines.len());
            let Some(answer) = self.screen.read(Some(&question)) else { return false };
            if !self.locale.yes.contains(&answer.trim().to_lowercase().as_str()) {
                self.say(self.locale.paste_dropped);
                return true;
            }
        }
        // A text of several lines goes where its first line goes, and its other lines are no commands.
        if let [first, others @ ..] = &lines[..]
            && !others.is_empty()
            && let Line::Say { to, text } = command::parse(first, self.in_room)
        {
            self.screen.send(&text, to.as_deref());
            others.iter().for_each(|line| self.screen.send(line, to.as_deref()));
            return true;
        }
        lines.into_iter().all(|line| self.line(line))
    }

    fn line(&mut self, line: &str) -> bool {
        match command::parse(line, self.in_room) {
            Line::Empty => {}
            Line::Say { to, text } => self.screen.send(&text, to.as_deref()),
            Line::Nowhere => self.say(self.locale.where_to),
            Line::Unknown { word, nearest } => self.say(&(self.locale.unknown)(&sanitized(&word), nearest)),
            Line::Command(verb, rest) => return self.command(verb, &rest),
        }
        true
    }

    fn command(&mut self, verb: Command, rest: &str) -> bool {
        let row = command::spec_of(verb);
        let Some(arguments) = self.arguments(row, rest) else { return false };
        let mut arguments = arguments.into_iter();
        let (first, second) = (arguments.next(), arguments.next());
        let one = first.as_deref().unwrap_or_default();
        let locale = self.locale;
        let session = self.screen.session();
        let outcome = match verb {
            Command::Create => session.create_room(one).map(|()| self.say(&(locale.created)(&sanitized(one)))),
            Command::Join => session.join(one).map(|()| self.entered(one)),
            Command::Leave => session.leave().map(|()| {
                self.in_room = false;
                self.screen.with(&mut |renderer| renderer.set_room(None));
            }),
            Command::Send => {
                let Some(to) = self.screen.read(Some(locale.ask_recipient)) else { return false };
                let to = Some(to.trim().trim_start_matches('@')).filter(|to| !to.is_empty());
                self.screen.send(one, to);
                Ok(())
            }
            Command::Msg => {
                self.screen.send(&second.unwrap_or_default(), Some(one));
                Ok(())
            }
            Command::Reply => {
                let mut last = None;
                self.screen.with(&mut |renderer| last = renderer.last_private().map(str::to_owned));
                match last {
                    Some(to) => self.screen.send(one, Some(&to)),
                    None => self.fail(locale.nobody_to_reply),
                }
                Ok(())
            }
            Command::List => session.rooms().map(|rooms| {
                let text = if rooms.is_empty() { locale.no_rooms.to_owned() } else { (locale.rooms)(&list(&rooms)) };
                self.say(&text);
            }),
            Command::Users => session.users(first.as_deref()).map(|users| {
                let text = if users.is_empty() { locale.no_users.to_owned() } else { (locale.users)(&list(&users)) };
                self.say(&text);
            }),
            Command::History => match first.as_deref().map_or(Ok(HISTORY), str::parse) {
                Ok(count) => session.history(count).map(|messages| {
                    if messages.is_empty() {
                        self.say(locale.no_history);
                    }
                    self.screen.show(&mut |renderer| renderer.messages(&messages));
                }),
                Err(_) => {
                    self.fail(locale.not_a_number);
                    Ok(())
                }
            },
            Command::Whoami => {
                self.screen.show(&mut |renderer| {
                    let room = renderer.room().map(sanitized);
                    let text = (locale.whoami)(&sanitized(renderer.name()), room.as_deref());
                    vec![renderer.note(&text)]
                });
                Ok(())
            }
            Command::Ignore => {
                self.ignore(first.as_deref());
                Ok(())
            }
            Command::Help => {
                self.help(first.as_deref());
                Ok(())
            }
            Command::Exit => return false,
        };
        if let Err(error) = outcome {
            let text = explain(locale, &error);
            self.fail(&text);
        }
        true
    }

    /// What a command takes, from its line, and where that lacks something, from the user. `None` at the end of input.
    fn arguments(&mut self, row: &CommandSpec, rest: &str) -> Option<Vec<String>> {
        let mut arguments = row.split(rest);
        for (at, takes) in row.takes.iter().enumerate().skip(arguments.len()) {
            if row.optional && at + 1 == row.takes.len() {
                break;
            }
            let question = match takes {
                Argument::Room => self.locale.ask_room,
                Argument::User => self.locale.ask_user,
                Argument::Text | Argument::Count | Argument::Command => self.locale.ask_text,
            };
            arguments.push(self.screen.read(Some(question))?.trim().to_owned());
        }
        Some(arguments)
    }

    fn entered(&mut self, room: &str) {
        self.in_room = true;
        self.screen.with(&mut |renderer| renderer.set_room(Some(room)));
    }

    fn ignore(&mut self, name: Option<&str>) {
        let locale = self.locale;
        self.screen.show(&mut |renderer| {
            let text = match name {
                Some(name) if renderer.ignore(name) => (locale.ignored)(&sanitized(name)),
                Some(name) => (locale.unignored)(&sanitized(name)),
                None if renderer.ignored().is_empty() => locale.ignoring_nobody.to_owned(),
                None => (locale.ignoring)(&list(renderer.ignored())),
            };
            vec![renderer.note(&text)]
        });
    }

    fn help(&mut self, name: Option<&str>) {
        let locale = self.locale;
        let Some(name) = name else {
            self.screen.show(&mut |renderer| {
                let left = |row: &CommandSpec| format!("  {:<20} ", locale.usage(row));
                let mut lines: Vec<_> =
                    COMMANDS.iter().map(|row| renderer.entry(&left(row), (locale.command)(row.verb))).collect();
                lines.push(renderer.note(locale.help_more));
                lines
            });
            return;
        };
        let name = name.trim_start_matches('/');
        let Some(row) = command::named(name) else {
            return self.say(&(locale.unknown)(&sanitized(name), command::nearest(name)));
        };
        self.screen.show(&mut |renderer| {
            let mut lines = vec![renderer.entry(&format!("/{}: ", locale.usage(row)), (locale.command)(row.verb))];
            if let [_, others @ ..] = row.names
                && !others.is_empty()
            {
                lines.push(renderer.note(&format!("{}: {}", locale.also, others.join(", "))));
            }
            lines.push(renderer.note(&format!("{}: {}", locale.example, row.example)));
            lines
        });
    }

    fn say(&mut self, text: &str) {
        self.screen.show(&mut |renderer| vec![renderer.note(text)]);
    }

    fn fail(&mut self, text: &str) {
        let text = (self.locale.error)(text);
        self.say(&text);
    }
}
