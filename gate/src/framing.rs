//! The framing of HTTP/1.x (RFC 9112): where a request ends in a stream of bytes, and which bytes are no request. Nothing here
//! knows what a request means.

use crate::handover::chunk_size;
pub use crate::refused::Refused;

/// The longest head of a request, in bytes.
pub const HEAD_BYTES: usize = 16 << 10;
/// The most header lines of a request.
pub const HEAD_LINES: usize = 100;
/// The longest line before a chunk, in bytes.
pub const CHUNK_LINE_BYTES: usize = 256;

fn malformed(text: &'static str) -> Refused {
    Refused::new(400, text)
}

/// A whole request: where its parts end, and what its head says about its connection and its body.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// The end of its head, and so the start of its body.
    pub head_end: usize,
    /// Its end.
    pub end: usize,
    /// If the head announces a body, be it an empty one.
    pub has_length: bool,
    /// If the body is in chunks.
    pub is_chunked: bool,
    /// If the connection goes on after the answer (RFC 9112, section 9.3).
    pub keep_alive: bool,
    /// If it is one of HTTP/1.0.
    pub http_1_0: bool,
}

/// Follows one request through the bytes that have come so far. It looks at each byte once, however slowly they come.
#[derive(Debug, Default)]
pub struct Framing {
    /// Up to here the bytes have been looked at.
    at: usize,
    line_start: usize,
    step: Step,
    lines: usize,
    lengths: usize,
    encodings: usize,
    length: u64,
    head_end: usize,
    /// Bytes of the body without the chunks' lines.
    body: u64,
    http_1_1: bool,
    asks_to_close: bool,
    asks_to_keep: bool,
    expects: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum Step {
    #[default]
    Head,
    Sized(usize),
    ChunkLine,
    ChunkData(usize),
    LastChunk,
    Whole,
}

impl Framing {
    /// Goes on with `bytes`, which begin with the request and have grown since the last call. Returns whether the request is
    /// whole; then [`Framing::request`] says where it ends. Removes line breaks before the request.
    ///
    /// # Errors
    /// The refusal, as soon as it is certain.
    pub fn advance(&mut self, bytes: &mut Vec<u8>, max_body: usize) -> Result<bool, Refused> {
        loop {
            match self.step {
                Step::Whole => return Ok(true),
                Step::Head => {
                    if self.line_start == 0 && bytes.starts_with(b"\r\n") {
                        // RFC 9112, 2.2: old clients end the request before with an empty line too many.
                        bytes.drain(..2);
                        self.at = 0;
                        continue;
                    }
                    let Some((start, end)) = self.line(bytes, HEAD_BYTES, 431)? else { return Ok(false) };
                    self.head_line(&bytes[start..end], start == 0, max_body)?;
                }
                Step::Sized(end) => {
                    if bytes.len() < end {
                        return Ok(false);
                    }
                    self.finish(end);
                }
                Step::ChunkLine => {
                    let limit = self.line_start + CHUNK_LINE_BYTES;
                    let Some((start, end)) = self.line(bytes, limit, 400)? else { return Ok(false) };
                    self.chunk_line(&bytes[start..end], max_body)?;
                }
                Step::ChunkData(end) => {
                    if bytes.len() < end + 2 {
                        return Ok(false);
                    }
                    if &bytes[end..end + 2] != b"\r\n" {
                        return Err(malformed("a chunk must end where its length says\n"));
                    }
                    (self.at, self.line_start, self.step) = (end + 2, end + 2, Step::ChunkLine);
                }
                Step::LastChunk => {
                    if bytes.len() < self.at + 2 {
                        return Ok(false);
                    }
                    if &bytes[self.at..self.at + 2] != b"\r\n" {
                        return Err(malformed("nothing may follow the last chunk\n"));
                    }
                    self.finish(self.at + 2);
                }
            }
        }
    }

    /// Returns the request, once it is whole.
    #[must_use]
    pub fn request(&self) -> Request {
        Request {
            head_end: self.head_end,
            end: self.at,
            has_length: self.lengths + self.encodings > 0,
            is_chunked: self.encodings > 0,
            keep_alive: !self.asks_to_close && (self.http_1_1 || self.asks_to_keep),
            http_1_0: !self.http_1_1,
        }
    }

