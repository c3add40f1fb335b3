//! The procedures: their table, and what each does between its parameters and its reply.

use std::time::{Duration, Instant};

use log::warn;

use super::core::{CallContext, Core, SignIn};
use super::delivery::reply;
use super::entry::{Entry, PersonId, RoomId};
use super::identity::Proof;
use super::name::{RoomName, UserName};
use super::params::{MessageKey, Recipient, Text};
use super::refusal::Refusal;
use super::waits::MAX_WAIT;
use super::{Chat, now, wire};
use crate::random;
use crate::rpc::{Caller, Deferred, Fault, Written, procedures};
use crate::secret::Verifier;

procedures! { pub PROCEDURES for Chat {
    /// Registers a user. With HTTP Basic credentials, whose user part must be the name, nobody else can act as this user,
    /// and the same call resumes the session. Fault 1 if the name is in use, 7 if it is not allowed, 8 if there are too
    /// many users, 9 if the server wants credentials, 10 if there are too many registrations from this address.
    "register_user" = register_user(username: UserName) -> String;
    /// Unregisters a user, who leaves the room too. Fault 2 if there is no such user.
    "unregister_user" = unregister_user(username: UserName) -> String;
    /// Creates a room, empty but for what is kept of an earlier one. It is removed again when nobody has been in it for some
    /// time. Fault 4 if it exists, 7 if the name is not allowed, 8 if there are too many rooms, 9 if the server wants the
    /// credentials of a registered user, 10 if too many are created from this address.
    "create_room" = create_room(room_name: RoomName) -> String;
    /// Joins a room and leaves the one before. Returns a struct of users (array of string), messages (the newest 50 that
    /// this user may see), last_id (the cursor to wait from) and room_id (this life of the room). Fault 2 or 3 if there is no such user or room, 8 if the
    /// room is full.
    "join_room" = join_room(username: UserName, room_name: RoomName) -> Written<true>;
    /// Leaves the room. Fault 2 if there is no such user, 5 if they are in no room.
    "leave_room" = leave_room(username: UserName) -> String;
    /// Sends a message to everybody in the room, or with a recipient only to that user. A call with a key that this user has
    /// used within their last 256 messages sends nothing and returns the same confirmation, so that a call whose reply was
    /// lost can be made again. Fault 2 or 3 if there is no such user or room, 5 if the user is not in it, 6 if the
    /// recipient is not, 8 if the message or the key is too long, 10 if messages come too fast.
    "send_message" = send_message(username: UserName, room_name: RoomName, message: Text, recipient: Recipient, key: MessageKey) -> String;
    /// All messages of the room that are kept and that this user may see: structs of id, type (broadcast or unicast),
    /// origin, destination (empty for a broadcast), content, timestamp (local time), time (RFC 3339) and, of a message that
    /// was sent with one, key. Fault 5 if the user is not in the room.
    "receive_messages" = writes receive_messages(username: UserName, room_name: RoomName) -> Written<false>;
    /// Those later than last_timestamp (YYYY-MM-DD HH:MM:SS, with or without a fraction). Fault 5 if the user is not in the
    /// room.
    "receive_new_messages" = writes receive_new_messages(username: UserName, room_name: RoomName, last_timestamp: String) -> Written<false>;
    /// Waits for messages with an id past after_id that this user may see, at most timeout_seconds (0 to 60). Returns a
    /// struct of messages (empty when the time is up), last_id (the next after_id), room_id (this life of the room) and
    /// missed (how many were dropped before this user could read them). A second wait by the same user ends the first. Fault 5 if the user is not in
    /// the room.
    "wait_messages" = later wait_messages(username: UserName, room_name: RoomName, after_id: i64, timeout_seconds: i64) -> Written<true>;
    /// The names of all rooms.
    "list_rooms" = list_rooms() -> Vec<String>;
    /// The names of the users in a room. Fault 3 if there is no such room.
    "list_users" = list_users(room_name: RoomName) -> Vec<String>;
} }

/// Returns a random number for an id.
fn random_id() -> Result<u64, Fault> {
    random::bytes().map(u64::from_le_bytes).map_err(|failure| {
        warn!("{failure}");
        Refusal::NotStored.into()
    })
}

