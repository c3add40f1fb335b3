//! Servers of one chat come to the same state, in whatever pieces they read the stream and whatever was appended twice.

#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

mod support;

use std::time::Duration;

use chat_rpc::chat::entry::{Entry, IdempotencyKey, PersonId, RoomId};
use chat_rpc::chat::share::batch::{Admission, Batch, Verdict};
use chat_rpc::chat::{CallContext, Core, FORM, Limits, Now, Proof, Refusal, SignIn, State};
use chat_rpc::stamp::Time;
use proptest::prelude::*;
use std::time::Instant;
use support::scene::{NOON, Number, image, room, user};

const SERVERS: usize = 3;
const USERS: [&str; 4] = ["ana", "bob", "eve", "joão"];
const ROOMS: [&str; 3] = ["lobby", "ops", "#help"];

#[derive(Debug, Clone)]
enum Deed {
    Register(usize),
    Unregister(usize),
    Create(usize),
    Join(usize, usize),
    Leave(usize),
    Send { from: usize, room: usize, to: Option<usize>, key: Option<u8> },
    Sweep,
}

#[derive(Debug, Clone)]
enum Step {
    /// A server does something, together with what else it has to append.
    Do(Vec<Deed>),
    /// It reads as many batches.
    Read(usize),
    /// It appends its last batch again: the confirmation was lost.
    Repeat,
    /// A batch of it arrives after its deadline.
    Late(Deed),
    /// It starts anew from a snapshot of another one.
    Restart(usize),
    Pass(u64),
}

fn deed() -> impl Strategy<Value = Deed> {
    let (user, room) = (0..USERS.len(), 0..ROOMS.len());
    let send = (user.clone(), room.clone(), proptest::option::of(user.clone()), proptest::option::of(0..4u8));
    prop_oneof![
        3 => user.clone().prop_map(Deed::Register),
        1 => user.clone().prop_map(Deed::Unregister),
        2 => room.clone().prop_map(Deed::Create),
        4 => (user.clone(), room).prop_map(|(user, room)| Deed::Join(user, room)),
        1 => user.prop_map(Deed::Leave),
        8 => send.prop_map(|(from, room, to, key)| Deed::Send { from, room, to, key }),
        1 => Just(Deed::Sweep),
    ]
}

fn step() -> impl Strategy<Value = (usize, Step)> {
    let step = prop_oneof![
        8 => proptest::collection::vec(deed(), 1..4).prop_map(Step::Do),
        5 => (1..6usize).prop_map(Step::Read),
        1 => Just(Step::Repeat),
        1 => deed().prop_map(Step::Late),
        1 => (0..SERVERS).prop_map(Step::Restart),
        1 => (0..200u64).prop_map(Step::Pass),
    ];
    (0..SERVERS, step)
}

/// One server: what it has read, and what it would append.
struct Server {
    core: Core<Number>,
    admission: Admission,
    cursor: usize,
    origin: u64,
    last: Option<(u64, Batch)>,
    sequence: u64,
}

struct Chat {
    limits: Limits,
    servers: Vec<Server>,
    /// The batches, and when each was appended.
    stream: Vec<(u64, Batch)>,
    now: Now,
    next_id: u64,
}

impl Chat {
    fn new() -> Self {
        let limits = Limits {
            message_rate: 0,
            registration_rate: 0,
            room_rate: 0,
            history_messages: 5,
            memory: 4500,
            keep_history: Duration::from_secs(500),
            ..Limits::default()
        };
        let now = Now { monotonic: Instant::now(), time: Time { utc: NOON, ahead: 0 } };
        let server = |origin| Server {
            core: Core::new(State::new(limits.clone(), FORM), now.monotonic),
            admission: Admission::default(),
            cursor: 0,
            origin: origin as u64,
            last: None,
            sequence: 0,
        };
        Self { servers: (0..SERVERS).map(server).collect(), limits, stream: Vec::new(), now, next_id: 0 }
    }

