//! One HTTP exchange on a connection of its own: a request, and the reply to it (RFC 9112). httparse reads what is written in
//! the grammar of HTTP; here are the framing and the limits.

use std::io::{self, BufRead, BufReader, Read};
use std::time::{Duration, Instant};

use super::connection::{Timed, connect};
use super::{CONNECT_TIMEOUT, CallError};
use crate::endpoint::Endpoint;

/// The largest reply that is read, in bytes: a full history of the largest kind, and some.
const MAX_ANSWER: u64 = 16 << 20;
/// The longest head of a reply, in bytes, and the most lines in it.
const MAX_HEAD: u64 = 16 << 10;
const MAX_HEADERS: usize = 64;
/// The time until a further call after a status 429 or 503, if the reply does not say it; and the bounds of what it says.
const RETRY_AFTER: Duration = Duration::from_secs(1);
const RETRY_SOONEST: Duration = Duration::from_millis(250);
const RETRY_LATEST: Duration = Duration::from_secs(60);
/// The longest line between two chunks, in bytes: a size, and an extension of it that is skipped.
const MAX_CHUNK_LINE: u64 = 256;

/// A request to a server.
pub(super) struct HttpRequest<'a> {
    pub(super) server: &'a Endpoint,
    /// Method and target, such as `POST /RPC2`.
    pub(super) line: &'a str,
    /// Header lines, each with its line break.
    pub(super) headers: String,
    pub(super) body: &'a str,
}

impl HttpRequest<'_> {
    /// Sends the request, and reads the head of the reply. Both and the body take at most `time` together. Returns the body, for
    /// which [`Timed::allow`] can give more time, and its content type.
    pub(super) fn send(&self, time: Duration) -> Result<(Body<BufReader<Timed>>, Option<String>), CallError> {
        let deadline = Instant::now() + time;
        let Self { server, line, headers, body } = self;
        let stream = connect(server, deadline.min(Instant::now() + CONNECT_TIMEOUT)).map_err(CallError::NotReached)?;
        let mut stream = Timed { stream, deadline, time };
        let address = server.authority();
        let text = format!(
            "{line} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: {}/{}\r\n{headers}Connection: close\r\n\r\n{body}",
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
        );
        // A server that refuses a call may reply and close before it has read all of it.
        let sent = stream.send(text.as_bytes());
        let mut stream = BufReader::new(stream);
        let head = read_reply(&mut stream).map_err(|error| match (error, sent) {
            (CallError::NoAnswer(_), Err(error)) => failed(error),
            (error, _) => error,
        })?;
        Ok((Body::new(stream, head.end), head.content_type))
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn cut_off() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed before the end of the answer")
}

/// Returns what a failure to read means for the call.
pub(super) fn failed(error: io::Error) -> CallError {
    match error.kind() {
        io::ErrorKind::InvalidData => CallError::Malformed(error.to_string()),
        _ => CallError::NoAnswer(error.to_string()),
    }
}

/// The head of a reply.
struct ReplyHead {
    status: u16,
    end: BodyEnd,
    content_type: Option<String>,
    /// The header `Retry-After` in seconds.
    retry_after: Option<u64>,
}

/// The ways in which a reply tells where its body ends.
#[derive(Debug, Clone, Copy)]
enum BodyEnd {
    UntilClosed,
    Sized(u64),
    Chunked,
}

/// Reads the head of the reply, which must be one of success (2xx).
fn read_reply(stream: &mut impl BufRead) -> Result<ReplyHead, CallError> {
    loop {
        let head = read_head(stream).map_err(failed)?;
        match head.status {
            // An interim reply; the real one follows.
            100..200 => {}
            200..300 => return Ok(head),
            status @ (429 | 503) => {
                let pause = head.retry_after.map_or(RETRY_AFTER, Duration::from_secs);
                return Err(CallError::Busy { status, retry_after: pause.clamp(RETRY_SOONEST, RETRY_LATEST) });
            }
            status @ (502 | 504) => return Err(CallError::Gateway(status)),
            status => return Err(CallError::Status(status)),
        }
    }
}

