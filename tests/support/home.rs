//! Where clients and servers keep their files, and clients that do.

use std::fs;
use std::path::PathBuf;
use std::process::{self, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use chat_rpc::rpc::{Client, Value};

use super::{CLIENT, Process, TIMEOUT};

/// A directory for the files of programs, removed at the end.
pub struct Home(pub PathBuf);

impl Home {
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("home-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Starts a client that has its files here.
    #[track_caller]
    pub fn client(&self, arguments: &[&str]) -> Process {
        self.client_with(&[], arguments)
    }

    /// Starts a client with more in its environment, as `NAME=VALUE`.
    #[track_caller]
    pub fn client_with(&self, environment: &[&str], arguments: &[&str]) -> Process {
        self.client_reading(Stdio::piped(), environment, arguments)
    }

    /// Starts a client with this as its standard input.
    #[track_caller]
    pub fn client_reading(&self, input: Stdio, environment: &[&str], arguments: &[&str]) -> Process {
        let home = format!("HOME={}", self.0.display());
        let clear = ["env", "-u", "CHAT_SECRET", "-u", "XDG_STATE_HOME", "-u", "XDG_CONFIG_HOME", "LC_ALL=C", &home];
        Process::start_with(input, &[&clear, environment, CLIENT].concat(), arguments)
    }

    /// Starts a client as `user` and waits until they are in `room`.
    #[track_caller]
    pub fn member(&self, place: &[&str], user: &str, room: &str) -> Process {
        let mut client = self.client(&[place, &["--user", user]].concat());
        enter(&mut client, room);
        client
    }
}

/// Creates `room`, which may exist already, and joins it.
#[track_caller]
pub fn enter(client: &mut Process, room: &str) {
    client.send_line(&format!("create {room}"));
    client.send_line(&format!("join {room}"));
    client.stderr.wait_for_line(&format!("Joined {room}"), TIMEOUT);
}

/// Returns how often `client` has printed a line that ends with `text`.
pub fn count(client: &Process, text: &str) -> usize {
    client.stdout.lines().iter().filter(|line| line.ends_with(text)).count()
}

/// Returns what everybody in `room`, which may not be there yet, can read.
#[track_caller]
pub fn history(server: &str, room: &str) -> Vec<String> {
    let outside = Client::new(server);
    outside.call("register_user", &["reader".into()]).unwrap();
    let joined = outside.call("join_room", &["reader".into(), room.into()]);
    let messages = joined.and_then(|_| outside.call("receive_messages", &["reader".into(), room.into()]));
    let messages = messages.unwrap_or(Value::Array(Vec::new()));
    outside.call("unregister_user", &["reader".into()]).unwrap();
    let content = |message: &Value| message.member("content").and_then(Value::as_str).unwrap().to_owned();
    messages.as_array().unwrap().iter().map(content).collect()
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
