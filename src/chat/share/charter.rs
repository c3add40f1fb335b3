//! The settings that all servers of a chat have to agree on, beside its entries.

use serde::{Deserialize, Serialize};

use super::super::{Identity, Limits};
use crate::program::Failure;

/// The version of everything that is kept in the engine.
const VERSION: u32 = 1;

/// Kept beside the stream by the first server of the chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Charter {
    pub(super) identity: Identity,
    /// The settings that they have agreed on, under the names of the options.
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
        let mut agreed = limits.clone();
        for (option, number) in &self.limits {
            agreed.set(option, *number);
        }
        agreed
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
    let require_auth = (REQUIRE_AUTH, u64::from(!open_allowed));
    let options = limits.agreed().into_iter().chain([require_auth]);
    options.map(|(option, number)| (option.to_owned(), number)).collect()
}
