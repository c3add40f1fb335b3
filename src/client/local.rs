//! `--local` and `--share`: a binder and a server inside the client, unless there are some already. With `--share` others in the
//! network join them, or this client joins theirs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use super::api;
use super::finding::{Occupant, elsewhere, has_chat, here, with_chat};
use super::locale::Locale;
use super::private::{make_directory, state_directory};
use crate::binder::{self, BinderConfig};
use crate::chat::{self, KeeperConfig, ServerConfig, StoreConfig};
use crate::discovery::Browser;
use crate::endpoint::Endpoint;
use crate::network;
use crate::page;
use crate::program::Failure;
use crate::random;

/// The port of the binder.
pub(super) const BINDER_PORT: u16 = 5000;
/// The port of the server.
pub(super) const SERVER_PORT: u16 = 9000;
/// The time for the server to be known at the binder.
const REGISTRATION: Duration = Duration::from_secs(5);
/// The time for an announcement to get from one machine to the others.
const SIMULTANEOUS: Duration = Duration::from_millis(500);
/// The number of looks around in vain after which a guest whose host is gone becomes the host. An interruption of the network
/// must not end in two chats.
const LOOKS: u32 = 3;

/// Returns the place where the chat is kept, so that it goes on tomorrow where it ended today, and so that another client of
/// this user can carry on for one that left. `None` for a user who has no directory to write to.
fn store() -> Option<StoreConfig> {
    let directory = state_directory()?.join("local");
    make_directory(&directory).ok()?;
    Some(StoreConfig::new(directory))
}

/// The programs inside this process.
pub(crate) struct Local {
    share: bool,
    locale: &'static Locale,
    binder: Option<binder::RunningBinder>,
    server: Option<chat::RunningServer>,
    /// If set, the network was told of the binder.
    is_announced: bool,
    /// The binder of the machine that has the chat, or had it last.
    host: Option<Endpoint>,
    /// The looks around in vain since then.
    looks: u32,
}

impl Local {
    /// Starts nothing yet. With `share`, the programs will serve the whole network.
    pub(crate) fn new(share: bool, locale: &'static Locale) -> Self {
        Self { share, locale, binder: None, server: None, is_announced: false, host: None, looks: 0 }
    }

    /// Returns whether the chat is in this process.
    pub(crate) fn is_host(&self) -> bool {
        self.server.is_some()
    }

    /// Returns the address of the chat for browsers in the network.
    pub(crate) fn page(&self) -> String {
        let ip = network::outward().unwrap_or(Ipv4Addr::LOCALHOST.into());
        format!("http://{}", SocketAddr::new(ip, SERVER_PORT))
    }

    /// Starts what is missing, and returns the binder. The client calls it again whenever the connection is lost: where two
    /// were chatting and the one that had the server in it has gone, the other one carries on.
    ///
    /// # Errors
    /// If another program has one of the ports, or the network does not show who has the chat now.
    pub(crate) fn ensure(&mut self) -> Result<Endpoint, Failure> {
        if self.binder.is_none() && self.is_free(BINDER_PORT)? {
            if let Some(host) = self.host_elsewhere()? {
                return Ok(host);
            }
            // This comes first, so that no binder is started for nothing.
            self.is_free(SERVER_PORT)?;
            let mut config = BinderConfig::new(self.listen(BINDER_PORT));
            config.http.page = page::BINDER;
            // The binder is announced once it has a chat.
            config.announce = false;
            self.binder = start(BINDER_PORT, || binder::start(config))?;
        }
        if self.server.is_none() && self.is_free(SERVER_PORT)? {
            let mut config = ServerConfig::new(self.listen(SERVER_PORT), Some(here(BINDER_PORT)));
            config.keeper = store().map_or(KeeperConfig::Nothing, KeeperConfig::File);
            config.http.page = page::CHAT;
            self.server = start(SERVER_PORT, || chat::start(config))?;
        }
        // A server that has just started is not registered yet.
        let deadline = Instant::now() + REGISTRATION;
        while matches!(api::look_up(&here(BINDER_PORT)), Ok(None)) {
            if Instant::now() > deadline {
                return Err(Failure::Failed((self.locale.not_registered)(SERVER_PORT)));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        if self.share && !self.is_announced {
            if let Some(host) = self.announce() {
                return Ok(host);
            }
            self.is_announced = self.binder.is_some();
        }
        Ok(here(BINDER_PORT))
    }

    /// Announces the binder of this process. If others began to share at the same moment, only one goes on: the rest stop, and
    /// join the binder that this returns.
    fn announce(&mut self) -> Option<Endpoint> {
        let binder = self.binder.as_mut()?;
        // With random times, one is first and the others find it …
        let part = random::bytes::<1>().map_or(0, |[byte]| byte);
        let mut browser = Browser::open();
        let mut others = with_chat(&browser.look(Duration::from_millis(4 * u64::from(part)), false));
        if others.is_empty() {
            binder.announce();
            // … but for those that are as quick; among them, the one with the lowest address goes on.
            let own = network::outward();
            others = with_chat(&browser.look(SIMULTANEOUS, false));
            others.retain(|other| other.endpoint.ip().is_some_and(|ip| Some(ip) < own));
        }
        let host = others.into_iter().next()?.endpoint;
        self.stop();
        self.host = Some(host.clone());
        Some(host)
    }

    fn stop(&mut self) {
        const TIMEOUT: Duration = Duration::from_millis(1500);
        if let Some(server) = self.server.take() {
            server.stop(TIMEOUT);
        }
        if let Some(binder) = self.binder.take() {
            binder.stop(TIMEOUT);
        }
    }

    /// Returns whether nobody listens on `port`, rather than the program that belongs there.
    fn is_free(&self, port: u16) -> Result<bool, Failure> {
        match Occupant::of(port) {
            Occupant::Expected => Ok(false),
            Occupant::Other => Err(Failure::Failed((self.locale.port_taken)(port))),
            Occupant::Nobody => Ok(true),
        }
    }

    /// Returns the binder of another machine that shares a chat, or `None` if this process is to do it.
    fn host_elsewhere(&mut self) -> Result<Option<Endpoint>, Failure> {
        if !self.share {
            return Ok(None);
        }
        let last = self.host.clone().filter(has_chat);
        if let Some(host) = last.or_else(|| Some(with_chat(&elsewhere()).into_iter().next()?.endpoint)) {
            (self.host, self.looks) = (Some(host.clone()), 0);
            return Ok(Some(host));
        }
        self.looks += 1;
        if self.host.is_some() && (self.looks < LOOKS || network::networks().is_empty()) {
            return Err(Failure::Failed(self.locale.host_gone.into()));
        }
        Ok(None)
    }

    fn listen(&self, port: u16) -> SocketAddr {
        let ip = match network::outward() {
            _ if !self.share => Ipv4Addr::LOCALHOST.into(),
            // This address is for both families. Not every system has IPv6.
            Some(IpAddr::V6(_)) => Ipv6Addr::UNSPECIFIED.into(),
            _ => Ipv4Addr::UNSPECIFIED.into(),
        };
        SocketAddr::new(ip, port)
    }
}

/// Ends all waits and unregisters, so that others learn at once that the server has gone.
impl Drop for Local {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Two clients may start at the same moment: the one that loses the race for the address uses the winner's.
fn start<T>(port: u16, start: impl FnOnce() -> Result<T, Failure>) -> Result<Option<T>, Failure> {
    match start() {
        Ok(running) => Ok(Some(running)),
        Err(_) if Occupant::of(port) == Occupant::Expected => Ok(None),
        Err(error) => Err(error),
    }
}
