//! One HTTP exchange on a connection of its own: a POST, and the answer to it (RFC 9112). httparse reads what is written in
//! the grammar of HTTP; here are the connection, the time and the limits.

use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use super::{CONNECT_TIMEOUT, CallError};
use crate::endpoint::Endpoint;

/// The largest answer that is read, in bytes: a full history of the largest kind, and some.
const MAX_ANSWER: u64 = 16 << 20;
/// The longest head of an answer, in bytes, and the most lines in it.
const MAX_HEAD: u64 = 16 << 10;
const MAX_HEADERS: usize = 64;
/// The longest line between two chunks, in bytes: a size, and an extension of it that is skipped.
const MAX_CHUNK_LINE: u64 = 256;

/// Posts `body` to `/RPC2` at `address`, and reads the body of the answer. All of it takes at most `time`.
pub(super) fn post(
    address: &str,
    authorization: Option<&str>,
    body: &str,
    time: Duration,
) -> Result<Vec<u8>, CallError> {
    let deadline = Instant::now() + time;
    let stream = connect(address, deadline.min(Instant::now() + CONNECT_TIMEOUT)).map_err(CallError::NotReached)?;
    let mut stream = Timed { stream, deadline, time };
    let authorization =
        authorization.map_or_else(String::new, |credentials| format!("Authorization: {credentials}\r\n"));
    let request = format!(
        "POST /RPC2 HTTP/1.1\r\nHost: {address}\r\nUser-Agent: {}/{}\r\n{authorization}Content-Type: text/xml\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_VERSION"),
        body.len()
    );
    // A server that refuses a call may answer and close before it has read all of it.
    let sent = stream.send(request.as_bytes());
    read(&mut BufReader::new(stream)).map_err(|error| match (error, sent) {
        (CallError::NoAnswer(_), Err(error)) => no_answer(&error),
        (error, _) => error,
    })
}

fn connect(address: &str, deadline: Instant) -> Result<TcpStream, String> {
    let endpoint = address.parse::<Endpoint>()?;
    let addresses = resolve(endpoint, deadline)?;
    let mut failure = "the name has no address".to_owned();
    for (address, untried) in addresses.iter().zip((1..=addresses.len()).rev()) {
        // Each has its share, so that a dead first one leaves time for the others.
        let share = left(deadline) / u32::try_from(untried).unwrap_or(u32::MAX);
        match TcpStream::connect_timeout(address, share.max(Duration::from_millis(1))) {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                failure = format!("{address} did not answer in time");
            }
            Err(error) => failure = error.to_string(),
        }
    }
    Err(failure)
}

/// The system looks names up in its own time, so that is done on a thread which may be left behind.
fn resolve(endpoint: Endpoint, deadline: Instant) -> Result<Vec<SocketAddr>, String> {
    if let Ok(ip) = endpoint.host.parse::<IpAddr>() {
        return Ok(vec![(ip, endpoint.port).into()]);
    }
    let (answer, found) = crossbeam_channel::bounded(1);
    let look_up = move || {
        let addresses = (endpoint.host.as_str(), endpoint.port).to_socket_addrs();
        // Nobody waits for it any more if it took too long.
        let _ = answer.try_send(addresses.map(Vec::from_iter).map_err(|error| error.to_string()));
    };
    crate::program::spawn("resolve", look_up).map_err(|error| error.to_string())?;
    found.recv_timeout(left(deadline)).unwrap_or_else(|_| Err("the name was not resolved in time".into()))
}

/// A connection on which nothing takes longer than until the deadline.
struct Timed {
    stream: TcpStream,
    deadline: Instant,
    time: Duration,
}

impl Timed {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        let mut rest = bytes;
        while !rest.is_empty() {
            self.stream.set_write_timeout(Some(self.left()?))?;
            match self.stream.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) => unless_transient(error)?,
            }
        }
        Ok(())
    }

    fn left(&self) -> io::Result<Duration> {
        let left = left(self.deadline);
        if left.is_zero() { Err(self.expired()) } else { Ok(left) }
    }

    fn expired(&self) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, format!("not within {:?}", self.time))
    }
}

/// Whether to go on: an expired time-out is found out by [`Timed::left`].
fn unless_transient(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(()),
        _ => Err(error),
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.stream.set_read_timeout(Some(self.left()?))?;
            match self.stream.read(buffer) {
                Ok(count) => return Ok(count),
                Err(error) => unless_transient(error)?,
            }
        }
    }
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

fn no_answer(error: &io::Error) -> CallError {
    CallError::NoAnswer(error.to_string())
}

fn cut_off() -> CallError {
    CallError::NoAnswer("the connection was closed before the end of the answer".into())
}

fn malformed(what: &str) -> CallError {
    CallError::Malformed(what.to_owned())
}

fn too_long() -> CallError {
    CallError::Malformed(format!("it has more than {MAX_ANSWER} bytes"))
}

/// How the end of a body is told.
enum Body {
    Sized(u64),
    Chunked,
    UntilClosed,
}

