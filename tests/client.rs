//! The client as people and scripts use it, through everything that can happen to the server meanwhile.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what fails here fails a test")]

mod support;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use chat_rpc::rpc::{Client, Credentials, Value};
use support::home::Home;
use support::relay::{Fate, Relay};
use support::{ANY_PORT, BINDER, CLIENT, PATIENCE, Program, SERVER, eventually};

impl Home {
    /// Starts a client.
    #[track_caller]
    fn client(&self, arguments: &[&str]) -> Program {
        self.client_with(&[], arguments)
    }

    /// Starts a client with more in its environment.
    #[track_caller]
    fn client_with(&self, environment: &[&str], arguments: &[&str]) -> Program {
        let state = format!("XDG_STATE_HOME={}", self.0.display());
        let line: Vec<&str> =
            ["env", "-u", "CHAT_SECRET", "LC_ALL=C", &state].iter().chain(environment).chain(CLIENT).copied().collect();
        Program::start(&line, arguments)
    }

    /// Starts a client as `user` and waits until they are in `room`.
    #[track_caller]
    fn member(&self, place: &[&str], user: &str, room: &str) -> Program {
        let mut client = self.client(&[place, &["--user", user]].concat());
        enter(&mut client, room);
        client
    }
}

/// Creates `room`, which may exist already, and joins it.
#[track_caller]
fn enter(client: &mut Program, room: &str) {
    client.send_line(&format!("create {room}"));
    client.send_line(&format!("join {room}"));
    client.stderr.wait_for_line(&format!("Joined {room}"), PATIENCE);
}

fn server() -> Program {
    Program::serve(SERVER, &["--no-binder", "--listen", ANY_PORT])
}

fn server_at(binder: &Program) -> Program {
    Program::serve(SERVER, &["--listen", ANY_PORT, "--binder", binder.address()])
}

fn count(client: &Program, text: &str) -> usize {
    client.stdout.lines().iter().filter(|line| line.ends_with(text)).count()
}

/// What everybody in `room` can read, as somebody who comes from outside reads it.
fn history(server: &str, room: &str) -> Vec<String> {
    let outside = Client::new(server);
    outside.call("register_user", &["reader".into()]).unwrap();
    outside.call("join_room", &["reader".into(), room.into()]).unwrap();
    let messages = outside.call("receive_messages", &["reader".into(), room.into()]).unwrap();
    outside.call("unregister_user", &["reader".into()]).unwrap();
    let content = |message: &Value| message.member("content").and_then(Value::as_str).unwrap().to_owned();
    messages.as_array().unwrap().iter().map(content).collect()
}

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
    let (home, binder) = (Home::new(), Program::serve(BINDER, &["--listen", ANY_PORT]));
    let server = server_at(&binder);
    eventually("the server is registered", PATIENCE, || {
        let found = Client::new(binder.address()).call("lookup_procedure", &["send_message".into()]);
        found.is_ok_and(|found| found != Value::Nil)
    });
    let place = ["--binder", binder.address()];
    let mut ana = home.member(&place, "ana", "lobby");
    let mut bob = home.member(&place, "bob", "lobby");
    let mut joao = home.member(&place, "joão", "lobby");

    ana.send_line("send hello all");
    bob.stdout.wait_for_line(" ana: hello all", PATIENCE);
    joao.stdout.wait_for_line(" ana: hello all", PATIENCE);
    bob.send_line("/send @ana just for you");
    let line = ana.stdout.wait_for_line(" bob (private): just for you", PATIENCE);
    assert!(line.as_bytes()[2] == b':' && line.as_bytes()[5] == b' ', "{line}");
    // As in the original, what a command needs is asked for.
    for line in ["send", "to one", "bob"] {
        joao.send_line(line);
    }
    bob.stdout.wait_for_line(" joão (private): to one", PATIENCE);
    bob.send_line("send good bye");
    ana.stdout.wait_for_line(" bob: good bye", PATIENCE);
    joao.stdout.wait_for_line(" bob: good bye", PATIENCE);
    assert_eq!(count(&joao, "just for you"), 0);
    assert_eq!(count(&ana, "hello all"), 0, "one's own message is not shown again");
    assert_eq!(count(&bob, "just for you"), 0, "one's own message is not shown again");

    ana.end_input();
    assert!(ana.wait_exit(PATIENCE).success());
    assert!(!is_registered(server.address(), "ana"));
    bob.send_line("users");
    bob.stderr.wait_for_line("Users: bob, joão", PATIENCE);
    bob.send_line("leave");
    bob.stderr.wait_for_line("Left lobby", PATIENCE);
    bob.send_line("list");
    bob.stderr.wait_for_line("Rooms: lobby", PATIENCE);
    bob.send_line("exit");
    assert!(bob.wait_exit(PATIENCE).success());
}

