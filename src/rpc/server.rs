//! The HTTP side of a server: XML-RPC by `POST /` and `POST /RPC2`, and for operators `GET /healthz` and `GET /metrics`.
//!
//! Only this file and [`request`] name tiny_http, which is no longer maintained. It is built around what that crate does:
//!
//! * Accepted sockets inherit from the listener what tiny_http never sets: no delay, a receive time-out that ends idle
//!   connections, and a send time-out so short that no thread is ever held by a peer that does not read
//!   ([`reply`]: the rest of such an answer is written elsewhere).
//! * Its pool can leave a connection without a thread; [`supervisor`] frees one by a short connection to ourselves.
//! * Its accept loop ends at the first error; [`supervisor`] probes it and builds a new one on the same socket.
//! * An answer blocks until those before it on the connection are out; [`connections`] hands out one request of a
//!   connection at a time instead.
//! * A body above 1,024 bytes is read by whoever asks for it, in the peer's own time; [`lane`] does that.

mod config;
mod connections;
mod lane;
mod reply;
mod request;
mod supervisor;

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;
use std::io::{self, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use log::{debug, warn};
use nix::sys::socket::{SockaddrStorage, getpeername, getsockname};
use parking_lot::Mutex;
use socket2::{Domain, Protocol, Socket, Type};

use self::config::LEAST_IDLE;
pub use self::config::{Config, FLAGS};
use self::connections::{Connections, Next, Standing, Turn};
use self::lane::Lane;
pub use self::reply::{ConnectionId, Responder, Sent};
use self::reply::{SlowWriter, Terms};
use self::request::{Refusal, Target, asks_to_close, header, is_unread, read_past, reason, unread_bytes};
use self::supervisor::{Look, Supervisor};
use super::credentials::Credentials;
use super::metrics::Metrics;
use crate::program::spawn;

/// How long a write may hold its thread before the rest of the answer goes to the slow writer.
const SEND_TIMEOUT: Duration = Duration::from_millis(10);
/// Connections that the kernel accepts on our behalf before we do.
const BACKLOG: i32 = 1024;
/// tiny_http allocates what is missing of an announced body in one piece when the request is dropped, in order to read past
/// it in the peer's time. Up to this much that is harmless, [`MAX_DRAINS`] times at once; a request that announces more is
/// never dropped, see [`Transport::refuse_unread`].
const LARGEST_DROP: usize = 512 << 10;
/// Refused bodies that are read past at a time; the others wait, after their answer, with their connections.
const MAX_DRAINS: usize = 8;
/// Bodies up to this size have threads of their own for it, so that many silent peers do not wait for each other: as much
/// memory at most as the few large ones.
const SMALL_DROP: usize = 8 << 10;
const MAX_SMALL_DRAINS: usize = MAX_DRAINS * LARGEST_DROP / SMALL_DROP;
/// How long it counts as certain that there are too many connections, before it is looked at anew.
const FULL_FOR: Duration = Duration::from_millis(50);

/// Who calls: as much as HTTP says about it.
#[derive(Debug, Default)]
pub struct Caller {
    /// The address of the peer.
    pub address: Option<IpAddr>,
    /// HTTP Basic credentials, if the request carried any.
    pub credentials: Option<Credentials>,
    afterwards: Afterwards,
}

impl Caller {
    /// Does `this` when the caller has their answer: when `self` is dropped.
    pub fn once_answered(&self, this: impl FnOnce() + 'static) {
        self.afterwards.0.borrow_mut().push(Box::new(this));
    }
}

#[derive(Default)]
struct Afterwards(RefCell<Vec<Box<dyn FnOnce()>>>);

impl Drop for Afterwards {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(|this| this());
    }
}

impl fmt::Debug for Afterwards {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Afterwards").finish_non_exhaustive()
    }
}

/// What answers the documents that are posted.
pub trait Service: Send + Sync + 'static {
    /// Answers `body`, now or later and from any thread; `caller` is dropped after an answer that is given now.
    fn call(&self, caller: Caller, body: &[u8], responder: Responder);

    /// Another request has arrived on `connection`: an answer that is held back for it should go out now.
    fn hurry(&self, connection: ConnectionId);

    /// Adds its metrics.
    fn metrics(&self, out: &mut Metrics);
}

/// Counters for [`Service::metrics`], and for the shutdown.
#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    rebuilt: AtomicU64,
    held: AtomicU64,
    refused: AtomicU64,
    unanswered: AtomicUsize,
}

/// What the threads of one server share.
struct Transport {
    config: Config,
    address: SocketAddr,
    service: Arc<dyn Service>,
    connections: Connections<tiny_http::Request>,
    uploads: Lane,
    drains: Lane,
    small_drains: Lane,
    pipelined: Lane,
    slow: SlowWriter,
    nudges: Sender<()>,
    /// Why the accept loop ended, as the workers saw it; the supervisor is woken up for it, and for the shutdown.
    failure: Mutex<Option<io::Error>>,
    wake_supervisor: Sender<()>,
    /// What the supervisor saw when it looked; nothing while something is wrong.
    seen: Mutex<Option<Look>>,
    current: Mutex<Arc<Intake>>,
    counters: Counters,
    /// Set first at shutdown: every answer from now on closes its connection.
    draining: AtomicBool,
    /// Set last: no further answer is begun, because the process is about to end.
    closed: AtomicBool,
}

