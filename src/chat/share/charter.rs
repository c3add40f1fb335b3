//! The settings that all servers of a chat have to agree on, beside its entries.

use serde::{Deserialize, Serialize};

use super::super::limits::REQUIRE_AUTH;
use super::super::{Identity, Limits};
use super::engine::EngineError;
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
    pub(super) fn new(identity: Identity, limits: &Limits) -> Self {
        let limits = limits.agreed().into_iter().map(|(option, number)| (option.to_owned(), number));
        Self { identity, limits: limits.collect() }
    }

    /// Checks whether a server with `limits` may serve this chat.
    ///
    /// # Errors
    /// If they are others; the text names the first one.
    pub(super) fn check(&self, limits: &Limits) -> Result<(), Failure> {
        for (name, ours) in limits.agreed() {
            let chats = self.limits.iter().find(|(option, _)| option == name).map(|(_, number)| *number);
            let text = match chats {
                Some(chats) if chats == ours => continue,
                Some(1) if name == REQUIRE_AUTH => "is needed: the other servers of this chat have it".into(),
                _ if name == REQUIRE_AUTH => "is not for this chat: the other servers do not have it".into(),
                Some(chats) => format!("must be {chats} as at the other servers of this chat, not {ours}"),
                None => "is not known to the other servers of this chat, of another version".into(),
            };
            return Err(Failure::Usage(format!("--{name} {text}")));
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

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, EngineError> {
        Ok(postcard::to_allocvec(&(VERSION, self))?)
    }

    /// Reads what [`Charter::to_bytes`] has written.
    ///
    /// # Errors
    /// If it is of another version.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, EngineError> {
        let refused = |what: String| EngineError::Refused(what);
        match postcard::take_from_bytes::<u32>(bytes) {
            Ok((VERSION, rest)) => {
                postcard::from_bytes(rest).map_err(|_| refused("what is kept of the chat there is unreadable".into()))
            }
            Ok((version, _)) => {
                Err(refused(format!("the chat there is of another version of this program (form {version})")))
            }
            Err(_) => Err(refused("what is kept there is no chat of this program".into())),
        }
    }
}