/// Reads up to the empty line.
fn read_head(stream: &mut impl BufRead) -> io::Result<ReplyHead> {
    let mut bytes = Vec::new();
    loop {
        let line = read_line(stream, MAX_HEAD - bytes.len() as u64)?;
        bytes.extend_from_slice(&line);
        if line.trim_ascii().is_empty() {
            break;
        }
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(&bytes);
    let (Ok(httparse::Status::Complete(_)), Some(status)) = (parsed, response.code) else {
        return Err(malformed("it is not HTTP"));
    };
    let header = |name: &str| response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
    let text = |name| header(name).and_then(|header| std::str::from_utf8(header.value.trim_ascii()).ok());
    let end = match (header("Transfer-Encoding"), header("Content-Length")) {
        (Some(coding), _) if coding.value.trim_ascii().eq_ignore_ascii_case(b"chunked") => BodyEnd::Chunked,
        (Some(_), _) => return Err(malformed("it has a transfer encoding other than chunked")),
        (None, Some(_)) => {
            let size = text("Content-Length").and_then(|text| text.parse().ok());
            BodyEnd::Sized(size.ok_or_else(|| malformed("its length is not a number"))?)
        }
        (None, None) => BodyEnd::UntilClosed,
    };
    let content_type = text("Content-Type").map(str::to_owned);
    Ok(ReplyHead { status, end, content_type, retry_after: text("Retry-After").and_then(|text| text.parse().ok()) })
}

/// The body of a reply. An end that comes too soon is an error.
pub(super) struct Body<R> {
    stream: R,
    end: BodyEnd,
    /// The bytes that are left of it, or of the current chunk.
    left: u64,
    /// If a chunk was begun.
    has_begun: bool,
}

impl<R: BufRead> Body<R> {
    fn new(stream: R, end: BodyEnd) -> Self {
        let left = match end {
            BodyEnd::UntilClosed => u64::MAX,
            BodyEnd::Sized(size) => size,
            BodyEnd::Chunked => 0,
        };
        Self { stream, end, left, has_begun: false }
    }

    pub(super) fn get_mut(&mut self) -> &mut R {
        &mut self.stream
    }

    /// Reads all of a body that has an end.
    pub(super) fn whole(self) -> Result<Vec<u8>, CallError> {
        let mut content = Vec::new();
        self.take(MAX_ANSWER + 1).read_to_end(&mut content).map_err(failed)?;
        if content.len() as u64 > MAX_ANSWER {
            return Err(CallError::Malformed(format!("it has more than {MAX_ANSWER} bytes")));
        }
        Ok(content)
    }

    /// Reads the line with the size of the next chunk, and before it the line break that ends the last one.
    fn next_chunk(&mut self) -> io::Result<()> {
        if self.has_begun && !read_line(&mut self.stream, MAX_CHUNK_LINE)?.trim_ascii().is_empty() {
            return Err(malformed("a chunk of it is longer than announced"));
        }
        self.has_begun = true;
        let line = read_line(&mut self.stream, MAX_CHUNK_LINE)?;
        let Ok(httparse::Status::Complete((_, size))) = httparse::parse_chunk_size(&line) else {
            return Err(malformed("a chunk of it has no size"));
        };
        self.left = size;
        if size == 0 {
            // Trailers may follow, of which none matters here.
            self.end = BodyEnd::Sized(0);
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Body<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && matches!(self.end, BodyEnd::Chunked) {
            self.next_chunk()?;
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.stream.read(&mut buffer[..most])?;
        if count == 0 && most > 0 && !matches!(self.end, BodyEnd::UntilClosed) {
            return Err(cut_off());
        }
        self.left -= count as u64;
        Ok(count)
    }
}

fn read_line(stream: &mut impl BufRead, most: u64) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    stream.take(most).read_until(b'\n', &mut line)?;
    match line.last() {
        Some(b'\n') => Ok(line),
        _ if line.len() as u64 == most => Err(malformed("its head is too long")),
        _ => Err(cut_off()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(bytes: &[u8]) -> Result<String, CallError> {
        // In pieces of three bytes, so that no boundary falls where it is convenient.
        let mut stream = BufReader::with_capacity(3, bytes);
        let end = read_reply(&mut stream)?.end;
        Ok(String::from_utf8(Body::new(stream, end).whole()?).unwrap())
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
            ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "length"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "transfer encoding"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello\r\n", "no size"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n", "longer than announced"),
            (&long_head, "too long"),
            (&many_lines, "not HTTP"),
            (&long_chunk_line, "too long"),
        ] {
            let read = answer(bytes.as_bytes());
            assert!(matches!(&read, Err(CallError::Malformed(what)) if what.contains(part)), "{part}: {read:?}");
        }
    }

    #[test]
    fn a_status_says_whether_the_call_was_made() {
        let busy = |headers: &str| match answer(format!("HTTP/1.1 503 Busy\r\n{headers}\r\n").as_bytes()) {
            Err(error @ CallError::Busy { status: 503, retry_after }) if error.is_safe_to_repeat() => retry_after,
            other => panic!("{other:?}"),
        };
        assert_eq!(busy(""), RETRY_AFTER);
        assert_eq!(busy("Retry-After: 7\r\n"), Duration::from_secs(7));
        assert_eq!(busy("retry-after: 0\r\n"), RETRY_SOONEST);
        assert_eq!(busy("Retry-After: 99999999999\r\n"), RETRY_LATEST);
        assert_eq!(busy("Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n"), RETRY_AFTER);
        assert!(matches!(answer(b"HTTP/1.1 429 Slow\r\n\r\n"), Err(CallError::Busy { status: 429, .. })));
        for status in [502, 504] {
            let gateway = answer(format!("HTTP/1.1 {status} Gateway\r\n\r\n").as_bytes()).unwrap_err();
            assert!(matches!(gateway, CallError::Gateway(code) if code == status) && !gateway.is_safe_to_repeat());
        }
        for status in [302, 401, 404, 500] {
            let other = answer(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n").as_bytes()).unwrap_err();
            assert!(matches!(other, CallError::Status(code) if code == status));
            assert!(other.to_string().contains(&status.to_string()));
        }
    }

    #[test]
    fn a_reply_has_a_limit_however_its_length_is_told() {
        let endless = |head: &'static str| {
            let mut stream = BufReader::new(head.as_bytes().chain(io::repeat(b'0')));
            let end = read_reply(&mut stream).unwrap().end;
            Body::new(stream, end).whole()
        };
        for head in [
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 16777217\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n",
        ] {
            assert!(
                matches!(endless(head), Err(CallError::Malformed(what)) if what.contains("16777216 bytes")),
                "{head}"
            );
        }
        let longest = endless("HTTP/1.1 200 OK\r\nContent-Length: 16777216\r\n\r\n");
        assert_eq!(longest.unwrap().len() as u64, MAX_ANSWER);
    }
}
