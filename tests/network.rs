//! Several machines: what they register and look up is what the others can reach. Each machine is a network namespace.

#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

mod support;

use support::lan::Lan;
use support::tools::needs;
use support::{BINDER, CLIENT, ORIGINAL_SERVER, Process, SERVER, TIMEOUT, send_lines};

/// The options of the README for a network.
const BINDER_FOR_ALL: &[&str] = &["--listen", "0.0.0.0:5000"];
const SERVER_FOR_ALL: &[&str] = &["--listen", "0.0.0.0:9000"];

/// Asks the binder on the first machine for a procedure, from `machine`.
#[track_caller]
fn lookup(lan: &Lan, machine: usize, procedure: &str) -> String {
    lan.python(machine, &calling(lan, 1, &format!("print(binder.lookup_procedure('{procedure}'))")))
}

/// Waits until the binder on the first machine answers `wanted`, from `machine`.
#[track_caller]
fn found(lan: &Lan, machine: usize, procedure: &str, wanted: &str) {
    let script = format!(
        "import time\nend = time.monotonic() + {}\nwhile binder.lookup_procedure('{procedure}') != {wanted}:\n    \
         assert time.monotonic() < end\n    time.sleep(0.1)",
        TIMEOUT.as_secs()
    );
    lan.python(machine, &calling(lan, 1, &script));
}

/// A script that calls `binder`, which is on the machine `at`.
fn calling(lan: &Lan, at: usize, script: &str) -> String {
    let address = lan.address(at);
    format!(
        "from xmlrpc.client import ServerProxy\nbinder = ServerProxy('http://{address}:5000', allow_none=True)\n{script}"
    )
}

#[track_caller]
fn registered(server: &Process) {
    server.stderr.wait_for_line("registered at the binder", TIMEOUT);
}

fn client(lan: &Lan, machine: usize, name: &str, options: &[&str]) -> Process {
    let fixed = ["--user", name, "--room", "lobby", "--plain", "--lang", "en"];
    let state = format!("XDG_STATE_HOME={}", lan.home(machine).display());
    lan.start(machine, &[&["env", &state], CLIENT].concat(), &[&fixed, options].concat())
}

#[test]
fn the_recipe_for_a_network_works_between_machines() {
    let Some(lan) = Lan::of(3) else { return };
    let _binder = lan.serve(1, BINDER, BINDER_FOR_ALL);
    let server = lan.serve(1, SERVER, SERVER_FOR_ALL);
    registered(&server);
    let at = format!("{}:5000", lan.address(1));
    let mut ana = client(&lan, 2, "ana", &["--binder", &at]);
    ana.stderr.wait_for_line("lobby", TIMEOUT);
    let mut bob = client(&lan, 3, "bob", &["--binder", &at]);
    bob.stderr.wait_for_line("lobby", TIMEOUT);
    send_lines(&mut ana, &["hello from another machine"]);
    bob.stdout.wait_for_line("hello from another machine", TIMEOUT);
    send_lines(&mut bob, &["and back"]);
    ana.stdout.wait_for_line("and back", TIMEOUT);
    // Who sits at the server's machine needs no option.
    let near = client(&lan, 1, "eve", &[]);
    near.stdout.wait_for_line("and back", TIMEOUT);
}

#[test]
fn a_server_is_found_at_the_address_that_it_has_in_the_network() {
    needs!("python3");
    let Some(lan) = Lan::of(3) else { return };
    let _binder = lan.serve(1, BINDER, BINDER_FOR_ALL);
    let near = lan.serve(1, SERVER, SERVER_FOR_ALL);
    registered(&near);
    for machine in 1..=3 {
        assert_eq!(lookup(&lan, machine, "send_message"), "['10.77.0.1', 9000]", "from machine {machine}");
    }
    let far = lan.serve(2, SERVER, &[SERVER_FOR_ALL, &["--binder", "10.77.0.1:5000"]].concat());
    registered(&far);
    for machine in 1..=3 {
        assert_eq!(lookup(&lan, machine, "send_message"), "['10.77.0.2', 9000]", "from machine {machine}");
    }
}

#[test]
fn a_server_follows_the_address_of_its_machine() {
    needs!("python3");
    let Some(lan) = Lan::of(2) else { return };
    lan.ip(1, "addr del 10.77.0.1/24 dev eth0");
    let _binder = lan.serve(1, BINDER, BINDER_FOR_ALL);
    let server = lan.serve(1, SERVER, SERVER_FOR_ALL);
    let line = server.stderr.wait_for_line("registered at the binder", TIMEOUT);
    assert!(line.contains("127.0.0.1 port 9000"), "there is no network yet: {line}");
    lan.ip(1, "addr add 10.77.0.1/24 dev eth0");
    // At the next heartbeat.
    found(&lan, 2, "send_message", "['10.77.0.1', 9000]");
}

