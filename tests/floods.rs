//! Floods: more connections and requests than a server can serve, of all kinds that once silenced it. Others are served
//! meanwhile, and what the flood takes of threads, descriptors and memory stays small and is given back.

#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

mod support;

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use chat_rpc::rpc::Value;
use support::http::{Connection, call, last_call};
use support::lan::Lan;
use support::peer::{Peer, Usage};
use support::procfs::{descriptors, threads};
use support::tools::needs;
use support::{ANY_PORT, Process, SERVER, TIMEOUT, eventually};

/// Within this a call of somebody else is answered, on a busy machine with an unoptimised build too.
const PROMPT: Duration = Duration::from_millis(500);
/// A flood makes the server larger by less than this, in kB.
const GROWTH_KB: u64 = 8 << 10;

fn server(options: &[&str]) -> Process {
    support::server(&[&["--message-rate", "0", "--registration-rate", "0"], options].concat())
}

/// Returns the time of the slowest but 5 % of calls, each on a connection of its own.
fn slowest(server: &Process, count: usize) -> Duration {
    let times = (0..count).map(|_| {
        let start = Instant::now();
        let mut connection = Connection::open(server.address());
        connection.send(&last_call("list_rooms", &[]));
        connection.answer().unwrap().value().unwrap();
        start.elapsed()
    });
    let mut times: Vec<_> = times.collect();
    times.sort();
    times[times.len() * 95 / 100]
}

/// The resources of a server before a flood.
struct Quiet<'a> {
    server: &'a Process,
    usage: Usage<'a>,
    threads: u64,
    descriptors: usize,
}

impl<'a> Quiet<'a> {
    fn before(server: &'a Process) -> Self {
        Connection::open(server.address()).call("list_rooms", &[]).unwrap();
        let (threads, descriptors) = (threads(server.id()), descriptors(server.id()));
        Self { server, usage: Usage::of(server), threads, descriptors }
    }

    /// Asserts that the flood disturbs nobody.
    #[track_caller]
    fn during(&self) {
        let slowest = slowest(self.server, 20);
        assert!(slowest < PROMPT, "calls of others took {slowest:?}");
        let growth = self.usage.growth_kb();
        assert!(growth < GROWTH_KB, "it has grown by {growth} kB");
        let more = threads(self.server.id()).saturating_sub(self.threads);
        assert!(more <= 32, "{more} more threads");
    }

    /// Asserts that it takes nothing for good.
    #[track_caller]
    fn after(&self) {
        eventually("the descriptors are free", TIMEOUT, || descriptors(self.server.id()) <= self.descriptors + 4);
        Connection::open(self.server.address()).call("list_rooms", &[]).unwrap();
        assert!(!self.server.stderr.lines().iter().any(|line| line.contains("panicked")));
    }
}

#[test]
fn requests_that_held_a_thread_for_good_hold_none() {
    let server = server(&[]);
    let quiet = Quiet::before(&server);
    let head = "HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\n";
    for (line, status) in [
        (format!("POST / {head}Content-Length: 1073741824\r\n\r\n"), 413),
        (format!("POST / {head}Expect: 100-continue\r\nContent-Length: 1073741824\r\n\r\n"), 413),
        ("GET / HTTP/2.0\r\n\r\n".to_owned(), 505),
        ("GET / HTTP/3.0\r\n\r\n".to_owned(), 505),
        (format!("POST / {head}Transfer-Encoding: xchunked\r\n\r\n"), 501),
    ] {
        for _ in 0..10 {
            let mut held: Vec<_> = (0..120).map(|_| Connection::open(server.address())).collect();
            for connection in &mut held {
                connection.send(&line);
            }
            for connection in &mut held {
                assert_eq!(connection.answer().unwrap().status, status, "{line}");
            }
        }
        quiet.during();
    }
    quiet.after();
}

#[test]
fn pipelined_requests_are_read_no_faster_than_they_are_answered() {
    let server = server(&[]);
    let quiet = Quiet::before(&server);
    let running = Arc::new(AtomicBool::new(true));
    let sent = Arc::new(AtomicU64::new(0));
    let flood: Vec<_> = (0..8)
        .map(|_| {
            let (running, sent) = (Arc::clone(&running), Arc::clone(&sent));
            let mut stream = TcpStream::connect(server.address()).unwrap();
            stream.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
            thread::spawn(move || {
                let many = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(4096);
                // Nothing of the answers is read.
                while running.load(Ordering::Relaxed) {
                    match stream.write(many.as_bytes()) {
                        Ok(count) => drop(sent.fetch_add(count as u64, Ordering::Relaxed)),
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(_) => return,
                    }
                }
            })
        })
        .collect();
    for _ in 0..3 {
        quiet.during();
    }
    running.store(false, Ordering::Relaxed);
    flood.into_iter().for_each(|thread| thread.join().unwrap());
    // The buffers of the kernel in both directions, and little else.
    let taken = sent.load(Ordering::Relaxed) / 8;
    assert!(taken < 16 << 20, "{taken} bytes of each");
    quiet.after();
}

#[test]
fn lines_without_an_end_and_without_number_are_refused_at_their_limit() {
    let server = server(&[]);
    let quiet = Quiet::before(&server);
    for flood in ["x".repeat(64 << 10), format!("GET / HTTP/1.1\r\n{}", "X: y\r\n".repeat(10_000))] {
        for _ in 0..100 {
            let mut connection = Connection::open(server.address());
            connection.offer(flood.as_bytes());
            assert_eq!(connection.answer().unwrap().status, 431);
        }
        quiet.during();
    }
    quiet.after();
}

