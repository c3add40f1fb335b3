//! One chat on several servers: what is decided, kept and refused, with an engine of the test's own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, reason = "what fails here fails a test")]

mod support;

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use chat_rpc::chat::STREAM_GRACE;
use chat_rpc::rpc::{Fault, Value};
use support::engine::Engine;
use support::events::{Stream, query};
use support::home::Home;
use support::http::metric;
use support::peer::{Peer, contents, texts};
use support::relay::{Fate, Relay};
use support::shared::{FREE, heard, members, pair, say, server, start};
use support::{ANY_PORT, CLIENT, Process, SERVER, TIMEOUT, binder, eventually};

#[test]
fn what_is_done_at_one_server_is_so_at_the_others_and_wakes_who_waits_there() {
    let Some(engine) = Engine::start(&[]) else { return };
    let ((one, at_one), (_two, at_two)) = (pair(engine.port), pair(engine.port));
    assert_eq!(at_one.server_id(), at_two.server_id());
    at_one.enter("lobby", &["ana", "eve"]);
    eventually("the other server knows", TIMEOUT, || at_two.call("list_users", &["lobby".into()]).is_ok());
    at_two.ok("register_user", &["bob".into()]);
    let joined = at_two.ok("join_room", &["bob".into(), "lobby".into()]);
    assert_eq!(texts(joined.member("users").unwrap()), ["ana", "bob", "eve"]);
    let waits = thread::spawn({
        let at_two = at_two.clone();
        move || at_two.ok("wait_messages", &["bob".into(), "lobby".into(), 0.into(), 60.into()])
    });
    eventually("bob is there", TIMEOUT, || members(&at_one).len() == 3);
    say(&at_one, "ana", "psst", "bob").unwrap();
    say(&at_one, "ana", "hello", "").unwrap();
    let page = waits.join().unwrap();
    assert_eq!(contents(page.member("messages").unwrap())[0], "psst");
    eventually("bob hears both", TIMEOUT, || heard(&at_two, "bob") == ["psst", "hello"]);
    assert_eq!(heard(&at_two, "eve"), ["hello"], "private is private at every server");
    say(&at_two, "bob", "back", "").unwrap();
    eventually("ana hears it", TIMEOUT, || heard(&at_one, "ana") == ["psst", "hello", "back"]);
    at_two.ok("leave_room", &["bob".into()]);
    eventually("bob has left", TIMEOUT, || members(&at_one) == ["ana", "eve"]);
    assert!(metric(&one, "chat_share_appends_total") >= 7);
    assert!(metric(&one, "chat_share_lag_entries") < 1 && metric(&one, "chat_share_connected") > 0);
}

#[test]
fn of_two_who_take_a_name_or_make_a_room_at_the_same_moment_one_wins_and_both_know() {
    let Some(engine) = Engine::start(&[]) else { return };
    let rounds = std::env::var("CHAT_SHARE_RACES").map_or(150, |count| count.parse().unwrap());
    let large = rounds.to_string();
    let options = ["--no-binder", "--max-rooms", &large, "--max-users", &large];
    let servers = [(); 2].map(|()| start(engine.port, &options).ready());
    let barrier = Barrier::new(2);
    let outcomes = servers.each_ref().map(|server| (Peer::open(server), server));
    let race = |peer: &Peer| {
        let mut won = Vec::new();
        for round in 0..rounds {
            let name = format!("n{round}");
            barrier.wait();
            let user = peer.call("register_user", &[name.as_str().into()]);
            assert!(user.as_ref().is_ok() || user.as_ref().is_err_and(|fault| fault.code == Fault::NAME_IN_USE));
            barrier.wait();
            let room = peer.call("create_room", &[name.as_str().into()]);
            assert!(room.as_ref().is_ok() || room.as_ref().is_err_and(|fault| fault.code == Fault::ROOM_EXISTS));
            won.push([user.is_ok(), room.is_ok()]);
        }
        won
    };
    let [one, two] = thread::scope(|scope| {
        outcomes.each_ref().map(|(peer, _)| scope.spawn(|| race(peer))).map(|thread| thread.join().unwrap())
    });
    for (one, two) in one.iter().zip(&two) {
        assert!((0..2).all(|what| one[what] != two[what]), "exactly one wins");
    }
    let conflicts: usize = outcomes.iter().map(|(_, server)| metric(server, "chat_share_conflicts_total")).sum();
    eprintln!("{rounds} rounds for a name and a room, {conflicts} decided by the order of the stream");
}

