//! Servers of one chat, and their users.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use chat_rpc::rpc::{Fault, Value};

use super::peer::{Peer, contents, texts};
use super::{ANY_PORT, Process, SERVER};

pub const FREE: [&str; 8] =
    ["--message-rate", "0", "--registration-rate", "0", "--room-rate", "0", "--waits-per-address", "0"];

pub fn start(port: u16, options: &[&str]) -> Process {
    let url = format!("redis://127.0.0.1:{port}/test");
    Process::start(SERVER, &[&["--listen", ANY_PORT, "--share", &url], &FREE[..], options].concat())
}

pub fn server(port: u16, options: &[&str]) -> Process {
    let alone = ["--no-binder"];
    start(port, &[&alone, options].concat()).ready()
}

/// A server of the engine, and a peer that calls it.
pub fn pair(port: u16) -> (Process, Peer) {
    let server = server(port, &[]);
    let peer = Peer::open(&server);
    (server, peer)
}

pub fn say(peer: &Peer, name: &str, text: &str, to: &str) -> Result<Value, Fault> {
    peer.call("send_message", &[name.into(), "lobby".into(), text.into(), to.into()])
}

pub fn heard(peer: &Peer, name: &str) -> Vec<String> {
    let messages = peer.ok("receive_messages", &[name.into(), "lobby".into()]);
    contents(&messages).into_iter().map(str::to_owned).collect()
}

pub fn members(peer: &Peer) -> Vec<String> {
    texts(&peer.ok("list_users", &["lobby".into()])).into_iter().map(str::to_owned).collect()
}

/// Registers these users and brings them into the lobby.
pub fn enter(peer: &Peer, names: &[&str]) {
    let _ = peer.call("create_room", &["lobby".into()]);
    for &name in names {
        peer.ok("register_user", &[name.into()]);
        peer.ok("join_room", &[name.into(), "lobby".into()]);
    }
}

pub fn server_id(peer: &Peer) -> Value {
    peer.ok("system.getCapabilities", &[]).member("server_id").unwrap().clone()
}

pub fn get(server: &Process, path: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

pub fn metric(server: &Process, name: &str) -> f64 {
    let text = get(server, "/metrics");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is missing in {text}")).parse().unwrap()
}
