//! Streams of events, read as they are on the wire.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use chat_rpc::rpc::{Credentials, DocumentLimits, Value, read_response, write};

use super::{Process, TIMEOUT};

/// One event; a comment has the name `:`.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub name: String,
    pub id: Option<String>,
    pub data: Option<Value>,
}

impl Event {
    /// Parses one event by the rules of the standard, as far as they apply to one whole event.
    fn parse(text: &str) -> Self {
        let mut event = Self { name: "message".into(), id: None, data: None };
        let mut data = Vec::new();
        for line in text.split('\n') {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "" => event.name = ":".into(),
                "event" => event.name = value.into(),
                "id" => event.id = Some(value.into()),
                "data" => data.push(value),
                other => panic!("a field {other:?} in {text:?}"),
            }
        }
        assert!(data.len() <= 1, "data are one line: {text:?}");
        event.data = data.first().map(|data| {
            let document = write::response(data);
            let limits = DocumentLimits { elements: 1_000_000, ..DocumentLimits::default() };
            read_response(document.as_bytes(), &limits).expect("a value").expect("no fault")
        });
        event
    }

    pub fn member(&self, name: &str) -> &Value {
        self.data.as_ref().and_then(|data| data.member(name)).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    /// Returns the text of an event whose data are a string.
    pub fn text(&self) -> &str {
        self.data.as_ref().and_then(Value::as_str).unwrap_or_else(|| panic!("{self:?}"))
    }

    /// Returns the content of a message.
    pub fn content(&self) -> &str {
        assert_eq!(self.name, "message", "{self:?}");
        self.member("content").as_str().expect("a string")
    }
}

/// Returns the query of a stream. The names must need no encoding.
pub fn query(user: &str, room: &str) -> String {
    format!("username={user}&room={room}")
}

/// A stream, or its refusal.
pub struct Stream {
    pub socket: TcpStream,
    buffered: Vec<u8>,
    pub head: String,
}

impl Stream {
    /// Asks for a stream with these header lines, and reads the head of the reply.
    #[track_caller]
    pub fn request(server: &Process, query: &str, headers: &str) -> Self {
        let mut socket = TcpStream::connect(server.address()).expect("connect");
        let request = format!("GET /events?{query} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        socket.write_all(request.as_bytes()).expect("send");
        Self::of(socket)
    }

    /// A stream that was asked for on `socket`; reads the head of the reply.
    #[track_caller]
    pub fn of(socket: TcpStream) -> Self {
        socket.set_read_timeout(Some(TIMEOUT)).expect("read timeout");
        let mut stream = Self { socket, buffered: Vec::new(), head: String::new() };
        stream.head = stream.until("\r\n\r\n").expect("a head");
        stream
    }

    /// Opens a stream that takes no thread, and reads its first event.
    #[track_caller]
    pub fn open(server: &Process, query: &str, headers: &str) -> (Self, Event) {
        let mut stream = Self::request(server, query, &format!("Connection: close\r\n{headers}"));
        assert_eq!(stream.status(), 200, "{}", stream.head);
        let room = stream.next();
        assert_eq!(room.name, "room");
        (stream, room)
    }

    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
    }

    /// Returns the next event that is no comment.
    #[track_caller]
    pub fn next(&mut self) -> Event {
        self.event().expect("an event, and not the end of the stream")
    }

    /// Returns the next event that is no comment, or `None` at the end of the stream.
    pub fn event(&mut self) -> Option<Event> {
        loop {
            let event = Event::parse(&self.until("\n\n")?);
            if event.name != ":" {
                return Some(event);
            }
        }
    }

    /// Asserts that a comment comes next.
    #[track_caller]
    pub fn comment(&mut self) {
        assert_eq!(self.until("\n\n").as_deref(), Some(":"));
    }

    /// Asserts that the stream ends with this reason.
    #[track_caller]
    pub fn ends(&mut self, reason: &str) {
        let event = self.next();
        assert_eq!((event.name.as_str(), event.text()), ("end", reason));
        assert_eq!(self.event(), None);
    }

    /// Returns whether nothing comes within `time`, not even a comment.
    pub fn is_silent(&mut self, time: Duration) -> bool {
        self.socket.set_read_timeout(Some(time)).expect("read timeout");
        let silent = self.buffered.is_empty()
            && self.socket.read(&mut [0; 1]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        self.socket.set_read_timeout(Some(TIMEOUT)).expect("read timeout");
        silent
    }

    /// Reads to the next `end`, without it.
    fn until(&mut self, end: &str) -> Option<String> {
        let started = Instant::now();
        loop {
            if let Some(at) = self.buffered.windows(end.len()).position(|window| window == end.as_bytes()) {
                let text = String::from_utf8(self.buffered[..at].to_vec()).expect("UTF-8");
                self.buffered.drain(..at + end.len());
                return Some(text);
            }
            assert!(started.elapsed() < TIMEOUT, "nothing whole within {TIMEOUT:?}");
            let mut chunk = [0; 64 << 10];
            match self.socket.read(&mut chunk) {
                Ok(0) => return None,
                Ok(count) => self.buffered.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("reading a stream: {error}"),
            }
        }
    }
}

/// Returns a header line with credentials.
pub fn authorization(user: &str, secret: &str) -> String {
    let credentials = Credentials { user: user.into(), secret: secret.into() };
    format!("Authorization: {}\r\n", credentials.to_basic())
}
