//! The binder: servers register their procedures here, clients look them up.
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

use crate::page;
use crate::program::{Failure, Flag, HelpWords, Program};
use crate::rpc::{Dispatcher, HTTP_FLAGS, HttpConfig, HttpServer, Janitor, listen};

/// How often ended leases are cleared away. Look-ups never see one that has ended, cleared or not.
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
                "Where to listen. Port 0 lets the system choose. A socket that a service manager passes comes first.",
            ),
            Flag::value("secret-file", "FILE", None, "Holds the secret that those who register must show."),
        ],
        HTTP_FLAGS,
        page::FLAGS,
    ],
    examples: &[
        ("binder", "listens on 127.0.0.1:5000"),
        ("binder --listen 0.0.0.0:5000 --secret-file FILE", "serves the whole network"),
    ],
    words: |_| &HelpWords::ENGLISH,
};

/// A running binder.
pub struct Running {
    http: HttpServer,
    _janitor: Janitor,
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.http.address()
    }

    /// Answers what has arrived, at most for `patience`.
    pub fn stop(self, patience: Duration) {
        self.http.stop(Instant::now() + patience);
    }
}

/// Starts a binder. With a `secret`, only who shows it may register.
///
/// # Errors
/// When the address cannot be listened on, or a thread cannot be started.
pub fn start(config: HttpConfig, secret: Option<&str>) -> Result<Running, Failure> {
    let wanted = config.listen;
    let listener =
        listen(&config).map_err(|error| Failure::while_doing(format_args!("cannot listen on {wanted}"), error))?;
    if secret.is_none() && !wanted.ip().to_canonical().is_loopback() {
        warn!("{wanted} is beyond this machine and anybody may register; --secret-file changes that");
    }
    let binder = Arc::new(Binder::new(secret)?);
    let mut dispatcher = Dispatcher::new();
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
    dispatcher.publish_limits(&config, &limits.map(|(name, value)| (name, i64::try_from(value).unwrap_or(i64::MAX))));
    let failed = |error| Failure::while_doing("cannot start", error);
    let http = HttpServer::start(listener, config, Arc::new(dispatcher)).map_err(failed)?;
    let sweep = move || binder.sweep(Instant::now());
    let janitor = http.start_janitor(SWEEP_INTERVAL, sweep).map_err(failed)?;
    Ok(Running { http, _janitor: janitor })
}
