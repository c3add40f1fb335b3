//! The client as a person meets it: the real program on a real pseudo-terminal, and what a terminal emulator shows of it.

// What fails here fails a test, and that is how it says so.
#![allow(clippy::expect_used, clippy::print_stderr, clippy::unwrap_used)]

mod support;

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chat_rpc::rpc::Client;
use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};
use rustix::termios::{LocalModes, tcgetattr};
use support::home::Home;
use support::tools::needs;
use support::{ANY_PORT, CLIENT, Process, SERVER, TIMEOUT, eventually};

const UP: &str = "\x1b[A";
const LEFT: &str = "\x1b[D";
const ENTER: &str = "\r";
const BACKSPACE: &str = "\x7f";
const TAB: &str = "\t";
const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";

/// A chat server and the clients' files.
struct Chat {
    server: Process,
    home: Home,
}

impl Chat {
    fn new() -> Self {
        Self {
            server: Process::serve(SERVER, &["--no-binder", "--listen", ANY_PORT, "--message-rate", "0"]),
            home: Home::new(),
        }
    }

    /// A client in the room `lobby` on a screen of 80 by 24.
    #[track_caller]
    fn client(&self, user: &str) -> Screen {
        self.client_with(user, &[], &[], (80, 24))
    }

    /// The same with more arguments and variables, on a screen of `size`.
    #[track_caller]
    fn client_with(&self, user: &str, arguments: &[&str], variables: &[(&str, &str)], size: (u16, u16)) -> Screen {
        let screen = self.start(&[&["--user", user, "--room", "lobby"], arguments].concat(), variables, size);
        screen.wait("the room", |screen| screen.text().contains("@lob"));
        screen
    }

    #[track_caller]
    fn start(&self, arguments: &[&str], variables: &[(&str, &str)], (columns, rows): (u16, u16)) -> Screen {
        let (pty, terminal) = open().expect("the system has pseudo-terminals");
        pty.resize(Size::new(rows, columns)).expect("a pseudo-terminal has a size");
        let child = Command::new(CLIENT[0])
            .args(["--server", self.server.address()])
            .args(arguments)
            .env_clear()
            .env("TERM", "xterm-256color")
            .env("HOME", &self.home.0)
            .envs(variables.iter().copied())
            .spawn(terminal)
            .expect("the client starts");
        Screen::new(pty, child, rows, columns)
    }

    /// Says something as a user with a program of their own.
    #[track_caller]
    fn say(&self, user: &str, texts: &[&str]) {
        let client = Client::new(self.server.address());
        // Registered by whoever speaks first.
        let _ = client.call("register_user", &[user.into()]);
        client.call("join_room", &[user.into(), "lobby".into()]).expect("the room is there");
        for text in texts {
            client.call("send_message", &[user.into(), "lobby".into(), (*text).into()]).expect("it is taken");
        }
    }
}

/// A client on a pseudo-terminal, and the emulator that reads it.
struct Screen {
    pty: Arc<Pty>,
    child: Child,
    shared: Arc<(Mutex<Seen>, Condvar)>,
}

struct Seen {
    emulator: vt100::Parser,
    bytes: Vec<u8>,
}

impl Seen {
    /// The rows that are not empty.
    fn rows(&self) -> Vec<String> {
        let screen = self.emulator.screen();
        let rows = screen.rows(0, screen.size().1).map(|row| row.trim_end().to_owned());
        rows.filter(|row| !row.is_empty()).collect()
    }

    fn text(&self) -> String {
        self.rows().join("\n")
    }

    /// The last row, which has the prompt.
    fn last(&self) -> String {
        self.rows().pop().unwrap_or_default()
    }

    fn count(&self, text: &str) -> usize {
        self.rows().iter().filter(|row| row.contains(text)).count()
    }

    /// The colour of the first character of `text`.
    fn color(&self, text: &str) -> vt100::Color {
        let screen = self.emulator.screen();
        for row in 0..screen.size().0 {
            for column in 0..screen.size().1 {
                let here: String = (column..screen.size().1)
                    .filter_map(|column| screen.cell(row, column))
                    .map(|cell| if cell.has_contents() { cell.contents() } else { " " })
                    .collect();
                if here.starts_with(text) {
                    return screen.cell(row, column).expect("it is on the screen").fgcolor();
                }
            }
        }
        panic!("there is no {text:?}");
    }
}

