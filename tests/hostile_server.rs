//! A server that is out to harm the terminal of whoever uses it: the client shows everything that it says, and sends
//! nothing of it on as it came.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what fails here fails a test")]

mod support;

#[path = "corpus/terminal.rs"]
mod corpus;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chat_rpc::rpc::{
    Caller, Deferred, Dispatcher, Fault, HttpConfig, HttpServer, Value, forbidden_char, listen, procedures,
};
use chat_rpc::sanitize::Sanitized;
use support::home::Home;
use support::relay::{Fate, Relay};
use support::{CLIENT, Process, TIMEOUT};

/// Replies to every call with attacks, as far as XML can carry them.
#[derive(Default)]
struct Hostile {
    waiting: Mutex<Vec<Deferred>>,
}

fn attacks() -> impl Iterator<Item = &'static str> {
    corpus::ATTACKS.iter().map(|(_, text, _)| *text).filter(|text| forbidden_char(text).is_none())
}

/// All of them in one text.
fn all() -> String {
    attacks().collect::<Vec<_>>().join(" ")
}

fn list() -> Value {
    Value::Array(attacks().map(Value::from).collect())
}

fn messages() -> Value {
    let message = |(number, text): (i64, &str)| {
        Value::Struct(vec![
            ("id".into(), number.into()),
            ("type".into(), if number % 2 == 0 { "broadcast" } else { "unicast" }.into()),
            ("origin".into(), format!("o{text}").into()),
            ("destination".into(), format!("d{text}").into()),
            ("content".into(), format!("c{text}").into()),
            ("timestamp".into(), "2026-03-01 12:00:00.000".into()),
        ])
    };
    Value::Array((1..).zip(attacks()).map(message).collect())
}

type Answer<T> = Result<T, Fault>;

impl Hostile {
    fn register_user(&self, _: &Caller, _: String) -> Answer<String> {
        Ok(all())
    }

    fn unregister_user(&self, _: &Caller, _: String) -> Answer<String> {
        Err(Fault::new(2, all()))
    }

    fn create_room(&self, _: &Caller, _: String) -> Answer<String> {
        Err(Fault::new(4, all()))
    }

    fn join_room(&self, _: &Caller, _: String, _: String) -> Answer<Value> {
        let members = [("users".into(), list()), ("messages".into(), messages()), ("last_id".into(), 1000.into())];
        Ok(Value::Struct(members.into()))
    }

    fn leave_room(&self, _: &Caller, _: String) -> Answer<String> {
        Err(Fault::new(5, all()))
    }

    fn send_message(&self, _: &Caller, _: String, _: String, _: String, _: Option<String>) -> Answer<String> {
        Err(Fault::new(8, all()))
    }

    fn wait_messages(&self, _: &Caller, _: String, _: String, after: i64, _: i64, deferred: Deferred) {
        if after == 1000 {
            let news = [
                ("messages".to_owned(), messages()),
                ("last_id".to_owned(), 1001.into()),
                ("missed".to_owned(), 3.into()),
            ];
            let value = Value::Struct(news.to_vec());
            let mut document = String::new();
            chat_rpc::rpc::write::response_start(&mut document);
            chat_rpc::rpc::write::value(&mut document, &value);
            chat_rpc::rpc::write::response_end(&mut document);
            drop(deferred.document(&document));
            return;
        }
        self.waiting.lock().unwrap().push(deferred);
    }

    fn list_rooms(&self, _: &Caller) -> Answer<Vec<Value>> {
        Ok(vec![list(), all().into()]
            .into_iter()
            .flat_map(|value| match value {
                Value::Array(values) => values,
                other => vec![other],
            })
            .collect())
    }

    fn list_users(&self, _: &Caller, _: String) -> Answer<Vec<Value>> {
        self.list_rooms(&Caller::default())
    }
}

procedures! { PROCEDURES for Hostile {
    /// As the chat's.
    "register_user" = register_user(username: String) -> String;
    /// As the chat's.
    "unregister_user" = unregister_user(username: String) -> String;
    /// As the chat's.
    "create_room" = create_room(room_name: String) -> String;
    /// As the chat's.
    "join_room" = join_room(username: String, room_name: String) -> Value;
    /// As the chat's.
    "leave_room" = leave_room(username: String) -> String;
    /// As the chat's.
    "send_message" = send_message(username: String, room_name: String, message: String, recipient: Option<String>) -> String;
    /// As the chat's.
    "wait_messages" = later wait_messages(username: String, room_name: String, after_id: i64, timeout_seconds: i64) -> String;
    /// As the chat's.
    "list_rooms" = list_rooms() -> Vec<Value>;
    /// As the chat's.
    "list_users" = list_users(room_name: String) -> Vec<Value>;
} }

