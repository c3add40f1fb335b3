//! The settings of an HTTP server, and their options.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use super::page::WebPage;
use crate::endpoint::Endpoint;
use crate::network::host_name;
use crate::program::service_manager::activated;
use crate::program::thread::THREAD_STACK;
use crate::program::{Failure, Flag, Options};

/// Descriptors for everything but connections: the listener, the log, calls to the binder, and connections that are refused.
const OTHER_DESCRIPTORS: u64 = 128;

/// The settings of an HTTP server. All limits have defaults that fit a device with 64 MB of memory.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// The address to listen on; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// A socket that the service manager listens on, at [`HttpConfig::listen`]; without one, [`listen`](super::listen) opens it.
    pub activated: Option<Arc<TcpListener>>,
    /// Threads that handle requests. Default 4: handlers do not block, so more of them than cores gain nothing.
    pub workers: usize,
    /// A connection without traffic for this long is closed, and a request must be complete within it. Default 30 s.
    pub connection_idle: Duration,
    /// The largest body of a request, in bytes. Default 65,536.
    pub max_body_bytes: usize,
    /// Connections at a time; for a further one that is closed which has been without traffic for longest. Default 2,048.
    pub max_connections: usize,
    /// Connections at a time from one IPv4 address or IPv6 network of 64 bits, 0 for no limit. Default 256.
    pub connections_per_address: usize,
    /// Proxies: they may have any number of connections, like this machine, and speak for the address that they forward.
    pub trusted_proxies: Vec<IpAddr>,
    /// Names that a `Host` header may carry beside IP literals, `localhost` and this machine's own name.
    pub hosts: Vec<String>,
    /// The page for `GET /`. Default none, and 405.
    pub page: Option<&'static WebPage>,
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
            connections_per_address: 256,
            trusted_proxies: Vec::new(),
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
        "Connections are closed after this time without traffic, and a call must come within it; 1 to 86400.",
    ),
    Flag::value("max-body-bytes", "BYTES", Some("65536"), "The largest call, 1024 to 16777216."),
    Flag::value(
        "max-connections",
        "N",
        Some("2048"),
        "Connections at a time, 1 to 65536. For a further one the longest idle is closed; if all wait for answers, it gets status 503.",
    ),
    Flag::value(
        "connections-per-address",
        "N",
        Some("256"),
        "Connections at a time from one address, or one IPv6 network of 64 bits; 0 for no limit. This machine and \
         --trusted-proxy may have more.",
    ),
    Flag::value(
        "trusted-proxy",
        "ADDRESS[,ADDRESS]",
        None,
        "Proxies, whose X-Forwarded-For says which address the limits for each address concern.",
    ),
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
        let workers = options.number("workers", 1..=256)? as usize;
        let idle = options.number("connection-idle", 1..=86_400)?;
        let max_body_bytes = options.number("max-body-bytes", 1024..=16 << 20)? as usize;
        let max_connections = options.number("max-connections", 1..=65_536)? as usize;
        let connections_per_address = options.number("connections-per-address", 0..=65_536)? as usize;
        let proxies = options.text("trusted-proxy").unwrap_or_default().split(',').map(str::trim);
        let proxies = proxies.filter(|proxy| !proxy.is_empty()).map(|proxy| {
            let wrong = |_| Failure::Usage(format!("--trusted-proxy {proxy:?} must be an IP address"));
            proxy.parse::<IpAddr>().map(|ip| ip.to_canonical()).map_err(wrong)
        });
        let trusted_proxies = proxies.collect::<Result<_, _>>()?;
        let own = host_name();
        let local = format!("{own}.local");
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
            max_body_bytes,
            max_connections,
            connections_per_address,
            trusted_proxies,
            hosts: names.filter(|name| !name.is_empty()).map(str::to_owned).collect(),
            ..Self::new(listen)
        })
    }

    /// Returns the descriptors that a program needs to serve all the connections it may have, one each.
    #[must_use]
    pub fn descriptors(&self) -> u64 {
        self.max_connections as u64 + OTHER_DESCRIPTORS
    }
}
