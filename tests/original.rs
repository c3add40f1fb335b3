//! The programs of the original project are still in use: theirs and ours work together in every combination.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what fails here fails a test")]

mod support;

use std::fmt::Write as _;

use chat_rpc::rpc::{Client, Value};
use support::tools::needs;
use support::{
    ANY_PORT, BINDER, CLIENT, CommandLine, ORIGINAL_BINDER, ORIGINAL_SERVER, Process, SERVER, TIMEOUT, eventually,
    original_client, python, send_lines, wait_for_the_next_second,
};

fn binder(line: CommandLine) -> Process {
    Process::serve(line, &["--listen", ANY_PORT])
}

/// A server that is registered at `binder` when this returns.
fn server(line: CommandLine, binder: &Process) -> Process {
    let server = Process::serve(line, &["--listen", ANY_PORT, "--binder", binder.address()]);
    wait_until_registered(binder, &server);
    server
}

/// Waits until `binder` answers `server` for the original's nine procedures.
fn wait_until_registered(binder: &Process, server: &Process) {
    const PROCEDURES: [&str; 9] = [
        "register_user",
        "unregister_user",
        "create_room",
        "join_room",
        "send_message",
        "receive_messages",
        "receive_new_messages",
        "list_rooms",
        "list_users",
    ];
    let (host, port) = server.address().rsplit_once(':').unwrap();
    let place = Value::Array(vec![host.into(), port.parse::<i64>().unwrap().into()]);
    let client = Client::new(binder.address());
    eventually("the binder knows the server", TIMEOUT, || {
        PROCEDURES.iter().all(|&name| client.call("lookup_procedure", &[name.into()]).is_ok_and(|found| found == place))
    });
}

/// Two of their clients talk through our server, to all and in private.
fn their_clients_talk_through_our_server(binder: &Process) {
    let _server = server(SERVER, binder);
    let [mut alice, mut bob, mut carol] = ["alice", "bob", "carol"].map(|name| original_client(binder, name));
    send_lines(&mut alice, &["create", "lobby"]);
    alice.stdout.wait_for_line("Room lobby created", TIMEOUT);
    for client in [&mut alice, &mut bob, &mut carol] {
        send_lines(client, &["join", "lobby"]);
        client.stdout.wait_for_line("Joined lobby", TIMEOUT);
    }
    // Our stamps grow with every message, so even theirs lose nothing that falls into one second.
    let mut script = String::new();
    for number in 0..10 {
        let _ = writeln!(script, "send\nnumber {number}\n");
    }
    alice.send_line(&format!("{script}send\njust for bob\nbob\nsend\nthat was all\n"));
    let heard = |client: &Process| {
        client.stdout.wait_for("the last message", TIMEOUT, |lines| {
            lines.iter().any(|line| line.contains("that was all")).then(|| {
                let said = lines.iter().filter_map(|line| line.split_once("] alice"));
                said.map(|(_, text)| text.to_owned()).collect::<Vec<_>>()
            })
        })
    };
    let to_all: Vec<_> = (0..10).map(|number| format!(": number {number}")).collect();
    let end = [": that was all".to_owned()];
    assert_eq!(heard(&carol), [&to_all[..], &end].concat());
    assert_eq!(heard(&bob), [&to_all[..], &[" (private): just for bob".to_owned()], &end].concat());

    send_lines(&mut bob, &["join", "nowhere", "users", "lobby", "list"]);
    bob.stdout.wait_for_line("no such room", TIMEOUT);
    bob.stdout.wait_for_line("Users: alice, bob, carol", TIMEOUT);
    bob.stdout.wait_for_line("Rooms: lobby", TIMEOUT);
    alice.end_input();
    alice.stdout.wait_for_line("User alice unregistered", TIMEOUT);
    assert!(alice.wait_exit(TIMEOUT).success());
}

#[test]
fn their_client_our_server_and_our_binder() {
    needs!("python3");
    their_clients_talk_through_our_server(&binder(BINDER));
}

#[test]
fn their_client_our_server_and_their_binder() {
    needs!("python3");
    their_clients_talk_through_our_server(&binder(ORIGINAL_BINDER));
}

#[test]
fn our_server_comes_back_to_their_binder_after_it_was_restarted() {
    needs!("python3");
    let mut first = binder(ORIGINAL_BINDER);
    let server = server(SERVER, &first);
    server.stderr.wait_for_line("which knows no leases", TIMEOUT);
    first.kill();
    let second = Process::serve(ORIGINAL_BINDER, &["--listen", first.address()]);
    wait_until_registered(&second, &server);
}

