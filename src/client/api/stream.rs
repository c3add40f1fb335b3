//! The event stream of a room.

use std::time::Duration;

use super::super::event::Message;
use super::decode::{message, number, text, texts, unlike};
use crate::rpc::{CallError, EventStream, Fault, StreamEvent};

/// The time for the first event. It takes longer only if a proxy holds it back.
pub(super) const FIRST_EVENT: Duration = Duration::from_secs(5);

/// News of a room.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RoomNews {
    pub(crate) messages: Vec<Message>,
    /// The number of messages that were dropped before they could be read.
    pub(crate) missed: u64,
    pub(crate) presence: PresenceNews,
}

/// News about the members of a room.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PresenceNews {
    /// The server does not report changes.
    Untold,
    /// The list of members. From now on the server reports every change.
    Members(Vec<String>),
    /// Nothing has changed.
    Unchanged,
    /// This one has joined.
    Joined(String),
    /// This one has left.
    Left(String),
}

/// The open stream of one room.
pub(crate) struct RoomStream {
    pub(super) events: EventStream,
    pub(super) room_id: String,
}

impl RoomStream {
    /// Waits for news. `None` is a sign of life without any.
    ///
    /// # Errors
    /// If the stream ends, is silent for too long, or has other events than those of a room. A [`CallError::Fault`] if the room
    /// is not the one that was joined.
    pub(crate) fn next(&mut self) -> Result<Option<RoomNews>, CallError> {
        self.events.next_event()?.map_or(Ok(None), |event| read(&event, &self.room_id))
    }
}

/// Returns the error for a room that is not the one that was joined, though it has the same name.
pub(crate) fn created_anew() -> CallError {
    CallError::Fault(Fault::new(Fault::NO_SUCH_ROOM, "the room was created anew"))
}

fn read(event: &StreamEvent, room_id: &str) -> Result<Option<RoomNews>, CallError> {
    let mut news = RoomNews { messages: Vec::new(), missed: 0, presence: PresenceNews::Unchanged };
    match event.name.as_str() {
        "room" => {
            let room = event.value()?;
            let member = |name| room.member(name).ok_or_else(|| unlike("a struct about a room", &room));
            if text(member("room_id")?)? != room_id {
                return Err(created_anew());
            }
            news.missed = room.member("missed").map_or(Ok(0), number)?;
            news.presence = PresenceNews::Members(texts(member("users")?)?);
        }
        "message" => news.messages.push(message(&event.value()?, Some(room_id))?),
        "joined" => news.presence = PresenceNews::Joined(text(&event.value()?)?),
        "left" => news.presence = PresenceNews::Left(text(&event.value()?)?),
        "end" => return Err(CallError::NoAnswer("the server has ended the stream".into())),
        _ => return Ok(None),
    }
    Ok(Some(news))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_a_room_are_read() {
        let event = |name: &str, data: &str| StreamEvent { name: name.into(), data: data.into() };
        let room = "<value><struct><member><name>room_id</name><value>r</value></member><member><name>users</name>\
                    <value><array><data><value>ana</value></data></array></value></member></struct></value>";
        let read = |name, data| read(&event(name, data), "r");
        let presence = |name, data| read(name, data).unwrap().unwrap().presence;
        assert_eq!(presence("room", room), PresenceNews::Members(vec!["ana".into()]));
        assert_eq!(presence("joined", "<value>bob &amp;&#10;</value>"), PresenceNews::Joined("bob &\n".into()));
        assert_eq!(read("new-kind", "?").unwrap(), None);
        for (name, data) in [("room", "<value>r</value>"), ("message", "<value/>"), ("left", "bob"), ("joined", "")] {
            assert!(read(name, data).is_err(), "{name}: {data}");
        }
        assert!(matches!(read("end", "<value>why</value>"), Err(CallError::NoAnswer(_))));
        let other = room.replace("<value>r</value>", "<value>other</value>");
        assert!(matches!(read("room", &other), Err(CallError::Fault(_))));
    }
}
