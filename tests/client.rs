//! The client as people use it, and what it does between itself and the server.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what fails here fails a test")]

mod support;

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use chat_rpc::rpc::{Client, Value};
use support::home::{Home, count, history};
use support::relay::{Fate, Relay};
use support::{TIMEOUT, binder, eventually, server, server_at, wait_for_a_server};

fn is_registered(server: &str, user: &str) -> bool {
    let outside = Client::new(server);
    let is_free = outside.call("register_user", &[user.into()]).is_ok();
    if is_free {
        outside.call("unregister_user", &[user.into()]).unwrap();
    }
    !is_free
}

#[test]
fn people_talk_to_all_and_in_private() {
    let (home, binder) = (Home::new(), binder(&[]));
    let server = server_at(&binder, &[]);
    wait_for_a_server(binder.address());
    let place = ["--binder", binder.address()];
    let mut ana = home.member(&place, "ana", "lobby");
    let mut bob = home.member(&place, "bob", "lobby");
    let mut joao = home.member(&place, "joão", "lobby");

    ana.send_line("send hello all");
    bob.stdout.wait_for_line(" ana: hello all", TIMEOUT);
    joao.stdout.wait_for_line(" ana: hello all", TIMEOUT);
    bob.send_line("/send @ana just for you");
    let line = ana.stdout.wait_for_line(" bob (private): just for you", TIMEOUT);
    assert!(line.as_bytes()[2] == b':' && line.as_bytes()[5] == b' ', "{line}");
    // As in the original, what a command needs is asked for.
    for line in ["send", "to one", "bob"] {
        joao.send_line(line);
    }
    bob.stdout.wait_for_line(" joão (private): to one", TIMEOUT);
    bob.send_line("send good bye");
    ana.stdout.wait_for_line(" bob: good bye", TIMEOUT);
    joao.stdout.wait_for_line(" bob: good bye", TIMEOUT);
    assert_eq!(count(&joao, "just for you"), 0);
    assert_eq!(count(&ana, "hello all"), 0, "one's own message is not shown again");
    assert_eq!(count(&bob, "just for you"), 0, "one's own message is not shown again");

    ana.end_input();
    assert!(ana.wait_exit(TIMEOUT).success());
    assert!(!is_registered(server.address(), "ana"));
    bob.send_line("users");
    bob.stderr.wait_for_line("Users: bob, joão", TIMEOUT);
    bob.send_line("leave");
    bob.stderr.wait_for_line("Left lobby", TIMEOUT);
    bob.send_line("list");
    bob.stderr.wait_for_line("Rooms: lobby", TIMEOUT);
    bob.send_line("exit");
    assert!(bob.wait_exit(TIMEOUT).success());
}

#[test]
fn a_refused_name_is_asked_for_again() {
    let (home, server) = (Home::new(), server(&[]));
    let place = ["--server", server.address()];
    let _ana = home.member(&place, "ana", "lobby");
    let mut other = home.client(&place);
    other.send_line("Ana");
    other.stderr.wait_for_line("already in use", TIMEOUT);
    other.send_line("a b");
    other.stderr.wait_for_line("user name", TIMEOUT);
    other.send_line("bob");
    other.stderr.wait_for_line("Welcome, bob", TIMEOUT);
    other.end_input();
    assert!(other.wait_exit(TIMEOUT).success());

    let mut given = home.client(&["--server", server.address(), "--user", "ana"]);
    assert_eq!(given.wait_exit(TIMEOUT).code(), Some(1), "what follows on standard input is no name");
    given.stderr.wait_for_line("already in use", TIMEOUT);
}

#[test]
fn signals_and_the_end_of_input_unregister() {
    let (home, server) = (Home::new(), server(&[]));
    for (user, signal) in [("ana", Some("INT")), ("bob", Some("TERM")), ("eva", None)] {
        let mut client = home.member(&["--server", server.address()], user, "lobby");
        assert!(is_registered(server.address(), user));
        match signal {
            Some(signal) => client.signal(signal),
            None => client.end_input(),
        }
        assert!(client.wait_exit(TIMEOUT).success());
        assert!(!is_registered(server.address(), user));
    }
}

