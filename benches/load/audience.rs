//! Receivers of one room, all of them on one thread, and the time that each message takes to each of them.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::http::{Connection, Poll, body_of};
use crate::mqtt;
use crate::program::{PATIENCE, Program};

/// The message that is sent, about as long as people write.
pub(crate) const TEXT: &str = "Is the build green again? I would like to go home.";

/// How the receivers are connected.
enum Protocol {
    /// Our server: each waits in `wait_messages`, with a new connection each time.
    Wait { heads: Vec<String> },
    /// mosquitto: each keeps its connection.
    Mqtt,
}

/// Who receives, and where the messages come from. Messages are numbered from 1 on.
pub(crate) struct Audience {
    protocol: Protocol,
    address: SocketAddr,
    poll: Poll,
    receivers: Vec<Receiver>,
    /// Messages sent so far.
    sent: u64,
}

struct Receiver {
    stream: TcpStream,
    /// The last message that has arrived.
    after: u64,
    /// What has arrived of an answer that is not complete.
    partial: Vec<u8>,
}

/// One round of messages.
pub(crate) struct Round {
    /// From the sending of each message to its arrival at each receiver, sorted.
    pub(crate) latencies: Vec<Duration>,
    /// The sender's own calls, sorted.
    pub(crate) calls: Vec<Duration>,
    /// From the first sending to the last arrival.
    pub(crate) time: Duration,
}

/// A receiver's place in the room.
fn name(number: usize) -> String {
    format!("receiver-{number}")
}

impl Audience {
    /// Registers `count` users and a sender, and lets the users wait.
    pub(crate) fn of_server(server: &Program, count: usize) -> Outcome<Self> {
        let names: Vec<_> = (0..count).map(name).collect();
        enter(server, &names)?;
        Self::waiting(server, &names)
    }

