//! The room that the user is in: joining and leaving it, its messages, and its members.

use std::collections::VecDeque;
use std::time::Instant;

use super::super::api::{Api, Joined, UNNUMBERED};
use super::super::event::{Event, Message, is_same_name};
use crossbeam_channel::{Receiver, never};

use super::SessionError;
use super::backoff::Backoff;
use super::listener::{Fetched, Listener, ListenerReport};
use super::outbox::Echo;
use super::position::ResumePosition;
use super::presence::Members;
use super::worker::Worker;
use crate::rpc::{CallError, Fault};

/// The most messages that are remembered as shown: as many as a server remembers keys of one user.
const RECENT: usize = 256;

/// The room that the user is in.
pub(super) struct JoinedRoom {
    pub(super) name: String,
    pub(super) position: ResumePosition,
    pub(super) members: Members,
    /// Authors and keys of the newest messages. After a restart without its memory, a server gets unconfirmed messages again,
    /// which may have been shown here before.
    recent: VecDeque<(String, String)>,
    /// `None` while there is no connection.
    pub(super) listener: Option<Listener>,
}

impl JoinedRoom {
    /// Returns whether a message was shown before, and remembers it.
    fn has_shown(&mut self, message: &Message) -> bool {
        let Some(key) = &message.key else { return false };
        if self.recent.iter().any(|(author, shown)| *author == message.origin && shown == key) {
            return true;
        }
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((message.origin.clone(), key.clone()));
        false
    }
}

/// Joins a room, which is created if there is none. Returns whether it was created.
pub(super) fn join_or_create(api: &Api, room: &str) -> Result<(Joined, bool), CallError> {
    match api.join_room(room) {
        Err(CallError::Fault(fault)) if matches!(fault.code, Fault::NO_SUCH_ROOM | UNNUMBERED) => {
            let is_new = match api.create_room(room) {
                // Somebody else was faster.
                Err(CallError::Fault(fault)) if matches!(fault.code, Fault::ROOM_EXISTS | UNNUMBERED) => false,
                created => created.map(|()| true)?,
            };
            Ok((api.join_room(room)?, is_new))
        }
        joined => Ok((joined?, false)),
    }
}

impl Worker {
    pub(super) fn join(&mut self, name: String) -> Result<(), SessionError> {
        let (joined, is_new) = self.call(|api| join_or_create(api, &name))?;
        if is_new {
            self.tell(Event::Created { room: name.clone() });
        }
        let is_here = self.room.as_ref().is_some_and(|room| is_same_name(&room.name, &name));
        if is_here {
            // Its messages have been shown, and new ones come by the listener.
            self.tell(Event::Joined { room: name, users: joined.users, messages: Vec::new() });
            return Ok(());
        }
        self.outbox.forget_echoes();
        let mut room = JoinedRoom {
            name: name.clone(),
            position: ResumePosition::after(&joined),
            members: Members::new(joined.users.clone(), Instant::now()),
            recent: VecDeque::new(),
            listener: None,
        };
        let messages = joined.messages.into_iter().filter(|message| !room.has_shown(message)).collect();
        self.room = Some(room);
        self.tell(Event::Joined { room: name, users: joined.users, messages });
        self.listen();
        Ok(())
    }

    pub(super) fn leave(&mut self) -> Result<(), SessionError> {
        if self.room.is_none() {
            return Err(SessionError::InNoRoom);
        }
        let outcome = self.call(Api::leave_room);
        // The server may have removed the user by itself, which serves as well.
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

    pub(super) fn users(&mut self, room: Option<String>) -> Result<Vec<String>, SessionError> {
        let joined = || self.room.as_ref().map(|room| room.name.clone());
        let room = room.or_else(joined).ok_or(SessionError::InNoRoom)?;
        self.call(|api| api.list_users(&room))
    }

    pub(super) fn history(&mut self, count: usize) -> Result<Vec<Message>, SessionError> {
        let room = self.room.as_ref().ok_or(SessionError::InNoRoom)?;
        let (name, room_id) = (room.name.clone(), room.position.room_id().map(str::to_owned));
        let mut messages = self.call(|api| api.receive_messages(&name, room_id.as_deref()))?;
        messages.drain(..messages.len().saturating_sub(count));
        Ok(messages)
    }

    /// Starts to wait for messages from the room's position on.
    pub(super) fn listen(&mut self) {
        let (Some(login), Some(room)) = (&self.login, &mut self.room) else { return };
        match Listener::start(login.api.clone(), room.name.clone(), room.position.clone()) {
            Ok(listener) => room.listener = Some(listener),
            Err(error) => self.lose(&error),
        }
    }

    /// Returns the channel of the listener's reports, which stays empty without a listener.
    pub(super) fn reports(&self) -> Receiver<ListenerReport> {
        let listener = self.room.as_ref().and_then(|room| room.listener.as_ref());
        listener.map_or_else(never, |listener| listener.reports.clone())
    }

    /// Handles a report of the listener.
    pub(super) fn take_report(&mut self, report: ListenerReport) {
        let Some(room) = &mut self.room else { return };
        match report {
            Ok(Fetched { news, position }) => {
                room.position = position;
                self.note_presence(news.presence, &news.messages);
                self.show(news.messages, news.missed);
            }
            // The original's server has no codes.
            Err(CallError::Fault(fault))
                if matches!(
                    fault.code,
                    Fault::NO_SUCH_USER | Fault::NO_SUCH_ROOM | Fault::NOT_IN_ROOM | UNNUMBERED
                ) && self.back_since.is_none_or(|since| since.elapsed() >= Backoff::LAST) =>
            {
                // If this fails, an outage has begun.
                let _ = self.restore();
            }
            Err(error) => self.lose(&error),
        }
    }

    /// Shows messages, except those that were shown before, as drafts or otherwise.
    pub(super) fn show(&mut self, messages: Vec<Message>, missed: u64) {
        if missed > 0 {
            self.tell(Event::Missed { count: missed });
        }
        for message in messages {
            match if self.is_user(&message.origin) { self.outbox.match_echo(&message) } else { Echo::Foreign } {
                Echo::Known => {}
                Echo::Confirms(draft) => self.tell(Event::Confirmed(draft)),
                Echo::Foreign if self.room.as_mut().is_some_and(|room| room.has_shown(&message)) => {}
                Echo::Foreign => self.tell(Event::Message(message)),
            }
        }
    }
}