#[test]
fn a_server_with_other_limits_does_not_start_and_says_which() {
    let Some(engine) = Engine::start(&[]) else { return };
    let (one, at_one) = pair(engine.port);
    for (options, part) in [
        (&["--max-rooms", "7"][..], "--max-rooms must be 1000"),
        (&["--user-idle", "20"], "--user-idle must be 900"),
        (&["--keep-history", "0"], "--keep-history must be 30"),
        (&["--require-auth"], "--require-auth is not for this chat"),
    ] {
        let mut other = start(engine.port, &[&["--no-binder"], options].concat());
        assert!(!other.wait_exit(TIMEOUT).success());
        let said = other.stderr.lines().join("\n");
        assert!(said.contains(part), "{said}");
    }
    // What concerns one server only may differ.
    let two = server(engine.port, &["--workers", "3"]);
    at_one.enter("lobby", &["ana"]);
    let id = at_one.server_id();
    for mut server in [one, two] {
        server.signal("TERM");
        assert!(server.wait_exit(TIMEOUT).success());
    }
    // With nobody left to agree with, the chat gets other limits.
    let last = server(engine.port, &["--max-rooms", "1"]);
    let last = Peer::open(&last);
    assert_eq!((last.server_id(), members(&last)), (id, vec!["ana".to_owned()]));
    last.refused(Fault::LIMIT, "create_room", &["another".into()]);
}

#[test]
fn users_are_idle_only_where_no_server_hears_of_them() {
    let Some(engine) = Engine::start(&[]) else { return };
    let options = ["--no-binder", "--user-idle", "2"];
    let mut servers = [(); 2].map(|()| start(engine.port, &options).ready());
    let peers = servers.each_ref().map(Peer::open);
    peers[0].enter("lobby", &["ana", "idle"]);
    // Only the second one hears of ana from now on.
    eventually("the other server knows", TIMEOUT, || peers[1].call("list_users", &["lobby".into()]).is_ok());
    eventually("who is idle is gone", TIMEOUT, || {
        peers[1].ok("wait_messages", &["ana".into(), "lobby".into(), 0.into(), 1.into()]);
        members(&peers[1]) == ["ana"]
    });
    let kept = Instant::now() + Duration::from_secs(3);
    while Instant::now() < kept {
        peers[1].ok("wait_messages", &["ana".into(), "lobby".into(), 0.into(), 1.into()]);
    }
    assert_eq!(members(&peers[0]), ["ana"]);
    // And when her server is gone, she is gone once she does not come back.
    servers[1].kill();
    eventually("ana is gone", TIMEOUT * 2, || members(&peers[0]).is_empty());
}

#[test]
fn a_user_whose_last_stream_has_ended_goes_after_a_grace_wherever_that_was() {
    let Some(engine) = Engine::start(&[]) else { return };
    let servers = [(); 2].map(|()| server(engine.port, &[]));
    let peers = servers.each_ref().map(Peer::open);
    peers[0].enter("lobby", &["ana", "bob"]);
    // One of them removes what is idle, and each has somebody whose stream ends.
    for (server, name) in servers.iter().zip(["ana", "bob"]) {
        eventually("the server knows both", TIMEOUT, || {
            peers[1].call("list_users", &["lobby".into()]).is_ok_and(|users| texts(&users).len() == 2)
        });
        drop(Stream::open(server, &query(name, "lobby"), ""));
    }
    let over = STREAM_GRACE + TIMEOUT;
    eventually("both are gone", over, || peers.iter().all(|peer| members(peer).is_empty()));
}

#[test]
fn a_binder_that_knows_no_groups_gets_a_registration_without_one() {
    // As a binder of ours says that is given a parameter too many.
    const REFUSED: &str = "HTTP/1.0 200 OK\r\nContent-Type: text/xml\r\n\r\n<?xml version=\"1.0\"?><methodResponse><fault><value>\
        <struct><member><name>faultCode</name><value><int>-32602</int></value></member><member><name>faultString</name>\
        <value>register_service takes 5 parameters</value></member></struct></value></fault></methodResponse>";
    let Some(engine) = Engine::start(&[]) else { return };
    let binder = binder(&[]);
    let older = Relay::start(binder.address(), |procedure, before| {
        let has_group = procedure == "register_service" && before % 2 == 0;
        if has_group { Fate::Refuse(REFUSED) } else { Fate::Pass }
    });
    let server = start(engine.port, &["--binder", older.address()]).ready();
    server.stderr.wait_for_line("which knows no groups", TIMEOUT);
    let Value::Array(offers) = Peer::open(&binder).ok("list_procedures", &[]) else { panic!("an array was expected") };
    let group = |offer: &Value| offer.member("group").and_then(Value::as_str).map(str::to_owned);
    assert!(!offers.is_empty() && offers.iter().all(|offer| group(offer) == Some(String::new())));
    assert!(offers.iter().all(|offer| offer.member("lease_remaining").and_then(Value::as_int).is_some()));
}

