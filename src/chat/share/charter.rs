//! What all servers of a chat have to agree on, beside its entries.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::{Identity, Limits};
use crate::program::Failure;

/// The version of everything that is kept in the engine.
const VERSION: u32 = 1;

/// Kept beside the stream by the first server of the chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Charter {
    pub(super) identity: Identity,
    /// The limits that decide what becomes of an entry or when something is idle, under the names of their options.
    limits: Vec<(String, u64)>,
}

impl Charter {
    pub(super) fn new(identity: Identity, limits: &Limits, open_allowed: bool) -> Self {
        Self { identity, limits: agreed(limits, open_allowed) }
    }

    /// Checks whether a server may serve this chat.
    ///
    /// # Errors
    /// If its limits are others; the text names the first one.
    pub(super) fn check(&self, limits: &Limits, open_allowed: bool) -> Result<(), Failure> {
        for (name, ours) in agreed(limits, open_allowed) {
            let chats = self.limits.iter().find(|(of, _)| *of == name).map(|(_, value)| *value);
            if chats == Some(ours) {
                continue;
            }
            let text = match (name == REQUIRE_AUTH, chats) {
                (true, Some(1)) => "--require-auth is needed: the other servers of this chat have it".into(),
                (true, _) => "--require-auth is not for this chat: the other servers do not have it".into(),
                (false, Some(chats)) => {
                    format!("--{name} must be {chats} as at the other servers of this chat, not {ours}")
                }
                (false, None) => format!("--{name} is not known to the other servers of this chat, of another version"),
            };
            return Err(Failure::Usage(text));
        }
        Ok(())
    }

    /// Returns `limits` with those that the servers have agreed on in their places.
    pub(super) fn agreed_limits(&self, limits: &Limits) -> Limits {
        let agreed =
            |name: &str, ours: u64| self.limits.iter().find(|(of, _)| of == name).map_or(ours, |(_, value)| *value);
        let count = |name, ours: usize| usize::try_from(agreed(name, ours as u64)).unwrap_or(ours);
        let seconds = |name, ours: Duration| Duration::from_secs(agreed(name, ours.as_secs()));
        Limits {
            message_bytes: count("max-message-bytes", limits.message_bytes),
            rooms: count("max-rooms", limits.rooms),
            users: count("max-users", limits.users),
            room_users: count("max-room-users", limits.room_users),
            history_messages: count("history-messages", limits.history_messages),
            history_bytes: count("history-bytes", limits.history_bytes),
            memory: count("memory-limit", limits.memory),
            room_idle: seconds("room-idle", limits.room_idle),
            user_idle: seconds("user-idle", limits.user_idle),
            ..limits.clone()
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        // What is in memory can be written to memory.
        postcard::to_allocvec(&(VERSION, self)).unwrap_or_default()
    }

    /// # Errors
    /// If it is of another version.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        match postcard::take_from_bytes::<u32>(bytes) {
            Ok((VERSION, rest)) => {
                postcard::from_bytes(rest).map_err(|_| "what is kept of the chat there is unreadable".into())
            }
            Ok((version, _)) => Err(format!("the chat there is of another version of this program (form {version})")),
            Err(_) => Err("what is kept there is no chat of this program".into()),
        }
    }
}

const REQUIRE_AUTH: &str = "require-auth";

fn agreed(limits: &Limits, open_allowed: bool) -> Vec<(String, u64)> {
    let count = |number: usize| number as u64;
    let agreed = [
        ("max-message-bytes", count(limits.message_bytes)),
        ("max-rooms", count(limits.rooms)),
        ("max-users", count(limits.users)),
        ("max-room-users", count(limits.room_users)),
        ("history-messages", count(limits.history_messages)),
        ("history-bytes", count(limits.history_bytes)),
        ("memory-limit", count(limits.memory)),
        ("room-idle", limits.room_idle.as_secs()),
        ("user-idle", limits.user_idle.as_secs()),
        (REQUIRE_AUTH, u64::from(!open_allowed)),
    ];
    agreed.map(|(name, value)| (name.to_owned(), value)).into()
}
