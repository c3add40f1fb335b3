//! Why the chat refuses a call. A refusal means that nothing has changed.

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
        /// Which limit, in words.
        what: &'static str,
        /// Its value.
        value: usize,
    },
    /// The caller's credentials do not allow it.
    NotAuthorised(&'static str),
    /// It cannot be stored now.
    NotStored,
    /// It is not known whether it is stored: the one that means something else than that nothing has changed.
    #[cfg(feature = "share")]
    Unknown,
    /// Another server of the chat has shown the caller what this one does not know yet.
    #[cfg(feature = "share")]
    Behind,
    /// A rate is exceeded.
    TooFast {
        /// The things that are limited, in words that name the time.
        what: &'static str,
        /// The rate.
        limit: u32,
        /// When the next try can succeed.
        retry_after: Duration,
    },
}

impl Refusal {
    /// The code on the wire.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::NameInUse => Fault::NAME_IN_USE,
            Self::NoSuchUser => Fault::NO_SUCH_USER,
            Self::NoSuchRoom => Fault::NO_SUCH_ROOM,
            Self::RoomExists => Fault::ROOM_EXISTS,
            Self::NotInRoom => Fault::NOT_IN_ROOM,
            Self::NoSuchRecipient => Fault::NO_SUCH_RECIPIENT,
            Self::Limit { .. } => Fault::LIMIT,
            Self::NotAuthorised(_) => Fault::NOT_AUTHORISED,
            Self::NotStored => Fault::NOT_STORED,
            #[cfg(feature = "share")]
            Self::Unknown => Fault::UNKNOWN,
            #[cfg(feature = "share")]
            Self::Behind => Fault::NOT_STORED,
            Self::TooFast { .. } => Fault::TOO_FAST,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameInUse => formatter.write_str("this name is already in use"),
            Self::NoSuchUser => formatter.write_str("no user of this name is registered"),
            Self::NoSuchRoom => formatter.write_str("there is no such room"),
            Self::RoomExists => formatter.write_str("this room already exists"),
            Self::NotInRoom => formatter.write_str("the user is not in this room"),
            Self::NoSuchRecipient => formatter.write_str("the recipient is not in this room"),
            Self::Limit { what, value } => write!(formatter, "{what}: the limit is {value}"),
            Self::NotAuthorised(why) => formatter.write_str(why),
            Self::NotStored => formatter.write_str("this cannot be stored now; try again later"),
            #[cfg(feature = "share")]
            Self::Unknown => formatter.write_str("it is not known whether this was stored; make the call again"),
            #[cfg(feature = "share")]
            Self::Behind => formatter.write_str("this server does not know yet what you have read; try again later"),
            Self::TooFast { what, limit, retry_after } => {
                // Rounded up, so that trying again then succeeds.
                let tenths = (retry_after.as_secs_f64() * 10.0).ceil().max(1.0);
                write!(formatter, "too fast: the limit is {limit} {what}; try again in {:.1} seconds", tenths / 10.0)
            }
        }
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.code(), refusal.to_string())
    }
}
