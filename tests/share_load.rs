//! One chat on several servers, with many clients at once: everybody has every message once and in the same order, whatever
//! ends meanwhile.
//!
//! The load is small enough for a busy machine. `CHAT_SHARE_CLIENTS`, `CHAT_SHARE_RATE` (messages a second) and
//! `CHAT_SHARE_SECONDS` make it another one; from 30 seconds on, what is disturbed is so for longer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, reason = "what fails here fails a test")]

mod support;

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use chat_rpc::rpc::{CallError, Client, Credentials, Fault, Value};
use support::engine::Engine;
use support::lan::Lan;
use support::peer::contents;
use support::{BINDER, Process, SERVER, TIMEOUT, eventually};

const SERVERS: usize = 3;
const SENDERS: usize = 16;
/// The machines: the engine's, that of binder and clients, and from the next one on the servers'.
const ENGINE: usize = 1;
const CLIENTS: usize = 2;
const FIRST_SERVER: usize = 3;

/// The work to be done.
#[derive(Clone, Copy)]
struct Load {
    clients: usize,
    /// Messages a second.
    rate: usize,
    time: Duration,
}

impl Load {
    /// Returns the load that the environment wants, and otherwise this one.
    fn or(clients: usize, rate: usize, seconds: usize) -> Self {
        let figure = |name: &str, default: usize| {
            std::env::var(format!("CHAT_SHARE_{name}")).map_or(default, |figure| figure.parse().unwrap())
        };
        let time = Duration::from_secs(figure("SECONDS", seconds) as u64);
        Self { clients: figure("CLIENTS", clients), rate: figure("RATE", rate), time }
    }
}

/// Servers that can be killed and started again, each on a machine of its own.
struct Servers<'a> {
    lan: &'a Lan,
    programs: Vec<Process>,
    options: Vec<String>,
}

impl<'a> Servers<'a> {
    fn start(lan: &'a Lan, engine: &Engine, binder: &Process) -> Self {
        let url = format!("redis://{}/test", engine.address());
        let options = ["--listen", "0.0.0.0:9000", "--share", &url, "--binder", binder.address()];
        let more = ["--message-rate", "0", "--registration-rate", "0", "--waits-per-address", "0"];
        // So that whoever reads late still finds everything.
        let large = ["--history-messages", "1000000", "--history-bytes", "500000000", "--memory-limit", "500000000"];
        let options = options.iter().chain(&more).chain(&large).map(|option| (*option).to_owned()).collect();
        let mut servers = Self { lan, programs: Vec::new(), options };
        for number in 0..SERVERS {
            servers.programs.push(servers.one(number));
        }
        servers
    }

    fn one(&self, number: usize) -> Process {
        self.lan.serve(FIRST_SERVER + number, SERVER, &self.options)
    }

    fn replace(&mut self, number: usize) {
        self.programs[number].kill();
        thread::sleep(Duration::from_millis(300));
        self.programs[number] = self.one(number);
    }

    fn cut_off(&self, number: usize, is_cut: bool) {
        self.lan.cut(ENGINE, FIRST_SERVER + number, is_cut);
    }

    /// The messages that a user may read at each server.
    fn kept(&self, name: &str) -> Vec<Vec<String>> {
        let credentials = Credentials { user: name.to_owned(), secret: "secret".into() };
        let kept = |number| {
            let address = format!("{}:9000", self.lan.address(FIRST_SERVER + number));
            let client = Client::new(&address).with_credentials(&credentials).with_timeout(TIMEOUT);
            let messages = client.call("receive_messages", &[name.into(), "lobby".into()]).unwrap();
            contents(&messages).into_iter().map(str::to_owned).collect()
        };
        (0..self.programs.len()).map(kept).collect()
    }
}

/// A user who finds a server by the binder, and another one when that ends.
struct Guest<'a> {
    name: String,
    binder: &'a str,
    server: Option<Client>,
    deadline: Instant,
}

