//! The chat procedures as typed calls, for our server and for that of the original project, which refuses in plain strings,
//! numbers no messages, and knows neither `wait_messages` nor `leave_room`.

use std::thread;
use std::time::{Duration, Instant};

use super::event::Message;
use crate::endpoint::Endpoint;
use crate::network::is_loopback;
use crate::rpc::{CALL_TIMEOUT, CallError, Client, Credentials, Fault, Value};
use crate::stamp::Stamp;

/// The code of a refusal that came without one: a plain string, or an exception of a Python server.
pub const UNNUMBERED: i32 = 0;

/// Bytes of a time stamp up to its seconds.
pub(super) const SECONDS: usize = "YYYY-MM-DD HH:MM:SS".len();

/// Asks the binder where the chat is offered; `None` when nobody offers it.
///
/// # Errors
/// The binder does not answer, or not as a binder does.
pub fn look_up(binder: &Endpoint) -> Result<Option<Endpoint>, CallError> {
    let wrong = || CallError::Malformed("a look-up answers an address and a port, or nil".into());
    let binder = Client::new(&binder.to_string());
    match persist(CALL_TIMEOUT, || binder.call("lookup_procedure", &["send_message".into()]))? {
        Value::Nil => Ok(None),
        answer => {
            let Some([Value::String(host), Value::Int(port)]) = answer.as_array() else { return Err(wrong()) };
            Endpoint::new(host, *port).map(Some).map_err(|_| wrong())
        }
    }
}

/// Returns the chat server that the binder keeps from callers on other machines, because they could not reach it. `None` if there
/// is none, or the binder cannot say it.
#[must_use]
pub fn out_of_reach(binder: &Endpoint) -> Option<Endpoint> {
    let offers = Client::new(&binder.to_string()).call("list_procedures", &[]).ok()?;
    let offers = offers.as_array()?.iter();
    let mut chats = offers.filter(|offer| offer.member("name").and_then(Value::as_str) == Some("send_message"));
    chats.find_map(|offer| {
        let (host, port) = (offer.member("address")?.as_str()?, offer.member("port")?.as_int()?);
        Endpoint::new(host, port).ok().filter(is_loopback)
    })
}

/// The pause after a proxy did not know what became of a call.
const GATEWAY_PAUSE: Duration = Duration::from_millis(500);

/// Makes a call that may be made twice, and makes it again for at most `patience` while the server is busy or a proxy does
/// not reach it.
fn persist<T>(patience: Duration, call: impl Fn() -> Result<T, CallError>) -> Result<T, CallError> {
    let deadline = Instant::now() + patience;
    loop {
        let outcome = call();
        let pause = match &outcome {
            Err(CallError::Busy { retry_after, .. }) => *retry_after,
            Err(CallError::Gateway(_)) => GATEWAY_PAUSE,
            _ => return outcome,
        };
        if Instant::now() + pause >= deadline {
            return outcome;
        }
        thread::sleep(pause);
    }
}

/// One user's calls to one server. Where the server is busy, or a proxy does not reach it, all but `send_message` and
/// `wait_messages` are made again for a while.
#[derive(Debug, Clone)]
pub struct Api {
    client: Client,
    user: String,
    /// How long calls are made again.
    patience: Duration,
}

/// The reply of `join_room`.
#[derive(Debug)]
pub struct Joined {
    /// Who is there.
    pub users: Vec<String>,
    /// The newest messages.
    pub messages: Vec<Message>,
    /// The cursor; `None` from a server that does not number messages.
    pub last_id: Option<u64>,
}

/// The reply of `wait_messages`.
#[derive(Debug)]
pub struct WaitReply {
    /// The messages past the cursor.
    pub messages: Vec<Message>,
    /// The next cursor.
    pub last_id: u64,
    /// How many were dropped before they could be read.
    pub missed: u64,
}

impl Api {
    /// The calls that `user` makes to `server`.
    #[must_use]
    pub fn new(server: &Endpoint, user: &str, secret: &str) -> Self {
        let credentials = Credentials { user: user.to_owned(), secret: secret.to_owned() };
        Self {
            client: Client::new(&server.to_string()).with_credentials(&credentials),
            user: user.to_owned(),
            patience: CALL_TIMEOUT,
        }
    }

    /// Returns the same calls, each taking at most `time` and made once.
    #[must_use]
    pub fn with_timeout(&self, time: Duration) -> Self {
        Self { client: self.client.with_timeout(time), user: self.user.clone(), patience: Duration::ZERO }
    }

