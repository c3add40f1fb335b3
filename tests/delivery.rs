//! Exact delivery: what the client sends arrives once and in order, whatever lies between it and the server.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what fails here fails a test")]

mod support;

use std::time::{Duration, Instant};

use support::home::{Home, count, history};
use support::relay::{Fate, Relay};
use support::{ANY_PORT, Process, SERVER, TIMEOUT, eventually, server};

/// Starts a client that sends `text` as the user `bot`.
fn sender(home: &Home, server: &str, text: &str) -> Process {
    home.client(&["send", "--user", "bot", "--room", "ops", "--server", server, text])
}

#[test]
fn what_a_busy_server_has_not_done_is_done_when_it_says() {
    const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";
    const SLOWER: &str = "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n";
    for reply in [BUSY, SLOWER] {
        let (home, server) = (Home::new(), server(&[]));
        let relay = Relay::start(server.address(), move |procedure, before| match (procedure, before) {
            ("register_user" | "join_room" | "send_message", 0) => Fate::Refuse(reply),
            _ => Fate::Pass,
        });
        let started = Instant::now();
        let mut send = sender(&home, relay.address(), "deployed");
        assert!(send.wait_exit(TIMEOUT).success());
        assert!(started.elapsed() >= Duration::from_secs(3), "a second each: {:?}", started.elapsed());
        assert_eq!(history(server.address(), "ops"), ["deployed"]);
        assert_eq!(relay.count("send_message"), 2);
    }
}

#[test]
fn what_a_proxy_does_not_know_of_is_sent_again_and_is_there_once() {
    const UNKNOWN: &str = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n";
    const TOO_LATE: &str = "HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n";
    // The proxy did not reach the server, or it did.
    for fate in [Fate::Refuse(UNKNOWN), Fate::Replace(TOO_LATE)] {
        let (home, server) = (Home::new(), server(&[]));
        let relay = Relay::start(server.address(), move |procedure, before| match (procedure, before) {
            ("register_user" | "join_room" | "send_message", 0) => fate,
            _ => Fate::Pass,
        });
        let mut send = sender(&home, relay.address(), "deployed");
        assert!(send.wait_exit(TIMEOUT).success(), "{fate:?}");
        assert_eq!(history(server.address(), "ops"), ["deployed"], "{fate:?}");
    }
}

/// The client gives up after 10 s; the kernel still delivers what it sent before.
#[test]
fn a_message_that_was_held_up_and_sent_again_is_there_once() {
    const LONGER_THAN_A_CALL: Duration = Duration::from_secs(14);
    let (home, server) = (Home::new(), server(&[]));
    let relay = Relay::start(server.address(), |procedure, before| match (procedure, before) {
        ("send_message", 0) => Fate::Hold(LONGER_THAN_A_CALL),
        _ => Fate::Pass,
    });
    let mut ana = home.member(&["--server", relay.address()], "ana", "lobby");
    let bob = home.member(&["--server", server.address()], "bob", "lobby");
    ana.send_line("send one");
    bob.stdout.wait_for_line("ana: one", TIMEOUT);
    eventually("the first call has reached the server too", TIMEOUT, || relay.done("send_message") == 2);
    ana.send_line("send two");
    bob.stdout.wait_for_line("ana: two", TIMEOUT);
    assert_eq!((count(&bob, "ana: one"), count(&ana, "one")), (1, 0), "once, and one's own not again");
    assert_eq!(history(server.address(), "lobby"), ["one", "two"]);
}

#[test]
fn a_message_whose_reply_was_lost_with_the_server_is_there_once() {
    let home = Home::new();
    let data = home.0.join("data").display().to_string();
    let serve = |at: &str| Process::serve(SERVER, &["--no-binder", "--listen", at, "--data", &data]);
    let mut first = serve(ANY_PORT);
    let relay = Relay::start(first.address(), |procedure, before| match (procedure, before) {
        ("send_message", 0) => Fate::LoseReply,
        _ => Fate::Pass,
    });
    let tail = home.client(&["tail", "--room", "ops", "--server", relay.address()]);
    tail.stderr.wait_for_line("Joined ops", TIMEOUT);
    let mut send = sender(&home, relay.address(), "deployed");
    eventually("the server has it", TIMEOUT, || relay.done("send_message") == 1);
    first.kill();
    let second = serve(first.address());
    assert!(send.wait_exit(TIMEOUT).success());
    assert_eq!(history(second.address(), "ops"), ["deployed"]);
    let mut after = sender(&home, relay.address(), "and on");
    assert!(after.wait_exit(TIMEOUT).success());
    tail.stdout.wait_for_line("bot: and on", TIMEOUT);
    let shown = tail.stdout.lines().iter().filter(|line| line.ends_with("bot: deployed")).count();
    assert_eq!(shown, 1, "{:?}", tail.stdout.lines());
}

#[test]
fn another_status_is_an_error_that_names_it() {
    const FORBIDDEN: &str = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
    let (home, server) = (Home::new(), server(&[]));
    let relay = Relay::start(server.address(), |procedure, _| match procedure {
        "send_message" => Fate::Refuse(FORBIDDEN),
        _ => Fate::Pass,
    });
    let mut send = sender(&home, relay.address(), "deployed");
    assert_eq!(send.wait_exit(TIMEOUT).code(), Some(1));
    send.stderr.wait_for_line("HTTP status 403", TIMEOUT);
    assert_eq!(relay.count("send_message"), 1);
}
