//! `client send` and `client tail`, as scripts use them, and options from files.

// What fails here fails a test, and that is how it says so.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;

use support::home::Home;
use support::{ANY_PORT, CLIENT, PATIENCE, Program, SERVER};

impl Home {
    fn client(&self, arguments: &[&str]) -> Program {
        let home = format!("HOME={}", self.0.display());
        let clear = ["env", "-u", "CHAT_SECRET", "-u", "XDG_STATE_HOME", "-u", "XDG_CONFIG_HOME", "LC_ALL=C", &home];
        Program::start(&[&clear[..], CLIENT].concat(), arguments)
    }
}

fn server() -> Program {
    Program::serve(SERVER, &["--no-binder", "--listen", ANY_PORT])
}

#[test]
fn what_is_sent_is_tailed_and_standard_output_has_nothing_else() {
    let (home, server) = (Home::new(), server());
    let place = ["--server", server.address(), "--room", "ops"];
    let mut tail = home.client(&[&["tail"], &place[..]].concat());
    tail.stderr.wait_for_line("Joined ops", PATIENCE);
    let mut json = home.client(&[&["tail", "--json", "--user", "logger"], &place[..]].concat());
    json.stderr.wait_for_line("Joined ops", PATIENCE);

    let mut send = home.client(&[&["send", "--user", "bot", "deployed \"v2\""], &place[..]].concat());
    assert!(send.wait_exit(PATIENCE).success());
    assert_eq!(send.stdout.lines(), [""; 0]);
    let line = tail.stdout.wait_for_line("bot: deployed \"v2\"", PATIENCE);
    assert!(line.len() == "12:34 bot: deployed \"v2\"".len(), "{line}");
    let object = json.stdout.wait_for_line("deployed", PATIENCE);
    let object = support::python(
        "import json, sys; m = json.loads(sys.argv[1]); print(m['room'], m['id'], m['origin'], m['destination'], m['content'])",
        &[&object],
    );
    assert_eq!(object, "ops 1 bot None deployed \"v2\"");

    // Each line of standard input is a message.
    let mut send = home.client(&[&["send", "--user", "bot", "--json"], &place[..]].concat());
    send.send_line("one");
    send.send_line("two");
    send.end_input();
    assert!(send.wait_exit(PATIENCE).success());
    let sent = send.stdout.lines();
    assert!(sent.len() == 2 && sent.iter().all(|line| line.contains("\"confirmed\":true")), "{sent:?}");
    tail.stdout.wait_for_line("bot: two", PATIENCE);

    for client in [&mut tail, &mut json] {
        client.signal("TERM");
        assert!(client.wait_exit(PATIENCE).success());
    }
    assert_eq!(tail.stdout.lines().len(), 3, "{:?}", tail.stdout.lines());
    assert_eq!(json.stdout.lines().len(), 3, "{:?}", json.stdout.lines());
}

#[test]
fn times_are_true_wherever_the_server_is() {
    let home = Home::new();
    let abroad: Vec<&str> = ["env", "TZ=<+05>-5"].iter().chain(SERVER).copied().collect();
    let server = Program::serve(&abroad, &["--no-binder", "--listen", ANY_PORT]);
    let place = ["--server", server.address(), "--room", "ops"];
    let json = home.client(&[&["tail", "--json"], &place[..]].concat());
    json.stderr.wait_for_line("Joined ops", PATIENCE);
    let here: Vec<&str> = ["env", "TZ=UTC"].iter().chain(CLIENT).copied().collect();
    let tail = Program::start(&here, &[&["tail", "--user", "here"], &place[..]].concat());
    tail.stderr.wait_for_line("Joined ops", PATIENCE);
    let mut send = home.client(&[&["send", "--user", "bot", "x"], &place[..]].concat());
    assert!(send.wait_exit(PATIENCE).success());
    let object = json.stdout.wait_for_line("bot", PATIENCE);
    let clock = support::python(
        "import json, sys, datetime as d; m = json.loads(sys.argv[1]); t = d.datetime.fromisoformat(m['time'])\n\
         assert m['time'].endswith('+05:00') and t.microsecond % 1000 == 0 and m['room_id'], m\n\
         assert abs((t - d.datetime.now(d.timezone.utc)).total_seconds()) < 60, m\n\
         print(t.astimezone(d.timezone.utc).strftime('%H:%M'))",
        &[&object],
    );
    tail.stdout.wait_for_line(&format!("{clock} bot: x"), PATIENCE);
}

