//! The programs of the original project are still in use: theirs and ours work together in every combination.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what fails here fails a test")]

mod support;

use std::fmt::Write as _;

use chat_rpc::rpc::{Client, Value};
use support::{
    ANY_PORT, BINDER, CommandLine, ORIGIN_BINDER, ORIGIN_CLIENT, ORIGIN_SERVER, PATIENCE, Program, SERVER, eventually,
};

fn binder(line: CommandLine) -> Program {
    Program::serve(line, &["--listen", ANY_PORT])
}

/// A server that is registered at `binder` when this returns.
fn server(line: CommandLine, binder: &Program) -> Program {
    let server = Program::serve(line, &["--listen", ANY_PORT, "--binder", binder.address()]);
    wait_until_registered(binder, &server);
    server
}

/// Waits until `binder` answers `server` for the original's nine procedures.
fn wait_until_registered(binder: &Program, server: &Program) {
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
    eventually("the binder knows the server", PATIENCE, || {
        PROCEDURES.iter().all(|&name| client.call("lookup_procedure", &[name.into()]).is_ok_and(|found| found == place))
    });
}

fn origin_client(binder: &Program, name: &str) -> Program {
    let mut client = Program::start(ORIGIN_CLIENT, &["--binder", binder.address()]);
    client.send_line(name);
    client.stdout.wait_for_line(&format!("User {name} registered"), PATIENCE);
    client
}

fn send_lines(client: &mut Program, lines: &[&str]) {
    lines.iter().for_each(|line| client.send_line(line));
}

/// Two of their clients talk through our server, to all and in private.
fn their_clients_talk_through_our_server(binder: &Program) {
    let _server = server(SERVER, binder);
    let [mut alice, mut bob, mut carol] = ["alice", "bob", "carol"].map(|name| origin_client(binder, name));
    send_lines(&mut alice, &["create", "lobby"]);
    alice.stdout.wait_for_line("Room lobby created", PATIENCE);
    for client in [&mut alice, &mut bob, &mut carol] {
        send_lines(client, &["join", "lobby"]);
        client.stdout.wait_for_line("Joined lobby", PATIENCE);
    }
    // Our stamps grow with every message, so even theirs lose nothing that falls into one second.
    let mut script = String::new();
    for number in 0..10 {
        let _ = writeln!(script, "send\nnumber {number}\n");
    }
    alice.send_line(&format!("{script}send\njust for bob\nbob\nsend\nthat was all\n"));
    let heard = |client: &Program| {
        client.stdout.wait_for("the last message", PATIENCE, |lines| {
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
    bob.stdout.wait_for_line("no such room", PATIENCE);
    bob.stdout.wait_for_line("Users: alice, bob, carol", PATIENCE);
    bob.stdout.wait_for_line("Rooms: lobby", PATIENCE);
    alice.end_input();
    alice.stdout.wait_for_line("User alice unregistered", PATIENCE);
    assert!(alice.wait_exit(PATIENCE).success());
}

#[test]
fn their_client_our_server_and_our_binder() {
    their_clients_talk_through_our_server(&binder(BINDER));
}

#[test]
fn their_client_our_server_and_their_binder() {
    their_clients_talk_through_our_server(&binder(ORIGIN_BINDER));
}

#[test]
fn their_client_and_their_server_at_our_binder() {
    let binder = binder(BINDER);
    let _server = server(ORIGIN_SERVER, &binder);
    let mut alice = origin_client(&binder, "alice");
    send_lines(&mut alice, &["create", "lobby", "join", "lobby", "users", "lobby"]);
    alice.stdout.wait_for_line("Users: alice", PATIENCE);
}

#[test]
fn our_server_comes_back_to_their_binder_after_it_was_restarted() {
    let mut first = binder(ORIGIN_BINDER);
    let server = server(SERVER, &first);
    server.stderr.wait_for_line("which knows no leases", PATIENCE);
    first.kill();
    let second = Program::serve(ORIGIN_BINDER, &["--listen", first.address()]);
    wait_until_registered(&second, &server);
}

#[test]
fn our_server_moves_from_their_binder_to_ours() {
    let mut theirs = binder(ORIGIN_BINDER);
    let server = server(SERVER, &theirs);
    theirs.kill();
    let ours = Program::serve(BINDER, &["--listen", theirs.address()]);
    wait_until_registered(&ours, &server);
    let offers = Client::new(ours.address()).call("list_procedures", &[]).unwrap();
    let leased = |offer: &Value| offer.member("lease_remaining").and_then(Value::as_int).is_some();
    assert!(offers.as_array().unwrap().iter().all(leased), "{offers:?}");
}