#[test]
fn a_hostile_server_reaches_the_screen_only_as_text() {
    let config = HttpConfig::new("127.0.0.1:0".parse().unwrap());
    let mut dispatcher = Dispatcher::new();
    dispatcher.add_procedures(PROCEDURES, &Arc::new(Hostile::default()));
    let server = HttpServer::start(listen(&config).unwrap(), config, Arc::new(dispatcher)).unwrap();
    let address = server.address().to_string();

    let home = Home::new();
    let mut client = home.client(&["--server", &address, "--user", "ana", "--log-level", "trace"]);
    // Each command is answered before the next is sent, so that nothing is missed.
    client.send_line("join lobby");
    let last = Sanitized(attacks().last().unwrap()).to_string();
    client.stdout.wait_for_line(&format!("c{last}"), TIMEOUT);
    for (command, said) in [("list", "Rooms: "), ("users", "Users: "), ("create x", "Error: ")] {
        client.send_line(command);
        client.stderr.wait_for_line(said, TIMEOUT);
    }
    for command in ["send hello", "leave", "exit"] {
        client.send_line(command);
    }
    client.wait_exit(TIMEOUT);

    let lines = [client.stdout.lines(), client.stderr.lines()].concat();
    for attack in attacks() {
        for part in format!("c{attack}").replace("\r\n", "\n").split('\n') {
            let shown = Sanitized(part).to_string();
            assert!(lines.iter().any(|line| line.contains(&shown)), "{attack:?} is not shown");
        }
    }
    for line in &lines {
        // What is harmless stays as it is, so a line in which something changes has let something through.
        assert_eq!(Sanitized(line).to_string(), *line);
        assert!(!line.starts_with("2026-01-01"), "a forged line: {line}");
    }
}

/// Messages without end, and nobody reads what the client writes: somebody has stopped the terminal.
#[test]
fn a_flood_of_large_messages_does_not_fill_the_memory_of_a_client_whose_output_is_stuck() {
    const MESSAGES: usize = 100;
    let xml = |text: &str| {
        let document = format!("<methodResponse><params><param>{text}</param></params></methodResponse>");
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n", document.len());
        &*Box::leak((head + &document).into_boxed_str())
    };
    let member = |name: &str, value: &str| format!("<member><name>{name}</name><value>{value}</value></member>");
    let said = ["origin", "content", "timestamp"].map(|name| match name {
        "content" => member(name, &"x".repeat(150_000)),
        "timestamp" => member(name, "2026-03-01 12:00:00.000"),
        _ => member(name, "mallory"),
    });
    let message = format!("<value><struct>{}</struct></value>", said.concat());
    let array = |items: &str| format!("<array><data>{items}</data></array>");
    let numbers = [member("last_id", "<i4>1</i4>"), member("missed", "<i4>0</i4>")].concat();
    let struct_of = |members: &str| format!("<value><struct>{members}</struct></value>");
    let joined = xml(&struct_of(&(member("users", &array("")) + &member("messages", &array("")) + &numbers)));
    let flood = xml(&struct_of(&(member("messages", &array(&message.repeat(MESSAGES))) + &numbers)));

    let server = Process::serve(support::SERVER, &["--no-binder", "--listen", support::ANY_PORT]);
    let relay = Relay::start(server.address(), move |procedure, _| match procedure {
        "join_room" => Fate::Refuse(joined),
        "wait_messages" => Fate::Refuse(flood),
        _ => Fate::Pass,
    });
    let home = Home::new();
    let mut tail = std::process::Command::new(CLIENT[0])
        .args(["tail", "--room", "lobby", "--server", relay.address()])
        .env("HOME", &home.0)
        .env_remove("XDG_STATE_HOME")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let (mut calls, mut since) = (0, Instant::now());
    support::eventually("it asks for no more", TIMEOUT, || {
        let now = relay.count("wait_messages");
        if now != std::mem::replace(&mut calls, now) {
            since = Instant::now();
        }
        calls > 0 && since.elapsed() > Duration::from_secs(2)
    });
    let peak = support::procfs::status(tail.id(), "VmHWM");
    assert!(peak < 128 << 10, "{peak} kB after {calls} calls");
    tail.kill().unwrap();
    tail.wait().unwrap();
}
