//! The binder's procedures.

use std::net::Ipv4Addr;
use std::time::Instant;

use log::{info, warn};
use parking_lot::Mutex;

use super::notices::Notices;
use super::registry::{LeaseRequest, Offer, Origin, Registered, Registry};
use crate::endpoint::Endpoint;
use crate::network;
use crate::program::Failure;
use crate::rpc::{Caller, Fault, Value, procedures};
use crate::sanitize::Sanitized;
use crate::secret::{Digest, DigestKey};

/// The binder's procedures and their state.
#[derive(Debug)]
pub struct Binder {
    /// Never locked together with `notices`; nothing blocks while either is held.
    registry: Mutex<Registry>,
    notices: Mutex<Notices>,
    key: DigestKey,
    /// The secret required to register; `None` lets anyone.
    secret: Option<Digest>,
}

procedures! { pub PROCEDURES for Binder {
    /// Registers one procedure at `address` and `port`, until it is registered anew. Returns a confirmation for a person
    /// to read. Like the other procedures that change something, fault 9 without the binder's secret, if it has one, as
    /// the secret of HTTP Basic credentials. An address that only its own machine can reach (127.0.0.1, 0.0.0.0) stands for
    /// the caller's address if the caller is another machine.
    "register_procedure" = register_procedure(procedure_name: String, address: String, port: i64) -> String;
    /// Returns an array of address and port that offer `procedure_name`, or nil when nobody offers it: those of the newest
    /// live registration that the caller can reach, or where that belongs to a group, of the group's live members in turn.
    "lookup_procedure" = lookup_procedure(procedure_name: String) -> Option<Vec<Value>>;
    /// Registers all of an instance's procedures at once, for `lease_seconds` from now; the same call again is the
    /// heartbeat. Returns the lease granted, 1 to 3600 seconds. Servers that serve the same have the same `group`.
    "register_service" = register_service(instance: String, address: String, port: i64, procedures: Vec<String>, lease_seconds: i64, group: Option<String>) -> i64;
    /// Ends the registration of `instance`. Returns whether it was known.
    "unregister_service" = unregister_service(instance: String) -> bool;
    /// Returns all live registrations: structs of name, address, port, instance, lease_remaining (seconds) and group.
    /// instance and lease_remaining are nil for a registration without a lease; group is empty where there is none.
    "list_procedures" = list_procedures() -> Vec<Value>;
} }

/// Returns the address of another machine that calls.
fn origin(caller: &Caller) -> Origin {
    caller.address.map(|ip| ip.to_canonical()).filter(|ip| !network::is_own(*ip))
}

/// Returns the address by which others reach a server that gave `endpoint` from `origin`.
fn reachable(endpoint: Endpoint, origin: Origin) -> Endpoint {
    let is_wildcard = network::is_wildcard(&endpoint);
    let host = match origin {
        // Without its interface such an address leads nowhere.
        Some(ip) if network::is_link_local(ip) => None,
        Some(ip) if is_wildcard || network::is_loopback(&endpoint) => Some(ip),
        None if is_wildcard => Some(network::outward().unwrap_or(Ipv4Addr::LOCALHOST.into())),
        _ => None,
    };
    match host {
        Some(host) => Endpoint { host: host.to_string(), ..endpoint },
        None => endpoint,
    }
}

