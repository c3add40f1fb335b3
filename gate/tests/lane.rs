//! The lane, as an HTTP server has it: which heads come on it, and what becomes of it when the server closes it.

#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::Ordering;
use std::time::Duration;

use gate::{Exchange, Gate, GateLimits};
use nix::sys::socket::{Backlog, listen};

const TIMEOUT: Duration = Duration::from_secs(30);

/// A gate, the listener of the HTTP server, and the address of the gate's own.
fn gate() -> (Gate, UnixListener, String) {
    gate_with(2000)
}

fn gate_with(descriptors: usize) -> (Gate, UnixListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listen(&listener, Backlog::new(1000).unwrap()).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let limits = GateLimits {
        body_bytes: 1000,
        connections: 1000,
        connections_per_address: 0,
        descriptors,
        idle: TIMEOUT,
        trusted: Vec::new(),
    };
    let (gate, lanes) = Gate::open(listener, limits).unwrap();
    (gate, lanes, address)
}

/// Accepts a lane as tiny_http does, which reads by a duplicate.
fn lane(lanes: &UnixListener) -> UnixStream {
    lanes.accept().unwrap().0.try_clone().unwrap()
}

fn ask(address: &str, request: &str) -> TcpStream {
    let mut peer = TcpStream::connect(address).unwrap();
    peer.set_read_timeout(Some(TIMEOUT)).unwrap();
    peer.write_all(request.as_bytes()).unwrap();
    peer
}

/// Reads the head of one request, by pieces.
fn head(lane: &mut UnixStream) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let mut piece = [0; 10];
        let count = lane.read(&mut piece).unwrap();
        head.push_str(std::str::from_utf8(&piece[..count]).unwrap());
    }
    head
}

fn begin(gate: &Gate, head: &str) -> Exchange {
    let number = head.lines().find_map(|line| line.strip_prefix(gate::NUMBER)?.strip_prefix(": ")).unwrap();
    gate.begin(number.parse().unwrap()).unwrap()
}

#[test]
fn a_request_comes_as_a_head_and_a_body_and_its_answer_goes_to_the_peer() {
    let (gate, lanes, address) = gate();
    let mut lane = lane(&lanes);
    let request = "POST /a HTTP/1.0\r\nHost: b\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello";
    let mut peer = ask(&address, &format!("{request}{request}"));
    for _ in 0..2 {
        let head = head(&mut lane);
        assert!(head.starts_with("POST /a HTTP/1.1\r\n") && head.contains("\r\nHost: b\r\n"), "{head}");
        assert_eq!(head.lines().count(), 4, "{head}");
        let mut exchange = begin(&gate, &head);
        assert_eq!(exchange.body.as_deref(), Some(&b"hello"[..]));
        assert!(exchange.keeps_alive() && exchange.http_1_0);
        exchange.write_all(b"answer").unwrap();
        drop(exchange);
        let mut answer = [0; 6];
        peer.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"answer");
    }
}

#[test]
fn newcomers_are_accepted_before_the_first_of_them_is_served() {
    let (gate, lanes, address) = gate();
    let peers: Vec<_> = (0..300).map(|_| ask(&address, "GET / HTTP/1.1\r\n\r\n")).collect();
    head(&mut lane(&lanes));
    assert_eq!(gate.connections(), peers.len());
}

#[test]
fn where_descriptors_are_few_one_goes_for_each_newcomer() {
    // 10, beside those for everything else in the process.
    let (gate, lanes, address) = gate_with(42);
    let _silent: Vec<_> = (0..14).map(|_| ask(&address, "")).collect();
    let _peer = ask(&address, "GET / HTTP/1.1\r\n\r\n");
    head(&mut lane(&lanes));
    assert_eq!(gate.connections(), 10);
    assert_eq!(gate.counters().evicted.load(Ordering::Relaxed), 5);
}

#[test]
fn an_exchange_without_an_answer_ends_its_connection() {
    let (gate, lanes, address) = gate();
    let mut lane = lane(&lanes);
    let mut peer = ask(&address, "GET / HTTP/1.1\r\n\r\n");
    drop(begin(&gate, &head(&mut lane)));
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_server_that_closes_its_lane_gets_another_one() {
    let (gate, lanes, address) = gate();
    for _ in 0..3 {
        let mut lane = lane(&lanes);
        let mut peer = ask(&address, "GET / HTTP/1.1\r\n\r\n");
        let mut exchange = begin(&gate, &head(&mut lane));
        // As tiny_http does with a head that it does not understand.
        lane.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        drop(lane);
        exchange.close();
        exchange.write_all(b"answer").unwrap();
        drop(exchange);
        let mut answer = String::new();
        peer.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "answer", "the answers of a lane do not need it");
    }
}

#[test]
fn a_server_that_does_not_read_is_noticed() {
    let (gate, _lanes, _) = gate();
    assert!(gate.wait_until_read(Duration::from_millis(10)).is_err());
}
