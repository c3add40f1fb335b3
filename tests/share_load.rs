//! One chat on several servers, with many clients at once: everybody has every message once and in the same order, whatever
//! ends meanwhile.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, reason = "what fails here fails a test")]

mod support;

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use chat_rpc::rpc::{CallError, Client, Credentials, Fault, Value};
use support::engine::Engine;
use support::peer::contents;
use support::{ANY_PORT, BINDER, Process, SERVER, TIMEOUT};

fn figure(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |figure| figure.parse().unwrap())
}

/// Servers that can be killed and started again, each on its own port.
struct Servers {
    programs: Vec<Process>,
    options: Vec<String>,
}

impl Servers {
    fn start(count: usize, engine: &Engine, binder: &Process) -> Self {
        let url = format!("redis://127.0.0.1:{}/test", engine.port);
        let options = ["--share", &url, "--binder", binder.address(), "--history-messages", "100000"];
        let more = ["--message-rate", "0", "--registration-rate", "0", "--waits-per-address", "0"];
        let options: Vec<_> = options.iter().chain(&more).map(|option| (*option).to_owned()).collect();
        let programs = (0..count).map(|_| Self::one(ANY_PORT, &options)).collect();
        Self { programs, options }
    }

    fn one(listen: &str, options: &[String]) -> Process {
        let mut all = vec!["--listen".to_owned(), listen.to_owned()];
        all.extend_from_slice(options);
        Process::serve(SERVER, &all)
    }

