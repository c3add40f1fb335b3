//! The ways in which messages are sent and received, one file each.

mod events;
mod irc;
mod mqtt;
mod waits;

use std::net::{SocketAddr, TcpStream};

use crate::Outcome;
use crate::audience::{TEXT, name};
use crate::http::{Connection, request};

/// A program together with the way in which it delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Our server, `GET /events`.
    Events,
    /// Our server, `wait_messages`.
    Waits,
    Mosquitto,
    Ngircd,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Events, Self::Waits, Self::Mosquitto, Self::Ngircd];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Events => "`GET /events`",
            Self::Waits => "`wait_messages`",
            Self::Mosquitto => "mosquitto",
            Self::Ngircd => "ngIRCd",
        }
    }

    pub(crate) fn peers(self, address: SocketAddr) -> Box<dyn Peers> {
        match self {
            Self::Events => Box::new(events::Events { address }),
            Self::Waits => Box::new(waits::Waits { address }),
            Self::Mosquitto => Box::new(mqtt::Mqtt { address }),
            Self::Ngircd => Box::new(irc::Irc { address }),
        }
    }
}

/// The part of the bytes that have arrived which was read.
pub(crate) struct Taken {
    pub(crate) bytes: usize,
    /// If the connection has nothing more to bring.
    pub(crate) is_last: bool,
}

/// Clients of one protocol.
pub(crate) trait Peers: Sync {
    /// Prepares the room for `count` receivers and a sender.
    fn enter(&self, count: usize) -> Outcome<()>;

    /// Opens the connection of receiver `number`, on which the messages past `after` will come.
    fn open(&self, number: usize, after: u64) -> Outcome<TcpStream>;

    /// Returns once `count` receivers are known to the program.
    fn settle(&self, _count: usize) -> Outcome<()> {
        Ok(())
    }

    /// Reads what is complete of `bytes`, and reports the number of each message in it.
    fn read(&self, bytes: &[u8], arrived: &mut dyn FnMut(u64) -> Outcome<()>) -> Outcome<Taken>;

    /// Connects the sender.
    fn sender(&self) -> Outcome<Box<dyn Sender>>;
}

/// Sends one message after the other on one connection.
pub(crate) trait Sender: Send {
    /// Sends message `number`. Returns whether the program has confirmed it.
    fn send(&mut self, number: u64) -> Outcome<bool>;
}

/// Registers users in a room of our server, and a sender.
fn enter_hall(address: SocketAddr, count: usize) -> Outcome<()> {
    let mut connection = Connection::open(address)?;
    connection.make("create_room", &["hall"])?;
    for name in (0..count).map(name).chain(["sender".to_owned()]) {
        connection.make("register_user", &[&name])?;
        connection.make("join_room", &[&name, "hall"])?;
    }
    Ok(())
}

/// Calls `send_message`.
struct Caller {
    connection: Connection,
    request: Vec<u8>,
}

impl Caller {
    fn open(address: SocketAddr) -> Outcome<Box<dyn Sender>> {
        let request = request("send_message", &["sender", "hall", TEXT], true);
        Ok(Box::new(Self { connection: Connection::open(address)?, request }))
    }
}

impl Sender for Caller {
    fn send(&mut self, _number: u64) -> Outcome<bool> {
        self.connection.call(&self.request).map(|_| true)
    }
}

/// Reads the decimal number at the start of `bytes`.
fn number(bytes: &[u8]) -> u64 {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

/// Finds `mark` in texts that are much alike: each is looked for first where the one before suggests.
struct Finder {
    mark: &'static [u8],
    stride: usize,
}

impl Finder {
    fn new(mark: &'static [u8]) -> Self {
        Self { mark, stride: 0 }
    }

    /// Returns the end of the next mark in `bytes`.
    fn next(&mut self, bytes: &[u8]) -> Option<usize> {
        if !bytes.get(self.stride..).is_some_and(|rest| rest.starts_with(self.mark)) {
            self.stride = bytes.windows(self.mark.len()).position(|window| window == self.mark)?;
        }
        Some(self.stride + self.mark.len())
    }
}
