//! Streams of events: what they bring, to whom, from which position on, and how they end.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what fails here fails a test")]

mod support;

use std::io::Write as _;
use std::iter;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use chat_rpc::chat::{Limits, MAX_USER_STREAMS, STREAM_GRACE};
use chat_rpc::rpc::{Client, Value, forbidden_char};
use socket2::{Domain, Socket, Type};
use support::events::{Event, Stream, authorization, query};
use support::home::Home;
use support::http::metric;
use support::peer::{Peer, Usage};
use support::procfs::{sleeps, threads};
use support::scene::{Scene, room, user};
use support::tools::needs;
use support::{ANY_PORT, Process, SERVER, TIMEOUT, eventually, python};

#[path = "corpus/terminal.rs"]
mod terminal;

/// Starts a server with these users in the room `lobby`, and a peer that calls it.
fn server(options: &[&str], users: &[&str]) -> (Process, Peer) {
    let server = support::server(options);
    let peer = Peer::open(&server);
    peer.enter("lobby", users);
    (server, peer)
}

fn say(peer: &Peer, user: &str, text: &str) {
    peer.ok("send_message", &[user.into(), "lobby".into(), text.into()]);
}

fn contents(events: &[Event]) -> Vec<&str> {
    events.iter().map(Event::content).collect()
}

fn lobby(user: &str) -> String {
    query(user, "lobby")
}

#[test]
fn a_stream_brings_the_room_and_then_what_happens_there() {
    let (server, peer) = server(&[], &["ana", "bob"]);
    say(&peer, "bob", "before");
    let (mut ana, first) = Stream::open(&server, &lobby("ana"), "");
    assert!(ana.head.contains("Content-Type: text/event-stream\r\n"), "{}", ana.head);
    assert!(ana.head.contains("Cache-Control: no-store\r\n") && ana.head.contains("X-Accel-Buffering: no"));
    assert_eq!(support::peer::texts(first.member("users")), ["ana", "bob"]);
    assert_eq!((first.member("last_id"), first.member("missed")), (&Value::Int(1), &Value::Int(0)));
    let room_id = first.member("room_id").as_str().unwrap();
    say(&peer, "bob", "hello");
    peer.enter("lobby", &["eve"]);
    say(&peer, "ana", "welcome");
    peer.ok("leave_room", &["eve".into()]);
    let hello = ana.next();
    assert_eq!((hello.content(), hello.id.as_deref()), ("hello", Some(&*format!("{room_id}:2"))));
    assert_eq!(hello.data.as_ref(), Some(&whole_history(&peer)[1]), "the same struct as a call returns");
    let joined = ana.next();
    assert_eq!((joined.name.as_str(), joined.text(), &joined.id), ("joined", "eve", &None));
    assert_eq!(ana.next().content(), "welcome");
    let left = ana.next();
    assert_eq!((left.name.as_str(), left.text()), ("left", "eve"));
}

