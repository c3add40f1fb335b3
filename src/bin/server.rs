//! The chat server: users, rooms and messages.

use std::process::ExitCode;
use std::time::Duration;

use chat_rpc::chat::{self, PROGRAM, ServerConfig};
use chat_rpc::program::{self, Failure, Options};

fn main() -> ExitCode {
    program::run(&PROGRAM, run)
}

fn run(options: &Options) -> Result<(), Failure> {
    let stopped = program::on_stop_signal()?;
    let config = ServerConfig::from_options(options)?;
    program::allow_descriptors(config.http.descriptors());
    let server = chat::start(config)?;
    program::serve_until(stopped, &PROGRAM, server.address())?;
    server.stop(Duration::from_millis(1500));
    Ok(())
}
