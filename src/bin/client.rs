//! The terminal client.

use std::process::ExitCode;

use chat_rpc::client::{self, PROGRAM};
use chat_rpc::program;

fn main() -> ExitCode {
    program::run(&PROGRAM, client::run)
}
