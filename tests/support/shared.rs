//! Servers of one chat, and their users.

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
