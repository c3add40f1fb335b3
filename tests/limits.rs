//! Every limit at running programs: what is at it is accepted, what is one past it is refused with the figure, and 0
//! switches off those that can be.

#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

mod support;

use std::fmt::Write as _;

use chat_rpc::binder::{MAX_INSTANCES, MAX_OFFERS, MAX_PROCEDURES, SHARE};
use chat_rpc::rpc::{Fault, Value};
use support::http::{Connection, ask, call, last_call, metric, post};
use support::peer::{Peer, Usage, contents};
use support::{ANY_PORT, BINDER, CommandLine, Process, SERVER, TIMEOUT, binder, eventually, server};

fn say(peer: &Peer, user: &str, room: &str, text: &str) -> Result<Value, Fault> {
    peer.call("send_message", &[user.into(), room.into(), text.into()])
}

/// Asserts that the text of a refusal has the figure of the limit.
#[track_caller]
fn names_figure(text: &str, figure: usize) {
    let numbers = text.split(|c: char| !c.is_ascii_digit());
    assert!(numbers.into_iter().any(|number| number == figure.to_string()), "{text} does not say {figure}");
}

#[test]
fn the_defaults_are_published() {
    let peer_of = |program: &Process| Peer::open(program).ok("system.getCapabilities", &[]);
    let published = peer_of(&server(&[]));
    let limits = published.member("limits").unwrap();
    for (name, value) in [
        ("max_message_bytes", 4096),
        ("max_body_bytes", 65_536),
        ("max_connections", 2048),
        ("connections_per_address", 256),
        ("connection_idle", 30),
        ("streams_per_address", 256),
        ("streams_per_user", 4),
        ("max_key_bytes", 64),
        ("room_rate", 60),
        ("room_idle", 300),
        ("user_idle", 900),
        ("max_rooms", 1000),
        ("max_users", 10_000),
        ("max_room_users", 5000),
        ("history_messages", 500),
        ("history_bytes", 1_048_576),
        ("message_rate", 20),
        ("message_burst", 50),
        ("registration_rate", 120),
        ("waits_per_address", 256),
        ("memory_limit", 16_777_216),
        ("max_nesting", 64),
        ("max_elements", 10_000),
        ("max_multicall_calls", 100),
        ("max_multicall_bytes", 1_048_576),
    ] {
        assert_eq!(limits.member(name).and_then(Value::as_int), Some(value), "{name}");
    }
    let changed = peer_of(&server(&["--max-rooms", "7", "--max-body-bytes", "9000"]));
    let limits = changed.member("limits").unwrap();
    assert_eq!(limits.member("max_rooms").and_then(Value::as_int), Some(7));
    assert_eq!(limits.member("max_body_bytes").and_then(Value::as_int), Some(9000));
    let binder = peer_of(&binder(&[]));
    let limits = binder.member("limits").unwrap();
    for (name, value) in [
        ("max_instances", MAX_INSTANCES),
        ("max_procedures", MAX_PROCEDURES),
        ("max_offers", MAX_OFFERS),
        ("max_instances_per_address", MAX_INSTANCES / SHARE),
        ("max_procedures_per_address", MAX_PROCEDURES / SHARE),
        ("max_offers_per_address", MAX_OFFERS / SHARE),
        ("max_connections", 2048),
    ] {
        assert_eq!(limits.member(name).and_then(Value::as_int), i64::try_from(value).ok(), "{name}");
    }
}

#[test]
fn bytes_of_a_message() {
    for (options, limit) in [(&[][..], 4096), (&["--max-message-bytes", "10"], 10)] {
        let server = server(options);
        let peer = Peer::open(&server);
        peer.enter("lobby", &["ana"]);
        say(&peer, "ana", "lobby", &"x".repeat(limit)).unwrap();
        // Bytes, not characters.
        say(&peer, "ana", "lobby", &"ç".repeat(limit / 2)).unwrap();
        for text in ["x".repeat(limit + 1), "ç".repeat(limit / 2 + 1)] {
            let fault = say(&peer, "ana", "lobby", &text).unwrap_err();
            assert_eq!(fault.code, Fault::LIMIT);
            names_figure(&fault.message, limit);
        }
        let kept = peer.ok("receive_messages", &["ana".into(), "lobby".into()]);
        assert_eq!(contents(&kept).len(), 2);
    }
}