impl Screen {
    fn new(pty: Pty, child: Child, rows: u16, columns: u16) -> Self {
        let seen = Seen { emulator: vt100::Parser::new(rows, columns, 1000), bytes: Vec::new() };
        let shared = Arc::new((Mutex::new(seen), Condvar::new()));
        let pty = Arc::new(pty);
        let (reader, writer) = (Arc::clone(&pty), Arc::clone(&shared));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // It ends with an error when the client has gone.
            while let Ok(count @ 1..) = (&*reader).read(&mut buffer) {
                let mut seen = lock(&writer.0);
                for byte in &buffer[..count] {
                    seen.emulator.process(&[*byte]);
                    seen.bytes.push(*byte);
                    // As a terminal says where its cursor is.
                    if seen.bytes.ends_with(b"\x1b[6n") {
                        let (row, column) = seen.emulator.screen().cursor_position();
                        let _ = (&*reader).write_all(format!("\x1b[{};{}R", row + 1, column + 1).as_bytes());
                    }
                }
                writer.1.notify_all();
            }
        });
        Self { pty, child, shared }
    }

    /// Types.
    fn keys(&self, keys: &[&str]) {
        (&*self.pty).write_all(keys.concat().as_bytes()).expect("the terminal takes keys");
    }

    /// Types a line.
    fn line(&self, text: &str) {
        self.keys(&[text, ENTER]);
    }

    /// Pastes, as terminals do it for programs that ask for it.
    fn paste(&self, text: &str) {
        self.keys(&["\x1b[200~", &text.replace('\n', "\r"), "\x1b[201~"]);
    }

    fn resize(&self, columns: u16, rows: u16) {
        lock(&self.shared.0).emulator.screen_mut().set_size(rows, columns);
        self.pty.resize(Size::new(rows, columns)).unwrap();
    }

    /// Waits until the screen shows what is wanted.
    #[track_caller]
    fn wait(&self, what: &str, mut shows: impl FnMut(&Seen) -> bool) {
        let deadline = Instant::now() + TIMEOUT;
        let mut seen = lock(&self.shared.0);
        while !shows(&seen) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the screen does not show {what}:\n{}\n---\n{:?}", seen.text(), seen.last());
            seen = self.shared.1.wait_timeout(seen, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    #[track_caller]
    fn wait_for(&self, text: &str) {
        self.wait(&format!("{text:?}"), |seen| seen.text().contains(text));
    }

    /// Waits until the last row, the prompt, is this.
    #[track_caller]
    fn wait_for_prompt(&self, row: &str) {
        self.wait(&format!("the prompt {row:?}"), |seen| seen.last() == row.trim_end());
    }

    fn look<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&lock(&self.shared.0))
    }

    #[track_caller]
    fn wait_exit(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the client ends", TIMEOUT, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Whether the terminal works as before: it echoes, and edits lines by itself.
    fn is_restored(&self) -> bool {
        let modes = tcgetattr(&*self.pty).unwrap().local_modes;
        modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the screen\n{}\n---", self.look(Seen::text));
        }
    }
}

/// A failed wait poisons the mutex, and what the screen shows is still to be printed.
fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The text of a row after the time of day.
fn said(row: &str) -> &str {
    row.get(5..).unwrap_or_default()
}

#[test]
fn messages_appear_above_the_line_that_is_typed() {
    let chat = Chat::new();
    let (ana, bob) = (chat.client("ana"), chat.client("bob"));
    ana.wait_for("ana@lobby>");
    ana.keys(&["half a li"]);
    ana.wait_for_prompt("ana@lobby> half a li");
    bob.line("hello ana");
    bob.wait_for("✓<bob> hello ana");
    ana.wait_for("!<bob> hello ana");
    ana.wait_for_prompt("ana@lobby> half a li");
    ana.keys(&["e", LEFT, "n", ENTER]);
    ana.wait_for("✓<ana> half a line");
    bob.wait_for(" <ana> half a line");
    ana.wait_for_prompt("ana@lobby>");
    // The typed line has become the message.
    assert_eq!(ana.look(|seen| seen.count("half a line")), 1);

    bob.line("@ana just for you");
    ana.wait_for(" [bob → ana] just for you");
    ana.line("/reply thank you");
    ana.wait_for("✓[ana → bob] thank you");
    bob.wait_for(" [ana → bob] thank you");
    assert_eq!(ana.look(|seen| seen.count("thank you")), 1);
}

#[test]
fn a_busy_room_does_not_damage_the_line() {
    let chat = Chat::new();
    let ana = chat.client("ana");
    let texts: Vec<String> = (0..40).map(|number| format!("message number {number}.")).collect();
    let said_by_bob: Vec<&str> = texts.iter().map(String::as_str).collect();
    let typed = "the quick brown fox jumps over the lazy dog while everybody else talks and talks";
    std::thread::scope(|scope| {
        scope.spawn(|| chat.say("bob", &said_by_bob));
        for (at, letter) in typed.char_indices() {
            ana.keys(&[&letter.to_string()]);
            if at % 4 == 0 {
                std::thread::yield_now();
            }
        }
    });
    ana.wait_for("message number 39.");
    ana.wait("the whole line", |seen| seen.text().contains("everybody else") && seen.last().ends_with("talks"));
    let rows = ana.look(Seen::rows);
    let messages: Vec<_> = rows.iter().filter(|row| row.contains("message number")).cloned().collect();
    let last: Vec<_> = texts.iter().skip(texts.len() - messages.len()).map(|text| format!(" <bob> {text}")).collect();
    assert!(messages.len() > 15, "{rows:#?}");
    assert_eq!(messages.iter().map(|row| said(row).to_owned()).collect::<Vec<_>>(), last);
    assert_eq!(ana.look(|seen| seen.count("ana@lobby>")), 1, "{rows:#?}");
    ana.keys(&[ENTER]);
    ana.wait_for("✓<ana> the quick brown fox");
    ana.wait_for_prompt("ana@lobby>");
}

