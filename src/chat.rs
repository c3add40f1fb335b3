//! The chat: users, rooms, messages, and their delivery.
//!
//! [`State`] knows everything and has no threads; [`Chat`] puts a lock around it and serves its procedures; [`start`]
//! runs a whole server: HTTP, the thread that delivers, the janitor, and the one that keeps the server registered.

mod delivery;
mod identity;
mod limits;
pub mod name;
mod rate;
mod refusal;
mod registration;
mod room;
mod server;
mod state;
mod wire;

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{Local, SubsecRound as _};
use parking_lot::Mutex;

use delivery::Bell;
pub use identity::Proof;
pub use limits::Limits;
use name::{NameError, RoomName, UserName};
pub use refusal::Refusal;
pub use room::{JOIN_MESSAGES, News};
pub use server::{PROGRAM, Running, Setup, start};
pub use state::{Batch, Counts, DELIVERY_GAP, Draft, MAX_WAIT, Now, State, Ticket, Unanswered};

use crate::rpc::{Caller, ConnectionId, Deferred, Fault, Metrics, Param, Value, Written, forbidden_char, procedures};
use crate::secret::Key;

/// A chat server's procedures and their state.
#[derive(Debug)]
pub struct Chat {
    /// Held for the length of a look-up or an insertion; nothing is written, answered or logged under it. The one other
    /// lock that is taken under it is that of the HTTP server's connections, to ask whether a request waits there.
    state: Arc<Mutex<State<Deferred>>>,
    /// Wakes the thread that delivers.
    bell: Arc<Bell>,
    key: Key,
    max_message_bytes: usize,
    open_allowed: bool,
}

procedures! { pub PROCEDURES for Chat {
    /// Registers a user. With HTTP Basic credentials, whose user part must be the name, nobody else can act as this user,
    /// and the same call resumes the session. Fault 1 if the name is in use, 7 if it is not allowed, 8 if there are too
    /// many users, 9 if the server wants credentials, 10 if there are too many registrations from this address.
    "register_user" = register_user(username: UserName) -> String;
    /// Unregisters a user, who leaves the room too. Fault 2 if there is no such user.
    "unregister_user" = unregister_user(username: UserName) -> String;
    /// Creates an empty room. It is removed again when it has been empty and unused for some time. Fault 4 if it exists,
    /// 7 if the name is not allowed, 8 if there are too many rooms.
    "create_room" = create_room(room_name: RoomName) -> String;
    /// Joins a room and leaves the one before. Answers a struct of users (array of string), messages (the newest 50 that
    /// this user may see) and last_id (the cursor to wait from). Fault 2 or 3 if there is no such user or room, 8 if the
    /// room is full.
    "join_room" = join_room(username: UserName, room_name: RoomName) -> Written<true>;
    /// Leaves the room. Fault 2 if there is no such user, 5 if they are in no room.
    "leave_room" = leave_room(username: UserName) -> String;
    /// Sends a message to everybody in the room, or with a recipient only to that user. Fault 2 or 3 if there is no such
    /// user or room, 5 if the user is not in it, 6 if the recipient is not, 8 if the message is too long, 10 if messages
    /// come too fast.
    "send_message" = send_message(username: UserName, room_name: RoomName, message: Text, recipient: Recipient) -> String;
    /// All messages of the room that are kept and that this user may see: structs of id, type (broadcast or unicast),
    /// origin, destination (empty for a broadcast), content and timestamp. Fault 5 if the user is not in the room.
    "receive_messages" = receive_messages(username: UserName, room_name: RoomName) -> Written<false>;
    /// Those later than last_timestamp (YYYY-MM-DD HH:MM:SS, with or without a fraction). Fault 5 if the user is not in the
    /// room.
    "receive_new_messages" = receive_new_messages(username: UserName, room_name: RoomName, last_timestamp: String) -> Written<false>;
    /// Waits for messages with an id past after_id that this user may see, at most timeout_seconds (0 to 60). Answers a
    /// struct of messages (empty when the time is up), last_id (the next after_id) and missed (how many were dropped
    /// before this user could read them). A second wait by the same user ends the first. Fault 5 if the user is not in
    /// the room.
    "wait_messages" = later wait_messages(username: UserName, room_name: RoomName, after_id: i64, timeout_seconds: i64) -> Written<true>;
    /// The names of all rooms.
    "list_rooms" = list_rooms() -> Vec<String>;
    /// The names of the users in a room. Fault 3 if there is no such room.
    "list_users" = list_users(room_name: RoomName) -> Vec<String>;
} }

