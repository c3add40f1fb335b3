//! Binder and server as programs: what they say at start, what they forget, and that they find each other again.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what fails here fails a test")]

mod support;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use chat_rpc::rpc::{Client, Value};
use support::{ANY_PORT, BINDER, CLIENT, CommandLine, Process, SERVER, TIMEOUT, binder, eventually};

fn serve(options: &[&str]) -> Process {
    Process::serve(SERVER, &[&["--listen", ANY_PORT], options].concat())
}

fn port(address: &str) -> i64 {
    address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port")
}

/// Returns where the binder says that `send_message` is.
fn offered(binder: &Client) -> Value {
    binder.call("lookup_procedure", &["send_message".into()]).expect("a look-up")
}

fn at(server: &Process) -> Value {
    Value::Array(vec!["127.0.0.1".into(), port(server.address()).into()])
}

#[test]
fn an_empty_room_and_a_silent_user_are_forgotten() {
    let server = serve(&["--no-binder", "--room-idle", "1", "--user-idle", "2"]);
    let client = Client::new(server.address());
    client.call("register_user", &["ana".into()]).unwrap();
    client.call("create_room", &["lobby".into()]).unwrap();
    client.call("join_room", &["ana".into(), "lobby".into()]).unwrap();
    client.call("create_room", &["empty".into()]).unwrap();
    let rooms = |client: &Client| client.call("list_rooms", &[]).unwrap();
    eventually("the empty room is gone", TIMEOUT, || rooms(&client) == Value::Array(vec!["lobby".into()]));
    eventually("the user and then the room are gone", TIMEOUT, || rooms(&client) == Value::Array(vec![]));
    client.call("register_user", &["ana".into()]).unwrap();
}

#[test]
fn a_lease_ends_and_the_registration_before_it_answers_again() {
    let binder = binder(&[]);
    let client = Client::new(binder.address());
    client.call("register_procedure", &["send_message".into(), "10.0.0.1".into(), 1.into()]).unwrap();
    let service = ["x".into(), "10.0.0.2".into(), 2.into(), Value::Array(vec!["send_message".into()]), 1.into()];
    let started = Instant::now();
    assert_eq!(client.call("register_service", &service).unwrap(), Value::Int(1));
    assert_eq!(offered(&client), Value::Array(vec!["10.0.0.2".into(), 2.into()]));
    eventually("the lease has ended", TIMEOUT, || offered(&client) == Value::Array(vec!["10.0.0.1".into(), 1.into()]));
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[test]
fn a_server_starts_without_a_binder_and_comes_back_after_it_was_killed() {
    let mut binder = binder(&[]);
    let address = binder.address().to_owned();
    binder.kill();
    let mut server = serve(&["--binder", &address]);
    server.stderr.wait_for_line("cannot register at the binder", TIMEOUT);
    for _ in 0..2 {
        let mut binder = Process::serve(BINDER, &["--listen", &address]);
        let client = Client::new(&address);
        eventually("the server has registered", TIMEOUT, || offered(&client) == at(&server));
        binder.kill();
    }
    let _binder = Process::serve(BINDER, &["--listen", &address]);
    let client = Client::new(&address);
    eventually("the server has registered again", TIMEOUT, || offered(&client) == at(&server));
    server.signal("TERM");
    assert!(server.wait_exit(TIMEOUT).success());
    assert_eq!(offered(&client), Value::Nil, "it has unregistered");
}

#[test]
fn of_two_servers_the_newer_answers_and_the_older_when_it_ends() {
    let binder = binder(&[]);
    let client = Client::new(binder.address());
    let older = serve(&["--binder", binder.address()]);
    eventually("the first has registered", TIMEOUT, || offered(&client) == at(&older));
    let mut newer = serve(&["--binder", binder.address()]);
    eventually("the second has registered", TIMEOUT, || offered(&client) == at(&newer));
    newer.signal("TERM");
    newer.wait_exit(TIMEOUT);
    assert_eq!(offered(&client), at(&older));
}

#[test]
fn what_is_advertised_is_what_is_registered() {
    let binder = binder(&[]);
    let client = Client::new(binder.address());
    let server = serve(&["--binder", binder.address(), "--advertise", "chat.example"]);
    let own_port = port(server.address());
    eventually("a host alone", TIMEOUT, || {
        offered(&client) == Value::Array(vec!["chat.example".into(), own_port.into()])
    });
    let _other = serve(&["--binder", binder.address(), "--advertise", "chat.example:80"]);
    eventually("host and port", TIMEOUT, || offered(&client) == Value::Array(vec!["chat.example".into(), 80.into()]));
    for written in ["::1", "[::1]"] {
        let server = serve(&["--binder", binder.address(), "--advertise", written]);
        let place = Value::Array(vec!["::1".into(), port(server.address()).into()]);
        eventually("an IPv6 address alone, with and without brackets", TIMEOUT, || offered(&client) == place);
    }
    let anywhere = Process::serve(SERVER, &["--listen", "0.0.0.0:0", "--binder", binder.address()]);
    // The address of the interface that reaches the network, or loopback on a machine without one: never the wildcard.
    eventually("an address of this machine", TIMEOUT, || match offered(&client).as_array() {
        Some([Value::String(host), registered]) => {
            *registered == port(anywhere.address()).into()
                && host.parse::<IpAddr>().is_ok_and(|ip| !ip.is_unspecified())
        }
        _ => false,
    });
}

#[test]
fn a_wrong_command_line_is_one_line_and_exit_code_2() {
    for (line, arguments, part) in [
        (BINDER, &["--nope"][..], "--nope"),
        (BINDER, &["--listen", "nowhere"], "HOST:PORT"),
        (SERVER, &["--workers", "0"], "--workers"),
        (SERVER, &["--room-idle", "soon"], "--room-idle"),
        (SERVER, &["--binder", "h:1", "--no-binder"], "--no-binder"),
        (SERVER, &["stray"], "stray"),
        (SERVER, &["--log-level", "loud"], "--log-level"),
        (CLIENT, &["--nope"], "--nope"),
    ] {
        let (code, output) = run(line, arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {output:?}");
        assert!(
            output.len() == 1 && output[0].contains(part) && output[0].contains("--help"),
            "{arguments:?}: {output:?}"
        );
    }
}

#[test]
fn a_port_in_use_is_one_line_and_exit_code_1() {
    let binder = binder(&[]);
    for line in [BINDER, SERVER] {
        let (code, output) = run(line, &["--listen", binder.address()]);
        assert_eq!(code, Some(1), "{output:?}");
        assert!(
            output.len() == 1 && output[0].contains(binder.address()) && output[0].contains("in use"),
            "{output:?}"
        );
    }
}

#[test]
fn help_and_version_go_to_standard_output() {
    for line in [BINDER, SERVER, CLIENT] {
        for (option, part) in [("--help", "--listen"), ("--version", env!("CARGO_PKG_VERSION"))] {
            let part = if line == CLIENT && option == "--help" { "--server" } else { part };
            let mut program = Process::start(line, &[option]);
            assert!(program.wait_exit(TIMEOUT).success());
            assert!(program.stdout.lines().iter().any(|line| line.contains(part)), "{option} lacks {part}");
            assert!(program.stderr.lines().is_empty());
        }
    }
}

/// Runs a program to its end; answers its exit code and what it wrote to standard error.
fn run(line: CommandLine, arguments: &[&str]) -> (Option<i32>, Vec<String>) {
    let mut program = Process::start(line, arguments);
    let code = program.wait_exit(TIMEOUT).code();
    (code, program.stderr.lines())
}
