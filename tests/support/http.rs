//! Raw HTTP: connections whose every byte a test decides.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use chat_rpc::rpc::{DocumentLimits, Fault, Value, read_response, write};

use super::peer::enter;
use super::{Process, TIMEOUT};

/// Returns the text of a POST to `/RPC2` with `body`; `extra` are further header lines, each with CR LF.
pub fn post(body: &str, extra: &str) -> String {
    format!(
        "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n{extra}\r\n{body}",
        body.len()
    )
}

/// Returns the text of a call on a connection that stays open.
pub fn call(method: &str, params: &[Value]) -> String {
    post(&write::call(method, params), "")
}

/// Returns the text of a call that closes its connection.
pub fn last_call(method: &str, params: &[Value]) -> String {
    post(&write::call(method, params), "Connection: close\r\n")
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// Returns the result of the call that it answers.
    pub fn value(&self) -> Result<Value, Fault> {
        let limits = DocumentLimits { elements: 1_000_000, ..DocumentLimits::default() };
        read_response(&self.body, &limits).unwrap_or_else(|error| panic!("not XML-RPC: {error}: {self:?}"))
    }
}

/// Sends a request on a connection of its own, and returns the answer.
pub fn ask(program: &Process, request: &str) -> Answer {
    let mut connection = Connection::open(program.address());
    connection.offer(request.as_bytes());
    connection.answer().expect("an answer")
}

/// Returns the value of a metric of `program`.
pub fn metric(program: &Process, name: &str) -> usize {
    Connection::open(program.address()).metric(name)
}

/// One connection to a server.
pub struct Connection {
    pub stream: TcpStream,
    buffered: Vec<u8>,
    /// If the last request was HEAD.
    has_sent_head: bool,
}

impl Connection {
    pub fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("connect");
        stream.set_nodelay(true).expect("nodelay");
        stream.set_read_timeout(Some(TIMEOUT)).expect("read time-out");
        stream.set_write_timeout(Some(TIMEOUT)).expect("write time-out");
        Self { stream, buffered: Vec::new(), has_sent_head: false }
    }

    pub fn send(&mut self, text: &str) {
        self.has_sent_head = text.starts_with("HEAD ");
        self.stream.write_all(text.as_bytes()).expect("send");
    }

    /// Sends what the server takes of `bytes`: it may close the connection before it has read them all.
    pub fn offer(&mut self, bytes: &[u8]) {
        self.has_sent_head = bytes.starts_with(b"HEAD ");
        let _ = self.stream.write_all(bytes);
    }

    /// Says that nothing more will be sent.
    pub fn end(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Reads the next answer, past those that are only informational.
    pub fn answer(&mut self) -> io::Result<Answer> {
        loop {
            let answer = self.any_answer()?;
            if answer.status >= 200 {
                return Ok(answer);
            }
        }
    }

    fn any_answer(&mut self) -> io::Result<Answer> {
        let end = loop {
            if let Some(end) = self.buffered.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            self.fill()?;
        };
        let head = String::from_utf8_lossy(&self.buffered[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
        let length = head
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length:").map(|value| value.trim().to_owned())
            })
            .map_or(0, |length| length.parse::<usize>().expect("a length"));
        // The answer to HEAD has the length of a body that does not come.
        let length = if self.has_sent_head { 0 } else { length };
        while self.buffered.len() < end + length {
            self.fill()?;
        }
        let body = self.buffered[end..end + length].to_vec();
        self.buffered.drain(..end + length);
        Ok(Answer { status, head, body })
    }

    /// Sends a call and reads its answer.
    pub fn call(&mut self, method: &str, params: &[Value]) -> Result<Value, Fault> {
        self.send(&call(method, params));
        self.answer().expect("an answer").value()
    }

    /// Returns the value of a metric.
    pub fn metric(&mut self, name: &str) -> usize {
        self.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let text = String::from_utf8(self.answer().expect("an answer").body).expect("UTF-8");
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("{name} is missing in {text}")).parse().expect("a number")
    }

    /// Registers these users and brings them into the room, which may exist already.
    pub fn enter(&mut self, room: &str, users: &[&str]) {
        enter(|method, params| self.call(method, params), room, users);
    }

    /// Returns whether the server closes the connection within `time`. Anything that it sends before is dropped.
    pub fn is_closed_within(&mut self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).expect("read time-out");
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() == io::ErrorKind::ConnectionReset,
            }
        }
    }

    /// Returns whether no part of a further answer has arrived.
    pub fn is_at_a_boundary(&self) -> bool {
        self.buffered.is_empty()
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 << 10];
        match self.stream.read(&mut buffer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.buffered.extend_from_slice(&buffer[..count]);
                Ok(())
            }
        }
    }
}
