//! `--local`: a binder and a server inside the client, unless something answers at their addresses already.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::api;
use crate::binder::{self, BinderConfig};
use crate::chat;
use crate::endpoint::Endpoint;
use crate::program::Failure;

/// The binder's address.
const BINDER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5000);
/// The server's address.
const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9000);
/// How long the server may take to be known at the binder.
const PATIENCE: Duration = Duration::from_secs(5);

/// What runs inside this process.
#[derive(Default)]
pub struct Local {
    binder: Option<binder::Running>,
    server: Option<chat::Running>,
}

impl Local {
    /// The binder to look up the server at.
    #[must_use]
    pub fn binder() -> Endpoint {
        BINDER.into()
    }

    /// Starts what is missing. The client calls it again whenever the connection is lost: where two were chatting and the one
    /// that had the server in it has gone, the other one carries on.
    ///
    /// # Errors
    /// When nothing answers at an address, and it cannot be listened on either.
    pub fn ensure(&mut self) -> Result<(), Failure> {
        if self.binder.is_none() && !answers(BINDER) {
            self.binder = start(BINDER, || binder::start(BinderConfig::new(BINDER)))?;
        }
        if self.server.is_none() && !answers(SERVER) {
            self.server = start(SERVER, || chat::start(chat::ServerConfig::new(SERVER, Some(Self::binder()))))?;
        }
        // A server that has just started is not registered yet.
        let deadline = Instant::now() + PATIENCE;
        while matches!(api::look_up(&Self::binder()), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

/// Answers who waits and unregisters, so that others learn at once that the server has gone.
impl Drop for Local {
    fn drop(&mut self) {
        const PATIENCE: Duration = Duration::from_millis(1500);
        if let Some(server) = self.server.take() {
            server.stop(PATIENCE);
        }
        if let Some(binder) = self.binder.take() {
            binder.stop(PATIENCE);
        }
    }
}

fn answers(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
}

/// Two clients may start at the same moment: the one that loses the race for the address uses the winner's.
fn start<T>(address: SocketAddr, start: impl FnOnce() -> Result<T, Failure>) -> Result<Option<T>, Failure> {
    match start() {
        Ok(running) => Ok(Some(running)),
        Err(_) if answers(address) => Ok(None),
        Err(error) => Err(error),
    }
}