    fn replace(&mut self, index: usize) {
        let address = self.programs[index].address().to_owned();
        self.programs[index].kill();
        thread::sleep(Duration::from_millis(300));
        self.programs[index] = Self::one(&address, &self.options);
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
            let client = Client::new(&address).with_credentials(&credentials).with_timeout(Duration::from_secs(70));
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

/// Lets `guests` clients read while `rate` messages a second are sent for `time`, and `disturb` does what it does.
fn converse(
    servers: usize,
    guests: usize,
    (rate, time): (usize, Duration),
    disturb: impl FnOnce(&mut Engine, &mut Servers, &dyn Fn() -> bool),
) {
    let Some(mut engine) = Engine::start(&["--appendfsync", "everysec"]) else { return };
    let binder = Process::serve(BINDER, &["--listen", ANY_PORT]);
    let mut servers = Servers::start(servers, &engine, &binder);
    let deadline = Instant::now() + time + TIMEOUT * 3;
    let guest = |name: String| Guest { name, binder: binder.address(), server: None, deadline };
    let (sent, is_over, ready) = (AtomicUsize::new(0), AtomicBool::new(false), AtomicUsize::new(0));
    let all: Mutex<HashMap<String, Vec<Read>>> = Mutex::default();
    let senders = 8.min(guests);
    thread::scope(|scope| {
        for number in 0..guests {
            let (guest, all, is_over, sent, ready) = (&guest, &all, &is_over, &sent, &ready);
            scope.spawn(move || {
                let name = format!("guest{number}");
                let mut guest = guest(name.clone());
                guest.call("list_rooms", &[]);
                ready.fetch_add(1, Ordering::SeqCst);
                let (mut cursor, mut got) = (Value::Int(0), Vec::new());
                loop {
                    let expected = is_over.load(Ordering::SeqCst).then(|| sent.load(Ordering::SeqCst));
                    let page =
                        guest.call("wait_messages", &[name.as_str().into(), "lobby".into(), cursor.clone(), 2.into()]);
                    let messages = read(page.member("messages").unwrap());
                    let is_quiet = messages.is_empty();
                    got.extend(messages);
                    cursor = page.member("last_id").unwrap().clone();
                    if is_quiet && expected.is_some_and(|expected| cursor.as_int() == i64::try_from(expected).ok()) {
                        break;
                    }
                }
                all.lock().unwrap().insert(name, got);
            });
        }
        let sending: Vec<_> = (0..senders)
            .map(|number| {
                let (guest, sent, ready) = (&guest, &sent, &ready);
                scope.spawn(move || {
                    let name = format!("sender{number}");
                    let mut guest = guest(name.clone());
                    guest.call("list_rooms", &[]);
                    while ready.load(Ordering::SeqCst) < guests {
                        thread::sleep(Duration::from_millis(10));
                    }
                    let (start, pause) = (Instant::now(), Duration::from_secs(1) * senders as u32 / rate as u32);
                    let mut count = 0;
                    while start.elapsed() < time {
                        // Each tenth message is private, to the guest of the same number.
                        let to = if count % 10 == 9 { format!("guest{number}") } else { String::new() };
                        let text = format!("{number} {count}");
                        let key = format!("{name}-{count}");
                        let params: [Value; 5] = [
                            name.as_str().into(),
                            "lobby".into(),
                            text.as_str().into(),
                            to.as_str().into(),
                            key.as_str().into(),
                        ];
                        guest.call("send_message", &params);
                        sent.fetch_add(1, Ordering::SeqCst);
                        count += 1;
                        thread::sleep((start + pause * count).saturating_duration_since(Instant::now()));
                    }
                })
            })
            .collect();
        disturb(&mut engine, &mut servers, &|| sending.iter().any(|thread| !thread.is_finished()));
        sending.into_iter().for_each(|thread| thread.join().unwrap());
        is_over.store(true, Ordering::SeqCst);
    });
    let (sent, all) = (sent.into_inner(), all.into_inner().unwrap());
    assert_eq!(all.len(), guests);
    // All servers have the same, in the same order.
    let mut kept = Vec::new();
    for server in &servers.programs {
        let credentials = Credentials { user: "guest0".into(), secret: "secret".into() };
        let client = Client::new(server.address()).with_credentials(&credentials);
        kept.push(client.call("receive_messages", &["guest0".into(), "lobby".into()]).unwrap());
    }
    for other in &kept[1..] {
        assert_eq!(contents(other), contents(&kept[0]));
    }
    let mut public: HashMap<i64, &Read> = HashMap::new();
    let mut deliveries = 0;
    for (name, got) in &all {
        assert!(got.windows(2).all(|pair| pair[0].0 < pair[1].0), "{name} reads in order and nothing twice");
        for message in got {
            let (id, _, to, text) = message;
            assert!(to.is_empty() || to == name, "{name} reads what is private to {to}");
            if to.is_empty() {
                assert_eq!(public.entry(*id).or_insert(message), &message, "{text} is the same for all");
            }
        }
        deliveries += got.len();
    }
    let private: usize = all.values().flatten().filter(|message| !message.2.is_empty()).count();
    assert_eq!(public.len() + private, sent, "nothing is lost, nothing is there twice");
    for (name, got) in &all {
        let broadcasts = got.iter().filter(|message| message.2.is_empty()).count();
        assert_eq!(broadcasts, public.len(), "{name} has every message");
    }
    eprintln!("{guests} clients at {} servers: {sent} messages sent, {deliveries} read", servers.programs.len());
}

#[test]
fn every_client_has_every_message_once_and_in_the_same_order() {
    let time = Duration::from_secs(figure("CHAT_SHARE_SECONDS", 3) as u64);
    converse(3, figure("CHAT_SHARE_CLIENTS", 24), (200, time), |_, _, _| {});
}

#[test]
fn so_it_is_while_servers_and_the_engine_are_killed() {
    let time = Duration::from_secs(figure("CHAT_SHARE_SECONDS", 6) as u64);
    converse(3, figure("CHAT_SHARE_CLIENTS", 16), (100, time), |engine, servers, goes_on| {
        for round in 0.. {
            thread::sleep(Duration::from_millis(1200));
            if !goes_on() {
                break;
            }
            match round % 4 {
                1 => {
                    engine.kill();
                    thread::sleep(Duration::from_millis(300));
                    engine.restart();
                }
                3 => {
                    engine.signal("STOP");
                    thread::sleep(Duration::from_millis(700));
                    engine.signal("CONT");
                }
                _ => servers.replace(round / 2 % 3),
            }
        }
    });
}
