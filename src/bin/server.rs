//! The chat server: users, rooms and messages.

use std::process::ExitCode;
use std::time::Duration;

use chat_rpc::chat::{self, FLAGS, Setup};
use chat_rpc::program::{self, Failure, Options, Program};

const PROGRAM: Program = Program {
    name: "server",
    about: "Serves a chat over XML-RPC and registers it at a binder.",
    arguments: "",
    flags: FLAGS,
    examples: &[
        ("server", "listens on 127.0.0.1:9000, binder on 127.0.0.1:5000"),
        ("server --listen 0.0.0.0:9000 --require-auth", "serves the whole network"),
        ("server --no-binder --listen 127.0.0.1:0", "stands alone, on a port that the system chooses"),
    ],
};

fn main() -> ExitCode {
    program::run(&PROGRAM, run)
}

fn run(options: &Options) -> Result<(), Failure> {
    let stopped = program::on_stop_signal()?;
    let server = chat::start(Setup::from_options(options)?)?;
    program::print(&format!("server listening on {}\n", server.address()))?;
    stopped();
    server.stop(Duration::from_millis(1500));
    Ok(())
}
