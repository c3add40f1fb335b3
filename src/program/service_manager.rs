//! The messages between a service manager, such as systemd, and a program: when the program is ready, that it still serves,
//! and when it stops (sd_notify(3)), and the socket that the manager listens on in its stead (sd_listen_fds(3)).

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use listenfd::ListenFd;
use log::{debug, warn};

use super::Failure;

/// The program serves now.
pub(super) const READY: &str = "READY=1";
/// The program is about to end.
pub(super) const STOPPING: &str = "STOPPING=1";

/// Sends `state` to the socket that `$NOTIFY_SOCKET` names: a path, or an abstract name after `@`. Without one nothing is
/// sent, and a failure does not keep the program from its work.
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

/// Tells the service manager that the program serves, as often as `$WATCHDOG_USEC` wants it, each time after a reply from
/// `address`. Without that the manager starts the program anew.
pub(super) fn keep_watch(address: std::net::SocketAddr) {
    let micros = std::env::var("WATCHDOG_USEC").ok().and_then(|micros| micros.parse().ok());
    let meant_for_other = std::env::var("WATCHDOG_PID").is_ok_and(|id| id != std::process::id().to_string());
    let Some(micros) = micros.filter(|&micros| micros > 0 && !meant_for_other) else { return };
    // Twice in that time, so that one reply may be late.
    let pause = Duration::from_micros(micros) / 2;
    let watch = move || {
        loop {
            match probe(address, pause) {
                Ok(()) => notify("WATCHDOG=1"),
                Err(error) => warn!("{address} does not answer: {error}"),
            }
            std::thread::sleep(pause);
        }
    };
    if let Err(error) = super::keep_running("watchdog", watch) {
        warn!("the service manager will not be told that the program serves: {error}");
    }
}

/// Makes a request to this program itself.
fn probe(mut address: std::net::SocketAddr, patience: Duration) -> io::Result<()> {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n")?;
    let mut status = [0; b"HTTP/1.1 200".len()];
    stream.read_exact(&mut status)?;
    if status == *b"HTTP/1.1 200" { Ok(()) } else { Err(io::Error::other("another status than 200")) }
}

/// Returns the socket that the service manager has passed to this process, to serve on instead of opening one. Call it once,
/// before there are threads: it takes the variables out of the environment.
///
/// # Errors
/// If what was passed is no TCP socket.
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
