//! The binder: servers register their procedures here, clients look them up.

use std::process::ExitCode;
use std::time::Duration;

use chat_rpc::binder::{self, PROGRAM};
use chat_rpc::page;
use chat_rpc::program::{self, Failure, Options};
use chat_rpc::rpc::HttpConfig;
use chat_rpc::secret;

fn main() -> ExitCode {
    program::run(&PROGRAM, run)
}

fn run(options: &Options) -> Result<(), Failure> {
    let stopped = program::on_stop_signal()?;
    let secret = options.text("secret-file").map(|path| secret::read_file(path.as_ref())).transpose()?;
    let mut config = HttpConfig::from_options(options)?;
    config.page = page::wanted(page::BINDER, options);
    program::limit_descriptors(config.descriptors());
    let binder = binder::start(config, secret.as_deref())?;
    program::serve_until(stopped, &PROGRAM, binder.address())?;
    binder.stop(Duration::from_millis(1500));
    Ok(())
}
