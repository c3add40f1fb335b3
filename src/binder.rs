//! The binder: servers register their procedures here, clients look them up.
//!
//! [`Registry`] is the state, with the time passed in; [`Binder`] serves it; [`start`] runs it.

mod registry;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::{info, warn};
use parking_lot::Mutex;

pub use registry::{Address, MAX_INSTANCES, MAX_LEASE, MAX_OFFERS, MAX_PROCEDURES, Offer, Registered, Registry};

use crate::program::{Failure, Flag, HelpWords, Program};
use crate::rpc::{Caller, Dispatcher, Fault, HTTP_FLAGS, HttpConfig, HttpServer, Janitor, Value, listen, procedures};
use crate::sanitize::Sanitized;
use crate::secret::{Digest, Key};

/// How often ended leases are cleared away. Look-ups never see one that has ended, cleared or not.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// The binder's procedures and their state.
#[derive(Debug)]
pub struct Binder {
    /// The only lock; nothing blocks while it is held.
    registry: Mutex<Registry>,
    key: Key,
    /// What whoever registers has to show; without one anybody may.
    secret: Option<Digest>,
}

procedures! { pub PROCEDURES for Binder {
    /// Registers one procedure at `address` and `port`, until it is registered anew. Answers a confirmation for a person
    /// to read. Like the other procedures that change something, fault 9 without the binder's secret, if it has one, as
    /// the secret of HTTP Basic credentials.
    "register_procedure" = register_procedure(procedure_name: String, address: String, port: i64) -> String;
    /// Where `procedure_name` is offered: an array of address and port, or nil when nobody offers it. The newest live
    /// registration answers.
    "lookup_procedure" = lookup_procedure(procedure_name: String) -> Option<Vec<Value>>;
    /// Registers all of an instance's procedures at once, for `lease_seconds` from now; the same call again is the
    /// heartbeat. Answers the lease granted, 1 to 3600 seconds.
    "register_service" = register_service(instance: String, address: String, port: i64, procedures: Vec<String>, lease_seconds: i64) -> i64;
    /// Ends the registration of `instance`. Answers whether it was known.
    "unregister_service" = unregister_service(instance: String) -> bool;
    /// All live registrations: structs of name, address, port, instance and lease_remaining (seconds). The last two are
    /// nil for a registration without a lease.
    "list_procedures" = list_procedures() -> Vec<Value>;
} }

impl Binder {
    /// A binder that knows of nobody. With a `secret`, only who shows it may register.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn new(secret: Option<&str>) -> Result<Self, Failure> {
        let key = Key::random()?;
        let secret = secret.map(|secret| key.digest(secret));
        Ok(Self { registry: Mutex::default(), key, secret })
    }

    /// Whether `caller` may change registrations. The user part of the credentials is anybody's.
    fn authorise(&self, caller: &Caller) -> Result<(), Fault> {
        let shown = caller.credentials.as_ref().map(|credentials| self.key.digest(&credentials.secret));
        if self.secret.is_none() || self.secret == shown {
            return Ok(());
        }
        Err(Fault::new(
            Fault::NOT_AUTHORISED,
            "this binder wants its secret from those who register, as the secret of HTTP Basic credentials",
        ))
    }

    fn register_procedure(
        &self,
        caller: &Caller,
        procedure_name: String,
        address: String,
        port: i64,
    ) -> Result<String, Fault> {
        self.authorise(caller)?;
        let address = Address::parse(&address, port)?;
        let (shown, new) = (procedure_name.clone(), address.clone());
        let replaced = self.registry.lock().register_procedure(procedure_name, address, Instant::now())?;
        if let Some(old) = replaced {
            log_replaced(caller, &old, &new, &format!("the procedure {shown}"));
        }
        Ok(format!("Procedure '{shown}' registered at {new}."))
    }

    fn lookup_procedure(&self, _: &Caller, procedure_name: String) -> Result<Option<Vec<Value>>, Fault> {
        let registry = self.registry.lock();
        let found = registry.lookup(&procedure_name, Instant::now());
        Ok(found.map(|address| vec![address.host.as_str().into(), i64::from(address.port).into()]))
    }

    fn register_service(
        &self,
        caller: &Caller,
        instance: String,
        address: String,
        port: i64,
        procedures: Vec<String>,
        lease_seconds: i64,
    ) -> Result<i64, Fault> {
        self.authorise(caller)?;
        let address = Address::parse(&address, port)?;
        let (new, count) = (address.clone(), procedures.len());
        let Registered { lease, is_new, replaced } =
            self.registry.lock().register_service(instance, address, procedures, lease_seconds, Instant::now())?;
        if is_new {
            info!("a server at {} registered {count} procedures", Sanitized(&new.to_string()));
        }
        for old in replaced {
            log_replaced(caller, &old, &new, "some of its procedures");
        }
        Ok(lease.as_secs().cast_signed())
    }

    fn unregister_service(&self, caller: &Caller, instance: String) -> Result<bool, Fault> {
        self.authorise(caller)?;
        Ok(self.registry.lock().unregister_service(&instance))
    }

    fn list_procedures(&self, _: &Caller) -> Result<Vec<Value>, Fault> {
        let now = Instant::now();
        let offers = self.registry.lock().list(now);
        Ok(offers.into_iter().map(Value::from).collect())
    }
}

/// Without a secret this is all that tells of somebody who takes over another server's callers.
fn log_replaced(caller: &Caller, old: &Address, new: &Address, what: &str) {
    let peer = caller.address.map_or_else(|| "somebody".to_owned(), |address| address.to_string());
    let text = format!("{new} now answers instead of {old} for {what}; {peer} registered it");
    warn!("{}", Sanitized(&text));
}

impl From<Offer> for Value {
    fn from(offer: Offer) -> Self {
        Self::Struct(vec![
            ("name".into(), offer.name.into()),
            ("address".into(), offer.address.host.into()),
            ("port".into(), i64::from(offer.address.port).into()),
            ("instance".into(), offer.instance.map_or(Self::Nil, Self::from)),
            (
                "lease_remaining".into(),
                offer.lease_remaining.map_or(Self::Nil, |left| left.as_secs().cast_signed().into()),
            ),
        ])
    }
}

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
        ("max_lease_seconds", MAX_LEASE.as_secs() as usize),
    ];
    dispatcher.publish_limits(&config, &limits.map(|(name, value)| (name, i64::try_from(value).unwrap_or(i64::MAX))));
    let failed = |error| Failure::while_doing("cannot start", error);
    let http = HttpServer::start(listener, config, Arc::new(dispatcher)).map_err(failed)?;
    let sweep = move || binder.registry.lock().sweep(Instant::now());
    let janitor = http.start_janitor(SWEEP_INTERVAL, sweep).map_err(failed)?;
    Ok(Running { http, _janitor: janitor })
}
