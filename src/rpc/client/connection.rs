//! Connections on which nothing takes longer than it may.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use super::tls;
use crate::endpoint::Endpoint;

/// Connects to `endpoint` until `deadline`.
pub(super) fn connect(endpoint: &Endpoint, deadline: Instant) -> Result<Connection, String> {
    let stream = connect_tcp(endpoint, deadline)?;
    if endpoint.tls {
        return tls::connect(stream, &endpoint.host, deadline);
    }
    Ok(Connection::Plain(stream))
}

/// A connection to a server.
pub(super) enum Connection {
    /// As it is.
    Plain(TcpStream),
    /// Protected by TLS.
    #[cfg(feature = "tls")]
    Tls(Box<tls::Stream>),
}

impl Connection {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.get_ref(),
        }
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.flush(),
        }
    }
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

/// The system looks names up in its own time, so that is done on a thread which may be left behind.
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
    stream: Connection,
    deadline: Instant,
    time: Duration,
}

impl Timed {
    /// A connection for what takes `time` and ends at `deadline`.
    pub(super) fn new(stream: Connection, deadline: Instant, time: Duration) -> Self {
        Self { stream, deadline, time }
    }

    /// Moves the deadline: what follows may take `time`.
    pub(super) fn allow(&mut self, time: Duration) {
        self.time = time;
        self.deadline = Instant::now() + time;
    }

    /// Sends all of `bytes`.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.socket().set_nodelay(true)?;
        let mut rest = bytes;
        while !rest.is_empty() {
            self.set_timeouts()?;
            match self.stream.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) => unless_transient(error)?,
            }
        }
        // TLS may still have some of it.
        loop {
            self.set_timeouts()?;
            match self.stream.flush() {
                Ok(()) => return Ok(()),
                Err(error) => unless_transient(error)?,
            }
        }
    }

    /// With TLS both reading and writing can do both.
    fn set_timeouts(&self) -> io::Result<()> {
        let left = Some(self.left()?);
        self.stream.socket().set_write_timeout(left)?;
        self.stream.socket().set_read_timeout(left)
    }

    fn left(&self) -> io::Result<Duration> {
        let left = left(self.deadline);
        if left.is_zero() { Err(self.expired()) } else { Ok(left) }
    }

    fn expired(&self) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, format!("not within {:?}", self.time))
    }
}

/// Returns whether to go on: [`Timed::left`] notices an expired timeout.
pub(super) fn unless_transient(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(()),
        _ => Err(error),
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.set_timeouts()?;
            match self.stream.read(buffer) {
                Ok(count) => return Ok(count),
                Err(error) => unless_transient(error)?,
            }
        }
    }
}

pub(super) fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}