#[test]
fn the_exit_code_says_whether_the_server_has_it() {
    let (home, server) = (Home::new(), server());
    let too_long = "x".repeat(5000);
    for (arguments, code, part) in [
        (&["send", "--user", "bot", "--room", "ops", "--server", "127.0.0.1:1", "x"][..], 1, "cannot be reached"),
        (&["send", "--user", "bot", "--room", "ops", "--server", server.address(), &too_long], 1, "4096"),
        (&["send", "--user", "bot", "--server", server.address(), "x"], 2, "--room is needed"),
        (&["send", "--room", "ops", "--server", server.address(), "x"], 2, "--user is needed"),
        (&["tial"], 2, "tial"),
        (&["tail", "--room", "no\u{1b}room", "--server", server.address()], 1, "room name"),
        (&["--color", "pink"], 2, "--color"),
        (&["--lang", "xx"], 2, "--lang"),
    ] {
        let mut client = home.client(arguments);
        assert_eq!(client.wait_exit(PATIENCE).code(), Some(code), "{arguments:?}");
        let lines = client.stderr.lines();
        assert!(lines.iter().any(|line| line.contains(part)), "{arguments:?}: {lines:?}");
        assert_eq!(client.stdout.lines(), [""; 0], "{arguments:?}");
    }
}

#[test]
fn commands_from_a_pipe_can_be_answered_in_json() {
    let (home, server) = (Home::new(), server());
    let mut client = home.client(&["--json", "--user", "ana", "--room", "ops", "--server", server.address()]);
    client.send_line("hello");
    client.stdout.wait_for_line(r#""origin":"ana","destination":null,"content":"hello""#, PATIENCE);
    client.send_line("/whoami");
    client.stderr.wait_for_line("You are ana, in ops.", PATIENCE);
    client.end_input();
    assert!(client.wait_exit(PATIENCE).success());
    assert!(client.stdout.lines().iter().all(|line| line.starts_with('{')), "{:?}", client.stdout.lines());
}

#[test]
fn options_come_from_files() {
    let (home, server) = (Home::new(), server());
    let text = format!("# the office\nserver = {}\nuser = ana\nroom = ops\n", server.address());
    fs::create_dir_all(home.0.join(".config/chat-rpc")).unwrap();
    fs::write(home.0.join(".config/chat-rpc/client.conf"), &text).unwrap();
    let mut client = home.client(&[]);
    client.stderr.wait_for_line("Joined ops", PATIENCE);
    client.end_input();
    assert!(client.wait_exit(PATIENCE).success());

    let other = home.0.join("other");
    fs::write(&other, text + "lang = pt\n").unwrap();
    let mut client = home.client(&["--config", other.to_str().unwrap(), "--user", "bob"]);
    client.stderr.wait_for_line("Boas-vindas, bob", PATIENCE);
    client.end_input();
    assert!(client.wait_exit(PATIENCE).success());

    fs::write(&other, "usr = ana\n").unwrap();
    for program in [support::BINDER, SERVER, CLIENT] {
        let mut program = Program::start(program, &["--config", other.to_str().unwrap()]);
        assert_eq!(program.wait_exit(PATIENCE).code(), Some(2));
        program.stderr.wait_for_line("other, line 1: there is no option \"usr\"", PATIENCE);
    }
}
