//! The HTTP side of a server: XML-RPC by `POST /` and `POST /RPC2`, and for operators `GET /healthz` and `GET /metrics`.
//!
//! This is the only file that names tiny_http, which is no longer maintained. It is built around what that crate does:
//!
//! * Accepted sockets inherit from the listener what tiny_http never sets: no delay, a receive time-out that ends idle
//!   connections, and a send time-out so short that no thread is ever held by a peer that does not read
//!   ([`reply`]: the rest of such an answer is written elsewhere).
//! * Its pool can leave a connection without a thread; a short connection to oneself frees one ([`Transport::nudge`]).
//! * Its accept loop ends at the first error; [`Supervisor`] probes it and builds a new one on the same socket.
//! * An answer blocks until those before it on the connection are out; [`connections`] hands out one request of a
//!   connection at a time instead.
//! * A body above 1,024 bytes is read by whoever asks for it, in the peer's own time; [`lane`] does that.

mod connections;
mod lane;
mod reply;

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use log::{debug, error, info, warn};
use nix::sys::socket::{SockaddrStorage, getpeername, getsockname};
use parking_lot::Mutex;
use socket2::{Domain, Protocol, Socket, Type};

use self::connections::{Connections, Next, Standing, Turn};
use self::lane::Lane;
pub use self::reply::{ConnectionId, Responder, Sent};
use self::reply::{SlowWriter, Terms};
use super::credentials::Credentials;
use crate::program::service::{THREAD_STACK, activated};
use crate::program::{Endpoint, Failure, Flag, Options, spawn};

/// How long a write may hold its thread before the rest of the answer goes to the slow writer.
const SEND_TIMEOUT: Duration = Duration::from_millis(10);
/// How often the accept loop is probed; also keeps `accept` from timing out, so it must stay below the idle time.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);
/// The same at rest, so that an idle server hardly wakes up: when nothing has come since the probe before.
const REST_INTERVAL: Duration = Duration::from_secs(10);
/// The shortest idle time: probes must come well within it.
const LEAST_IDLE: Duration = Duration::from_secs(4);
/// How long a probe may go unanswered before the accept loop counts as dead.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// The same for one that was just rebuilt: where descriptors are short, the backlog can kill several in a row.
const REBUILT_PROBE_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a nudge may take, and how many follow each other at most.
const NUDGE_TIMEOUT: Duration = Duration::from_millis(500);
const MAX_NUDGES: usize = 512;
/// The pauses between attempts to get connections accepted again.
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_millis(500);
/// Connections that the kernel accepts on our behalf before we do.
const BACKLOG: i32 = 1024;
/// Bodies up to this size have been read by tiny_http before the request reaches us.
const SMALL_BODY: usize = 1024;
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
/// Descriptors that a connection can hold: one to read and one to answer.
const CONNECTION_DESCRIPTORS: u64 = 2;
/// Descriptors for everything else: the listener, the log, calls to the binder, and connections on their way to
/// a refusal.
const OTHER_DESCRIPTORS: u64 = 64;
/// How long it counts as certain that there are too many connections, before it is looked at anew.
const FULL_FOR: Duration = Duration::from_millis(50);

/// What an HTTP server needs to know. All limits have defaults that fit a device with 64 MB of memory.
#[derive(Debug, Clone)]
pub struct Config {
    /// The address to listen on; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// A socket that the service manager listens on, at [`Config::listen`]; without one, [`listen`] opens it.
    pub activated: Option<Arc<TcpListener>>,
    /// Threads that handle requests. Default 4: handlers do not block, so more of them than cores gain nothing.
    pub workers: usize,
    /// A connection without traffic for this long is closed, and an upload must be complete within it. Default 30 s.
    pub connection_idle: Duration,
    /// The largest body of a request, in bytes. Default 65,536.
    pub max_body_bytes: usize,
    /// Connections at a time; a request on a further one is answered with status 503. Default 2,048.
    pub max_connections: usize,
    /// Names that a `Host` header may carry beside IP literals, `localhost` and this machine's own name.
    pub hosts: Vec<String>,
}

impl Config {
    /// The defaults, listening on `listen`.
    #[must_use]
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            activated: None,
            workers: 4,
            connection_idle: Duration::from_secs(30),
            max_body_bytes: 64 << 10,
            max_connections: 2048,
            hosts: Vec::new(),
        }
    }
}

