//! The way of a request from tiny_http to the service.

use std::io;
use std::mem::ManuallyDrop;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gate::{Exchange, Gate};

use super::Caller;
use super::config::HttpConfig;
use super::reply::Responder;
use super::request::{Target, forwarded_for, header, number};
use super::stream::Opener;
use crate::program::{own_status, panics};
use crate::rpc::Dispatcher;
use crate::rpc::credentials::Credentials;
use crate::rpc::metrics::Metrics;

/// The state that the threads of one server share.
pub(super) struct Transport {
    pub(super) config: HttpConfig,
    pub(super) address: SocketAddr,
    pub(super) dispatcher: Arc<Dispatcher>,
    pub(super) gate: Gate,
    pub(super) tiny: ManuallyDrop<tiny_http::Server>,
    pub(super) requests: AtomicU64,
}

impl Transport {
    /// A worker's life.
    pub(super) fn work(&self) {
        while let Ok(request) = self.tiny.recv() {
            self.handle(request);
        }
    }

    fn handle(&self, request: tiny_http::Request) {
        if let Some(exchange) = number(&request).and_then(|number| self.gate.begin(number)) {
            self.requests.fetch_add(1, Ordering::Relaxed);
            self.answer(&request, exchange);
        }
        // Else tiny_http would answer it too.
        drop(request.into_writer());
    }

    fn answer(&self, request: &tiny_http::Request, mut exchange: Exchange) {
        let body = exchange.body.take();
        let target = self.config.check(request, body.is_some());
        let caller = Caller {
            address: Some(self.caller_address(exchange.peer().ip(), request)),
            credentials: header(request, "Authorization").and_then(Credentials::from_basic),
        };
        let head_only = *request.method() == tiny_http::Method::Head;
        if target.is_err() {
            exchange.close();
        }
        let responder = Responder::new(exchange, head_only);
        match target {
            Ok(Target::Call) => self.dispatcher.call_document(caller, &body.unwrap_or_default(), responder),
            Ok(Target::Events(request)) => self.dispatcher.events(caller, request, Opener { responder }),
            Ok(Target::Page(page)) => responder.page(page),
            Ok(Target::Health) => responder.text(200, "", "ok\n"),
            Ok(Target::Metrics) => responder.text(200, "", &self.metrics()),
            Err(rejection) => responder.text(rejection.status, rejection.header, &rejection.text),
        }
    }

    /// Returns whom the limits for each address concern: behind a proxy, whoever it says that it speaks for.
    fn caller_address(&self, peer: IpAddr, request: &tiny_http::Request) -> IpAddr {
        let forwarded = self.gate.trusts(peer).then(|| forwarded_for(request)).flatten();
        forwarded.unwrap_or(peer).to_canonical()
    }

    fn metrics(&self) -> String {
        let mut out = Metrics::default();
        self.dispatcher.metrics(&mut out);
        let counters = self.gate.counters();
        let mut count = |name, help, counter: &AtomicU64| out.counter(name, help, counter.load(Ordering::Relaxed));
        count("http_requests_total", "Requests received", &self.requests);
        count("http_requests_refused_total", "Connections refused because there were too many", &counters.turned_away);
        count("http_requests_malformed_total", "Requests refused for their form, size or slowness", &counters.refused);
        count("http_connections_total", "Connections accepted", &counters.accepted);
        count("http_connections_evicted_total", "Connections closed to make room for others", &counters.evicted);
        out.counter("process_panics_total", "Panics, each of which cost one call or connection", panics());
        out.gauge("http_connections", "Connections", self.gate.connections() as u64);
        out.gauge("http_unsent_bytes", "Bytes of answers that peers have not taken yet", self.gate.unsent() as u64);
        out.gauge("process_resident_memory_bytes", "Resident memory", resident_memory());
        out.into_text()
    }
}

/// tiny_http panics where it cannot start a thread, and when a server is dropped whose listener has no path.
pub(super) fn serve_by_tiny_http(listener: UnixListener) -> io::Result<ManuallyDrop<tiny_http::Server>> {
    std::panic::catch_unwind(move || tiny_http::Server::from_listener(listener, None).map(ManuallyDrop::new))
        .map_err(|_| io::Error::other("no thread for the HTTP library"))?
        .map_err(|error| io::Error::other(error.to_string()))
}

/// Returns the resident memory in bytes, 0 where the system does not say.
fn resident_memory() -> u64 {
    own_status("VmRSS").and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}