/// The one place where the reason against a name becomes a fault.
impl From<NameError> for Fault {
    fn from(error: NameError) -> Self {
        Self::new(Self::BAD_NAME, error.to_string())
    }
}

impl Param for UserName {
    const TYPE: &'static str = "string";
    fn from_value(value: Option<Value>, name: &str) -> Result<Self, Fault> {
        Ok(Self::parse(&String::from_value(value, name)?)?)
    }
}

impl Param for RoomName {
    const TYPE: &'static str = "string";
    fn from_value(value: Option<Value>, name: &str) -> Result<Self, Fault> {
        Ok(Self::parse(&String::from_value(value, name)?)?)
    }
}

/// What a message says: without the characters that XML forbids, which no answer could carry.
#[derive(Debug)]
pub struct Text(String);

impl Param for Text {
    const TYPE: &'static str = "string";
    fn from_value(value: Option<Value>, name: &str) -> Result<Self, Fault> {
        let text = String::from_value(value, name)?;
        match forbidden_char(&text) {
            None => Ok(Self(text)),
            Some(c) => Err(Fault::new(
                Fault::BAD_PARAMS,
                format!("{name} has a character that XML forbids: U+{:04X}", u32::from(c)),
            )),
        }
    }
}

/// One user, or with nil, an empty string or nothing at all the whole room.
#[derive(Debug)]
pub struct Recipient(Option<UserName>);

impl Param for Recipient {
    const TYPE: &'static str = "string";
    const OPTIONAL: bool = true;
    fn from_value(value: Option<Value>, name: &str) -> Result<Self, Fault> {
        let text = Option::<String>::from_value(value, name)?.filter(|text| !text.is_empty());
        Ok(Self(text.map(|text| UserName::parse(&text)).transpose()?))
    }
}

impl Ticket for Deferred {
    type Connection = Option<ConnectionId>;

    fn connection(&self) -> Self::Connection {
        self.connection()
    }

    fn is_waited_for(&self) -> bool {
        self.has_pipelined_request()
    }
}

/// Answers everybody in `batches`, and closes connections only then. Each answer is written once; nothing blocks on a slow
/// reader.
fn answer(batches: impl IntoIterator<Item = Batch<Deferred>>) {
    let mut sent = Vec::new();
    for batch in batches {
        let document = wire::news(&batch.news);
        sent.extend(batch.tickets.into_iter().filter_map(|ticket| ticket.document(&document)));
    }
}

fn now() -> Now {
    // The original's clients compare time stamps as text, and milliseconds are what the text has.
    Now { monotonic: Instant::now(), wall: Local::now().naive_local().trunc_subsecs(3) }
}

fn written(messages: &[Arc<str>]) -> Written<false> {
    let mut out = String::new();
    wire::messages(&mut out, messages);
    Written(out)
}

impl Chat {
    /// A chat without anybody in it. `open_allowed`: users may register without credentials.
    #[must_use]
    pub fn new(limits: Limits, key: Key, open_allowed: bool) -> Self {
        Self {
            max_message_bytes: limits.message_bytes,
            state: Arc::new(Mutex::new(State::new(limits))),
            bell: Arc::default(),
            key,
            open_allowed,
        }
    }

    fn proof(&self, caller: &Caller) -> Proof {
        Proof::new(caller.credentials.as_ref(), &self.key, self.open_allowed)
    }

    fn register_user(&self, caller: &Caller, username: UserName) -> Result<String, Fault> {
        let confirmation = format!("User {username} registered.");
        let proof = self.proof(caller);
        self.state.lock().register_user(username, &proof, caller.address, now())?;
        Ok(confirmation)
    }

    fn unregister_user(&self, caller: &Caller, username: UserName) -> Result<String, Fault> {
        let proof = self.proof(caller);
        let ended = self.state.lock().unregister_user(&username, &proof, now())?;
        answer(ended);
        Ok(format!("User {username} unregistered."))
    }

    fn create_room(&self, _: &Caller, room_name: RoomName) -> Result<String, Fault> {
        let confirmation = format!("Room {room_name} created.");
        self.state.lock().create_room(room_name, now())?;
        Ok(confirmation)
    }

    fn join_room(&self, caller: &Caller, username: UserName, room_name: RoomName) -> Result<Written<true>, Fault> {
        let proof = self.proof(caller);
        let (users, news, left) = self.state.lock().join_room(&username, &room_name, &proof, now())?;
        answer(left);
        Ok(Written(wire::joined(&users, &news)))
    }

