//! The load that the server holds, beside others in the same run: a bare tiny_http, Python's XML-RPC server, mosquitto, and
//! ngIRCd (Debian's packages of these names; a line says which of them is not installed).
//!
//! `cargo bench --bench load` measures everything, in about ten minutes; `cargo bench --bench load -- rest burst200` only
//! these rows, `--server PATH` another server, for example a static one, and `--option TEXT` gives the server a further
//! option, for example `--option --workers=8`. Clients and servers share the machine at normal priority. Receivers ask again
//! as soon as they have an answer. Programs that are compared take turns, and medians of their rounds are shown. The
//! processor time of a delivery is the server's alone; other work on the machine disturbs it less than latencies.

// Its output is its purpose.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod audience;
mod deliveries;
mod http;
mod kept;
mod peers;
mod poll;
mod program;
mod rows;

use std::error::Error;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::thread;

use lexopt::{Arg, ValueExt as _};

use program::Programs;
use rows::ROWS;

type Outcome<T, E = Box<dyn Error>> = Result<T, E>;

/// The argument that turns this program into a bare tiny_http.
const BARE: &str = "--bare";

/// One line of the table.
struct Line {
    work: String,
    figure: String,
    target: String,
    verdict: &'static str,
    beside: String,
}

impl Line {
    /// A figure that has no target.
    fn plain(work: &str, figure: String) -> Self {
        Self { work: work.into(), figure, target: String::new(), verdict: "", beside: String::new() }
    }

    fn new(work: &str, figure: String, target: String, is_met: bool) -> Self {
        Self { target, verdict: if is_met { "ok" } else { "missed" }, ..Self::plain(work, figure) }
    }

    /// Adds something to compare the figure with.
    fn beside(self, beside: String) -> Self {
        Self { beside, ..self }
    }

    fn print(&self) {
        let Self { work, figure, target, verdict, beside } = self;
        println!("| {work:<57} | {figure:>18} | {target:>12} | {verdict:<6} | {beside:<40} |");
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<()> {
    let mut server = PathBuf::from(env!("CARGO_BIN_EXE_server"));
    let mut chosen = Vec::new();
    let mut options = Vec::new();
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            // Cargo says this to every bench.
            Arg::Long("bench") => {}
            Arg::Long("option") => options.push(arguments.value()?),
            Arg::Long("server") => server = arguments.value()?.into(),
            Arg::Long("bare") => return bare(arguments.value()?.parse()?),
            Arg::Value(name) if ROWS.iter().any(|(row, _)| *row == name) => chosen.push(name),
            other => {
                let names: Vec<_> = ROWS.iter().map(|(name, _)| *name).collect();
                return Err(format!("{}; rows are {}", other.unexpected(), names.join(", ")).into());
            }
        }
    }
    let size = std::fs::metadata(&server)?.len();
    println!("{}; commit {}; server of {size} bytes", machine(), commit());
    println!();
    let programs = Programs::new(server, options)?;
    Line { beside: "beside".into(), target: "target".into(), ..Line::plain("work", "measured".into()) }.print();
    println!("| --- | --: | --: | --- | --- |");
    let mut failed = 0;
    for (name, measure) in ROWS {
        if !chosen.is_empty() && !chosen.iter().any(|choice| choice == name) {
            continue;
        }
        match measure(&programs) {
            Ok(lines) => lines.iter().for_each(Line::print),
            Err(error) => {
                failed += 1;
                Line::new(name, "failed".into(), String::new(), false).beside(error.to_string()).print();
            }
        }
    }
    if failed > 0 { Err(format!("{failed} rows could not be measured").into()) } else { Ok(()) }
}

/// Returns the processors, the system and its load.
fn machine() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let processors = thread::available_parallelism().map_or(0, usize::from);
    let info = read("/proc/cpuinfo");
    let model = info.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split(": ").nth(1));
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    format!(
        "{processors} × {}, Linux {}, load {load}",
        model.unwrap_or("processor"),
        read("/proc/sys/kernel/osrelease").trim()
    )
}

fn commit() -> String {
    let output = Command::new("git").args(["describe", "--always", "--dirty"]).output();
    output.map_or_else(|_| "unknown".into(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs a tiny_http that reads nothing and replies with `length` bytes, with as many workers as our server has.
fn bare(length: usize) -> Outcome<()> {
    const WORKERS: usize = 4;
    let server = tiny_http::Server::http("127.0.0.1:0").map_err(|error| error.to_string())?;
    println!("bare listening on {}", server.server_addr());
    let (server, text) = (Arc::new(server), Arc::new("x".repeat(length)));
    let work = move || -> Outcome<(), std::io::Error> {
        loop {
            let _ = server.recv()?.respond(tiny_http::Response::from_string(text.as_str()));
        }
    };
    let workers: Vec<_> = (0..WORKERS).map(|_| thread::spawn(work.clone())).collect();
    for worker in workers {
        worker.join().map_err(|_| "a worker panicked")??;
    }
    Ok(())
}