/// The options of every program that serves.
pub const FLAGS: &[Flag] = &[
    Flag::value(
        "workers",
        "N",
        Some("4"),
        "Threads that handle calls. None of them waits for a peer, so few are enough.",
    ),
    Flag::value(
        "connection-idle",
        "SECONDS",
        Some("30"),
        "Connections are closed after this time without traffic; at least 4.",
    ),
    Flag::value("max-body-bytes", "BYTES", Some("65536"), "The largest call."),
    Flag::value("max-connections", "N", Some("2048"), "Calls on further connections are refused, with status 503."),
    THREAD_STACK,
    Flag::value(
        "allow-host",
        "NAME[,NAME]",
        None,
        "Names by which clients reach this server, beside its addresses and its host name.",
    ),
];

impl Config {
    /// Reads [`FLAGS`] and `--listen` from a command line. A socket of the service manager comes before the latter.
    ///
    /// # Errors
    /// [`Failure::Usage`] for what is not a number or out of range, [`Failure::Failed`] for an address or a socket that
    /// cannot be listened on.
    pub fn from_options(options: &Options) -> Result<Self, Failure> {
        let workers = options.get("workers")?;
        if !(1..=256).contains(&workers) {
            return Err(Failure::Usage("--workers is 1 to 256".into()));
        }
        let idle = options.get("connection-idle")?;
        if idle < LEAST_IDLE.as_secs() {
            return Err(Failure::Usage(format!("--connection-idle is at least {} seconds", LEAST_IDLE.as_secs())));
        }
        let max_connections = options.get("max-connections")?;
        if !(1..=1_000_000).contains(&max_connections) {
            return Err(Failure::Usage("--max-connections is 1 to 1000000".into()));
        }
        let own = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let local = format!("{}.local", own.trim());
        let names =
            options.text("allow-host").unwrap_or_default().split(',').chain([own.as_str(), &local]).map(str::trim);
        let activated = activated()?;
        let listen = match &activated {
            Some(socket) => {
                socket.local_addr().map_err(|error| Failure::while_doing("the socket has no address", error))?
            }
            None => options.get::<Endpoint>("listen")?.resolve()?,
        };
        Ok(Self {
            activated: activated.map(Arc::new),
            workers,
            connection_idle: Duration::from_secs(idle),
            max_body_bytes: options.get("max-body-bytes")?,
            max_connections,
            hosts: names.filter(|name| !name.is_empty()).map(str::to_owned).collect(),
            ..Self::new(listen)
        })
    }

    /// How many descriptors a program needs that serves all the connections it may have.
    #[must_use]
    pub fn descriptors(&self) -> u64 {
        CONNECTION_DESCRIPTORS * self.max_connections as u64 + OTHER_DESCRIPTORS
    }
}

/// Who calls: as much as HTTP says about it.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// The address of the peer.
    pub address: Option<IpAddr>,
    /// HTTP Basic credentials, if the request carried any.
    pub credentials: Option<Credentials>,
}