    /// Returns whether the client waits for `100 Continue` before it sends the body; true once.
    pub fn take_expectation(&mut self) -> bool {
        std::mem::take(&mut self.expects) && self.http_1_1 && self.step != Step::Head
    }

    fn finish(&mut self, end: usize) {
        (self.at, self.step) = (end, Step::Whole);
    }

    /// The next line, without its CR LF, as start and end; `None` while it is not there. It must end before `limit`, or `status`
    /// refuses it.
    fn line(&mut self, bytes: &[u8], limit: usize, status: u16) -> Result<Option<(usize, usize)>, Refused> {
        let seen = bytes.len().min(limit);
        let Some(found) = bytes[self.at..seen].iter().position(|&byte| byte == b'\n') else {
            self.at = seen;
            if seen < limit {
                return Ok(None);
            }
            return Err(Refused::new(status, "a line or the head of the request is too long\n"));
        };
        let (start, end) = (self.line_start, self.at + found);
        if end == start || bytes[end - 1] != b'\r' {
            return Err(malformed("lines must end in CR LF\n"));
        }
        (self.at, self.line_start) = (end + 1, end + 1);
        Ok(Some((start, end - 1)))
    }

    fn head_line(&mut self, line: &[u8], is_first: bool, max_body: usize) -> Result<(), Refused> {
        if is_first {
            return self.request_line(line);
        }
        if line.is_empty() {
            return self.head_is_complete(max_body);
        }
        self.lines += 1;
        if self.lines > HEAD_LINES {
            return Err(Refused::new(431, format!("a request may have {HEAD_LINES} header lines\n")));
        }
        self.header(line)
    }

    fn request_line(&mut self, line: &[u8]) -> Result<(), Refused> {
        let mut parts = line.split(|&byte| byte == b' ');
        let (method, target, version) = (parts.next(), parts.next(), parts.next());
        let (Some(method), Some(target), Some(version), None) = (method, target, version, parts.next()) else {
            return Err(malformed("the first line must be METHOD TARGET HTTP/1.1\n"));
        };
        if !is_token(method) || target.is_empty() || !target.iter().all(u8::is_ascii_graphic) {
            return Err(malformed("the method and the target must be plain ASCII\n"));
        }
        self.http_1_1 = version == b"HTTP/1.1";
        if self.http_1_1 || version == b"HTTP/1.0" {
            return Ok(());
        }
        let is_version = matches!(version, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit());
        if is_version {
            return Err(Refused::new(505, "the version must be HTTP/1.0 or HTTP/1.1\n"));
        }
        Err(malformed("the first line must be METHOD TARGET HTTP/1.1\n"))
    }

    /// Notes what a header line says about framing.
    fn header(&mut self, line: &[u8]) -> Result<(), Refused> {
        let colon = line.iter().position(|&byte| byte == b':');
        let Some((name, value)) = colon.map(|colon| (&line[..colon], &line[colon + 1..])) else {
            return Err(malformed("a header line must have a colon\n"));
        };
        let value = value.trim_ascii();
        if !is_token(name) || !value.iter().all(|&byte| matches!(byte, b' '..=b'~' | b'\t')) {
            return Err(malformed("a header line must be a name, a colon and plain ASCII\n"));
        }
        if name.eq_ignore_ascii_case(b"Content-Length") {
            self.lengths += 1;
            if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
                return Err(malformed("Content-Length must be a number\n"));
            }
            let digits =
                value.iter().fold(0u64, |sum, digit| sum.saturating_mul(10).saturating_add((digit - b'0').into()));
            self.length = digits;
        } else if name.eq_ignore_ascii_case(b"Transfer-Encoding") {
            self.encodings += 1;
            if !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Refused::new(501, "the only transfer encoding is chunked\n"));
            }
        } else if name.eq_ignore_ascii_case(b"Expect") {
            if !value.eq_ignore_ascii_case(b"100-continue") {
                return Err(Refused::new(417, "the only expectation is 100-continue\n"));
            }
            self.expects = true;
        } else if name.eq_ignore_ascii_case(b"Connection") {
            for option in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                self.asks_to_close |= option.eq_ignore_ascii_case(b"close");
                self.asks_to_keep |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        }
        Ok(())
    }

    fn head_is_complete(&mut self, max_body: usize) -> Result<(), Refused> {
        self.head_end = self.at;
        if self.lengths + self.encodings > 1 || (self.encodings > 0 && !self.http_1_1) {
            return Err(malformed("the length of the body must be given once, as a number or by chunks\n"));
        }
        if self.encodings > 0 {
            self.step = Step::ChunkLine;
            return Ok(());
        }
        if self.length > max_body as u64 {
            return Err(too_large(max_body));
        }
        // It is at most `max_body`, a usize.
        self.step = Step::Sized(self.head_end + self.length as usize);
        Ok(())
    }

    fn chunk_line(&mut self, line: &[u8], max_body: usize) -> Result<(), Refused> {
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let rest = line[digits..].trim_ascii_start();
        let plain = line.iter().all(|&byte| matches!(byte, b' '..=b'~' | b'\t'));
        if !(1..=16).contains(&digits) || !plain || rest.first().is_some_and(|&byte| byte != b';') {
            return Err(malformed("a chunk must begin with its length\n"));
        }
        let size = chunk_size(line);
        if size == 0 {
            self.step = Step::LastChunk;
            return Ok(());
        }
        self.body = self.body.saturating_add(size);
        // Their lines may not take more than they carry, or small chunks would be kept at many times their size.
        let whole = (self.at - self.head_end) as u64;
        if self.body > max_body as u64 || whole > 2 * max_body as u64 + 1024 {
            return Err(too_large(max_body));
        }
        self.step = Step::ChunkData(self.at + size as usize);
        Ok(())
    }
}