#[test]
fn another_size_keeps_the_line_whole() {
    let chat = Chat::new();
    let ana = chat.client("ana");
    ana.wait_for_prompt("ana@lobby>");
    ana.keys(&["a line that needs two rows on a narrow screen"]);
    ana.wait_for_prompt("ana@lobby> a line that needs two rows on a narrow screen");
    ana.resize(40, 24);
    chat.say("bob", &["one", "two words and some more, so that this is wrapped"]);
    ana.wait_for("narrow screen");
    ana.wait_for("<bob> two words and some more,");
    let rows = ana.look(Seen::rows);
    assert!(rows.iter().all(|row| row.chars().count() <= 40), "{rows:#?}");
    ana.resize(80, 24);
    chat.say("bob", &["three"]);
    ana.wait_for("<bob> three");
    ana.keys(&[ENTER]);
    ana.wait_for("✓<ana> a line that needs two rows on a narrow screen");
    ana.wait_for_prompt("ana@lobby>");
}

/// Widths that a line of 120 characters takes one row to seven rows in, in small steps and in jumps.
const WIDTHS: [u16; 16] = [79, 78, 66, 60, 40, 39, 21, 20, 22, 45, 100, 101, 200, 33, 150, 80];

/// On a terminal that cuts lines off: the emulator does, as xterm does. How widths follow each other in other terminals, all
/// 32,761 pairs of them are tried beside the code.
#[test]
fn no_resize_erases_a_message() {
    let chat = Chat::new();
    let ana = chat.client("ana");
    ana.wait_for_prompt("ana@lobby>");
    chat.say("bob", &["m1", "m2", "m3"]);
    ana.wait_for("<bob> m3");
    ana.keys(&[&"x".repeat(117), "END"]);
    ana.wait("the line", |seen| seen.last().ends_with("END"));
    for columns in WIDTHS {
        ana.resize(columns, 24);
        ana.wait("the line", |seen| seen.last().ends_with("END"));
        ana.keys(&["!", BACKSPACE]);
        let rows = ana.look(Seen::rows);
        let messages: Vec<_> = rows.iter().filter(|row| row.contains("<bob> m")).map(|row| said(row)).collect();
        assert_eq!(messages, [" <bob> m1", " <bob> m2", " <bob> m3"], "{columns}: {rows:#?}");
    }
    ana.keys(&[ENTER]);
    ana.wait_for("✓<ana> xxx");
}

