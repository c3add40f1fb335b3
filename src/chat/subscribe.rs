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

/// A refusal as plain HTTP: the status, and a line for a person.
type HttpRefusal = (u16, String);

impl From<Refusal> for HttpRefusal {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal {
            Refusal::NotAuthorised(_) => 403,
            Refusal::NoSuchUser | Refusal::NoSuchRoom => 404,
            Refusal::NotInRoom => 409,
            Refusal::Limit { .. } | Refusal::TooFast { .. } => 429,
            _ => 503,
        };
        (status, refusal.to_string())
    }
}

/// Reads the parameters of a request: the user, the room, and the position to go on from.
fn read(request: &StreamRequest) -> Result<(UserName, RoomName, Option<Position>), HttpRefusal> {
    let text = |name: &str| {
        let missing = || (400, format!("the query must have {name}, percent-encoded in UTF-8"));
        request.parameter(name).ok_or_else(missing)
    };
    let name = UserName::parse(&text("username")?).map_err(|error| (404, error.to_string()))?;
    let room = RoomName::parse(&text("room")?).map_err(|error| (404, error.to_string()))?;
    // Browsers send the header by themselves when they come back, and it is newer than the parameter.
    let after = request.last_event_id.clone().or_else(|| request.parameter("after")).filter(|text| !text.is_empty());
    let position = |text: String| Position::parse(&text).ok_or((400, "a position must be ROOM_ID:ID".to_owned()));
    Ok((name, room, after.map(position).transpose()?))
}

impl Chat {
    /// Opens a stream of events, or refuses it.
    pub(super) fn subscribe(self: &Arc<Self>, caller: &Caller, request: &StreamRequest, opener: Opener) {
        let mut opener = Some(opener);
        if let Err((status, text)) = self.open_stream(caller, request, &mut opener)
            && let Some(opener) = opener
        {
            opener.refuse(status, &format!("{text}\n"));
        }
    }

    /// Opens a stream by `opener`, which is left where the stream is refused.
    fn open_stream(
        self: &Arc<Self>,
        caller: &Caller,
        request: &StreamRequest,
        opener: &mut Option<Opener>,
    ) -> Result<(), HttpRefusal> {
        let (name, room, after) = read(request)?;
        self.catch_up(&room, after.as_ref().map_or(0, |position| position.id))?;
        self.streams.wait_for_room();
        self.acting(caller, Some(&name), |core, by| {
            let (reader, first) = core.open_stream(&room, after.as_ref(), by)?;
            // Under the lock, so that the stream gets all that follows and nothing twice.
            if let Some(opener) = opener.take() {
                let open = Open { chat: Arc::clone(self), reader };
                opener.open(&self.streams, reader.room.0, reader.person.0, first, open);
            }
            Ok(())
        })
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
