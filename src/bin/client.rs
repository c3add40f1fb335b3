//! The terminal client.

use std::process::ExitCode;

use chat_rpc::client::{self, FLAGS};
use chat_rpc::program::{self, Program};

const PROGRAM: Program = Program {
    name: "client",
    about: "Chats in a terminal.",
    arguments: "",
    flags: FLAGS,
    examples: &[
        ("client --local", "the whole chat in one command; again in another terminal for the next person"),
        ("client --user ana", "finds the server through the binder on this machine"),
        ("client --server 192.168.1.5:9000", "goes straight to a server"),
    ],
};

fn main() -> ExitCode {
    program::run(&PROGRAM, client::line::run)
}
