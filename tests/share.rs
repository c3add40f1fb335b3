//! One chat on several servers: what is decided, kept and refused, with an engine of the test's own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, reason = "what fails here fails a test")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use chat_rpc::rpc::{CallError, Client, Fault, Value};
use support::engine::{Engine, Wire};
use support::home::Home;
use support::peer::{Peer, contents, texts};
use support::{ANY_PORT, BINDER, CLIENT, Process, SERVER, TIMEOUT, eventually};

const FREE: [&str; 8] =
    ["--message-rate", "0", "--registration-rate", "0", "--room-rate", "0", "--waits-per-address", "0"];

fn start(port: u16, options: &[&str]) -> Process {
    let url = format!("redis://127.0.0.1:{port}/test");
    Process::start(SERVER, &[&["--listen", ANY_PORT, "--share", &url], &FREE[..], options].concat())
}

fn server(port: u16, options: &[&str]) -> Process {
    let alone = ["--no-binder"];
    start(port, &[&alone, options].concat()).ready()
}

/// A server of the engine, and a peer that calls it.
fn pair(port: u16) -> (Process, Peer) {
    let server = server(port, &[]);
    let peer = Peer::open(&server);
    (server, peer)
}

fn say(peer: &Peer, name: &str, text: &str, to: &str) -> Result<Value, Fault> {
    peer.call("send_message", &[name.into(), "lobby".into(), text.into(), to.into()])
}

fn heard(peer: &Peer, name: &str) -> Vec<String> {
    let messages = peer.ok("receive_messages", &[name.into(), "lobby".into()]);
    contents(&messages).into_iter().map(str::to_owned).collect()
}

fn members(peer: &Peer) -> Vec<String> {
    texts(&peer.ok("list_users", &["lobby".into()])).into_iter().map(str::to_owned).collect()
}

/// Registers these users and brings them into the lobby.
fn enter(peer: &Peer, names: &[&str]) {
    let _ = peer.call("create_room", &["lobby".into()]);
    for &name in names {
        peer.ok("register_user", &[name.into()]);
        peer.ok("join_room", &[name.into(), "lobby".into()]);
    }
}

fn server_id(peer: &Peer) -> Value {
    peer.ok("system.getCapabilities", &[]).member("server_id").unwrap().clone()
}

