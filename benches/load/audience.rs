//! Receivers of one room, all of them on one epoll thread, and the time that each message takes to each of them.

use std::io::{ErrorKind, Read as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::peers::{Kind, Peers};
use crate::poll::Poll;
use crate::program::Program;

/// The message that is sent, about as long as people write.
pub(crate) const TEXT: &str = "Is the build green again? I would like to go home.";

/// The time after which a message that has not arrived counts as missing.
const DELIVERY: Duration = Duration::from_secs(30);

/// The receivers, and where the messages come from. Messages are numbered from 1 on.
pub(crate) struct Audience<'a> {
    peers: Box<dyn Peers>,
    program: &'a Program,
    poll: Poll,
    receivers: Vec<Receiver>,
    /// Connections of receivers that never read.
    stalled: Vec<TcpStream>,
    /// Messages sent so far.
    sent: u64,
}

struct Receiver {
    stream: TcpStream,
    /// The last message that has arrived.
    after: u64,
    /// The bytes of an answer or event that is not complete.
    partial: Vec<u8>,
}

/// One round of messages.
pub(crate) struct Round {
    /// From the sending of each message to its arrival at each receiver, sorted.
    pub(crate) latencies: Vec<Duration>,
    /// The sender's own calls, sorted; empty for protocols that acknowledge nothing.
    pub(crate) calls: Vec<Duration>,
    /// From the first sending to the last arrival.
    pub(crate) time: Duration,
    /// The program's processor time meanwhile.
    pub(crate) processor: Duration,
}

impl Round {
    /// Returns the program's processor time of a delivery, in microseconds.
    pub(crate) fn cost(&self) -> f64 {
        self.processor.as_secs_f64() * 1e6 / self.latencies.len() as f64
    }

    /// Returns the deliveries a second.
    pub(crate) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.time.as_secs_f64()
    }
}

/// Returns the name of a receiver.
pub(crate) fn name(number: usize) -> String {
    format!("receiver-{number}")
}

impl<'a> Audience<'a> {
    /// Lets `count` receivers and a sender enter the room, with room for `others` that never read.
    pub(crate) fn enter(kind: Kind, program: &'a Program, count: usize, others: usize) -> Outcome<Self> {
        let peers = kind.peers(program.address);
        peers.enter(count + others)?;
        Self::receiving(peers, program, count)
    }

    /// Lets receivers connect who are in the room already.
    pub(crate) fn receiving(peers: Box<dyn Peers>, program: &'a Program, count: usize) -> Outcome<Self> {
        let poll = Poll::new()?;
        let mut receivers = Vec::with_capacity(count);
        for number in 0..count {
            let stream = peers.open(number, 0)?;
            stream.set_nonblocking(true)?;
            poll.add(&stream, number)?;
            receivers.push(Receiver { stream, after: 0, partial: Vec::new() });
        }
        peers.settle(count)?;
        let mut audience = Self { peers, program, poll, receivers, stalled: Vec::new(), sent: 0 };
        // Greetings, and news of those who came later.
        audience.receive(0, &[], Instant::now(), Instant::now() + Duration::from_millis(300))?;
        Ok(audience)
    }

    /// Lets `others` connect that never read, and sends as much as fills what the kernel keeps for each of them.
    pub(crate) fn stall(&mut self, others: usize) -> Outcome<()> {
        const MESSAGES: u64 = 1000;
        let count = self.receivers.len();
        self.stalled = (count..count + others).map(|number| self.peers.open(number, 0)).collect::<Outcome<_>>()?;
        self.peers.settle(count + others)?;
        self.round(MESSAGES, Duration::ZERO).map(drop)
    }

    /// Sends `count` messages, one every `interval`, and receives them. An error if one comes twice or not at all.
    pub(crate) fn round(&mut self, count: u64, interval: Duration) -> Outcome<Round> {
        let first = self.sent;
        self.sent += count;
        let started = Instant::now();
        let times: Vec<AtomicU64> = (0..count).map(|_| AtomicU64::new(0)).collect();
        let mut sender = self.peers.sender()?;
        let send = || -> Outcome<Vec<Duration>, String> {
            let mut calls = Vec::with_capacity(times.len());
            for (number, time) in (0..).zip(&times) {
                thread::sleep((started + interval * number).saturating_duration_since(Instant::now()));
                let before = started.elapsed();
                time.store(before.as_nanos() as u64, Ordering::Release);
                let number = first + u64::from(number) + 1;
                if sender.send(number).map_err(|error| error.to_string())? {
                    calls.push(started.elapsed() - before);
                }
            }
            Ok(calls)
        };
        let before = self.program.processor()?;
        thread::scope(|scope| {
            let sending = scope.spawn(send);
            let deadline = started + interval * u32::try_from(count)? + DELIVERY;
            let (mut latencies, last) = self.receive(first, &times, started, deadline)?;
            let processor = self.program.processor()? - before;
            let mut calls = sending.join().map_err(|_| "the sender panicked")??;
            latencies.sort_unstable();
            calls.sort_unstable();
            let begun = times.first().map_or(0, |time| time.load(Ordering::Acquire));
            Ok(Round { latencies, calls, time: last - Duration::from_nanos(begun), processor })
        })
    }

    /// Receives everything that `times` has a place for, or without any whatever comes until `deadline`. Returns the
    /// latencies, and when the last message arrived.
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
        while missing > 0 || (times.is_empty() && Instant::now() < deadline) {
            let ready: Vec<usize> = self.poll.wait(deadline)?.collect();
            if ready.is_empty() && missing > 0 && Instant::now() >= deadline {
                return Err(format!("{missing} deliveries are missing").into());
            }
            for number in ready {
                let receiver = &mut self.receivers[number];
                let count = match receiver.stream.read(&mut chunk) {
                    Ok(0) => return Err(format!("{} was closed", name(number)).into()),
                    Ok(count) => count,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                    Err(error) => return Err(error.into()),
                };
                // Bytes that arrive whole, as nearly all do, are read where they are.
                let whole = receiver.partial.is_empty();
                if !whole {
                    receiver.partial.extend_from_slice(&chunk[..count]);
                }
                let bytes = if whole { &chunk[..count] } else { &receiver.partial[..] };
                let now = started.elapsed();
                let after = &mut receiver.after;
                let mut arrived = |id: u64| -> Outcome<()> {
                    if id != *after + 1 || id > last {
                        return Err(format!("message {id} arrived after {after}").into());
                    }
                    *after = id;
                    // The subtraction stays above 0: message numbers that are new are larger than `first`.
                    let sent = times[(id - first - 1) as usize].load(Ordering::Acquire);
                    latencies.push(now.saturating_sub(Duration::from_nanos(sent)));
                    latest = now;
                    missing -= 1;
                    Ok(())
                };
                let taken = self.peers.read(bytes, &mut arrived)?;
                if whole {
                    receiver.partial.extend_from_slice(&chunk[taken.bytes..count]);
                } else {
                    receiver.partial.drain(..taken.bytes);
                }
                if taken.is_last {
                    // Whoever has an answer asks again at once, before anybody else's is read.
                    let after = receiver.after;
                    let stream = self.peers.open(number, after)?;
                    stream.set_nonblocking(true)?;
                    self.poll.add(&stream, number)?;
                    self.receivers[number].stream = stream;
                }
            }
        }
        Ok((latencies, latest))
    }
}