    fn entries(&mut self, server: usize, deed: &Deed) -> Result<Vec<Entry>, Refusal> {
        self.next_id += 1;
        let (id, now, proof) = (self.next_id, self.now, Proof::none());
        let name = match *deed {
            Deed::Register(of) | Deed::Unregister(of) | Deed::Join(of, _) | Deed::Leave(of) => Some(user(USERS[of])),
            Deed::Send { from, .. } => Some(user(USERS[from])),
            Deed::Create(_) | Deed::Sweep => None,
        };
        let by = CallContext { user: name.as_ref(), proof: &proof, address: None, now };
        let core = &mut self.servers[server].core;
        let entry = match *deed {
            Deed::Register(of) => {
                let name = user(USERS[of]);
                assert_eq!(core.register(by)?, SignIn::New);
                Entry::Register { person: PersonId(id), name, secret: None }
            }
            Deed::Unregister(_) => core.unregister(by)?,
            Deed::Create(of) => core.create(RoomId(id), room(ROOMS[of]), by)?,
            Deed::Join(_, to) => core.join(&room(ROOMS[to]), by)?,
            Deed::Leave(_) => core.leave(by)?.1,
            Deed::Send { from, room: at, to, key } => {
                let (at, recipient) = (room(ROOMS[at]), to.map(|to| user(USERS[to])));
                let key = key.and_then(|key| IdempotencyKey::parse(key.to_string()).unwrap());
                let content = format!("{id} of {from}");
                return Ok(core.send(&at, recipient.as_ref(), key, content, by)?.into_iter().collect());
            }
            Deed::Sweep => return Ok(core.sweep(now)),
        };
        Ok(vec![entry])
    }

    fn append(&mut self, server: usize, entries: Vec<Entry>, is_late: bool) {
        let (time, server) = (self.now.time.utc.unsigned_abs(), &mut self.servers[server]);
        server.sequence += 1;
        let deadline = if is_late { time - 1 } else { time + 2500 };
        let batch = Batch { origin: server.origin, sequence: server.sequence, deadline, entries };
        server.last = Some((time, batch.clone()));
        self.stream.push((time, batch));
    }

    fn read(&mut self, server: usize, count: usize) {
        let now = self.now.monotonic;
        let server = &mut self.servers[server];
        for (at, batch) in self.stream.iter().skip(server.cursor).take(count) {
            server.cursor += 1;
            if server.admission.admit(batch, *at) == Verdict::Counts {
                for entry in batch.entries.clone() {
                    let _ = server.core.apply(entry, now);
                }
            }
        }
    }

    fn step(&mut self, server: usize, step: &Step) {
        match step {
            Step::Do(deeds) => {
                let entries = deeds.iter().flat_map(|deed| self.entries(server, deed).unwrap_or_default()).collect();
                self.append(server, entries, false);
            }
            Step::Late(deed) => {
                if let Ok(entries) = self.entries(server, deed) {
                    self.append(server, entries, true);
                }
            }
            Step::Read(count) => self.read(server, *count),
            Step::Repeat => {
                if let Some((_, batch)) = self.servers[server].last.clone() {
                    self.stream.push((self.now.time.utc.unsigned_abs(), batch));
                }
            }
            Step::Restart(from) => {
                let (from, now) = (&self.servers[*from], self.now.monotonic);
                let mut state = State::new(self.limits.clone(), FORM);
                image(from.core.state()).into_iter().for_each(|entry| drop(state.apply(entry).unwrap()));
                let (admission, cursor) = (from.admission.clone(), from.cursor);
                self.next_id += 1;
                let core = Core::new(state, now);
                self.servers[server] =
                    Server { core, admission, cursor, origin: 1000 + self.next_id, last: None, sequence: 0 };
            }
            Step::Pass(seconds) => {
                self.now.monotonic += Duration::from_secs(*seconds);
                self.now.time.utc += i64::try_from(*seconds).unwrap() * 1000;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_interleaving_of_commands_at_three_servers_ends_in_three_equal_states(
        steps in proptest::collection::vec(step(), 1..150),
    ) {
        let mut chat = Chat::new();
        for (server, step) in &steps {
            chat.step(*server, step);
        }
        for server in 0..SERVERS {
            chat.read(server, usize::MAX);
        }
        let first = image(chat.servers[0].core.state());
        for server in &chat.servers[1..] {
            prop_assert_eq!(&image(server.core.state()), &first);
            prop_assert_eq!(&server.admission, &chat.servers[0].admission);
        }
    }
}
