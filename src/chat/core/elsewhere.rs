//! The users of other servers of the same chat: when they were last heard of there.

use std::time::{Duration, Instant};

use super::super::entry::PersonId;
use super::super::state::State;
use super::super::waits::{Delivery, Ticket};
use super::{Core, Presence};

impl<T: Ticket> Core<T> {
    /// Returns how long ago each user was heard of in this process, by a call or because one waits or
    /// reads a stream of events, if within `time`.
    pub(in super::super) fn heard(&self, time: Duration, now: Instant) -> Vec<(PersonId, Duration)> {
        let heard = self.state.users().filter_map(|(id, user)| {
            if self.waits_or_reads(id, user) {
                return Some((id, Duration::ZERO));
            }
            let ago = now.saturating_duration_since(self.presence.get(&id)?.last_call);
            (ago <= time).then_some((id, ago))
        });
        heard.collect()
    }

    /// Notes how long ago users were heard of at another server.
    pub(in super::super) fn heard_elsewhere(&mut self, heard: &[(PersonId, Duration)], now: Instant) {
        for (person, ago) in heard {
            if let Some(presence) = self.presence.get_mut(person) {
                presence.elsewhere = presence.elsewhere.max(Some(now.checked_sub(*ago).unwrap_or(now)));
            }
        }
    }

    /// Takes another durable state, which others have made of what this one has and perhaps more. Returns the waits that
    /// end with it.
    pub(in super::super) fn replace(&mut self, state: State, now: Instant) -> Vec<Delivery<T>> {
        let ended = self.waits.end_all(&self.state);
        self.state = state;
        let mut earlier = std::mem::take(&mut self.presence);
        let mut presence = |id| earlier.remove(&id).unwrap_or_else(|| Presence::new(now));
        self.presence = self.state.users().map(|(id, _)| (id, presence(id))).collect();
        let used = &self.used;
        self.used = self.state.rooms().map(|room| (room.id, used.get(&room.id).copied().unwrap_or(now))).collect();
        ended
    }
}
