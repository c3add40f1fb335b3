//! The HTTP side of a server: XML-RPC by `POST /` and `POST /RPC2`, a page for browsers by `GET /`, and for operators
//! `GET /healthz` and `GET /metrics`.
//!
//! Only [`transport`] and [`request`] name tiny_http, which parses the heads that the crate `gate` hands it: those of whole
//! requests, one of a connection at a time. The gate has the connections, their deadlines and limits, and what peers have not
//! read yet.

mod config;
mod page;
mod reply;
mod request;
mod stream;
mod transport;

use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use gate::{Gate, GateLimits};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

pub use self::config::{FLAGS, HttpConfig};
pub use self::page::WebPage;
pub use self::reply::{ConnectionId, Exchange, Responder};
#[cfg(feature = "share")]
pub(crate) use self::stream::percent_decode;
pub use self::stream::{Audience, Opener, StreamRequest, Streams};
use self::transport::{Transport, serve_by_tiny_http};
use super::credentials::Credentials;
use super::procedure::Dispatcher;
use crate::program::keep_running;

/// Bytes that the kernel keeps of what a peer has not read; it reserves twice as many. Without a bound it would keep up to
/// 4 MB for each peer that does not read.
const SEND_BUFFER: usize = 64 << 10;
/// Connections that the kernel accepts on our behalf before we do.
const BACKLOG: i32 = 4096;
/// The longest time that the HTTP library may take to start, on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// The caller, as far as HTTP identifies them.
#[derive(Debug, Default)]
pub struct Caller {
    /// The address of the peer.
    pub address: Option<IpAddr>,
    /// HTTP Basic credentials, if the request carried any.
    pub credentials: Option<Credentials>,
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
    /// Listens and starts the threads, which call `dispatcher`.
    ///
    /// # Errors
    /// When the address cannot be listened on, or a thread cannot be started.
    pub fn start(listener: Socket, config: HttpConfig, dispatcher: Arc<Dispatcher>) -> io::Result<Self> {
        let address = local_address(&listener)?;
        let (gate, lanes) = Gate::open(listener.try_clone()?.into(), gate_limits(&config))?;
        let tiny = serve_by_tiny_http(lanes)?;
        gate.wait_until_read(START_TIMEOUT)?;
        let told = Arc::clone(&dispatcher);
        gate.on_pipelined(move |connection| told.pipelined(ConnectionId(connection)));
        let transport = Arc::new(Transport { address, dispatcher, gate, tiny, requests: AtomicU64::new(0), config });
        for number in 0..transport.config.workers {
            let transport = Arc::clone(&transport);
            keep_running(&format!("worker-{number}"), move || transport.work())?;
        }
        Ok(Self { transport, listener })
    }

    /// The address that it listens on, with the real port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.transport.address
    }

    /// Starts the janitor, which does `sweep` every `interval`.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start_janitor(&self, interval: Duration, sweep: impl Fn() + Send + 'static) -> io::Result<Janitor> {
        let (janitor, stop) = bounded::<()>(0);
        let rounds = move || {
            while stop.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                sweep();
            }
        };
        keep_running("janitor", rounds)?;
        Ok(Janitor { _stop: janitor })
    }

    /// Refuses new connections, or leaves them to the next start if the socket is the service manager's, and makes every
    /// further answer the last one of its connection.
    pub fn drain(&self) {
        // It would end the socket in a service manager's hands too.
        if self.transport.gate.drain() && self.transport.config.activated.is_none() {
            let _ = self.listener.shutdown(Shutdown::Both);
        }
    }

    /// Waits until every request that has arrived is answered, at most until `deadline`; after that no answer is begun.
    pub fn stop(&self, deadline: Instant) {
        self.drain();
        self.transport.gate.finish(deadline);
    }
}

/// Returns the limits of the gate.
fn gate_limits(config: &HttpConfig) -> GateLimits {
    let descriptors = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
    GateLimits {
        body_bytes: config.max_body_bytes,
        connections: config.max_connections,
        connections_per_address: config.connections_per_address,
        descriptors: usize::try_from(descriptors).unwrap_or(usize::MAX),
        idle: config.connection_idle,
        trusted: config.trusted_proxies.clone(),
    }
}

/// Opens the listening socket for [`HttpServer::start`], or makes the service manager's one fit for it: apart from it, so
/// that a program can say that a port is in use before it starts anything.
///
/// # Errors
/// If the system refuses the address, for example because it is in use.
pub fn listen(config: &HttpConfig) -> io::Result<Socket> {
    let socket = match &config.activated {
        Some(listener) => Socket::from(listener.try_clone()?),
        None => Socket::new(Domain::for_address(config.listen), Type::STREAM, Some(Protocol::TCP))?,
    };
    // Accepted connections inherit these.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    // A peer that is gone without a word is given up as soon as one that is silent.
    let patience = u32::try_from(config.connection_idle.as_millis()).unwrap_or(u32::MAX);
    setsockopt(&socket, sockopt::TcpUserTimeout, &patience)?;
    if config.activated.is_none() {
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
