//! Keeps the server registered at the binder: starts without one, comes back after the binder was restarted, and speaks to
//! a binder of the original project too.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use log::{info, warn};

use crate::endpoint::Endpoint;
use crate::network;
use crate::rpc::{CallError, Client, Credentials, Fault, Value};

/// The lease that is asked for. A crashed server is not found any more after this.
const LEASE: Duration = Duration::from_secs(30);
/// The first and the longest pause between attempts to reach the binder.
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(10);
/// The timeout of a call to the binder.
const TIMEOUT: Duration = Duration::from_secs(3);

/// A server and the binder to register it at.
#[derive(Debug)]
pub(super) struct Registration {
    pub(super) binder: Endpoint,
    /// The address that the server listens on.
    pub(super) listening: SocketAddr,
    /// The address of `--advertise`; the port is 0 if it has none.
    pub(super) advertise: Option<Endpoint>,
    pub(super) procedures: Vec<&'static str>,
    pub(super) instance: String,
    pub(super) credentials: Option<Credentials>,
    /// The chat, where other servers serve it too; else empty.
    pub(super) group: String,
}

/// The kind of binder at the other end.
#[derive(Debug, Clone, Copy, PartialEq)]
enum BinderKind {
    /// Ours: with leases.
    Leases,
    /// An older one of ours, which knows no groups.
    Ungrouped,
    /// The original's: it knows only `register_procedure`.
    Original,
}

impl Registration {
    /// Registers again and again until `stop` is disconnected, and then unregisters.
    pub(super) fn keep(self, stop: &Receiver<()>) {
        let mut client = Client::new(&self.binder.to_string()).with_timeout(TIMEOUT);
        if let Some(credentials) = &self.credentials {
            client = client.with_credentials(credentials);
        }
        self.warn_if_out_of_reach();
        let mut retry = FIRST_RETRY;
        // The last line in the log, so that a long outage is one line.
        let mut said: Option<String> = None;
        let mut registered = None;
        loop {
            let pause = match self.register(&client) {
                Ok((kind, lease)) => {
                    if registered != Some(kind) {
                        self.say_registered(kind);
                    }
                    (registered, retry, said) = (Some(kind), FIRST_RETRY, None);
                    lease / 3
                }
                Err(error) => {
                    let text = error.to_string();
                    if said.as_ref() != Some(&text) {
                        warn!(
                            "cannot register at the binder {}, trying again: {}",
                            self.binder,
                            crate::sanitize::Sanitized(&text)
                        );
                    }
                    (registered, said) = (None, Some(text));
                    let pause = retry;
                    retry = (retry * 2).min(LAST_RETRY);
                    pause
                }
            };
            match stop.recv_timeout(pause) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if registered.is_some_and(|kind| kind != BinderKind::Original) {
            let _ = client
                .with_timeout(Duration::from_secs(1))
                .call("unregister_service", &[self.instance.as_str().into()]);
        }
    }

    fn say_registered(&self, kind: BinderKind) {
        let how = match kind {
            BinderKind::Leases => "",
            BinderKind::Ungrouped => ", which knows no groups and gives clients one server of the chat only",
            BinderKind::Original => ", which knows no leases",
        };
        let (host, port) = self.address();
        info!("registered at the binder {}{how}; others reach this server at {host} port {port}", self.binder);
    }

    fn register(&self, client: &Client) -> Result<(BinderKind, Duration), CallError> {
        let (host, port) = self.address();
        let names = self.procedures.iter().map(|&name| name.into()).collect();
        let lease = LEASE.as_secs().cast_signed();
        let mut params =
            vec![self.instance.as_str().into(), host.as_str().into(), port.into(), Value::Array(names), lease.into()];
        if !self.group.is_empty() {
            params.push(self.group.as_str().into());
        }
        let (mut kind, mut outcome) = (BinderKind::Leases, client.call("register_service", &params));
        if !self.group.is_empty() && is_fault(&outcome, Fault::BAD_PARAMS) {
            params.pop();
            (kind, outcome) = (BinderKind::Ungrouped, client.call("register_service", &params));
        }
        match outcome {
            Ok(granted) => {
                let granted =
                    granted.as_int().and_then(|seconds| u64::try_from(seconds).ok()).filter(|&seconds| seconds > 0);
                Ok((kind, granted.map_or(LEASE, Duration::from_secs)))
            }
            // Refused by a binder that knows the procedure: asking otherwise would not help.
            Err(CallError::Fault(fault))
                if (Fault::BAD_NAME..=Fault::TOO_FAST).contains(&fault.code) || fault.code == Fault::BAD_PARAMS =>
            {
                Err(CallError::Fault(fault))
            }
            Err(CallError::Fault(_)) => {
                for &name in &self.procedures {
                    client.call("register_procedure", &[name.into(), host.as_str().into(), port.into()])?;
                }
                Ok((BinderKind::Original, LEASE))
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the host and the port by which others reach this server.
    fn address(&self) -> (String, i64) {
        let port = i64::from(self.listening.port());
        match &self.advertise {
            Some(Endpoint { host, port: 0, .. }) => (host.clone(), port),
            Some(Endpoint { host, port, .. }) => (host.clone(), (*port).into()),
            None if self.listening.ip().is_unspecified() => (self.reached_at().to_string(), port),
            None => (self.listening.ip().to_string(), port),
        }
    }

    /// Returns the address that this machine has towards the binder; towards everybody else, if the binder is on this machine.
    fn reached_at(&self) -> IpAddr {
        let binder = self.binder.resolve().ok().filter(|binder| !network::is_own(binder.ip().to_canonical()));
        // A server that listens on 0.0.0.0 is reached by IPv4 only.
        let listens = |ip: &IpAddr| self.listening.is_ipv6() || ip.is_ipv4();
        let own = binder.and_then(network::towards).filter(listens).or_else(|| network::outward().filter(listens));
        own.unwrap_or(Ipv4Addr::LOCALHOST.into())
    }

    /// Warns if those who ask the binder cannot reach this server.
    fn warn_if_out_of_reach(&self) {
        let is_loopback = self.advertise.is_none() && self.listening.ip().to_canonical().is_loopback();
        let is_elsewhere = || self.binder.resolve().is_ok_and(|binder| !network::is_own(binder.ip().to_canonical()));
        if is_loopback && is_elsewhere() {
            warn!(
                "the binder {} is on another machine, and this server listens on {} only, which nobody there reaches; \
                 --listen 0.0.0.0:{} changes that",
                self.binder,
                self.listening.ip(),
                self.listening.port()
            );
        }
    }
}

fn is_fault(outcome: &Result<Value, CallError>, code: i32) -> bool {
    matches!(outcome, Err(CallError::Fault(fault)) if fault.code == code)
}