impl Binder {
    /// Makes a binder without registrations. If there is a `secret`, it is required to register, and a live lease goes before a
    /// newer registration without one that came from another machine.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn new(secret: Option<&str>) -> Result<Self, Failure> {
        let key = DigestKey::random()?;
        let secret = secret.map(|secret| key.digest(secret));
        let registry = if secret.is_some() { Registry::with_leases_first() } else { Registry::default() };
        Ok(Self { registry: Mutex::new(registry), notices: Mutex::default(), key, secret })
    }

    /// Removes ended leases, and logs the notices that were held back.
    pub fn sweep(&self, now: Instant) {
        self.registry.lock().sweep(now);
        let due = self.notices.lock().due(now);
        for text in due {
            warn!("{}", Sanitized(&text));
        }
    }

    /// Checks that `caller` may change registrations; ignores the user part of the credentials.
    fn authorise(&self, caller: &Caller) -> Result<(), Fault> {
        let shown = caller.credentials.as_ref().map(|credentials| self.key.digest(&credentials.secret));
        if self.secret.is_none() || self.secret == shown {
            return Ok(());
        }
        Err(Fault::new(
            Fault::NOT_AUTHORISED,
            "this binder requires its secret of those who register, as the secret of HTTP Basic credentials",
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
        let origin = origin(caller);
        let endpoint = reachable(parse(&address, port)?, origin);
        let (name, new) = (procedure_name.clone(), endpoint.clone());
        let replaced = self.registry.lock().register_procedure(procedure_name, endpoint, origin, Instant::now())?;
        let confirmation = format!("Procedure '{name}' registered at {new}.");
        if let Some(old) = replaced {
            self.warn_of_takeover(caller, name, &old, &new);
        }
        Ok(confirmation)
    }

    fn lookup_procedure(&self, caller: &Caller, procedure_name: String) -> Result<Option<Vec<Value>>, Fault> {
        let (asker, now) = (origin(caller), Instant::now());
        let found = self.registry.lock().lookup(&procedure_name, asker, now);
        if let (None, Some(asker)) = (&found, asker) {
            let out_of_reach = self.registry.lock().lookup(&procedure_name, None, now);
            if let Some(server) = out_of_reach {
                self.warn(
                    format!("unreachable {procedure_name}"),
                    format!(
                        "{asker} asked for {procedure_name}, and was told of nobody: {server} is reached from its own machine \
                         only. Start that server with --listen 0.0.0.0:{}",
                        server.port
                    ),
                );
            }
        }
        Ok(found.map(|endpoint| vec![endpoint.host.into(), i64::from(endpoint.port).into()]))
    }

    #[expect(clippy::too_many_arguments, reason = "the wire has as many parameters")]
    fn register_service(
        &self,
        caller: &Caller,
        instance: String,
        address: String,
        port: i64,
        procedures: Vec<String>,
        seconds: i64,
        group: Option<String>,
    ) -> Result<i64, Fault> {
        self.authorise(caller)?;
        let origin = origin(caller);
        let given = parse(&address, port)?;
        let endpoint = reachable(given.clone(), origin);
        let (new, count) = (endpoint.clone(), procedures.len());
        let group = group.unwrap_or_default();
        let request = LeaseRequest { instance, endpoint, procedures, seconds, group, origin };
        let Registered { lease, is_new, replaced } = self.registry.lock().register_service(request, Instant::now())?;
        if is_new {
            let instead = if given == new { String::new() } else { format!(", which called itself {given},") };
            let text = format!("a server at {new}{instead} registered {count} procedures");
            if let Some(text) = self.notices.lock().admit(format!("server {new}"), text, Instant::now()) {
                info!("{}", Sanitized(&text));
            }
        }
        // Usually all of them are one server's.
        let mut told: Vec<Endpoint> = Vec::new();
        for (name, old) in replaced {
            if !told.contains(&old) {
                self.warn_of_takeover(caller, name, &old, &new);
                told.push(old);
            }
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

    /// Logs that another server gets the callers of `name`: without a secret nothing else shows it.
    fn warn_of_takeover(&self, caller: &Caller, name: String, old: &Endpoint, new: &Endpoint) {
        let peer = caller.address.map_or_else(|| "somebody".to_owned(), |address| address.to_string());
        let text = format!("{new} now answers instead of {old} for {name}; {peer} registered it");
        self.warn(name, text);
    }

    fn warn(&self, thing: String, text: String) {
        let admitted = self.notices.lock().admit(thing, text, Instant::now());
        if let Some(text) = admitted {
            warn!("{}", Sanitized(&text));
        }
    }
}

fn parse(address: &str, port: i64) -> Result<Endpoint, Fault> {
    Endpoint::new(address, port).map_err(|wrong| Fault::new(Fault::BAD_PARAMS, wrong))
}

impl From<Offer> for Value {
    fn from(offer: Offer) -> Self {
        Self::Struct(vec![
            ("name".into(), offer.name.into()),
            ("address".into(), offer.endpoint.host.into()),
            ("port".into(), i64::from(offer.endpoint.port).into()),
            ("instance".into(), offer.instance.map_or(Self::Nil, Self::from)),
            (
                "lease_remaining".into(),
                offer.lease_remaining.map_or(Self::Nil, |left| left.as_secs().cast_signed().into()),
            ),
            ("group".into(), offer.group.into()),
        ])
    }
}
