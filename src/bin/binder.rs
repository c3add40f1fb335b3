//! The binder: servers register their procedures here, clients look them up.

use std::process::ExitCode;
use std::time::Duration;

use chat_rpc::binder::{self, BinderConfig, PROGRAM};
use chat_rpc::program::{self, Failure, Options};

fn main() -> ExitCode {
    program::run(&PROGRAM, run)
}

fn run(options: &Options) -> Result<(), Failure> {
    let stopped = program::on_stop_signal()?;
    let config = BinderConfig::from_options(options)?;
    program::allow_descriptors(config.http.descriptors());
    let binder = binder::start(config)?;
    program::serve_until(stopped, &PROGRAM, binder.address())?;
    binder.stop(Duration::from_millis(1500));
    Ok(())
}