#[test]
fn bytes_of_a_body() {
    let limit = 2000;
    let server = server(&["--max-body-bytes", "2000"]);
    let padded = |length: usize| {
        let document = "<methodCall><methodName>list_rooms</methodName></methodCall>";
        format!("{document}{}", " ".repeat(length - document.len()))
    };
    let chunked = |body: &str| {
        let head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n";
        let (first, second) = body.split_at(body.len() / 2);
        format!("{head}{:x}\r\n{first}\r\n{:X}\r\n{second}\r\n0\r\n\r\n", first.len(), second.len())
    };
    let mut connection = Connection::open(server.address());
    for request in [post(&padded(limit), ""), chunked(&padded(limit)), post(&padded(limit), "")] {
        connection.send(&request);
        connection.answer().unwrap().value().unwrap();
    }
    for request in [post(&padded(limit + 1), ""), chunked(&padded(limit + 1))] {
        let refused = ask(&server, &request);
        assert_eq!(refused.status, 413);
        names_figure(&String::from_utf8_lossy(&refused.body), limit);
    }
}

#[test]
fn connections_at_a_time() {
    const MOST: usize = 8;
    // None is closed for its silence.
    let server = server(&["--max-connections", &MOST.to_string(), "--connection-idle", "300"]);
    let users = ["ana", "bea", "cid", "dan", "eve", "fay", "gus"];
    let mut kept = vec![Connection::open(server.address())];
    kept[0].enter("lobby", &users);
    // The order of answers cannot be seen from here: a worker may be held up between writing one and saying so. The one that has
    // been idle for longest has asked nothing, and the older one has asked something since.
    let mut idle = Connection::open(server.address());
    eventually("it is accepted", TIMEOUT, || kept[0].metric("http_connections") == 2);
    kept.extend((2..MOST).map(|_| Connection::open(server.address())));
    for connection in &mut kept {
        connection.call("list_rooms", &[]).unwrap();
    }
    let mut further = Connection::open(server.address());
    further.call("list_rooms", &[]).unwrap();
    assert!(idle.is_closed_within(TIMEOUT));
    for connection in &mut kept {
        connection.call("list_rooms", &[]).unwrap();
    }
    assert!(further.metric("http_connections_evicted_total") >= 1);

    // One that waits for its answer makes no room, whether it closes with it or not.
    for (number, (connection, user)) in kept.iter_mut().zip(users).enumerate() {
        let params = [user.into(), "lobby".into(), 0.into(), 60.into()];
        let wait = if number % 2 == 0 { call("wait_messages", &params) } else { last_call("wait_messages", &params) };
        connection.send(&wait);
    }
    eventually("the calls wait", TIMEOUT, || further.metric("chat_waiting") == MOST - 1);
    further.end();
    assert!(further.is_closed_within(TIMEOUT));
    // The one that is left makes room for the next, as soon as its own answer is known to be out.
    let makes_room = |request: &str| {
        eventually("the idle one makes room", TIMEOUT, || ask(&server, request).status == 200);
    };
    for _ in 0..3 {
        makes_room(&call("list_rooms", &[]));
    }
    makes_room(&call("send_message", &["ana".into(), "lobby".into(), "hi".into()]));
    for connection in &mut kept {
        connection.answer().unwrap().value().unwrap();
    }
}

#[test]
fn connections_that_all_wait_leave_no_room() {
    const MOST: usize = 4;
    let users = ["ana", "bea", "cid", "dan"];
    let server = server(&["--max-connections", &MOST.to_string()]);
    let wait = |user: &str| call("wait_messages", &[user.into(), "lobby".into(), 0.into(), 60.into()]);
    let mut watching = Connection::open(server.address());
    watching.enter("lobby", &users);
    let mut waiting = Vec::new();
    for user in &users[1..] {
        let mut connection = Connection::open(server.address());
        connection.send(&wait(user));
        waiting.push(connection);
        eventually("it waits", TIMEOUT, || watching.metric("chat_waiting") == waiting.len());
    }
    // Behind another request, whose answer shows that the server has this one too, and does not take it for idle.
    watching.send(&format!("{}{}", call("list_rooms", &[]), wait(users[0])));
    watching.answer().unwrap().value().unwrap();
    waiting.push(watching);
    eventually("a further connection is refused", TIMEOUT, || {
        let mut connection = Connection::open(server.address());
        connection.offer(last_call("list_rooms", &[]).as_bytes());
        let answer = connection.answer().unwrap();
        if answer.status == 200 {
            return false;
        }
        assert_eq!(answer.status, 503);
        assert!(answer.head.contains("Retry-After: 1\r\n") && answer.head.contains("Connection: close\r\n"));
        names_figure(&String::from_utf8_lossy(&answer.body), MOST);
        true
    });
    drop(waiting);
    eventually("there is room again", TIMEOUT, || ask(&server, &last_call("list_rooms", &[])).status == 200);
}

