//! `GET /events`: from the request to the open stream.

use std::sync::Arc;
use std::time::Instant;

use super::Chat;
use super::name::{RoomName, UserName};
use super::refusal::Refusal;
use super::streams::{Position, Reader, RoomEvent, end};
use crate::rpc::{Caller, Opener, StreamRequest, Streams};

/// Gives back what an open stream takes, when it has ended.
struct Open {
    chat: Arc<Chat>,
    reader: Reader,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.chat.core.lock().stream_ended(self.reader, Instant::now());
    }
}

/// The parameters of a request for a stream.
struct Subscription {
    name: UserName,
    room: RoomName,
    after: Option<Position>,
}

impl Subscription {
    /// Reads a request. Browsers send the header by themselves when they come back, and it is newer than the parameter.
    fn read(request: &StreamRequest) -> Result<Self, (u16, String)> {
        let text = |name: &str| {
            let missing = || (400, format!("the query must have {name}, percent-encoded in UTF-8\n"));
            request.parameter(name).ok_or_else(missing)
        };
        let name = UserName::parse(&text("username")?).map_err(|error| (404, format!("{error}\n")))?;
        let room = RoomName::parse(&text("room")?).map_err(|error| (404, format!("{error}\n")))?;
        let after = request.last_event_id.clone().or_else(|| request.parameter("after"));
        let read = |text: String| Position::parse(&text).ok_or((400, "a position must be ROOM_ID:ID\n".to_owned()));
        let after = after.filter(|text| !text.is_empty()).map(read).transpose()?;
        Ok(Self { name, room, after })
    }
}

/// Returns the status of a refusal.
fn status(refusal: &Refusal) -> u16 {
    match refusal {
        Refusal::NotAuthorised(_) => 403,
        Refusal::NoSuchUser | Refusal::NoSuchRoom => 404,
        Refusal::NotInRoom => 409,
        Refusal::Limit { .. } | Refusal::TooFast { .. } => 429,
        _ => 503,
    }
}

impl Chat {
    /// Opens a stream of events, or refuses it.
    pub(super) fn subscribe(self: &Arc<Self>, caller: &Caller, request: &StreamRequest, opener: Opener) {
        let Subscription { name, room, after } = match Subscription::read(request) {
            Ok(wish) => wish,
            Err((status, text)) => return opener.refuse(status, &text),
        };
        if let Err(refusal) = self.catch_up(&room, after.as_ref().map_or(0, |position| position.id)) {
            return opener.refuse(status(&refusal), &format!("{refusal}\n"));
        }
        self.streams.wait_for_room();
        let mut opener = Some(opener);
        let refused = self.acting(caller, &name, |core, by| {
            let (reader, first) = core.open_stream(&name, &room, after.as_ref(), by)?;
            // Under the lock, so that the stream gets all that follows and nothing twice.
            if let Some(opener) = opener.take() {
                let open = Open { chat: Arc::clone(self), reader };
                opener.open(&self.streams, reader.room.0, reader.person.0, first, open);
            }
            Ok::<(), Refusal>(())
        });
        if let (Err(refusal), Some(opener)) = (refused, opener) {
            opener.refuse(status(&refusal), &format!("{refusal}\n"));
        }
    }

    /// Ends all streams, and lets nobody open one any more.
    pub(super) fn end_all_streams(&self) {
        self.streams.end_all(end("the server stops"));
    }
}

/// Sends events to the streams of their rooms.
pub(super) fn publish(streams: &Streams, events: Vec<RoomEvent>) {
    for RoomEvent { room, to, text, is_last } in events {
        if is_last {
            streams.end(room.0, to, text);
        } else {
            streams.publish(room.0, to, text);
        }
    }
}
