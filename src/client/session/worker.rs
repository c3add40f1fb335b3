//! The thread that owns a session.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crossbeam_channel::{never, select};
use log::debug;

use super::super::api::{self, Api, UNNUMBERED};
use super::super::event::{Draft, Event, Message};
use super::super::secret::Key;
use super::backoff::Backoff;
use super::listener::{Batch, Listener, News, fetch};
use super::outbox::{Echo, Letter, Outbox, is_same_name};
use super::position::{Position, Verdict};
use super::{Place, SessionError, Setup, Unsent};
use crate::channel::{Receiver, Sender, bounded};
use crate::endpoint::Endpoint;
use crate::rpc::{CallError, Fault};

/// How often to look who is in the room, for a small one; the server is asked less often about a large one.
const PRESENCE: Duration = Duration::from_secs(10);
/// The users that one [`PRESENCE`] is for.
const PRESENCE_USERS: u32 = 100;
/// A connection that lasted less than this makes the pauses grow on.
const STABLE: Duration = Duration::from_secs(20);
/// How long a server may refuse to have the user back before the session gives up.
const REFUSED_FOR: Duration = Duration::from_secs(120);
/// The pause when a server wants less haste.
const SLOWER: Duration = Duration::from_millis(250);
/// How often a message is tried again because the server does not know the user or the room any more.
const RESTORES: u32 = 3;
/// Events that are not shown yet, past which no more messages are fetched: somebody has stopped the terminal.
const MAX_UNSHOWN: usize = 10_000;
/// How soon to see whether they are shown.
const UNSHOWN_PAUSE: Duration = Duration::from_secs(1);
/// The longest that unregistering may take.
const UNREGISTERING: Duration = Duration::from_secs(2);

type Reply<T> = Sender<Result<T, SessionError>>;

/// Whoever asked may have given up.
fn answer<T>(reply: &Sender<T>, answer: T) {
    let _ = reply.try_send(answer);
}

/// What a session is asked.
pub(super) enum Request {
    Register { name: String, reply: Reply<()> },
    Create { room: String, reply: Reply<()> },
    Join { room: String, reply: Reply<()> },
    Leave { reply: Reply<()> },
    Send { draft: Draft, text: String, recipient: Option<String> },
    Rooms { reply: Reply<Vec<String>> },
    Users { room: Option<String>, reply: Reply<Vec<String>> },
    History { count: usize, reply: Reply<Vec<Message>> },
    Close { patience: Duration, reply: Sender<Unsent> },
}

/// The registered user, and the connection.
struct User {
    name: String,
    server: Endpoint,
    key: Key,
    api: Api,
}

/// The room that the user is in.
struct Room {
    name: String,
    position: Position,
    /// Sorted.
    members: Vec<String>,
    look_at: Instant,
    /// `None` while there is no connection.
    listener: Option<Listener>,
}

/// There is no connection.
struct Outage {
    /// When to try again.
    next: Instant,
    /// Since when a server has answered, and refuses to have the user back.
    refused_since: Option<Instant>,
}

pub(super) struct Worker {
    setup: Setup,
    requests: Receiver<Request>,
    events: Sender<Event>,
    listeners: Sender<News>,
    news: Receiver<News>,
    user: Option<User>,
    room: Option<Room>,
    outage: Option<Outage>,
    backoff: Backoff,
    /// When the session last came back.
    back_since: Option<Instant>,
    outbox: Outbox,
    /// What has to wait until everything typed before it was sent.
    after_outbox: VecDeque<Request>,
    listeners_started: u64,
}

impl Worker {
    pub(super) fn new(setup: Setup, requests: Receiver<Request>, events: Sender<Event>) -> Self {
        let (listeners, news) = bounded(1);
        Self {
            setup,
            requests,
            events,
            listeners,
            news,
            user: None,
            room: None,
            outage: None,
            backoff: Backoff::new(),
            back_since: None,
            outbox: Outbox::default(),
            after_outbox: VecDeque::new(),
            listeners_started: 0,
        }
    }

