//! The thread that owns a session.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, never, select};

use super::super::api::{Api, Capabilities};
use super::super::event::{Event, is_same_name};
use super::super::secret::ActiveSecret;
use super::backoff::Backoff;
use super::outbox::Outbox;
use super::receive::JoinedRoom;
use super::unshown::Unshown;
use super::{SessionConfig, Unsent};
use crate::endpoint::Endpoint;
use crate::rpc::CallError;

/// The interval of checking whether a full screen shows events again.
const UNSHOWN_PAUSE: Duration = Duration::from_secs(1);
/// The longest that unregistering may take.
const UNREGISTERING: Duration = Duration::from_secs(2);

/// Work for the thread that owns the session.
pub(super) type Task = Box<dyn FnOnce(&mut Worker) + Send>;

/// A request to a session.
pub(super) enum SessionRequest {
    /// Work to do at once.
    AtOnce(Task),
    /// Work to do after everything typed before was sent, or in an outage.
    InOrder(Task),
}

/// The registered user, and the connection.
pub(super) struct Login {
    pub(super) name: String,
    pub(super) server: Endpoint,
    pub(super) capabilities: Capabilities,
    pub(super) secret: ActiveSecret,
    pub(super) api: Api,
}

impl Login {
    pub(super) fn new(name: String, server: Endpoint, capabilities: Capabilities, secret: ActiveSecret) -> Self {
        let api = Api::new(&server, &capabilities, &name, secret.secret());
        Self { name, server, capabilities, secret, api }
    }
}

/// The time without a connection.
pub(super) struct Outage {
    /// The time of the next attempt.
    pub(super) next: Instant,
    /// The time when a server began to refuse to have the user back.
    pub(super) refused_since: Option<Instant>,
}

pub(super) struct Worker {
    pub(super) config: SessionConfig,
    requests: Receiver<SessionRequest>,
    unshown: Unshown,
    pub(super) login: Option<Login>,
    /// If set, another program had registered the user, who stays registered when this session ends.
    pub(super) is_resumed: bool,
    pub(super) room: Option<JoinedRoom>,
    pub(super) outage: Option<Outage>,
    pub(super) backoff: Backoff,
    /// The time when the session last came back.
    pub(super) back_since: Option<Instant>,
    pub(super) outbox: Outbox,
    /// Work that has to wait until everything typed before it was sent.
    after_outbox: VecDeque<Task>,
    is_closed: bool,
}

impl Worker {
    /// Returns a worker whose messages have keys that begin with `session`.
    pub(super) fn new(
        config: SessionConfig,
        session: String,
        requests: Receiver<SessionRequest>,
        events: Sender<Event>,
    ) -> Self {
        Self {
            config,
            requests,
            unshown: Unshown::new(events),
            login: None,
            is_resumed: false,
            room: None,
            outage: None,
            backoff: Backoff::new(),
            back_since: None,
            outbox: Outbox::new(session),
            after_outbox: VecDeque::new(),
            is_closed: false,
        }
    }

    pub(super) fn run(mut self) {
        loop {
            self.send_next();
            if self.outbox.is_empty() || self.outage.is_some() {
                while let Some(task) = self.after_outbox.pop_front() {
                    task(&mut self);
                }
            }
            let mut pause = self.due().saturating_duration_since(Instant::now());
            // The terminal may have been stopped.
            let is_full = self.unshown.is_full();
            if is_full {
                pause = pause.min(UNSHOWN_PAUSE);
            }
            select! {
                recv(self.requests) -> request => match request {
                    Ok(SessionRequest::AtOnce(task)) => task(&mut self),
                    Ok(SessionRequest::InOrder(task)) => self.after_outbox.push_back(task),
                    Err(_) => return,
                },
                recv(if is_full { never() } else { self.reports() }) -> report => {
                    // A listener that panicked sends no report.
                    let stopped = |_| Err(CallError::NoAnswer("the listener has stopped".into()));
                    self.take_report(report.unwrap_or_else(stopped));
                }
                default(pause) => {}
            }
            if self.is_closed || !self.keep_up(Instant::now()) {
                return;
            }
        }
    }

    fn unregister(&mut self) {
        let unregistered = self.api().map(|api| api.with_timeout(UNREGISTERING).unregister_user());
        if let Some(login) = self.login.take()
            && matches!(unregistered, Ok(Ok(())))
        {
            login.secret.forget();
        }
    }

    /// Returns whether `name` is the user's own.
    pub(super) fn is_user(&self, name: &str) -> bool {
        self.login.as_ref().is_some_and(|login| is_same_name(&login.name, name))
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.unshown.send(event);
    }

    /// Returns when there is something to do even if nothing happens.
    fn due(&self) -> Instant {
        let now = Instant::now();
        let idle = now + Duration::from_secs(3600);
        if let Some(outage) = &self.outage {
            return outage.next;
        }
        let outbox = if self.outbox.is_empty() { None } else { Some(self.outbox.due().unwrap_or(now)) };
        let look = self.room.as_ref().and_then(|room| room.members.look_at);
        outbox.into_iter().chain(look).min().unwrap_or(idle)
    }

    /// Does the work that is due. Returns whether the session continues.
    fn keep_up(&mut self, now: Instant) -> bool {
        match &self.outage {
            Some(outage) if outage.next <= now => self.attempt(now),
            Some(_) => true,
            None => {
                if self.room.as_ref().and_then(|room| room.members.look_at).is_some_and(|look_at| look_at <= now) {
                    self.look(now);
                }
                true
            }
        }
    }

    /// Sends typed messages until `deadline` at most, unregisters a user whom this session has registered, and ends.
    pub(super) fn close(&mut self, deadline: Instant) -> Unsent {
        self.is_closed = true;
        while !self.outbox.is_empty() && Instant::now() < deadline {
            self.send_next();
            let due = if self.outbox.is_empty() { Instant::now() } else { self.due().min(deadline) };
            // A report may confirm a message whose reply was lost.
            if let Ok(report) = self.reports().recv_deadline(due) {
                self.take_report(report);
            }
            if !self.keep_up(Instant::now()) {
                break;
            }
        }
        if !self.is_resumed {
            self.unregister();
        }
        self.outbox.take().into_iter().map(|draft| draft.text).collect()
    }
}
