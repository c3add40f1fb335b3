//! The way of a request from tiny_http to the service, and what becomes of its connection afterwards.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use log::{debug, warn};
use parking_lot::Mutex;
use socket2::Socket;

use super::config::HttpConfig;
use super::connections::{Connections, Next, Standing, Turn};
use super::pool::Pool;
use super::procfs::{end_reading, open_connections, own_status};
use super::reply::{ConnectionId, Responder, SlowWriter, Terms};
use super::request::{Rejection, Target, asks_to_close, header, is_unread, read_past, reason, unread_bytes};
use super::stream::Opener;
use super::supervisor::Look;
use super::{Caller, Service};
use crate::rpc::credentials::Credentials;
use crate::rpc::metrics::Metrics;

/// tiny_http allocates what is missing of an announced body in one piece when the request is dropped, in order to read past
/// it in the peer's time. Up to this much that is harmless, [`MAX_DRAINS`] times at once; a request that announces more is
/// never dropped, see [`Transport::refuse_unread`].
const LARGEST_DROP: usize = 512 << 10;
/// Refused bodies that are read past at a time; the others wait, after their answer, with their connections.
pub(super) const MAX_DRAINS: usize = 8;
/// Bodies up to this size have threads of their own for it, so that many silent peers do not wait for each other: as much
/// memory at most as the few large ones.
const SMALL_DROP: usize = 8 << 10;
pub(super) const MAX_SMALL_DRAINS: usize = MAX_DRAINS * LARGEST_DROP / SMALL_DROP;
/// How long it counts as certain that there are too many connections, before it is looked at anew.
const FULL_FOR: Duration = Duration::from_millis(50);

/// Counters for [`Service::metrics`], and for the shutdown.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) requests: AtomicU64,
    pub(super) rebuilt: AtomicU64,
    pub(super) held: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) unanswered: AtomicUsize,
}

/// What the threads of one server share.
pub(super) struct Transport {
    pub(super) config: HttpConfig,
    pub(super) address: SocketAddr,
    pub(super) service: Arc<dyn Service>,
    pub(super) connections: Connections<tiny_http::Request>,
    pub(super) uploads: Pool,
    pub(super) drains: Pool,
    pub(super) small_drains: Pool,
    pub(super) pipelined: Pool,
    pub(super) slow: SlowWriter,
    pub(super) nudges: Sender<()>,
    /// Why the accept loop ended, as the workers saw it; the supervisor is woken up for it, and for the shutdown.
    pub(super) failure: Mutex<Option<io::Error>>,
    pub(super) wake_supervisor: Sender<()>,
    /// What the supervisor saw when it looked; nothing while something is wrong.
    pub(super) seen: Mutex<Option<Look>>,
    pub(super) current: Mutex<Arc<Intake>>,
    pub(super) counters: Counters,
    /// Set first at shutdown: every answer from now on closes its connection.
    pub(super) draining: AtomicBool,
    /// Set last: no further answer is begun, because the process is about to end.
    pub(super) closed: AtomicBool,
}

/// One accept loop's queue of requests.
pub(super) struct Intake {
    pub(super) tiny: tiny_http::Server,
    /// Held from taking a request until its place among those of its connection is noted. Two workers that took two
    /// requests of one connection could else note them the wrong way round, and each would wait for the other's answer.
    pub(super) order: Mutex<Order>,
}

/// What is known to whoever takes a request.
#[derive(Default)]
pub(super) struct Order {
    /// Until then there are too many connections.
    pub(super) full_until: Option<Instant>,
}

/// A request whose place in the order is known.
pub(super) struct Arrival {
    pub(super) peer: SocketAddr,
    pub(super) turn: Turn<tiny_http::Request>,
}

/// A new accept loop on the same socket. tiny_http panics where it cannot start a thread.
pub(super) fn build(listener: &Socket) -> io::Result<Intake> {
    let listener = TcpListener::from(listener.try_clone()?);
    std::panic::catch_unwind(move || tiny_http::Server::from_listener(listener, None))
        .map_err(|_| io::Error::other("no thread for the accept loop"))?
        .map(|tiny| Intake { tiny, order: Mutex::default() })
        .map_err(|error| io::Error::other(error.to_string()))
}

impl Transport {
    /// A worker's life: takes requests from the current accept loop, and changes over when that one is replaced.
    pub(super) fn work(self: &Arc<Self>) {
        loop {
            let intake = Arc::clone(&self.current.lock());
            match self.take(&intake, None) {
                Ok(turn) => turn.into_iter().for_each(|turn| self.begin(turn)),
                Err(error) => {
                    // A replaced server wakes its workers with an error too; only the current one's is news.
                    if Arc::ptr_eq(&intake, &self.current.lock()) {
                        self.report(error);
                        thread::sleep(Duration::from_millis(20));
                    }
                }
            }
        }
    }