impl Guest<'_> {
    fn server(&mut self) -> Option<Client> {
        if self.server.is_none() {
            let found = Client::new(self.binder).call("lookup_procedure", &["send_message".into()]).ok()?;
            let Value::Array(found) = found else { return None };
            let address = format!("{}:{}", found[0].as_str()?, found[1].as_int()?);
            let credentials = Credentials { user: self.name.clone(), secret: "secret".into() };
            let client = Client::new(&address).with_credentials(&credentials).with_timeout(Duration::from_secs(10));
            client.call("register_user", &[self.name.as_str().into()]).ok()?;
            let _ = client.call("create_room", &["lobby".into()]);
            client.call("join_room", &[self.name.as_str().into(), "lobby".into()]).ok()?;
            self.server = Some(client);
        }
        self.server.clone()
    }

    /// Makes a call until it is made, wherever that is.
    fn call(&mut self, method: &str, params: &[Value]) -> Value {
        loop {
            assert!(Instant::now() < self.deadline, "{} cannot {method}", self.name);
            let Some(server) = self.server() else {
                thread::sleep(Duration::from_millis(50));
                continue;
            };
            match server.call(method, params) {
                Ok(value) => return value,
                Err(CallError::Fault(fault)) if fault.code == Fault::NOT_STORED => {
                    thread::sleep(Duration::from_millis(50));
                }
                Err(CallError::Fault(fault)) => panic!("{} cannot {method}: {fault}", self.name),
                Err(_) => self.server = None,
            }
        }
    }
}

/// A message as it was read: its number, sender, recipient and text.
type Read = (i64, String, String, String);

fn read(messages: &Value) -> Vec<Read> {
    let Value::Array(messages) = messages else { panic!("an array was expected") };
    let text = |message: &Value, name: &str| message.member(name).and_then(Value::as_str).unwrap().to_owned();
    let of = |message: &Value| {
        let id = message.member("id").and_then(Value::as_int).unwrap();
        (id, text(message, "origin"), text(message, "destination"), text(message, "content"))
    };
    messages.iter().map(of).collect()
}

/// The progress of the conversation.
#[derive(Default)]
struct Progress {
    /// Clients that are in the room.
    ready: AtomicUsize,
    sent: AtomicUsize,
    /// Nothing more is sent.
    is_over: AtomicBool,
    /// The messages that each client has read.
    all: Mutex<HashMap<String, Vec<Read>>>,
}

impl Progress {
    fn wait_for(&self, clients: usize) {
        eventually("all clients are there", TIMEOUT * 2, || self.ready.load(Ordering::SeqCst) == clients);
    }

    /// Reads until everything that was sent is there.
    fn listen(&self, mut guest: Guest<'_>) {
        let name = guest.name.clone();
        guest.call("list_rooms", &[]);
        self.ready.fetch_add(1, Ordering::SeqCst);
        let (mut cursor, mut got) = (Value::Int(0), Vec::new());
        loop {
            let expected = self.is_over.load(Ordering::SeqCst).then(|| self.sent.load(Ordering::SeqCst));
            let is_late = Instant::now() >= guest.deadline;
            assert!(!is_late, "{name} has read up to {cursor:?}, and {expected:?} messages were sent");
            let params = [name.as_str().into(), "lobby".into(), cursor.clone(), 2.into()];
            let page = guest.call("wait_messages", &params);
            let messages = read(page.member("messages").unwrap());
            let is_quiet = messages.is_empty();
            got.extend(messages);
            cursor = page.member("last_id").unwrap().clone();
            if is_quiet && expected.is_some_and(|expected| cursor.as_int() == i64::try_from(expected).ok()) {
                break;
            }
        }
        self.all.lock().unwrap().insert(name, got);
    }

    /// Sends its part of the messages, each tenth of them to the guest of the same number.
    fn speak(&self, number: usize, load: Load, mut guest: Guest<'_>) {
        let name = guest.name.clone();
        guest.call("list_rooms", &[]);
        self.wait_for(load.clients);
        let (start, pause) = (Instant::now(), Duration::from_secs(1) * SENDERS as u32 / load.rate as u32);
        let mut count = 0;
        while start.elapsed() < load.time {
            let to = if count % 10 == 9 { format!("guest{number}") } else { String::new() };
            let words = [name.clone(), "lobby".into(), format!("{number} {count}"), to, format!("{name}-{count}")];
            guest.call("send_message", &words.each_ref().map(|word| word.as_str().into()));
            self.sent.fetch_add(1, Ordering::SeqCst);
            count += 1;
            thread::sleep((start + pause * count).saturating_duration_since(Instant::now()));
        }
    }

