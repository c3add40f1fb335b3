//! The event stream of a room.

use std::time::Duration;

use super::super::event::Message;
use super::decode::{message, number, text, texts, unlike};
use crate::rpc::{CallError, EventStream, StreamEvent};

/// The time for the first event. It takes longer only if a proxy holds it back.
pub(super) const FIRST_EVENT: Duration = Duration::from_secs(5);

/// An event of a room.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ApiEvent {
    /// The first one: the room as it is.
    Room {
        /// Names this life of the room.
        room_id: String,
        users: Vec<String>,
        /// The number of messages past the cursor that were dropped before they could be read.
        missed: u64,
    },
    Message(Message),
    /// Another user has joined.
    Joined(String),
    /// Another user has left.
    Left(String),
    /// The last one.
    End,
    /// Nothing of interest, but a sign of life.
    Nothing,
}

/// The open stream of one room.
pub(crate) struct RoomStream {
    pub(super) events: EventStream,
    pub(super) room_id: String,
}

impl RoomStream {
    /// Waits for the next event.
    ///
    /// # Errors
    /// If the stream ends, is silent for too long, or has other events than those of a room.
    pub(crate) fn next_event(&mut self) -> Result<ApiEvent, CallError> {
        match self.events.next_event()? {
            Some(event) => read(&event, &self.room_id),
            None => Ok(ApiEvent::Nothing),
        }
    }
}

fn read(event: &StreamEvent, room_id: &str) -> Result<ApiEvent, CallError> {
    Ok(match event.name.as_str() {
        "room" => {
            let room = event.value()?;
            let member = |name| room.member(name).ok_or_else(|| unlike("a struct about a room", &room));
            ApiEvent::Room {
                room_id: text(member("room_id")?)?,
                users: texts(member("users")?)?,
                missed: room.member("missed").map_or(Ok(0), number)?,
            }
        }
        "message" => ApiEvent::Message(message(&event.value()?, Some(room_id))?),
        "joined" => ApiEvent::Joined(text(&event.value()?)?),
        "left" => ApiEvent::Left(text(&event.value()?)?),
        "end" => ApiEvent::End,
        _ => ApiEvent::Nothing,
    })
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
        assert_eq!(
            read("room", room).unwrap(),
            ApiEvent::Room { room_id: "r".into(), users: vec!["ana".into()], missed: 0 }
        );
        assert_eq!(read("joined", "<value>bob &amp;&#10;</value>").unwrap(), ApiEvent::Joined("bob &\n".into()));
        assert_eq!(read("end", "<value>why</value>").unwrap(), ApiEvent::End);
        assert_eq!(read("new-kind", "?").unwrap(), ApiEvent::Nothing);
        for (name, data) in [("room", "<value>r</value>"), ("message", "<value/>"), ("left", "bob"), ("joined", "")] {
            assert!(read(name, data).is_err(), "{name}: {data}");
        }
    }
}