/// Reads an answer and returns its body; an error for every status but success (2xx).
fn read(stream: &mut impl BufRead) -> Result<Vec<u8>, CallError> {
    let body = loop {
        let (status, body) = read_head(stream)?;
        match status {
            // An interim answer; the real one follows.
            100..200 => {}
            200..300 => break body,
            _ => return Err(CallError::Malformed(format!("HTTP status {status}"))),
        }
    };
    let mut content = Vec::new();
    match body {
        Body::Sized(size) => take(stream, size, &mut content)?,
        Body::Chunked => loop {
            let line = read_line(stream, MAX_CHUNK_LINE)?;
            let Ok(httparse::Status::Complete((_, size))) = httparse::parse_chunk_size(&line) else {
                return Err(malformed("a chunk of it has no size"));
            };
            // What may follow the last chunk says nothing that matters here.
            if size == 0 {
                break;
            }
            take(stream, size, &mut content)?;
            if !read_line(stream, MAX_CHUNK_LINE)?.trim_ascii().is_empty() {
                return Err(malformed("a chunk of it is longer than announced"));
            }
        },
        Body::UntilClosed => {
            stream.take(MAX_ANSWER + 1).read_to_end(&mut content).map_err(|error| no_answer(&error))?;
            if content.len() as u64 > MAX_ANSWER {
                return Err(too_long());
            }
        }
    }
    Ok(content)
}

/// Reads up to the empty line.
fn read_head(stream: &mut impl BufRead) -> Result<(u16, Body), CallError> {
    let mut head = Vec::new();
    loop {
        let line = read_line(stream, MAX_HEAD - head.len() as u64)?;
        head.extend_from_slice(&line);
        if line.trim_ascii().is_empty() {
            break;
        }
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(&head);
    let (Ok(httparse::Status::Complete(_)), Some(status)) = (parsed, response.code) else {
        return Err(malformed("it is not HTTP"));
    };
    let mut body = Body::UntilClosed;
    for header in &*response.headers {
        let value = header.value.trim_ascii();
        if header.name.eq_ignore_ascii_case("Transfer-Encoding") {
            if !value.eq_ignore_ascii_case(b"chunked") {
                return Err(malformed("it has a transfer encoding other than chunked"));
            }
            body = Body::Chunked;
        } else if header.name.eq_ignore_ascii_case("Content-Length") && !matches!(body, Body::Chunked) {
            let size = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            body = Body::Sized(size.ok_or_else(|| malformed("its length is not a number"))?);
        }
    }
    Ok((status, body))
}

fn read_line(stream: &mut impl BufRead, most: u64) -> Result<Vec<u8>, CallError> {
    let mut line = Vec::new();
    stream.take(most).read_until(b'\n', &mut line).map_err(|error| no_answer(&error))?;
    match line.last() {
        Some(b'\n') => Ok(line),
        _ if line.len() as u64 == most => Err(malformed("its head is too long")),
        _ => Err(cut_off()),
    }
}

/// Appends `size` bytes.
fn take(stream: &mut impl BufRead, size: u64, content: &mut Vec<u8>) -> Result<(), CallError> {
    if size > MAX_ANSWER - content.len() as u64 {
        return Err(too_long());
    }
    let read = stream.take(size).read_to_end(content).map_err(|error| no_answer(&error))?;
    if read as u64 == size { Ok(()) } else { Err(cut_off()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(bytes: &[u8]) -> Result<String, CallError> {
        // In pieces of three bytes, so that no boundary falls where it is convenient.
        let body = read(&mut BufReader::with_capacity(3, bytes))?;
        Ok(String::from_utf8(body).unwrap())
    }

    #[test]
    fn the_end_of_a_body_is_told_in_three_ways() {
        for (head, body) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "helloXXX"),
            ("HTTP/1.0 200 OK\r\ncontent-length:5 \r\n\r\n", "hello"),
            ("HTTP/1.1 200 OK\n\n", "hello"),
            ("HTTP/1.0 200\r\nServer: x\r\n\r\n", "hello"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n"),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: Chunked\r\n\r\n",
                "05\r\nhello\r\n0\r\nA: b\r\n\r\n",
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", "5\r\nhello\r\n0\r\n"),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 P\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
                "hello",
            ),
        ] {
            assert_eq!(answer(format!("{head}{body}").as_bytes()).unwrap(), "hello", "{head}{body}");
        }
    }

    #[test]
    fn an_answer_that_is_cut_off_is_none() {
        for whole in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        ] {
            assert!(answer(whole.as_bytes()).is_ok());
            for end in 0..whole.len() {
                let cut = answer(&whole.as_bytes()[..end]);
                assert!(matches!(cut, Err(CallError::NoAnswer(_))), "{:?}: {cut:?}", &whole[..end]);
            }
        }
    }

    #[test]
    fn what_is_not_an_answer_is_malformed() {
        let long_head = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(16 << 10));
        let many_lines = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(65));
        let long_chunk_line = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}", "0".repeat(1000));
        for (bytes, part) in [
            ("hello\r\n\r\n", "not HTTP"),
            ("\r\n", "not HTTP"),
            ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "HTTP status 404"),
            ("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n", "HTTP status 302"),
            ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "length"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 16777217\r\n\r\n", "16777216 bytes"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "transfer encoding"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello\r\n", "no size"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n", "longer than announced"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n", "16777216 bytes"),
            (&long_head, "too long"),
            (&many_lines, "not HTTP"),
            (&long_chunk_line, "too long"),
        ] {
            let read = answer(bytes.as_bytes());
            assert!(matches!(&read, Err(CallError::Malformed(what)) if what.contains(part)), "{part}: {read:?}");
        }
    }

    #[test]
    fn an_answer_without_an_announced_length_has_a_limit_too() {
        let head = b"HTTP/1.1 200 OK\r\n\r\n".as_slice();
        let longest = read(&mut BufReader::new(head.chain(io::repeat(b'x').take(MAX_ANSWER))));
        assert_eq!(longest.unwrap().len() as u64, MAX_ANSWER);
        let endless = read(&mut BufReader::new(head.chain(io::repeat(b'x'))));
        assert!(matches!(endless, Err(CallError::Malformed(_))));
    }
}
