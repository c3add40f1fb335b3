//! The heads of requests, and the rejections that they alone decide.

use std::borrow::Cow;
use std::net::IpAddr;

use tiny_http::Request;

use super::config::HttpConfig;
use super::page::{WebPage, accepts_gzip};
use super::stream::StreamRequest;

pub(super) enum Target {
    Call,
    Events(StreamRequest),
    Health,
    Metrics,
    Page(&'static WebPage),
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

/// The rules of the settings for a request.
impl HttpConfig {
    /// Judges a request by its head. `has_body` if it announces a body.
    pub(super) fn check(&self, request: &Request, has_body: bool) -> Result<Target, Rejection> {
        use tiny_http::Method::{Get, Head, Post};
        if headers(request, "Host").count() > 1 {
            return Err(Rejection::new(400, "a request has one Host header\n"));
        }
        let (host, path) = host_and_path(request);
        if let Some(host) = host
            && !self.is_own_name(host)
        {
            return Err(Rejection::new(
                421,
                "this name is not one of the server's; use its address, or start it with --allow-host NAME\n",
            ));
        }
        if path == "/"
            && matches!(request.method(), Get | Head)
            && let Some(page) = self.page
        {
            return match header(request, "Accept-Encoding") {
                codings if accepts_gzip(codings) => Ok(Target::Page(page)),
                _ => Err(Rejection::new(406, "the page is sent as Content-Encoding: gzip\n")),
            };
        }
        match (path, request.method()) {
            ("/" | "/RPC2", Post) => {}
            ("/" | "/RPC2", _) => {
                let has_page = path == "/" && self.page.is_some();
                let header = if has_page { "Allow: GET, HEAD, POST\r\n" } else { "Allow: POST\r\n" };
                return Err(Rejection { header, ..Rejection::new(405, "XML-RPC is spoken by POST\n") });
            }
            // A page of another origin could not read the events, but would hold streams that its visitor then lacks.
            ("/events", Get) if matches!(header(request, "Sec-Fetch-Site"), Some("cross-site" | "same-site")) => {
                return Err(Rejection::new(403, "a page of another origin gets no events\n"));
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
        if !has_body {
            return Err(Rejection::new(411, "a call needs a Content-Length or chunks\n"));
        }
        Ok(Target::Call)
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

/// Returns the host and the path that a request names. A target in absolute form (`http://host/path`), which every server has to
/// accept, has a host that counts instead of the header's (RFC 9112, section 3.2.2).
fn host_and_path(request: &Request) -> (Option<&str>, &str) {
    let target = request.url().split(['?', '#']).next().unwrap_or_default();
    let Some((_, rest)) = target.split_once("://").filter(|_| !target.starts_with('/')) else {
        return (header(request, "Host"), target);
    };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    (Some(host), if path.is_empty() { "/" } else { path })
}

/// The reason phrase of a status, for example `Not Found`.
pub(super) fn reason(status: u16) -> &'static str {
    tiny_http::StatusCode(status).default_reason_phrase()
}

fn headers<'a>(request: &'a Request, name: &'static str) -> impl Iterator<Item = &'a str> {
    request.headers().iter().filter(move |header| header.field.equiv(name)).map(|header| header.value.as_str())
}

pub(super) fn header<'a>(request: &'a Request, name: &'static str) -> Option<&'a str> {
    headers(request, name).next()
}

/// Returns the number that the gate has given the request.
pub(super) fn number(request: &Request) -> Option<u64> {
    header(request, gate::NUMBER)?.parse().ok()
}

/// Returns for whom a proxy says that it sends this request: the last address, which it added itself.
pub(super) fn forwarded_for(request: &Request) -> Option<IpAddr> {
    let last = headers(request, "X-Forwarded-For").last()?.rsplit(',').next()?.trim();
    last.trim_start_matches('[').trim_end_matches(']').parse().ok()
}