#[test]
fn unfinished_and_silent_connections_keep_nobody_out() {
    let server = server(&["--max-connections", "300"]);
    let quiet = Quiet::before(&server);
    let mut held = Vec::new();
    for number in 0..1000 {
        let mut connection = Connection::open(server.address());
        connection.offer(["", "POST / HTTP/1.1\r\nHost: loc", "GET / HTTP/1.1\r\n\r\n"][number % 3].as_bytes());
        held.push(connection);
        if number % 250 == 0 {
            quiet.during();
        }
    }
    quiet.during();
    drop(held);
    quiet.after();
}

#[test]
fn kept_connections_one_after_the_other_cost_no_more_than_others() {
    let server = server(&["--max-connections", "5"]);
    let quiet = Quiet::before(&server);
    let start = Instant::now();
    let mut kept = Vec::new();
    for _ in 0..1500 {
        let mut connection = Connection::open(server.address());
        connection.call("list_rooms", &[]).unwrap();
        kept.push(connection);
        if kept.len() > 20 {
            drop(kept.remove(0));
        }
    }
    assert!(start.elapsed() < Duration::from_secs(30), "it took {:?}", start.elapsed());
    drop(kept);
    quiet.after();
}

#[test]
fn answers_that_nobody_reads_are_bounded_all_together() {
    // Else the C library keeps what it gave for each thread, of long answers too.
    let line = ["env", "MALLOC_MMAP_THRESHOLD_=131072", SERVER[0]];
    let server = Process::serve(&line, &["--listen", ANY_PORT, "--no-binder", "--message-rate", "0"]);
    let peer = Peer::open(&server);
    peer.enter("lobby", &["ana"]);
    for _ in 0..240 {
        peer.ok("send_message", &["ana".into(), "lobby".into(), "x".repeat(4096).into()]);
    }
    let read = Value::Struct(vec![
        ("methodName".into(), "receive_messages".into()),
        ("params".into(), Value::Array(vec!["ana".into(), "lobby".into()])),
    ]);
    let quiet = Quiet::before(&server);
    let ask = call("system.multicall", &[Value::Array(vec![read; 3])]);
    let unread: Vec<_> = (0..80)
        .map(|_| {
            let mut connection = Connection::open(server.address());
            connection.send(&ask);
            connection
        })
        .collect();
    let slowest = slowest(&server, 20);
    assert!(slowest < 4 * PROMPT, "calls of others took {slowest:?}");
    let growth = quiet.usage.growth_kb();
    assert!(growth < 16 << 10, "it has grown by {growth} kB for {} answers of a megabyte each", unread.len());
    // One who reads gets an answer whole.
    eventually("an answer is whole", TIMEOUT, || {
        let mut reading = Connection::open(server.address());
        reading.send(&ask);
        reading.answer().is_ok_and(|answer| answer.value().unwrap().as_array().map(<[_]>::len) == Some(3))
    });
    drop(unread);
    quiet.after();
}

#[test]
fn a_body_that_trickles_makes_room_for_those_that_come() {
    let server = server(&[]);
    let quiet = Quiet::before(&server);
    let body = "y".repeat(60_000);
    let head = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n",
        body.len() + 1
    );
    // Three times as much as is kept of requests that are not whole.
    let mut trickling: Vec<_> = (0..120)
        .map(|_| {
            let mut connection = Connection::open(server.address());
            connection.offer(head.as_bytes());
            connection.offer(body.as_bytes());
            connection
        })
        .collect();
    quiet.during();
    let mut closed = 0;
    for connection in &mut trickling {
        connection.stream.set_nonblocking(true).unwrap();
        closed += usize::from(
            !matches!(connection.stream.read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock),
        );
    }
    assert!((60..118).contains(&closed), "{closed} of them have made room");
    drop(trickling);
    quiet.after();
}

#[test]
fn one_address_may_have_so_many_connections_and_others_have_theirs() {
    needs!("python3");
    let Some(lan) = Lan::of(3) else { return };
    let options =
        ["--listen", "0.0.0.0:9000", "--no-binder", "--connections-per-address", "20", "--trusted-proxy", "10.77.0.3"];
    let server = lan.serve(1, SERVER, &options);
    let script = |address: &str, own: usize, expected: &str| {
        let body = "<methodCall><methodName>list_rooms</methodName></methodCall>";
        format!(
            "import socket\n\
             ask = b'POST / HTTP/1.1\\r\\nHost: 10.77.0.1\\r\\nContent-Type: text/xml\\r\\nContent-Length: {}\\r\\n\\r\\n{body}'\n\
             kept, statuses = [], []\n\
             for _ in range({own}):\n    \
                 kept.append(socket.create_connection(('{address}', 9000)))\n    \
                 kept[-1].sendall(ask)\n    \
                 statuses.append(kept[-1].recv(4096)[9:12])\n\
             print(statuses.count(b'200'), statuses.count(b'503'))\n\
             assert {expected}, statuses",
            body.len()
        )
    };
    lan.python(2, &script("10.77.0.1", 23, "statuses == [b'200'] * 20 + [b'503'] * 3"));
    // A proxy speaks for many, and this machine for itself.
    for (machine, address) in [(3, "10.77.0.1"), (1, "127.0.0.1")] {
        lan.python(machine, &script(address, 60, "statuses == [b'200'] * 60"));
    }
    drop(server);
}
