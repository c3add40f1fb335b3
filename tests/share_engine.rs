//! One chat on several servers: what becomes of it while the engine is away or cut off, and after it has lost something.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, reason = "what fails here fails a test")]

mod support;

use std::thread;
use std::time::{Duration, Instant};

use chat_rpc::rpc::{CallError, Client, Fault};
use support::engine::{Engine, Wire};
use support::events::{Stream, query};
use support::http::metric;
use support::peer::{Peer, contents};
use support::shared::{heard, members, pair, say, start};
use support::{TIMEOUT, eventually};

#[test]
fn with_the_engine_stopped_reading_goes_on_and_changes_are_refused_within_three_seconds() {
    let Some(engine) = Engine::start(&[]) else { return };
    let (one, at_one) = pair(engine.port);
    at_one.enter("lobby", &["ana", "bob"]);
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
    assert!(metric(&one, "chat_share_failures_total") > 0);
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
    at_one.enter("lobby", &["ana", "bob"]);
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
    assert!(metric(&two, "chat_share_lag_seconds") < 30);
}

#[test]
fn what_the_engine_has_lost_the_servers_still_know() {
    let Some(mut engine) = Engine::start(&[]) else { return };
    let (_one, at_one) = pair(engine.port);
    let (_two, at_two) = pair(engine.port);
    at_one.enter("lobby", &["ana", "bob"]);
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
    assert_eq!(at_one.server_id(), at_three.server_id());
}

#[test]
fn nothing_is_confirmed_that_an_engine_without_its_tail_would_make_others_drop() {
    let Some(mut engine) = Engine::start(&[]) else { return };
    let wires = [(); 2].map(|()| Wire::to(engine.port));
    let ((ahead, at_ahead), (behind, at_behind)) = (pair(wires[0].port), pair(wires[1].port));
    at_ahead.enter("lobby", &["ana", "bob"]);
    say(&at_ahead, "ana", "known to both", "").unwrap();
    let known = ["known to both"];
    eventually("both have it", TIMEOUT, || at_behind.call("list_users", &["lobby".into()]).is_ok());
    eventually("both have it", TIMEOUT, || heard(&at_behind, "bob") == known);
    // One reads something that the other does not, and that the engine loses then.
    wires[1].cut(true);
    let long = "x".repeat(1000);
    (0..3).for_each(|_| drop(say(&at_ahead, "ana", &long, "").unwrap()));
    eventually("it is away", TIMEOUT, || metric(&behind, "chat_share_connected") < 1);
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
    assert!(metric(&ahead, "chat_share_epochs_total") > 0, "the engine has lost something");
}

#[test]
fn a_reader_who_comes_to_a_server_that_is_behind_reads_nothing_twice() {
    let Some(engine) = Engine::start(&[]) else { return };
    let wire = Wire::to(engine.port);
    let ((_one, at_one), (behind, at_behind)) = (pair(engine.port), pair(wire.port));
    at_one.enter("lobby", &["ana", "bob"]);
    say(&at_one, "ana", "one", "").unwrap();
    eventually("both have it", TIMEOUT, || {
        at_behind.call("list_users", &["lobby".into()]).is_ok() && heard(&at_behind, "bob") == ["one"]
    });
    wire.cut(true);
    say(&at_one, "ana", "two", "").unwrap();
    let room_id = at_one.ok("join_room", &["bob".into(), "lobby".into()]).member("room_id").unwrap().clone();
    let fetch = || at_behind.call("wait_messages", &["bob".into(), "lobby".into(), 2.into(), 0.into()]);
    assert_eq!(fetch().unwrap_err().code, Fault::NOT_STORED);
    let position = format!("{}&after={}:2", query("bob", "lobby"), room_id.as_str().unwrap());
    assert_eq!(Stream::request(&behind, &position, "").status(), 503);
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
    peers[0].enter("lobby", &["ana"]);
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
    at_one.enter("lobby", &["ana"]);
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
    eventually("the other one is away", TIMEOUT, || metric(&other, "chat_share_connected") < 1);
    one.kill();
    engine.kill();
    engine.restart();
    wire.cut(false);
    let last = Some(format!("message {count}"));
    eventually("it has everything", TIMEOUT, || heard(&at_other, "ana").last().cloned() == last);
}