#[test]
fn our_server_moves_from_their_binder_to_ours() {
    needs!("python3");
    let mut theirs = binder(ORIGINAL_BINDER);
    let server = server(SERVER, &theirs);
    theirs.kill();
    let ours = Process::serve(BINDER, &["--listen", theirs.address()]);
    wait_until_registered(&ours, &server);
    let offers = Client::new(ours.address()).call("list_procedures", &[]).unwrap();
    let leased = |offer: &Value| offer.member("lease_remaining").and_then(Value::as_int).is_some();
    assert!(offers.as_array().unwrap().iter().all(leased), "{offers:?}");
}

fn our_client(binder: &Process, name: &str) -> Process {
    Process::start(CLIENT, &["--binder", binder.address(), "--user", name])
}

/// Waits until exactly `users` are in `room`.
fn wait_until_there(server: &Process, room: &str, users: &[&str]) {
    let client = Client::new(server.address());
    eventually(&format!("{users:?} are in {room}"), TIMEOUT, || {
        let answer = client.call("list_users", &[room.into()]).ok();
        // Their server says that there is no such room in a string.
        let Some(there) = answer.as_ref().and_then(Value::as_array) else { return false };
        let mut there: Vec<_> = there.iter().filter_map(Value::as_str).collect();
        there.sort_unstable();
        there == users
    });
}

/// Waits until our client has said `text`, wherever it says what is not a message.
fn wait_until_said(client: &Process, text: &str) {
    eventually(&format!("the client says {text:?}"), TIMEOUT, || {
        [&client.stdout, &client.stderr].iter().any(|output| output.lines().iter().any(|line| line.contains(text)))
    });
}

/// The stamps of their server have whole seconds: their client loses a message in the second of the one it saw last.
/// Two of our clients and one of theirs talk, to all and in private; everybody sees what is theirs to see, once.
fn everybody_talks(binder_line: CommandLine, server_line: CommandLine) {
    let binder = binder(binder_line);
    let server = server(server_line, &binder);
    let (mut alice, mut carol) = (our_client(&binder, "alice"), our_client(&binder, "carol"));
    alice.send_line("create lobby");
    alice.send_line("join lobby");
    wait_until_there(&server, "lobby", &["alice"]);
    carol.send_line("join lobby");
    let mut bob = original_client(&binder, "bob");
    send_lines(&mut bob, &["join", "lobby"]);
    bob.stdout.wait_for_line("Joined lobby", TIMEOUT);
    wait_until_there(&server, "lobby", &["alice", "bob", "carol"]);

    wait_for_the_next_second();
    alice.send_line("send hello from alice");
    bob.stdout.wait_for_line("] alice: hello from alice", TIMEOUT);
    carol.stdout.wait_for_line("hello from alice", TIMEOUT);
    send_lines(&mut bob, &["send", "hello from bob", "", "send", "only for alice", "alice"]);
    alice.stdout.wait_for_line("hello from bob", TIMEOUT);
    alice.stdout.wait_for_line("only for alice", TIMEOUT);
    wait_for_the_next_second();
    alice.send_line("send @bob only for bob");
    bob.stdout.wait_for_line("] alice (private): only for bob", TIMEOUT);
    wait_for_the_next_second();
    carol.send_line("send good bye");
    for client in [&alice, &bob] {
        client.stdout.wait_for_line("good bye", TIMEOUT);
    }

    alice.end_input();
    assert!(alice.wait_exit(TIMEOUT).success());
    wait_until_there(&server, "lobby", &["bob", "carol"]);
    carol.end_input();
    assert!(carol.wait_exit(TIMEOUT).success());
    let heard = |client: &Process, text: &str| client.stdout.lines().iter().filter(|line| line.contains(text)).count();
    for (client, once) in [
        (&alice, &["hello from bob", "only for alice", "good bye"][..]),
        (&carol, &["hello from alice", "hello from bob"]),
        (&bob, &["] alice: hello from alice", "] alice (private): only for bob", "] carol: good bye"]),
    ] {
        once.iter().for_each(|text| assert_eq!(heard(client, text), 1, "{text}"));
    }
    assert_eq!(heard(&carol, "only for"), 0);
}

#[test]
fn our_client_and_theirs_at_our_server_and_our_binder() {
    needs!("python3");
    everybody_talks(BINDER, SERVER);
}

#[test]
fn our_client_and_theirs_at_our_server_and_their_binder() {
    needs!("python3");
    everybody_talks(ORIGINAL_BINDER, SERVER);
}

#[test]
fn our_client_and_theirs_at_their_server_and_our_binder() {
    needs!("python3");
    everybody_talks(BINDER, ORIGINAL_SERVER);
}

