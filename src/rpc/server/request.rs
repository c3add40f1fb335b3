//! What a request's head says, and its body; what is refused before anybody is asked.

use std::borrow::Cow;
use std::io::{self, Read};
use std::net::IpAddr;
use std::time::Instant;

use tiny_http::Request;

use super::config::HttpConfig;
use super::page::{Page, accepts_gzip};
use super::stream::StreamRequest;

/// Bodies up to this size have been read by tiny_http before the request reaches us.
const SMALL_BODY: usize = 1024;

pub(super) enum Target {
    Call,
    Events(StreamRequest),
    Health,
    Metrics,
    Page(&'static Page),
}

/// An answer other than XML-RPC's. It closes the connection: nothing that follows can be trusted to be a request.
pub(super) struct Rejection {
    pub(super) status: u16,
    pub(super) text: Cow<'static, str>,
    /// A header line, with CR LF; or empty.
    pub(super) header: &'static str,
}

impl Rejection {
    fn new(status: u16, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status, text: text.into(), header: "" }
    }
}

/// What the settings say about a request.
impl HttpConfig {
    /// Everything about a request that can be judged by its head.
    pub(super) fn check(&self, request: &Request) -> Result<Target, Rejection> {
        use tiny_http::Method::{Get, Head, Post};
        let lengths = headers(request, "Content-Length").count();
        let encodings = headers(request, "Transfer-Encoding").count();
        // `+5` is a number for tiny_http, and perhaps another one for a proxy on the way.
        let is_number = header(request, "Content-Length").is_none_or(|value| value.bytes().all(|b| b.is_ascii_digit()));
        if lengths + encodings > 1 || (lengths == 1 && request.body_length().is_none()) || !is_number {
            return Err(Rejection::new(400, "the length of the body must be given once, as a number or by chunks\n"));
        }
        if header(request, "Transfer-Encoding").is_some_and(|value| !value.eq_ignore_ascii_case("chunked")) {
            return Err(Rejection::new(501, "the only transfer encoding is chunked\n"));
        }
        if encodings > 0 && asks_to_upgrade(request) {
            // tiny_http would hand out the chunks as they are.
            return Err(Rejection::new(501, "a request for an upgrade cannot be chunked\n"));
        }
        if headers(request, "Host").count() > 1 {
            return Err(Rejection::new(400, "a request has one Host header\n"));
        }
        if let Some(host) = header(request, "Host")
            && !self.is_own_name(host)
        {
            return Err(Rejection::new(
                421,
                "this name is not one of the server's; use its address, or start it with --allow-host NAME\n",
            ));
        }
        let path = request.url().split(['?', '#']).next().unwrap_or_default();
        if path == "/"
            && matches!(request.method(), Get | Head)
            && let Some(page) = self.page
        {
            return match header(request, "Accept-Encoding") {
                _ if is_unread(request) => Err(Rejection::new(413, "this is read without a body\n")),
                codings if accepts_gzip(codings) => Ok(Target::Page(page)),
                _ => Err(Rejection::new(406, "the page is sent as Content-Encoding: gzip\n")),
            };
        }
        match (path, request.method()) {
            ("/" | "/RPC2", Post) => {}
            ("/" | "/RPC2", _) => {
                return Err(Rejection {
                    header: "Allow: POST\r\n",
                    ..Rejection::new(405, "XML-RPC is spoken by POST\n")
                });
            }
            // Its body would never be read, and be dropped with the request; see `LARGEST_DROP`.
            ("/events", Get) | ("/healthz" | "/metrics", Get | Head) if is_unread(request) => {
                return Err(Rejection::new(413, "this is read without a body\n"));
            }
            ("/events", Get) => {
                let last_event_id = header(request, "Last-Event-ID");
                return Ok(Target::Events(StreamRequest::new(request.url(), last_event_id)));
            }
            ("/events", _) => {
                return Err(Rejection { header: "Allow: GET\r\n", ..Rejection::new(405, "this is read by GET\n") });
            }
            ("/healthz", Get | Head) => return Ok(Target::Health),
            ("/metrics", Get | Head) => return Ok(Target::Metrics),
            ("/healthz" | "/metrics", _) => {
                return Err(Rejection {
                    header: "Allow: GET, HEAD\r\n",
                    ..Rejection::new(405, "this is read by GET\n")
                });
            }
            _ => return Err(Rejection::new(404, "there is nothing here; XML-RPC is at / and /RPC2\n")),
        }
        let media_type =
            header(request, "Content-Type").map(|value| value.split(';').next().unwrap_or_default().trim());
        if !media_type.is_some_and(|media| {
            media.eq_ignore_ascii_case("text/xml") || media.eq_ignore_ascii_case("application/xml")
        }) {
            // A web page can post any other type to any address without asking first.
            return Err(Rejection::new(415, "the Content-Type must be text/xml\n"));
        }
        if lengths + encodings == 0 {
            return Err(Rejection::new(411, "a call needs a Content-Length or chunks\n"));
        }
        if request.body_length().is_some_and(|length| length > self.max_body_bytes) {
            return Err(self.too_large());
        }
        Ok(Target::Call)
    }

