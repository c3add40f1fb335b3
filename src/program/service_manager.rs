//! What a service manager, such as systemd, and a program say to each other: when the program is ready and when it stops
//! (sd_notify(3)), and the socket that the manager listens on in its stead (sd_listen_fds(3)).

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use listenfd::ListenFd;
use log::{debug, warn};

use super::Failure;

/// The program answers now.
pub(super) const READY: &str = "READY=1";
/// The program is about to end.
pub(super) const STOPPING: &str = "STOPPING=1";

/// Sends `state` to the socket that `$NOTIFY_SOCKET` names: a path, or an abstract name after `@`. Without one nobody
/// wants to know, and who cannot be told does not keep the program from its work.
pub(super) fn notify(state: &str) {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(&name),
    };
    let send = |address| UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address);
    if let Err(error) = address.and_then(send) {
        debug!("the service manager does not learn of {state}: {error}");
    }
}

/// The socket that the service manager has passed to this process, to serve on instead of opening one. To be called once,
/// before there are threads: it takes the variables out of the environment.
///
/// # Errors
/// When what was passed is no TCP socket.
pub(crate) fn activated() -> Result<Option<TcpListener>, Failure> {
    // The variables may be meant for the process that started this one. listenfd would also do without the id.
    let meant_for = std::env::var("LISTEN_PID").ok().and_then(|id| id.parse().ok());
    if meant_for != Some(std::process::id()) {
        return Ok(None);
    }
    let mut passed = ListenFd::from_env();
    if passed.len() > 1 {
        warn!("{} sockets were passed, and only the first is served", passed.len());
    }
    passed.take_tcp_listener(0).map_err(|error| Failure::while_doing("cannot serve the socket that was passed", error))
}