fn too_large(max_body: usize) -> Refused {
    Refused::new(413, format!("a call may have {max_body} bytes\n"))
}

/// RFC 9110, 5.6.2.
fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames `bytes` as they come in pieces of `step` bytes: the end of the request, `None` if it is not whole, or a status.
    fn frame(bytes: &[u8], step: usize) -> Result<Option<usize>, u16> {
        let (mut framing, mut so_far) = (Framing::default(), Vec::new());
        for piece in bytes.chunks(step) {
            so_far.extend_from_slice(piece);
            if framing.advance(&mut so_far, 100).map_err(|refused| refused.status)? {
                return Ok(Some(framing.request().end));
            }
        }
        Ok(None)
    }

    #[test]
    fn a_request_ends_where_its_head_says_however_it_comes() {
        let post = |lines: &str, body: &str| format!("POST / HTTP/1.1\r\n{lines}\r\n{body}");
        let long = "a: b\r\n".repeat(HEAD_LINES);
        let chunks = "Transfer-Encoding: Chunked\r\n";
        for (request, ends) in [
            ("GET / HTTP/1.1\r\n\r\n".to_owned(), Ok(true)),
            ("GET / HTTP/1.0\r\nHost: a\r\n\r\n".to_owned(), Ok(true)),
            ("GET / HTTP/1.1\r\nHost: a\r\n".to_owned(), Ok(false)),
            (post("Content-Length: 5\r\n", "hello"), Ok(true)),
            (post("Content-Length: 6\r\n", "hello"), Ok(false)),
            (post("content-length:5 \r\n", "hello"), Ok(true)),
            (post("Content-Length: 100\r\n", &"x".repeat(100)), Ok(true)),
            (post("Content-Length: 101\r\n", ""), Err(413)),
            (post("Content-Length: 99999999999999999999999\r\n", ""), Err(413)),
            (post("Content-Length: +5\r\n", "hello"), Err(400)),
            (post("Content-Length: \r\n", "hello"), Err(400)),
            (post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), Err(400)),
            (post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "hello"), Err(400)),
            (post("Content-Length : 5\r\n", "hello"), Err(400)),
            (post("X: y\r\n Content-Length: 5\r\n", ""), Err(400)),
            (post("Transfer-Encoding: xchunked\r\n", ""), Err(501)),
            (post("Transfer-Encoding: gzip, chunked\r\n", ""), Err(501)),
            (post("Transfer-Encoding:\r\n", ""), Err(501)),
            (post("Expect: 200-ok\r\n", ""), Err(417)),
            (post(chunks, "5\r\nhello\r\n0\r\n\r\n"), Ok(true)),
            (post(chunks, "5 ;a=b\r\nhello\r\n00\r\n\r\n"), Ok(true)),
            (post(chunks, "5\r\nhello\r\n0\r\n"), Ok(false)),
            (post(chunks, "5\r\nhelloX\r\n0\r\n\r\n"), Err(400)),
            (post(chunks, "0\r\nX: y\r\n\r\n"), Err(400)),
            (post(chunks, "+5\r\nhello\r\n0\r\n\r\n"), Err(400)),
            (post(chunks, "0x5\r\nhello\r\n0\r\n\r\n"), Err(400)),
            (post(chunks, "FFFFFFFFFFFFFFFF\r\n"), Err(413)),
            (post(chunks, "65\r\n"), Err(413)),
            (post(chunks, &format!("1;{}\r\n", "x".repeat(CHUNK_LINE_BYTES))), Err(400)),
            (post(chunks, &"1;a=b;c=d;e=f;g=h\r\nx\r\n".repeat(99)), Err(413)),
            (format!("POST / HTTP/1.0\r\n{chunks}\r\n0\r\n\r\n"), Err(400)),
            (post(&long, ""), Ok(true)),
            (post(&format!("{long}a: b\r\n"), ""), Err(431)),
            (post(&format!("a: {}\r\n", "x".repeat(HEAD_BYTES)), ""), Err(431)),
            ("x".repeat(HEAD_BYTES), Err(431)),
            ("GET / HTTP/2.0\r\n\r\n".to_owned(), Err(505)),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), Err(505)),
            ("GET / HTTP/0.9\r\n\r\n".to_owned(), Err(505)),
            ("GET / HTTP/1.1 \r\n\r\n".to_owned(), Err(400)),
            ("GET  / HTTP/1.1\r\n\r\n".to_owned(), Err(400)),
            ("GET / http/1.1\r\n\r\n".to_owned(), Err(400)),
            ("GET /\r\n\r\n".to_owned(), Err(400)),
            ("GET /\u{e4} HTTP/1.1\r\n\r\n".to_owned(), Err(400)),
            ("GET / HTTP/1.1\n\n".to_owned(), Err(400)),
            ("GET / HTTP/1.1\r\nX: a\rb\r\n\r\n".to_owned(), Err(400)),
            ("GET / HTTP/1.1\r\nX: a\0b\r\n\r\n".to_owned(), Err(400)),
            ("GET / HTTP/1.1\r\nnonsense\r\n\r\n".to_owned(), Err(400)),
        ] {
            let expected = ends.map(|whole| whole.then_some(request.len()));
            for step in [1, 2, 7, request.len()] {
                assert_eq!(frame(request.as_bytes(), step), expected, "{request:.200} in steps of {step}");
            }
            if ends == Ok(true) {
                let two = format!("{request}{request}");
                assert_eq!(
                    frame(two.as_bytes(), two.len()),
                    expected,
                    "the next request is left alone: {request:.200}"
                );
            }
        }
    }

    #[test]
    fn line_breaks_before_a_request_are_removed_and_an_expectation_is_told_once() {
        let (mut framing, mut bytes) = (Framing::default(), b"\r\n\r\nPOST / HTTP/1.1\r\nA: b\r\nExpect: ".to_vec());
        assert_eq!(framing.advance(&mut bytes, 100), Ok(false));
        bytes.extend_from_slice(b"100-Continue\r\nContent-Length: 2\r\n\r\n");
        assert_eq!(framing.advance(&mut bytes, 100), Ok(false));
        assert!(framing.take_expectation() && !framing.take_expectation());
        bytes.extend_from_slice(b"hi");
        assert_eq!(framing.advance(&mut bytes, 100), Ok(true));
        assert!(bytes.starts_with(b"POST"));
        assert_eq!((framing.request().head_end, framing.request().end), (bytes.len() - 2, bytes.len()));
    }

    #[test]
    fn a_connection_goes_on_as_its_version_and_its_header_say() {
        for (version, lines, keep_alive) in [
            ("1.1", "", true),
            ("1.0", "", false),
            ("1.1", "Connection: Close\r\n", false),
            ("1.0", "Connection: Keep-Alive\r\n", true),
            ("1.1", "Connection: te, close\r\n", false),
            ("1.0", "Connection: keep-alive\r\nConnection: close\r\n", false),
            ("1.1", "Connection: upgrade\r\nUpgrade: h2c\r\n", true),
        ] {
            let mut framing = Framing::default();
            let mut bytes = format!("GET / HTTP/{version}\r\n{lines}\r\n").into_bytes();
            assert_eq!(framing.advance(&mut bytes, 100), Ok(true));
            assert_eq!(framing.request().keep_alive, keep_alive, "{version} {lines}");
        }
    }
}
