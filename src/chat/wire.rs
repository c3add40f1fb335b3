//! Messages and answers as they go over the wire. A message is written once, however many read it.

use std::sync::Arc;

use chrono::NaiveDateTime;

use super::name::UserName;
use super::room::News;
use super::state::Draft;
use crate::rpc::{Fault, write};
use crate::stamp::Stamp;

/// The struct of a message.
pub(super) fn message(draft: &Draft<'_>, content: &str) -> Arc<str> {
    let mut out = String::with_capacity(content.len() + 360);
    write::structure(&mut out, |out| {
        write::member(out, "id", |out| write::int(out, draft.id.cast_signed()));
        let kind = if draft.recipient.is_some() { "unicast" } else { "broadcast" };
        write::member(out, "type", |out| write::string(out, kind));
        write::member(out, "origin", |out| write::string(out, draft.origin.as_str()));
        write::member(out, "destination", |out| write::string(out, draft.recipient.map_or("", UserName::as_str)));
        write::member(out, "content", |out| write::string(out, content));
        write::member(out, "timestamp", |out| write::string(out, &Stamp(draft.stamp).to_string()));
    });
    out.into()
}

/// An array of messages.
pub(super) fn messages(out: &mut String, messages: &[Arc<str>]) {
    out.reserve(messages.iter().map(|message| message.len()).sum::<usize>() + 64);
    write::array(out, |out| messages.iter().for_each(|message| out.push_str(message)));
}

/// The whole document that answers a `wait_messages`.
pub(super) fn news(news: &News) -> String {
    let mut out = String::new();
    write::response_start(&mut out);
    write::structure(&mut out, |out| {
        write::member(out, "messages", |out| messages(out, &news.messages));
        write::member(out, "last_id", |out| write::int(out, news.last_id.cast_signed()));
        write::member(out, "missed", |out| write::int(out, news.missed.cast_signed()));
    });
    write::response_end(&mut out);
    out
}

/// What `join_room` answers.
pub(super) fn joined(users: &[UserName], news: &News) -> String {
    let mut out = String::new();
    write::structure(&mut out, |out| {
        write::member(out, "users", |out| {
            write::array(out, |out| users.iter().for_each(|user| write::string(out, user.as_str())))
        });
        write::member(out, "messages", |out| messages(out, &news.messages));
        write::member(out, "last_id", |out| write::int(out, news.last_id.cast_signed()));
    });
    out
}

/// Reads `last_timestamp`; an empty one is before every message.
pub(super) fn parse_stamp(text: &str) -> Result<NaiveDateTime, Fault> {
    if text.is_empty() {
        return Ok(NaiveDateTime::MIN);
    }
    Stamp::parse(text).map(|stamp| stamp.0).ok_or_else(|| {
        Fault::new(Fault::BAD_PARAMS, "last_timestamp is YYYY-MM-DD HH:MM:SS, with or without a fraction")
    })
}
