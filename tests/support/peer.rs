//! Peers that are not our client: raw bytes to a server, calls with and without credentials, and what they cost it.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use chat_rpc::rpc::{CallError, Client, Credentials, Fault, Value};

use super::{PATIENCE, Program};

/// A call that every server answers.
pub const LIST_METHODS: &str = "<methodCall><methodName>system.listMethods</methodName></methodCall>";

/// What came back for some bytes.
#[derive(Debug)]
pub enum Reply {
    /// A whole answer.
    Answer(Answer),
    /// The connection was closed without one.
    Closed,
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// As it came, without the status line.
    pub head: String,
    pub body: String,
}

impl Reply {
    /// The answer that there must be.
    #[track_caller]
    pub fn answer(self) -> Answer {
        match self {
            Reply::Answer(answer) => answer,
            Reply::Closed => panic!("the connection was closed without an answer"),
        }
    }
}

impl Answer {
    /// The code of the fault in the body.
    pub fn fault_code(&self) -> Option<i32> {
        let after = self.body.split_once("faultCode</name><value><int>")?.1;
        after.split_once('<')?.0.parse().ok()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// A connection of raw bytes.
pub struct Raw {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Raw {
    #[track_caller]
    pub fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("the server accepts connections");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
        stream.set_nodelay(true).expect("no delay can be set");
        Self { stream, received: Vec::new() }
    }

    /// Sends as much of `bytes` as the server takes: it may close before it has read all.
    pub fn send(&mut self, bytes: &[u8]) -> &mut Self {
        let _ = self.stream.write_all(bytes);
        self
    }

    /// Ends the sending side.
    pub fn end(&mut self) -> &mut Self {
        let _ = self.stream.shutdown(Shutdown::Write);
        self
    }

    /// The next final answer.
    #[track_caller]
    pub fn reply(&mut self) -> Reply {
        let mut chunk = [0; 16 << 10];
        loop {
            if let Some((answer, length)) = parse(&self.received) {
                self.received.drain(..length);
                // What precedes the final answer is informational.
                if answer.status >= 200 {
                    return Reply::Answer(answer);
                }
                continue;
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => return Reply::Closed,
                Ok(count) => self.received.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Reply::Closed,
                Err(error) => panic!("no answer: {error}; so far: {}", String::from_utf8_lossy(&self.received)),
            }
        }
    }
}

/// The first answer in `bytes`, if it is whole, and its length.
fn parse(bytes: &[u8]) -> Option<(Answer, usize)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let (status, head) = text.split_once("\r\n").unwrap_or((&text, ""));
    let status = status.split(' ').nth(1)?.parse().expect("a status line has a number");
    let mut answer = Answer { status, head: head.to_owned(), body: String::new() };
    let length = answer.header("Content-Length").map_or(0, |length| length.parse().expect("a length is a number"));
    let length = if status < 200 { 0 } else { length };
    let body = bytes.get(end + 4..end + 4 + length)?;
    answer.body = String::from_utf8_lossy(body).into_owned();
    Some((answer, end + 4 + length))
}

/// Sends `bytes` on a connection of their own.
#[track_caller]
pub fn send(address: &str, bytes: &[u8]) -> Reply {
    Raw::connect(address).send(bytes).reply()
}

/// A request that posts `body`, with further header lines that each end in CR LF.
pub fn post(headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!("POST /RPC2 HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// The header line that every call needs.
pub const XML: &str = "Content-Type: text/xml\r\n";

/// Somebody who calls procedures.
#[derive(Debug, Clone)]
pub struct Peer {
    client: Client,
}

impl Peer {
    /// Without credentials.
    pub fn open(server: &Program) -> Self {
        Self { client: Client::new(server.address()).within(PATIENCE * 2) }
    }

    /// With credentials.
    pub fn with(server: &Program, user: &str, secret: &str) -> Self {
        let credentials = Credentials { user: user.to_owned(), secret: secret.to_owned() };
        Self { client: Client::new(server.address()).within(PATIENCE * 2).with_credentials(&credentials) }
    }

    /// Makes a call that reaches the server and comes back.
    #[track_caller]
    pub fn call(&self, method: &str, params: &[Value]) -> Result<Value, Fault> {
        match self.client.call(method, params) {
            Ok(value) => Ok(value),
            Err(CallError::Fault(fault)) => Err(fault),
            Err(error) => panic!("{method}: {error}"),
        }
    }

    /// Makes a call that must succeed.
    #[track_caller]
    pub fn ok(&self, method: &str, params: &[Value]) -> Value {
        self.call(method, params).unwrap_or_else(|fault| panic!("{method}: {fault}"))
    }

    /// Makes a call that must be refused with `code`; gives the text.
    #[track_caller]
    pub fn refused(&self, code: i32, method: &str, params: &[Value]) -> String {
        match self.call(method, params) {
            Err(fault) if fault.code == code => fault.message,
            other => panic!("{method}: fault {code} was expected, not {other:?}"),
        }
    }

    /// Makes one call within a `system.multicall`.
    #[track_caller]
    pub fn multicall(&self, method: &str, params: &[Value]) -> Result<Value, Fault> {
        let call =
            Value::Struct(vec![("methodName".into(), method.into()), ("params".into(), Value::Array(params.to_vec()))]);
        let answers = self.ok("system.multicall", &[Value::Array(vec![call])]);
        match answers {
            Value::Array(answers) => match answers.into_iter().next() {
                Some(Value::Array(values)) => Ok(values.into_iter().next().expect("an answer is one value")),
                Some(fault) => Err(Fault::new(
                    fault.member("faultCode").and_then(Value::as_int).expect("a code").try_into().expect("32 bits"),
                    fault.member("faultString").and_then(Value::as_str).expect("a text"),
                )),
                None => panic!("no answer in the multicall"),
            },
            other => panic!("a multicall answers an array, not {other:?}"),
        }
    }
}

/// The texts in an array of strings.
pub fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(values) => values.iter().filter_map(Value::as_str).collect(),
        other => panic!("an array was expected, not {other:?}"),
    }
}

/// The `content` of each message in an array.
pub fn contents(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(messages) => {
            messages.iter().filter_map(|message| message.member("content").and_then(Value::as_str)).collect()
        }
        other => panic!("an array was expected, not {other:?}"),
    }
}

/// A line of `/proc/PID/status` in kB, or without a unit.
#[track_caller]
fn status(program: &Program, field: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/status", program.id())).expect("the process is there");
    let line = text.lines().find_map(|line| line.strip_prefix(field)).expect("the field is there");
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().expect("it is a number")
}

/// What a program uses while something is done to it.
pub struct Usage<'a> {
    program: &'a Program,
    resident: u64,
    start: Instant,
}

impl<'a> Usage<'a> {
    /// From now on.
    #[track_caller]
    pub fn of(program: &'a Program) -> Self {
        // 5 sets the peak of resident memory to what is resident now.
        fs::write(format!("/proc/{}/clear_refs", program.id()), "5").expect("a child's peak can be reset");
        Self { program, resident: status(program, "VmRSS"), start: Instant::now() }
    }

    /// By how many kB its resident memory was larger at the most.
    #[track_caller]
    pub fn growth_kb(&self) -> u64 {
        status(self.program, "VmHWM").saturating_sub(self.resident)
    }

    pub fn time(&self) -> Duration {
        self.start.elapsed()
    }
}

/// Resident memory in kB.
#[track_caller]
pub fn resident_kb(program: &Program) -> u64 {
    status(program, "VmRSS")
}