    pub(super) fn run(mut self) {
        loop {
            self.send_next();
            if self.outbox.is_empty() || self.outage.is_some() {
                while let Some(request) = self.after_outbox.pop_front() {
                    self.serve(request);
                }
            }
            let mut pause = self.due().saturating_duration_since(Instant::now());
            let mut news = self.news.count();
            let nothing = never();
            if self.events.len() > MAX_UNSHOWN {
                news = &nothing;
                pause = pause.min(UNSHOWN_PAUSE);
            }
            select! {
                recv(self.requests.count()) -> request => match self.requests.take(request) {
                    Ok(Request::Close { patience, reply }) => {
                        let unsent = self.close(Instant::now() + patience);
                        // With it ends what `--local` runs in this process, which may be gone after the answer.
                        drop(self);
                        answer(&reply, unsent);
                        return;
                    }
                    Ok(request @ (Request::Join { .. } | Request::Leave { .. })) => self.after_outbox.push_back(request),
                    Ok(request) => self.serve(request),
                    Err(_) => return,
                },
                recv(news) -> news => {
                    if let Ok(news) = self.news.take(news) {
                        self.heard(news);
                    }
                }
                default(pause) => {}
            }
            if !self.keep_up(Instant::now()) {
                return;
            }
        }
    }

    fn tell(&self, event: Event) {
        // Nobody listens only when the program is about to end.
        let _ = self.events.send(event);
    }

    /// When there is something to do, if nothing happens before.
    fn due(&self) -> Instant {
        let now = Instant::now();
        let idle = now + Duration::from_secs(3600);
        if let Some(outage) = &self.outage {
            return outage.next;
        }
        let outbox = if self.outbox.is_empty() { None } else { Some(self.outbox.due().unwrap_or(now)) };
        let look = self.room.as_ref().map(|room| room.look_at);
        outbox.into_iter().chain(look).min().unwrap_or(idle)
    }

    /// Does what is due. Answers whether the session goes on.
    fn keep_up(&mut self, now: Instant) -> bool {
        match &self.outage {
            Some(outage) if outage.next <= now => self.attempt(now),
            Some(_) => true,
            None => {
                if self.room.as_ref().is_some_and(|room| room.look_at <= now) {
                    self.look(now);
                }
                true
            }
        }
    }

    fn serve(&mut self, request: Request) {
        match request {
            Request::Register { name, reply } => answer(&reply, self.register(name)),
            Request::Create { room, reply } => answer(&reply, self.call(|api| api.create_room(&room))),
            Request::Join { room, reply } => answer(&reply, self.join(room)),
            Request::Leave { reply } => answer(&reply, self.leave()),
            Request::Send { draft, text, recipient } => self.post(draft, text, recipient),
            Request::Rooms { reply } => answer(&reply, self.call(Api::list_rooms)),
            Request::Users { room, reply } => {
                let users = match room.or_else(|| self.room.as_ref().map(|room| room.name.clone())) {
                    Some(room) => self.call(|api| api.list_users(&room)),
                    None => Err(SessionError::InNoRoom),
                };
                answer(&reply, users);
            }
            Request::History { count, reply } => answer(&reply, self.history(count)),
            // Handled where the session ends.
            Request::Close { .. } => {}
        }
    }

    /// Where the server is.
    fn locate(&mut self) -> Result<Endpoint, SessionError> {
        (self.setup.prepare)().map_err(|failure| SessionError::Unreachable(failure.to_string()))?;
        let binder = match &self.setup.place {
            Place::Server(server) => return Ok(server.clone()),
            Place::Binder(binder) => binder,
        };
        let error = match api::look_up(binder) {
            Ok(Some(server)) => return Ok(server),
            Ok(None) => SessionError::NobodyOffers,
            Err(error) => SessionError::Unreachable(format!("the binder at {binder}: {error}")),
        };
        // A binder that is away, or was restarted and does not know the server yet, is no reason to give the server up.
        self.user.as_ref().map(|user| user.server.clone()).ok_or(error)
    }