#[test]
fn numbers_have_bounds() {
    let attempt = |program: CommandLine, option: &str, value: &str| {
        let mut program = Process::start(program, &["--listen", ANY_PORT, option, value]);
        program.end_input();
        let status = program.wait_exit(TIMEOUT);
        (status.code(), program.stderr.lines().join("\n"))
    };
    for option in
        ["--workers", "--connection-idle", "--max-body-bytes", "--max-connections", "--connections-per-address"]
    {
        for program in [SERVER, BINDER] {
            let (code, said) = attempt(program, option, "4294967295");
            assert_eq!(code, Some(2), "{option}: {said}");
            assert!(said.contains(option) && said.contains("must be"), "{said}");
            // A processor of 32 bits cannot even read this one.
            let (code, said) = attempt(program, option, "18446744073709551615");
            assert_eq!(code, Some(2), "{option}: {said}");
            assert!(said.contains(option) && (said.contains("must be") || said.contains("too large")), "{said}");
        }
    }
}

#[test]
fn rooms_users_and_users_in_a_room() {
    let server = server(&["--max-rooms", "2", "--max-users", "3", "--max-room-users", "2"]);
    let peer = Peer::open(&server);
    for room in ["one", "two"] {
        peer.ok("create_room", &[room.into()]);
    }
    names_figure(&peer.refused(Fault::LIMIT, "create_room", &["three".into()]), 2);
    for user in ["ana", "bob", "eve"] {
        peer.ok("register_user", &[user.into()]);
    }
    names_figure(&peer.refused(Fault::LIMIT, "register_user", &["zoe".into()]), 3);
    for user in ["ana", "bob"] {
        peer.ok("join_room", &[user.into(), "one".into()]);
    }
    names_figure(&peer.refused(Fault::LIMIT, "join_room", &["eve".into(), "one".into()]), 2);
    // A user in the room may join again, and when one leaves there is room for another.
    peer.ok("join_room", &["ana".into(), "one".into()]);
    peer.ok("join_room", &["ana".into(), "two".into()]);
    peer.ok("join_room", &["eve".into(), "one".into()]);
    peer.ok("unregister_user", &["bob".into()]);
    peer.ok("register_user", &["zoe".into()]);
}

#[test]
fn messages_and_bytes_of_a_history_and_of_all() {
    let server = server(&["--history-messages", "3", "--message-rate", "0"]);
    let peer = Peer::open(&server);
    peer.enter("lobby", &["ana"]);
    for number in 1..=4 {
        say(&peer, "ana", "lobby", &number.to_string()).unwrap();
        let kept = peer.ok("receive_messages", &["ana".into(), "lobby".into()]);
        assert_eq!(contents(&kept).len(), number.min(3));
    }

    // A message takes its text and less than 700 bytes more.
    for option in ["--history-bytes", "--memory-limit"] {
        let server = self::server(&[option, "16000", "--max-message-bytes", "1000", "--message-rate", "0"]);
        let peer = Peer::open(&server);
        peer.enter("lobby", &["ana"]);
        for number in 0..40 {
            say(&peer, "ana", "lobby", &format!("{number:02}{}", "x".repeat(998))).unwrap();
        }
        let kept = peer.ok("receive_messages", &["ana".into(), "lobby".into()]);
        let kept = contents(&kept);
        assert!((8..=15).contains(&kept.len()), "{option} keeps {}", kept.len());
        assert!(kept.last().unwrap().starts_with("39"), "the newest are kept");
        let bytes = metric(&server, "chat_history_bytes");
        assert!(bytes <= 16_000, "{option}: {bytes}");
    }
}

