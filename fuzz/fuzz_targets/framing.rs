#![no_main]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::LazyLock;
use std::time::Duration;

use gate::framing::Framing;

const MAX_BODY: usize = 3000;

static SERVER: LazyLock<(tiny_http::Server, SocketAddr)> = LazyLock::new(|| {
    let server = tiny_http::Server::http("127.0.0.1:0").unwrap();
    let address = server.server_addr().to_ip().unwrap();
    (server, address)
});

/// What the gate passes of these bytes, cut into requests.
fn cut(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut rest, mut requests) = (bytes.to_vec(), Vec::new());
    loop {
        let mut framing = Framing::default();
        match framing.advance(&mut rest, MAX_BODY) {
            Ok(true) => requests.push(rest.drain(..framing.end()).collect()),
            Ok(false) | Err(_) => return requests,
        }
    }
}

/// The body by the plainest reading of a request that the gate has passed.
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

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let requests = cut(bytes);
    if requests.is_empty() {
        return;
    }
    let (server, address) = &*SERVER;
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let all = requests.concat();
    stream.write_all(&all).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    for request in &requests {
        let text =
            std::str::from_utf8(request).map_or_else(|_| String::from_utf8_lossy(request).into_owned(), str::to_owned);
        let mut first = text.lines().next().unwrap().split(' ');
        let mut read = server.recv_timeout(Duration::from_secs(5)).unwrap().expect("tiny_http finds fewer requests");
        assert_eq!((Some(read.method().as_str()), Some(read.url())), (first.next(), first.next()));
        let value = |name: &'static str| {
            let found = read.headers().iter().find(|header| header.field.equiv(name));
            found.map(|header| header.value.as_str().to_ascii_lowercase())
        };
        let connection = value("Connection").unwrap_or_default();
        let is_chunked = value("Transfer-Encoding").is_some();
        let is_old = *read.http_version() < (1, 1);
        // It hands out the body of an upgrade as it came, which the server cuts, or refuses if it is in chunks.
        let is_upgrade = connection.contains("upgrade");
        let length = read.body_length().unwrap_or(MAX_BODY);
        let mut found = Vec::new();
        if !is_upgrade {
            read.as_reader().read_to_end(&mut found).unwrap();
        } else if !is_chunked && read.body_length().is_some() {
            read.as_reader().take(length as u64).read_to_end(&mut found).unwrap();
        }
        if !(is_upgrade && is_chunked) {
            assert_eq!(found, body(request, is_chunked));
        }
        drop(read.into_writer());
        if connection.contains("close") || is_upgrade || (is_old && !connection.contains("keep-alive")) {
            break;
        }
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.is_empty(), "tiny_http refuses what the gate passes: {}", String::from_utf8_lossy(&answer));
    assert!(server.try_recv().unwrap().is_none(), "tiny_http finds more requests");
});