/// What answers the documents that are posted.
pub trait Service: Send + Sync + 'static {
    /// Answers `body`, now or later and from any thread.
    fn call(&self, caller: Caller, body: &[u8], responder: Responder);

    /// Another request has arrived on `connection`: an answer that is held back for it should go out now.
    fn hurry(&self, connection: ConnectionId);

    /// Appends metrics in the Prometheus text format.
    fn metrics(&self, out: &mut String);
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
        let checked = if standing == Standing::Refused { Err(self.too_many()) } else { self.check(&request) };
        let outcome = checked.and_then(|target| match target {
            Target::Call => self.read_body(&mut request, deadline).map(|body| (target, body)),
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

    /// Everything about a request that can be judged by its head.
    fn check(&self, request: &tiny_http::Request) -> Result<Target, Refusal> {
        use tiny_http::Method::{Get, Head, Post};
        let lengths = headers(request, "Content-Length").count();
        let encodings = headers(request, "Transfer-Encoding").count();
        // `+5` is a number for tiny_http, and perhaps another one for a proxy on the way.
        let is_number = header(request, "Content-Length").is_none_or(|value| value.bytes().all(|b| b.is_ascii_digit()));
        if lengths + encodings > 1 || (lengths == 1 && request.body_length().is_none()) || !is_number {
            return Err(Refusal::new(400, "the length of the body must be given once, as a number or by chunks\n"));
        }
        if header(request, "Transfer-Encoding").is_some_and(|value| !value.eq_ignore_ascii_case("chunked")) {
            return Err(Refusal::new(501, "the only transfer encoding is chunked\n"));
        }
        if encodings > 0 && asks_to_upgrade(request) {
            // tiny_http would hand out the chunks as they are.
            return Err(Refusal::new(501, "a request for an upgrade cannot be chunked\n"));
        }
        if headers(request, "Host").count() > 1 {
            return Err(Refusal::new(400, "a request has one Host header\n"));
        }
        if let Some(host) = header(request, "Host")
            && !self.is_own_name(host)
        {
            return Err(Refusal::new(
                421,
                "this name is not one of the server's; use its address, or start it with --allow-host NAME\n",
            ));
        }
        let path = request.url().split(['?', '#']).next().unwrap_or_default();
        match (path, request.method()) {
            ("/" | "/RPC2", Post) => {}
            ("/" | "/RPC2", _) => {
                return Err(Refusal { header: "Allow: POST\r\n", ..Refusal::new(405, "XML-RPC is spoken by POST\n") });
            }
            // Its body would never be read, and be dropped with the request; see `LARGEST_DROP`.
            ("/healthz" | "/metrics", Get | Head) if is_unread(request) => {
                return Err(Refusal::new(413, "this is read without a body\n"));
            }
            ("/healthz", Get | Head) => return Ok(Target::Health),
            ("/metrics", Get | Head) => return Ok(Target::Metrics),
            ("/healthz" | "/metrics", _) => {
                return Err(Refusal { header: "Allow: GET, HEAD\r\n", ..Refusal::new(405, "this is read by GET\n") });
            }
            _ => return Err(Refusal::new(404, "there is nothing here; XML-RPC is at / and /RPC2\n")),
        }
        let media_type =
            header(request, "Content-Type").map(|value| value.split(';').next().unwrap_or_default().trim());
        if !media_type.is_some_and(|media| {
            media.eq_ignore_ascii_case("text/xml") || media.eq_ignore_ascii_case("application/xml")
        }) {
            // A web page can post any other type to any address without asking first.
            return Err(Refusal::new(415, "the Content-Type must be text/xml\n"));
        }
        if lengths + encodings == 0 {
            return Err(Refusal::new(411, "a call needs a Content-Length or chunks\n"));
        }
        if request.body_length().is_some_and(|length| length > self.config.max_body_bytes) {
            return Err(self.too_large());
        }
        Ok(Target::Call)
    }

    fn too_many(&self) -> Refusal {
        let text = format!("there are {} connections, as many as there may be\n", self.config.max_connections);
        Refusal { header: "Retry-After: 1\r\n", ..Refusal::new(503, text) }
    }

    fn too_large(&self) -> Refusal {
        Refusal::new(413, format!("a call may have {} bytes\n", self.config.max_body_bytes))
    }

    /// Reads the body, as a whole until `deadline`.
    fn read_body(&self, request: &mut tiny_http::Request, deadline: Instant) -> Result<Vec<u8>, Refusal> {
        let announced = request.body_length();
        let limit = self.config.max_body_bytes;
        let mut body = Vec::with_capacity(announced.unwrap_or(SMALL_BODY).min(limit));
        let reader = request.as_reader();
        let mut chunk = [0; 4096];
        loop {
            match reader.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => body.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Err(Refusal::new(400, "the body ended early or was not well chunked\n")),
            }
            if body.len() > limit {
                return Err(self.too_large());
            }
            if announced.is_some_and(|length| body.len() >= length) {
                break;
            }
            if Instant::now() > deadline {
                return Err(Refusal::new(408, "the body came too slowly\n"));
            }
        }
        if announced.is_some_and(|length| body.len() < length) {
            return Err(Refusal::new(400, "the body is shorter than its Content-Length\n"));
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
            || self.config.hosts.iter().any(|own| own.eq_ignore_ascii_case(name))
    }

    fn metrics(&self) -> String {
        use std::fmt::Write as _;
        let mut out = String::new();
        self.service.metrics(&mut out);
        let rows: [(&str, &str, &str, u64); 5] = [
            ("http_requests_total", "counter", "Requests received", self.counters.requests.load(Ordering::Relaxed)),
            (
                "http_accept_loops_rebuilt_total",
                "counter",
                "Accept loops rebuilt after a failure",
                self.counters.rebuilt.load(Ordering::Relaxed),
            ),
            (
                "http_requests_held_total",
                "counter",
                "Refused requests that announced too much to be released",
                self.counters.held.load(Ordering::Relaxed),
            ),
            (
                "http_requests_refused_total",
                "counter",
                "Requests refused for too many connections",
                self.counters.refused.load(Ordering::Relaxed),
            ),
            ("process_resident_memory_bytes", "gauge", "Resident memory", own_status("VmRSS") * 1024),
        ];
        for (name, kind, help, value) in rows {
            let _ = write!(out, "# HELP {name} {help}.\n# TYPE {name} {kind}\n{name} {value}\n");
        }
        out
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

    /// Connects to ourselves, leaves, and waits until that is noticed. A thread that tiny_http starts for it looks into
    /// the queue afterwards and takes one connection that was left there.
    fn nudge(&self) -> io::Result<()> {
        let mut stream = TcpStream::connect_timeout(&self.own_address(), NUDGE_TIMEOUT)?;
        stream.set_read_timeout(Some(NUDGE_TIMEOUT))?;
        stream.shutdown(Shutdown::Write)?;
        stream.read(&mut [0]).map(drop)
    }

    /// Nudges for as long as each nudge costs a thread: then the thread before it has found a connection to serve. What
    /// was left behind silent connections is found this way, where no request tells of it.
    fn free_stranded(&self, threads_before: u64) {
        let mut before = threads_before;
        for _ in 0..MAX_NUDGES {
            let now = own_status("Threads");
            if now <= before || self.draining.load(Ordering::SeqCst) || self.nudge().is_err() {
                return;
            }
            before = now;
        }
    }

    /// One request to ourselves, to see whether the accept loop still lives.
    fn probe(&self, patience: Duration) -> Result<(), ProbeError> {
        let mut stream = TcpStream::connect_timeout(&self.own_address(), patience).map_err(ProbeError::NotMade)?;
        let mut ask = || {
            stream.set_read_timeout(Some(patience))?;
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
            stream.read_exact(&mut [0; 12])
        };
        ask().map_err(ProbeError::NotAnswered)
    }

    /// Where we reach ourselves: a wildcard listener is reached over loopback.
    fn own_address(&self) -> SocketAddr {
        let mut address = self.address;
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        address
    }
}

enum Target {
    Call,
    Health,
    Metrics,
}

/// An answer other than XML-RPC's. It closes the connection: nothing that follows can be trusted to be a request.
struct Refusal {
    status: u16,
    text: Cow<'static, str>,
    /// A header line, with CR LF; or empty.
    header: &'static str,
}

impl Refusal {
    fn new(status: u16, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status, text: text.into(), header: "" }
    }
}

/// Why a probe says nothing good.
enum ProbeError {
    /// There was no connection to make it on.
    NotMade(io::Error),
    NotAnswered(io::Error),
}

/// What can be seen of the traffic at a time.
struct Look {
    at: Instant,
    requests: u64,
    threads: u64,
}

impl Look {
    fn now(transport: &Transport) -> Self {
        let requests = transport.counters.requests.load(Ordering::Relaxed);
        Self { at: Instant::now(), requests, threads: own_status("Threads") }
    }

    /// Whether nothing has come since `before`: no request, and no connection that took a thread and is silent. Then nothing
    /// can have been left behind either.
    fn is_quiet_since(&self, before: &Self) -> bool {
        self.requests == before.requests && self.threads <= before.threads
    }
}

/// Watches over the accept loop.
struct Supervisor {
    transport: Arc<Transport>,
    listener: Socket,
    woken: Receiver<()>,
}

impl Supervisor {
    fn run(self) {
        // The pause before the next attempt while connections are not accepted.
        let mut retry: Option<Duration> = None;
        // A third of the idle time leaves room for a probe that is late.
        let rest = REST_INTERVAL.min(self.transport.config.connection_idle / 3);
        // After the last probe that said nothing bad.
        let mut probed: Option<Look> = None;
        loop {
            let woken = self.woken.recv_timeout(retry.unwrap_or(PROBE_INTERVAL));
            if self.transport.draining.load(Ordering::SeqCst) {
                return;
            }
            let failure = match woken {
                Ok(()) => self.transport.failure.lock().take(),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    let now = Look::now(&self.transport);
                    let at_rest =
                        |before: &Look| now.is_quiet_since(before) && now.at + PROBE_INTERVAL <= before.at + rest;
                    if probed.as_ref().is_some_and(at_rest) {
                        self.sweep();
                        continue;
                    }
                    match self.transport.probe(if retry.is_some() { REBUILT_PROBE_TIMEOUT } else { PROBE_TIMEOUT }) {
                        Ok(()) => {
                            if retry.take().is_some() {
                                info!("connections are accepted again");
                            }
                            self.transport.free_stranded(now.threads);
                            probed = Some(Look::now(&self.transport));
                            None
                        }
                        // The probe itself found no descriptor or no memory: that says nothing about the accept loop.
                        Err(ProbeError::NotMade(error)) => {
                            debug!("cannot probe: {error}");
                            None
                        }
                        Err(ProbeError::NotAnswered(error)) => Some(error),
                    }
                }
            };
            self.sweep();
            let Some(error) = failure else { continue };
            probed = None;
            let pause = match retry {
                None => {
                    error!("the accept loop of {} ended, building a new one: {error}", self.transport.address);
                    FIRST_RETRY
                }
                Some(last) => (last * 2).min(LAST_RETRY),
            };
            retry = Some(pause);
            thread::sleep(pause);
            self.rebuild();
        }
    }

    fn sweep(&self) {
        self.transport.connections.sweep(self.transport.config.connection_idle + PROBE_INTERVAL);
    }

    fn rebuild(&self) {
        let new = match build(&self.listener) {
            Ok(new) => Arc::new(new),
            Err(error) => {
                debug!("no new accept loop yet: {error}");
                self.transport.report(error);
                return;
            }
        };
        let old = std::mem::replace(&mut *self.transport.current.lock(), new);
        // What the workers reported of the old one meanwhile is settled.
        *self.transport.failure.lock() = None;
        self.transport.counters.rebuilt.fetch_add(1, Ordering::Relaxed);
        // Only one worker at a time waits in it; the others wait for that one and then see the new one.
        old.tiny.unblock();
        let transport = Arc::clone(&self.transport);
        // Connections that the old one accepted are served until all of them have been idle too long.
        let patience = transport.config.connection_idle + PROBE_INTERVAL;
        let drain = move || {
            loop {
                let asked = Instant::now();
                match transport.take(&old, Some(patience)) {
                    Ok(Some(arrival)) => transport.begin(arrival),
                    // Left over: a wake-up that no worker needed, or the error that ended the loop.
                    Ok(None) | Err(_) if asked.elapsed() < patience => {}
                    Ok(None) | Err(_) => return,
                }
            }
        };
        if let Err(error) = spawn("drain", drain) {
            debug!("connections of the old accept loop are lost: {error}");
        }
    }
}