#[test]
fn messages_a_second_of_one_user() {
    // The rate is so low that no further message is allowed while the test runs.
    let server = server(&["--message-rate", "1", "--message-burst", "5"]);
    let peer = Peer::open(&server);
    peer.enter("lobby", &["ana", "bob"]);
    let batch = |user: &str| {
        let send = Value::Struct(vec![
            ("methodName".into(), "send_message".into()),
            ("params".into(), Value::Array(vec![user.into(), "lobby".into(), "x".into()])),
        ]);
        // In one call, so that no time passes between them.
        let answers = peer.ok("system.multicall", &[Value::Array(vec![send; 6])]);
        let codes = answers.as_array().unwrap().iter().map(|answer| answer.member("faultCode").and_then(Value::as_int));
        let texts = answers.as_array().unwrap().iter().filter_map(|answer| answer.member("faultString").cloned());
        (codes.collect::<Vec<_>>(), texts.collect::<Vec<_>>())
    };
    for user in ["ana", "bob"] {
        let (codes, texts) = batch(user);
        assert_eq!(codes, [None, None, None, None, None, Some(10)], "{texts:?}");
        let text = texts[0].as_str().unwrap();
        names_figure(text, 1);
        assert!(text.contains("try again in"), "{text}");
    }
    eventually("a message is allowed again", TIMEOUT, || say(&peer, "ana", "lobby", "y").is_ok());

    let server = self::server(&["--message-rate", "0", "--message-burst", "1"]);
    let peer = Peer::open(&server);
    peer.enter("lobby", &["ana"]);
    for _ in 0..120 {
        say(&peer, "ana", "lobby", "x").unwrap();
    }
}

#[test]
fn registrations_a_minute_from_one_address() {
    let server = server(&["--registration-rate", "3"]);
    let peer = Peer::open(&server);
    for user in ["ana", "bob", "eve"] {
        peer.ok("register_user", &[user.into()]);
    }
    let text = peer.refused(Fault::TOO_FAST, "register_user", &["zoe".into()]);
    names_figure(&text, 3);
    assert!(text.contains("try again in"), "{text}");
    // A refused registration costs nothing, and a session can always be resumed.
    peer.refused(Fault::NAME_IN_USE, "register_user", &["ana".into()]);

    let server = self::server(&["--registration-rate", "0"]);
    let peer = Peer::open(&server);
    for number in 0..150 {
        peer.ok("register_user", &[format!("user{number}").into()]);
    }
}

#[test]
fn new_rooms_a_minute_from_one_address() {
    let server = server(&["--room-rate", "3"]);
    let peer = Peer::open(&server);
    for room in ["one", "two", "three"] {
        peer.ok("create_room", &[room.into()]);
    }
    // Also where many calls come as one.
    let fault = peer.multicall("create_room", &["four".into()]).unwrap_err();
    assert_eq!(fault.code, Fault::TOO_FAST);
    names_figure(&fault.message, 3);
    peer.refused(Fault::ROOM_EXISTS, "create_room", &["one".into()]);

    let server = self::server(&["--room-rate", "0"]);
    let peer = Peer::open(&server);
    for number in 0..100 {
        peer.ok("create_room", &[format!("room {number}").into()]);
    }
}

#[test]
fn waits_from_one_address() {
    let users = ["ana", "bob", "eve"];
    let start = |options: &[&str]| {
        let server = server(options);
        Peer::open(&server).enter("lobby", &users);
        server
    };
    let wait = |server: &Process, user: &str| {
        let mut connection = Connection::open(server.address());
        let params: [Value; 4] = [user.into(), "lobby".into(), 0.into(), 60.into()];
        connection.send(&call("wait_messages", &params));
        connection
    };
    let waiting = |server: &Process, count: usize| {
        eventually("the calls wait", TIMEOUT, || metric(server, "chat_waiting") == count);
    };
    let server = start(&["--waits-per-address", "2"]);
    let mut waits: Vec<_> = users[..2].iter().map(|user| wait(&server, user)).collect();
    waiting(&server, 2);
    let refused = wait(&server, "eve").answer().unwrap().value().unwrap_err();
    assert_eq!(refused.code, Fault::LIMIT);
    names_figure(&refused.message, 2);
    // A second wait takes the place of the first, and does not count beside it.
    let again = wait(&server, "ana");
    waits[0].answer().unwrap().value().unwrap();
    waits[0] = again;
    say(&Peer::open(&server), "bob", "lobby", "hi").unwrap();
    for wait in &mut waits {
        let news = wait.answer().unwrap().value().unwrap();
        assert_eq!(contents(news.member("messages").unwrap()), ["hi"]);
    }

    let server = start(&["--waits-per-address", "0"]);
    let _waits: Vec<_> = users.iter().map(|user| wait(&server, user)).collect();
    waiting(&server, 3);
}

