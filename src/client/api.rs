//! The chat procedures as typed calls, for our server and for that of the original project, which refuses in plain strings,
//! numbers no messages, and knows neither `wait_messages` nor `leave_room`.

mod capabilities;
mod decode;
mod stream;

use std::thread;
use std::time::{Duration, Instant};

pub(crate) use capabilities::{Capabilities, MessageRate};
use decode::{messages, number, text, texts, unlike};
pub(crate) use stream::{PresenceNews, RoomNews, RoomStream, created_anew};

use super::event::Message;
use crate::endpoint::Endpoint;
use crate::network::is_loopback;
use crate::rpc::{CALL_TIMEOUT, CallError, Client, Credentials, Fault, Value};

/// The code of a refusal that came without one: a plain string, or an exception of a Python server.
pub(crate) const UNNUMBERED: i32 = 0;

pub(super) use decode::SECONDS;

/// Asks the binder for the address of the chat. Returns `None` if no server is registered. A server found through a binder
/// with TLS is called with TLS too, because messages that should be protected must not be sent in the open.
///
/// # Errors
/// If the binder does not reply, or the reply is not that of a binder.
pub(crate) fn look_up(binder: &Endpoint) -> Result<Option<Endpoint>, CallError> {
    let wrong = || CallError::Malformed("a lookup must return an address and a port, or nil".into());
    let client = Client::new(&binder.to_string());
    match persist(CALL_TIMEOUT, || client.call("lookup_procedure", &["send_message".into()]))? {
        Value::Nil => Ok(None),
        answer => {
            let Some([Value::String(host), Value::Int(port)]) = answer.as_array() else { return Err(wrong()) };
            let server = Endpoint::new(host, *port).map_err(|_| wrong())?;
            Ok(Some(Endpoint { tls: binder.tls, ..server }))
        }
    }
}

/// Returns the chat server that the binder hides from callers on other machines, because they could not reach it. Returns
/// `None` if there is none, or if the binder cannot list its procedures.
pub(crate) fn out_of_reach(binder: &Endpoint) -> Option<Endpoint> {
    let offers = Client::new(&binder.to_string()).call("list_procedures", &[]).ok()?;
    let offers = offers.as_array()?.iter();
    let mut chats = offers.filter(|offer| offer.member("name").and_then(Value::as_str) == Some("send_message"));
    chats.find_map(|offer| {
        let (host, port) = (offer.member("address")?.as_str()?, offer.member("port")?.as_int()?);
        Endpoint::new(host, port).ok().filter(is_loopback)
    })
}

/// The pause after a proxy lost track of a call.
const GATEWAY_PAUSE: Duration = Duration::from_millis(500);

/// Makes a call, and repeats it for at most `patience` while the server is busy or a proxy does not reach it.
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

/// One user's calls to one server. Every call fails if the server refuses or does not reply. While the server is busy, or a
/// proxy does not reach it, all calls but `send_message` are repeated for a while.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    client: Client,
    user: String,
    /// The time in which calls are repeated.
    patience: Duration,
    takes_keys: bool,
}

/// The reply of `join_room`.
#[derive(Debug)]
pub(crate) struct Joined {
    pub(crate) users: Vec<String>,
    /// The newest messages.
    pub(crate) messages: Vec<Message>,
    /// The cursor; `None` from a server that does not number messages.
    pub(crate) last_id: Option<u64>,
    /// Names this life of the room; `None` from a server that does not name it.
    pub(crate) room_id: Option<String>,
}

/// The reply of `wait_messages`.
#[derive(Debug)]
pub(crate) struct WaitReply {
    /// The messages past the cursor.
    pub(crate) messages: Vec<Message>,
    /// The next cursor.
    pub(crate) last_id: u64,
    /// The number of messages that were dropped before they could be read.
    pub(crate) missed: u64,
    /// Names this life of the room; `None` from a server that does not name it.
    pub(crate) room_id: Option<String>,
}

impl Api {
    /// Returns the calls that `user` makes to `server`, which has these capabilities.
    pub(crate) fn new(server: &Endpoint, capabilities: &Capabilities, user: &str, secret: &str) -> Self {
        let credentials = Credentials { user: user.to_owned(), secret: secret.to_owned() };
        Self {
            client: Client::new(&server.to_string()).with_credentials(&credentials),
            user: user.to_owned(),
            patience: CALL_TIMEOUT,
            takes_keys: capabilities.takes_keys,
        }
    }

    /// Returns the same calls, each taking at most `time` and made once.
    pub(crate) fn with_timeout(&self, time: Duration) -> Self {
        Self { client: self.client.with_timeout(time), patience: Duration::ZERO, ..self.clone() }
    }

    /// Registers the user, or resumes their session.
    pub(crate) fn register_user(&self) -> Result<(), CallError> {
        self.confirmed("register_user", &[self.user()])
    }

    /// Returns whether the user is registered, with this secret.
    pub(crate) fn is_registered(&self) -> bool {
        // Any room will do, because the server looks for the user first. No message is as late as this.
        match self.receive_new_messages(&self.user, "9999-12-31 23:59:59") {
            Err(CallError::Fault(fault)) => matches!(fault.code, Fault::NO_SUCH_ROOM | Fault::NOT_IN_ROOM),
            answer => answer.is_ok(),
        }
    }

