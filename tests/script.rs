//! `client send` and `client tail`, as scripts use them, and options from files.

// A failure here fails the test, as it should.
#![allow(clippy::unwrap_used)]

mod support;

use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use support::home::{Home, history};
use support::http::metric;
use support::peer::Usage;
use support::tools::needs;
use support::{ANY_PORT, CLIENT, Process, SERVER, TIMEOUT, eventually, server};

/// Starts a client that sends all of `input` as the user `bot`, from a file.
fn sender(home: &Home, server: &Process, input: &[u8], arguments: &[&str]) -> Process {
    let path = home.0.join("input");
    fs::write(&path, input).unwrap();
    let start = ["send", "--user", "bot", "--room", "ops", "--server", server.address()];
    home.client_reading(fs::File::open(path).unwrap().into(), &[], &[&start, arguments].concat())
}

#[test]
fn what_is_sent_is_tailed_and_standard_output_has_nothing_else() {
    needs!("python3");
    let (home, server) = (Home::new(), server(&[]));
    let place = ["--server", server.address(), "--room", "ops"];
    let mut tail = home.client(&[&["tail"], &place[..]].concat());
    tail.stderr.wait_for_line("Joined ops", TIMEOUT);
    let mut json = home.client(&[&["tail", "--json", "--user", "logger"], &place[..]].concat());
    json.stderr.wait_for_line("Joined ops", TIMEOUT);

    let mut send = home.client(&[&["send", "--user", "bot", "deployed \"v2\""], &place[..]].concat());
    assert!(send.wait_exit(TIMEOUT).success());
    assert_eq!(send.stdout.lines(), [""; 0]);
    let line = tail.stdout.wait_for_line("bot: deployed \"v2\"", TIMEOUT);
    assert!(line.len() == "12:34 bot: deployed \"v2\"".len(), "{line}");
    let object = json.stdout.wait_for_line("deployed", TIMEOUT);
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
    assert!(send.wait_exit(TIMEOUT).success());
    let sent = send.stdout.lines();
    assert!(sent.len() == 2 && sent.iter().all(|line| line.contains("\"confirmed\":true")), "{sent:?}");
    tail.stdout.wait_for_line("bot: two", TIMEOUT);

    for (client, signal) in [(&mut tail, "TERM"), (&mut json, "HUP")] {
        client.signal(signal);
        assert!(client.wait_exit(TIMEOUT).success());
    }
    assert_eq!(tail.stdout.lines().len(), 3, "{:?}", tail.stdout.lines());
    assert_eq!(json.stdout.lines().len(), 3, "{:?}", json.stdout.lines());
}

#[test]
fn times_are_true_wherever_the_server_is() {
    needs!("python3");
    let home = Home::new();
    let abroad: Vec<&str> = ["env", "TZ=<+05>-5"].iter().chain(SERVER).copied().collect();
    let server = Process::serve(&abroad, &["--no-binder", "--listen", ANY_PORT]);
    let place = ["--server", server.address(), "--room", "ops"];
    let json = home.client(&[&["tail", "--json"], &place[..]].concat());
    json.stderr.wait_for_line("Joined ops", TIMEOUT);
    let here: Vec<&str> = ["env", "TZ=UTC"].iter().chain(CLIENT).copied().collect();
    let tail = Process::start(&here, &[&["tail", "--user", "here"], &place[..]].concat());
    tail.stderr.wait_for_line("Joined ops", TIMEOUT);
    let mut send = home.client(&[&["send", "--user", "bot", "x"], &place[..]].concat());
    assert!(send.wait_exit(TIMEOUT).success());
    let object = json.stdout.wait_for_line("bot", TIMEOUT);
    let clock = support::python(
        "import json, sys, datetime as d; m = json.loads(sys.argv[1]); t = d.datetime.fromisoformat(m['time'])\n\
         assert m['time'].endswith('+05:00') and t.microsecond % 1000 == 0 and m['room_id'], m\n\
         assert abs((t - d.datetime.now(d.timezone.utc)).total_seconds()) < 60, m\n\
         print(t.astimezone(d.timezone.utc).strftime('%H:%M'))",
        &[&object],
    );
    tail.stdout.wait_for_line(&format!("{clock} bot: x"), TIMEOUT);
}

