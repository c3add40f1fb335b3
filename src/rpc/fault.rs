//! The reply to a call that failed.

use std::fmt;

/// A fault: a code for programs, a message for people. It means that the call changed nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// One of the constants of this type, or another one that a foreign server chose.
    pub code: i32,
    /// The error, and where it helps the right way.
    pub message: String,
}

impl Fault {
    /// The name is already in use.
    pub const NAME_IN_USE: i32 = 1;
    /// No such user.
    pub const NO_SUCH_USER: i32 = 2;
    /// No such room.
    pub const NO_SUCH_ROOM: i32 = 3;
    /// The room already exists.
    pub const ROOM_EXISTS: i32 = 4;
    /// The user is not in this room.
    pub const NOT_IN_ROOM: i32 = 5;
    /// No such recipient in this room.
    pub const NO_SUCH_RECIPIENT: i32 = 6;
    /// A name that is not allowed; the message says why.
    pub const BAD_NAME: i32 = 7;
    /// Something is too long or too many; the message says which limit and its value.
    pub const LIMIT: i32 = 8;
    /// Not authorised to act as this user or to register here.
    pub const NOT_AUTHORISED: i32 = 9;
    /// Too fast; the message says when to try again.
    pub const TOO_FAST: i32 = 10;
    /// Not stored: the disk is full, or the shared log is away. The same call may succeed later.
    pub const NOT_STORED: i32 = 11;
    /// Not well-formed XML. This and the codes below are those of the "Specification for Fault Code Interoperability".
    pub const PARSE: i32 = -32700;
    /// Well-formed, but not an XML-RPC call.
    pub const INVALID_CALL: i32 = -32600;
    /// No such procedure.
    pub const NO_SUCH_PROCEDURE: i32 = -32601;
    /// The wrong number or type of parameters.
    pub const BAD_PARAMS: i32 = -32602;
    /// An internal error; the message gives nothing away.
    pub const INTERNAL: i32 = -32603;

    /// The outcome of the call is not known (a transport error, by the same specification). A call of its own gets HTTP status 504
    /// instead, so that this code is seen only within `system.multicall`.
    #[cfg(feature = "share")]
    pub const UNKNOWN: i32 = -32300;

    /// Returns a fault with this code and message.
    pub fn new(code: i32, message: impl Into<String>) -> Fault {
        Fault { code, message: message.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fault {}: {}", self.code, self.message)
    }
}

impl std::error::Error for Fault {}