/// On a terminal that wraps lines anew.
#[test]
fn in_tmux_no_resize_erases_a_message() {
    needs!("tmux");
    let chat = Chat::new();
    let socket = chat.home.0.join("tmux");
    let tmux = |arguments: &[&str]| {
        let mut command = std::process::Command::new("tmux");
        command.arg("-S").arg(&socket).arg("-f").arg("/dev/null").args(arguments).env_remove("TMUX");
        command.env("HOME", &chat.home.0).env("LANG", "C.UTF-8");
        command.output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let client = format!("{} --server {} --user ana --room lobby", CLIENT[0], chat.server.address());
    tmux(&["new-session", "-d", "-s", "test", "-x", "80", "-y", "24", &client]).unwrap();
    let screen = || tmux(&["capture-pane", "-p", "-t", "test", "-S", "-100"]).unwrap();
    let shows = |text: &str| eventually(text, TIMEOUT, || screen().replace('\n', "").contains(text));
    shows("ana@lobby>");
    chat.say("bob", &["m1", "m2", "m3"]);
    shows("<bob> m3");
    tmux(&["send-keys", "-t", "test", "-l", &format!("{}END", "x".repeat(117))]).unwrap();
    shows("xEND");
    for columns in WIDTHS {
        tmux(&["resize-window", "-t", "test", "-x", &columns.to_string(), "-y", "24"]).unwrap();
        let mut text = String::new();
        // Where sizes follow each other faster than the client hears of them, a copy of the prompt may stay.
        eventually("the line", TIMEOUT, || {
            text = screen();
            text.replace('\n', "").trim_end().ends_with("END")
        });
        assert_eq!(text.matches("<bob> m").count(), 3, "{columns}:\n{text}");
    }
    tmux(&["send-keys", "-t", "test", "Enter"]).unwrap();
    shows("✓<ana> xxx");
    let text = screen();
    assert_eq!(text.matches("<bob> m").count(), 3, "{text}");
    let _ = tmux(&["kill-server"]);
}

#[test]
fn twenty_columns_are_enough() {
    let chat = Chat::new();
    let ana = chat.client_with("ana", &[], &[], (20, 24));
    chat.say("bob", &["the quick brown fox jumps", "Donaudampfschifffahrt", "漢字漢字漢字漢字漢字"]);
    ana.wait_for("漢字");
    let text = ana.look(Seen::text);
    for row in
        ["<bob> the", "    quick brown fox", "    jumps", "<bob> Donauda", "    mpfschifffahrt", "    字漢字漢字漢字"]
    {
        assert!(text.contains(row), "{row:?} in\n{text}");
    }
    ana.wait_for_prompt("ana@lob…>");
    ana.line("hello all");
    ana.wait_for("✓<ana> hello");
    ana.wait_for("    all");
}

#[test]
fn more_than_three_pasted_lines_are_sent_only_when_asked() {
    let chat = Chat::new();
    let (ana, bob) = (chat.client("ana"), chat.client("bob"));
    ana.wait_for_prompt("ana@lobby>");
    ana.paste("one\nexit\nthree");
    ana.keys(&[ENTER]);
    bob.wait_for("<ana> three");
    // What is pasted with other lines is no command.
    bob.wait_for("<ana> exit");
    ana.wait_for_prompt("ana@lobby>");
    ana.paste("1st\n2nd\n3rd\n4th");
    ana.keys(&[ENTER]);
    ana.wait_for_prompt("Send these 4 lines? [y/N]");
    ana.line("n");
    ana.wait_for("Not sent.");
    ana.wait_for_prompt("ana@lobby>");
    ana.paste("5th\n6th\n7th\n8th");
    ana.keys(&[ENTER]);
    ana.wait_for_prompt("Send these 4 lines? [y/N]");
    ana.line("y");
    bob.wait_for("<ana> 8th");
    assert_eq!(bob.look(|seen| seen.count("1st")), 0);
    ana.wait_for_prompt("ana@lobby>");
    assert_eq!(ana.look(|seen| seen.count("✓<ana> 8th")), 1);
}

#[test]
fn what_is_typed_ahead_is_not_lost() {
    let chat = Chat::new();
    let ana = chat.client("ana");
    ana.wait_for_prompt("ana@lobby>");
    // A terminal without bracketed paste sends the lines like keys.
    ana.keys(&["one\rtwo\rthree\rfour"]);
    ana.wait_for("✓<ana> three");
    ana.wait_for_prompt("ana@lobby> four");
}

#[test]
fn ctrl_c_drops_the_line_and_leaves_when_it_is_pressed_twice() {
    let chat = Chat::new();
    let mut ana = chat.client("ana");
    ana.wait_for_prompt("ana@lobby>");
    ana.keys(&["never mind"]);
    ana.wait_for_prompt("ana@lobby> never mind");
    ana.keys(&[CTRL_C]);
    ana.wait_for_prompt("ana@lobby>");
    ana.keys(&[CTRL_C]);
    ana.wait_for("Press Ctrl-C again within 2 seconds to leave.");
    // Later than that it is the first one again.
    std::thread::sleep(Duration::from_millis(2100));
    ana.keys(&[CTRL_C]);
    ana.wait("the hint again", |seen| seen.count("Press Ctrl-C again") == 2);
    ana.keys(&[CTRL_C]);
    assert!(ana.wait_exit().success());
    assert!(ana.is_restored());
    let outside = Client::new(chat.server.address());
    outside.call("register_user", &["ana".into()]).expect("the name is free");
}

#[test]
fn a_question_is_ended_by_ctrl_c_and_ctrl_d_and_the_client_is_not() {
    let chat = Chat::new();
    let ana = chat.client("ana");
    ana.wait_for_prompt("ana@lobby>");
    for keys in [CTRL_C, CTRL_D] {
        ana.line("send");
        ana.wait_for_prompt("Message:");
        ana.keys(&["half", keys]);
        // In a line that has been begun, Ctrl-D deletes a character, as in every editor.
        if keys == CTRL_D {
            ana.keys(&["\x15", CTRL_D]);
        }
        ana.wait_for_prompt("ana@lobby>");
        ana.paste("1st\n2nd\n3rd\n4th");
        ana.keys(&[ENTER]);
        ana.wait_for_prompt("Send these 4 lines? [y/N]");
        ana.keys(&[keys]);
        ana.wait_for_prompt("ana@lobby>");
    }
    assert_eq!(ana.look(|seen| seen.count("Not sent.")), 2);
    ana.line("still here");
    ana.wait_for("✓<ana> still here");
    assert_eq!(ana.look(|seen| seen.count("✓")), 1);
}

#[test]
fn plain_lines_end_questions_and_the_client_likewise() {
    let chat = Chat::new();
    let mut ana = chat.client_with("ana", &["--plain"], &[], (80, 24));
    ana.wait_for_prompt("ana@lobby>");
    ana.line("send");
    ana.wait_for_prompt("Message:");
    ana.keys(&[CTRL_C]);
    ana.wait("the prompt", |seen| seen.last().ends_with("ana@lobby>"));
    ana.keys(&[CTRL_C]);
    ana.wait_for("Press Ctrl-C again within 2 seconds to leave.");
    ana.keys(&[CTRL_C]);
    assert!(ana.wait_exit().success());
}

#[test]
fn ctrl_c_twice_leaves_a_server_that_does_not_reply() {
    let chat = Chat::new();
    let mut ana = chat.client("ana");
    ana.wait_for_prompt("ana@lobby>");
    chat.server.signal("STOP");
    ana.line("/list");
    ana.wait_for("ana@lobby> /list");
    let started = Instant::now();
    eventually("the client ends", TIMEOUT, || {
        ana.keys(&[CTRL_C]);
        std::thread::sleep(Duration::from_millis(50));
        ana.child.try_wait().unwrap().is_some()
    });
    assert!(ana.wait_exit().success());
    assert!(ana.is_restored());
    assert!(started.elapsed() < Duration::from_secs(9), "a call takes ten: {:?}", started.elapsed());
    chat.server.signal("CONT");
}

#[test]
fn ctrl_d_and_exit_leave() {
    let chat = Chat::new();
    for (user, keys) in [("ana", CTRL_D), ("bob", "exit\r"), ("eva", "/q\r")] {
        let mut client = chat.client(user);
        client.wait_for_prompt(&format!("{user}@lobby>"));
        client.keys(&[keys]);
        assert!(client.wait_exit().success());
        assert!(client.is_restored());
        let outside = Client::new(chat.server.address());
        outside.call("register_user", &[user.into()]).expect("the name is free");
    }
}

#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    let chat = Chat::new();
    let mut ana = chat.client("ana");
    ana.wait_for_prompt("ana@lobby>");
    ana.keys(&["half a li"]);
    ana.wait_for_prompt("ana@lobby> half a li");
    assert!(!ana.is_restored(), "the editor reads keys");
    let status = std::process::Command::new("sh").args(["-c", &format!("kill -TERM {}", ana.child.id())]).status();
    assert!(status.unwrap().success());
    assert!(ana.wait_exit().success());
    assert!(ana.is_restored());
    ana.wait("its former modes", |seen| !seen.emulator.screen().bracketed_paste());
    let outside = Client::new(chat.server.address());
    outside.call("register_user", &["ana".into()]).expect("the name is free");
}