#[test]
fn a_password_comes_from_the_url_a_file_or_the_environment_and_is_shown_nowhere() {
    let Some(engine) = Engine::start(&["--requirepass", "hunter2 %"]) else { return };
    let home = Home::new();
    let file = home.0.join("secret");
    std::fs::write(&file, "hunter2 %\n").unwrap();
    std::process::Command::new("chmod").arg("600").arg(&file).status().unwrap();
    let by_file = server(engine.port, &["--share-secret-file", file.to_str().unwrap()]);
    let line = std::fs::read_to_string(format!("/proc/{}/cmdline", by_file.id())).unwrap();
    assert!(!line.contains("hunter2"));
    let port = engine.port;
    // What docs/several-servers.md says that a user of the engine needs.
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/several-servers.md")).unwrap();
    let (_, rights) = page.split_once("needs `").unwrap();
    let rights = rights.split_once('`').unwrap().0.replace("CHAT", "test");
    let user = format!("ACL SETUSER share on >hunter2,% {rights}");
    let user: Vec<_> = user.split_whitespace().collect();
    engine.call_as("hunter2 %", &user);
    let url = format!("redis://share:hunter2,%25@127.0.0.1:{port}/test");
    let by_url = Process::serve(SERVER, &[&["--listen", ANY_PORT, "--no-binder", "--share", &url], &FREE[..]].concat());
    let script = format!(
        "CHAT_SHARE_PASSWORD='hunter2 %' exec {} --listen {ANY_PORT} --no-binder --share redis://127.0.0.1:{port}/test",
        SERVER[0]
    );
    let by_environment = Process::serve(&["sh"], &["-c", &script]);
    Peer::open(&by_url).enter("lobby", &["ana"]);
    eventually("all know ana", TIMEOUT, || {
        [&by_file, &by_environment].iter().all(|server| members(&Peer::open(server)) == ["ana"])
    });
    let mut wrong = start(port, &["--no-binder", "--log-level", "debug"]);
    assert!(!wrong.wait_exit(TIMEOUT).success());
    for server in [&by_file, &by_url, &by_environment, &wrong] {
        let said = server.stderr.lines().join("\n");
        assert!(!said.contains("hunter2"), "{said}");
    }
    assert!(wrong.stderr.lines().join("\n").contains("NOAUTH"));
}

#[test]
fn a_client_whose_server_ends_goes_on_at_another_one() {
    let Some(engine) = Engine::start(&[]) else { return };
    let binder = binder(&[]);
    let mut servers: Vec<_> = (0..2).map(|_| start(engine.port, &["--binder", binder.address()]).ready()).collect();
    let peers: Vec<_> = servers.iter().map(Peer::open).collect();
    eventually("both are registered", TIMEOUT, || {
        servers.iter().all(|server| server.stderr.lines().iter().any(|line| line.contains("registered at the binder")))
    });
    peers[0].enter("lobby", &["bob"]);
    let home = Home::new();
    let config = home.0.to_str().unwrap();
    let state = format!("XDG_STATE_HOME={config}");
    let data = format!("XDG_DATA_HOME={config}");
    let command = ["env", &state, &data, CLIENT[0]];
    let mut ana =
        Process::start(&command, &["--binder", binder.address(), "--user", "ana", "--room", "lobby", "--plain"]);
    eventually("ana is there", TIMEOUT, || members(&peers[0]).contains(&"ana".to_owned()));
    ana.send_line("first");
    eventually("bob hears it", TIMEOUT, || heard(&peers[0], "bob") == ["first"]);
    say(&peers[0], "bob", "second", "").unwrap();
    ana.stdout.wait_for_line("second", TIMEOUT);
    // Where ana is.
    let is_here = |server: &Process| metric(server, "chat_waiting") + metric(server, "chat_streams") > 0;
    eventually("ana waits somewhere", TIMEOUT, || servers.iter().any(is_here));
    let hers = servers.iter().position(is_here).unwrap();
    servers[hers].kill();
    let other = &peers[1 - hers];
    ana.send_line("third");
    eventually("it is said at the other server", TIMEOUT, || heard(other, "bob") == ["first", "second", "third"]);
    say(other, "bob", "fourth", "").unwrap();
    ana.stdout.wait_for_line("fourth", TIMEOUT);
    for text in ["second", "fourth"] {
        let lines = ana.stdout.lines();
        assert_eq!(lines.iter().filter(|line| line.contains(text)).count(), 1, "{lines:?}");
    }
}
