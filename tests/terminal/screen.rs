//! A client on a pseudo-terminal, and what a terminal emulator shows of it.

use std::io::{Read as _, Write as _};
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use chat_rpc::rpc::Client;
use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};
use rustix::termios::{LocalModes, tcgetattr};

use crate::support::home::Home;
use crate::support::{CLIENT, Process, TIMEOUT, eventually, server};

pub(crate) const UP: &str = "\x1b[A";
pub(crate) const LEFT: &str = "\x1b[D";
pub(crate) const ENTER: &str = "\r";
pub(crate) const BACKSPACE: &str = "\x7f";
pub(crate) const TAB: &str = "\t";
pub(crate) const CTRL_C: &str = "\x03";
pub(crate) const CTRL_D: &str = "\x04";

/// A chat server and the clients' files.
pub(crate) struct Chat {
    pub(crate) server: Process,
    pub(crate) home: Home,
}

impl Chat {
    pub(crate) fn new() -> Self {
        Self { server: server(&["--message-rate", "0"]), home: Home::new() }
    }

    /// A client in the room `lobby` on a screen of 80 by 24.
    #[track_caller]
    pub(crate) fn client(&self, user: &str) -> Screen {
        self.client_with(user, &[], &[], (80, 24))
    }

    /// The same with more arguments and variables, on a screen of `size`.
    #[track_caller]
    pub(crate) fn client_with(
        &self,
        user: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
        size: (u16, u16),
    ) -> Screen {
        let screen = self.start(&[&["--user", user, "--room", "lobby"], arguments].concat(), variables, size);
        screen.wait("the room", |screen| screen.text().contains("@lob"));
        screen
    }

    #[track_caller]
    pub(crate) fn start(&self, arguments: &[&str], variables: &[(&str, &str)], size: (u16, u16)) -> Screen {
        let home = self.home.0.to_str().expect("its name is made of digits");
        let variables = [&[("HOME", home)], variables].concat();
        Screen::start(&[&[CLIENT[0], "--server", self.server.address()], arguments].concat(), &variables, size)
    }

    /// Says something as a user with a program of their own.
    #[track_caller]
    pub(crate) fn say(&self, user: &str, texts: &[&str]) {
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
pub(crate) struct Screen {
    pub(crate) pty: Arc<Pty>,
    pub(crate) child: Child,
    shared: Arc<(Mutex<Seen>, Condvar)>,
}

pub(crate) struct Seen {
    pub(crate) emulator: vt100::Parser,
    pub(crate) bytes: Vec<u8>,
}

impl Seen {
    /// The rows that are not empty.
    pub(crate) fn rows(&self) -> Vec<String> {
        let screen = self.emulator.screen();
        let rows = screen.rows(0, screen.size().1).map(|row| row.trim_end().to_owned());
        rows.filter(|row| !row.is_empty()).collect()
    }

    pub(crate) fn text(&self) -> String {
        self.rows().join("\n")
    }

    /// The last row, which has the prompt.
    pub(crate) fn last(&self) -> String {
        self.rows().pop().unwrap_or_default()
    }

    pub(crate) fn count(&self, text: &str) -> usize {
        self.rows().iter().filter(|row| row.contains(text)).count()
    }

    /// The colour of the first character of `text`.
    pub(crate) fn color(&self, text: &str) -> vt100::Color {
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
    /// Starts a program with these variables, on a screen of `size`.
    #[track_caller]
    pub(crate) fn start(words: &[&str], variables: &[(&str, &str)], (columns, rows): (u16, u16)) -> Self {
        let (pty, terminal) = open().expect("the system has pseudo-terminals");
        pty.resize(Size::new(rows, columns)).expect("a pseudo-terminal has a size");
        let child = Command::new(words[0])
            .args(&words[1..])
            .env_clear()
            .env("TERM", "xterm-256color")
            .envs(variables.iter().copied())
            .spawn(terminal)
            .expect("the client starts");
        Self::new(pty, child, rows, columns)
    }

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
    pub(crate) fn keys(&self, keys: &[&str]) {
        (&*self.pty).write_all(keys.concat().as_bytes()).expect("the terminal takes keys");
    }

    /// Types a line.
    pub(crate) fn line(&self, text: &str) {
        self.keys(&[text, ENTER]);
    }

    /// Pastes, as terminals do it for programs that ask for it.
    pub(crate) fn paste(&self, text: &str) {
        self.keys(&["\x1b[200~", &text.replace('\n', "\r"), "\x1b[201~"]);
    }

    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        lock(&self.shared.0).emulator.screen_mut().set_size(rows, columns);
        self.pty.resize(Size::new(rows, columns)).unwrap();
    }

    /// Waits until the screen shows what is wanted.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, mut shows: impl FnMut(&Seen) -> bool) {
        let deadline = Instant::now() + TIMEOUT;
        let mut seen = lock(&self.shared.0);
        while !shows(&seen) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the screen does not show {what}:\n{}\n---\n{:?}", seen.text(), seen.last());
            seen = self.shared.1.wait_timeout(seen, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str) {
        self.wait(&format!("{text:?}"), |seen| seen.text().contains(text));
    }

    /// Waits until the last row, the prompt, is this.
    #[track_caller]
    pub(crate) fn wait_for_prompt(&self, row: &str) {
        self.wait(&format!("the prompt {row:?}"), |seen| seen.last() == row.trim_end());
    }

    pub(crate) fn look<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&lock(&self.shared.0))
    }

    #[track_caller]
    pub(crate) fn wait_exit(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the client ends", TIMEOUT, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Returns whether the terminal works as before: it echoes, and edits lines by itself.
    pub(crate) fn is_restored(&self) -> bool {
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
pub(crate) fn said(row: &str) -> &str {
    row.get(5..).unwrap_or_default()
}