    /// Lets users wait who are in the room already.
    pub(crate) fn waiting(server: &Program, names: &[String]) -> Outcome<Self> {
        let head = |name: &String| {
            format!(
                "<?xml version=\"1.0\"?><methodCall><methodName>wait_messages</methodName><params>\
                 <param><value>{name}</value></param><param><value>hall</value></param><param><value><int>"
            )
        };
        let protocol = Protocol::Wait { heads: names.iter().map(head).collect() };
        let audience = Self::connect(protocol, server.address, names.len())?;
        let mut probe = Connection::open(server.address)?;
        let started = Instant::now();
        while probe.metric("chat_waiting")? < names.len() as u64 {
            if started.elapsed() > PATIENCE {
                return Err("not all receivers could wait".into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(audience)
    }

    /// Subscribes `count` clients.
    pub(crate) fn of_mosquitto(mosquitto: &Program, count: usize) -> Outcome<Self> {
        Self::connect(Protocol::Mqtt, mosquitto.address, count)
    }

    fn connect(protocol: Protocol, address: SocketAddr, count: usize) -> Outcome<Self> {
        let mut audience = Self { protocol, address, poll: Poll::new()?, receivers: Vec::new(), sent: 0 };
        let mut scratch = Vec::new();
        for number in 0..count {
            let stream = audience.open(number, 0, &mut scratch)?;
            audience.receivers.push(Receiver { stream, after: 0, partial: Vec::new() });
        }
        Ok(audience)
    }

    /// A connection on which messages past `after` will come.
    fn open(&self, number: usize, after: u64, scratch: &mut Vec<u8>) -> Outcome<TcpStream> {
        let stream = match &self.protocol {
            Protocol::Mqtt => mqtt::subscribe(self.address, &name(number))?,
            Protocol::Wait { heads } => {
                const TAIL: &str =
                    "</int></value></param><param><value><int>60</int></value></param></params></methodCall>";
                let mut stream = TcpStream::connect(self.address)?;
                let length = heads[number].len() + after.checked_ilog10().unwrap_or(0) as usize + 1 + TAIL.len();
                scratch.clear();
                write!(
                    scratch,
                    "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\nConnection: close\r\n\
                     Content-Length: {length}\r\n\r\n{}{after}{TAIL}",
                    heads[number]
                )?;
                stream.write_all(scratch)?;
                stream
            }
        };
        stream.set_nonblocking(true)?;
        self.poll.add(&stream, number)?;
        Ok(stream)
    }

    /// Sends `count` messages, one every `interval`, and receives them. An error if one comes twice or not at all.
    pub(crate) fn round(&mut self, count: u64, interval: Duration) -> Outcome<Round> {
        let first = self.sent;
        self.sent += count;
        let started = Instant::now();
        let times: Vec<AtomicU64> = (0..count).map(|_| AtomicU64::new(0)).collect();
        let mut sender = Sender::open(&self.protocol, self.address)?;
        let send = || -> Outcome<Vec<Duration>, String> {
            let mut calls = Vec::with_capacity(times.len());
            for (number, time) in (0..).zip(&times) {
                thread::sleep((started + interval * number).saturating_duration_since(Instant::now()));
                let before = started.elapsed();
                time.store(before.as_nanos() as u64, Ordering::Release);
                sender.send(first + u64::from(number) + 1).map_err(|error| error.to_string())?;
                calls.push(started.elapsed() - before);
            }
            Ok(calls)
        };
        thread::scope(|scope| {
            let sending = scope.spawn(send);
            let deadline = started + interval * u32::try_from(count)? + PATIENCE;
            let (mut latencies, last) = self.receive(first, &times, started, deadline)?;
            let mut calls = sending.join().map_err(|_| "the sender panicked")??;
            latencies.sort_unstable();
            calls.sort_unstable();
            let begun = times.first().map_or(0, |time| time.load(Ordering::Acquire));
            Ok(Round { latencies, calls, time: last - Duration::from_nanos(begun) })
        })
    }

    /// Receives everything that `times` has a place for. Answers the latencies, and when the last one arrived.
    fn receive(
        &mut self,
        first: u64,
        times: &[AtomicU64],
        started: Instant,
        deadline: Instant,
    ) -> Outcome<(Vec<Duration>, Duration)> {
        let last = first + times.len() as u64;
        let mut missing = self.receivers.len() * times.len();
        let mut latencies = Vec::with_capacity(missing);
        let mut latest = Duration::ZERO;
        let mut chunk = vec![0; 256 << 10];
        let mut scratch = Vec::new();
        // What has arrived is noted before anybody waits again, as receivers on machines of their own would.
        let mut answered = VecDeque::<usize>::new();
        while missing > 0 || !answered.is_empty() {
            let until = if answered.is_empty() { deadline } else { started };
            let ready: Vec<usize> = self.poll.wait(until)?.collect();
            if ready.is_empty() {
                if let Some(number) = answered.pop_front() {
                    let after = self.receivers[number].after;
                    self.receivers[number].stream = self.open(number, after, &mut scratch)?;
                } else if Instant::now() >= deadline {
                    return Err(format!("{missing} deliveries are missing").into());
                }
            }
            for number in ready {
                let receiver = &mut self.receivers[number];
                let count = match receiver.stream.read(&mut chunk) {
                    Ok(count) => count,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                    Err(error) => return Err(error.into()),
                };
                if count == 0 {
                    return Err(format!("{} was closed in the middle of an answer", name(number)).into());
                }
                // What arrives whole, as nearly everything does, is read where it is.
                let whole = receiver.partial.is_empty();
                if !whole {
                    receiver.partial.extend_from_slice(&chunk[..count]);
                }
                let bytes = if whole { &chunk[..count] } else { &receiver.partial[..] };
                let now = started.elapsed();
                let mut arrived = |id: u64| -> Outcome<()> {
                    if id != receiver.after + 1 || id > last {
                        return Err(format!("message {id} arrived after {}", receiver.after).into());
                    }
                    receiver.after = id;
                    // The subtraction stays above 0: message numbers that are new are larger than `first`.
                    let sent = times[(id - first - 1) as usize].load(Ordering::Acquire);
                    latencies.push(now.saturating_sub(Duration::from_nanos(sent)));
                    latest = now;
                    missing -= 1;
                    Ok(())
                };
                let (used, done) = match self.protocol {
                    Protocol::Mqtt => (mqtt::publications(bytes, &mut arrived)?, false),
                    Protocol::Wait { .. } => match body_of(bytes)? {
                        Some((start, end)) if bytes.len() >= end => {
                            ids(&bytes[start..end], &mut arrived)?;
                            (bytes.len(), true)
                        }
                        _ => (0, false),
                    },
                };
                if whole {
                    receiver.partial.extend_from_slice(&chunk[used..count]);
                } else {
                    receiver.partial.drain(..used);
                }
                if done {
                    answered.push_back(number);
                    self.poll.remove(&receiver.stream)?;
                }
            }
        }
        Ok((latencies, latest))
    }
}

/// Registers users in the room, and a sender.
pub(crate) fn enter(server: &Program, names: &[String]) -> Outcome<()> {
    let mut connection = Connection::open(server.address)?;
    connection.make("create_room", &["hall"])?;
    for name in names.iter().map(String::as_str).chain(["sender"]) {
        connection.make("register_user", &[name])?;
        connection.make("join_room", &[name, "hall"])?;
    }
    Ok(())
}

/// The ids of the messages in an answer. They are much alike, so each is looked for first where the one before suggests.
fn ids(body: &[u8], arrived: &mut impl FnMut(u64) -> Outcome<()>) -> Outcome<()> {
    const MARK: &[u8] = b"<name>id</name><value><int>";
    let mut at = 0;
    let mut stride = 0;
    loop {
        let rest = &body[at..];
        let offset = if rest.get(stride..).is_some_and(|rest| rest.starts_with(MARK)) {
            stride
        } else {
            let Some(offset) = rest.windows(MARK.len()).position(|window| window == MARK) else { return Ok(()) };
            offset
        };
        let digits = rest[offset + MARK.len()..].iter().take_while(|byte| byte.is_ascii_digit());
        arrived(digits.fold(0, |id, digit| id * 10 + u64::from(digit - b'0')))?;
        at += offset + MARK.len();
        stride = offset;
    }
}

/// Who sends: one call after the other on one connection.
enum Sender {
    Call(Connection, Vec<u8>),
    Publish(TcpStream),
}

impl Sender {
    fn open(protocol: &Protocol, address: SocketAddr) -> Outcome<Self> {
        Ok(match protocol {
            Protocol::Wait { .. } => {
                let request = crate::http::request("send_message", &["sender", "hall", TEXT], true);
                Self::Call(Connection::open(address)?, request)
            }
            Protocol::Mqtt => Self::Publish(mqtt::connect(address, "sender")?),
        })
    }

    fn send(&mut self, number: u64) -> Outcome<()> {
        match self {
            Self::Call(connection, request) => connection.call(request).map(drop),
            Self::Publish(stream) => mqtt::publish(stream, number, TEXT),
        }
    }
}
