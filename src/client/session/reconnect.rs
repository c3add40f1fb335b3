//! Finding the server, and coming back to it after a loss of the connection.

use std::fmt;
use std::time::{Duration, Instant};

use log::debug;

use super::super::api::{self, Api, Capabilities, Joined, UNNUMBERED};
use super::super::event::Event;
use super::super::secret::{ActiveSecret, Secrets};
use super::backoff::Backoff;
use super::listener::{Fetched, fetch};
use super::position::ResumePosition;
use super::receive::{JoinedRoom, join_or_create};
use super::worker::{Login, Outage, Worker};
use super::{Discovery, SessionError};
use crate::endpoint::Endpoint;
use crate::rpc::{CallError, Fault};

/// After a connection shorter than this, retry pauses keep growing.
const STABLE: Duration = Duration::from_secs(20);
/// The time for which a server may refuse to have the user back before the session gives up.
const REFUSED_FOR: Duration = Duration::from_secs(120);

impl Worker {
    /// Returns the address of the server.
    fn locate(&mut self) -> Result<Endpoint, SessionError> {
        let discovery = (self.config.discover)().map_err(|failure| SessionError::Unreachable(failure.to_string()))?;
        let binder = match discovery {
            Discovery::Server(server) => return Ok(server),
            Discovery::Binder(binder) => binder,
        };
        let error = match api::look_up(&binder) {
            Ok(Some(server)) => return Ok(server),
            Ok(None) => api::out_of_reach(&binder).map_or(SessionError::NobodyOffers, SessionError::OutOfReach),
            Err(CallError::Fault(fault)) if fault.code == Fault::NO_SUCH_PROCEDURE => SessionError::NotABinder(binder),
            Err(error) => SessionError::Unreachable(format!("the binder at {binder}: {error}")),
        };
        // A binder that is away, or was restarted and does not know the server yet, is no reason to give the server up.
        self.login.as_ref().map(|login| login.server.clone()).ok_or(error)
    }

    /// Returns the secret of `name` at a server.
    fn secret(&self, server: &Endpoint, capabilities: &Capabilities, name: &str) -> Result<ActiveSecret, SessionError> {
        let opened = self.config.secrets.open(server, capabilities.server_id.as_deref(), name);
        opened.map_err(|failure| SessionError::Unreachable(failure.to_string()))
    }

    pub(super) fn register(&mut self, name: String) -> Result<(), SessionError> {
        let server = self.locate()?;
        let unreachable = |error| SessionError::Unreachable(format!("the server at {server}: {error}"));
        let capabilities = Capabilities::ask(&server).map_err(unreachable)?;
        let secret = self.secret(&server, &capabilities, &name)?;
        // Another program can have registered the user with a secret that the user gives, but not with a kept one, which is
        // locked. Only servers with an id resume sessions.
        let is_given = matches!(self.config.secrets, Secrets::Given(_)) && capabilities.server_id.is_some();
        let mut login = Login::new(name, server.clone(), capabilities, secret);
        self.is_resumed = is_given && login.api.is_registered();
        login.api.register_user().map_err(|error| match error {
            CallError::Fault(fault) => SessionError::Refused(fault),
            error => unreachable(error),
        })?;
        login.secret.keep();
        self.set_login(login);
        Ok(())
    }

    /// Continues at `server`, which may be another one than before, or another version of it.
    fn move_to(&mut self, server: Endpoint) -> Result<(), SessionError> {
        let capabilities = Capabilities::ask(&server)?;
        let Some(login) = &self.login else { return Err(SessionError::Ended) };
        let is_same = match (&login.capabilities.server_id, &capabilities.server_id) {
            (None, None) => login.server == server,
            (before, now) => before == now,
        };
        let name = login.name.clone();
        // The same server gets the same secret, even if its address is another one.
        let other = if is_same { None } else { Some(self.secret(&server, &capabilities, &name)?) };
        let Some(secret) = other.or_else(|| Some(self.login.take()?.secret)) else { return Err(SessionError::Ended) };
        self.set_login(Login::new(name, server, capabilities, secret));
        Ok(())
    }

    fn set_login(&mut self, login: Login) {
        let Capabilities { takes_keys, message_rate, .. } = login.capabilities;
        self.outbox.adapt(takes_keys, message_rate, Instant::now());
        self.login = Some(login);
    }