#[test]
fn our_client_and_theirs_at_their_server_and_their_binder() {
    needs!("python3");
    everybody_talks(ORIGINAL_BINDER, ORIGINAL_SERVER);
}

/// Our client as alice, in the lobby of their server, which she has made.
fn alice_in_the_lobby(binder: &Process, server: &Process) -> Process {
    let mut alice = our_client(binder, "alice");
    send_lines(&mut alice, &["create lobby", "join lobby"]);
    wait_until_there(server, "lobby", &["alice"]);
    alice
}

#[test]
fn our_client_loses_nothing_where_many_messages_have_one_stamp() {
    needs!("python3");
    let binder = binder(BINDER);
    let server = server(ORIGINAL_SERVER, &binder);
    let alice = alice_in_the_lobby(&binder, &server);
    // For longer than two polls, so that they fall between messages of one second; and equal ones among them.
    let script = r#"
import sys, time, xmlrpc.client
server = xmlrpc.client.ServerProxy("http://" + sys.argv[1], allow_none=True)
server.register_user("bob")
server.join_room("bob", "lobby")
for number in range(100):
    server.send_message("bob", "lobby", f"number {number // 3}", "alice" if number % 10 == 0 else None)
    time.sleep(0.05)
server.send_message("bob", "lobby", "that was all")
"#;
    python(script, &[server.address()]);
    alice.stdout.wait_for_line("that was all", TIMEOUT);
    let lines = alice.stdout.lines();
    let heard: Vec<_> = lines.iter().filter_map(|line| Some(line.split_once("number ")?.1.to_owned())).collect();
    assert_eq!(heard, (0..100).map(|number| (number / 3).to_string()).collect::<Vec<_>>());
}

#[test]
fn our_client_shows_the_refusals_that_their_server_answers_as_strings() {
    needs!("python3");
    let binder = binder(BINDER);
    let server = server(ORIGINAL_SERVER, &binder);
    let mut alice = our_client(&binder, "alice");
    alice.send_line("users nowhere");
    wait_until_said(&alice, "there is no room nowhere");
    send_lines(&mut alice, &["create lobby", "join lobby"]);
    wait_until_there(&server, "lobby", &["alice"]);
    alice.send_line("create lobby");
    wait_until_said(&alice, "the room lobby already exists");
    alice.send_line("send @nobody hello");
    wait_until_said(&alice, "nobody is not in the room lobby");
    alice.send_line("users elsewhere");
    wait_until_said(&alice, "there is no room elsewhere");

    let mut second = our_client(&binder, "alice");
    assert_eq!(second.wait_exit(TIMEOUT).code(), Some(1));
    wait_until_said(&second, "already in use");
}

#[test]
fn our_client_leaves_a_room_of_their_server_which_has_no_procedure_for_it() {
    needs!("python3");
    let binder = binder(BINDER);
    let server = server(ORIGINAL_SERVER, &binder);
    let mut alice = alice_in_the_lobby(&binder, &server);
    alice.send_line("leave");
    wait_until_there(&server, "lobby", &[]);
    alice.send_line("join lobby");
    wait_until_there(&server, "lobby", &["alice"]);
}

#[test]
fn our_client_comes_back_to_their_server_after_it_was_restarted() {
    needs!("python3");
    let binder = binder(ORIGINAL_BINDER);
    let mut first = server(ORIGINAL_SERVER, &binder);
    let alice = alice_in_the_lobby(&binder, &first);
    first.kill();
    let second = server(ORIGINAL_SERVER, &binder);
    wait_until_there(&second, "lobby", &["alice"]);
    let mut bob = original_client(&binder, "bob");
    send_lines(&mut bob, &["join", "lobby", "send", "welcome back", ""]);
    alice.stdout.wait_for_line("welcome back", TIMEOUT);
}

/// Their server has no sessions to resume: it says that the name is in use, and it is ours.
#[test]
fn our_client_without_a_room_comes_back_to_their_server_that_knows_it_still() {
    needs!("python3");
    let binder = binder(BINDER);
    let server = server(ORIGINAL_SERVER, &binder);
    let mut alice = our_client(&binder, "alice");
    alice.send_line("create lobby");
    wait_until_there(&server, "lobby", &[]);
    let said = |client: &Process| client.stdout.lines().len() + client.stderr.lines().len();
    server.signal("STOP");
    let before = said(&alice);
    alice.send_line("list");
    eventually("the call is given up", TIMEOUT, || said(&alice) > before);
    server.signal("CONT");
    let client = Client::new(server.address());
    eventually("the client can join again", TIMEOUT, || {
        alice.send_line("join lobby");
        let there = client.call("list_users", &["lobby".into()]);
        there.is_ok_and(|there| there == Value::Array(vec!["alice".into()]))
    });
}