#[test]
fn tab_completes_commands_rooms_and_users() {
    let chat = Chat::new();
    let (ana, _bob) = (chat.client("ana"), chat.client("bob"));
    ana.wait_for("bob joined");
    for (typed, completed) in [
        ("/whoa", "/whoami"),
        ("/join lo", "/join lobby"),
        ("join lo", "join lobby"),
        ("@b", "@bob"),
        ("bo", "bob:"),
        ("/msg b", "/msg bob"),
        ("hello b", "hello bob"),
    ] {
        ana.keys(&[typed, TAB]);
        ana.wait_for_prompt(&format!("ana@lobby> {completed}"));
        ana.keys(&[CTRL_C]);
        ana.wait_for_prompt("ana@lobby>");
    }
    // Several are listed, and messages still come.
    ana.keys(&["/h", TAB]);
    ana.wait_for("/help");
    ana.wait_for("/history");
    ana.wait_for_prompt("ana@lobby> /h");
    chat.say("eva", &["hello"]);
    ana.wait_for(" <eva> hello");
    ana.wait_for_prompt("ana@lobby> /h");
}

#[test]
fn up_brings_lines_back_even_the_next_time() {
    let chat = Chat::new();
    let mut ana = chat.client("ana");
    ana.wait_for_prompt("ana@lobby>");
    ana.line("first");
    ana.wait_for("✓<ana> first");
    ana.line(" kept out by its space");
    ana.wait_for("kept out");
    ana.wait_for_prompt("ana@lobby>");
    ana.keys(&[UP]);
    ana.wait_for_prompt("ana@lobby> first");
    ana.keys(&[CTRL_C]);
    ana.wait_for_prompt("ana@lobby>");
    ana.keys(&[CTRL_D]);
    assert!(ana.wait_exit().success());
    let file = chat.home.0.join(".local/state/chat-rpc/history");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!fs::read_to_string(&file).unwrap().contains("kept out"));
    let ana = chat.client("ana");
    ana.wait_for_prompt("ana@lobby>");
    ana.keys(&[UP]);
    ana.wait_for_prompt("ana@lobby> first");
}

#[test]
fn it_speaks_portuguese() {
    let chat = Chat::new();
    let ana = chat.client_with("ana", &[], &[("LANG", "pt_BR.UTF-8")], (80, 24));
    ana.wait_for("Boas-vindas, ana.");
    let bob = chat.client_with("bob", &["--lang", "en"], &[("LANG", "pt_BR.UTF-8")], (80, 24));
    bob.wait_for("Welcome, bob.");
    ana.wait_for("bob entrou");
    ana.line("/jion lobby");
    ana.wait_for("Não existe o comando jion. Você quis dizer join?");
    ana.line("/users nowhere");
    ana.wait_for("Erro: não existe essa sala");
    ana.line("@eva olá");
    ana.wait_for("✗[ana → eva] olá");
    ana.wait_for("esse usuário não está na sala");
    ana.wait_for_prompt("ana@lobby> @eva olá");
}

#[test]
fn what_is_refused_is_in_the_prompt_again() {
    let chat = Chat::new();
    let ana = chat.client("ana");
    ana.wait_for_prompt("ana@lobby>");
    ana.line("@bob are you there");
    ana.wait_for("✗[ana → bob] are you there");
    ana.wait_for("this user is not in the room");
    ana.wait_for_prompt("ana@lobby> @bob are you there");
    chat.say("bob", &["hi"]);
    ana.wait_for(" <bob> hi");
    ana.keys(&[ENTER]);
    ana.wait_for("✓[ana → bob] are you there");
    ana.wait_for_prompt("ana@lobby>");
}