    fn leave_room(&self, caller: &Caller, username: UserName) -> Result<String, Fault> {
        let proof = self.proof(caller);
        let (room, ended) = self.state.lock().leave_room(&username, &proof, now())?;
        answer(ended);
        Ok(format!("User {username} left room {room}."))
    }

    fn send_message(
        &self,
        caller: &Caller,
        username: UserName,
        room_name: RoomName,
        message: Text,
        recipient: Recipient,
    ) -> Result<String, Fault> {
        if message.0.len() > self.max_message_bytes {
            return Err(Refusal::Limit { what: "bytes of one message", value: self.max_message_bytes }.into());
        }
        let proof = self.proof(caller);
        let write = |draft: Draft<'_>| wire::message(&draft, &message.0);
        let message =
            self.state.lock().send_message(&username, &room_name, recipient.0.as_ref(), &proof, now(), write)?;
        let (state, bell) = (Arc::clone(&self.state), Arc::clone(&self.bell));
        caller.after_reply(move || {
            let awaited = state.lock().answered(message);
            if awaited {
                bell.ring();
            }
        });
        Ok("Message sent.".into())
    }

    fn receive_messages(
        &self,
        caller: &Caller,
        username: UserName,
        room_name: RoomName,
    ) -> Result<Written<false>, Fault> {
        let proof = self.proof(caller);
        let messages = self.state.lock().receive_messages(&username, &room_name, &proof, now())?;
        Ok(written(&messages))
    }

    fn receive_new_messages(
        &self,
        caller: &Caller,
        username: UserName,
        room_name: RoomName,
        last_timestamp: String,
    ) -> Result<Written<false>, Fault> {
        let stamp = wire::parse_stamp(&last_timestamp)?;
        let proof = self.proof(caller);
        let messages = self.state.lock().receive_new_messages(&username, &room_name, stamp, &proof, now())?;
        Ok(written(&messages))
    }

    fn wait_messages(
        &self,
        caller: &Caller,
        username: UserName,
        room_name: RoomName,
        after_id: i64,
        timeout_seconds: i64,
        deferred: Deferred,
    ) {
        let bad = |what| Fault::new(Fault::BAD_PARAMS, what);
        let Ok(after) = u64::try_from(after_id) else {
            return deferred.fault(&bad("after_id is 0 or the last_id of an earlier answer"));
        };
        let time = u64::try_from(timeout_seconds).map(Duration::from_secs).ok().filter(|time| *time <= MAX_WAIT);
        let Some(time) = time else { return deferred.fault(&bad("timeout_seconds is 0 to 60")) };
        let proof = self.proof(caller);
        let outcome = self.state.lock().wait_messages(
            &username,
            &room_name,
            after,
            time,
            &proof,
            caller.address,
            deferred,
            now(),
        );
        match outcome {
            Ok(answers) => {
                answer(answers);
                self.bell.ring_by(Instant::now() + time);
            }
            Err((refusal, deferred)) => deferred.fault(&refusal.into()),
        }
    }

    fn list_rooms(&self, _: &Caller) -> Result<Vec<String>, Fault> {
        Ok(self.state.lock().list_rooms())
    }

    fn list_users(&self, _: &Caller, room_name: RoomName) -> Result<Vec<String>, Fault> {
        let users = self.state.lock().list_users(&room_name, now())?;
        Ok(users.iter().map(ToString::to_string).collect())
    }

    /// Another request arrived on a connection that has a wait.
    fn end_wait_on(&self, connection: ConnectionId) {
        let ended = self.state.lock().hurry(Some(connection), Instant::now());
        answer(ended);
    }

    /// Answers everybody who waits, and lets nobody wait any more.
    fn end_all_waits(&self) {
        let ended = self.state.lock().end_all_waits(Instant::now());
        answer(ended);
    }

    fn metrics(&self, out: &mut Metrics) {
        let counts = self.state.lock().counts();
        out.gauge("chat_users", "Registered users", counts.users as u64);
        out.gauge("chat_rooms", "Rooms", counts.rooms as u64);
        out.gauge("chat_waiting", "Calls that wait for messages", counts.waiting as u64);
        out.counter("chat_messages_total", "Messages accepted", counts.messages);
        out.gauge("chat_history_bytes", "Bytes of the messages that are kept", counts.history_bytes as u64);
    }
}
