//! The chat server: users, rooms and messages.

use std::process::ExitCode;
use std::time::Duration;

use chat_rpc::chat::{self, PROGRAM, Setup};
use chat_rpc::program::{self, Failure, Options};

fn main() -> ExitCode {
    program::run(&PROGRAM, run)
}

fn run(options: &Options) -> Result<(), Failure> {
    let stopped = program::on_stop_signal()?;
    let setup = Setup::from_options(options)?;
    program::limit_descriptors(setup.http.descriptors());
    let server = chat::start(setup)?;
    program::serve_until(stopped, &PROGRAM, server.address())?;
    server.stop(Duration::from_millis(1500));
    Ok(())
}
