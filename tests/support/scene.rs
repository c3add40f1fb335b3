//! The chat without threads and sockets, and with a clock that the test turns.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chat_rpc::chat::entry::{Entry, IdempotencyKey, PersonId, RoomId};
use chat_rpc::chat::name::{RoomName, UserName};
use chat_rpc::chat::{CallContext, Core, Delivery, Limits, Now, Page, Proof, Refusal, SignIn};
use chat_rpc::chat::{State, Ticket, WireForm};
use chat_rpc::rpc::{Credentials, Metrics};
use chat_rpc::secret::{self, Salt};
use chat_rpc::stamp::Time;

/// A ticket that is told apart by its number, which is its connection's too. From 1000 on, a request waits behind it.
#[derive(Debug, PartialEq, Clone, Copy)]
pub struct Number(pub u32);

impl Ticket for Number {
    type ConnectionId = u32;
    fn connection(&self) -> u32 {
        self.0
    }
    fn has_pipelined_request(&self) -> bool {
        self.0 >= 1000
    }
}

/// A message as its number, a space and its content.
pub const FORM: WireForm = WireForm {
    write: |message, _, content| format!("{} {content}", message.id).into(),
    read: |wire| Some((wire.split_once(' ')?.1.to_owned(), None)),
};

/// Noon of 1 March 2026, in UTC.
pub const NOON: i64 = 1_772_366_400_000;

pub struct Scene {
    pub core: Core<Number>,
    pub now: Now,
    /// The entries that have been applied.
    pub log: Vec<Entry>,
    digests: secret::DigestKey,
    salt: Salt,
    next_id: u64,
}

pub fn user(name: &str) -> UserName {
    UserName::parse(name).unwrap()
}

pub fn room(name: &str) -> RoomName {
    RoomName::parse(name).unwrap()
}

pub fn texts(messages: &[Arc<str>]) -> Vec<String> {
    messages.iter().map(ToString::to_string).collect()
}

/// Everything that a state has, as the entries of its snapshot.
pub fn image(state: &State) -> Vec<Entry> {
    state.image().collect()
}

impl Scene {
    pub fn new(limits: Limits, form: WireForm) -> Self {
        let now = Now { monotonic: Instant::now(), time: Time { utc: NOON, ahead: 0 } };
        let core = Core::new(State::new(limits, form), now.monotonic);
        let (digests, salt) = (secret::DigestKey::random().unwrap(), Salt::random(false).unwrap());
        Self { core, now, log: Vec::new(), digests, salt, next_id: 0 }
    }

    /// Users in one room.
    pub fn with(limits: Limits, users: &[&str]) -> Self {
        let mut scene = Self::new(limits, FORM);
        scene.create("lobby").unwrap();
        for name in users {
            scene.register(name, None).unwrap();
            scene.join(name, "lobby");
        }
        scene
    }

    pub fn pass(&mut self, time: Duration) {
        self.now.monotonic += time;
        self.now.time.utc += i64::try_from(time.as_millis()).unwrap();
    }

    /// Appends an entry and applies it. Returns the wait that ends with it, and whether there is something to deliver.
    pub fn commit(&mut self, entry: Entry) -> Result<(Option<Delivery<Number>>, bool), Refusal> {
        let applied = self.core.apply(entry.clone(), self.now.monotonic)?;
        self.log.push(entry);
        Ok((applied.ended, applied.wakes))
    }

    pub fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub fn proof(&self, name: &str, secret: Option<&str>) -> Proof {
        let credentials = secret.map(|secret| Credentials { user: name.into(), secret: secret.into() });
        Proof::new(credentials.as_ref(), &self.digests)
    }

    /// The circumstances of a call that acts as `user` and shows `proof` now.
    pub fn by<'p>(&self, user: &'p UserName, proof: &'p Proof) -> CallContext<'p> {
        CallContext { user: Some(user), proof, address: None, now: self.now }
    }

    pub fn register(&mut self, name: &str, secret: Option<&str>) -> Result<(), Refusal> {
        let (user, proof) = (user(name), self.proof(name, secret));
        if self.core.register(self.by(&user, &proof))? == SignIn::New {
            let verifier = secret.map(|secret| self.salt.verifier(user.key().as_str(), secret));
            let person = PersonId(self.next_id());
            self.commit(Entry::Register { person, name: user.clone(), secret: verifier.clone() })?;
            if let Some(verifier) = verifier {
                self.core.verified(&user, &proof, &verifier);
            }
        }
        Ok(())
    }

