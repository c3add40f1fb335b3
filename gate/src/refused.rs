//! The refusals with which the gate answers in the server's place.

use std::borrow::Cow;

/// Why a request is refused, as its answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// A line for a person.
    pub text: Cow<'static, str>,
}

impl Refused {
    pub(crate) fn new(status: u16, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status, text: text.into() }
    }

    /// Returns the answer, which is the last one of its connection.
    pub(crate) fn answer(&self) -> String {
        let Self { status, text } = self;
        let again = if *status == 503 { "Retry-After: 1\r\n" } else { "" };
        format!(
            "HTTP/1.1 {status} {}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
             Connection: close\r\n{again}\r\n{text}",
            reason(*status),
            text.len()
        )
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        408 => "Request Timeout",
        413 => "Content Too Large",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        _ => "HTTP Version Not Supported",
    }
}