    /// Checks what all have read.
    fn check(self, load: Load) {
        let (sent, all) = (self.sent.into_inner(), self.all.into_inner().unwrap());
        assert_eq!(all.len(), load.clients);
        let mut public: HashMap<i64, &Read> = HashMap::new();
        for (name, got) in &all {
            assert!(got.windows(2).all(|pair| pair[0].0 < pair[1].0), "{name} reads in order and nothing twice");
            for message in got {
                let (id, _, to, text) = message;
                assert!(to.is_empty() || to == name, "{name} reads what is private to {to}");
                if to.is_empty() {
                    assert_eq!(public.entry(*id).or_insert(message), &message, "{text} is the same for all");
                }
            }
        }
        let private = all.values().flatten().filter(|message| !message.2.is_empty()).count();
        assert_eq!(public.len() + private, sent, "nothing is lost, nothing is there twice");
        for (name, got) in &all {
            let broadcasts = got.iter().filter(|message| message.2.is_empty()).count();
            assert_eq!(broadcasts, public.len(), "{name} has every message");
        }
        let read: usize = all.values().map(Vec::len).sum();
        let (clients, seconds) = (load.clients, load.time.as_secs());
        eprintln!("{clients} clients at {SERVERS} servers: {sent} messages sent in {seconds} s, {read} read");
    }
}

/// Returns whether the servers go on with this run of the engine.
fn have_agreed(engine: &Engine) -> bool {
    let info = engine.call(&["INFO", "server"]);
    let run = info.lines().find_map(|line| line.strip_prefix("run_id:")?.get(..16)).unwrap();
    engine.call(&["GET", "chat-rpc:test:epoch"]).ends_with(run)
}

/// Lets clients read what is sent, while `disturb` does what it does. To be run on the clients' machine.
fn converse(lan: &Lan, load: Load, disturb: impl FnOnce(&mut Engine, &mut Servers<'_>, &dyn Fn() -> bool)) {
    let Some(mut engine) = Engine::start_on(lan, ENGINE, &["--appendfsync", "everysec"]) else { return };
    let binder = Process::serve(BINDER, &["--listen", &format!("{}:5000", lan.address(CLIENTS))]);
    let mut servers = Servers::start(lan, &engine, &binder);
    let deadline = Instant::now() + load.time + TIMEOUT * 3;
    let guest = |name: String| Guest { name, binder: binder.address(), server: None, deadline };
    let progress = Progress::default();
    thread::scope(|scope| {
        for number in 0..load.clients {
            let guest = guest(format!("guest{number}"));
            scope.spawn(|| progress.listen(guest));
        }
        let sending: Vec<_> = (0..SENDERS)
            .map(|number| {
                let (guest, progress) = (guest(format!("sender{number}")), &progress);
                scope.spawn(move || progress.speak(number, load, guest))
            })
            .collect();
        progress.wait_for(load.clients);
        disturb(&mut engine, &mut servers, &|| sending.iter().any(|thread| !thread.is_finished()));
        sending.into_iter().for_each(|thread| thread.join().unwrap());
        progress.is_over.store(true, Ordering::SeqCst);
    });
    eventually("all servers have the same in the same order", TIMEOUT, || {
        let kept = servers.kept("guest0");
        kept.iter().all(|other| *other == kept[0])
    });
    progress.check(load);
}

#[test]
fn every_client_has_every_message_once_and_in_the_same_order() {
    let Some(lan) = Lan::of(CLIENTS + SERVERS) else { return };
    lan.within(CLIENTS, || converse(&lan, Load::or(24, 200, 3), |_, _, _| {}));
}

#[test]
fn so_it_is_while_servers_and_the_engine_are_killed_and_a_server_is_cut_off_from_the_engine() {
    let Some(lan) = Lan::of(CLIENTS + SERVERS) else { return };
    let load = Load::or(16, 100, 12);
    let pause = Duration::from_secs(if load.time.as_secs() < 30 { 2 } else { 5 });
    let disturb = |engine: &mut Engine, servers: &mut Servers<'_>, goes_on: &dyn Fn() -> bool| {
        for round in 0.. {
            thread::sleep(pause);
            if !goes_on() {
                break;
            }
            // The first one is cut off for four rounds of six, and the others are killed meanwhile.
            match round % 6 {
                0 => servers.cut_off(0, true),
                1 => {
                    engine.signal("STOP");
                    thread::sleep(Duration::from_millis(700));
                    engine.signal("CONT");
                }
                2 => {
                    engine.kill();
                    thread::sleep(Duration::from_millis(300));
                    engine.restart();
                }
                4 => servers.cut_off(0, false),
                _ => {}
            }
            servers.replace(if round % 6 == 5 { 0 } else { 1 + round % 2 });
            // An engine that is killed can lose a second or two, which must not be known only to servers that are killed too.
            eventually("the servers have agreed", TIMEOUT, || have_agreed(engine));
        }
        servers.cut_off(0, false);
    };
    lan.within(CLIENTS, || converse(&lan, load, disturb));
}
