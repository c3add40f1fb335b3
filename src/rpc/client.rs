//! The calling side: [`mod@exchange`] is its HTTP.
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

mod connection;
mod exchange;
mod stream;
#[cfg(feature = "tls")]
pub mod tls;

use std::fmt;
use std::time::Duration;

use super::credentials::Credentials;
use super::{DocumentLimits, Fault, ReadError, Value, read_response, write};
use crate::endpoint::Endpoint;
use exchange::HttpRequest;
pub use stream::{EventStream, StreamEvent};

/// The longest time that connecting may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest time that a call may take as a whole, unless [`Client::with_timeout`] says otherwise.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// The most elements in a reply: 10,000 messages of 34 elements each, and some.
const MAX_ANSWER_ELEMENTS: usize = 350_000;

/// Calls the procedures of one server. Each call has a connection of its own, so that it holds nothing there while it waits.
#[derive(Debug, Clone)]
pub struct Client {
    /// An address that is wrong fails the first call.
    server: Result<Endpoint, &'static str>,
    authorization: Option<String>,
    timeout: Duration,
}

/// A call that has no reply, and the reason.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError {
    /// The server refuses the call, and nothing has changed there.
    Fault(Fault),
    /// The server was not reached: the call has certainly not been made.
    NotReached(String),
    /// The connection broke, or the time was up, before the reply came: the call may have been made.
    NoAnswer(String),
    /// The server, or a proxy before it, is busy and has not made the call (HTTP status 429 or 503).
    Busy {
        /// The HTTP status.
        status: u16,
        /// The time after which to make the call again: that of the reply, within bounds.
        retry_after: Duration,
    },
    /// A proxy does not know the outcome of the call (HTTP status 502 or 504): it may have been made.
    Gateway(u16),
    /// Another HTTP status than one of success.
    Status(u16),
    /// The reply is not XML-RPC.
    Malformed(String),
}

impl CallError {
    /// Returns whether the call certainly had no effect, so that making it again is safe.
    #[must_use]
    pub fn is_safe_to_repeat(&self) -> bool {
        matches!(self, Self::NotReached(_) | Self::Busy { .. })
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => write!(formatter, "{fault}"),
            Self::NotReached(cause) => write!(formatter, "not reached: {cause}"),
            Self::NoAnswer(cause) => write!(formatter, "no answer: {cause}"),
            Self::Busy { status, .. } => write!(formatter, "too busy: HTTP status {status}"),
            Self::Gateway(status) => write!(formatter, "no answer from behind a proxy: HTTP status {status}"),
            Self::Status(status) => write!(formatter, "the answer is not XML-RPC but HTTP status {status}"),
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
    /// Returns a client for the server at `address`, which is `HOST:PORT` or `https://HOST:PORT`.
    #[must_use]
    pub fn new(address: &str) -> Self {
        Self { server: Endpoint::parse_url(address, 0), authorization: None, timeout: CALL_TIMEOUT }
    }

    /// Returns the same client, calling with `credentials`.
    #[must_use]
    pub fn with_credentials(mut self, credentials: &Credentials) -> Self {
        self.authorization = Some(credentials.to_basic());
        self
    }

    /// Returns the same client, with another time for a call as a whole.
    #[must_use]
    pub fn with_timeout(&self, time: Duration) -> Self {
        Self { timeout: time, ..self.clone() }
    }

    /// Calls `method` with `params`.
    ///
    /// # Errors
    /// The server's fault, or the reason why there is no reply.
    pub fn call(&self, method: &str, params: &[Value]) -> Result<Value, CallError> {
        let body = write::call(method, params);
        let headers = format!("Content-Type: text/xml\r\nContent-Length: {}\r\n", body.len());
        let body = self.request("POST /RPC2", headers, &body)?.send(self.timeout)?.0.whole()?;
        read_response(&body, &answer_limits())?.map_err(CallError::Fault)
    }

    /// Opens the stream of events at `path`, which has the parameters `query`. The first event has to come within `time`:
    /// otherwise something on the way holds the stream back.
    ///
    /// # Errors
    /// [`CallError::Status`] if the server refuses, or the reason why there is no stream.
    pub fn events(&self, path: &str, query: &[(&str, &str)], time: Duration) -> Result<EventStream, CallError> {
        let mut line = format!("GET {path}");
        for (separator, (name, value)) in std::iter::once('?').chain(std::iter::repeat('&')).zip(query) {
            line.push(separator);
            line.push_str(name);
            line.push('=');
            percent_encode(value, &mut line);
        }
        EventStream::open(&self.request(&line, "Accept: text/event-stream\r\n".into(), "")?, time)
    }

    fn request<'a>(&'a self, line: &'a str, mut headers: String, body: &'a str) -> Result<HttpRequest<'a>, CallError> {
        let server = self.server.as_ref().map_err(|wrong| CallError::NotReached((*wrong).to_owned()))?;
        if let Some(credentials) = &self.authorization {
            headers.push_str(&format!("Authorization: {credentials}\r\n"));
        }
        Ok(HttpRequest { server, line, headers, body })
    }
}

fn answer_limits() -> DocumentLimits {
    DocumentLimits { elements: MAX_ANSWER_ELEMENTS, ..DocumentLimits::default() }
}

/// Appends `text` percent-encoded: all but the unreserved characters (RFC 3986) as bytes in hexadecimal.
fn percent_encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}