    fn open(&self, server: Endpoint, name: &str) -> Result<User, SessionError> {
        let key =
            self.setup.secrets.open(&server, name).map_err(|failure| SessionError::Unreachable(failure.to_string()))?;
        let api = Api::new(&server, name, key.secret());
        Ok(User { name: name.to_owned(), server, key, api })
    }

    fn register(&mut self, name: String) -> Result<(), SessionError> {
        let server = self.locate()?;
        let mut user = self.open(server, &name)?;
        user.api.register_user().map_err(|error| match error {
            CallError::Fault(fault) => SessionError::Refused(fault),
            error => SessionError::Unreachable(format!("the server at {}: {error}", user.server)),
        })?;
        user.key.keep();
        self.user = Some(user);
        Ok(())
    }

    /// Calls the server. A user whom it does not know any more comes back first; a broken connection begins an outage.
    fn call<T>(&mut self, call: impl Fn(&Api) -> Result<T, CallError>) -> Result<T, SessionError> {
        let outcome = call(&self.api()?);
        let outcome = match outcome {
            Err(CallError::Fault(fault)) if self.is_forgotten(&fault) => {
                self.restore()?;
                call(&self.api()?)
            }
            outcome => outcome,
        };
        outcome.map_err(|error| match error {
            CallError::Fault(fault) => SessionError::Refused(fault),
            error => {
                self.lose(error.to_string());
                SessionError::Unreachable(error.to_string())
            }
        })
    }

    /// Whether the reason of a refusal is that the server does not know the user any more. The original's server has one kind
    /// of refusal for everything; there it does not if the user can be registered.
    fn is_forgotten(&self, fault: &Fault) -> bool {
        match fault.code {
            Fault::NO_SUCH_USER => true,
            UNNUMBERED => self.api().is_ok_and(|api| api.register_user().is_ok()),
            _ => false,
        }
    }

    /// The connection, if there is one.
    fn api(&self) -> Result<Api, SessionError> {
        match &self.user {
            Some(user) if self.outage.is_none() => Ok(user.api.clone()),
            _ => Err(SessionError::Unreachable("not connected".into())),
        }
    }

    /// Begins an outage, unless there is one.
    fn lose(&mut self, cause: String) {
        if self.outage.is_some() {
            return;
        }
        if let Some(room) = &mut self.room {
            room.listener = None;
        }
        let now = Instant::now();
        if self.back_since.is_none_or(|since| now.saturating_duration_since(since) >= STABLE) {
            self.backoff = Backoff::new();
        }
        self.outage = Some(Outage { next: now, refused_since: None });
        self.tell(Event::Lost { cause });
        self.retry_later();
    }

    fn retry_later(&mut self) {
        let pause = self.backoff.pause(random());
        if let Some(outage) = &mut self.outage {
            outage.next = Instant::now() + pause;
            self.tell(Event::Retrying { pause });
        }
    }

    fn join(&mut self, name: String) -> Result<(), SessionError> {
        let joined = self.call(|api| api.join_room(&name))?;
        let is_here = self.room.as_ref().is_some_and(|room| is_same_name(&room.name, &name));
        if is_here {
            // Its messages have been shown, and new ones come through the listener.
            self.tell(Event::Joined { room: name, users: joined.users, messages: Vec::new() });
            return Ok(());
        }
        self.outbox.forget_echoes();
        self.room = Some(Room {
            name: name.clone(),
            position: Position::after(joined.last_id, &joined.messages),
            members: sorted(joined.users.clone()),
            look_at: Instant::now() + PRESENCE,
            listener: None,
        });
        self.tell(Event::Joined { room: name, users: joined.users, messages: joined.messages });
        self.listen();
        Ok(())
    }

    fn leave(&mut self) -> Result<(), SessionError> {
        if self.room.is_none() {
            return Err(SessionError::InNoRoom);
        }
        let outcome = self.call(Api::leave_room);
        // The server may have removed the user from the room by itself; then that is done as well.
        match outcome {
            Ok(()) => {}
            Err(SessionError::Refused(fault)) if fault.code == Fault::NOT_IN_ROOM => {}
            Err(error) => return Err(error),
        }
        if let Some(room) = self.room.take() {
            self.tell(Event::Left { room: room.name });
        }
        Ok(())
    }