#[test]
fn an_outage_is_one_line_and_what_is_typed_is_sent_after_it() {
    let mut chat = Chat::new();
    let (ana, bob) = (chat.client("ana"), chat.client("bob"));
    ana.wait_for("bob joined");
    let address = chat.server.address().to_owned();
    chat.server.kill();
    bob.wait_for("trying again in");
    ana.wait_for("trying again in");
    ana.line("typed meanwhile");
    ana.wait_for("…<ana> typed meanwhile");
    chat.server = Process::serve(SERVER, &["--no-binder", "--listen", &address]);
    bob.wait_for(" <ana> typed meanwhile");
    ana.wait_for("✓<ana> typed meanwhile");
    bob.wait_for("reconnected at");
    let rows = bob.look(Seen::rows);
    assert_eq!(rows.iter().filter(|row| row.contains("Connection lost")).count(), 1, "{rows:#?}");
    assert_eq!(bob.look(|seen| seen.count("trying again")), 0, "{rows:#?}");
    // Whoever came back first was told that the room was gone.
    let told: usize =
        [&ana, &bob].map(|screen| screen.look(|seen| seen.count("lost the messages of lobby"))).iter().sum();
    assert!(told >= 1, "{rows:#?}");
    bob.wait_for_prompt("bob@lobby>");
}

#[test]
fn comings_and_goings_share_a_line() {
    let chat = Chat::new();
    let ana = chat.client("ana");
    ana.wait_for_prompt("ana@lobby>");
    let _bob = chat.client("bob");
    ana.wait_for("bob joined");
    let eva = chat.client("eva");
    ana.wait("both", |seen| seen.count("bob, eva joined") == 1 && seen.count("joined") == 1);
    eva.keys(&[CTRL_D]);
    ana.wait("all of it", |seen| seen.count("bob joined · eva left") == 1 && seen.count("joined") == 1);
}

#[test]
fn users_have_one_colour_on_every_screen() {
    let chat = Chat::new();
    let (ana, eva) = (chat.client("ana"), chat.client("eva"));
    chat.say("bob", &["hello"]);
    for screen in [&ana, &eva] {
        screen.wait_for("<bob> hello");
    }
    let color = ana.look(|seen| seen.color("bob> hello"));
    assert_ne!(color, vt100::Color::Default);
    assert_eq!(eva.look(|seen| seen.color("bob> hello")), color);
}

#[test]
fn colours_are_as_wanted() {
    let chat = Chat::new();
    for (user, arguments, variables, has_color) in [
        ("a1", &[][..], &[][..], true),
        ("a2", &[], &[("NO_COLOR", "1")], false),
        ("a3", &["--color", "never"], &[], false),
        ("a4", &["--color", "always"], &[("NO_COLOR", "1")], true),
    ] {
        let screen = chat.client_with(user, arguments, variables, (80, 24));
        screen.wait_for_prompt(&format!("{user}@lobby>"));
        screen.line("hello");
        screen.wait_for(&format!("✓<{user}> hello"));
        let color = screen.look(|seen| seen.color(&format!("{user}> hello")));
        assert_eq!(color != vt100::Color::Default, has_color, "{arguments:?} {variables:?}");
    }
}

#[test]
fn plain_lines_have_no_escape_sequences() {
    let chat = Chat::new();
    for (user, arguments, variables) in
        [("ana", &["--plain"][..], &[][..]), ("bob", &[], &[("TERM", "dumb")]), ("eva", &[], &[("TERM", "")])]
    {
        let mut screen = chat.client_with(user, arguments, variables, (80, 24));
        screen.wait_for_prompt(&format!("{user}@lobby>"));
        let text = format!("good morning from {user}");
        screen.line(&text);
        screen.wait("a word, not the line again", |seen| seen.rows().iter().any(|row| said(row) == " sent"));
        assert_eq!(screen.look(|seen| seen.count(&text)), 1, "as it was typed");
        chat.say("joe", &[&format!("hello {user}"), "hello all"]);
        screen.wait_for(&format!("joe (mentions you): hello {user}"));
        screen.wait_for("joe: hello all");
        screen.line("exit");
        assert!(screen.wait_exit().success());
        assert!(screen.look(|seen| !seen.bytes.contains(&0x1b)), "{arguments:?} {variables:?}");
    }
}

#[test]
fn nothing_hostile_reaches_the_terminal() {
    let chat = Chat::new();
    let ana = chat.client("ana");
    ana.wait_for_prompt("ana@lobby>");
    ana.keys(&["typing"]);
    chat.say("bob", &["a\u{9b}2Jb", "c\u{202e}d", "line\nbreak\ttab"]);
    ana.wait_for("break␉tab");
    ana.wait_for(r"a\u{9b}2Jb");
    ana.wait_for(r"c\u{202e}d");
    ana.wait_for_prompt("ana@lobby> typing");
}

