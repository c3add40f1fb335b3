//! Peers that call with and without credentials, and what they cost a program.

use std::fs;
use std::time::{Duration, Instant};

use chat_rpc::rpc::{CallError, Client, Credentials, Fault, Value};

use super::procfs::status;
use super::{Process, TIMEOUT};

/// Somebody who calls procedures.
#[derive(Debug, Clone)]
pub struct Peer {
    client: Client,
}

impl Peer {
    /// Without credentials.
    pub fn open(server: &Process) -> Self {
        Self { client: Client::new(server.address()).with_timeout(TIMEOUT * 2) }
    }

    /// With credentials.
    pub fn with(server: &Process, user: &str, secret: &str) -> Self {
        let credentials = Credentials { user: user.to_owned(), secret: secret.to_owned() };
        Self { client: Client::new(server.address()).with_timeout(TIMEOUT * 2).with_credentials(&credentials) }
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

    /// Registers these users and brings them into the room, which may exist already.
    #[track_caller]
    pub fn enter(&self, room: &str, users: &[&str]) {
        enter(|method, params| self.call(method, params), room, users);
    }

    /// Returns the identity that the server publishes.
    #[track_caller]
    pub fn server_id(&self) -> Value {
        self.ok("system.getCapabilities", &[]).member("server_id").expect("an identity").clone()
    }

    /// Makes a call that must be refused with `code`. Returns the text of the fault.
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

/// Registers these users by `call` and brings them into the room, which may exist already.
pub(super) fn enter(mut call: impl FnMut(&str, &[Value]) -> Result<Value, Fault>, room: &str, users: &[&str]) {
    match call("create_room", &[room.into()]) {
        Err(fault) if fault.code != Fault::ROOM_EXISTS => panic!("{room}: {fault}"),
        _ => {}
    }
    for &user in users {
        call("register_user", &[user.into()]).unwrap_or_else(|fault| panic!("{user}: {fault}"));
        call("join_room", &[user.into(), room.into()]).unwrap_or_else(|fault| panic!("{user}: {fault}"));
    }
}

/// Returns the texts in an array of strings.
pub fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(values) => values.iter().filter_map(Value::as_str).collect(),
        other => panic!("an array was expected, not {other:?}"),
    }
}

/// Returns the `content` of each message in an array.
pub fn contents(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(messages) => {
            messages.iter().filter_map(|message| message.member("content").and_then(Value::as_str)).collect()
        }
        other => panic!("an array was expected, not {other:?}"),
    }
}

/// The memory and time that a program uses while something is done to it.
pub struct Usage<'a> {
    program: &'a Process,
    resident: u64,
    start: Instant,
}

impl<'a> Usage<'a> {
    /// Begins to measure.
    #[track_caller]
    pub fn of(program: &'a Process) -> Self {
        // 5 sets the peak of resident memory to what is resident now.
        fs::write(format!("/proc/{}/clear_refs", program.id()), "5").expect("a child's peak can be reset");
        Self { program, resident: resident_kb(program), start: Instant::now() }
    }

    /// Returns by how many kB its resident memory was larger at the most.
    #[track_caller]
    pub fn growth_kb(&self) -> u64 {
        status(self.program.id(), "VmHWM").saturating_sub(self.resident)
    }

    /// Returns the time since then.
    pub fn time(&self) -> Duration {
        self.start.elapsed()
    }
}

/// Returns the resident memory in kB.
#[track_caller]
pub fn resident_kb(program: &Process) -> u64 {
    status(program.id(), "VmRSS")
}