    /// Registers the user, or resumes their session.
    ///
    /// # Errors
    /// The server refuses or does not answer; so of all calls.
    pub fn register_user(&self) -> Result<(), CallError> {
        self.confirmed("register_user", &[self.user()])
    }

    /// Unregisters the user, who leaves the room too.
    ///
    /// # Errors
    /// As above.
    pub fn unregister_user(&self) -> Result<(), CallError> {
        self.confirmed("unregister_user", &[self.user()])
    }

    /// Creates a room.
    ///
    /// # Errors
    /// As above.
    pub fn create_room(&self, room: &str) -> Result<(), CallError> {
        self.confirmed("create_room", &[room.into()])
    }

    /// Joins a room and leaves the one before.
    ///
    /// # Errors
    /// As above.
    pub fn join_room(&self, room: &str) -> Result<Joined, CallError> {
        let answer = self.call("join_room", &[self.user(), room.into()])?;
        let member = |name| answer.member(name).ok_or_else(|| unlike("a struct of users and messages", &answer));
        Ok(Joined {
            users: texts(member("users")?)?,
            messages: messages(member("messages")?)?,
            last_id: answer.member("last_id").map(number).transpose()?,
        })
    }

    /// Leaves the room. The original's server has no such call; there the user unregisters and comes back.
    ///
    /// # Errors
    /// As above.
    pub fn leave_room(&self) -> Result<(), CallError> {
        match self.confirmed("leave_room", &[self.user()]) {
            Err(CallError::Fault(fault)) if fault.code == Fault::NO_SUCH_PROCEDURE => {
                self.unregister_user()?;
                self.register_user()
            }
            outcome => outcome,
        }
    }

    /// Sends a message to `recipient`, or to the whole room.
    ///
    /// # Errors
    /// As above.
    pub fn send_message(&self, room: &str, text: &str, recipient: Option<&str>) -> Result<(), CallError> {
        // Not nil for the whole room: not every server reads it.
        let recipient = recipient.unwrap_or_default();
        self.with_timeout(CALL_TIMEOUT)
            .confirmed("send_message", &[self.user(), room.into(), text.into(), recipient.into()])
    }

    /// All messages that are kept.
    ///
    /// # Errors
    /// As above.
    pub fn receive_messages(&self, room: &str) -> Result<Vec<Message>, CallError> {
        messages(&self.call("receive_messages", &[self.user(), room.into()])?)
    }

    /// The messages later than `stamp`.
    ///
    /// # Errors
    /// As above.
    pub fn receive_new_messages(&self, room: &str, stamp: &str) -> Result<Vec<Message>, CallError> {
        messages(&self.call("receive_new_messages", &[self.user(), room.into(), stamp.into()])?)
    }

    /// Waits for messages past the cursor `after`, at most for `time`, in whole seconds.
    ///
    /// # Errors
    /// As above.
    pub fn wait_messages(&self, room: &str, after: u64, time: Duration) -> Result<WaitReply, CallError> {
        // Time for the answer beside the wait.
        const MARGIN: Duration = Duration::from_secs(10);
        let params = [self.user(), room.into(), after.cast_signed().into(), time.as_secs().cast_signed().into()];
        let answer =
            Self { patience: CALL_TIMEOUT, ..self.with_timeout(time + MARGIN) }.call("wait_messages", &params)?;
        let member =
            |name| answer.member(name).ok_or_else(|| unlike("a struct of messages, last_id and missed", &answer));
        Ok(WaitReply {
            messages: messages(member("messages")?)?,
            last_id: number(member("last_id")?)?,
            missed: number(member("missed")?)?,
        })
    }

    /// The names of all rooms.
    ///
    /// # Errors
    /// As above.
    pub fn list_rooms(&self) -> Result<Vec<String>, CallError> {
        texts(&self.call("list_rooms", &[])?)
    }

    /// The names of the users in a room.
    ///
    /// # Errors
    /// As above.
    pub fn list_users(&self, room: &str) -> Result<Vec<String>, CallError> {
        texts(&self.call("list_users", &[room.into()])?)
    }

    fn user(&self) -> Value {
        self.user.as_str().into()
    }

