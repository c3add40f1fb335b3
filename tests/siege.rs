//! All floods at once. Everybody else is answered meanwhile, and the server stays small.
//!
//! It lasts `SIEGE_SECONDS`, a few without that variable. SECURITY.md has the figures of a minute against a release build:
//! `SIEGE_SECONDS=60 TEST_PROGRAMS=… cargo test --test siege -- --nocapture`, where [`support::PROGRAMS`] says what that is.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "what fails here fails a test, and figures are printed")]

mod support;

use std::collections::VecDeque;
use std::env;
use std::io::{self, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use chat_rpc::rpc::Value;
use support::http::{Connection, call, last_call};
use support::procfs::status;
use support::{ANY_PORT, Process, SERVER, TIMEOUT};

/// Connections that the attackers keep, about twice as many as there may be.
const KEPT: usize = 4000;
/// The most memory that the server takes, in kB. A release build takes less than 12 MB; this one has more code and, between
/// its allocations, more room.
const MEMORY_KB: u64 = 20 << 10;
/// The most threads that it has.
const THREADS: u64 = 20;

/// The floods: what each connection sends, and whether it is kept.
fn floods() -> Vec<(Vec<u8>, bool)> {
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\n";
    let all = Value::Struct(vec![("methodName".into(), "system.getCapabilities".into())]);
    [
        (format!("{head}Content-Length: 999999999\r\n\r\n"), true),
        ("GET / HTTP/2.0\r\n\r\n".to_owned(), true),
        (format!("GET / HTTP/1.1\r\n{}", "X: y\r\n".repeat(20_000)), false),
        ("x".repeat(200_000), false),
        (format!("{head}Content-Length: 60001\r\n\r\n{}", "y".repeat(60_000)), true),
        (String::new(), true),
        (call("system.multicall", &[Value::Array(vec![all; 100])]), true),
        ("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(3000), false),
    ]
    .map(|(text, is_kept)| (text.into_bytes(), is_kept))
    .into()
}

/// Plays one flood after the other, on a new connection each, until there is enough of it.
fn attack(address: &str, is_over: &AtomicBool) {
    let floods = floods();
    let mut kept = VecDeque::new();
    while !is_over.load(Ordering::Relaxed) {
        for (bytes, is_kept) in &floods {
            // The server may have closed it already.
            let Ok(mut stream) = TcpStream::connect(address) else { continue };
            stream.set_write_timeout(Some(Duration::from_millis(20))).unwrap();
            let _ = stream.write_all(bytes);
            if *is_kept {
                kept.push_back(stream);
            }
            kept.drain(..kept.len().saturating_sub(KEPT));
        }
    }
}

/// Calls as somebody else does. Returns the time.
fn call_of_another(address: &str) -> io::Result<Duration> {
    let start = Instant::now();
    let mut connection = Connection::open(address);
    connection.send(&last_call("list_rooms", &[]));
    let answer = connection.answer()?;
    if answer.status != 200 {
        return Err(io::Error::other(format!("{answer:?}")));
    }
    Ok(start.elapsed())
}

#[test]
fn under_all_floods_at_once_everybody_else_is_answered() {
    let time = Duration::from_secs(env::var("SIEGE_SECONDS").map_or(5, |text| text.parse().unwrap()));
    // A thousand rooms could be of this size, and others may have the rest of a machine with 32 MB.
    let options = ["--listen", ANY_PORT, "--no-binder", "--connection-idle", "5", "--memory-limit", "2000000"];
    let server = Process::serve(SERVER, &options);
    let is_over = AtomicBool::new(false);
    let (mut times, mut failed, mut most_threads) = (Vec::new(), Vec::new(), 0);
    thread::scope(|scope| {
        let flood = scope.spawn(|| attack(server.address(), &is_over));
        let start = Instant::now();
        while start.elapsed() < time {
            match call_of_another(server.address()) {
                Ok(time) => times.push(time),
                Err(error) => failed.push(error),
            }
            most_threads = most_threads.max(status(server.id(), "Threads"));
            thread::sleep(Duration::from_millis(10));
        }
        is_over.store(true, Ordering::Relaxed);
        flood.join().unwrap();
    });
    times.sort();
    let peak = status(server.id(), "VmHWM");
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!(
        "{} calls, {} failed, median {:.1?}, p99 {:.1?}, at most {:.1?}; {peak} kB, {most_threads} threads",
        times.len(),
        failed.len(),
        at(50),
        at(99),
        at(100)
    );
    assert!(failed.is_empty(), "{failed:?}");
    assert!(at(100) < TIMEOUT / 3, "a call took {:?}", at(100));
    assert!(peak < MEMORY_KB, "{peak} kB");
    assert!(most_threads <= THREADS, "{most_threads} threads");
}