    /// Tells the supervisor that the accept loop has ended.
    pub(super) fn report(&self, error: io::Error) {
        *self.failure.lock() = Some(error);
        let _ = self.wake_supervisor.try_send(());
    }

    /// Takes the next request, waiting for it at most for `patience`, and notes its place in its connection's order.
    pub(super) fn take(&self, intake: &Intake, patience: Option<Duration>) -> io::Result<Option<Arrival>> {
        let mut order = intake.order.lock();
        let request = match patience {
            None => intake.tiny.recv()?,
            Some(patience) => match intake.tiny.recv_timeout(patience)? {
                Some(request) => request,
                None => return Ok(None),
            },
        };
        // Only a Unix socket has no peer address, and we do not listen on one.
        let Some(peer) = request.remote_addr().copied() else { return Ok(None) };
        let closing = asks_to_close(&request);
        let turn = match self.connections.arrive(peer, closing, request, self.config.max_connections) {
            Turn::Full(request) if !self.is_full(peer, &mut order) => {
                self.connections.arrive(peer, closing, request, usize::MAX)
            }
            turn => turn,
        };
        Ok(Some(Arrival { peer, turn }))
    }

    /// Whether there really are all the connections that there may be beside that of `newcomer`: one that its client has
    /// closed after an answer stays known for some time.
    fn is_full(&self, newcomer: SocketAddr, order: &mut Order) -> bool {
        let now = Instant::now();
        if order.full_until.is_none_or(|until| until <= now) {
            let full = open_connections(self.address.port()).is_none_or(|mut peers| {
                peers.remove(&newcomer);
                peers.len() >= self.config.max_connections
            });
            order.full_until = full.then_some(now + FULL_FOR);
        }
        order.full_until.is_some()
    }

    /// Does with a request what its place in the order demands.
    pub(super) fn begin(self: &Arc<Self>, arrival: Arrival) {
        match arrival.turn {
            Turn::Now { request, standing } => {
                if standing == (Standing::Kept { first: true }) {
                    let _ = self.nudges.try_send(());
                }
                self.handle(request, standing, false);
            }
            Turn::Full(request) => {
                self.counters.refused.fetch_add(1, Ordering::Relaxed);
                self.handle(request, Standing::Refused, true);
            }
            Turn::Later => self.service.pipelined(ConnectionId(arrival.peer)),
            Turn::Never(request) => self.discard(request),
        }
    }

    /// Handles one request whose turn it is; the answer may come later. `last`: it must close the connection.
    fn handle(self: &Arc<Self>, request: tiny_http::Request, standing: Standing, last: bool) {
        self.counters.unanswered.fetch_add(1, Ordering::SeqCst);
        if self.closed.load(Ordering::SeqCst) {
            // The process is about to end: an answer begun now could be cut in its middle.
            self.counters.unanswered.fetch_sub(1, Ordering::SeqCst);
            loop {
                thread::park();
            }
        }
        self.counters.requests.fetch_add(1, Ordering::Relaxed);
        if is_unread(&request) {
            let transport = Arc::clone(self);
            self.uploads.run(move || transport.answer(request, standing, last));
        } else {
            self.answer(request, standing, last);
        }
    }

    fn answer(self: &Arc<Self>, mut request: tiny_http::Request, standing: Standing, last: bool) {
        let Some(peer) = request.remote_addr().copied() else { return };
        // For all of the body, whether it is read or read past.
        let deadline = Instant::now() + self.config.connection_idle;
        let checked =
            if standing == Standing::Refused { Err(self.config.too_many()) } else { self.config.check(&request) };
        let outcome = checked.and_then(|target| match target {
            Target::Call => self.config.read_body(&mut request, deadline).map(|body| (target, body)),
            Target::Events(_) | Target::Health | Target::Metrics | Target::Page(_) => Ok((target, Vec::new())),
        });
        let outcome = match outcome {
            Err(refusal) if is_unread(&request) => {
                return self.refuse_unread(request, peer, standing, &refusal, deadline);
            }
            other => other,
        };
        let caller = Caller {
            address: Some(peer.ip().to_canonical()),
            credentials: header(&request, "Authorization").and_then(Credentials::from_basic),
        };
        let client_closes = asks_to_close(&request);
        let is_stream = matches!(outcome, Ok((Target::Events(_), _)));
        if is_stream && !client_closes {
            // It is the last one of its connection, and no thread need wait for another.
            end_reading(self.address.port(), peer);
        }
        let terms = Terms {
            standing,
            client_closes,
            server_closes: last || is_stream || outcome.is_err(),
            http_1_0: *request.http_version() < (1, 1),
        };
        let head_only = *request.method() == tiny_http::Method::Head;
        // Only the writer is kept from here on: a parked answer costs neither headers nor the reading half.
        let responder = Responder::new(request.into_writer(), Arc::clone(self), peer, &terms);
        match outcome {
            Ok((Target::Call, body)) => self.service.call(caller, &body, responder),
            Ok((Target::Events(request), _)) => self.service.events(caller, request, Opener { responder }),
            Ok((Target::Page(page), _)) => responder.page(page, head_only),
            Ok((Target::Health, _)) => responder.text(200, "", "ok\n", head_only),
            Ok((Target::Metrics, _)) => responder.text(200, "", &self.metrics(), head_only),
            Err(refusal) => responder.text(refusal.status, refusal.header, &refusal.text, head_only),
        }
    }

