//! The members of the room that the user is in.

use std::time::{Duration, Instant};

use super::super::api::PresenceNews;
use super::super::event::{Event, Message, is_same_name};
use super::worker::Worker;

/// The interval of asking for the members of a small room, if the server does not report changes.
const INTERVAL: Duration = Duration::from_secs(10);
/// Users per [`INTERVAL`] added to the interval.
const USERS: u32 = 100;
/// The time for others to come back after an outage. Until it is over, nobody is reported to have left.
const RETURN: Duration = Duration::from_secs(10);

/// The most members that are known: more than a server of ours lets into a room.
const MAX_MEMBERS: usize = 20_000;

/// The known members of a room.
#[derive(Debug)]
pub(super) struct Members {
    /// Sorted; a set would add 8 KB of code.
    names: Vec<String>,
    /// If set, the server reports every change.
    is_told: bool,
    /// The time to ask for them; `None` if the server reports every change.
    pub(super) look_at: Option<Instant>,
}

impl Members {
    pub(super) fn new(names: Vec<String>, now: Instant) -> Self {
        Self { names: sorted(names), is_told: false, look_at: Some(now + INTERVAL) }
    }

    /// Gives the others time to come back too.
    pub(super) fn came_back(&mut self, now: Instant) {
        self.look_at = Some(now + RETURN);
    }

    fn add(&mut self, name: &str) -> bool {
        match self.names.binary_search_by(|member| member.as_str().cmp(name)) {
            Err(index) if self.names.len() < MAX_MEMBERS => {
                self.names.insert(index, name.to_owned());
                true
            }
            _ => false,
        }
    }

    fn remove(&mut self, name: &str) -> bool {
        let found = self.names.binary_search_by(|member| member.as_str().cmp(name));
        found.map(|index| self.names.remove(index)).is_ok()
    }
}

impl Worker {
    /// Records news about the members, and reports the changes. `messages` came with it.
    pub(super) fn note_presence(&mut self, presence: PresenceNews, messages: &[Message]) {
        let now = Instant::now();
        let Some(members) = self.room.as_mut().map(|room| &mut room.members) else { return };
        let (mut came, mut went) = (Vec::new(), Vec::new());
        match presence {
            PresenceNews::Untold => {
                if std::mem::take(&mut members.is_told) {
                    members.look_at = Some(now);
                }
                // Their authors are there, even if nobody has asked since.
                came.extend(messages.iter().map(|message| message.origin.clone()));
            }
            PresenceNews::Unchanged => {}
            PresenceNews::Members(names) => {
                let is_returning = self.back_since.is_some_and(|since| now < since + RETURN);
                members.is_told = true;
                if is_returning {
                    came = names;
                } else {
                    members.look_at = None;
                    return self.replace_members(names);
                }
            }
            PresenceNews::Joined(name) => came.push(name),
            PresenceNews::Left(name) => went.push(name),
        }
        let Some(login) = &self.login else { return };
        came.retain(|name| !is_same_name(name, &login.name) && members.add(name));
        went.retain(|name| members.remove(name));
        self.tell_presence(came, went);
    }

    /// Asks for the members of the room, and reports the changes.
    pub(super) fn look(&mut self, now: Instant) {
        let Some(room) = &mut self.room else { return };
        let name = room.name.clone();
        room.members.look_at = Some(now + INTERVAL);
        let Ok(users) = self.call(|api| api.list_users(&name)) else { return };
        if let Some(room) = &mut self.room {
            let times = 1 + u32::try_from(users.len()).unwrap_or(u32::MAX) / USERS;
            room.members.look_at = (!room.members.is_told).then(|| now + INTERVAL * times);
        }
        self.replace_members(users);
    }

    /// Replaces the members by `names`, and reports the changes.
    fn replace_members(&mut self, names: Vec<String>) {
        let (Some(login), Some(room)) = (&self.login, &mut self.room) else { return };
        let names = sorted(names);
        let missing = |ours: &[String], theirs: &[String]| -> Vec<String> {
            let is_missing = |name: &&String| theirs.binary_search(name).is_err() && !is_same_name(name, &login.name);
            ours.iter().filter(is_missing).cloned().collect()
        };
        let (came, went) = (missing(&names, &room.members.names), missing(&room.members.names, &names));
        room.members.names = names;
        self.tell_presence(came, went);
    }

    fn tell_presence(&mut self, came: Vec<String>, went: Vec<String>) {
        if !came.is_empty() || !went.is_empty() {
            self.tell(Event::Presence { came, went });
        }
    }
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names.dedup();
    names
}
