//! The binder: servers register their procedures here, and clients look them up.
//!
//! [`Registry`] is the state, with the time passed in; [`Binder`] serves it; [`start`] runs it.

mod notices;
mod procedures;
mod registry;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::warn;

pub use procedures::{Binder, PROCEDURES};
pub use registry::{
    LeaseRequest, MAX_INSTANCES, MAX_LEASE, MAX_OFFERS, MAX_PROCEDURES, Offer, Origin, Registered, Registry, SHARE,
};

use crate::discovery::Announcer;
use crate::page;
use crate::program::{Failure, Flag, HelpWords, Options, Program};
use crate::random;
use crate::rpc::{Dispatcher, HTTP_FLAGS, HttpConfig, HttpServer, Janitor, listen};
use crate::secret;

/// The time between two removals of ended leases. Lookups ignore these in any case.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// The program.
pub const PROGRAM: Program = Program {
    name: "binder",
    about: "Keeps a register of XML-RPC procedures: servers register there, clients look up who offers what.",
    arguments: "",
    flags: &[
        &[
            Flag::value(
                "listen",
                "HOST:PORT",
                Some("127.0.0.1:5000"),
                "Address to listen on; port 0 lets the system choose. A service manager's socket takes precedence.",
            ),
            Flag::switch("no-announce", "Do not tell the local network, by multicast DNS, where this binder is."),
            Flag::value("secret-file", "FILE", None, "File with the secret required to register."),
        ],
        HTTP_FLAGS,
        page::FLAGS,
    ],
    commands: &[],
    alternatives: &[],
    of_features: &[],
    examples: &[
        ("binder", "listens on 127.0.0.1:5000"),
        ("binder --listen 0.0.0.0:5000 --secret-file FILE", "serves the whole network"),
    ],
    words: |_| &HelpWords::ENGLISH,
};

/// The configuration of a binder.
#[derive(Debug)]
pub struct BinderConfig {
    /// The address to listen on, and the limits of HTTP.
    pub http: HttpConfig,
    /// The secret required to register; `None` lets anyone.
    pub secret: Option<String>,
    /// If the local network is told where the binder is, unless it listens on loopback. Default true.
    pub announce: bool,
}

impl BinderConfig {
    /// Returns the defaults, listening on `listen`.
    #[must_use]
    pub fn new(listen: SocketAddr) -> Self {
        Self { http: HttpConfig::new(listen), secret: None, announce: true }
    }

    /// Reads the command line, and warns of a binder that is open by oversight.
    ///
    /// # Errors
    /// [`Failure::Usage`] if it is wrong, [`Failure::Failed`] if the address or the file of the secret cannot be used.
    pub fn from_options(options: &Options) -> Result<Self, Failure> {
        let secret = options.text("secret-file").map(|path| secret::read_file(path.as_ref())).transpose()?;
        let mut http = HttpConfig::from_options(options)?;
        http.page = page::wanted(page::BINDER, options);
        if secret.is_none() && !http.listen.ip().to_canonical().is_loopback() {
            warn!("{} is beyond this machine and anybody may register; --secret-file changes that", http.listen);
        }
        Ok(Self { http, secret, announce: !options.has("no-announce") })
    }
}

/// A running binder.
pub struct RunningBinder {
    http: HttpServer,
    announcer: Option<Announcer>,
    _janitor: Janitor,
}

impl RunningBinder {
    /// Returns the address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.http.address()
    }

    /// Tells the network where it is. A binder serves all the same if it cannot be announced.
    pub fn announce(&mut self) {
        self.announcer = Announcer::start(self.http.address()).unwrap_or_else(|failure| {
            warn!("{failure}");
            None
        });
    }

    /// Replies to what has arrived, at most for `patience`.
    pub fn stop(self, patience: Duration) {
        // First, so that no new client is sent here.
        if let Some(announcer) = self.announcer {
            announcer.stop();
        }
        self.http.stop(Instant::now() + patience);
    }
}

/// Starts a binder.
///
/// # Errors
/// If the address cannot be listened on, or a thread cannot be started.
pub fn start(config: BinderConfig) -> Result<RunningBinder, Failure> {
    let BinderConfig { http: config, secret, announce } = config;
    let wanted = config.listen;
    let listener =
        listen(&config).map_err(|error| Failure::while_doing(format_args!("cannot listen on {wanted}"), error))?;
    let binder = Arc::new(Binder::new(secret.as_deref())?);
    let mut dispatcher = Dispatcher::new();
    dispatcher.publish_server_id(&random::hex::<16>()?);
    dispatcher.add_procedures(PROCEDURES, &binder);
    let limits = [
        ("max_instances", MAX_INSTANCES),
        ("max_procedures", MAX_PROCEDURES),
        ("max_offers", MAX_OFFERS),
        ("max_instances_per_address", MAX_INSTANCES / SHARE),
        ("max_procedures_per_address", MAX_PROCEDURES / SHARE),
        ("max_offers_per_address", MAX_OFFERS / SHARE),
        ("max_lease_seconds", MAX_LEASE.as_secs() as usize),
    ];
    dispatcher.publish_limits(
        &config,
        limits.map(|(name, value)| (name.to_owned(), i64::try_from(value).unwrap_or(i64::MAX))).into(),
    );
    let failed = |error| Failure::while_doing("cannot start", error);
    let http = HttpServer::start(listener, config, Arc::new(dispatcher)).map_err(failed)?;
    let sweep = move || binder.sweep(Instant::now());
    let janitor = http.start_janitor(SWEEP_INTERVAL, sweep).map_err(failed)?;
    let mut running = RunningBinder { http, announcer: None, _janitor: janitor };
    if announce {
        running.announce();
    }
    Ok(running)
}
