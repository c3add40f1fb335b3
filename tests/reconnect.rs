//! The client through restarts: of the binder, of the server, of itself, and of its user's registration.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what fails here fails a test")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use chat_rpc::rpc::{Client, Credentials, Value};
use support::home::{Home, count, enter, history};
use support::{ANY_PORT, BINDER, Process, SERVER, TIMEOUT, binder, eventually, server, server_at, wait_for_a_server};

#[test]
fn binder_and_server_come_back_after_a_kill() {
    let (home, mut binder) = (Home::new(), binder(&[]));
    let at = binder.address().to_owned();
    let mut server = server_at(&binder, &[]);
    wait_for_a_server(&at);
    let mut ana = home.member(&["--binder", &at], "ana", "lobby");
    let mut bob = home.member(&["--binder", &at], "bob", "lobby");

    ana.send_line("send before it all");
    bob.stdout.wait_for_line("ana: before it all", TIMEOUT);

    // The server comes back at another address.
    server.kill();
    ana.stderr.wait_for_line("Connection lost", TIMEOUT);
    ana.send_line("send said while the server was away");
    server = server_at(&binder, &[]);
    bob.stdout.wait_for_line("ana: said while the server was away", TIMEOUT);
    bob.stderr.wait_for_line("The server has lost the messages of lobby", TIMEOUT);
    bob.stderr.wait_for_line("Reconnected at", TIMEOUT);

    // Chatting needs no binder, and coming back needs it at its old address.
    binder.kill();
    bob.send_line("send without a binder");
    ana.stdout.wait_for_line("bob: without a binder", TIMEOUT);
    server.kill();
    let binder = Process::serve(BINDER, &["--listen", &at]);
    let _server = server_at(&binder, &[]);
    bob.send_line("send all is well again");
    ana.stdout.wait_for_line("bob: all is well again", TIMEOUT);
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
    let (home, mut binder) = (Home::new(), binder(&[]));
    let at = binder.address().to_owned();
    let serve = || Process::serve(SERVER, &["--listen", ANY_PORT, "--binder", &at, "--message-rate", "0"]);
    let mut server = serve();
    wait_for_a_server(&at);
    let member = |(user, room)| home.member(&["--binder", &at], user, room);
    let mut clients = PLACES.map(member);
    let noise = Noise::at(&at);
    for round in 0..4 {
        match round {
            0 => {
                binder.kill();
                binder = Process::serve(BINDER, &["--listen", &at]);
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
                clients.iter_mut().for_each(Process::kill);
                binder = Process::serve(BINDER, &["--listen", &at]);
                server = serve();
                wait_for_a_server(&at);
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
                    client.stdout.wait_for_line(&text, TIMEOUT);
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
    let (home, binder) = (Home::new(), binder(&[]));
    let start = || server_at(&binder, &["--message-rate", "0"]);
    let mut server = start();
    wait_for_a_server(binder.address());
    let place = ["--binder", binder.address()];
    let mut ana = home.member(&place, "ana", "lobby");
    let bob = home.member(&place, "bob", "lobby");
    for number in 0..100 {
        ana.send_line(&format!("send message {number}."));
    }
    bob.stdout.wait_for_line("message 40.", TIMEOUT);
    server.kill();
    for number in 100..150 {
        ana.send_line(&format!("send message {number}."));
    }
    server = start();
    bob.stdout.wait_for_line("message 149.", TIMEOUT);
    for number in 150..200 {
        ana.send_line(&format!("send message {number}."));
    }
    bob.stdout.wait_for_line("message 199.", TIMEOUT);

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
    bob.stderr.wait_for_line("the room has been created again", TIMEOUT);
    ana.end_input();
    assert!(ana.wait_exit(TIMEOUT).success());
    assert!(!ana.stderr.lines().iter().any(|line| line.contains("Not sent")));
}

#[test]
fn a_message_of_the_history_that_its_author_sends_again_is_shown_once() {
    let (home, mut first) = (Home::new(), server(&[]));
    let say = |author: &Client, text: &str, key: &str| {
        let sent = author.call("send_message", &["ana".into(), "lobby".into(), text.into(), "".into(), key.into()]);
        sent.unwrap();
    };
    let author = Client::new(first.address());
    author.call("register_user", &["ana".into()]).unwrap();
    author.call("create_room", &["lobby".into()]).unwrap();
    author.call("join_room", &["ana".into(), "lobby".into()]).unwrap();
    say(&author, "said once", "a key");
    let bob = home.member(&["--server", first.address()], "bob", "lobby");
    bob.stdout.wait_for_line("ana: said once", TIMEOUT);
    first.kill();
    // Its author has not had the confirmation, and the new server knows nothing of the message.
    let second = Process::serve(SERVER, &["--no-binder", "--listen", first.address()]);
    let author = Client::new(second.address());
    author.call("register_user", &["ana".into()]).unwrap();
    eventually("bob has made the room again", TIMEOUT, || {
        author.call("join_room", &["ana".into(), "lobby".into()]).is_ok()
    });
    say(&author, "said once", "a key");
    say(&author, "and then this", "another key");
    bob.stdout.wait_for_line("ana: and then this", TIMEOUT);
    assert_eq!(count(&bob, "ana: said once"), 1);
}

#[test]
fn a_user_whom_the_server_has_dropped_comes_back() {
    let (home, server) = (Home::new(), server(&[]));
    let place = ["--server", server.address()];
    let mut bob = home.member(&place, "bob", "lobby");
    let mut ana = home.client_with(&["CHAT_SECRET=open sesame"], &[&place[..], &["--user", "ana"]].concat());
    enter(&mut ana, "lobby");
    let credentials = Credentials { user: "ana".into(), secret: "open sesame".into() };
    Client::new(server.address()).with_credentials(&credentials).call("unregister_user", &["ana".into()]).unwrap();
    bob.send_line("send are you there");
    ana.stdout.wait_for_line("bob: are you there", TIMEOUT);
    ana.send_line("send yes");
    bob.stdout.wait_for_line("ana: yes", TIMEOUT);
    assert_eq!(count(&ana, "are you there"), 1);
}

#[test]
fn a_name_that_was_taken_meanwhile_is_tried_until_it_is_free() {
    let (home, mut first) = (Home::new(), server(&[]));
    let mut bob = home.member(&["--server", first.address()], "bob", "lobby");
    let mut ana = home.member(&["--server", first.address(), "--log-level", "debug"], "ana", "lobby");
    ana.signal("STOP");
    first.kill();
    let second = Process::serve(SERVER, &["--no-binder", "--listen", first.address()]);
    let thief = Client::new(second.address());
    thief.call("register_user", &["ana".into()]).unwrap();
    ana.signal("CONT");
    ana.send_line("send kept all the time");
    bob.send_line("send anybody here");
    ana.stderr.wait_for("two refusals", TIMEOUT, |lines| {
        (lines.iter().filter(|line| line.contains("already in use")).count() >= 2).then_some(())
    });
    assert!(history(second.address(), "lobby").iter().all(|text| text == "anybody here"));
    thief.call("unregister_user", &["ana".into()]).unwrap();
    bob.stdout.wait_for_line("ana: kept all the time", TIMEOUT);
    ana.stdout.wait_for_line("bob: anybody here", TIMEOUT);
}
