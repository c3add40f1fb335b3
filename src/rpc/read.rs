//! The grammar of calls and responses.

use std::fmt;

use super::fault::Fault;
use super::value::Value;

/// A call as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The name of the procedure.
    pub method: String,
    /// The parameters in their order.
    pub params: Vec<Value>,
}

/// How much a document may demand of whoever reads it. Its length is limited by whoever receives it.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How deep elements may be nested, the root included. 64 by default.
    pub depth: usize,
    /// How many elements a document may have. 10,000 by default.
    pub elements: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { depth: 64, elements: 10_000 }
    }
}

/// Why a document could not be read. The texts say what is wrong and where, and never repeat what the peer wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadError {
    /// It is not XML, or XML of a kind that is not accepted here (a document type declaration, a foreign encoding).
    NotWellFormed(String),
    /// It is well-formed, but not what XML-RPC allows.
    NotACall(String),
    /// It goes beyond a limit.
    TooMuch(String),
}

impl ReadError {
    /// The fault to answer with.
    pub fn to_fault(&self) -> Fault {
        let code = match self {
            ReadError::NotWellFormed(_) => Fault::PARSE,
            ReadError::NotACall(_) => Fault::INVALID_CALL,
            ReadError::TooMuch(_) => Fault::LIMIT,
        };
        Fault::new(code, self.to_string())
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::NotWellFormed(what) => write!(f, "not well-formed XML: {what}"),
            ReadError::NotACall(what) => write!(f, "not XML-RPC: {what}"),
            ReadError::TooMuch(what) => write!(f, "beyond a limit: {what}"),
        }
    }
}

impl std::error::Error for ReadError {}

/// Reads a call.
///
/// # Errors
/// See [`ReadError`].
pub fn read_call(_body: &[u8], _limits: &Limits) -> Result<Call, ReadError> {
    Err(ReadError::NotACall("the reader is not there yet".into()))
}

/// Reads an answer: a value or a fault.
///
/// # Errors
/// See [`ReadError`].
pub fn read_response(_body: &[u8], _limits: &Limits) -> Result<Result<Value, Fault>, ReadError> {
    Err(ReadError::NotACall("the reader is not there yet".into()))
}