fn get(server: &Process, path: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn metric(server: &Process, name: &str) -> f64 {
    let text = get(server, "/metrics");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is missing in {text}")).parse().unwrap()
}

#[test]
fn what_is_done_at_one_server_is_so_at_the_others_and_wakes_who_waits_there() {
    let Some(engine) = Engine::start(&[]) else { return };
    let ((one, at_one), (_two, at_two)) = (pair(engine.port), pair(engine.port));
    assert_eq!(server_id(&at_one), server_id(&at_two));
    enter(&at_one, &["ana", "eve"]);
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
    assert!(metric(&one, "chat_share_appends_total") >= 7.0);
    assert!(metric(&one, "chat_share_lag_entries") < 1.0 && metric(&one, "chat_share_connected") > 0.0);
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
    let conflicts: f64 = outcomes.iter().map(|(_, server)| metric(server, "chat_share_conflicts_total")).sum();
    eprintln!("{rounds} rounds for a name and a room, {conflicts} decided by the order of the stream");
}

#[test]
fn with_the_engine_stopped_reading_goes_on_and_changes_are_refused_within_three_seconds() {
    let Some(engine) = Engine::start(&[]) else { return };
    let (one, at_one) = pair(engine.port);
    enter(&at_one, &["ana", "bob"]);
    say(&at_one, "ana", "before", "").unwrap();
    engine.signal("STOP");
    let callers = (0..4).map(|number| {
        let caller = Client::new(one.address());
        thread::spawn(move || {
            let start = Instant::now();
            let params = ["ana".into(), "lobby".into(), format!("lost {number}").as_str().into()];
            (caller.call("send_message", &params).unwrap_err(), start.elapsed())
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        let (error, time) = caller.join().unwrap();
        // The engine may have read the first one. Nothing of the others has been sent.
        let is_told = matches!(&error, CallError::Fault(fault) if fault.code == Fault::NOT_STORED)
            || matches!(error, CallError::Gateway(504));
        assert!(is_told && time < Duration::from_secs(3), "{error} after {time:?}");
    }
    let start = Instant::now();
    assert_eq!(say(&at_one, "ana", "lost too", "").unwrap_err().code, Fault::NOT_STORED);
    assert!(start.elapsed() < Duration::from_millis(500), "known to be away by now");
    assert_eq!(heard(&at_one, "bob"), ["before"]);
    let page = at_one.ok("wait_messages", &["bob".into(), "lobby".into(), 1.into(), 1.into()]);
    assert!(contents(page.member("messages").unwrap()).is_empty());
    assert!(metric(&one, "chat_share_failures_total") > 0.0);
    engine.signal("CONT");
    eventually("changes are stored again", TIMEOUT, || say(&at_one, "ana", "after", "").is_ok());
    // A fault means that nothing has changed, even if the engine has read it meanwhile.
    assert_eq!(heard(&at_one, "bob"), ["before", "after"]);
    let (_two, at_two) = pair(engine.port);
    assert_eq!(heard(&at_two, "bob"), ["before", "after"]);
}

#[test]
fn a_server_that_was_cut_off_comes_back_and_has_missed_nothing() {
    let Some(engine) = Engine::start(&[]) else { return };
    let wire = Wire::to(engine.port);
    let ((_one, at_one), (two, at_two)) = (pair(engine.port), pair(wire.port));
    enter(&at_one, &["ana", "bob"]);
    say(&at_one, "ana", "one", "").unwrap();
    eventually("it is at the other server", TIMEOUT, || at_two.call("list_users", &["lobby".into()]).is_ok());
    wire.cut(true);
    say(&at_one, "ana", "two", "").unwrap();
    let params = ["bob".into(), "lobby".into(), "never".into()];
    assert!(matches!(Client::new(two.address()).call("send_message", &params), Err(CallError::Gateway(504))));
    assert_eq!(say(&at_two, "bob", "nor this", "").unwrap_err().code, Fault::NOT_STORED);
    assert_eq!(heard(&at_two, "bob"), ["one"]);
    let seconds = std::env::var("CHAT_SHARE_CUT").map_or(0, |seconds| seconds.parse().unwrap());
    thread::sleep(Duration::from_secs(seconds));
    wire.cut(false);
    eventually("it is there", TIMEOUT, || heard(&at_two, "bob") == ["one", "two"]);
    eventually("it takes changes again", TIMEOUT, || say(&at_two, "bob", "three", "").is_ok());
    eventually("and everybody has them", TIMEOUT, || heard(&at_one, "ana") == ["one", "two", "three"]);
    assert!(metric(&two, "chat_share_lag_seconds") < 30.0);
}

#[test]
fn what_the_engine_has_lost_the_servers_still_know() {
    let Some(mut engine) = Engine::start(&[]) else { return };
    let (_one, at_one) = pair(engine.port);
    let (_two, at_two) = pair(engine.port);
    enter(&at_one, &["ana", "bob"]);
    let mut said = Vec::new();
    let mut talk = |count: usize| {
        for _ in 0..count {
            let text = format!("message {}", said.len());
            eventually("it is said", TIMEOUT, || say(&at_one, "ana", &text, "").is_ok());
            said.push(text);
        }
        eventually("both have it", TIMEOUT, || [&at_one, &at_two].iter().all(|peer| heard(peer, "bob") == said));
        said.clone()
    };
    talk(20);
    // Emptied while it runs.
    engine.call(&["FLUSHALL"]);
    talk(5);
    // The tail of its file lost, as by a loss of power.
    engine.kill();
    engine.cut_tail(600);
    engine.restart();
    talk(5);
    // All of it lost.
    engine.kill();
    engine.cut_tail(u64::MAX);
    engine.restart();
    let all = talk(5);
    let (_three, at_three) = pair(engine.port);
    assert_eq!(heard(&at_three, "bob"), all, "who comes later has it too");
    assert_eq!(server_id(&at_one), server_id(&at_three));
}

#[test]
fn nothing_is_confirmed_that_an_engine_without_its_tail_would_make_others_drop() {
    let Some(mut engine) = Engine::start(&[]) else { return };
    let wires = [(); 2].map(|()| Wire::to(engine.port));
    let ((ahead, at_ahead), (behind, at_behind)) = (pair(wires[0].port), pair(wires[1].port));
    enter(&at_ahead, &["ana", "bob"]);
    say(&at_ahead, "ana", "known to both", "").unwrap();
    let known = ["known to both"];
    eventually("both have it", TIMEOUT, || at_behind.call("list_users", &["lobby".into()]).is_ok());
    eventually("both have it", TIMEOUT, || heard(&at_behind, "bob") == known);
    // One reads something that the other does not, and that the engine loses then.
    wires[1].cut(true);
    let long = "x".repeat(1000);
    (0..3).for_each(|_| drop(say(&at_ahead, "ana", &long, "").unwrap()));
    eventually("it is away", TIMEOUT, || metric(&behind, "chat_share_connected") < 1.0);
    wires[0].cut(true);
    engine.kill();
    engine.cut_tail(1500);
    engine.restart();
    // The one that has missed nothing, as far as it knows, comes back first.
    wires[1].cut(false);
    let said = thread::spawn({
        let at_behind = at_behind.clone();
        move || eventually("it is said", TIMEOUT, || say(&at_behind, "bob", "confirmed", "").is_ok())
    });
    eventually("it is back", TIMEOUT, || said.is_finished() || !engine.call(&["KEYS", "*:claims:*"]).is_empty());
    wires[0].cut(false);
    said.join().unwrap();
    let all = [known[0], &long, &long, &long, "confirmed"];
    eventually("both know everything", TIMEOUT, || [&at_ahead, &at_behind].iter().all(|at| heard(at, "ana") == all));
    assert!(metric(&ahead, "chat_share_epochs_total") > 0.0, "the engine has lost something");
}

#[test]
fn a_reader_who_comes_to_a_server_that_is_behind_reads_nothing_twice() {
    let Some(engine) = Engine::start(&[]) else { return };
    let wire = Wire::to(engine.port);
    let ((_one, at_one), (behind, at_behind)) = (pair(engine.port), pair(wire.port));
    enter(&at_one, &["ana", "bob"]);
    say(&at_one, "ana", "one", "").unwrap();
    eventually("both have it", TIMEOUT, || {
        at_behind.call("list_users", &["lobby".into()]).is_ok() && heard(&at_behind, "bob") == ["one"]
    });
    wire.cut(true);
    say(&at_one, "ana", "two", "").unwrap();
    let room_id = at_one.ok("join_room", &["bob".into(), "lobby".into()]).member("room_id").unwrap().clone();
    let fetch = || at_behind.call("wait_messages", &["bob".into(), "lobby".into(), 2.into(), 0.into()]);
    assert_eq!(fetch().unwrap_err().code, Fault::NOT_STORED);
    let path = format!("/events?username=bob&room=lobby&after={}:2", room_id.as_str().unwrap());
    assert!(get(&behind, &path).starts_with("HTTP/1.1 503 "));
    wire.cut(false);
    eventually("it has caught up", TIMEOUT, || {
        fetch().is_ok_and(|page| contents(page.member("messages").unwrap()).is_empty())
    });
}

#[test]
fn a_snapshot_takes_the_place_of_a_long_stream() {
    let Some(engine) = Engine::start(&[]) else { return };
    // An idle time of four beats, so that they come soon.
    let options = ["--no-binder", "--share-entries", "50", "--user-idle", "4"];
    let servers = [(); 2].map(|()| start(engine.port, &options).ready());
    let peers = servers.each_ref().map(Peer::open);
    enter(&peers[0], &["ana"]);
    let mut count = 0;
    eventually("the stream is short again", TIMEOUT, || {
        count += 1;
        say(&peers[0], "ana", &format!("message {count}"), "").unwrap();
        count > 60 && engine.call(&["XLEN", "chat-rpc:test:log:1"]).parse::<u32>().unwrap() < 50
    });
    let third = start(engine.port, &options).ready();
    let third = Peer::open(&third);
    let last = |peer: &Peer| heard(peer, "ana").last().cloned();
    assert_eq!(last(&third), Some(format!("message {count}")));
    assert_eq!(heard(&third, "ana"), heard(&peers[1], "ana"));
}

#[test]
fn a_server_that_missed_a_snapshot_does_not_undo_it_after_a_restart_of_the_engine() {
    let Some(mut engine) = Engine::start(&[]) else { return };
    let wire = Wire::to(engine.port);
    let options = ["--no-binder", "--share-entries", "50", "--user-idle", "12"];
    let mut one = start(engine.port, &options).ready();
    let other = start(wire.port, &options).ready();
    let (at_one, at_other) = (Peer::open(&one), Peer::open(&other));
    enter(&at_one, &["ana"]);
    eventually("both know ana", TIMEOUT, || {
        at_other.call("list_users", &["lobby".into()]).is_ok_and(|_| members(&at_other) == ["ana"])
    });
    wire.cut(true);
    let mut count = 0;
    eventually("a snapshot has taken the place of the stream", TIMEOUT, || {
        count += 1;
        say(&at_one, "ana", &format!("message {count}"), "").unwrap();
        count > 60 && engine.call(&["XLEN", "chat-rpc:test:log:1"]).parse::<u32>().unwrap() < 50
    });
    eventually("the other one is away", TIMEOUT, || metric(&other, "chat_share_connected") < 1.0);
    one.kill();
    engine.kill();
    engine.restart();
    wire.cut(false);
    let last = Some(format!("message {count}"));
    eventually("it has everything", TIMEOUT, || heard(&at_other, "ana").last().cloned() == last);
}

#[test]
fn a_server_with_other_limits_does_not_start_and_says_which() {
    let Some(engine) = Engine::start(&[]) else { return };
    let (one, at_one) = pair(engine.port);
    for (options, part) in [
        (&["--max-rooms", "7"][..], "--max-rooms must be 1000"),
        (&["--user-idle", "20"], "--user-idle must be 900"),
        (&["--require-auth"], "--require-auth is not for this chat"),
    ] {
        let mut other = start(engine.port, &[&["--no-binder"], options].concat());
        assert!(!other.wait_exit(TIMEOUT).success());
        let said = other.stderr.lines().join("\n");
        assert!(said.contains(part), "{said}");
    }
    // What concerns one server only may differ.
    let two = server(engine.port, &["--workers", "3"]);
    enter(&at_one, &["ana"]);
    let id = server_id(&at_one);
    for mut server in [one, two] {
        server.signal("TERM");
        assert!(server.wait_exit(TIMEOUT).success());
    }
    // With nobody left to agree with, the chat gets other limits.
    let last = server(engine.port, &["--max-rooms", "1"]);
    let last = Peer::open(&last);
    assert_eq!((server_id(&last), members(&last)), (id, vec!["ana".to_owned()]));
    last.refused(Fault::LIMIT, "create_room", &["another".into()]);
}

#[test]
fn users_are_idle_only_where_no_server_hears_of_them() {
    let Some(engine) = Engine::start(&[]) else { return };
    let options = ["--no-binder", "--user-idle", "2"];
    let mut servers = [(); 2].map(|()| start(engine.port, &options).ready());
    let peers = servers.each_ref().map(Peer::open);
    enter(&peers[0], &["ana", "idle"]);
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
    enter(&Peer::open(&by_url), &["ana"]);
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
    let binder = Process::serve(BINDER, &["--listen", ANY_PORT]);
    let mut servers: Vec<_> = (0..2).map(|_| start(engine.port, &["--binder", binder.address()]).ready()).collect();
    let peers: Vec<_> = servers.iter().map(Peer::open).collect();
    eventually("both are registered", TIMEOUT, || {
        servers.iter().all(|server| server.stderr.lines().iter().any(|line| line.contains("registered at the binder")))
    });
    enter(&peers[0], &["bob"]);
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
    let is_here = |server: &Process| metric(server, "chat_waiting") + metric(server, "chat_streams") > 0.0;
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
