//! The binder: servers register their procedures here, clients look them up.

use std::process::ExitCode;
use std::time::Duration;

use chat_rpc::binder::{self, PROGRAM};
use chat_rpc::program::{self, Endpoint, Failure, Options};
use chat_rpc::rpc::Config;
use chat_rpc::secret;

fn main() -> ExitCode {
    program::run(&PROGRAM, run)
}

fn run(options: &Options) -> Result<(), Failure> {
    let stopped = program::on_stop_signal()?;
    let listen = options.get::<Endpoint>("listen")?.resolve()?;
    let secret = options.text("secret-file").map(|path| secret::read_file(path.as_ref())).transpose()?;
    let binder = binder::start(Config::from_options(listen, options)?, secret.as_deref())?;
    program::print(&format!("binder listening on {}\n", binder.address()))?;
    stopped();
    binder.stop(Duration::from_millis(1500));
    Ok(())
}
