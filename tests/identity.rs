//! The right to act as a user, at running programs; and that secrets and raw text from peers appear in no log.

#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use chat_rpc::rpc::{Fault, Value};
use support::http::Connection;
use support::peer::{Peer, contents, texts};
use support::{ANY_PORT, BINDER, CommandLine, Process, SERVER, TIMEOUT, binder, eventually, server_at};

const SECRET: &str = "correct horse: battery/staple";
const WRONG: &str = "correct horse: battery/staplf";

fn server(options: &[&str]) -> Process {
    support::server(&[&["--log-level", "trace"], options].concat())
}

/// A file with a secret, removed when dropped.
struct SecretFile(PathBuf);

impl SecretFile {
    fn new(name: &str, content: &str, mode: u32) -> Self {
        let path = std::env::temp_dir().join(format!("chat-rpc-test-{}-{name}", std::process::id()));
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A parameter that fits `name` of the procedure; the user is `alice`, who is in `lobby`.
fn sample(name: &str) -> Value {
    match name {
        "username" => "alice".into(),
        "room_name" => "lobby".into(),
        "recipient" => "".into(),
        "message" => "not from alice".into(),
        "key" => "k".into(),
        "last_timestamp" => "2000-01-01 00:00:00".into(),
        "after_id" | "timeout_seconds" => 0.into(),
        other => panic!("a parameter that this test does not know: {other}"),
    }
}

/// The procedures that act as somebody, out of all that the server offers, each with parameters that fit.
fn procedures_with_a_username(peer: &Peer) -> Vec<(String, Vec<Value>)> {
    // The names of the parameters are in the table alone, which is what the server answers from.
    let methods = peer.ok("system.listMethods", &[]);
    let mut found = Vec::new();
    for method in texts(&methods) {
        let Some(row) = chat_rpc::chat::PROCEDURES.iter().find(|row| row.name == method) else {
            assert!(method.starts_with("system."), "{method} is in no table");
            continue;
        };
        if row.params.iter().any(|parameter| parameter.name == "username") {
            found.push((method.to_owned(), row.params.iter().map(|parameter| sample(parameter.name)).collect()));
        }
    }
    found
}

#[test]
fn nobody_acts_as_a_user_without_their_credentials_through_any_procedure() {
    let server = server(&[]);
    let alice = Peer::with(&server, "alice", SECRET);
    alice.ok("register_user", &["alice".into()]);
    alice.ok("create_room", &["lobby".into()]);
    alice.ok("join_room", &["alice".into(), "lobby".into()]);
    alice.ok("send_message", &["alice".into(), "lobby".into(), "hello".into()]);
    let mallory = Peer::with(&server, "mallory", SECRET);
    mallory.ok("register_user", &["mallory".into()]);

    let procedures = procedures_with_a_username(&alice);
    assert!(procedures.len() >= 8, "{procedures:?}");
    let strangers = [
        ("nobody", Peer::open(&server)),
        ("a wrong secret", Peer::with(&server, "alice", WRONG)),
        ("a beginning of the secret", Peer::with(&server, "alice", &SECRET[..SECRET.len() - 1])),
        ("no secret", Peer::with(&server, "alice", "")),
        ("another user with the same secret", mallory),
        ("a name that nobody has, with the same secret", Peer::with(&server, "nobody", SECRET)),
        ("no name, with the same secret", Peer::with(&server, "", SECRET)),
    ];
    for (method, params) in &procedures {
        // Somebody else who registers the name gets fault 1, unless the credentials are not for this name at all.
        let codes: &[i32] = if method == "register_user" {
            &[Fault::NAME_IN_USE, Fault::NOT_AUTHORISED]
        } else {
            &[Fault::NOT_AUTHORISED]
        };
        for (who, stranger) in &strangers {
            for spelling in ["alice", "ALICE", "ａlice", "Al\u{200d}ice"] {
                let mut params = params.clone();
                params[0] = spelling.into();
                let mut codes = codes.to_vec();
                if !spelling.is_ascii() {
                    codes.push(Fault::BAD_NAME);
                }
                let fault = stranger.call(method, &params).expect_err(who);
                assert!(codes.contains(&fault.code), "{method} as {spelling} by {who}: {fault}");
                assert!(!fault.message.contains(SECRET), "{fault}");
                let fault = stranger.multicall(method, &params).expect_err(who);
                // What waits is refused there before anybody looks who asks.
                codes.extend((method == "wait_messages").then_some(Fault::INVALID_CALL));
                assert!(codes.contains(&fault.code), "{method} as {spelling} by {who} in a multicall: {fault}");
            }
        }
    }

    // All of that changed nothing.
    let read = alice.ok("receive_messages", &["alice".into(), "lobby".into()]);
    assert_eq!(contents(&read), ["hello"]);
    assert_eq!(texts(&alice.ok("list_users", &["lobby".into()])), ["alice"]);
    for (method, params) in
        procedures.iter().filter(|(method, _)| !method.starts_with("unregister") && !method.starts_with("leave"))
    {
        alice.ok(method, params);
        if method != "wait_messages" {
            alice.multicall(method, params).unwrap();
        }
    }
}

#[test]
fn the_same_credentials_resume_a_session_with_all_that_it_had() {
    let server = server(&[]);
    let alice = Peer::with(&server, "alice", SECRET);
    alice.ok("register_user", &["alice".into()]);
    alice.ok("create_room", &["lobby".into()]);
    alice.ok("join_room", &["alice".into(), "lobby".into()]);
    alice.ok("send_message", &["alice".into(), "lobby".into(), "to myself".into(), "alice".into()]);
    let again = Peer::with(&server, "Alice", SECRET);
    again.ok("register_user", &["ALICE".into()]);
    assert_eq!(contents(&again.ok("receive_messages", &["alice".into(), "lobby".into()])), ["to myself"]);
    Peer::with(&server, "alice", WRONG).refused(Fault::NAME_IN_USE, "register_user", &["alice".into()]);
    Peer::open(&server).refused(Fault::NAME_IN_USE, "register_user", &["alice".into()]);
    Peer::with(&server, "bob", SECRET).refused(Fault::NOT_AUTHORISED, "register_user", &["carol".into()]);
}

#[test]
fn a_name_without_credentials_is_open_to_everybody_and_cannot_be_closed() {
    let server = server(&[]);
    let open = Peer::open(&server);
    open.ok("register_user", &["alice".into()]);
    open.ok("create_room", &["lobby".into()]);
    Peer::with(&server, "alice", SECRET).ok("join_room", &["alice".into(), "lobby".into()]);
    Peer::with(&server, "bob", WRONG).ok("send_message", &["alice".into(), "lobby".into(), "hi".into()]);
    Peer::with(&server, "alice", SECRET).refused(Fault::NAME_IN_USE, "register_user", &["alice".into()]);
    assert_eq!(contents(&open.ok("receive_messages", &["alice".into(), "lobby".into()])), ["hi"]);
}

#[test]
fn private_messages_do_not_pass_on_with_a_name() {
    let server = server(&[]);
    let (alice, bob) = (Peer::with(&server, "alice", SECRET), Peer::with(&server, "bob", SECRET));
    bob.ok("create_room", &["lobby".into()]);
    for (name, peer) in [("alice", &alice), ("bob", &bob)] {
        peer.ok("register_user", &[name.into()]);
        peer.ok("join_room", &[name.into(), "lobby".into()]);
    }
    bob.ok("send_message", &["bob".into(), "lobby".into(), "for alice".into(), "alice".into()]);
    alice.ok("unregister_user", &["alice".into()]);
    for stranger in [Peer::open(&server), Peer::with(&server, "alice", WRONG)] {
        stranger.ok("register_user", &["alice".into()]);
        let joined = stranger.ok("join_room", &["alice".into(), "lobby".into()]);
        assert!(contents(joined.member("messages").unwrap()).is_empty(), "{joined:?}");
        let place = ["alice".into(), "lobby".into()];
        assert!(contents(&stranger.ok("receive_messages", &place)).is_empty());
        let since = [&place[..], &["".into()]].concat();
        assert!(contents(&stranger.ok("receive_new_messages", &since)).is_empty());
        let news = stranger.ok("wait_messages", &[&place[..], &[0.into(), 0.into()]].concat());
        assert!(contents(news.member("messages").unwrap()).is_empty(), "{news:?}");
        stranger.ok("unregister_user", &["alice".into()]);
    }
    alice.ok("register_user", &["alice".into()]);
    let joined = alice.ok("join_room", &["alice".into(), "lobby".into()]);
    assert_eq!(contents(joined.member("messages").unwrap()), ["for alice"]);
}

#[test]
fn require_auth_refuses_open_registrations() {
    let server = server(&["--require-auth"]);
    let open = Peer::open(&server);
    open.refused(Fault::NOT_AUTHORISED, "register_user", &["alice".into()]);
    Peer::with(&server, "alice", "").refused(Fault::NOT_AUTHORISED, "register_user", &["alice".into()]);
    assert_eq!(open.multicall("register_user", &["alice".into()]).unwrap_err().code, Fault::NOT_AUTHORISED);
    let alice = Peer::with(&server, "alice", SECRET);
    // Nor is a room for strangers to make, with credentials of nobody or without.
    for stranger in [&open, &alice] {
        assert!(stranger.call("create_room", &["lobby".into()]).is_err());
        assert!(stranger.multicall("create_room", &["lobby".into()]).is_err());
    }
    assert_eq!(open.ok("list_rooms", &[]), Value::Array(Vec::new()));
    alice.ok("register_user", &["alice".into()]);
    alice.ok("create_room", &["lobby".into()]);
    Peer::with(&server, "alice", "wrong").refused(Fault::NOT_AUTHORISED, "create_room", &["other".into()]);
}

#[test]
fn a_server_beyond_loopback_without_required_credentials_says_so() {
    let warning = "--require-auth";
    let warns = |options: &[&str]| {
        let server = Process::serve(SERVER, &[&["--no-binder"], options].concat());
        server.signal("TERM");
        let mut server = server;
        server.wait_exit(TIMEOUT);
        server.stderr.lines().iter().any(|line| line.contains("WARN") && line.contains(warning))
    };
    assert!(warns(&["--listen", "0.0.0.0:0"]));
    assert!(!warns(&["--listen", "0.0.0.0:0", "--require-auth"]));
    assert!(!warns(&["--listen", ANY_PORT]));
}

/// Texts that a stranger can put into a call in order to have them logged.
const RAW: &str = "\u{1b}[2J\u{9b}31m\u{202e}evil\nERROR forged\r";

#[test]
fn logs_show_no_secret_and_nothing_of_a_peer_as_it_came() {
    let binder = binder(&["--log-level", "trace"]);
    let server = server(&["--connection-idle", "4"]);
    for program in [&binder, &server] {
        let peer = Peer::with(program, "alice", SECRET);
        // What XML forbids does not even arrive; the rest is RAW without it.
        let text = "\u{9b}31m\u{202e}evil\nERROR forged";
        for method in texts(&peer.ok("system.listMethods", &[])) {
            let _ = peer.call(method, &[text.into(), text.into(), text.into(), text.into()]);
            let _ = peer.call(method, &[text.into()]);
            let _ = peer.call(method, &[text.into(), text.into()]);
            let _ = peer.call(method, &[text.into(), text.into(), 1.into()]);
            let _ = peer.call(text, &[]);
        }
        let _ = peer.call("register_user", &["alice".into()]);
        let basic = "YWxpY2U6Y29ycmVjdCBob3JzZTogYmF0dGVyeS9zdGFwbGU=";
        for head in [
            format!("POST /{RAW} HTTP/1.1\r\nAuthorization: Basic {basic}\r\n\r\n"),
            format!("{RAW} / HTTP/1.1\r\n\r\n"),
            format!("POST / HTTP/1.1\r\nHost: {RAW}\r\nAuthorization: Basic {basic}\r\nContent-Length: 0\r\n\r\n"),
            format!(
                "POST / HTTP/1.1\r\nContent-Length: 99999999\r\nAuthorization: Basic {basic}\r\nX: \u{1b}[2J\r\n\r\n"
            ),
            format!("POST / HTTP/1.1\r\nContent-Type: text/xml\r\nContent-Length: 5\r\n\r\n{RAW}"),
        ] {
            let mut connection = Connection::open(program.address());
            connection.offer(head.as_bytes());
            connection.end();
            let _ = connection.answer();
        }
        // The log is in the order of what is done, so that this line is the last.
        if std::ptr::eq(program, &binder) {
            let last = |port: i64| peer.ok("register_procedure", &["last".into(), "127.0.0.1".into(), port.into()]);
            last(1);
            last(2);
            program.stderr.wait_for_line("127.0.0.1:2 now answers instead of 127.0.0.1:1", TIMEOUT);
        }
        for line in program.stderr.lines() {
            assert!(!line.contains("battery") && !line.contains(basic) && !line.contains("Basic"), "{line}");
            assert!(line.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{line:?}");
            assert!(!line.starts_with("ERROR"), "{line}");
        }
    }
}

fn register(peer: &Peer, instance: &str, port: i64) -> Result<Value, Fault> {
    let names = Value::Array(vec!["join".into(), "send".into()]);
    peer.call("register_service", &[instance.into(), "10.0.0.1".into(), port.into(), names, 60.into()])
}

#[test]
fn a_binder_with_a_secret_lets_nobody_else_register_or_unregister() {
    let file = SecretFile::new("binder", &format!("{SECRET}\n"), 0o600);
    let binder = binder(&["--secret-file", file.path(), "--log-level", "trace"]);
    let server = |options: &[&str]| server_at(&binder, &[&["--log-level", "trace"], options].concat());
    let anybody = Peer::open(&binder);
    let offered = || anybody.ok("lookup_procedure", &["send_message".into()]);

    let refused = server(&[]);
    refused.stderr.wait_for_line("fault 9", TIMEOUT);
    let other = SecretFile::new("other", WRONG, 0o600);
    let wrong = server(&["--secret-file", other.path()]);
    wrong.stderr.wait_for_line("fault 9", TIMEOUT);
    assert_eq!(offered(), Value::Nil);
    let right = server(&["--secret-file", file.path()]);
    eventually("the server with the secret registers", TIMEOUT, || offered() != Value::Nil);
    let offers = offered();
    let port: i64 = right.address().rsplit_once(':').unwrap().1.parse().unwrap();
    assert_eq!(offers, Value::Array(vec!["127.0.0.1".into(), port.into()]));

    // Every procedure of the binder is either one that changes nothing, or asks for the secret.
    let row = anybody.ok("list_procedures", &[]);
    let instance = row.as_array().unwrap()[0].member("instance").unwrap().clone();
    let changes: [(&str, Vec<Value>); 3] = [
        ("register_procedure", vec!["send_message".into(), "10.0.0.9".into(), 9.into()]),
        (
            "register_service",
            vec![instance.clone(), "10.0.0.9".into(), 9.into(), Value::Array(vec!["send_message".into()]), 60.into()],
        ),
        ("unregister_service", vec![instance]),
    ];
    let reads = ["lookup_procedure", "list_procedures"];
    for method in texts(&anybody.ok("system.listMethods", &[])) {
        let known = method.starts_with("system.")
            || reads.contains(&method)
            || changes.iter().any(|(change, _)| *change == method);
        assert!(known, "whether {method} asks for the secret is not tried");
    }
    for stranger in [
        anybody.clone(),
        Peer::with(&binder, "server", WRONG),
        Peer::with(&binder, "server", ""),
        Peer::with(&binder, SECRET, "server"),
    ] {
        for (method, params) in &changes {
            stranger.refused(Fault::NOT_AUTHORISED, method, params);
            assert_eq!(stranger.multicall(method, params).unwrap_err().code, Fault::NOT_AUTHORISED);
        }
    }
    assert_eq!(offered(), offers);
    // Whoever has the secret is let in under any user name.
    register(&Peer::with(&binder, "operator", SECRET), "mine", 1).unwrap();
    for program in [&binder, &refused, &wrong, &right] {
        assert!(!program.stderr.lines().join("\n").contains("battery"));
    }
    // Nor in the process list.
    for program in [&binder, &right] {
        let line = fs::read(format!("/proc/{}/cmdline", program.id())).unwrap();
        assert!(!String::from_utf8_lossy(&line).contains("battery"));
    }
}

#[test]
fn a_binder_without_a_secret_logs_who_took_over_from_whom() {
    let binder = binder(&[]);
    let peer = Peer::open(&binder);
    register(&peer, "first", 1).unwrap();
    register(&peer, "first", 1).unwrap();
    register(&peer, "second", 2).unwrap();
    let line = binder.stderr.wait_for_line("instead of", TIMEOUT);
    assert!(line.contains("WARN") && line.contains("10.0.0.1:2 now answers instead of 10.0.0.1:1"), "{line}");
    assert!(line.contains("127.0.0.1 registered it"), "{line}");
    peer.ok("register_procedure", &["send".into(), "10.0.0.3".into(), 3.into()]);
    binder.stderr.wait_for_line("10.0.0.3:3 now answers instead of 10.0.0.1:2 for send", TIMEOUT);
    let told = binder.stderr.lines().iter().filter(|line| line.contains("instead of")).count();
    assert_eq!(told, 2, "heartbeats are not news");
}

#[test]
fn takeovers_in_turn_do_not_fill_the_log() {
    let binder = binder(&[]);
    let peer = Peer::open(&binder);
    for number in 0..500 {
        let port = 1 + number % 2;
        peer.ok("register_procedure", &["send".into(), "10.0.0.1".into(), port.into()]);
        peer.ok(
            "register_service",
            &[
                format!("i{number}").into(),
                format!("10.0.{port}.1").into(),
                port.into(),
                Value::Array(vec!["join".into()]),
                1.into(),
            ],
        );
        peer.ok("unregister_service", &[format!("i{number}").into()]);
    }
    // A takeover of another name is still told of, and after all of the above.
    for port in [1, 2] {
        peer.ok("register_procedure", &["leave".into(), "10.0.0.1".into(), port.into()]);
    }
    binder.stderr.wait_for_line("for leave", TIMEOUT);
    let lines = binder.stderr.lines();
    assert!(lines.len() <= 5, "{lines:#?}");
}

#[test]
fn a_secret_file_that_is_open_or_no_secret_ends_the_start() {
    let open = SecretFile::new("open", SECRET, 0o644);
    let empty = SecretFile::new("empty", "\n", 0o600);
    let lines = SecretFile::new("lines", &format!("{SECRET}\n{SECRET}\n"), 0o600);
    let start = |line: CommandLine, path: &str| {
        let mut program = Process::start(line, &["--listen", ANY_PORT, "--secret-file", path]);
        let status = program.wait_exit(Duration::from_secs(20));
        (status.code(), program.stderr.lines())
    };
    for line in [BINDER, SERVER] {
        for path in [open.path(), empty.path(), lines.path(), "/nonexistent/secret"] {
            let (code, said) = start(line, path);
            assert_eq!((code, said.len()), (Some(1), 1), "{path}: {said:?}");
            assert!(said[0].contains(path) && !said[0].contains("battery"), "{said:?}");
        }
    }
}