    /// Python's servers have no codes for their faults: all are 1, which is "name in use" here.
    fn call(&self, procedure: &str, params: &[Value]) -> Result<Value, CallError> {
        persist(self.patience, || self.client.call(procedure, params)).map_err(|error| match error {
            CallError::Fault(fault) if fault.code == 1 && fault.message.starts_with('<') => {
                let unknown = fault.message.ends_with("is not supported");
                let code = if unknown { Fault::NO_SUCH_PROCEDURE } else { UNNUMBERED };
                CallError::Fault(Fault { code, ..fault })
            }
            error => error,
        })
    }

    /// A call that answers a confirmation, or from the original's server a refusal in the same place.
    fn confirmed(&self, procedure: &str, params: &[Value]) -> Result<(), CallError> {
        let answer = self.call(procedure, params)?;
        let refused = match &answer {
            Value::String(text) => text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("erro")),
            Value::Boolean(truth) => !truth,
            _ => false,
        };
        if refused { Err(unlike("a confirmation", &answer)) } else { Ok(()) }
    }
}

/// A string where something else was due is the server's refusal.
fn unlike(wanted: &str, answer: &Value) -> CallError {
    match answer {
        Value::String(text) => CallError::Fault(Fault::new(UNNUMBERED, text.as_str())),
        other => CallError::Malformed(format!("{} instead of {wanted}", other.type_name())),
    }
}

fn number(value: &Value) -> Result<u64, CallError> {
    value.as_int().and_then(|number| u64::try_from(number).ok()).ok_or_else(|| unlike("a number of 0 or more", value))
}

fn text(value: &Value) -> Result<String, CallError> {
    value
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| CallError::Malformed(format!("{} instead of a string", value.type_name())))
}

fn texts(value: &Value) -> Result<Vec<String>, CallError> {
    value.as_array().ok_or_else(|| unlike("an array of strings", value))?.iter().map(text).collect()
}

fn messages(value: &Value) -> Result<Vec<Message>, CallError> {
    value.as_array().ok_or_else(|| unlike("an array of messages", value))?.iter().map(message).collect()
}

fn message(value: &Value) -> Result<Message, CallError> {
    let member = |name| {
        let missing = || CallError::Malformed(format!("a message without {name}"));
        text(value.member(name).ok_or_else(missing)?)
    };
    let timestamp = member("timestamp")?;
    let read = Stamp::parse(&timestamp).map(|stamp| stamp.to_string());
    if read.is_none_or(|read| read.get(..SECONDS) != timestamp.get(..SECONDS)) {
        return Err(CallError::Malformed("a message whose timestamp is not YYYY-MM-DD HH:MM:SS".into()));
    }
    Ok(Message {
        id: value.member("id").map(number).transpose()?,
        origin: member("origin")?,
        destination: value.member("destination").and_then(Value::as_str).filter(|to| !to.is_empty()).map(str::to_owned),
        content: member("content")?,
        timestamp,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(members: &[(&str, Value)]) -> Value {
        Value::Struct(members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
    }

    #[test]
    fn messages_of_both_kinds_of_server_are_read() {
        let ours = said(&[
            ("id", 7.into()),
            ("type", "unicast".into()),
            ("origin", "ana".into()),
            ("destination", "bob".into()),
            ("content", "oi".into()),
            ("timestamp", "2024-05-06 07:08:09.123".into()),
        ]);
        let read = message(&ours).unwrap();
        assert_eq!((read.id, read.destination.as_deref()), (Some(7), Some("bob")));
        let original = said(&[
            ("origin", "ana".into()),
            ("destination", Value::Nil),
            ("content", "oi".into()),
            ("timestamp", "2024-05-06 07:08:09".into()),
        ]);
        let read = message(&original).unwrap();
        assert_eq!((read.id, read.destination), (None, None));
    }

    #[test]
    fn a_timestamp_of_another_form_is_not_passed_on() {
        for stamp in ["", "now", "2024-05-06", "2024-05-06 07:08:09\u{1b}[2J", "2024-5-6 7:8:9", "06/05/2024 07:08:09"]
        {
            let odd = said(&[("origin", "a".into()), ("content", "b".into()), ("timestamp", stamp.into())]);
            assert!(matches!(message(&odd), Err(CallError::Malformed(_))), "{stamp:?}");
        }
    }

    #[test]
    fn a_string_where_more_was_due_is_a_refusal() {
        let refusal = texts(&"Error: there is no room x".into()).unwrap_err();
        assert!(
            matches!(refusal, CallError::Fault(fault) if fault.code == UNNUMBERED && fault.message.contains("no room"))
        );
        assert!(matches!(messages(&Value::Nil), Err(CallError::Malformed(_))));
    }
}
