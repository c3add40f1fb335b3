//! An endless reply of events (WHATWG HTML, "Server-sent events"), as far as servers of this project write it: lines end with
//! LF, with or without CR before it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::time::Duration;

use super::connection::Timed;
use super::exchange::{Body, HttpRequest, failed};
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
    data: Option<String>,
}

impl EventStream {
    /// Opens the stream; the first event has to come within `time`, and later ones or comments within 40 s each.
    pub(super) fn open(request: &HttpRequest<'_>, time: Duration) -> Result<Self, CallError> {
        let (body, content_type) = request.send(time)?;
        if content_type.is_none_or(|kind| !kind.to_ascii_lowercase().starts_with("text/event-stream")) {
            return Err(CallError::Malformed("it is no stream of events".into()));
        }
        Ok(Self { lines: BufReader::new(body), name: String::new(), data: None })
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
                let Some(data) = self.data.take() else { continue };
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
                "data" => match &mut self.data {
                    Some(data) if data.len() as u64 + value.len() as u64 > MAX_LINE => return Err(too_long()),
                    Some(data) => {
                        data.push('\n');
                        data.push_str(value);
                    }
                    None => self.data = Some(value.to_owned()),
                },
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

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use super::super::Client;
    use super::*;

    /// The stream of a server that says this, and what it was asked.
    fn stream_of(reply: &'static [u8]) -> (Result<EventStream, CallError>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let serving = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            let _ = stream.write_all(reply);
            String::from_utf8(request).unwrap()
        });
        let query = [("username", "joão"), ("room", "a b&c"), ("after", "1f:7")];
        let opened = Client::new(&address).events("/events", &query, Duration::from_secs(20));
        (opened, serving.join().unwrap())
    }

    fn event(name: &str, data: &str) -> Option<StreamEvent> {
        Some(StreamEvent { name: name.into(), data: data.into() })
    }

    #[test]
    fn events_are_read_as_the_standard_says() {
        let (stream, request) = stream_of(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n\
              event: room\ndata: one\n\n: alive\n\ndata:two\r\ndata: lines\r\nid: 5\r\nretry: 9\r\n\r\n\
              event: empty\n\ndata\ndata:  x\n\nevent: cut\ndata: off\n",
        );
        let mut stream = stream.unwrap_or_else(|error| panic!("{error}"));
        assert!(
            request.starts_with("GET /events?username=jo%C3%A3o&room=a%20b%26c&after=1f%3A7 HTTP/1.1\r\n"),
            "{request}"
        );
        assert_eq!(stream.next_event().unwrap(), event("room", "one"));
        assert_eq!(stream.next_event().unwrap(), None, "a comment");
        assert_eq!(stream.next_event().unwrap(), event("message", "two\nlines"));
        assert_eq!(stream.next_event().unwrap(), event("message", "\n x"), "one without data is none");
        assert!(matches!(stream.next_event(), Err(CallError::NoAnswer(_))), "an event that is cut off is none");
    }

    #[test]
    fn a_proxy_may_send_it_in_chunks() {
        let (stream, _) = stream_of(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n\
              6\r\ndata: \r\n5\r\nx\n\nda\r\n7\r\nta: y\n\n\r\n0\r\n\r\n",
        );
        let mut stream = stream.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(stream.next_event().unwrap(), event("message", "x"));
        assert_eq!(stream.next_event().unwrap(), event("message", "y"));
        assert!(stream.next_event().is_err());
    }

    #[test]
    fn what_is_no_stream_is_refused() {
        for (reply, part) in [
            (&b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>"[..], "no stream"),
            (b"HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n", "409"),
            (b"HTTP/1.1 429 Too Many Requests\r\n\r\n", "429"),
        ] {
            match stream_of(reply).0 {
                Err(error) => assert!(error.to_string().contains(part), "{part}: {error}"),
                Ok(_) => panic!("{part}"),
            }
        }
    }
}