    fn history(&mut self, count: usize) -> Result<Vec<Message>, SessionError> {
        let room = self.room.as_ref().ok_or(SessionError::InNoRoom)?.name.clone();
        let mut messages = self.call(|api| api.receive_messages(&room))?;
        messages.drain(..messages.len().saturating_sub(count));
        Ok(messages)
    }

    fn post(&mut self, draft: Draft, text: String, recipient: Option<String>) {
        match &self.room {
            Some(room) => self.outbox.push(Letter::new(draft, room.name.clone(), text, recipient)),
            None => {
                let fault = Fault::new(Fault::NOT_IN_ROOM, "the user is not in a room");
                self.tell(Event::Refused { draft, text, fault });
            }
        }
    }

    /// Sends the first message in the outbox, if it may be sent.
    fn send_next(&mut self) {
        for _ in 0..RESTORES {
            let Ok(api) = self.api() else { return };
            let Some(letter) = self.outbox.next(Instant::now()) else { return };
            match api.send_message(&letter.room, &letter.text, letter.recipient.as_deref()) {
                Ok(()) => {
                    if let Some(draft) = self.outbox.sent() {
                        self.tell(Event::Confirmed { draft });
                    }
                    return;
                }
                Err(CallError::Fault(fault)) if fault.code == Fault::TOO_FAST => {
                    return self.outbox.pause(Instant::now() + SLOWER);
                }
                Err(CallError::Fault(fault)) => {
                    let is_out = matches!(fault.code, Fault::NO_SUCH_ROOM | Fault::NOT_IN_ROOM);
                    if !is_out && !self.is_forgotten(&fault) {
                        return self.give_back(fault);
                    }
                    // The user was idle for too long, or the server was restarted and the listener has not noticed yet. Where
                    // coming back fails, an outage has begun.
                    if self.restore().is_err() {
                        return;
                    }
                }
                Err(error @ CallError::Malformed(_)) => {
                    return self.give_back(Fault::new(UNNUMBERED, error.to_string()));
                }
                Err(error) => {
                    if !error.is_safe_to_repeat()
                        && let Some(letter) = self.outbox.doubt()
                    {
                        let fault = Fault::new(UNNUMBERED, error.to_string());
                        self.tell(Event::Refused { draft: letter.draft, text: letter.text, fault });
                    }
                    return self.lose(error.to_string());
                }
            }
        }
        self.give_back(Fault::new(Fault::NOT_IN_ROOM, "the user is not in this room"));
    }

    fn give_back(&mut self, fault: Fault) {
        if let Some(letter) = self.outbox.give_back() {
            self.tell(Event::Refused { draft: letter.draft, text: letter.text, fault });
        }
    }

    /// Waits for messages from the room's position on.
    fn listen(&mut self) {
        let (Some(user), Some(room)) = (&self.user, &mut self.room) else { return };
        self.listeners_started += 1;
        let number = self.listeners_started;
        let (api, news) = (user.api.clone(), self.listeners.clone());
        match Listener::start(number, api, room.name.clone(), room.position.clone(), news) {
            Ok(listener) => room.listener = Some(listener),
            Err(error) => self.lose(error.to_string()),
        }
    }

    /// Something came from a listener.
    fn heard(&mut self, news: News) {
        let Some(room) = &mut self.room else { return };
        if room.listener.as_ref().is_none_or(|listener| listener.number != news.number) {
            return;
        }
        match news.outcome {
            Ok(batch) => {
                room.position = batch.position;
                self.greet(&batch.messages);
                self.show(batch.messages, batch.missed);
            }
            // The original's server says it without a code.
            Err(CallError::Fault(fault))
                if matches!(
                    fault.code,
                    Fault::NO_SUCH_USER | Fault::NO_SUCH_ROOM | Fault::NOT_IN_ROOM | UNNUMBERED
                ) && self.back_since.is_none_or(|since| since.elapsed() >= Backoff::LAST) =>
            {
                // When it fails there is an outage.
                let _ = self.restore();
            }
            Err(error) => self.lose(error.to_string()),
        }
    }