#[test]
fn a_refused_name_is_asked_for_again() {
    let (home, server) = (Home::new(), server());
    let place = ["--server", server.address()];
    let _ana = home.member(&place, "ana", "lobby");
    let mut other = home.client(&place);
    other.send_line("Ana");
    other.stderr.wait_for_line("already in use", PATIENCE);
    other.send_line("a b");
    other.stderr.wait_for_line("user name", PATIENCE);
    other.send_line("bob");
    other.stderr.wait_for_line("Welcome, bob", PATIENCE);
    other.end_input();
    assert!(other.wait_exit(PATIENCE).success());

    let mut given = home.client(&["--server", server.address(), "--user", "ana"]);
    assert_eq!(given.wait_exit(PATIENCE).code(), Some(1), "what follows on standard input is no name");
    given.stderr.wait_for_line("already in use", PATIENCE);
}

#[test]
fn signals_and_the_end_of_input_unregister() {
    let (home, server) = (Home::new(), server());
    for (user, signal) in [("ana", Some("INT")), ("bob", Some("TERM")), ("eva", None)] {
        let mut client = home.member(&["--server", server.address()], user, "lobby");
        assert!(is_registered(server.address(), user));
        match signal {
            Some(signal) => client.signal(signal),
            None => client.end_input(),
        }
        assert!(client.wait_exit(PATIENCE).success());
        assert!(!is_registered(server.address(), user));
    }
}

#[test]
fn commands_from_a_pipe_are_all_done_before_the_end() {
    let (home, server) = (Home::new(), server());
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
    assert!(client.wait_exit(PATIENCE).success());
    assert_eq!(history(server.address(), "lobby"), texts);

    let mut client = home.client(&["--server", server.address(), "--user", "ana"]);
    client.send_line("send nowhere");
    client.end_input();
    assert_eq!(client.wait_exit(PATIENCE).code(), Some(1));
    client.stderr.wait_for_line("Not sent: nowhere", PATIENCE);
}

#[test]
fn a_message_that_the_server_does_not_take_is_given_back_and_stops_no_other() {
    let (home, server) = (Home::new(), server());
    let mut client = home.member(&["--server", server.address()], "ana", "lobby");
    // Past the longest message, past the longest call, and to nobody.
    let (long, longer) = ("x".repeat(5000), "y".repeat(200_000));
    for text in [&long, &longer, "@nobody hello", "and on"] {
        client.send_line(&format!("send {text}"));
    }
    client.end_input();
    assert_eq!(client.wait_exit(PATIENCE).code(), Some(1));
    for text in [&long, &longer, "hello"] {
        client.stderr.wait_for_line(&format!("Not sent: {text}"), PATIENCE);
    }
    assert_eq!(history(server.address(), "lobby"), ["and on"]);
}

