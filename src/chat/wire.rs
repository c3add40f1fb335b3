//! Messages and replies as they go over the wire. A message is written once, however many read it.

use std::sync::Arc;

use super::entry::IdempotencyKey;
use super::name::UserName;
use super::room::{Page, StoredMessage};
use super::state::WireForm;
use crate::rpc::{DocumentLimits, Fault, Value, read_response, write};
use crate::stamp::Stamp;

/// The form in which the state keeps messages.
pub const FORM: WireForm = WireForm { write: message, read: content };

/// Returns the bytes that a message can have on the wire, in a room's history and in a record of a log, if it has
/// `content` of them itself: `&` takes five, and the rest is header.
pub(super) const fn largest_message(content: usize) -> usize {
    content.saturating_mul("&amp;".len()).saturating_add(2048)
}

/// Writes the struct of a message.
fn message(message: &StoredMessage, key: Option<&IdempotencyKey>, content: &str) -> Arc<str> {
    let recipient = message.recipient.as_ref().map(|person| person.name.as_str());
    let mut out = String::with_capacity(content.len() + 480);
    write::structure(&mut out, |out| {
        write::member(out, "id", |out| write::int(out, message.id.cast_signed()));
        let kind = if recipient.is_some() { "unicast" } else { "broadcast" };
        write::member(out, "type", |out| write::string(out, kind));
        write::member(out, "origin", |out| write::string(out, message.origin.name.as_str()));
        write::member(out, "destination", |out| write::string(out, recipient.unwrap_or_default()));
        write::member(out, "content", |out| write::string(out, content));
        let stamp = Stamp::from_millis(message.stamp).to_string();
        write::member(out, "timestamp", |out| write::string(out, &stamp));
        write::member(out, "time", |out| write::string(out, &message.time.to_string()));
        if let Some(key) = key {
            write::member(out, "key", |out| write::string(out, key.as_str()));
        }
    });
    out.into()
}

/// Reads the content and the key of a message that [`message`] has written.
fn content(wire: &str) -> Option<(String, Option<IdempotencyKey>)> {
    let read = read_response(write::response(wire).as_bytes(), &DocumentLimits::default()).ok()?.ok()?;
    let text = |name| read.member(name).and_then(Value::as_str);
    let key = text("key").and_then(|key| IdempotencyKey::parse(key.to_owned()).ok()).flatten();
    Some((text("content")?.to_owned(), key))
}

/// Bytes for what follows the messages in a document, be it the other answers of a multicall. Without room for it, a document of
/// a megabyte would grow to two.
const AFTER_MESSAGES: usize = 4 << 10;

/// Appends an array of messages.
pub(super) fn messages(out: &mut String, messages: &[Arc<str>]) {
    out.reserve(messages.iter().map(|message| message.len()).sum::<usize>() + AFTER_MESSAGES);
    write::array(out, |out| messages.iter().for_each(|message| out.push_str(message)));
}

/// Returns the whole document that replies to a `wait_messages`.
pub(super) fn page(page: &Page) -> String {
    let mut out = String::new();
    write::response_start(&mut out);
    write::structure(&mut out, |out| {
        write::member(out, "messages", |out| messages(out, &page.messages));
        cursor(out, page);
        write::member(out, "missed", |out| write::int(out, page.missed.cast_signed()));
    });
    write::response_end(&mut out);
    out
}

/// Returns the reply of `join_room`.
pub(super) fn joined(users: &[UserName], page: &Page) -> String {
    let mut out = String::new();
    write::structure(&mut out, |out| {
        self::users(out, users.iter());
        write::member(out, "messages", |out| messages(out, &page.messages));
        cursor(out, page);
    });
    out
}

/// Appends the member `users`.
pub(super) fn users<'a>(out: &mut String, users: impl Iterator<Item = &'a UserName>) {
    write::member(out, "users", |out| {
        write::array(out, |out| users.for_each(|user| write::string(out, user.as_str())));
    });
}

fn cursor(out: &mut String, page: &Page) {
    write::member(out, "last_id", |out| write::int(out, page.last_id.cast_signed()));
    write::member(out, "room_id", |out| write::string(out, &page.room.to_string()));
}

/// Reads `last_timestamp` as milliseconds of local time; an empty one is before every message.
pub(super) fn parse_stamp(text: &str) -> Result<i64, Fault> {
    if text.is_empty() {
        return Ok(i64::MIN);
    }
    Stamp::parse(text).map(Stamp::millis).ok_or_else(|| {
        Fault::new(Fault::BAD_PARAMS, "last_timestamp must be YYYY-MM-DD HH:MM:SS, with or without a fraction")
    })
}