    /// Refuses a request whose body is still on its way: answers, and then reads past the body.
    fn refuse_unread(
        self: &Arc<Self>,
        request: tiny_http::Request,
        peer: SocketAddr,
        standing: Standing,
        refusal: &Rejection,
        deadline: Instant,
    ) {
        let (client_closes, unread) = (asks_to_close(&request), unread_bytes(&request));
        // Only an upgrade hands out what reads the body together with what answers. Its own answer can be an informational
        // one, which precedes the real one.
        let mut stream = request.upgrade("close", tiny_http::Response::empty(100));
        let Rejection { status, text, header } = refusal;
        let answer = format!(
            "HTTP/1.1 {status} {}\r\nContent-Length: {}\r\nConnection: close\r\n{header}\r\n{text}",
            reason(*status),
            text.len()
        );
        if let Err(error) = stream.write_all(answer.as_bytes()).and_then(|()| stream.flush()) {
            debug!("{peer} did not take its refusal: {error}");
        }
        self.finished(peer, standing, false, client_closes);
        if unread > LARGEST_DROP {
            // Dropping it would end the process where the memory is not there. So it is kept for good, at the price of two
            // descriptors and a thread.
            if self.counters.held.fetch_add(1, Ordering::Relaxed) == 0 {
                warn!(
                    "{peer} announced a body of {unread} bytes, which costs a thread for good; let a proxy refuse them"
                );
            }
            std::mem::forget(stream);
        } else {
            self.drain(unread, move || read_past(&mut stream, unread, deadline));
        }
    }

    fn metrics(&self) -> String {
        let mut out = Metrics::default();
        self.service.metrics(&mut out);
        let Counters { requests, rebuilt, held, refused, .. } = &self.counters;
        let mut count = |name, help, counter: &AtomicU64| out.counter(name, help, counter.load(Ordering::Relaxed));
        count("http_requests_total", "Requests received", requests);
        count("http_accept_loops_rebuilt_total", "Accept loops rebuilt after a failure", rebuilt);
        count("http_requests_held_total", "Refused requests that announced too much to be released", held);
        count("http_requests_refused_total", "Requests refused for too many connections", refused);
        out.gauge("process_resident_memory_bytes", "Resident memory", own_status("VmRSS") * 1024);
        out.into_text()
    }

    /// An answer is out, or has failed: the connection's next request has its turn.
    pub(super) fn finished(
        self: &Arc<Self>,
        peer: SocketAddr,
        standing: Standing,
        keep_alive: bool,
        client_closes: bool,
    ) {
        match self.connections.finish(peer, standing, keep_alive, client_closes) {
            Next::Nothing => {}
            // The pool needs no bound of its own: what it holds came from bounded queues.
            Next::Request { request, last } => {
                let transport = Arc::clone(self);
                self.pipelined.run(move || transport.handle(request, Standing::Kept { first: false }, last));
            }
            Next::Dropped(requests) => requests.into_iter().for_each(|request| self.discard(request)),
        }
        self.counters.unanswered.fetch_sub(1, Ordering::SeqCst);
    }

    /// Drops a request that is owed no answer, on a thread where it may block.
    fn discard(&self, request: tiny_http::Request) {
        let unread = unread_bytes(&request);
        if unread > LARGEST_DROP {
            self.counters.held.fetch_add(1, Ordering::Relaxed);
            std::mem::forget(request);
        } else {
            self.drain(unread, move || drop(request.into_writer()));
        }
    }

    /// Runs what ends a connection with `unread` bytes still to come, which may block.
    fn drain(&self, unread: usize, job: impl FnOnce() + Send + 'static) {
        let pool = if unread <= SMALL_DROP { &self.small_drains } else { &self.drains };
        pool.run(job);
    }
}
