//! An endless reply of events (WHATWG HTML, "Server-sent events"), as far as servers of this project write it: lines end with
//! LF, with or without CR before it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::time::Duration;

use super::connection::Timed;
use super::exchange::{Body, Request, failed, open};
use super::{CallError, answer_limits};
use crate::rpc::{Value, read_response};

/// The longest line, in bytes: the list of a room's users, and some.
const MAX_LINE: u64 = 4 << 20;
/// The longest silence: a server writes at least a comment every 15 s.
const SILENCE: Duration = Duration::from_secs(40);

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEvent {
    /// Its name; `message` if the stream does not say.
    pub name: String,
    /// Its data.
    pub data: String,
}

impl StreamEvent {
    /// Reads the data as one XML-RPC `<value>`.
    ///
    /// # Errors
    /// [`CallError::Malformed`] if they are none.
    pub fn value(&self) -> Result<Value, CallError> {
        // The same grammar as for the reply of a call, which is a value in three elements.
        let document = format!("<methodResponse><params><param>{}</param></params></methodResponse>", self.data.trim());
        read_response(document.as_bytes(), &answer_limits())?.map_err(CallError::Fault)
    }
}

/// An open stream of events.
pub struct EventStream {
    lines: BufReader<Body<BufReader<Timed>>>,
    name: String,
    data: String,
}

impl EventStream {
    /// Opens the stream; the first event has to come within `time`, and later ones or comments within 40 s each.
    pub(super) fn open(request: &Request<'_>, time: Duration) -> Result<Self, CallError> {
        let (body, content_type) = open(request, time)?;
        if content_type.is_none_or(|kind| !kind.to_ascii_lowercase().starts_with("text/event-stream")) {
            return Err(CallError::Malformed("it is no stream of events".into()));
        }
        Ok(Self { lines: BufReader::new(body), name: String::new(), data: String::new() })
    }

    /// Waits for the next event. Returns `None` after a comment, so that the caller can look whether to go on.
    ///
    /// # Errors
    /// [`CallError::NoAnswer`] at the end of the stream, [`CallError::Malformed`] if it is none or a line is too long.
    pub fn next_event(&mut self) -> Result<Option<StreamEvent>, CallError> {
        loop {
            let line = self.line()?;
            if line.is_empty() {
                let name = std::mem::take(&mut self.name);
                let data = std::mem::take(&mut self.data);
                if data.is_empty() {
                    continue;
                }
                self.timed().allow(SILENCE);
                let name = if name.is_empty() { "message".to_owned() } else { name };
                return Ok(Some(StreamEvent { name, data }));
            }
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "" => {
                    self.timed().allow(SILENCE);
                    return Ok(None);
                }
                "event" => value.clone_into(&mut self.name),
                "data" => {
                    if self.data.len() as u64 + value.len() as u64 > MAX_LINE {
                        return Err(too_long());
                    }
                    if !self.data.is_empty() {
                        self.data.push('\n');
                    }
                    self.data.push_str(value);
                }
                // `id` is in the data as well; `retry` and others are not for us.
                _ => {}
            }
        }
    }

    fn line(&mut self) -> Result<String, CallError> {
        let mut line = Vec::new();
        self.lines.by_ref().take(MAX_LINE).read_until(b'\n', &mut line).map_err(failed)?;
        if line.pop() != Some(b'\n') {
            let is_long = line.len() as u64 + 1 >= MAX_LINE;
            return Err(if is_long { too_long() } else { CallError::NoAnswer("the stream has ended".into()) });
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        String::from_utf8(line).map_err(|_| CallError::Malformed("a line of it is not UTF-8".into()))
    }

    fn timed(&mut self) -> &mut Timed {
        self.lines.get_mut().get_mut().get_mut()
    }
}

fn too_long() -> CallError {
    CallError::Malformed(format!("a line of it has more than {MAX_LINE} bytes"))
}