#[test]
fn where_too_many_wait_already_messages_still_come() {
    let home = Home::new();
    let server = Program::serve(SERVER, &["--no-binder", "--listen", ANY_PORT, "--waits-per-address", "1"]);
    let place = ["--server", server.address()];
    let users = ["ana", "bob", "eva"];
    let mut clients = users.map(|user| home.member(&place, user, "lobby"));
    for (user, client) in users.iter().zip(&mut clients) {
        client.send_line(&format!("send I am {user}"));
    }
    for (user, client) in users.iter().zip(&clients) {
        for other in users.iter().filter(|other| *other != user) {
            client.stdout.wait_for_line(&format!("{other}: I am {other}"), PATIENCE);
        }
        assert!(!client.stderr.lines().iter().any(|line| line.contains("lost")));
    }
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
        assert_eq!(client.wait_exit(PATIENCE).code(), Some(code), "{arguments:?}");
        let lines = client.stderr.lines();
        assert!(lines.len() == 1 && lines[0].starts_with("client: "), "{arguments:?}: {lines:?}");
    }
}

#[test]
fn whoever_comes_back_after_a_crash_gets_the_name_back() {
    let (home, server) = (Home::new(), server());
    let place = ["--server", server.address()];
    let mut ana = home.member(&place, "ana", "lobby");
    let elsewhere = Home::new();
    let mut thief = elsewhere.client(&["--server", server.address(), "--user", "ana"]);
    assert_eq!(thief.wait_exit(PATIENCE).code(), Some(1));
    ana.kill();
    assert!(is_registered(server.address(), "ana"));
    let mut again = home.member(&place, "ana", "lobby");
    again.end_input();
    assert!(again.wait_exit(PATIENCE).success());

    // Of no use to anybody any more.
    let mut kept = Vec::new();
    for directory in fs::read_dir(home.0.join("chat-rpc/secrets")).unwrap() {
        kept.extend(fs::read_dir(directory.unwrap().path()).unwrap());
    }
    assert!(kept.is_empty(), "{kept:?}");
}

#[test]
fn the_same_server_under_another_address_knows_its_users() {
    let (home, server) = (Home::new(), server());
    let [one, other] = [(); 2].map(|()| Relay::start(server.address(), |_, _| Fate::Pass));
    let mut ana = home.member(&["--server", one.address()], "ana", "lobby");
    ana.kill();
    let elsewhere = Home::new();
    let mut thief = elsewhere.client(&["--server", other.address(), "--user", "ana"]);
    assert_eq!(thief.wait_exit(PATIENCE).code(), Some(1));
    let mut again = home.member(&["--server", other.address()], "ana", "lobby");
    again.end_input();
    assert!(again.wait_exit(PATIENCE).success());
}

#[test]
fn binder_and_server_come_back_after_a_kill() {
    let (home, mut binder) = (Home::new(), Program::serve(BINDER, &["--listen", ANY_PORT]));
    let at = binder.address().to_owned();
    let mut server = server_at(&binder);
    eventually("the server is registered", PATIENCE, || {
        let found = Client::new(&at).call("lookup_procedure", &["send_message".into()]);
        found.is_ok_and(|found| found != Value::Nil)
    });
    let mut ana = home.member(&["--binder", &at], "ana", "lobby");
    let mut bob = home.member(&["--binder", &at], "bob", "lobby");

    ana.send_line("send before it all");
    bob.stdout.wait_for_line("ana: before it all", PATIENCE);

    // The server comes back at another address.
    server.kill();
    ana.stderr.wait_for_line("Connection lost", PATIENCE);
    ana.send_line("send said while the server was away");
    server = server_at(&binder);
    bob.stdout.wait_for_line("ana: said while the server was away", PATIENCE);
    bob.stderr.wait_for_line("The server has lost the messages of lobby", PATIENCE);
    bob.stderr.wait_for_line("Reconnected at", PATIENCE);

    // Chatting needs no binder, and coming back needs it at its old address.
    binder.kill();
    bob.send_line("send without a binder");
    ana.stdout.wait_for_line("bob: without a binder", PATIENCE);
    server.kill();
    let binder = Program::serve(BINDER, &["--listen", &at]);
    let _server = server_at(&binder);
    bob.send_line("send all is well again");
    ana.stdout.wait_for_line("bob: all is well again", PATIENCE);
    for (client, text) in
        [(&ana, "bob: without a binder"), (&bob, "ana: before it all"), (&bob, "ana: said while the server was away")]
    {
        assert_eq!(count(client, text), 1, "{text}");
    }
}

