//! A person who asked for Portuguese reads Portuguese: refusals of a real server, causes that the system gives, and what is wrong
//! with a command line.

// A failure here fails the test, as it should.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::Duration;

use chat_rpc::client::locale::{ENGLISH, Locale};
use chat_rpc::rpc::{Client, Fault, Value};
use support::home::Home;
use support::{ANY_PORT, Process, SERVER, TIMEOUT, binder, server};

/// Common words of English that no Portuguese sentence here has.
const ENGLISH_WORDS: [&str; 23] = [
    "the",
    "is",
    "of",
    "not",
    "must",
    "cannot",
    "limit",
    "address",
    "file",
    "there",
    "with",
    "refused",
    "connection",
    "reached",
    "invalid",
    "option",
    "argument",
    "needed",
    "see",
    "too",
    "and",
    "to",
    "number",
];

fn portuguese() -> &'static Locale {
    Locale::find("pt").unwrap()
}

#[track_caller]
fn assert_portuguese(text: &str) {
    // Names of options stay as they are.
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '-').filter(|word| !word.starts_with("--"));
    let english: Vec<_> = words.filter(|word| ENGLISH_WORDS.contains(&word.to_lowercase().as_str())).collect();
    assert!(english.is_empty(), "{english:?} in {text:?}");
}

/// Calls a server that has to refuse, and holds both languages against what it says.
#[track_caller]
fn refusal(client: &Client, method: &str, params: &[Value]) -> i32 {
    let fault = match client.call(method, params) {
        Err(chat_rpc::rpc::CallError::Fault(fault)) => fault,
        other => panic!("{method} {params:?}: {other:?}"),
    };
    let refusal = portuguese().refusal(&fault);
    assert_portuguese(&refusal);
    assert_ne!(refusal, ENGLISH.refusal(&fault));
    // The texts about names and limits say more than their code: each has its own translation.
    if matches!(fault.code, Fault::BAD_NAME | Fault::LIMIT) {
        assert_ne!(portuguese().translated(&fault.message), fault.message, "not in the table");
    }
    fault.code
}

#[test]
fn every_refusal_of_a_server_is_in_portuguese() {
    let options = [
        "--no-binder",
        "--listen",
        ANY_PORT,
        "--max-message-bytes",
        "10",
        "--max-rooms",
        "2",
        "--max-users",
        "3",
        "--max-room-users",
        "1",
        "--waits-per-address",
        "1",
        "--message-rate",
        "1",
        "--message-burst",
        "1",
    ];
    let server = Process::serve(SERVER, &options);
    let client = Client::new(server.address());
    let call = |method: &str, params: &[Value]| client.call(method, params).unwrap();
    let mut codes = BTreeSet::new();
    let mut refused = |method: &str, params: &[Value]| codes.insert(refusal(&client, method, params));

    for name in ["", &"x".repeat(65), "a:b", "a\u{1b}", "a b", "-a", "a\u{301}\u{301}", "aж", "1٢", "אa"] {
        refused("register_user", &[name.into()]);
    }
    for name in ["", &"x".repeat(65), "a^b", "a  b", "-a", "!!", "a\u{301}\u{301}", "aж", "1٢", "א a"] {
        refused("create_room", &[name.into()]);
    }
    for user in ["ana", "bob", "eva"] {
        call("register_user", &[user.into()]);
    }
    refused("register_user", &["ana".into()]);
    refused("register_user", &["dan".into()]);
    call("create_room", &["lobby".into()]);
    call("create_room", &["attic".into()]);
    refused("create_room", &["lobby".into()]);
    refused("create_room", &["cellar".into()]);
    refused("join_room", &["nobody".into(), "lobby".into()]);
    refused("join_room", &["ana".into(), "nowhere".into()]);
    call("join_room", &["ana".into(), "lobby".into()]);
    refused("join_room", &["bob".into(), "lobby".into()]);
    refused("receive_messages", &["bob".into(), "lobby".into()]);
    refused("send_message", &["ana".into(), "lobby".into(), "hi".into(), "bob".into()]);
    refused("send_message", &["ana".into(), "lobby".into(), "more than ten bytes".into()]);
    call("send_message", &["ana".into(), "lobby".into(), "hi".into()]);
    refused("send_message", &["ana".into(), "lobby".into(), "hi".into()]);
    call("join_room", &["bob".into(), "attic".into()]);
    let waiting = std::thread::spawn({
        let client = client.with_timeout(TIMEOUT);
        // Again where the other wait was first.
        move || while client.call("wait_messages", &["bob".into(), "attic".into(), 0.into(), 20.into()]).is_err() {}
    });
    support::eventually("the wait is refused, because another one waits", TIMEOUT, || {
        let wait = ["ana".into(), "lobby".into(), 1.into(), 1.into()];
        client.call("wait_messages", &wait).is_err()
    });
    refused("wait_messages", &["ana".into(), "lobby".into(), 1.into(), 1.into()]);
    call("send_message", &["bob".into(), "attic".into(), "end".into()]);
    waiting.join().unwrap();
    assert_eq!(codes.into_iter().collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7, 8, 10]);

    // Those that a server does not give without more effort.
    for fault in [
        Fault::new(Fault::NOT_AUTHORISED, "acting as this user requires the credentials of the registration"),
        Fault::new(Fault::NOT_AUTHORISED, "creating a room requires the credentials of a registered user"),
        Fault::new(Fault::NOT_STORED, "this cannot be stored now; try again later"),
        Fault::new(Fault::NO_SUCH_PROCEDURE, "no such procedure"),
        Fault::new(Fault::INTERNAL, "internal error"),
        Fault::new(Fault::BAD_NAME, "the name is of a kind that is new"),
        Fault::new(Fault::LIMIT, "a limit that is new: 42"),
    ] {
        assert_portuguese(&portuguese().refusal(&fault));
    }
}

