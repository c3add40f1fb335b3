#![no_main]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::LazyLock;
use std::time::Duration;

use gate::framing::{Framing, Request};
use gate::handover::{join_chunks, write_head};

const MAX_BODY: usize = 3000;

static SERVER: LazyLock<(tiny_http::Server, SocketAddr)> = LazyLock::new(|| {
    let server = tiny_http::Server::http("127.0.0.1:0").unwrap();
    let address = server.server_addr().to_ip().unwrap();
    (server, address)
});

/// One request that the gate passes.
struct Passed {
    /// As it came, but without an expectation, which tiny_http would answer.
    whole: Vec<u8>,
    /// As the server gets it.
    head: Vec<u8>,
    body: Vec<u8>,
    is_chunked: bool,
}

/// Returns what the gate passes of these bytes, cut into requests.
fn cut(bytes: &[u8]) -> Vec<Passed> {
    let (mut rest, mut requests) = (bytes.to_vec(), Vec::new());
    loop {
        let mut framing = Framing::default();
        let Ok(true) = framing.advance(&mut rest, MAX_BODY) else { return requests };
        let Request { head_end, end, is_chunked, .. } = framing.request();
        let raw: Vec<u8> = rest.drain(..end).collect();
        let (head, body) = raw.split_at(head_end);
        let mut passed = Passed { whole: Vec::new(), head: Vec::new(), body: body.to_vec(), is_chunked };
        let expects = |line: &&[u8]| line.get(..7).is_some_and(|name| name.eq_ignore_ascii_case(b"expect:"));
        let lines = head.split_inclusive(|&byte| byte == b'\n').filter(|line| !expects(line));
        passed.whole = lines.flatten().chain(body).copied().collect();
        write_head(head, requests.len() as u64, &mut passed.head);
        if is_chunked {
            join_chunks(&mut passed.body);
        }
        requests.push(passed);
    }
}

/// Returns the body by the plainest reading of a request that the gate has passed.
fn body(request: &[u8], is_chunked: bool) -> Vec<u8> {
    let head = request.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let mut rest = &request[head..];
    if !is_chunked {
        return rest.to_vec();
    }
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n").unwrap();
        let digits = rest[..line].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..digits]).unwrap(), 16).unwrap();
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&rest[line + 2..line + 2 + size]);
        rest = &rest[line + 4 + size..];
    }
}

/// Sends `bytes` to tiny_http, and checks each request that it reads with `check`, which returns whether there must be
/// another one. Nothing of them may be refused.
fn read_by_tiny_http(bytes: &[u8], mut check: impl FnMut(&mut tiny_http::Request) -> bool) {
    let (server, address) = &*SERVER;
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    loop {
        let mut read = server.recv_timeout(Duration::from_secs(5)).unwrap().expect("tiny_http finds fewer requests");
        let goes_on = check(&mut read);
        drop(read.into_writer());
        if !goes_on {
            break;
        }
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.is_empty(), "tiny_http refuses what the gate passes: {}", String::from_utf8_lossy(&answer));
    assert!(server.try_recv().unwrap().is_none(), "tiny_http finds more requests");
}

/// Returns the method and the target of a request.
fn first_line(request: &[u8]) -> (Option<&str>, Option<&str>) {
    let line = request.split(|&byte| byte == b'\r').next().unwrap();
    let mut words = std::str::from_utf8(line).unwrap().split(' ');
    (words.next(), words.next())
}

fn value(request: &tiny_http::Request, name: &'static str) -> Option<String> {
    let found = request.headers().iter().find(|header| header.field.equiv(name));
    found.map(|header| header.value.as_str().to_ascii_lowercase())
}

/// The heads are cut as they were joined, and carry their numbers.
fn check_heads(requests: &[Passed]) {
    let mut number = 0;
    read_by_tiny_http(&requests.iter().flat_map(|request| request.head.clone()).collect::<Vec<_>>(), |read| {
        assert_eq!((Some(read.method().as_str()), Some(read.url())), first_line(&requests[number].whole));
        assert_eq!(value(read, gate::NUMBER), Some(number.to_string()));
        assert_eq!(read.body_length(), None);
        number += 1;
        number < requests.len()
    });
}

/// tiny_http would have found the same requests, and the same bodies.
fn check_whole(requests: &[Passed]) {
    let mut rest = requests.iter();
    read_by_tiny_http(&requests.iter().flat_map(|request| request.whole.clone()).collect::<Vec<_>>(), |read| {
        let request = rest.next().unwrap();
        assert_eq!((Some(read.method().as_str()), Some(read.url())), first_line(&request.whole));
        let connection = value(read, "Connection").unwrap_or_default();
        let is_old = *read.http_version() < (1, 1);
        // It hands out the body of an upgrade as it came.
        let is_upgrade = connection.contains("upgrade");
        if !is_upgrade {
            let mut found = Vec::new();
            read.as_reader().read_to_end(&mut found).unwrap();
            assert_eq!(found, request.body);
        }
        let closes = connection.contains("close") || is_upgrade || (is_old && !connection.contains("keep-alive"));
        !closes && rest.len() > 0
    });
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let requests = cut(bytes);
    if requests.is_empty() {
        return;
    }
    for request in &requests {
        assert_eq!(request.body, body(&request.whole, request.is_chunked));
    }
    check_heads(&requests);
    check_whole(&requests);
});
