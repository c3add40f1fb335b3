//! The HTTP side of a server: XML-RPC by `POST /` and `POST /RPC2`, a page for browsers by `GET /`, and for operators
//! `GET /healthz` and `GET /metrics`.
//!
//! Only [`transport`] and [`request`] name tiny_http, which is no longer maintained. It is built around what that crate does:
//!
//! * Accepted sockets inherit from the listener what tiny_http never sets: no delay, a receive time-out that ends idle
//!   connections, and a send time-out with which writes never block, so that no thread is ever held by a peer that does not
//!   read ([`reply`]: the rest of such an answer is written elsewhere).
//! * Its pool can leave a connection without a thread; [`supervisor`] frees one by a short connection to ourselves.
//! * Its accept loop ends at the first error; [`supervisor`] probes it and builds a new one on the same socket.
//! * An answer blocks until those before it on the connection are out; [`connections`] hands out one request of a
//!   connection at a time instead.
//! * A body above 1,024 bytes is read by whoever asks for it, in the peer's own time; [`pool`] does that.

mod config;
mod connections;
mod page;
mod pool;
mod procfs;
mod reply;
mod request;
mod stream;
mod supervisor;
mod transport;

use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeVal;
use parking_lot::Mutex;
use socket2::{Domain, Protocol, Socket, Type};

use self::config::LEAST_IDLE;
pub use self::config::{FLAGS, HttpConfig};
use self::connections::Connections;
pub use self::page::Page;
use self::pool::Pool;
use self::reply::SlowWriter;
pub use self::reply::{ConnectionId, Responder, Sent};
pub use self::stream::{Audience, Opener, StreamRequest, Streams};
use self::supervisor::Supervisor;
use self::transport::{Counters, MAX_DRAINS, MAX_SMALL_DRAINS, Transport, build};
use super::credentials::Credentials;
use super::metrics::Metrics;
use crate::program::spawn;

/// A negative send time-out: writes never block. The kernel's log has a line about it for each start.
const NEVER_BLOCK: TimeVal = TimeVal::new(-1, 0);
/// Bytes that the kernel keeps of what a peer has not read; it reserves twice as many. Without a bound it would keep up to
/// 4 MB for each peer that does not read.
const SEND_BUFFER: usize = 64 << 10;
/// Connections that the kernel accepts on our behalf before we do.
const BACKLOG: i32 = 1024;

/// Who calls: as much as HTTP says about it.
#[derive(Debug, Default)]
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
    fn pipelined(&self, connection: ConnectionId);

    /// Opens a stream of events, or refuses it.
    fn events(&self, caller: Caller, request: StreamRequest, opener: Opener);

    /// Adds its metrics.
    fn metrics(&self, out: &mut Metrics);
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
    pub fn start(listener: Socket, config: HttpConfig, service: Arc<dyn Service>) -> io::Result<Self> {
        let address = local_address(&listener)?;
        let intake = Arc::new(build(&listener)?);
        let (nudges, nudge_requests) = bounded(1024);
        let (wake_supervisor, woken) = bounded(1);
        let transport = Arc::new(Transport {
            address,
            service,
            connections: Connections::default(),
            uploads: Pool::new("upload", 512),
            drains: Pool::new("drain", MAX_DRAINS),
            small_drains: Pool::new("drain", MAX_SMALL_DRAINS),
            // A single thread, so that it keeps the order.
            pipelined: Pool::new("pipeline", 1),
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
pub fn listen(config: &HttpConfig) -> io::Result<Socket> {
    let socket = match &config.activated {
        Some(listener) => Socket::from(listener.try_clone()?),
        None => Socket::new(Domain::for_address(config.listen), Type::STREAM, Some(Protocol::TCP))?,
    };
    // Connections that came before these do not inherit them: see `Backlog=` in the socket units.
    socket.set_tcp_nodelay(true)?;
    socket.set_read_timeout(Some(config.connection_idle.max(LEAST_IDLE)))?;
    setsockopt(&socket, sockopt::SendTimeout, &NEVER_BLOCK)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    // A peer that is gone without a word is given up as soon as one that is silent.
    let patience = u32::try_from(config.connection_idle.as_millis()).unwrap_or(u32::MAX);
    setsockopt(&socket, sockopt::TcpUserTimeout, &patience)?;
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
