//! The errors of reading a document.

use std::fmt;

use super::Fault;

/// A document could not be read. The texts name the error and its place, and never repeat what the peer wrote.
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
    /// Returns the fault for the reply.
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