#[test]
fn a_resumed_session_stays_with_the_program_that_began_it() {
    let (home, server) = (Home::new(), server(&[]));
    let start = |arguments: &[&str]| {
        let place = ["--server", server.address(), "--user", "ana", "--room", "lobby"];
        home.client_with(&["CHAT_SECRET=open sesame"], &[arguments, &place].concat())
    };
    let mut first = start(&[]);
    first.stderr.wait_for_line("Joined lobby", TIMEOUT);
    assert!(start(&["send", "one"]).wait_exit(TIMEOUT).success());
    let mut second = start(&[]);
    second.stderr.wait_for_line("Joined lobby", TIMEOUT);
    second.end_input();
    assert!(second.wait_exit(TIMEOUT).success());
    assert!(is_registered(server.address(), "ana"));

    // After the first program has ended the session, another program begins a new one.
    let mut third = start(&[]);
    third.stderr.wait_for_line("Joined lobby", TIMEOUT);
    first.end_input();
    assert!(first.wait_exit(TIMEOUT).success());
    let outside = Client::new(server.address());
    let users = || outside.call("list_users", &["lobby".into()]);
    let is_back = || users().is_ok_and(|users| users == Value::Array(vec!["ana".into()]));
    eventually("ana in the lobby", TIMEOUT, is_back);
    third.end_input();
    assert!(third.wait_exit(TIMEOUT).success());
    assert!(!is_registered(server.address(), "ana"));
}

#[test]
fn lines_from_a_pipe_that_are_not_utf8_are_sent_as_far_as_they_are() {
    let (home, server) = (Home::new(), server(&[]));
    let path = home.0.join("input");
    fs::write(&path, b"one\ncaf\xe9\r\nthree").unwrap();
    let place = ["--server", server.address(), "--user", "ana", "--room", "lobby"];
    let mut client = home.client_reading(fs::File::open(path).unwrap().into(), &[], &place);
    assert!(client.wait_exit(TIMEOUT).success());
    assert_eq!(history(server.address(), "lobby"), ["one", "caf\u{fffd}", "three"]);
}

#[test]
fn commands_from_a_pipe_are_all_done_before_the_end() {
    let (home, server) = (Home::new(), server(&[]));
    let mut client = home.client(&["--server", server.address()]);
    for line in ["ana", "create", "lobby", "join lobby"] {
        client.send_line(line);
    }
    // More than the server takes at once.
    let texts: Vec<String> = (0..70).map(|number| format!("message {number}")).collect();
    for text in &texts {
        client.send_line(&format!("send {text}"));
    }
    client.end_input();
    assert!(client.wait_exit(TIMEOUT).success());
    assert_eq!(history(server.address(), "lobby"), texts);

    let mut client = home.client(&["--server", server.address(), "--user", "ana"]);
    client.send_line("send nowhere");
    client.end_input();
    assert_eq!(client.wait_exit(TIMEOUT).code(), Some(1));
    client.stderr.wait_for_line("Not sent: nowhere", TIMEOUT);
}

#[test]
fn a_message_that_the_server_does_not_take_is_given_back_and_stops_no_other() {
    let (home, server) = (Home::new(), server(&[]));
    let mut client = home.member(&["--server", server.address()], "ana", "lobby");
    // Past the longest message, past the longest call, and to nobody.
    let (long, longer) = ("x".repeat(5000), "y".repeat(200_000));
    for text in [&long, &longer, "@nobody hello", "and on"] {
        client.send_line(&format!("send {text}"));
    }
    client.end_input();
    assert_eq!(client.wait_exit(TIMEOUT).code(), Some(1));
    for text in [&long, &longer, "hello"] {
        client.stderr.wait_for_line(&format!("Not sent: {text}"), TIMEOUT);
    }
    assert_eq!(history(server.address(), "lobby"), ["and on"]);
}

#[test]
fn where_too_many_wait_already_messages_still_come() {
    let home = Home::new();
    let server = server(&["--waits-per-address", "1"]);
    let place = ["--server", server.address()];
    let users = ["ana", "bob", "eva"];
    let mut clients = users.map(|user| home.member(&place, user, "lobby"));
    for (user, client) in users.iter().zip(&mut clients) {
        client.send_line(&format!("send I am {user}"));
    }
    for (user, client) in users.iter().zip(&clients) {
        for other in users.iter().filter(|other| *other != user) {
            client.stdout.wait_for_line(&format!("{other}: I am {other}"), TIMEOUT);
        }
        assert!(!client.stderr.lines().iter().any(|line| line.contains("lost")));
    }
}

