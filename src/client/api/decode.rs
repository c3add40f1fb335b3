//! The values of replies, decoded.

use super::super::event::Message;
use super::UNNUMBERED;
use crate::rpc::{CallError, Fault, Value};
use crate::stamp::{Stamp, Time};

/// Bytes of a timestamp up to its seconds.
pub(in crate::client) const SECONDS: usize = "YYYY-MM-DD HH:MM:SS".len();

/// The longest content of a message, in bytes, and the longest name and key. Servers of ours let less through.
const MAX_CONTENT: usize = 256 << 10;
const MAX_NAME: usize = 1 << 10;
const MAX_KEY: usize = 64;
/// Ends a text that was cut.
const CUT: &str = " […]";

/// Cuts a text that is longer than `most` bytes, and marks it.
fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.push_str(CUT);
        text.shrink_to_fit();
    }
    text
}

fn name(text: &str) -> String {
    cut(text.to_owned(), MAX_NAME)
}

/// Returns the error for a value of another type. A string in its place is the server's refusal.
pub(super) fn unlike(wanted: &str, answer: &Value) -> CallError {
    match answer {
        Value::String(text) => CallError::Fault(Fault::new(UNNUMBERED, text.as_str())),
        other => CallError::Malformed(format!("{} instead of {wanted}", other.type_name())),
    }
}

pub(super) fn number(value: &Value) -> Result<u64, CallError> {
    value.as_int().and_then(|number| u64::try_from(number).ok()).ok_or_else(|| unlike("a number of 0 or more", value))
}

pub(super) fn text(value: &Value) -> Result<String, CallError> {
    value
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| CallError::Malformed(format!("{} instead of a string", value.type_name())))
}

pub(super) fn texts(value: &Value) -> Result<Vec<String>, CallError> {
    value.as_array().ok_or_else(|| unlike("an array of strings", value))?.iter().map(text).collect()
}

/// Decodes messages of the life `room_id` of a room.
pub(super) fn messages(value: &Value, room_id: Option<&str>) -> Result<Vec<Message>, CallError> {
    let values = value.as_array().ok_or_else(|| unlike("an array of messages", value))?;
    values.iter().map(|value| message(value, room_id)).collect()
}

pub(super) fn message(value: &Value, room_id: Option<&str>) -> Result<Message, CallError> {
    let member = |name| {
        let missing = || CallError::Malformed(format!("a message without {name}"));
        text(value.member(name).ok_or_else(missing)?)
    };
    let timestamp = member("timestamp")?;
    let read = Stamp::parse(&timestamp).map(|stamp| stamp.to_string());
    if read.is_none_or(|read| read.get(..SECONDS) != timestamp.get(..SECONDS)) {
        return Err(CallError::Malformed("a message whose timestamp is not YYYY-MM-DD HH:MM:SS".into()));
    }
    // Another server may have a member `time` in another form, which is ignored.
    let time = value.member("time").and_then(Value::as_str).filter(|time| Time::parse(time).is_some());
    Ok(Message {
        id: value.member("id").map(number).transpose()?,
        origin: cut(member("origin")?, MAX_NAME),
        destination: value.member("destination").and_then(Value::as_str).filter(|to| !to.is_empty()).map(name),
        content: cut(member("content")?, MAX_CONTENT),
        timestamp,
        time: time.map(str::to_owned),
        room_id: room_id.map(str::to_owned),
        key: value
            .member("key")
            .and_then(Value::as_str)
            .filter(|key| (1..=MAX_KEY).contains(&key.len()))
            .map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(members: &[(&str, Value)]) -> Value {
        Value::Struct(members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
    }

    #[test]
    fn messages_of_both_kinds_of_server_are_read() {
        let ours = said(&[
            ("id", 7.into()),
            ("type", "unicast".into()),
            ("origin", "ana".into()),
            ("destination", "bob".into()),
            ("content", "oi".into()),
            ("timestamp", "2024-05-06 07:08:09.123".into()),
            ("time", "2024-05-06T07:08:09.123+02:00".into()),
            ("key", "k-1".into()),
        ]);
        let read = message(&ours, Some("room")).unwrap();
        assert_eq!((read.id, read.destination.as_deref()), (Some(7), Some("bob")));
        assert_eq!((read.room_id.as_deref(), read.key.as_deref()), (Some("room"), Some("k-1")));
        assert_eq!(read.time.as_deref(), Some("2024-05-06T07:08:09.123+02:00"));
        let original = said(&[
            ("origin", "ana".into()),
            ("destination", Value::Nil),
            ("content", "oi".into()),
            ("timestamp", "2024-05-06 07:08:09".into()),
        ]);
        let read = message(&original, None).unwrap();
        assert_eq!((read.id, read.destination), (None, None));
        assert_eq!((read.time, read.room_id, read.key), (None, None, None));
    }

    #[test]
    fn what_is_too_long_is_cut_and_marked() {
        let long = |bytes: usize| "é".repeat(bytes / 2);
        let said = |content: String, origin: String| {
            let stamp = "2024-05-06 07:08:09";
            message(&said(&[("origin", origin.into()), ("content", content.into()), ("timestamp", stamp.into())]), None)
        };
        let whole = said(long(MAX_CONTENT), long(MAX_NAME)).unwrap();
        assert_eq!((whole.content.len(), whole.origin.len()), (MAX_CONTENT, MAX_NAME));
        let cut = said(long(MAX_CONTENT + 2), long(MAX_NAME + 2)).unwrap();
        assert_eq!(cut.content, whole.content + " […]");
        assert_eq!(cut.origin, whole.origin + " […]");
    }

    #[test]
    fn a_timestamp_of_another_form_is_not_passed_on() {
        for stamp in ["", "now", "2024-05-06", "2024-05-06 07:08:09\u{1b}[2J", "2024-5-6 7:8:9", "06/05/2024 07:08:09"]
        {
            let odd = said(&[("origin", "a".into()), ("content", "b".into()), ("timestamp", stamp.into())]);
            assert!(matches!(message(&odd, None), Err(CallError::Malformed(_))), "{stamp:?}");
        }
    }

    #[test]
    fn a_string_where_more_was_due_is_a_refusal() {
        let refusal = texts(&"Error: there is no room x".into()).unwrap_err();
        assert!(
            matches!(refusal, CallError::Fault(fault) if fault.code == UNNUMBERED && fault.message.contains("no room"))
        );
        assert!(matches!(messages(&Value::Nil, None), Err(CallError::Malformed(_))));
    }
}