    /// Calls the server. If it does not know the user any more, they come back first. A broken connection begins an outage.
    pub(super) fn call<T>(&mut self, call: impl Fn(&Api) -> Result<T, CallError>) -> Result<T, SessionError> {
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
                self.lose(&error);
                SessionError::Unreachable(error.to_string())
            }
        })
    }

    /// Returns whether the server refuses because it does not know the user any more. The original's server has one refusal for
    /// everything. There the user was forgotten if they can be registered.
    pub(super) fn is_forgotten(&self, fault: &Fault) -> bool {
        match fault.code {
            Fault::NO_SUCH_USER => true,
            UNNUMBERED => self.api().is_ok_and(|api| api.register_user().is_ok()),
            _ => false,
        }
    }

    /// Returns the calls of the registered user, or an error without a connection.
    pub(super) fn api(&self) -> Result<Api, SessionError> {
        match &self.login {
            Some(login) if self.outage.is_none() => Ok(login.api.clone()),
            _ => Err(SessionError::Unreachable("not connected".into())),
        }
    }

    /// Begins an outage, unless there is one.
    pub(super) fn lose(&mut self, cause: &dyn fmt::Debug) {
        if self.outage.is_some() {
            return;
        }
        debug!("connection lost: {cause:?}");
        if let Some(room) = &mut self.room {
            room.listener = None;
        }
        let now = Instant::now();
        if self.back_since.is_none_or(|since| now.saturating_duration_since(since) >= STABLE) {
            self.backoff = Backoff::new();
        }
        self.outage = Some(Outage { next: now, refused_since: None });
        self.tell(Event::Lost);
        self.retry_later();
    }

    fn retry_later(&mut self) {
        let pause = self.backoff.pause(random());
        if let Some(outage) = &mut self.outage {
            outage.next = Instant::now() + pause;
            self.tell(Event::Retrying { pause });
        }
    }

    /// Tries to end the outage. Returns whether the session goes on.
    pub(super) fn attempt(&mut self, now: Instant) -> bool {
        let outcome = self.locate().and_then(|server| self.move_to(server)).and_then(|()| self.come_back());
        let Err(error) = outcome else { return true };
        debug!("cannot come back: {error:?}");
        let Some(outage) = &mut self.outage else { return true };
        // Other refusals pass, such as too many registrations at a time.
        let is_final = matches!(&error, SessionError::Refused(fault)
            if matches!(fault.code, Fault::NAME_IN_USE | Fault::BAD_NAME | Fault::NOT_AUTHORISED));
        let since = is_final.then(|| *outage.refused_since.get_or_insert(now));
        outage.refused_since = since;
        if let SessionError::Refused(fault) = &error
            && since.is_some_and(|since| now.saturating_duration_since(since) >= REFUSED_FOR)
        {
            for draft in self.outbox.take() {
                self.tell(Event::Refused { draft, fault: fault.clone() });
            }
            self.tell(Event::Ended { error });
            return false;
        }
        self.retry_later();
        true
    }

    /// Registers and joins again where the connection is fine, but the server does not know the user or the room.
    pub(super) fn restore(&mut self) -> Result<(), SessionError> {
        self.come_back().inspect_err(|error| self.lose(error))
    }

    /// Registers, joins, and continues where the room was read to.
    fn come_back(&mut self) -> Result<(), SessionError> {
        let Some(login) = &mut self.login else { return Err(SessionError::Ended) };
        let api = login.api.clone();
        // The program that had registered the user may have unregistered them.
        self.is_resumed = self.is_resumed && api.is_registered();
        match api.register_user() {
            Ok(()) => login.secret.keep(),
            // The original's server may still know the user, and cannot resume a session. Joining shows whether it does.
            Err(CallError::Fault(fault)) if fault.code == UNNUMBERED => {}
            Err(error) => return Err(error.into()),
        }
        let Some(room) = &self.room else {
            self.recovered(0);
            return Ok(());
        };
        let name = room.name.clone();
        let (joined, _) = join_or_create(&api, &name)?;
        let is_other = Self::is_other(&api, room, &joined)?;
        let position = if is_other { ResumePosition::start(&joined) } else { room.position.clone() };
        let Fetched { news, position } = fetch(&api, &name, position)?;

        // From here on nothing can fail.
        if is_other {
            self.outbox.forget_echoes();
            self.tell(Event::Forgotten { room: name });
        }
        if let Some(room) = &mut self.room {
            room.position = position;
            room.members.came_back(Instant::now());
        }
        self.recovered(news.messages.iter().filter(|message| !self.is_user(&message.origin)).count());
        self.show(news.messages, news.missed);
        self.outbox.clear_doubt();
        self.listen();
        Ok(())
    }

    /// Returns whether the room that was joined is another one than the room that was read.
    fn is_other(api: &Api, room: &JoinedRoom, joined: &Joined) -> Result<bool, CallError> {
        Ok(match (&room.position, joined.last_id) {
            (ResumePosition::Numbered(cursor), Some(last_id)) => !cursor.is_of(joined.room_id.as_deref(), last_id),
            (ResumePosition::Stamped(overlap), None) => {
                !overlap.is_of(&api.receive_new_messages(&room.name, &overlap.asks_from())?)
            }
            // It is a server of the other kind.
            _ => true,
        })
    }

    /// Ends the outage, if there is one.
    fn recovered(&mut self, caught_up: usize) {
        self.back_since = Some(Instant::now());
        if self.outage.take().is_some() {
            self.tell(Event::Back { caught_up });
        }
    }
}

/// Returns a random number, or 0 if the system has none.
fn random() -> u8 {
    crate::random::bytes::<1>().map_or(0, |[byte]| byte)
}