    /// Who speaks has come, even if nobody has looked since.
    fn greet(&mut self, messages: &[Message]) {
        let (Some(user), Some(room)) = (&self.user, &mut self.room) else { return };
        let mut came = Vec::new();
        for origin in messages.iter().map(|message| &message.origin) {
            if !is_same_name(origin, &user.name)
                && let Err(place) = room.members.binary_search(origin)
            {
                room.members.insert(place, origin.clone());
                came.push(origin.clone());
            }
        }
        if !came.is_empty() {
            self.tell(Event::Presence { came, went: Vec::new() });
        }
    }

    /// Shows what was said, without what is shown as a draft already.
    fn show(&mut self, messages: Vec<Message>, missed: u64) {
        if missed > 0 {
            self.tell(Event::Missed { count: missed });
        }
        for message in messages {
            let is_own = self.user.as_ref().is_some_and(|user| is_same_name(&user.name, &message.origin));
            match if is_own { self.outbox.hear(&message) } else { Echo::Foreign } {
                Echo::Known => {}
                Echo::Confirms(draft) => self.tell(Event::Confirmed { draft }),
                Echo::Foreign => self.tell(Event::Message(message)),
            }
        }
    }

    /// Looks who is in the room.
    fn look(&mut self, now: Instant) {
        let Some(room) = &mut self.room else { return };
        let name = room.name.clone();
        room.look_at = now + PRESENCE;
        let Ok(users) = self.call(|api| api.list_users(&name)) else { return };
        let (Some(user), Some(room)) = (&self.user, &mut self.room) else { return };
        let times = 1 + u32::try_from(users.len()).unwrap_or(u32::MAX) / PRESENCE_USERS;
        room.look_at = now + PRESENCE * times;
        let members = sorted(users);
        let missing = |ours: &[String], theirs: &[String]| -> Vec<String> {
            let is_missing = |name: &&String| theirs.binary_search(name).is_err() && !is_same_name(name, &user.name);
            ours.iter().filter(is_missing).cloned().collect()
        };
        let (came, went) = (missing(&members, &room.members), missing(&room.members, &members));
        room.members = members;
        if !came.is_empty() || !went.is_empty() {
            self.tell(Event::Presence { came, went });
        }
    }

    /// Tries to end the outage. Answers whether the session goes on.
    fn attempt(&mut self, now: Instant) -> bool {
        let outcome = self.locate().and_then(|server| {
            if let Some(user) = &self.user
                && user.server != server
            {
                self.user = Some(self.open(server, &user.name)?);
            }
            self.come_back()
        });
        let Err(error) = outcome else { return true };
        debug!("cannot come back: {}", crate::sanitize::Sanitized(&error.to_string()));
        let Some(outage) = &mut self.outage else { return true };
        // Other refusals pass, such as too many registrations at a time.
        let is_final = matches!(&error, SessionError::Refused(fault)
            if matches!(fault.code, Fault::NAME_IN_USE | Fault::BAD_NAME | Fault::NOT_AUTHORISED));
        let since = is_final.then(|| *outage.refused_since.get_or_insert(now));
        outage.refused_since = since;
        if let SessionError::Refused(fault) = &error
            && since.is_some_and(|since| now.saturating_duration_since(since) >= REFUSED_FOR)
        {
            for letter in self.outbox.take() {
                self.tell(Event::Refused { draft: letter.draft, text: letter.text, fault: fault.clone() });
            }
            self.tell(Event::Ended { cause: error.to_string() });
            return false;
        }
        self.retry_later();
        true
    }

    /// Registers and joins again where the connection is fine, but the server does not know the user or the room.
    fn restore(&mut self) -> Result<(), SessionError> {
        self.come_back().inspect_err(|error| self.lose(error.to_string()))
    }