/// One accept loop's queue of requests.
struct Intake {
    tiny: tiny_http::Server,
    /// Held from taking a request until its place among those of its connection is noted. Two workers that took two
    /// requests of one connection could else note them the wrong way round, and each would wait for the other's answer.
    order: Mutex<Order>,
}

/// What is known to whoever takes a request.
#[derive(Default)]
struct Order {
    /// Until then there are too many connections.
    full_until: Option<Instant>,
}

/// A request whose place in the order is known.
struct Arrival {
    peer: SocketAddr,
    turn: Turn<tiny_http::Request>,
}

/// A running HTTP server. Dropping it does not stop it; [`HttpServer::stop`] does.
pub struct HttpServer {
    transport: Arc<Transport>,
    listener: Socket,
}

/// Ends the janitor when dropped.
pub struct Janitor {
    _stop: Sender<()>,
}

impl HttpServer {
    /// Listens and starts the threads. `service` is asked from several of them.
    ///
    /// # Errors
    /// When the address cannot be listened on, or a thread cannot be started.
    pub fn start(listener: Socket, config: Config, service: Arc<dyn Service>) -> io::Result<Self> {
        let address = local_address(&listener)?;
        let intake = Arc::new(build(&listener)?);
        let (nudges, nudge_requests) = bounded(1024);
        let (wake_supervisor, woken) = bounded(1);
        let transport = Arc::new(Transport {
            address,
            service,
            connections: Connections::default(),
            uploads: Lane::new("upload", 512),
            drains: Lane::new("drain", MAX_DRAINS),
            small_drains: Lane::new("drain", MAX_SMALL_DRAINS),
            // A single thread, so that it keeps the order.
            pipelined: Lane::new("pipeline", 1),
            slow: SlowWriter::start(config.connection_idle)?,
            nudges,
            failure: Mutex::new(None),
            wake_supervisor,
            seen: Mutex::default(),
            current: Mutex::new(intake),
            counters: Counters::default(),
            draining: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            config,
        });
        for number in 0..transport.config.workers {
            let transport = Arc::clone(&transport);
            spawn(&format!("worker-{number}"), move || transport.work())?;
        }
        {
            let transport = Arc::clone(&transport);
            // After the end of the accept loop a nudge would be left in the queue of an activated socket, and cause a start.
            let nudge = move |()| {
                if !transport.draining.load(Ordering::SeqCst) {
                    drop(transport.nudge());
                }
            };
            spawn("nudge", move || nudge_requests.iter().for_each(nudge))?;
        }
        {
            let supervisor = Supervisor { transport: Arc::clone(&transport), listener: listener.try_clone()?, woken };
            spawn("supervisor", move || supervisor.run())?;
        }
        Ok(Self { transport, listener })
    }

    /// The address that it listens on, with the real port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.transport.address
    }

    /// Starts the janitor, which does `sweep` every `interval` and looks after the connections: so nothing else has to wake up
    /// for them at rest.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start_janitor(&self, interval: Duration, sweep: impl Fn() + Send + 'static) -> io::Result<Janitor> {
        let transport = Arc::clone(&self.transport);
        let (janitor, stop) = bounded::<()>(0);
        let rounds = move || {
            while stop.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                sweep();
                transport.tend();
            }
        };
        spawn("janitor", rounds)?;
        Ok(Janitor { _stop: janitor })
    }

    /// Refuses new connections, or leaves them to the next start if the socket is the service manager's, and makes every
    /// further answer the last one of its connection.
    pub fn drain(&self) {
        if self.transport.draining.swap(true, Ordering::SeqCst) {
            return;
        }
        let _ = self.transport.wake_supervisor.try_send(());
        if self.transport.config.activated.is_none() {
            // On Linux this ends the accept loop and refuses connections, while those accepted go on.
            let _ = self.listener.shutdown(Shutdown::Both);
        } else {
            // That would end the socket in the service manager's hands too. What is left in the queue is for the next start:
            // the accept loop ends where it would wait for a connection, and it is waiting now, for this one.
            let _ = self.listener.set_nonblocking(true);
            let _ = self.transport.nudge();
        }
    }

    /// Waits until every request that has arrived is answered, at most until `deadline`; after that no answer is begun.
    pub fn stop(&self, deadline: Instant) {
        self.drain();
        while self.transport.counters.unanswered.load(Ordering::SeqCst) > 0 && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(2));
        }
        self.transport.closed.store(true, Ordering::SeqCst);
        // Whoever passed the gate before it closed is counted by now.
        while self.transport.counters.unanswered.load(Ordering::SeqCst) > 0 && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Opens the listening socket for [`HttpServer::start`], or makes the service manager's one fit for it: apart from it, so
