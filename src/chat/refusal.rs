//! Refusals: the chat does not do what a call asks for, and nothing has changed.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use crate::rpc::Fault;

/// The reasons, each with the fault code of the wire contract.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Another user has the name.
    NameInUse,
    /// Nobody of that name is registered.
    NoSuchUser,
    /// There is no such room.
    NoSuchRoom,
    /// The room exists already.
    RoomExists,
    /// The user is not in that room.
    NotInRoom,
    /// The recipient is not in that room.
    NoSuchRecipient,
    /// The limit `what` of `value` is reached.
    Limit {
        /// The limit, in words.
        what: &'static str,
        /// Its value.
        value: usize,
    },
    /// The caller's credentials do not allow it.
    NotAuthorised(&'static str),
    /// It cannot be stored now.
    NotStored,
    /// It is not known whether it is stored: the only one after which something may have changed.
    #[cfg(feature = "share")]
    Unknown,
    /// Another server of the chat has shown the caller what this one does not know yet.
    Behind,
    /// A rate is exceeded.
    TooFast {
        /// The things that are limited, in words that name the time.
        what: &'static str,
        /// The rate.
        limit: u32,
        /// The time after which the next try can succeed.
        retry_after: Duration,
    },
}

impl Refusal {
    /// Returns the fault code of the wire contract, and what is said to the caller.
    fn code_and_text(&self) -> (i32, Cow<'static, str>) {
        match self {
            Self::NameInUse => (Fault::NAME_IN_USE, "this name is already in use".into()),
            Self::NoSuchUser => (Fault::NO_SUCH_USER, "no user of this name is registered".into()),
            Self::NoSuchRoom => (Fault::NO_SUCH_ROOM, "there is no such room".into()),
            Self::RoomExists => (Fault::ROOM_EXISTS, "this room already exists".into()),
            Self::NotInRoom => (Fault::NOT_IN_ROOM, "the user is not in this room".into()),
            Self::NoSuchRecipient => (Fault::NO_SUCH_RECIPIENT, "the recipient is not in this room".into()),
            Self::Limit { what, value } => (Fault::LIMIT, format!("{what}: the limit is {value}").into()),
            Self::NotAuthorised(why) => (Fault::NOT_AUTHORISED, (*why).into()),
            Self::NotStored => (Fault::NOT_STORED, "this cannot be stored now; try again later".into()),
            #[cfg(feature = "share")]
            Self::Unknown => (Fault::UNKNOWN, "it is not known whether this was stored; make the call again".into()),
            Self::Behind => {
                (Fault::NOT_STORED, "this server does not know yet what you have read; try again later".into())
            }
            Self::TooFast { what, limit, retry_after } => {
                // Rounded up, so that trying again then succeeds.
                let seconds = (retry_after.as_secs_f64() * 10.0).ceil().max(1.0) / 10.0;
                let text = format!("too fast: the limit is {limit} {what}; try again in {seconds:.1} seconds");
                (Fault::TOO_FAST, text.into())
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.code_and_text().1)
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        let (code, text) = refusal.code_and_text();
        Self::new(code, text)
    }
}