#[test]
fn the_binder_takes_the_callers_address_for_one_that_nobody_else_can_reach() {
    needs!("python3");
    let Some(lan) = Lan::of(3) else { return };
    let _binder = lan.serve(1, BINDER, BINDER_FOR_ALL);
    for given in ["127.0.0.1", "localhost", "0.0.0.0", "::1", "::"] {
        let register = format!("print(binder.register_procedure('echo', '{given}', 8000))");
        let confirmed = lan.python(2, &calling(&lan, 1, &register));
        assert_eq!(confirmed, "Procedure 'echo' registered at 10.77.0.2:8000.", "{given}");
        assert_eq!(lookup(&lan, 3, "echo"), "['10.77.0.2', 8000]", "{given}");
        let register = format!("print(binder.register_service('an-id', '{given}', 8001, ['ping'], 60))");
        assert_eq!(lan.python(2, &calling(&lan, 1, &register)), "60");
        assert_eq!(lookup(&lan, 3, "ping"), "['10.77.0.2', 8001]", "{given}");
    }
    // What is reached from elsewhere stays as it was given.
    lan.python(2, &calling(&lan, 1, "binder.register_procedure('echo', '192.168.9.9', 8000)"));
    assert_eq!(lookup(&lan, 3, "echo"), "['192.168.9.9', 8000]");
    // A server of the original project that listens everywhere on the binder's machine.
    let _original = lan.start(1, ORIGINAL_SERVER, &["--binder", "10.77.0.1:5000", "--listen", "0.0.0.0:9000"]);
    found(&lan, 2, "send_message", "['10.77.0.1', 9000]");
}

#[test]
fn a_server_for_its_own_machine_is_named_to_others_and_never_given_to_them() {
    needs!("python3");
    let Some(lan) = Lan::of(2) else { return };
    let binder = lan.serve(1, BINDER, BINDER_FOR_ALL);
    let server = lan.serve(1, SERVER, &[] as &[&str]);
    registered(&server);
    assert_eq!(lookup(&lan, 1, "send_message"), "['127.0.0.1', 9000]");
    for _ in 0..3 {
        assert_eq!(lookup(&lan, 2, "send_message"), "None");
    }
    let said = binder.stderr.wait_for_line("--listen 0.0.0.0:9000", TIMEOUT);
    assert!(said.contains("10.77.0.2 asked for send_message") && said.contains("127.0.0.1:9000"), "{said}");
    let count = binder.stderr.lines().iter().filter(|line| line.contains("asked for")).count();
    assert_eq!(count, 1, "once a minute");
    let mut client = client(&lan, 2, "ana", &["--binder", "10.77.0.1:5000"]);
    client.end_input();
    let status = client.wait_exit(TIMEOUT);
    assert!(!status.success());
    let said = [client.stdout.lines(), client.stderr.lines()].concat().join("\n");
    assert!(said.contains("127.0.0.1:9000") && said.contains("--listen 0.0.0.0:9000"), "{said}");
    // One that others cannot reach says so itself where its binder is elsewhere.
    let far = lan.serve(2, SERVER, &["--binder", "10.77.0.1:5000"]);
    far.stderr.wait_for_line("--listen 0.0.0.0:9000 changes that", TIMEOUT);
}

#[test]
fn a_client_without_an_option_finds_the_chat_of_its_network() {
    let Some(lan) = Lan::of(3) else { return };
    let _binder = lan.serve(1, BINDER, BINDER_FOR_ALL);
    let server = lan.serve(1, SERVER, SERVER_FOR_ALL);
    registered(&server);
    let mut ana = client(&lan, 2, "ana", &[]);
    ana.stderr.wait_for_line("at 10.77.0.1:5000", TIMEOUT);
    ana.stderr.wait_for_line("Joined lobby", TIMEOUT);
    let bob = client(&lan, 3, "bob", &[]);
    bob.stderr.wait_for_line("Joined lobby", TIMEOUT);
    send_lines(&mut ana, &["found you"]);
    bob.stdout.wait_for_line("found you", TIMEOUT);

    // What runs on the machine itself comes first.
    let _near = lan.serve(3, BINDER, &[] as &[&str]);
    let _near_server = lan.serve(3, SERVER, &[] as &[&str]);
    registered(&_near_server);
    let eve = client(&lan, 3, "eve", &[]);
    eve.stderr.wait_for_line("Joined lobby. Nobody else", TIMEOUT);
}

#[test]
fn a_network_of_ipv6_alone_has_its_chat_too() {
    let Some(lan) = Lan::of(3) else { return };
    lan.only_ipv6();
    let mut ana = client(&lan, 1, "ana", &["--share"]);
    ana.stderr.wait_for_line("http://[fd77::1]:9000", TIMEOUT);
    ana.stderr.wait_for_line("Joined lobby", TIMEOUT);
    let bob = client(&lan, 2, "bob", &[]);
    bob.stderr.wait_for_line("at [fd77::1]:5000", TIMEOUT);
    bob.stderr.wait_for_line("Joined lobby. Also here: ana", TIMEOUT);
    let eve = client(&lan, 3, "eve", &["--share"]);
    eve.stderr.wait_for_line("Joined lobby", TIMEOUT);
    send_lines(&mut ana, &["by IPv6"]);
    bob.stdout.wait_for_line("by IPv6", TIMEOUT);
    eve.stdout.wait_for_line("by IPv6", TIMEOUT);
}