#[test]
fn joining_makes_the_room_or_says_why_not() {
    let server = server(&["--max-rooms", "1"]);
    let home = Home::new();
    let mut ana = home.client(&["--server", server.address(), "--user", "ana", "--room", "lobby"]);
    ana.stderr.wait_for_line("There was no room lobby yet: it has been created.", TIMEOUT);
    ana.stderr.wait_for_line("Joined lobby", TIMEOUT);
    ana.send_line("join attic");
    ana.stderr.wait_for_line("rooms: the limit is 1", TIMEOUT);
    ana.end_input();
    assert!(ana.wait_exit(TIMEOUT).success());
}

#[test]
fn what_cannot_work_is_said_in_one_line() {
    let home = Home::new();
    for (arguments, code) in [
        (&["--nope"][..], 2),
        (&["--server", "no where"], 2),
        (&["--local", "--server", "127.0.0.1:1"], 2),
        (&["--server", "127.0.0.1:1", "--user", "ana"], 1),
        (&["--binder", "127.0.0.1:1", "--user", "ana"], 1),
        (&["--server", "127.0.0.1:1", "--secret-file", "/nowhere"], 1),
    ] {
        let mut client = home.client(arguments);
        assert_eq!(client.wait_exit(TIMEOUT).code(), Some(code), "{arguments:?}");
        let lines = client.stderr.lines();
        assert!(lines.len() == 1 && lines[0].starts_with("client: "), "{arguments:?}: {lines:?}");
    }
}

#[test]
fn whoever_comes_back_after_a_crash_gets_the_name_back() {
    let (home, server) = (Home::new(), server(&[]));
    let place = ["--server", server.address()];
    let mut ana = home.member(&place, "ana", "lobby");
    let elsewhere = Home::new();
    let mut thief = elsewhere.client(&["--server", server.address(), "--user", "ana"]);
    assert_eq!(thief.wait_exit(TIMEOUT).code(), Some(1));
    ana.kill();
    assert!(is_registered(server.address(), "ana"));
    let mut again = home.member(&place, "ana", "lobby");
    again.end_input();
    assert!(again.wait_exit(TIMEOUT).success());

    // Of no use to anybody any more.
    let mut kept = Vec::new();
    for directory in fs::read_dir(home.0.join(".local/state/chat-rpc/secrets")).unwrap() {
        kept.extend(fs::read_dir(directory.unwrap().path()).unwrap());
    }
    assert!(kept.is_empty(), "{kept:?}");
}

#[test]
fn the_same_server_under_another_address_knows_its_users() {
    let (home, server) = (Home::new(), server(&[]));
    let [one, other] = [(); 2].map(|()| Relay::start(server.address(), |_, _| Fate::Pass));
    let mut ana = home.member(&["--server", one.address()], "ana", "lobby");
    ana.kill();
    let elsewhere = Home::new();
    let mut thief = elsewhere.client(&["--server", other.address(), "--user", "ana"]);
    assert_eq!(thief.wait_exit(TIMEOUT).code(), Some(1));
    let mut again = home.member(&["--server", other.address()], "ana", "lobby");
    again.end_input();
    assert!(again.wait_exit(TIMEOUT).success());
}

#[test]
fn a_message_whose_answer_was_lost_is_not_sent_twice() {
    let (home, server) = (Home::new(), server(&[]));
    let relay = Relay::start(server.address(), |procedure, before| match (procedure, before) {
        ("send_message", 0) => Fate::LoseReply,
        _ => Fate::Pass,
    });
    let mut ana = home.member(&["--server", relay.address()], "ana", "lobby");
    let bob = home.member(&["--server", server.address()], "bob", "lobby");
    ana.send_line("send one");
    ana.send_line("send two");
    bob.stdout.wait_for_line("ana: two", TIMEOUT);
    assert_eq!(history(server.address(), "lobby"), ["one", "two"]);
    ana.end_input();
    assert!(ana.wait_exit(TIMEOUT).success());
    assert!(ana.stdout.lines().is_empty(), "one's own messages are not shown again");
}