/// A call whose one parameter has this XML as its value.
fn with_value(value: &str) -> String {
    let document = format!(
        "<methodCall><methodName>system.methodHelp</methodName><params><param>{value}</param></params></methodCall>"
    );
    post(&document, "")
}

#[test]
fn nesting_and_calls_in_a_multicall() {
    for program in [server(&[]), binder(&[])] {
        // <methodCall><params><param><value> are 4 elements, each array with a value in it adds 3.
        let nested = |arrays: usize, inner: &str| {
            let (open, close) = ("<value><array><data>", "</data></array></value>");
            with_value(&format!("{}{inner}{}", open.repeat(arrays), close.repeat(arrays)))
        };
        // 3 + 3 * 20 = 63 elements around the innermost one.
        let allowed = ask(&program, &nested(20, "<value>x</value>")).value().unwrap_err();
        assert_eq!(allowed.code, Fault::BAD_PARAMS, "read, and not what the procedure takes: {allowed}");
        let refused = ask(&program, &nested(20, "<value><string>x</string></value>")).value().unwrap_err();
        assert_eq!(refused.code, Fault::LIMIT, "{refused}");
        names_figure(&refused.message, 64);

        let calls = |count: usize| {
            let mut text = String::from("<value><array><data>");
            for _ in 0..count {
                let _ = write!(
                    text,
                    "<value><struct><member><name>methodName</name><value>system.listMethods</value></member></struct></value>"
                );
            }
            text.push_str("</data></array></value>");
            let call = format!(
                "<methodCall><methodName>system.multicall</methodName><params><param>{text}</param></params></methodCall>"
            );
            ask(&program, &post(&call, "")).value()
        };
        assert_eq!(calls(100).unwrap().as_array().unwrap().len(), 100);
        let refused = calls(101).unwrap_err();
        assert_eq!(refused.code, Fault::LIMIT);
        names_figure(&refused.message, 100);
    }
}

#[test]
fn bytes_of_the_answers_in_a_multicall() {
    let server = server(&["--message-rate", "0"]);
    let peer = Peer::open(&server);
    peer.enter("lobby", &["ana"]);
    for _ in 0..240 {
        say(&peer, "ana", "lobby", &"x".repeat(4096)).unwrap();
    }
    let read = Value::Struct(vec![
        ("methodName".into(), "receive_messages".into()),
        ("params".into(), Value::Array(vec!["ana".into(), "lobby".into()])),
    ]);
    let usage = Usage::of(&server);
    let answers = peer.ok("system.multicall", &[Value::Array(vec![read; 100])]);
    let growth = usage.growth_kb();
    assert!(growth < 24 << 10, "{growth} kB");
    let answers = answers.as_array().unwrap();
    let codes: Vec<_> = answers.iter().map(|answer| answer.member("faultCode").and_then(Value::as_int)).collect();
    // Each answer is of more than a megabyte.
    assert!(codes[0].is_none() && codes[2..].iter().all(|code| *code == Some(8)), "{codes:?}");
    names_figure(answers[99].member("faultString").and_then(Value::as_str).unwrap(), 1 << 20);
}

#[test]
fn instances_and_procedures_at_the_binder() {
    let binder = binder(&[]);
    let peer = Peer::open(&binder);
    let register = |instance: &str, count: usize| {
        let names = (0..count).map(|number| Value::from(format!("p{number}"))).collect();
        peer.call("register_service", &[instance.into(), "h".into(), 1.into(), Value::Array(names), 60.into()])
    };
    register("a", MAX_PROCEDURES).unwrap();
    let refused = register("b", MAX_PROCEDURES + 1).unwrap_err();
    assert_eq!(refused.code, Fault::LIMIT);
    names_figure(&refused.message, MAX_PROCEDURES);
    let named = |length: usize| peer.call("register_procedure", &["x".repeat(length).into(), "h".into(), 1.into()]);
    named(128).unwrap();
    names_figure(&named(129).unwrap_err().message, 128);
    let at = |host: String, port: i64| peer.call("register_procedure", &["x".into(), host.into(), port.into()]);
    at("h".repeat(253), 65_535).unwrap();
    names_figure(&at("h".repeat(254), 1).unwrap_err().message, 253);
    names_figure(&at("h".into(), 65_536).unwrap_err().message, 65_535);
    for host in ["", "a b", "a\nb", "a/b", "ä", "<h>", "a\u{9b}b"] {
        assert_eq!(at(host.into(), 1).unwrap_err().code, Fault::BAD_PARAMS, "{host:?}");
    }
}