#[test]
fn several_chats_are_a_list_and_none_is_one_line() {
    let Some(lan) = Lan::of(3) else { return };
    let end = |mut client: Process| {
        client.end_input();
        assert_eq!(client.wait_exit(TIMEOUT).code(), Some(1));
        client.stderr.lines()
    };
    let said = end(client(&lan, 3, "ana", &[]));
    let [line] = &said[..] else { panic!("{said:?}") };
    for way in ["--local", "--binder", "--server"] {
        assert!(line.contains(way), "{line}");
    }
    let _first = lan.serve(1, BINDER, BINDER_FOR_ALL);
    let _second = lan.serve(2, BINDER, BINDER_FOR_ALL);
    let said = end(client(&lan, 3, "ana", &[]));
    let [line] = &said[..] else { panic!("{said:?}") };
    assert!(line.contains("10.77.0.1:5000") && line.contains("10.77.0.2:5000") && line.contains("--binder"), "{line}");
}

#[test]
fn a_binder_without_a_chat_is_left_out_where_another_has_one() {
    let Some(lan) = Lan::of(3) else { return };
    let _empty = lan.serve(1, BINDER, BINDER_FOR_ALL);
    let _binder = lan.serve(2, BINDER, BINDER_FOR_ALL);
    let server = lan.serve(2, SERVER, SERVER_FOR_ALL);
    registered(&server);
    let client = client(&lan, 3, "ana", &[]);
    client.stderr.wait_for_line("at 10.77.0.2:5000", TIMEOUT);
    client.stderr.wait_for_line("Joined lobby", TIMEOUT);
}

#[test]
fn one_command_is_a_chat_for_the_whole_network_and_outlives_its_host() {
    let Some(lan) = Lan::of(3) else { return };
    let mut host = client(&lan, 1, "ana", &["--local", "--share"]);
    host.stderr.wait_for_line("Joined lobby", TIMEOUT);
    let mut guest = client(&lan, 2, "bob", &["--share"]);
    guest.stderr.wait_for_line("Joined lobby. Also here: ana", TIMEOUT);
    let mut visitor = client(&lan, 3, "eve", &[]);
    visitor.stderr.wait_for_line("Joined lobby", TIMEOUT);
    send_lines(&mut visitor, &["hello all"]);
    host.stdout.wait_for_line("hello all", TIMEOUT);
    guest.stdout.wait_for_line("hello all", TIMEOUT);
    for program in [&host, &guest] {
        let said = program.stderr.lines().join("\n");
        assert!(!said.contains("WARN"), "a person asked for it: {said}");
    }
    // The guest carries on in its place, and is found by who comes then.
    host.end_input();
    assert!(host.wait_exit(TIMEOUT).success());
    drop(visitor);
    guest.stderr.wait_for_line("Reconnected", TIMEOUT * 2);
    let late = client(&lan, 3, "dan", &[]);
    late.stderr.wait_for_line("at 10.77.0.2:5000", TIMEOUT);
    late.stderr.wait_for_line("Joined lobby", TIMEOUT);
    send_lines(&mut guest, &["still here"]);
    late.stdout.wait_for_line("still here", TIMEOUT);
}

#[test]
fn several_who_share_at_once_share_one_chat() {
    let Some(lan) = Lan::of(4) else { return };
    // A binder without a chat is no host.
    let _binder = lan.serve(4, BINDER, BINDER_FOR_ALL);
    let mut clients: Vec<_> =
        (1..=3).map(|machine| client(&lan, machine, &format!("u{machine}"), &["--share"])).collect();
    for client in &clients {
        client.stderr.wait_for_line("Joined lobby", TIMEOUT * 2);
    }
    send_lines(&mut clients[1], &["is everybody here"]);
    for listener in [0, 2] {
        clients[listener].stdout.wait_for_line("is everybody here", TIMEOUT);
    }
    let hosts =
        clients.iter().filter(|client| client.stderr.lines().join("\n").contains("The chat is on this machine"));
    assert_eq!(hosts.count(), 1);
}

#[test]
fn a_port_that_another_program_has_is_named() {
    needs!("python3");
    let Some(lan) = Lan::of(1) else { return };
    for (port, share) in [("5000", false), ("9000", false), ("9000", true)] {
        let serve = ["python3", "-u", "-m", "http.server", "--bind", "127.0.0.1"];
        let other = lan.start(1, &serve, &[port]);
        other.stdout.wait_for_line("Serving HTTP", TIMEOUT);
        let mut client = client(&lan, 1, "ana", &[if share { "--share" } else { "--local" }]);
        client.end_input();
        assert_eq!(client.wait_exit(TIMEOUT).code(), Some(1));
        let said = client.stderr.lines();
        let [line] = &said[..] else { panic!("{said:?}") };
        assert!(line.contains(&format!("port {port} is in use")) && line.contains("--server"), "{line}");
    }
}