impl Chat {
    /// Does `act` with the circumstances of a call that acts as `user`. The first time in a process the secret of a user from
    /// an earlier one is looked at closely, which takes its time.
    pub(super) fn acting<R>(
        &self,
        caller: &Caller,
        user: Option<&UserName>,
        act: impl FnOnce(&mut Core<Deferred>, CallContext<'_>) -> R,
    ) -> R {
        let proof = Proof::new(caller.credentials.as_ref(), &self.digests);
        let mut core = self.core.lock();
        if let (Some(name), Some(credentials)) = (user, &caller.credentials)
            && let Some(verifier) = core.unverified(name, &proof)
        {
            drop(core);
            let is_right = self.verifier(name, &credentials.secret) == verifier;
            core = self.core.lock();
            if is_right {
                core.verified(name, &proof, &verifier);
            }
        }
        act(&mut core, CallContext { user, proof: &proof, address: caller.address, now: now() })
    }

    fn verifier(&self, name: &UserName, secret: &str) -> Verifier {
        self.salt.verifier(name.key().as_str(), secret)
    }

    fn register_user(&self, caller: &Caller, username: UserName) -> Result<String, Fault> {
        let confirmation = format!("User {username} registered.");
        if self.acting(caller, Some(&username), |core, by| core.register(by))? == SignIn::Resumed {
            return Ok(confirmation);
        }
        let secret = caller.credentials.as_ref().map(|shown| self.verifier(&username, &shown.secret));
        let entry = Entry::Register { person: PersonId(random_id()?), name: username.clone(), secret: secret.clone() };
        match (self.commit(entry), secret) {
            // Perhaps by this user, in a call at another server or just before.
            (Err(Refusal::NameInUse), Some(_)) => {
                self.acting(caller, Some(&username), |core, by| core.register(by))?;
            }
            (Ok(()), Some(verifier)) => {
                let proof = Proof::new(caller.credentials.as_ref(), &self.digests);
                self.core.lock().verified(&username, &proof, &verifier);
            }
            (outcome, _) => outcome?,
        }
        Ok(confirmation)
    }

    fn unregister_user(&self, caller: &Caller, username: UserName) -> Result<String, Fault> {
        self.commit(self.acting(caller, Some(&username), |core, by| core.unregister(by))?)?;
        Ok(format!("User {username} unregistered."))
    }

    fn create_room(&self, caller: &Caller, room_name: RoomName) -> Result<String, Fault> {
        let confirmation = format!("Room {room_name} created.");
        let id = RoomId(random_id()?);
        let shown = caller.credentials.as_ref().and_then(|credentials| UserName::parse(&credentials.user).ok());
        let entry = self.acting(caller, shown.as_ref(), |core, by| core.create(id, room_name, by))?;
        self.commit(entry)?;
        Ok(confirmation)
    }

    fn join_room(&self, caller: &Caller, username: UserName, room_name: RoomName) -> Result<Written<true>, Fault> {
        self.commit(self.acting(caller, Some(&username), |core, by| core.join(&room_name, by))?)?;
        let (users, page) = self.acting(caller, Some(&username), |core, by| core.joined(&room_name, by))?;
        Ok(Written(wire::joined(&users, &page)))
    }

    fn leave_room(&self, caller: &Caller, username: UserName) -> Result<String, Fault> {
        let (room, entry) = self.acting(caller, Some(&username), |core, by| core.leave(by))?;
        self.commit(entry)?;
        Ok(format!("User {username} left room {room}."))
    }

    fn send_message(
        &self,
        caller: &Caller,
        username: UserName,
        room_name: RoomName,
        Text(content): Text,
        Recipient(recipient): Recipient,
        MessageKey(key): MessageKey,
    ) -> Result<String, Fault> {
        let send =
            |core: &mut Core<_>, by: CallContext<'_>| core.send(&room_name, recipient.as_ref(), key, content, by);
        if let Some(entry) = self.acting(caller, Some(&username), send)? {
            self.commit(entry)?;
        }
        Ok("Message sent.".into())
    }

    fn receive_messages(
        &self,
        caller: &Caller,
        username: UserName,
        room_name: RoomName,
        out: &mut String,
    ) -> Result<(), Fault> {
        self.receive_new_messages(caller, username, room_name, String::new(), out)
    }

    fn receive_new_messages(
        &self,
        caller: &Caller,
        username: UserName,
        room_name: RoomName,
        last_timestamp: String,
        out: &mut String,
    ) -> Result<(), Fault> {
        let stamp = wire::parse_stamp(&last_timestamp)?;
        let messages = self.acting(caller, Some(&username), |core, by| core.receive(&room_name, stamp, by))?;
        wire::messages(out, &messages);
        Ok(())
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
            return deferred.fault(&bad("after_id must be 0 or the last_id of an earlier reply"));
        };
        let time = u64::try_from(timeout_seconds).map(Duration::from_secs).ok().filter(|time| *time <= MAX_WAIT);
        let Some(time) = time else { return deferred.fault(&bad("timeout_seconds must be 0 to 60")) };
        if let Err(refusal) = self.catch_up(&room_name, after) {
            return deferred.fault(&refusal.into());
        }
        #[allow(clippy::result_large_err, reason = "a refusal gives the right to reply back")]
        let wait = |core: &mut Core<_>, by: CallContext<'_>| core.wait(&room_name, after, time, deferred, by);
        match self.acting(caller, Some(&username), wait) {
            Ok(deliveries) => {
                reply(deliveries);
                self.bell.ring_by(Instant::now() + time);
            }
            Err((refusal, deferred)) => deferred.fault(&refusal.into()),
        }
    }

    /// Waits until a position that a reader has from another server of the chat is one here.
    ///
    /// # Errors
    /// If this server is too far behind.
    pub(super) fn catch_up(&self, room: &RoomName, id: u64) -> Result<(), Refusal> {
        let is_known = |core: &Core<_>| core.state().room_named(room.key()).is_ok_and(|room| room.last_id >= id);
        let is_there = !self.log.is_shared() || is_known(&self.core.lock()) || self.log.catch_up();
        is_there.then_some(()).ok_or(Refusal::Behind)
    }

    fn list_rooms(&self, _: &Caller) -> Result<Vec<String>, Fault> {
        Ok(self.core.lock().list_rooms())
    }

    fn list_users(&self, _: &Caller, room_name: RoomName) -> Result<Vec<String>, Fault> {
        Ok(self.core.lock().list_users(&room_name)?.iter().map(ToString::to_string).collect())
    }
}