#[test]
fn the_prompts_of_the_original_work() {
    let chat = Chat::new();
    let ana = chat.start(&[], &[], (80, 24));
    ana.wait_for_prompt("User name:");
    ana.line("no such name");
    ana.wait_for("a user name cannot have spaces");
    ana.wait_for_prompt("User name:");
    ana.line("ana");
    ana.wait_for_prompt("ana>");
    for (question, answer) in
        [("create", "Room name:"), ("lobby", "ana>"), ("join", "Room name:"), ("lobby", "ana@lobby>")]
    {
        ana.line(question);
        ana.wait_for_prompt(answer);
    }
    ana.line("send");
    ana.wait_for_prompt("Message:");
    ana.line("hello");
    ana.wait_for_prompt("Recipient (empty for all):");
    ana.line("");
    ana.wait_for("✓<ana> hello");
    ana.line("help send");
    ana.wait_for("/send TEXT: send a message to all");
    ana.wait_for("Example: /send @bob just for you");
    ana.line("leave");
    ana.wait_for_prompt("ana>");
    ana.line("hello");
    ana.wait_for("You are in no room yet.");
    // It stays in the prompt, to be sent from a room.
    ana.wait_for_prompt("ana> hello");
}

#[test]
fn a_line_divides_what_was_seen_from_what_is_new() {
    let chat = Chat::new();
    let mut ana = chat.client("ana");
    ana.wait_for_prompt("ana@lobby>");
    chat.say("bob", &["seen"]);
    ana.wait_for("<bob> seen");
    ana.line("leave");
    ana.wait_for_prompt("ana>");
    chat.say("bob", &["new one", "new two"]);
    ana.line("join lobby");
    ana.wait_for("<bob> new two");
    let divided = |seen: &Seen, before: &str, after: &str| {
        let rows = seen.rows();
        let line = rows.iter().rposition(|row| row.starts_with("── new since ")).unwrap();
        assert!(rows[line - 1].ends_with(before) && rows[line + 1].ends_with(after), "{rows:#?}");
        assert!(!rows[line + 1..].iter().any(|row| row.contains("──")), "{rows:#?}");
    };
    ana.look(|seen| divided(seen, "<bob> seen", "<bob> new one"));
    // The next client knows too.
    ana.line("exit");
    assert!(ana.wait_exit().success());
    chat.say("bob", &["the next day"]);
    let ana = chat.client("ana");
    ana.wait_for("<bob> the next day");
    ana.look(|seen| divided(seen, "<bob> new two", "<bob> the next day"));
    // Nothing is new to somebody who is here for the first time, nor one's own messages.
    let eva = chat.client("eva");
    eva.line("mine");
    eva.wait_for("✓<eva> mine");
    eva.line("leave");
    eva.wait_for_prompt("eva>");
    eva.line("join lobby");
    eva.wait("one's own message again", |seen| seen.count("<eva> mine") == 2);
    eva.look(|seen| assert_eq!(seen.count("──"), 0));
}