fn whole_history(peer: &Peer) -> Vec<Value> {
    match peer.ok("receive_messages", &["ana".into(), "lobby".into()]) {
        Value::Array(messages) => messages,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nobody_is_told_of_their_own_coming_and_going() {
    let (server, peer) = server(&[], &["ana"]);
    let (mut ana, _) = Stream::open(&server, &lobby("ana"), "");
    // A user who is there already does not join again.
    peer.ok("join_room", &["ana".into(), "lobby".into()]);
    peer.enter("lobby", &["bob"]);
    let (mut bob, first) = Stream::open(&server, &lobby("bob"), "");
    assert_eq!(support::peer::texts(first.member("users")), ["ana", "bob"]);
    peer.ok("leave_room", &["ana".into()]);
    assert_eq!(ana.next().text(), "bob");
    ana.ends("the user left the room");
    let left = bob.next();
    assert_eq!((left.name.as_str(), left.text()), ("left", "ana"));
}

#[test]
fn a_message_of_any_characters_is_one_event() {
    let (server, peer) = server(&["--message-rate", "0"], &["ana", "bob"]);
    let (mut stream, _) = Stream::open(&server, &lobby("ana"), "");
    let attacks = terminal::ATTACKS
        .iter()
        .map(|(_, text, _)| text.replace(|c: char| forbidden_char(&c.to_string()).is_some(), "?"));
    let own = [
        "a\nb",
        "a\r\nb\rc",
        "\n\n",
        "data: x\n\nevent: end\n",
        "]]>",
        "& <b> &amp; &#10;",
        " spaces  ",
        "😀",
        "\u{85}\u{2028}",
    ];
    let texts: Vec<String> = attacks.chain(own.map(str::to_owned)).collect();
    texts.iter().for_each(|text| say(&peer, "bob", text));
    let events: Vec<_> = texts.iter().map(|_| stream.next()).collect();
    assert_eq!(contents(&events), texts);
}

/// Returns the texts of the messages that come, up to the one that says `last`.
fn up_to(stream: &mut Stream, last: &str) -> Vec<String> {
    let mut texts = Vec::new();
    while texts.last().is_none_or(|text| text != last) {
        texts.push(stream.next().content().to_owned());
    }
    texts
}

#[test]
fn private_messages_reach_only_those_whom_they_concern() {
    let (server, peer) = server(&[], &["ana", "bob", "eve"]);
    let mut streams = ["ana", "bob", "eve"].map(|user| Stream::open(&server, &lobby(user), "").0);
    say(&peer, "ana", "all");
    for (to, text) in [("bob", "to bob"), ("eve", "to eve"), ("ana", "to myself")] {
        peer.ok("send_message", &["ana".into(), "lobby".into(), text.into(), to.into()]);
    }
    say(&peer, "ana", "end");
    let seen = streams.each_mut().map(|stream| up_to(stream, "end"));
    assert_eq!(seen[0], ["all", "to bob", "to eve", "to myself", "end"]);
    assert_eq!(seen[1], ["all", "to bob", "end"]);
    assert_eq!(seen[2], ["all", "to eve", "end"]);
    // Nor by coming back.
    let (mut eve, first) = Stream::open(&server, &format!("{}&after=other:0", lobby("eve")), "");
    assert_eq!(first.member("missed"), &Value::Int(0));
    assert_eq!(up_to(&mut eve, "end"), seen[2]);
}

#[test]
fn a_reader_continues_from_their_position() {
    // What the request says, the messages that come before the next one, and how many were missed.
    let cases: &[(&str, &str, &[&str], i64)] = &[
        ("&after=ROOM:3", "", &["4", "5"], 0),
        ("&after=ROOM:5", "", &[], 0),
        ("", "Last-Event-ID: ROOM:3\r\n", &["4", "5"], 0),
        // Browsers send the header when they come back to the address that they were given once.
        ("&after=ROOM:3", "Last-Event-ID: ROOM:4\r\n", &["5"], 0),
        ("&after=ROOM:0", "", &["3", "4", "5"], 2),
        // Another life of the room: all of this one is new.
        ("&after=0123456789abcdef:4", "", &["3", "4", "5"], 2),
        // The future, and no position at all: what is new.
        ("&after=ROOM:99", "", &[], 0),
        ("", "", &[], 0),
    ];
    for (after, header, before, missed) in cases {
        let (server, peer) = server(&["--history-messages", "3"], &["ana", "bob"]);
        ["1", "2", "3", "4", "5"].iter().for_each(|text| say(&peer, "bob", text));
        let (_, first) = Stream::open(&server, &lobby("ana"), "");
        let room_id = first.member("room_id").as_str().unwrap();
        let [after, header] = [after, header].map(|text| text.replace("ROOM", room_id));
        let (mut stream, first) = Stream::open(&server, &format!("{}{after}", lobby("ana")), &header);
        assert_eq!(first.member("missed"), &Value::Int(*missed), "{after} {header}");
        assert_eq!(first.member("last_id"), &Value::Int(5), "{after} {header}");
        say(&peer, "bob", "next");
        assert_eq!(up_to(&mut stream, "next"), [before, &["next"][..]].concat(), "{after} {header}");
    }
}

#[test]
fn a_refusal_is_plain_http() {
    let (server, peer) = server(&["--streams-per-address", "6"], &["ana", "bob"]);
    peer.ok("create_room", &["empty".into()]);
    Peer::with(&server, "joao", "secret").ok("register_user", &["joao".into()]);
    Peer::with(&server, "joao", "secret").ok("join_room", &["joao".into(), "lobby".into()]);
    let status = |query: &str, header: &str| Stream::request(&server, query, header).status();
    for (query, header, expected) in [
        ("", "", 400),
        ("username=ana", "", 400),
        ("username=%FF&room=lobby", "", 400),
        ("username=ana&room=lobby&after=12", "", 400),
        ("username=ana&room=lobby", "Last-Event-ID: junk\r\n", 400),
        ("username=nobody&room=lobby", "", 404),
        ("username=ana&room=nowhere", "", 404),
        ("username=a%20b&room=lobby", "", 404),
        ("username=ana&room=empty", "", 409),
        ("username=joao&room=lobby", "", 403),
        ("username=joao&room=lobby", &*authorization("joao", "wrong"), 403),
        ("username=joao&room=lobby", &*authorization("joao", "secret"), 200),
    ] {
        assert_eq!(status(query, header), expected, "{query} {header}");
    }
    for method in ["POST", "HEAD"] {
        let mut connection = support::http::Connection::open(server.address());
        connection.send(&format!(
            "{method} /events?username=ana&room=lobby HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ));
        let answer = connection.answer().unwrap();
        assert_eq!(answer.status, 405, "{method}");
        assert!(answer.head.contains("Allow: GET\r\n"), "{}", answer.head);
    }
}

#[test]
fn a_fifth_stream_of_a_user_and_one_too_many_of_an_address_are_refused() {
    let (server, peer) = server(&["--streams-per-address", "6"], &["ana", "bob"]);
    let mut open: Vec<_> = (0..MAX_USER_STREAMS).map(|_| Stream::open(&server, &lobby("ana"), "").0).collect();
    let status = |user| Stream::request(&server, &lobby(user), "Connection: close\r\n").status();
    assert_eq!(status("ana"), 429);
    open.push(Stream::open(&server, &lobby("bob"), "").0);
    open.push(Stream::open(&server, &lobby("bob"), "").0);
    assert_eq!(status("bob"), 429, "the seventh from this address");
    say(&peer, "bob", "all of them get it");
    open.iter_mut().for_each(|stream| assert_eq!(stream.next().content(), "all of them get it"));
    // Those that are closed show by the writes that fail.
    open.truncate(3);
    eventually("the closed streams are noticed", TIMEOUT, || {
        say(&peer, "bob", "is anybody there?");
        metric(&server, "chat_streams") == 3
    });
    assert_eq!(status("ana"), 200);
}

#[test]
fn a_stream_ends_with_the_reason() {
    let (server, peer) = server(&[], &["ana", "bob"]);
    peer.ok("create_room", &["attic".into()]);
    // Whatever the connection is told about its end.
    for header in ["Connection: close\r\n", ""] {
        let open = || {
            let mut stream = Stream::request(&server, &lobby("ana"), header);
            assert_eq!(stream.next().name, "room");
            stream
        };
        let mut streams = [open(), open()];
        peer.ok("leave_room", &["ana".into()]);
        streams.iter_mut().for_each(|stream| stream.ends("the user left the room"));
        peer.ok("join_room", &["ana".into(), "lobby".into()]);
        let mut stream = open();
        peer.ok("join_room", &["ana".into(), "attic".into()]);
        stream.ends("the user joined another room");
        peer.ok("join_room", &["ana".into(), "lobby".into()]);
        let mut stream = open();
        peer.ok("unregister_user", &["ana".into()]);
        stream.ends("the user was unregistered");
        peer.enter("lobby", &["ana"]);
    }
    let mut streams = [Stream::open(&server, &lobby("ana"), "").0, Stream::request(&server, &lobby("bob"), "")];
    assert_eq!(streams[1].next().name, "room");
    let stopped = Instant::now();
    server.signal("TERM");
    streams.iter_mut().for_each(|stream| stream.ends("the server stops"));
    let mut server = server;
    assert!(server.wait_exit(TIMEOUT).success());
    assert!(stopped.elapsed() < Duration::from_secs(5), "the stop has waited for readers");
}

#[test]
fn a_stream_of_a_browser_costs_no_thread_and_outlasts_the_idle_time() {
    let (server, peer) = server(&["--connection-idle", "4", "--streams-per-address", "0"], &["bob"]);
    let before = threads(server.id());
    let mut streams: Vec<_> = (0..40)
        .map(|number| {
            let user = format!("user-{number}");
            peer.enter("lobby", &[&user]);
            let mut stream = Stream::request(&server, &lobby(&user), "");
            assert_eq!(stream.next().name, "room");
            stream
        })
        .collect();
    // tiny_http's threads stay for 5 s without work.
    eventually("the threads of the connections end", TIMEOUT, || threads(server.id()) <= before + 2);
    say(&peer, "bob", "still there?");
    for stream in &mut streams {
        while stream.next().name != "message" {}
        assert!(stream.is_silent(Duration::from_millis(1)), "and nothing else, least of all from the HTTP library");
    }
}

#[test]
fn a_server_with_readers_sleeps_and_wakes_up_once_to_send_all_of_them_a_comment() {
    const READERS: usize = 50;
    let users: Vec<_> = (0..READERS).map(|number| format!("reader-{number}")).collect();
    let users: Vec<_> = users.iter().map(String::as_str).collect();
    let (server, _peer) = server(&["--registration-rate", "0", "--streams-per-address", "0"], &users);
    let mut streams: Vec<_> = users.iter().map(|user| Stream::open(&server, &lobby(user), "").0).collect();
    // By then the threads of the connections have ended.
    streams.iter_mut().for_each(Stream::comment);
    let before = sleeps(server.id());
    streams.iter_mut().for_each(Stream::comment);
    // The janitor wakes up every 5 s.
    let count = sleeps(server.id()).saturating_sub(before);
    assert!(count <= 12, "{count} wake-ups");
}

/// Opens a stream whose kernel takes little, and of which nothing is read.
fn stalled(server: &Process, user: &str) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&server.address().parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    let mut socket = TcpStream::from(socket);
    let request = format!("GET /events?{} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", lobby(user));
    socket.write_all(request.as_bytes()).unwrap();
    socket
}

#[test]
fn readers_who_do_not_read_hold_up_nobody_and_cost_little() {
    const TEXT: usize = 40_000;
    let options = ["--message-rate", "0", "--max-message-bytes", "60000", "--streams-per-address", "0"];
    let (server, peer) = server(&options, &["bob"]);
    let users: Vec<_> = (0..20).map(|number| format!("stalled-{number}")).collect();
    users.iter().for_each(|user| peer.enter("lobby", &[user]));
    let stalled: Vec<_> = users.iter().map(|user| stalled(&server, user)).collect();
    let (mut bob, _) = Stream::open(&server, &lobby("bob"), "");
    eventually("all are open", TIMEOUT, || metric(&server, "chat_streams") == 21);
    let usage = Usage::of(&server);
    let text = "x".repeat(TEXT);
    for number in 0..300 {
        let sent = Instant::now();
        say(&peer, "bob", &format!("{number} {text}"));
        assert!(bob.next().content().starts_with(&format!("{number} ")));
        assert!(sent.elapsed() < Duration::from_secs(2), "held up");
    }
    // 12 MB were said, of which 1 MB is the room's history, and 4 are kept for those who do not read.
    assert!(usage.growth_kb() < 12_000, "{} kB", usage.growth_kb());
    eventually("those who fell behind are ended", TIMEOUT, || metric(&server, "chat_streams") == 1);
    drop(stalled);
}

#[test]
fn a_slow_reader_gets_everything() {
    let (server, peer) = server(&["--message-rate", "0"], &["ana", "bob"]);
    let slow = stalled(&server, "ana");
    let texts: Vec<_> = (0..400).map(|number| format!("{number} {}", "x".repeat(3000))).collect();
    eventually("it is open", TIMEOUT, || metric(&server, "chat_streams") == 1);
    texts.iter().for_each(|text| say(&peer, "bob", text));
    let mut slow = Stream::of(slow);
    assert_eq!(slow.next().name, "room");
    for text in &texts {
        assert_eq!(slow.next().content(), text);
    }
}

#[test]
fn a_reader_who_is_gone_is_noticed_at_once_and_one_who_only_sends_no_more_is_not_taken_for_one() {
    let (server, peer) = server(&[], &["ana", "bob"]);
    let (ana, _) = Stream::open(&server, &lobby("ana"), "");
    let (mut bob, _) = Stream::open(&server, &lobby("bob"), "");
    bob.socket.shutdown(Shutdown::Write).unwrap();
    let dropped = Instant::now();
    drop(ana);
    eventually("one is left", TIMEOUT, || metric(&server, "chat_streams") == 1);
    assert!(dropped.elapsed() < Duration::from_secs(10), "a comment every 15 s would have shown it");
    thread::sleep(Duration::from_secs(1));
    say(&peer, "ana", "bob is there");
    assert_eq!(bob.next().content(), "bob is there");
}

#[test]
fn a_user_with_a_stream_is_there() {
    let (server, peer) = server(&["--user-idle", "1", "--room-idle", "1"], &["ana"]);
    let (mut ana, _) = Stream::open(&server, &lobby("ana"), "");
    peer.enter("lobby", &["bob"]);
    assert_eq!(ana.next().text(), "bob");
    let left = ana.next();
    assert_eq!((left.name.as_str(), left.text()), ("left", "bob"), "bob has no stream");
    thread::sleep(Duration::from_secs(2));
    assert_eq!(support::peer::texts(&peer.ok("list_users", &["lobby".into()])), ["ana"]);
    drop(ana);
    // A reader who is gone shows by a write that fails.
    peer.enter("lobby", &["bob"]);
    eventually("ana is gone", TIMEOUT, || {
        let _ = peer.call("send_message", &["bob".into(), "lobby".into(), "anybody?".into()]);
        peer.call("send_message", &["bob".into(), "lobby".into(), "ana?".into(), "ana".into()]).is_err()
    });
}

#[test]
fn a_user_whose_last_stream_has_ended_goes_after_a_grace_unless_they_call() {
    let mut scene = Scene::with(Limits::default(), &["ana", "bob"]);
    let open = |scene: &mut Scene, name: &str| {
        let (name, room, proof) = (user(name), room("lobby"), scene.proof(name, None));
        scene.core.open_stream(&room, None, scene.by(&name, &proof)).unwrap().0
    };
    let readers = [open(&mut scene, "ana"), open(&mut scene, "ana"), open(&mut scene, "bob")];
    scene.pass(Duration::from_secs(5000));
    let gone = |scene: &mut Scene| scene.core.sweep_gone(scene.now.monotonic).len();
    assert_eq!(gone(&mut scene) + scene.core.sweep(scene.now).len(), 0, "there while a stream is open");
    for reader in readers {
        scene.core.stream_ended(reader, scene.now.monotonic);
    }
    scene.pass(STREAM_GRACE - Duration::from_secs(1));
    assert_eq!(gone(&mut scene), 0);
    scene.send("bob", None, "I am here");
    scene.pass(Duration::from_secs(1));
    assert_eq!(gone(&mut scene), 1, "ana has not called since");
    scene.pass(STREAM_GRACE);
    assert_eq!(gone(&mut scene), 1, "bob has");
}

#[test]
fn after_a_kill_everybody_continues_with_nothing_missing_and_nothing_twice() {
    const READERS: usize = 200;
    const MESSAGES: usize = 300;
    let home = Home::new();
    let data = home.0.join("data");
    let start = |listen: &str| {
        let options = ["--listen", listen, "--no-binder", "--message-rate", "0", "--registration-rate", "0"];
        let data = ["--history-messages", "1000", "--data", data.to_str().unwrap()];
        Process::serve(SERVER, &[&options[..], &data[..]].concat())
    };
    let mut first = start(ANY_PORT);
    let address = first.address().to_owned();
    let peer = Peer::open(&first);
    peer.ok("create_room", &["lobby".into()]);
    let users: Vec<_> = (0..READERS).map(|number| format!("user-{number}")).collect();
    users.iter().for_each(|user| peer.enter("lobby", &[user]));
    peer.enter("lobby", &["bob"]);
    let mut streams: Vec<_> = users.iter().map(|user| Stream::open(&first, &lobby(user), "").0).collect();
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let sending = thread::spawn(move || {
        // A call whose reply was lost is made again with its key.
        let client = Client::new(&address);
        for number in 0..MESSAGES {
            let text = number.to_string();
            let call = ["bob".into(), "lobby".into(), text.clone().into(), "".into(), text.into()];
            while client.call("send_message", &call).is_err() {
                thread::sleep(Duration::from_millis(5));
            }
            count.store(number + 1, Ordering::Relaxed);
        }
    });
    eventually("half of them are sent", TIMEOUT, || sent.load(Ordering::Relaxed) >= MESSAGES / 2);
    first.kill();
    let mut seen: Vec<Vec<Event>> =
        streams.iter_mut().map(|stream| iter::from_fn(|| stream.event()).collect()).collect();
    let second = start(first.address());
    let last = (MESSAGES - 1).to_string();
    for (user, seen) in users.iter().zip(&mut seen) {
        let position = seen.last().and_then(|event| event.id.clone()).unwrap();
        let (mut stream, first) = Stream::open(&second, &lobby(user), &format!("Last-Event-ID: {position}\r\n"));
        assert_eq!(first.member("missed"), &Value::Int(0));
        while seen.last().unwrap().content() != last {
            seen.push(stream.next());
        }
    }
    sending.join().unwrap();
    let expected: Vec<_> = (0..MESSAGES).map(|number| number.to_string()).collect();
    seen.iter().for_each(|seen| assert_eq!(contents(seen), expected));
}

#[test]
fn python_reads_a_stream_with_its_standard_library() {
    needs!("python3");
    let (server, _peer) = server(&[], &[]);
    python(PYTHON_READER, &[server.address()]);
}

const PYTHON_READER: &str = r#"
import http.client, sys, urllib.parse
from xmlrpc.client import ServerProxy, loads

address = sys.argv[1]
chat = ServerProxy(f"http://{address}", allow_none=True)
for user in "joão", "bob":
    chat.register_user(user)
    chat.join_room(user, "lobby")

def events(connection):
    name, data = "message", []
    for line in connection.getresponse():
        line = line.decode().rstrip("\n")
        if line:
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                data.append(value)
        elif data:
            [text] = data
            (value,), _ = loads(f"<params><param>{text}</param></params>")
            yield name, value
            name, data = "message", []

for version in 11, 10:
    connection = http.client.HTTPConnection(address, timeout=30)
    connection._http_vsn, connection._http_vsn_str = version, f"HTTP/1.{version - 10}"
    connection.request("GET", "/events?" + urllib.parse.urlencode({"username": "joão", "room": "lobby"}))
    stream = events(connection)
    name, room = next(stream)
    assert (name, room["users"]) == ("room", ["bob", "joão"]), room
    for text in "hello", "line\nbreak\n", "]]> & <value>", "😀":
        chat.send_message("bob", "lobby", text, "joão")
        name, message = next(stream)
        assert (name, message["content"], message["type"]) == ("message", text, "unicast"), message
    chat.leave_room("joão")
    assert [next(stream)[0], next(stream, "over")] == ["end", "over"]
    chat.join_room("joão", "lobby")
"#;

#[test]
fn curl_prints_a_stream_as_it_comes() {
    let (server, peer) = server(&[], &["ana", "bob"]);
    let url = format!("http://{}/events?{}", server.address(), lobby("ana"));
    for version in ["--http1.1", "--http1.0"] {
        let curl = Process::start(&["curl", "-sN", version], &[&url]);
        curl.stdout.wait_for_line("event: room", TIMEOUT);
        say(&peer, "bob", "for curl");
        curl.stdout.wait_for_line("<string>for curl</string>", TIMEOUT);
    }
}

#[test]
fn streams_whose_readers_have_gone_make_room_for_new_ones() {
    let (server, _) = server(&[], &["ana"]);
    for _ in 0..MAX_USER_STREAMS {
        drop(Stream::open(&server, &lobby("ana"), ""));
    }
    // Sooner than by the comments that all streams get.
    eventually("a new one is let in", Duration::from_secs(8), || {
        Stream::request(&server, &lobby("ana"), "Connection: close\r\n").status() == 200
    });
}
