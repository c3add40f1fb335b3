//! What an HTTP server is told at its start, and the options that tell it.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use super::page::Page;
use crate::endpoint::Endpoint;
use crate::program::service_manager::activated;
use crate::program::thread::THREAD_STACK;
use crate::program::{Failure, Flag, Options};

/// The shortest idle time: probes must come well within it.
pub(super) const LEAST_IDLE: Duration = Duration::from_secs(4);
/// Descriptors that a connection can hold: one to read and one to answer.
const CONNECTION_DESCRIPTORS: u64 = 2;
/// Descriptors for everything else: the listener, the log, calls to the binder, and connections on their way to
/// a refusal.
const OTHER_DESCRIPTORS: u64 = 64;

/// What an HTTP server needs to know. All limits have defaults that fit a device with 64 MB of memory.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// The address to listen on; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// A socket that the service manager listens on, at [`HttpConfig::listen`]; without one, [`listen`](super::listen) opens it.
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
    /// What browsers get by `GET /`. Default none, and 405.
    pub page: Option<&'static Page>,
}

impl HttpConfig {
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
            page: None,
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

impl HttpConfig {
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