#[test]
fn what_is_shown_is_logged_with_dates() {
    let chat = Chat::new();
    let log = chat.home.0.join("log");
    let path = log.to_str().unwrap();
    for round in ["1st", "2nd"] {
        let mut ana = chat.client_with("ana", &["--log", path], &[], (30, 24));
        ana.wait_for_prompt("ana@lobby>");
        chat.say("bob", &[&format!("a message that a narrow screen wraps\nin the {round} round")]);
        ana.wait_for(&format!("in the {round} round"));
        ana.line(&format!("{round} answer"));
        ana.wait_for(&format!("✓<ana> {round} answer"));
        ana.line("/history");
        ana.line("/help");
        ana.wait_for("begins with a");
        ana.line("exit");
        assert!(ana.wait_exit().success());
    }
    let text = fs::read_to_string(&log).unwrap();
    let is_message = |line: &&str| line.contains("bob:") || line.contains("ana:") || line.contains("round");
    let without_date = text.lines().map(|line| if line.starts_with("  ") { line } else { &line[20..] });
    let messages: Vec<_> = without_date.filter(is_message).collect();
    let bob = "bob: a message that a narrow screen wraps";
    let wanted = [bob, "      in the 1st round", "ana: 1st answer", bob, "      in the 2nd round", "ana: 2nd answer"];
    assert_eq!(messages, wanted, "{text}");
    assert!(text.lines().all(|line| line.starts_with("20") || line.starts_with("      ")), "{text}");
    assert!(!text.contains('\x1b') && text.contains("Joined lobby."), "{text}");
    assert_eq!(fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_command_hears_of_mentions_one_at_a_time() {
    let chat = Chat::new();
    let (script, heard, go) = (chat.home.0.join("script"), chat.home.0.join("heard"), chat.home.0.join("go"));
    let text = format!(
        "#!/bin/sh\necho \"$1|$CHAT_FROM|$CHAT_ROOM|$CHAT_TEXT|$CHAT_PRIVATE|$CHAT_SECRET\" >>{}\n\
         while [ ! -e {} ]; do sleep 0.02; done\n",
        heard.display(),
        go.display()
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    let command = format!("{} $HOME;echo", script.display());
    let ana = chat.client_with("ana", &["--on-mention", &command], &[("CHAT_SECRET", "sesame")], (80, 24));
    ana.wait_for_prompt("ana@lobby>");
    let lines = || fs::read_to_string(&heard).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>();
    chat.say("bob", &["nothing", "hello ana; `id` $(id)", "ana, ana"]);
    ana.wait_for("ana, ana");
    let first = "$HOME;echo|bob|lobby|hello ana; `id` $(id)||";
    eventually("the command has run", TIMEOUT, || lines() == [first]);
    fs::write(&go, "").unwrap();
    // Until it has ended, another mention is none of its business.
    eventually("it runs again", TIMEOUT, || {
        chat.say("bob", &["ana?"]);
        lines().len() >= 2
    });
    assert_eq!(lines()[1], "$HOME;echo|bob|lobby|ana?||");
}

#[test]
fn portuguese_commands_work_in_every_language() {
    let chat = Chat::new();
    let mut ana = chat.start(&["--user", "ana", "--lang", "en"], &[], (80, 24));
    ana.wait_for_prompt("ana>");
    ana.line("entrar lobby");
    ana.wait_for_prompt("ana@lobby>");
    ana.line("/eu canto");
    ana.wait_for("✓* ana canto");
    ana.line("/procurar CANTO");
    ana.wait_for("1 message contains \"CANTO\":");
    ana.line("ajuda");
    ana.wait_for("leave the chat");
    ana.line("sair");
    ana.wait_for_prompt("ana>");
    ana.line("sair");
    assert!(ana.wait_exit().success());
}

#[test]
fn help_fits_24_rows() {
    let chat = Chat::new();
    for language in ["en", "pt"] {
        let ana = chat.start(&["--user", "ana", "--lang", language], &[], (80, 24));
        ana.wait_for_prompt("ana>");
        ana.line("/ajuda");
        ana.wait_for("//T");
        ana.wait_for_prompt("ana>");
        let rows = ana.look(Seen::rows);
        assert!(rows.iter().any(|row| row.contains("/ajuda")) && rows.len() <= 24, "{rows:#?}");
    }
}

#[test]
fn join_makes_the_room_and_create_offers_to_join() {
    let chat = Chat::new();
    let ana = chat.start(&["--user", "ana"], &[], (80, 24));
    ana.wait_for_prompt("ana>");
    ana.line("join lobby");
    ana.wait_for("There was no room lobby yet: it has been created.");
    ana.wait_for("Joined lobby. Nobody else is here yet.");
    ana.wait_for_prompt("ana@lobby>");
    ana.line("create attic");
    ana.wait_for("Room attic created. Press Enter to join it");
    ana.wait_for_prompt("ana@lobby>");
    ana.keys(&[ENTER]);
    ana.wait_for_prompt("ana@attic>");
    ana.line("create cellar");
    ana.wait_for("Room cellar created.");
    ana.line("hello");
    ana.wait_for("✓<ana> hello");
    ana.keys(&[ENTER]);
    ana.line("whoami");
    ana.wait_for("✓<ana> whoami");
    ana.line("/whoami");
    ana.wait_for("You are ana, in attic.");
}

#[test]
fn several_words_after_create_are_asked_about() {
    let chat = Chat::new();
    let ana = chat.client("ana");
    ana.wait_for_prompt("ana@lobby>");
    for (answer, outcome) in [("y", "Room my room created."), ("n", "✓<ana> create my room")] {
        ana.line("create my room");
        ana.wait("the question", |seen| seen.last().ends_with("[y/n]"));
        ana.line(answer);
        ana.wait_for(outcome);
        ana.wait_for_prompt("ana@lobby>");
    }
    ana.line("create my room");
    ana.wait("the question", |seen| seen.last().ends_with("[y/n]"));
    ana.keys(&[CTRL_C]);
    ana.wait_for_prompt("ana@lobby> create my room");
    ana.keys(&[CTRL_C]);
    ana.line("join us at noon");
    ana.wait_for("✓<ana> join us at noon");
    ana.line("join my room");
    ana.wait_for_prompt("ana@my room>");
}

#[test]
fn messages_have_their_lines_and_links_are_whole() {
    let chat = Chat::new();
    let ana = chat.client_with("ana", &[], &[], (40, 24));
    ana.wait_for_prompt("ana@lobby>");
    let link = "https://example.org/a/path/that/is/longer/than/the/screen/is/wide";
    chat.say("bob", &["one\n  two\nthree", &format!("look: {link}"), "/me waves"]);
    ana.wait_for(" * bob waves");
    let rows = ana.look(Seen::rows);
    let first = rows.iter().position(|row| row.contains("<bob> one")).unwrap();
    assert_eq!(rows[first + 1..first + 3], ["           two", "         three"], "{rows:#?}");
    // As the terminal itself wraps it, it can be opened.
    let at = rows.iter().position(|row| row.contains("look:")).unwrap();
    assert_eq!(rows[at + 1..at + 3], [&link[..40], &link[40..]], "{rows:#?}");
}

#[test]
fn the_bell_rings_when_it_is_asked_to() {
    let chat = Chat::new();
    let (ana, eva) = (chat.client_with("ana", &["--bell"], &[], (80, 24)), chat.client("eva"));
    chat.say("bob", &["hello ana and eva"]);
    for (screen, rings) in [(&ana, true), (&eva, false)] {
        screen.wait_for("!<bob> hello ana and eva");
        assert_eq!(screen.look(|seen| seen.bytes.contains(&0x07)), rings);
    }
}
