//! The way of a request from tiny_http to the service.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use gate::{Events, Exchange, Gate};
use log::error;
use parking_lot::Mutex;

use super::config::HttpConfig;
use super::reply::{ConnectionId, Responder, Terms};
use super::request::{Target, asks_to_close, forwarded_for, header};
use super::stream::Opener;
use super::{Caller, Service};
use crate::program::panics;
use crate::rpc::credentials::Credentials;
use crate::rpc::metrics::Metrics;

/// The pauses before and after an attempt to have connections accepted again.
const REBUILD_PAUSE: Duration = Duration::from_millis(50);

/// What the threads of one server share.
pub(super) struct Transport {
    pub(super) config: HttpConfig,
    pub(super) address: SocketAddr,
    pub(super) service: Arc<dyn Service>,
    pub(super) gate: Gate,
    /// Another one than before when its accept loop has ended.
    pub(super) tiny: Mutex<Arc<tiny_http::Server>>,
    pub(super) listener: TcpListener,
    pub(super) requests: AtomicU64,
    pub(super) unanswered: AtomicUsize,
    /// Set first at shutdown: every answer from now on closes its connection.
    pub(super) draining: AtomicBool,
    /// Set last: no further answer is begun, because the process is about to end.
    pub(super) closed: AtomicBool,
}

impl Events for Transport {
    fn pipelined(&self, connection: u64) {
        self.service.pipelined(ConnectionId(connection));
    }

    fn hung_up(&self, connection: u64) {
        // Nobody may be there to wait any more.
        self.service.pipelined(ConnectionId(connection));
    }

    fn ended(&self) {
        let tiny = self.tiny.lock();
        (0..self.config.workers).for_each(|_| tiny.unblock());
    }
}

impl Transport {
    /// A worker's life.
    pub(super) fn work(self: &Arc<Self>) {
        loop {
            let tiny = Arc::clone(&self.tiny.lock());
            match tiny.recv() {
                Ok(request) => self.handle(request),
                Err(_) => self.replace(&tiny),
            }
        }
    }

    /// Puts a new accept loop in the place of one that has ended, and waits until there is one. Connections are the gate's, and
    /// so none is lost.
    fn replace(self: &Arc<Self>, ended: &Arc<tiny_http::Server>) {
        let mut tiny = self.tiny.lock();
        if !Arc::ptr_eq(&tiny, ended) || self.gate.is_accepting() {
            return;
        }
        error!("the accept loop of {} has ended, building a new one", self.address);
        while !self.gate.is_accepting() {
            thread::sleep(REBUILD_PAUSE);
            if !can_start_threads() {
                continue;
            }
            let built = self.listener.try_clone().and_then(|listener| {
                self.gate.listen(&listener)?;
                serve_by_tiny_http(listener)
            });
            if let Ok(built) = built {
                *tiny = Arc::new(built);
            }
            // It can end at once.
            thread::sleep(REBUILD_PAUSE);
        }
        drop(tiny);
        // What its threads still had in hand.
        let until = Instant::now() + 4 * REBUILD_PAUSE;
        while Instant::now() < until {
            if let Ok(Some(request)) = ended.recv_timeout(REBUILD_PAUSE) {
                self.handle(request);
            }
        }
    }

    fn handle(self: &Arc<Self>, request: tiny_http::Request) {
        self.unanswered.fetch_add(1, Ordering::SeqCst);
        if self.closed.load(Ordering::SeqCst) {
            // The process is about to end: an answer begun now could be cut in its middle.
            self.unanswered.fetch_sub(1, Ordering::SeqCst);
            loop {
                thread::park();
            }
        }
        match request.remote_addr().and_then(|&peer| self.gate.begin(peer)) {
            Some(exchange) => {
                self.requests.fetch_add(1, Ordering::Relaxed);
                self.answer(request, exchange);
            }
            None => {
                self.unanswered.fetch_sub(1, Ordering::SeqCst);
                drop(request.into_writer());
            }
        }
    }

    fn answer(self: &Arc<Self>, mut request: tiny_http::Request, exchange: Exchange) {
        let outcome = self.config.check(&request).and_then(|target| match target {
            Target::Call => self.config.read_body(&mut request).map(|body| (target, body)),
            Target::Events(_) | Target::Health | Target::Metrics | Target::Page(_) => Ok((target, Vec::new())),
        });
        let caller = Caller {
            address: Some(self.caller_address(exchange.peer().ip(), &request)),
            credentials: header(&request, "Authorization").and_then(Credentials::from_basic),
        };
        let terms = Terms {
            keep_alive: outcome.is_ok() && !asks_to_close(&request),
            http_1_0: *request.http_version() < (1, 1),
        };
        let head_only = *request.method() == tiny_http::Method::Head;
        // Nothing of the request is kept for an answer that comes later. It is written through the gate, for the writer of
        // tiny_http has a buffer and a descriptor.
        drop(request.into_writer());
        let responder = Responder::new(Arc::clone(self), exchange, &terms);
        match outcome {
            Ok((Target::Call, body)) => self.service.call(caller, &body, responder),
            Ok((Target::Events(request), _)) => self.service.events(caller, request, Opener { responder }),
            Ok((Target::Page(page), _)) => responder.page(page, head_only),
            Ok((Target::Health, _)) => responder.text(200, "", "ok\n", head_only),
            Ok((Target::Metrics, _)) => responder.text(200, "", &self.metrics(), head_only),
            Err(rejection) => responder.text(rejection.status, rejection.header, &rejection.text, head_only),
        }
    }

    /// Returns whom the limits for each address concern: behind a proxy, whoever it says that it speaks for.
    fn caller_address(&self, peer: IpAddr, request: &tiny_http::Request) -> IpAddr {
        let forwarded = self.config.trusts(peer).then(|| forwarded_for(request)).flatten();
        forwarded.unwrap_or(peer).to_canonical()
    }

    fn metrics(&self) -> String {
        let mut out = Metrics::default();
        self.service.metrics(&mut out);
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

/// Whether there are threads for a new accept loop. tiny_http starts five, and leaves some behind when it cannot start all.
fn can_start_threads() -> bool {
    const WANTED: usize = 6;
    let started: Vec<_> = (0..WANTED).map_while(|_| thread::Builder::new().spawn(|| ()).ok()).collect();
    let enough = started.len() == WANTED;
    started.into_iter().for_each(|thread| drop(thread.join()));
    enough
}

/// tiny_http panics where it cannot start a thread.
pub(super) fn serve_by_tiny_http(listener: TcpListener) -> io::Result<tiny_http::Server> {
    std::panic::catch_unwind(move || tiny_http::Server::from_listener(listener, None))
        .map_err(|_| io::Error::other("no thread for the accept loop"))?
        .map_err(|error| io::Error::other(error.to_string()))
}

/// Returns the resident memory in bytes, 0 where the system does not say.
fn resident_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}