/// Calls that keep the server busy, from users of their own in a room of their own, wherever the server is just now.
struct Noise {
    running: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Noise {
    fn at(binder: &str) -> Self {
        let running = Arc::new(AtomicBool::new(true));
        let make = |number| {
            let (running, binder, user) = (Arc::clone(&running), binder.to_owned(), format!("noise-{number}"));
            thread::spawn(move || {
                while running.load(Ordering::Relaxed) {
                    // Everything may fail while programs are killed.
                    let found = Client::new(&binder).call("lookup_procedure", &["send_message".into()]);
                    let Ok(Value::Array(place)) = found else { continue };
                    let port = place.get(1).and_then(Value::as_int).unwrap_or_default();
                    let server = Client::new(&format!("127.0.0.1:{port}"));
                    let _ = server.call("register_user", &[user.as_str().into()]);
                    let _ = server.call("create_room", &["noise".into()]);
                    let _ = server.call("join_room", &[user.as_str().into(), "noise".into()]);
                    let said = || server.call("send_message", &[user.as_str().into(), "noise".into(), "x".into()]);
                    while running.load(Ordering::Relaxed) && said().is_ok() {}
                }
            })
        };
        Self { threads: (0..3).map(make).collect(), running }
    }
}

impl Drop for Noise {
    fn drop(&mut self) {
        self.running.store(false, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

#[test]
fn killed_in_turn_and_all_at_once_under_load_everybody_is_back_where_they_were() {
    const PLACES: [(&str, &str); 4] = [("ana", "lobby"), ("bob", "lobby"), ("eva", "attic"), ("leo", "attic")];
    let (home, mut binder) = (Home::new(), Program::serve(BINDER, &["--listen", ANY_PORT]));
    let at = binder.address().to_owned();
    let serve = || Program::serve(SERVER, &["--listen", ANY_PORT, "--binder", &at, "--message-rate", "0"]);
    let mut server = serve();
    let is_registered = || {
        let found = Client::new(&at).call("lookup_procedure", &["send_message".into()]);
        found.is_ok_and(|found| found != Value::Nil)
    };
    eventually("the server is registered", PATIENCE, is_registered);
    let member = |(user, room)| home.member(&["--binder", &at], user, room);
    let mut clients = PLACES.map(member);
    let noise = Noise::at(&at);
    for round in 0..4 {
        match round {
            0 => {
                binder.kill();
                binder = Program::serve(BINDER, &["--listen", &at]);
            }
            1 => {
                server.kill();
                server = serve();
            }
            2 => {
                clients[0].kill();
                clients[0] = member(PLACES[0]);
            }
            _ => {
                binder.kill();
                server.kill();
                clients.iter_mut().for_each(Program::kill);
                binder = Program::serve(BINDER, &["--listen", &at]);
                server = serve();
                eventually("the server is registered again", PATIENCE, is_registered);
                clients = PLACES.map(member);
            }
        }
        for (client, (user, _)) in clients.iter_mut().zip(PLACES) {
            client.send_line(&format!("send {user} in round {round}"));
        }
        for (client, (user, room)) in clients.iter().zip(PLACES) {
            for (other, elsewhere) in PLACES.into_iter().filter(|(other, _)| *other != user) {
                let text = format!("{other}: {other} in round {round}");
                if room == elsewhere {
                    client.stdout.wait_for_line(&text, PATIENCE);
                    assert_eq!(count(client, &text), 1, "{user} sees once: {text}");
                } else {
                    assert_eq!(count(client, &text), 0, "{user} is not there: {text}");
                }
            }
        }
        let outside = Client::new(server.address());
        for room in ["lobby", "attic"] {
            let users = outside.call("list_users", &[room.into()]).unwrap();
            let there = PLACES.iter().filter(|(_, place)| *place == room).map(|(user, _)| Value::from(*user));
            assert_eq!(users, Value::Array(there.collect()), "round {round}");
        }
    }
    drop(noise);
}

#[test]
fn of_200_messages_each_that_the_restarted_server_confirmed_is_shown_once() {
    let (home, binder) = (Home::new(), Program::serve(BINDER, &["--listen", ANY_PORT]));
    let start = || Program::serve(SERVER, &["--listen", ANY_PORT, "--binder", binder.address(), "--message-rate", "0"]);
    let mut server = start();
    eventually("the server is registered", PATIENCE, || {
        let found = Client::new(binder.address()).call("lookup_procedure", &["send_message".into()]);
        found.is_ok_and(|found| found != Value::Nil)
    });
    let place = ["--binder", binder.address()];
    let mut ana = home.member(&place, "ana", "lobby");
    let bob = home.member(&place, "bob", "lobby");
    for number in 0..100 {
        ana.send_line(&format!("send message {number}."));
    }
    bob.stdout.wait_for_line("message 40.", PATIENCE);
    server.kill();
    for number in 100..150 {
        ana.send_line(&format!("send message {number}."));
    }
    server = start();
    bob.stdout.wait_for_line("message 149.", PATIENCE);
    for number in 150..200 {
        ana.send_line(&format!("send message {number}."));
    }
    bob.stdout.wait_for_line("message 199.", PATIENCE);

    let confirmed = history(server.address(), "lobby");
    assert!(confirmed.len() >= 100, "{confirmed:?}");
    for text in &confirmed {
        assert_eq!(count(&bob, &format!("ana: {text}")), 1, "{text}");
    }
    // In order, and nothing twice even of what was said before.
    let shown: Vec<String> = bob.stdout.lines().iter().map(|line| line[6..].to_owned()).collect();
    let number = |line: &String| line.trim_start_matches("ana: message ").trim_end_matches('.').parse::<u32>().unwrap();
    let numbers: Vec<u32> = shown.iter().map(number).collect();
    assert!(numbers.is_sorted_by(|one, other| one < other), "{numbers:?}");
    bob.stderr.wait_for_line("the room has been created again", PATIENCE);
    ana.end_input();
    assert!(ana.wait_exit(PATIENCE).success());
    assert!(!ana.stderr.lines().iter().any(|line| line.contains("Not sent")));
}

#[test]
fn a_message_whose_answer_was_lost_is_not_sent_twice() {
    let (home, server) = (Home::new(), server());
    let relay = Relay::start(server.address(), |procedure, before| match (procedure, before) {
        ("send_message", 0) => Fate::LoseReply,
        _ => Fate::Pass,
    });
    let mut ana = home.member(&["--server", relay.address()], "ana", "lobby");
    let bob = home.member(&["--server", server.address()], "bob", "lobby");
    ana.send_line("send one");
    ana.send_line("send two");
    bob.stdout.wait_for_line("ana: two", PATIENCE);
    assert_eq!(history(server.address(), "lobby"), ["one", "two"]);
    ana.end_input();
    assert!(ana.wait_exit(PATIENCE).success());
    assert!(ana.stdout.lines().is_empty(), "one's own messages are not shown again");
}

#[test]
fn messages_whose_delivery_was_cut_off_are_shown_once() {
    let (home, server) = (Home::new(), server());
    let relay = Relay::start(server.address(), |procedure, before| match (procedure, before) {
        ("/events", 0) => Fate::CutBefore("two"),
        _ => Fate::Pass,
    });
    let bob = home.member(&["--server", relay.address()], "bob", "lobby");
    let mut ana = home.member(&["--server", server.address()], "ana", "lobby");
    for text in ["one", "two", "three"] {
        ana.send_line(&format!("send {text}"));
        bob.stdout.wait_for_line(&format!("ana: {text}"), PATIENCE);
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
        let (home, server) = (Home::new(), server());
        let relay = Relay::start(server.address(), move |procedure, _| match procedure {
            "/events" => fate,
            _ => Fate::Pass,
        });
        let bob = home.member(&["--server", relay.address()], "bob", "lobby");
        let mut ana = home.member(&["--server", server.address()], "ana", "lobby");
        ana.send_line("send one");
        bob.stdout.wait_for_line("ana: one", PATIENCE);
        eventually("a call waits", PATIENCE, || relay.count("wait_messages") >= 2);
        ana.send_line("send two");
        bob.stdout.wait_for_line("ana: two", PATIENCE);
        assert_eq!((count(&bob, "ana: one"), count(&bob, "ana: two"), relay.count("/events")), (1, 1, 1), "{fate:?}");
    }
}

#[test]
fn joins_and_leaves_are_told_at_once_and_nobody_asks_for_them() {
    let (home, server) = (Home::new(), server());
    let relay = Relay::start(server.address(), |_, _| Fate::Pass);
    let bob = home.member(&["--server", relay.address()], "bob", "lobby");
    eventually("the stream is open", PATIENCE, || relay.count("/events") == 1);
    // Longer than the pause between two questions where they are needed.
    let asked_after = Instant::now() + Duration::from_secs(11);
    let mut ana = home.member(&["--server", server.address()], "ana", "lobby");
    bob.stderr.wait_for_line("ana joined", PATIENCE);
    ana.send_line("leave");
    bob.stderr.wait_for_line("ana left", PATIENCE);
    thread::sleep(asked_after.saturating_duration_since(Instant::now()));
    assert_eq!(relay.count("list_users"), 0);
}

#[test]
fn a_user_whom_the_server_has_dropped_comes_back() {
    let (home, server) = (Home::new(), server());
    let place = ["--server", server.address()];
    let mut bob = home.member(&place, "bob", "lobby");
    let mut ana = home.client_with(&["CHAT_SECRET=open sesame"], &[&place[..], &["--user", "ana"]].concat());
    enter(&mut ana, "lobby");
    let credentials = Credentials { user: "ana".into(), secret: "open sesame".into() };
    Client::new(server.address()).with_credentials(&credentials).call("unregister_user", &["ana".into()]).unwrap();
    bob.send_line("send are you there");
    ana.stdout.wait_for_line("bob: are you there", PATIENCE);
    ana.send_line("send yes");
    bob.stdout.wait_for_line("ana: yes", PATIENCE);
    assert_eq!(count(&ana, "are you there"), 1);
}

#[test]
fn a_name_that_was_taken_meanwhile_is_tried_until_it_is_free() {
    let (home, mut first) = (Home::new(), server());
    let mut bob = home.member(&["--server", first.address()], "bob", "lobby");
    let mut ana = home.member(&["--server", first.address(), "--log-level", "debug"], "ana", "lobby");
    ana.signal("STOP");
    first.kill();
    let second = Program::serve(SERVER, &["--no-binder", "--listen", first.address()]);
    let thief = Client::new(second.address());
    thief.call("register_user", &["ana".into()]).unwrap();
    ana.signal("CONT");
    ana.send_line("send kept all the time");
    bob.send_line("send anybody here");
    ana.stderr.wait_for("two refusals", PATIENCE, |lines| {
        (lines.iter().filter(|line| line.contains("already in use")).count() >= 2).then_some(())
    });
    assert!(history(second.address(), "lobby").iter().all(|text| text == "anybody here"));
    thief.call("unregister_user", &["ana".into()]).unwrap();
    bob.stdout.wait_for_line("ana: kept all the time", PATIENCE);
    ana.stdout.wait_for_line("bob: anybody here", PATIENCE);
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
    second.stdout.wait_for_line(&format!("{ana}: hello"), PATIENCE);
    second.send_line("send hello yourself");
    first.stdout.wait_for_line(&format!("{bob}: hello yourself"), PATIENCE);

    // The one that has the server in it goes; the other one carries on.
    first.end_input();
    assert!(first.wait_exit(PATIENCE).success());
    let third = home.member(&["--local"], &eva, &room);
    second.send_line("send still here");
    third.stdout.wait_for_line(&format!("{bob}: still here"), PATIENCE);
}