#[test]
fn the_exit_code_says_whether_the_server_has_it() {
    let (home, server) = (Home::new(), server(&[]));
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
        assert_eq!(client.wait_exit(TIMEOUT).code(), Some(code), "{arguments:?}");
        let lines = client.stderr.lines();
        assert!(lines.iter().any(|line| line.contains(part)), "{arguments:?}: {lines:?}");
        assert_eq!(client.stdout.lines(), [""; 0], "{arguments:?}");
    }
}

#[test]
fn commands_from_a_pipe_can_be_answered_in_json() {
    let (home, server) = (Home::new(), server(&[]));
    let mut client = home.client(&["--json", "--user", "ana", "--room", "ops", "--server", server.address()]);
    client.send_line("hello");
    client.stdout.wait_for_line(r#""origin":"ana","destination":null,"content":"hello""#, TIMEOUT);
    client.send_line("/whoami");
    client.stderr.wait_for_line("You are ana, in ops.", TIMEOUT);
    client.end_input();
    assert!(client.wait_exit(TIMEOUT).success());
    assert!(client.stdout.lines().iter().all(|line| line.starts_with('{')), "{:?}", client.stdout.lines());
}

#[test]
fn options_come_from_files() {
    let (home, server) = (Home::new(), server(&[]));
    let text = format!("# the office\nserver = {}\nuser = ana\nroom = ops\n", server.address());
    fs::create_dir_all(home.0.join(".config/chat-rpc")).unwrap();
    fs::write(home.0.join(".config/chat-rpc/client.conf"), &text).unwrap();
    let mut client = home.client(&[]);
    client.stderr.wait_for_line("Joined ops", TIMEOUT);
    client.end_input();
    assert!(client.wait_exit(TIMEOUT).success());

    let other = home.0.join("other");
    fs::write(&other, text + "lang = pt\n").unwrap();
    let mut client = home.client(&["--config", other.to_str().unwrap(), "--user", "bob"]);
    client.stderr.wait_for_line("Boas-vindas, bob", TIMEOUT);
    client.end_input();
    assert!(client.wait_exit(TIMEOUT).success());

    fs::write(&other, "usr = ana\n").unwrap();
    for program in [support::BINDER, SERVER, CLIENT] {
        let mut program = Process::start(program, &["--config", other.to_str().unwrap()]);
        assert_eq!(program.wait_exit(TIMEOUT).code(), Some(2));
        program.stderr.wait_for_line("other, line 1: there is no option \"usr\"", TIMEOUT);
    }
}

#[test]
fn an_option_on_the_command_line_takes_the_place_of_its_alternatives_in_a_file() {
    let (home, server) = (Home::new(), server(&[]));
    fs::create_dir_all(home.0.join(".config/chat-rpc")).unwrap();
    fs::write(home.0.join(".config/chat-rpc/client.conf"), "binder = 127.0.0.1:1\nuser = ana\n").unwrap();
    let mut client = home.client(&["--server", server.address(), "--room", "ops"]);
    client.stderr.wait_for_line("Joined ops", TIMEOUT);
    client.end_input();
    assert!(client.wait_exit(TIMEOUT).success());
}

#[test]
fn lines_of_other_systems_end_where_they_end() {
    let (home, server) = (Home::new(), server(&[]));
    assert!(sender(&home, &server, b"one\r\ntwo\r\n", &[]).wait_exit(TIMEOUT).success());
    assert_eq!(history(server.address(), "ops"), ["one", "two"]);
    let mut empty = sender(&home, &server, b"", &["", " "]);
    assert_eq!(empty.wait_exit(TIMEOUT).code(), Some(2));
    empty.stderr.wait_for_line("there is no text to send", TIMEOUT);
}

#[test]
fn ten_thousand_lines_arrive_once_and_in_order() {
    const LIMITS: [&str; 8] = [
        "--message-rate",
        "0",
        "--history-messages",
        "20000",
        "--history-bytes",
        "8000000",
        "--memory-limit",
        "32000000",
    ];
    let home = Home::new();
    let server = Process::serve(SERVER, &[&["--no-binder", "--listen", ANY_PORT], &LIMITS[..]].concat());
    let tail = home.client(&["tail", "--room", "ops", "--server", server.address()]);
    tail.stderr.wait_for_line("Joined ops", TIMEOUT);
    let mut input = String::new();
    for number in 0..10_000 {
        let _ = writeln!(input, "line {number}");
    }
    let mut send = sender(&home, &server, input.as_bytes(), &[]);
    assert!(send.wait_exit(TIMEOUT * 2).success());
    tail.stdout.wait_for_line("bot: line 9999", TIMEOUT);
    let lines = tail.stdout.lines();
    let shown = lines.iter().filter_map(|line| Some(line.split_once("bot: ")?.1));
    assert!(shown.eq(input.lines()), "{} lines", lines.len());
}

#[test]
fn lines_go_out_at_the_pace_of_the_server_while_they_are_read() {
    let home = Home::new();
    let server = Process::serve(
        SERVER,
        &["--no-binder", "--listen", ANY_PORT, "--message-rate", "40", "--registration-rate", "0"],
    );
    let mut yes = Command::new("yes").stdout(Stdio::piped()).spawn().unwrap();
    let input = yes.stdout.take().unwrap();
    let arguments = ["send", "--user", "bot", "--room", "ops", "--server", server.address()];
    let mut send = home.client_reading(input.into(), &[], &arguments);
    eventually("the burst is sent", TIMEOUT, || history(server.address(), "ops").len() >= 50);
    let usage = Usage::of(&send);
    eventually("more is sent", TIMEOUT, || history(server.address(), "ops").len() >= 150);
    assert!(usage.growth_kb() < 5 << 10, "{} kB", usage.growth_kb());
    let faults = metric(&server, "rpc_faults_total{procedure=\"send_message\"}");
    assert_eq!(faults, 0, "none was too fast");
    send.signal("TERM");
    assert_eq!(send.wait_exit(TIMEOUT).code(), Some(1));
    send.stderr.wait_for_line("stopped by a signal after", TIMEOUT);
    yes.kill().unwrap();
    yes.wait().unwrap();
}

#[test]
fn the_first_refusal_ends_it_and_names_the_line() {
    let (home, server) = (Home::new(), server(&[]));
    let input = format!("one\n\n{}\nthree\n", "x".repeat(5000));
    let mut send = sender(&home, &server, input.as_bytes(), &[]);
    assert_eq!(send.wait_exit(TIMEOUT).code(), Some(1));
    let said = send.stderr.wait_for_line("line 3: ", TIMEOUT);
    assert!(said.contains("4096"), "{said}");
    assert_eq!(history(server.address(), "ops"), ["one"]);

    let mut send = sender(&home, &server, format!("two\n{}", "x".repeat(100_000)).as_bytes(), &[]);
    assert_eq!(send.wait_exit(TIMEOUT).code(), Some(1));
    send.stderr.wait_for_line("line 2: the line has more than 65536 bytes", TIMEOUT);
    assert_eq!(history(server.address(), "ops"), ["one", "two"]);
}

#[test]
fn what_is_not_utf8_is_replaced_and_said_once() {
    let (home, server) = (Home::new(), server(&[]));
    let mut send = sender(&home, &server, b"caf\xe9\nplain\n\xff", &[]);
    assert!(send.wait_exit(TIMEOUT).success());
    assert_eq!(history(server.address(), "ops"), ["caf\u{fffd}", "plain", "\u{fffd}"]);
    let said = send.stderr.lines().iter().filter(|line| line.contains("UTF-8")).count();
    assert_eq!(said, 1);
}

#[test]
fn a_text_for_one_user_reaches_only_that_user() {
    let (home, server) = (Home::new(), server(&[]));
    let place = ["--server", server.address(), "--room", "ops"];
    let tails = ["ana", "bob"].map(|user| {
        let tail = home.client(&[&["tail", "--user", user], &place[..]].concat());
        tail.stderr.wait_for_line("Joined ops", TIMEOUT);
        tail
    });
    let exit_code = |arguments: &[&str]| {
        let mut send = home.client(&[&["send", "--user", "bot"], &place[..], arguments].concat());
        send.wait_exit(TIMEOUT).code()
    };
    assert_eq!(exit_code(&["@ana hi"]), Some(2), "it could be meant for ana alone");
    assert_eq!(exit_code(&["--to", "ana", "--all", "hi"]), Some(2));
    assert_eq!(exit_code(&["--to", "nobody", "hi"]), Some(1));
    assert_eq!(exit_code(&["--to", "ana", "@ana hi"]), Some(0));
    assert_eq!(exit_code(&["--all", "@all: hello"]), Some(0));
    for tail in &tails {
        tail.stdout.wait_for_line("bot: @all: hello", TIMEOUT);
    }
    assert!(tails[0].stdout.lines()[0].ends_with("bot (private): @ana hi"), "{:?}", tails[0].stdout.lines());
    assert_eq!(tails[1].stdout.lines().len(), 1);

    let mut lines = sender(&home, &server, b"one\n@ana two\n", &[]);
    assert_eq!(lines.wait_exit(TIMEOUT).code(), Some(1));
    lines.stderr.wait_for_line("line 2: the text begins with @", TIMEOUT);
    let mut lines = sender(&home, &server, b"@ana three\n", &["--all"]);
    assert!(lines.wait_exit(TIMEOUT).success());
    tails[1].stdout.wait_for_line("bot: @ana three", TIMEOUT);
}

#[test]
fn clients_that_come_to_a_new_room_at_the_same_moment_are_all_in_it() {
    let home = Home::new();
    for _ in 0..3 {
        let server = server(&[]);
        let place = ["--server", server.address(), "--room", "ops"];
        let senders: Vec<_> = (0..8)
            .map(|number| home.client(&[&["send", "--user", &format!("bot-{number}")], &place[..], &["x"]].concat()))
            .collect();
        for mut sender in senders {
            assert!(sender.wait_exit(TIMEOUT).success());
        }
        assert_eq!(history(server.address(), "ops").len(), 8);
    }
}

#[test]
fn tail_shows_what_was_said_before_and_ends_after_a_count() {
    let (home, server) = (Home::new(), server(&[]));
    let place = ["--server", server.address(), "--room", "ops"];
    let input: String = (0..60).map(|number| format!("line {number}\n")).collect();
    assert!(sender(&home, &server, input.as_bytes(), &[]).wait_exit(TIMEOUT).success());
    let tail = |arguments: &[&str]| home.client(&[&["tail"], &place[..], arguments].concat());
    let shown = |tail: &Process| -> Vec<String> {
        tail.stdout.lines().iter().map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect()
    };
    let mut last = tail(&["--history", "2", "--count", "2"]);
    assert!(last.wait_exit(TIMEOUT).success());
    assert_eq!(shown(&last), ["58", "59"]);
    let mut first = tail(&["--history", "100", "--count", "3"]);
    assert!(first.wait_exit(TIMEOUT).success());
    assert_eq!(shown(&first), ["0", "1", "2"], "more than come with joining, and no more than the count");
    let mut next = tail(&["--count", "1"]);
    next.stderr.wait_for_line("Joined ops", TIMEOUT);
    assert!(sender(&home, &server, b"line 60\nline 61\n", &[]).wait_exit(TIMEOUT).success());
    assert!(next.wait_exit(TIMEOUT).success());
    assert_eq!(shown(&next), ["60"]);
}

#[test]
fn tail_keeps_a_log_and_runs_the_command_for_mentions() {
    let (home, server) = (Home::new(), server(&[]));
    let place = ["--server", server.address(), "--room", "ops"];
    let (log, called) = (home.0.join("log"), home.0.join("called"));
    let command = format!("touch {}", called.display());
    let extras = ["--user", "ana", "--log", log.to_str().unwrap(), "--on-mention", &command];
    for json in [&[][..], &["--json"]] {
        let mut tail = home.client(&[&["tail"], &place[..], &extras[..], json].concat());
        tail.stderr.wait_for_line("Joined ops", TIMEOUT);
        assert!(sender(&home, &server, b"nobody is meant\nlook here, ana\n", &[]).wait_exit(TIMEOUT).success());
        eventually("the command has run", TIMEOUT, || called.exists());
        tail.stdout.wait_for("both", TIMEOUT, |lines| (lines.len() >= 2).then_some(()));
        tail.signal("TERM");
        assert!(tail.wait_exit(TIMEOUT).success());
        let logged = fs::read_to_string(&log).unwrap();
        for text in ["bot: nobody is meant", "bot (mentions you): look here, ana"] {
            assert_eq!(logged.matches(text).count(), 1, "{json:?}: {logged}");
        }
        fs::remove_file(&log).unwrap();
        fs::remove_file(&called).unwrap();
    }
}

#[test]
fn tail_ends_quietly_as_soon_as_nobody_reads_it() {
    let (home, server) = (Home::new(), server(&[]));
    let script = format!("\"$0\" tail --server {} --room ops | head -1; echo ended", server.address());
    let home_variable = format!("HOME={}", home.0.display());
    let line = ["env", "-u", "XDG_STATE_HOME", "LC_ALL=C", &home_variable, "sh", "-c", &script, CLIENT[0]];
    let pipeline = Process::start(&line, &[""; 0]);
    pipeline.stderr.wait_for_line("Joined ops", TIMEOUT);
    assert!(sender(&home, &server, b"only one\n", &[]).wait_exit(TIMEOUT).success());
    pipeline.stdout.wait_for_line("bot: only one", TIMEOUT);
    pipeline.stdout.wait_for_line("ended", TIMEOUT);
    assert!(!pipeline.stderr.lines().iter().any(|line| line.starts_with("client: ")), "{:?}", pipeline.stderr.lines());
}

#[test]
fn a_second_signal_ends_a_client_whose_output_is_stuck() {
    let (home, server) = (Home::new(), server(&[]));
    let input: String = (0..50).map(|_| format!("{}\n", "x".repeat(4000))).collect();
    assert!(sender(&home, &server, input.as_bytes(), &[]).wait_exit(TIMEOUT).success());
    let mut tail = Command::new(CLIENT[0])
        .args(["tail", "--json", "--history", "500", "--room", "ops", "--server", server.address()])
        .env("HOME", &home.0)
        .env_remove("XDG_STATE_HOME")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // A pipe holds 64 KiB.
    eventually("its output is stuck", TIMEOUT, || {
        let waits = fs::read_to_string(format!("/proc/{}/wchan", tail.id())).unwrap_or_default();
        waits.contains("pipe_write")
            || fs::read_to_string(format!("/proc/{}/syscall", tail.id())).unwrap_or_default().starts_with("1 0x1 ")
    });
    // The first one asks it to end, which it cannot while it writes. Two at the same moment are one.
    eventually("a second signal ends it", TIMEOUT, || {
        assert!(Command::new("kill").args(["-TERM", &tail.id().to_string()]).status().unwrap().success());
        std::thread::sleep(Duration::from_millis(300));
        tail.try_wait().unwrap().is_some()
    });
    drop(tail.stdout.take());
}

#[test]
fn a_person_at_a_terminal_sees_how_far_many_lines_are() {
    needs!("python3");
    let home = Home::new();
    let options = ["--no-binder", "--listen", ANY_PORT, "--message-rate", "5", "--message-burst", "1"];
    let server = Process::serve(SERVER, &options);
    let script = "\
import os, pty, subprocess, sys
client, server, home = sys.argv[1:]
terminal, end = pty.openpty()
environment = dict(os.environ, HOME=home, LC_ALL='C')
environment.pop('XDG_STATE_HOME', None)
sending = subprocess.Popen([client, 'send', '--user', 'bot', '--room', 'ops', '--server', server],
                           stdin=subprocess.PIPE, stderr=end, env=environment)
os.close(end)
sending.stdin.write(b''.join(b'line %d\\n' % number for number in range(20)))
sending.stdin.close()
seen = b''
try:
    while part := os.read(terminal, 4096):
        seen += part
except OSError:
    pass
assert sending.wait() == 0, seen
assert b'lines sent; the server takes 5 a second' in seen, seen
assert seen.endswith(b'\\r\\x1b[K'), seen
";
    support::python(script, &[CLIENT[0], server.address(), home.0.to_str().unwrap()]);
}