/// The reason phrase of a status, for example `Not Found`.
fn reason(status: u16) -> &'static str {
    tiny_http::StatusCode(status).default_reason_phrase()
}

/// Whether the body is still to be read from the connection, in the peer's own time.
fn is_unread(request: &tiny_http::Request) -> bool {
    match request.body_length() {
        // tiny_http leaves the bytes of an upgrade alone, however few.
        Some(length) => {
            length > SMALL_BODY || (length > 0 && (header(request, "Expect").is_some() || asks_to_upgrade(request)))
        }
        None => header(request, "Transfer-Encoding").is_some(),
    }
}

fn headers<'a>(request: &'a tiny_http::Request, name: &'static str) -> impl Iterator<Item = &'a str> {
    request.headers().iter().filter(move |header| header.field.equiv(name)).map(|header| header.value.as_str())
}

fn header<'a>(request: &'a tiny_http::Request, name: &'static str) -> Option<&'a str> {
    headers(request, name).next()
}

/// Whether this is the last request of its connection, by the same rule as tiny_http's own.
fn asks_to_close(request: &tiny_http::Request) -> bool {
    let http_1_0 = *request.http_version() < (1, 1);
    header(request, "Connection").map_or(http_1_0, |value| {
        let value = value.to_ascii_lowercase();
        value.contains("close") || value.contains("upgrade") || (http_1_0 && !value.contains("keep-alive"))
    })
}

/// How many bytes of the body tiny_http would read past if it dropped the request now. It leaves chunks, and the body of an
/// upgrade, to be taken for a next request, of which [`connections`] takes none.
fn unread_bytes(request: &tiny_http::Request) -> usize {
    if is_unread(request) && !asks_to_upgrade(request) { request.body_length().unwrap_or(0) } else { 0 }
}

/// Reads `count` bytes, so that little is missing of the body when it is dropped. The peer may be slow, until `deadline`.
fn read_past(stream: &mut impl Read, mut count: usize, deadline: Instant) {
    let mut chunk = [0; 4096];
    while count > 0 && Instant::now() < deadline {
        let most = count.min(chunk.len());
        match stream.read(&mut chunk[..most]) {
            Ok(0) | Err(_) => return,
            Ok(read) => count -= read,
        }
    }
}

fn asks_to_upgrade(request: &tiny_http::Request) -> bool {
    header(request, "Connection").is_some_and(|value| value.to_ascii_lowercase().contains("upgrade"))
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