    /// Registers, joins, and goes on from where the room was read to.
    fn come_back(&mut self) -> Result<(), SessionError> {
        let Some(user) = &mut self.user else { return Err(SessionError::Ended) };
        let api = user.api.clone();
        match api.register_user() {
            Ok(()) => user.key.keep(),
            // The original's server knows the user still, and no sessions to resume. Whether it does, joining tells.
            Err(CallError::Fault(fault)) if fault.code == UNNUMBERED => {}
            Err(error) => return Err(error.into()),
        }
        let Some(room) = &self.room else {
            self.recovered(0);
            return Ok(());
        };
        let name = room.name.clone();
        let (joined, was_gone) = match api.join_room(&name) {
            Err(CallError::Fault(fault)) if matches!(fault.code, Fault::NO_SUCH_ROOM | UNNUMBERED) => {
                match api.create_room(&name) {
                    // Somebody else was faster.
                    Err(CallError::Fault(fault)) if matches!(fault.code, Fault::ROOM_EXISTS | UNNUMBERED) => {}
                    created => created?,
                }
                (api.join_room(&name)?, true)
            }
            joined => (joined?, false),
        };
        let is_other = was_gone || Self::is_other(&api, room, joined.last_id, &joined.messages)?;
        let position = if is_other { Position::start(joined.last_id.is_some()) } else { room.position.clone() };
        let Batch { messages, missed, position } = fetch(&api, &name, position, Duration::ZERO)?;

        // From here on nothing can fail.
        if is_other {
            self.outbox.forget_echoes();
            self.tell(Event::Forgotten { room: name });
        }
        if let Some(room) = &mut self.room {
            room.position = position;
            // By then the others are back too.
            room.look_at = Instant::now() + PRESENCE;
        }
        let others =
            |message: &&Message| !self.user.as_ref().is_some_and(|user| is_same_name(&user.name, &message.origin));
        self.recovered(messages.iter().filter(others).count());
        self.show(messages, missed);
        self.outbox.settle();
        self.listen();
        Ok(())
    }

    /// Whether a room of this name is another one than that which was read.
    fn is_other(api: &Api, room: &Room, last_id: Option<u64>, newest: &[Message]) -> Result<bool, CallError> {
        let verdict = match (&room.position, last_id) {
            (Position::Numbered(cursor), Some(last_id)) => match cursor.judge(last_id, newest) {
                Verdict::Unknown => cursor.judge(last_id, &api.receive_messages(&room.name)?),
                verdict => verdict,
            },
            (Position::Stamped(overlap), None) => {
                overlap.judge(&api.receive_new_messages(&room.name, &overlap.asks_from())?)
            }
            // A server of the other kind.
            _ => Verdict::Other,
        };
        // What even all kept messages do not tell makes no difference: all of them are past the position.
        Ok(verdict == Verdict::Other)
    }

    /// The outage is over, if there was one.
    fn recovered(&mut self, caught_up: usize) {
        self.back_since = Some(Instant::now());
        if self.outage.take().is_some() {
            self.tell(Event::Back { caught_up });
        }
    }

    /// Sends what there is, at most until `deadline`, and unregisters.
    fn close(&mut self, deadline: Instant) -> Unsent {
        while !self.outbox.is_empty() && Instant::now() < deadline {
            self.send_next();
            let due = if self.outbox.is_empty() { Instant::now() } else { self.due().min(deadline) };
            // News may confirm what is in doubt.
            if let Ok(news) = self.news.recv_deadline(due) {
                self.heard(news);
            }
            if !self.keep_up(Instant::now()) {
                break;
            }
        }
        let unregistered = self.api().map(|api| api.within(UNREGISTERING).unregister_user());
        if let Some(user) = self.user.take()
            && matches!(unregistered, Ok(Ok(())))
        {
            user.key.forget();
        }
        self.outbox.take().into_iter().map(|letter| letter.text).collect()
    }
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names.dedup();
    names
}

/// Without random numbers, pauses are not shortened.
fn random() -> u8 {
    crate::random::bytes::<1>().map_or(0, |[byte]| byte)
}
