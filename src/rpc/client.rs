//! The calling side: [`exchange`] is its HTTP.
//!
//! ```no_run
//! use std::time::Duration;
//! use chat_rpc::rpc::Client;
//!
//! let server = Client::new("127.0.0.1:9000");
//! let rooms = server.call("list_rooms", &[])?;
//! let news = server.with_timeout(Duration::from_secs(70)).call("wait_messages", &["ana".into(), "lobby".into(), 0.into(), 60.into()])?;
//! # Ok::<(), chat_rpc::rpc::CallError>(())
//! ```

mod exchange;

use std::fmt;
use std::time::Duration;

use super::credentials::Credentials;
use super::{DocumentLimits, Fault, ReadError, Value, read_response, write};

/// How long connecting may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a call may take as a whole, unless [`Client::with_timeout`] says otherwise.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// The most elements in an answer: 10,000 messages of 20 elements each.
const MAX_ANSWER_ELEMENTS: usize = 250_000;

/// Calls the procedures of one server. Each call has a connection of its own, so that it holds nothing there while it waits.
#[derive(Debug, Clone)]
pub struct Client {
    address: String,
    authorization: Option<String>,
    timeout: Duration,
}

/// Why a call has no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError {
    /// The server refuses the call, and nothing has changed there.
    Fault(Fault),
    /// The server was not reached: the call has certainly not been made.
    NotReached(String),
    /// The connection broke, or the time was up, before the answer was there: the call may have been made.
    NoAnswer(String),
    /// The answer is not XML-RPC.
    Malformed(String),
}

impl CallError {
    /// Whether the call certainly had no effect, so that making it again is safe.
    #[must_use]
    pub fn is_safe_to_repeat(&self) -> bool {
        matches!(self, Self::NotReached(_))
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => write!(formatter, "{fault}"),
            Self::NotReached(cause) => write!(formatter, "not reached: {cause}"),
            Self::NoAnswer(cause) => write!(formatter, "no answer: {cause}"),
            Self::Malformed(cause) => write!(formatter, "the answer is not XML-RPC: {cause}"),
        }
    }
}

impl std::error::Error for CallError {}

impl From<ReadError> for CallError {
    fn from(error: ReadError) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl Client {
    /// A client for the server at `address`, which is `HOST:PORT`.
    #[must_use]
    pub fn new(address: &str) -> Self {
        Self { address: address.to_owned(), authorization: None, timeout: CALL_TIMEOUT }
    }

    /// The same client, calling with `credentials`.
    #[must_use]
    pub fn with_credentials(mut self, credentials: &Credentials) -> Self {
        self.authorization = Some(credentials.to_basic());
        self
    }

    /// The same client, with another time for a call as a whole.
    #[must_use]
    pub fn with_timeout(&self, time: Duration) -> Self {
        Self { timeout: time, ..self.clone() }
    }

    /// Calls `method` with `params`.
    ///
    /// # Errors
    /// The server's fault, or why there is no answer.
    pub fn call(&self, method: &str, params: &[Value]) -> Result<Value, CallError> {
        let body =
            exchange::post(&self.address, self.authorization.as_deref(), &write::call(method, params), self.timeout)?;
        let limits = DocumentLimits { elements: MAX_ANSWER_ELEMENTS, ..DocumentLimits::default() };
        read_response(&body, &limits)?.map_err(CallError::Fault)
    }
}
