//! Connections to servers, on which nothing takes longer than it may.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

#[cfg(feature = "tls")]
use super::tls;
use crate::endpoint::Endpoint;

/// The bytes of a TCP connection, as they are or protected by TLS.
pub(super) trait TcpBased: Read + Write + Send {
    fn socket(&self) -> &TcpStream;
}

impl TcpBased for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

/// Connects to `endpoint` until `deadline`.
pub(super) fn connect(endpoint: &Endpoint, deadline: Instant) -> Result<Box<dyn TcpBased>, String> {
    if !endpoint.tls {
        return Ok(Box::new(connect_tcp(endpoint, deadline)?));
    }
    #[cfg(feature = "tls")]
    return tls::connect(connect_tcp(endpoint, deadline)?, &endpoint.host, deadline);
    #[cfg(not(feature = "tls"))]
    Err("this program is built without TLS".into())
}

fn connect_tcp(endpoint: &Endpoint, deadline: Instant) -> Result<TcpStream, String> {
    let addresses = resolve(endpoint.clone(), deadline)?;
    let mut failure = "the name has no address".to_owned();
    for (address, untried) in addresses.iter().zip((1..=addresses.len()).rev()) {
        // Each has its share, so that a dead first one leaves time for the others.
        let share = left(deadline) / u32::try_from(untried).unwrap_or(u32::MAX);
        match TcpStream::connect_timeout(address, share.max(Duration::from_millis(1))) {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                failure = format!("{address} did not answer in time");
            }
            Err(error) => failure = error.to_string(),
        }
    }
    Err(failure)
}

/// Returns the addresses of a host. The system resolves names in its own time, so a thread does that which may be left behind.
fn resolve(endpoint: Endpoint, deadline: Instant) -> Result<Vec<SocketAddr>, String> {
    if let Ok(ip) = endpoint.host.parse::<IpAddr>() {
        return Ok(vec![(ip, endpoint.port).into()]);
    }
    let (answer, found) = crossbeam_channel::bounded(1);
    let look_up = move || {
        let addresses = (endpoint.host.as_str(), endpoint.port).to_socket_addrs();
        // Nobody waits for it any more if it took too long.
        let _ = answer.try_send(addresses.map(Vec::from_iter).map_err(|error| error.to_string()));
    };
    crate::program::spawn("resolve", look_up).map_err(|error| error.to_string())?;
    found.recv_timeout(left(deadline)).unwrap_or_else(|_| Err("the name was not resolved in time".into()))
}

/// A connection on which nothing takes longer than until the deadline.
pub(super) struct Timed {
    pub(super) stream: Box<dyn TcpBased>,
    pub(super) deadline: Instant,
    /// The whole time that ends then, for messages.
    pub(super) time: Duration,
}

impl Timed {
    /// Moves the deadline to `time` from now.
    pub(super) fn allow(&mut self, time: Duration) {
        self.time = time;
        self.deadline = Instant::now() + time;
    }

    /// Sends all of `bytes`.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.socket().set_nodelay(true)?;
        let mut rest = bytes;
        while !rest.is_empty() {
            let written = self.in_time(|stream| stream.write(rest))?;
            rest = &rest[written..];
        }
        // TLS may still have some of it.
        self.in_time(|stream| stream.flush())
    }

    /// Does one `step`, before the deadline. Both times are set, because with TLS reading can write and writing can read.
    fn in_time<T>(&mut self, mut step: impl FnMut(&mut dyn TcpBased) -> io::Result<T>) -> io::Result<T> {
        loop {
            let left = left(self.deadline);
            if left.is_zero() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, format!("not within {:?}", self.time)));
            }
            self.stream.socket().set_write_timeout(Some(left))?;
            self.stream.socket().set_read_timeout(Some(left))?;
            match step(&mut *self.stream) {
                Ok(done) => return Ok(done),
                Err(error) => unless_transient(error)?,
            }
        }
    }
}

/// Fails with `error` unless the step can be made again, if the deadline allows it.
pub(super) fn unless_transient(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(()),
        _ => Err(error),
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.in_time(|stream| stream.read(buffer))
    }
}

pub(super) fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}