/// that a program can say that a port is in use before it starts anything.
///
/// # Errors
/// What the system says about the address, for example that it is in use.
pub fn listen(config: &Config) -> io::Result<Socket> {
    let socket = match &config.activated {
        Some(listener) => Socket::from(listener.try_clone()?),
        None => Socket::new(Domain::for_address(config.listen), Type::STREAM, Some(Protocol::TCP))?,
    };
    // Connections that came before these do not inherit them: see `Backlog=` in the socket units.
    socket.set_tcp_nodelay(true)?;
    socket.set_read_timeout(Some(config.connection_idle.max(LEAST_IDLE)))?;
    socket.set_write_timeout(Some(SEND_TIMEOUT))?;
    if config.activated.is_some() {
        // It may be left from the last stop.
        socket.set_nonblocking(false)?;
    } else {
        socket.set_reuse_address(true)?;
        if config.listen.is_ipv6() {
            // `[::]` serves IPv4 as well, whatever the system's default is.
            let _ = socket.set_only_v6(false);
        }
        socket.bind(&config.listen.into())?;
    }
    socket.listen(BACKLOG)?;
    Ok(socket)
}

fn local_address(listener: &Socket) -> io::Result<SocketAddr> {
    listener.local_addr()?.as_socket().ok_or_else(|| io::Error::other("the listener has no internet address"))
}

/// A new accept loop on the same socket. tiny_http panics where it cannot start a thread.
fn build(listener: &Socket) -> io::Result<Intake> {
    let listener = TcpListener::from(listener.try_clone()?);
    std::panic::catch_unwind(move || tiny_http::Server::from_listener(listener, None))
        .map_err(|_| io::Error::other("no thread for the accept loop"))?
        .map(|tiny| Intake { tiny, order: Mutex::default() })
        .map_err(|error| io::Error::other(error.to_string()))
}

impl Transport {
    /// A worker's life: takes requests from the current accept loop, and changes over when that one is replaced.
    fn work(self: &Arc<Self>) {
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
    fn report(&self, error: io::Error) {
        *self.failure.lock() = Some(error);
        let _ = self.wake_supervisor.try_send(());
    }

    /// Takes the next request, waiting for it at most for `patience`, and notes its place in its connection's order.
    fn take(&self, intake: &Intake, patience: Option<Duration>) -> io::Result<Option<Arrival>> {
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
    fn begin(self: &Arc<Self>, arrival: Arrival) {
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
            Turn::Later => self.service.hurry(ConnectionId(arrival.peer)),
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
            Target::Health | Target::Metrics => Ok((target, Vec::new())),
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
            ..Caller::default()
        };
        let terms = Terms {
            standing,
            client_closes: asks_to_close(&request),
            server_closes: last || outcome.is_err(),
            http_1_0: *request.http_version() < (1, 1),
        };
        let head_only = *request.method() == tiny_http::Method::Head;
        // Only the writer is kept from here on: a parked answer costs neither headers nor the reading half.
        let responder = Responder::new(request.into_writer(), Arc::clone(self), peer, &terms);
        match outcome {
            Ok((Target::Call, body)) => self.service.call(caller, &body, responder),
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
        refusal: &Refusal,
        deadline: Instant,
    ) {
        let (client_closes, unread) = (asks_to_close(&request), unread_bytes(&request));
        // Only an upgrade hands out what reads the body together with what answers. Its own answer can be an informational
        // one, which precedes the real one.
        let mut stream = request.upgrade("close", tiny_http::Response::empty(100));
        let Refusal { status, text, header } = refusal;
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
    fn finished(self: &Arc<Self>, peer: SocketAddr, standing: Standing, keep_alive: bool, client_closes: bool) {
        match self.connections.finish(peer, standing, keep_alive, client_closes) {
            Next::Nothing => {}
            // The lane needs no bound of its own: what it holds came from bounded queues.
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
        let lane = if unread <= SMALL_DROP { &self.small_drains } else { &self.drains };
        lane.run(job);
    }
}

/// Where the connections to `port` that this process has descriptors of come from: one or two of each, as it is read, is
/// answered, or both. None if the system does not say.
fn open_connections(port: u16) -> Option<HashSet<SocketAddr>> {
    let end = |address: nix::Result<SockaddrStorage>| {
        let address = address.ok()?;
        let v4 = address.as_sockaddr_in().map(|&address| SocketAddr::from(address));
        v4.or_else(|| address.as_sockaddr_in6().map(|&address| SocketAddr::from(address)))
    };
    let descriptors = std::fs::read_dir("/proc/self/fd").ok()?;
    let descriptors = descriptors.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let of_port = descriptors.filter(|&descriptor| end(getsockname(descriptor)).is_some_and(|own| own.port() == port));
    Some(of_port.filter_map(|descriptor| end(getpeername(descriptor))).collect())
}

/// A number of this process's status, such as `Threads`, or `VmRSS` in KiB; 0 where the system does not say.
fn own_status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