    pub fn create(&mut self, name: &str) -> Result<(), Refusal> {
        let id = RoomId(self.next_id());
        let entry = self.core.create(
            id,
            room(name),
            CallContext { user: None, proof: &Proof::none(), address: None, now: self.now },
        )?;
        self.commit(entry).map(drop)
    }

    pub fn try_join(&mut self, name: &str, room_name: &str, proof: &Proof) -> Result<Page, Refusal> {
        let entry = self.core.join(&room(room_name), self.by(&user(name), proof))?;
        self.commit(entry)?;
        Ok(self.core.joined(&room(room_name), self.by(&user(name), proof))?.1)
    }

    pub fn join(&mut self, name: &str, room_name: &str) -> Page {
        self.try_join(name, room_name, &Proof::none()).unwrap()
    }

    pub fn leave(&mut self, name: &str, proof: &Proof) -> Result<Option<Delivery<Number>>, Refusal> {
        let (_, entry) = self.core.leave(self.by(&user(name), proof))?;
        self.commit(entry).map(|(ended, _)| ended)
    }

    pub fn unregister(&mut self, name: &str, proof: &Proof) -> Result<Option<Delivery<Number>>, Refusal> {
        let entry = self.core.unregister(self.by(&user(name), proof))?;
        self.commit(entry).map(|(ended, _)| ended)
    }

    /// Sends to a room, or to one user there. Returns whether a call waits there.
    pub fn send_with(
        &mut self,
        (from, proof): (&str, &Proof),
        room_name: &str,
        to: Option<&str>,
        key: Option<&str>,
        text: &str,
    ) -> Result<bool, Refusal> {
        let (name, in_room, to) = (user(from), room(room_name), to.map(user));
        let key = key.and_then(|key| IdempotencyKey::parse(key.to_owned()).unwrap());
        match self.core.send(&in_room, to.as_ref(), key, text.into(), self.by(&name, proof))? {
            Some(entry) => self.commit(entry).map(|(_, wakes)| wakes),
            None => Ok(false),
        }
    }

    pub fn try_send(&mut self, from: &str, to: Option<&str>, text: &str) -> Result<bool, Refusal> {
        self.send_with((from, &Proof::none()), "lobby", to, None, text)
    }

    /// Sends to the lobby, or to one user there. Returns whether a call waits there.
    pub fn send(&mut self, from: &str, to: Option<&str>, text: &str) -> bool {
        self.try_send(from, to, text).unwrap()
    }

    pub fn wait_with(
        &mut self,
        (name, proof): (&str, &Proof),
        after: u64,
        seconds: u64,
        ticket: u32,
    ) -> Result<Vec<Delivery<Number>>, Refusal> {
        let (name, lobby) = (user(name), room("lobby"));
        let (time, by) = (Duration::from_secs(seconds), self.by(&name, proof));
        self.core.wait(&lobby, after, time, Number(ticket), by).map_err(|(refusal, _)| refusal)
    }

    pub fn wait(
        &mut self,
        name: &str,
        after: u64,
        seconds: u64,
        ticket: u32,
    ) -> Result<Vec<Delivery<Number>>, Refusal> {
        self.wait_with((name, &Proof::none()), after, seconds, ticket)
    }

    /// Returns what a user may see in a room and has a later timestamp.
    pub fn receive(&mut self, name: &str, of: &str, stamp: i64, proof: &Proof) -> Result<Vec<Arc<str>>, Refusal> {
        self.core.receive(&room(of), stamp, self.by(&user(name), proof))
    }

    pub fn read(&mut self, name: &str) -> Vec<String> {
        texts(&self.receive(name, "lobby", i64::MIN, &Proof::none()).unwrap())
    }

    /// Returns a figure of the metrics.
    pub fn metric(&self, name: &str) -> usize {
        let mut metrics = Metrics::default();
        self.core.metrics(&mut metrics);
        let text = metrics.into_text();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap().parse().unwrap()
    }

    pub fn due(&mut self) -> Vec<Delivery<Number>> {
        self.core.due(self.now.monotonic).0
    }

    pub fn sweep(&mut self) {
        for entry in self.core.sweep(self.now) {
            self.commit(entry).unwrap();
        }
    }
}