    pub(super) fn too_many(&self) -> Rejection {
        let text = format!("there are {} connections, as many as there may be\n", self.max_connections);
        Rejection { header: "Retry-After: 1\r\n", ..Rejection::new(503, text) }
    }

    fn too_large(&self) -> Rejection {
        Rejection::new(413, format!("a call may have {} bytes\n", self.max_body_bytes))
    }

    /// Reads the body, as a whole until `deadline`.
    pub(super) fn read_body(&self, request: &mut Request, deadline: Instant) -> Result<Vec<u8>, Rejection> {
        let announced = request.body_length();
        let limit = self.max_body_bytes;
        let mut body = Vec::with_capacity(announced.unwrap_or(SMALL_BODY).min(limit));
        let reader = request.as_reader();
        let mut chunk = [0; 4096];
        loop {
            match reader.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => body.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Err(Rejection::new(400, "the body ended early or was not well chunked\n")),
            }
            if body.len() > limit {
                return Err(self.too_large());
            }
            if announced.is_some_and(|length| body.len() >= length) {
                break;
            }
            if Instant::now() > deadline {
                return Err(Rejection::new(408, "the body came too slowly\n"));
            }
        }
        if announced.is_some_and(|length| body.len() < length) {
            return Err(Rejection::new(400, "the body is shorter than its Content-Length\n"));
        }
        Ok(body)
    }

    /// Guards against DNS rebinding: a web page can make a browser send any name that its owner controls.
    fn is_own_name(&self, host: &str) -> bool {
        let name = match host.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => host.split(':').next().unwrap_or_default(),
        };
        let name = name.trim_end_matches('.');
        name.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || self.hosts.iter().any(|own| own.eq_ignore_ascii_case(name))
    }
}

/// The reason phrase of a status, for example `Not Found`.
pub(super) fn reason(status: u16) -> &'static str {
    tiny_http::StatusCode(status).default_reason_phrase()
}

/// Whether the body is still to be read from the connection, in the peer's own time.
pub(super) fn is_unread(request: &Request) -> bool {
    match request.body_length() {
        // tiny_http leaves the bytes of an upgrade alone, however few.
        Some(length) => {
            length > SMALL_BODY || (length > 0 && (header(request, "Expect").is_some() || asks_to_upgrade(request)))
        }
        None => header(request, "Transfer-Encoding").is_some(),
    }
}

fn headers<'a>(request: &'a Request, name: &'static str) -> impl Iterator<Item = &'a str> {
    request.headers().iter().filter(move |header| header.field.equiv(name)).map(|header| header.value.as_str())
}

pub(super) fn header<'a>(request: &'a Request, name: &'static str) -> Option<&'a str> {
    headers(request, name).next()
}

/// Whether this is the last request of its connection, by the same rule as tiny_http's own.
pub(super) fn asks_to_close(request: &Request) -> bool {
    let http_1_0 = *request.http_version() < (1, 1);
    header(request, "Connection").map_or(http_1_0, |value| {
        let value = value.to_ascii_lowercase();
        value.contains("close") || value.contains("upgrade") || (http_1_0 && !value.contains("keep-alive"))
    })
}

/// How many bytes of the body tiny_http would read past if it dropped the request now. It leaves chunks, and the body of an
/// upgrade, to be taken for a next request, of which [`connections`](super::connections) takes none.
pub(super) fn unread_bytes(request: &Request) -> usize {
    if is_unread(request) && !asks_to_upgrade(request) { request.body_length().unwrap_or(0) } else { 0 }
}

/// Reads `count` bytes, so that little is missing of the body when it is dropped. The peer may be slow, until `deadline`.
pub(super) fn read_past(stream: &mut impl Read, mut count: usize, deadline: Instant) {
    let mut chunk = [0; 4096];
    while count > 0 && Instant::now() < deadline {
        let most = count.min(chunk.len());
        match stream.read(&mut chunk[..most]) {
            Ok(0) | Err(_) => return,
            Ok(read) => count -= read,
        }
    }
}

fn asks_to_upgrade(request: &Request) -> bool {
    header(request, "Connection").is_some_and(|value| value.to_ascii_lowercase().contains("upgrade"))
}