#[test]
fn messages_whose_delivery_was_cut_off_are_shown_once() {
    let (home, server) = (Home::new(), server(&[]));
    let relay = Relay::start(server.address(), |procedure, before| match (procedure, before) {
        ("/events", 0) => Fate::CutBefore("two"),
        _ => Fate::Pass,
    });
    let bob = home.member(&["--server", relay.address()], "bob", "lobby");
    let mut ana = home.member(&["--server", server.address()], "ana", "lobby");
    for text in ["one", "two", "three"] {
        ana.send_line(&format!("send {text}"));
        bob.stdout.wait_for_line(&format!("ana: {text}"), TIMEOUT);
    }
    for text in ["one", "two", "three"] {
        assert_eq!(count(&bob, &format!("ana: {text}")), 1, "{text}");
    }
    assert_eq!(relay.count("/events"), 2, "it was opened again");
    assert!(!bob.stderr.lines().iter().any(|line| line.contains("lost")), "{:?}", bob.stderr.lines());
}

#[test]
fn where_events_do_not_get_through_calls_that_wait_take_their_place() {
    const NOT_FOUND: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    // A proxy that holds them back, and an older server.
    for fate in [Fate::Buffer, Fate::Refuse(NOT_FOUND)] {
        let (home, server) = (Home::new(), server(&[]));
        let relay = Relay::start(server.address(), move |procedure, _| match procedure {
            "/events" => fate,
            _ => Fate::Pass,
        });
        let bob = home.member(&["--server", relay.address()], "bob", "lobby");
        let mut ana = home.member(&["--server", server.address()], "ana", "lobby");
        ana.send_line("send one");
        bob.stdout.wait_for_line("ana: one", TIMEOUT);
        eventually("a call waits", TIMEOUT, || relay.count("wait_messages") >= 2);
        ana.send_line("send two");
        bob.stdout.wait_for_line("ana: two", TIMEOUT);
        assert_eq!((count(&bob, "ana: one"), count(&bob, "ana: two"), relay.count("/events")), (1, 1, 1), "{fate:?}");
    }
}

#[test]
fn joins_and_leaves_are_told_at_once_and_nobody_asks_for_them() {
    let (home, server) = (Home::new(), server(&[]));
    let relay = Relay::start(server.address(), |_, _| Fate::Pass);
    let bob = home.member(&["--server", relay.address()], "joão", "sala dois");
    eventually("the stream is open", TIMEOUT, || relay.count("/events") == 1);
    // Longer than the pause between two questions where they are needed.
    let asked_after = Instant::now() + Duration::from_secs(11);
    let mut ana = home.member(&["--server", server.address()], "ana", "sala dois");
    bob.stderr.wait_for_line("ana joined", TIMEOUT);
    ana.send_line("leave");
    bob.stderr.wait_for_line("ana left", TIMEOUT);
    thread::sleep(asked_after.saturating_duration_since(Instant::now()));
    assert_eq!((relay.count("list_users"), relay.count("wait_messages")), (0, 0));
}

/// On the two ports that `--local` is about. Where a binder and a server are running there already, they are used, as
/// documented; another program there makes this fail.
#[test]
fn the_same_command_twice_is_two_people_chatting() {
    let home = Home::new();
    let name = |user: &str| format!("{user}-{}", std::process::id());
    let (ana, bob, eva, room) = (name("ana"), name("bob"), name("eva"), name("room"));
    let mut first = home.member(&["--local"], &ana, &room);
    let mut second = home.member(&["--local"], &bob, &room);
    first.send_line("send hello");
    second.stdout.wait_for_line(&format!("{ana}: hello"), TIMEOUT);
    second.send_line("send hello yourself");
    first.stdout.wait_for_line(&format!("{bob}: hello yourself"), TIMEOUT);

    // The one that has the server in it goes; the other one carries on.
    first.end_input();
    assert!(first.wait_exit(TIMEOUT).success());
    let third = home.member(&["--local"], &eva, &room);
    second.send_line("send still here");
    third.stdout.wait_for_line(&format!("{bob}: still here"), TIMEOUT);
}