    /// Unregisters the user, who leaves the room too.
    pub(crate) fn unregister_user(&self) -> Result<(), CallError> {
        self.confirmed("unregister_user", &[self.user()])
    }

    pub(crate) fn create_room(&self, room: &str) -> Result<(), CallError> {
        self.confirmed("create_room", &[room.into()])
    }

    /// Joins a room and leaves the one before.
    pub(crate) fn join_room(&self, room: &str) -> Result<Joined, CallError> {
        let answer = self.call("join_room", &[self.user(), room.into()])?;
        let member = |name| answer.member(name).ok_or_else(|| unlike("a struct of users and messages", &answer));
        let room_id = answer.member("room_id").map(text).transpose()?;
        Ok(Joined {
            users: texts(member("users")?)?,
            messages: messages(member("messages")?, room_id.as_deref())?,
            last_id: answer.member("last_id").map(number).transpose()?,
            room_id,
        })
    }

    /// Leaves the room. The original's server has no such call, so there the user unregisters and registers again.
    pub(crate) fn leave_room(&self) -> Result<(), CallError> {
        match self.confirmed("leave_room", &[self.user()]) {
            Err(CallError::Fault(fault)) if fault.code == Fault::NO_SUCH_PROCEDURE => {
                self.unregister_user()?;
                self.register_user()
            }
            outcome => outcome,
        }
    }

    /// Sends a message to `recipient`, or to the whole room. If the server takes keys, `key` makes it safe to repeat the call.
    pub(crate) fn send_message(
        &self,
        room: &str,
        text: &str,
        recipient: Option<&str>,
        key: &str,
    ) -> Result<(), CallError> {
        // The empty text stands for the whole room, because not every server reads nil.
        let recipient = recipient.unwrap_or_default();
        let mut params = vec![self.user(), room.into(), text.into(), recipient.into()];
        if self.takes_keys {
            params.push(key.into());
        }
        self.with_timeout(CALL_TIMEOUT).confirmed("send_message", &params)
    }

    /// Returns all messages that are kept in `room`, whose life is `room_id`.
    pub(crate) fn receive_messages(&self, room: &str, room_id: Option<&str>) -> Result<Vec<Message>, CallError> {
        messages(&self.call("receive_messages", &[self.user(), room.into()])?, room_id)
    }

    /// Returns the messages later than `stamp`.
    pub(crate) fn receive_new_messages(&self, room: &str, stamp: &str) -> Result<Vec<Message>, CallError> {
        messages(&self.call("receive_new_messages", &[self.user(), room.into(), stamp.into()])?, None)
    }

    /// Waits for messages past the cursor `after`, at most for `time`, in whole seconds.
    pub(crate) fn wait_messages(&self, room: &str, after: u64, time: Duration) -> Result<WaitReply, CallError> {
        // Time for the reply beside the wait.
        const MARGIN: Duration = Duration::from_secs(10);
        let params = [self.user(), room.into(), after.cast_signed().into(), time.as_secs().cast_signed().into()];
        let answer =
            Self { patience: CALL_TIMEOUT, ..self.with_timeout(time + MARGIN) }.call("wait_messages", &params)?;
        let member = |name| answer.member(name).ok_or_else(|| unlike("a struct of messages and numbers", &answer));
        let room_id = answer.member("room_id").map(text).transpose()?;
        Ok(WaitReply {
            messages: messages(member("messages")?, room_id.as_deref())?,
            last_id: number(member("last_id")?)?,
            missed: number(member("missed")?)?,
            room_id,
        })
    }

    /// Opens the event stream of the life `room_id` of `room`, from the message after `after` on. Its first event is
    /// [`PresenceNews::Members`].
    pub(crate) fn events(&self, room: &str, room_id: &str, after: u64) -> Result<RoomStream, CallError> {
        let after = format!("{room_id}:{after}");
        let query = [("username", self.user.as_str()), ("room", room), ("after", &after)];
        let events = self.client.events("/events", &query, stream::FIRST_EVENT)?;
        Ok(RoomStream { events, room_id: room_id.to_owned() })
    }

    pub(crate) fn list_rooms(&self) -> Result<Vec<String>, CallError> {
        texts(&self.call("list_rooms", &[])?)
    }

    pub(crate) fn list_users(&self, room: &str) -> Result<Vec<String>, CallError> {
        texts(&self.call("list_users", &[room.into()])?)
    }

    fn user(&self) -> Value {
        self.user.as_str().into()
    }

    fn call(&self, procedure: &str, params: &[Value]) -> Result<Value, CallError> {
        call(&self.client, self.patience, procedure, params)
    }

    /// Makes a call whose reply is a confirmation, or from the original's server a refusal in the same place.
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

/// Makes a call, and repeats it for at most `patience`. Python's servers have one code for all faults: 1, which is "name in
/// use" here.
fn call(client: &Client, patience: Duration, procedure: &str, params: &[Value]) -> Result<Value, CallError> {
    persist(patience, || client.call(procedure, params)).map_err(|error| match error {
        CallError::Fault(fault) if fault.code == 1 && fault.message.starts_with('<') => {
            let unknown = fault.message.ends_with("is not supported");
            let code = if unknown { Fault::NO_SUCH_PROCEDURE } else { UNNUMBERED };
            CallError::Fault(Fault { code, ..fault })
        }
        error => error,
    })
}
