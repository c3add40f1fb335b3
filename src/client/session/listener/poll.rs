//! Calls from time to time, at the original's server.

use std::time::Duration;

use super::super::super::api::Api;
use super::super::position::{Overlap, Position};
use super::{Fetched, Presence, Way};
use crate::rpc::CallError;

/// How often the server is asked.
pub(super) const POLL: Duration = Duration::from_secs(2);

pub(super) struct Polling {
    api: Api,
    room: String,
    overlap: Overlap,
}

impl Polling {
    pub(super) fn new(api: Api, room: String, overlap: Overlap) -> Self {
        Self { api, room, overlap }
    }
}

impl Way for Polling {
    fn next(&mut self) -> Result<Option<Fetched>, CallError> {
        fetch(&self.api, &self.room, &mut self.overlap).map(Some)
    }

    fn pause(&self) -> Duration {
        POLL
    }
}

/// Fetches the messages past `overlap`, and moves it past them.
pub(super) fn fetch(api: &Api, room: &str, overlap: &mut Overlap) -> Result<Fetched, CallError> {
    let later = api.receive_new_messages(room, &overlap.asks_from())?;
    let messages = overlap.advance(later);
    let position = Position::Stamped(overlap.clone());
    Ok(Fetched { messages, missed: 0, position, presence: Presence::Untold })
}