#[test]
fn the_causes_that_the_system_gives_are_in_portuguese() {
    let closed = TcpListener::bind(ANY_PORT).unwrap().local_addr().unwrap().to_string();
    let silent = TcpListener::bind(ANY_PORT).unwrap();
    for address in [closed, silent.local_addr().unwrap().to_string(), "no-such-host.invalid:1".to_owned()] {
        let client = Client::new(&address).with_timeout(Duration::from_millis(200));
        let error = client.call("list_rooms", &[]).unwrap_err().to_string();
        let text = portuguese().translated(&error);
        assert_ne!(text, error);
        assert_portuguese(&text);
    }
}

#[test]
fn what_is_wrong_with_a_command_line_is_in_portuguese() {
    let home = Home::new();
    let binder = binder(&[]);
    let server = server(&[]);
    let run = |language: &str, arguments: &[&str]| {
        let mut client = home.client_with(&[language], arguments);
        client.end_input();
        assert!(!client.wait_exit(TIMEOUT).success(), "{arguments:?}");
        client.stderr.lines().join("\n")
    };
    let (binder, server) = (binder.address(), server.address());
    for (arguments, part) in [
        (&["--nope"][..], "--nope"),
        (&["--user"], "--user"),
        (&["--plain=yes"], "--plain"),
        (&["tail", "foo"], "tail takes no arguments"),
        (&["foo"], "there is no command foo"),
        (&["--color", "pink"], "auto, always or never"),
        (&["--lang", "xx"], "en, pt"),
        (&["--local", "--server", "x"], "cannot be combined"),
        (&["--server", "a:b:c"], "HOST:PORT"),
        (&["send", "--server", server, "--room", "x", "hi"], "--user is needed"),
        // Before a chat is looked for.
        (&["send", "--room", "x", "hi"], "--user is needed"),
        (&["send", "--user", "ana", "--room", "x", "@bob hi"], "the text begins with @"),
        (&["tail", "--server", server, "--room", "x", "--count", "abc"], "--count must be a whole number, not \"abc\""),
        (&["--server", server, "--user", "a:b"], "a user name cannot contain \":\""),
        (&["--server", binder, "--user", "ana"], "is not a chat server; if it is a binder, use --binder"),
        (&["--binder", server, "--user", "ana"], "is not a binder; if it is a chat server, use --server"),
        (&["--server", "127.0.0.1:1", "--user", "ana"], "nothing is listening there"),
        (&["--log", "/nowhere/at/all", "--server", server, "--user", "ana"], "cannot write /nowhere/at/all"),
        (&["--config", "/nowhere/at/all"], "cannot read /nowhere/at/all"),
    ] {
        let english = run("LC_ALL=C", arguments);
        assert!(english.contains(part), "{arguments:?}: {english}");
        let portuguese = run("LC_ALL=pt_BR.UTF-8", arguments);
        assert_portuguese(&portuguese);
        assert_ne!(portuguese, english, "{arguments:?}");
    }
    let file = home.0.join("file");
    let path = file.to_str().unwrap();
    for (option, text) in [
        ("--config", "nope = 1"),
        ("--config", "user"),
        ("--config", "plain = perhaps"),
        ("--config", "user = a\nuser = b"),
        ("--secret-file", "open sesame"),
    ] {
        std::fs::write(&file, text).unwrap();
        let arguments = [option, path, "--server", server, "--user", "ana"];
        assert_portuguese(&run("LC_ALL=pt_BR.UTF-8", &arguments).replace(path, ""));
        assert_ne!(run("LC_ALL=pt_BR.UTF-8", &arguments), run("LC_ALL=C", &arguments), "{text}");
    }
    // The language may stand on the command line itself.
    assert_portuguese(&run("LC_ALL=C", &["--lang", "pt", "--nope"]));
}
