//! Watches over the accept loop, and over connections that are left without a thread.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use log::{debug, error, info};
use socket2::Socket;

use super::procfs::own_status;
use super::transport::{Transport, build};
use crate::program::spawn;

/// How often the accept loop is probed while connections come.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);
/// The same at rest: only to keep `accept` from timing out, so it must stay below the idle time.
const REST_INTERVAL: Duration = Duration::from_secs(20);
/// How long a probe may go unanswered before the accept loop counts as dead.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// The same for one that was just rebuilt: where descriptors are short, the backlog can kill several in a row.
const REBUILT_PROBE_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a nudge may take, and how many follow each other at most.
const NUDGE_TIMEOUT: Duration = Duration::from_millis(500);
const MAX_NUDGES: usize = 512;
/// The pauses between attempts to get connections accepted again.
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_millis(500);

/// Why a probe says nothing good.
enum ProbeError {
    /// There was no connection to make it on.
    NotMade(io::Error),
    NotAnswered(io::Error),
}

/// What can be seen of the traffic at a time. While it stays the same nothing has come, not even a silent connection, and the
/// accept loop, which has a descriptor too, is there: then nothing can have been left behind.
#[derive(PartialEq)]
pub(super) struct Look {
    requests: u64,
    descriptors: usize,
}

impl Look {
    fn now(transport: &Transport) -> Self {
        let requests = transport.counters.requests.load(Ordering::Relaxed);
        let descriptors = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        Self { requests, descriptors }
    }
}

/// Builds a new accept loop where one has ended; a thread runs it. At rest it sleeps until [`Transport::tend`] wakes it, or
/// `accept` would time out.
pub(super) struct Supervisor {
    pub(super) transport: Arc<Transport>,
    pub(super) listener: Socket,
    pub(super) woken: Receiver<()>,
}

impl Supervisor {
    pub(super) fn run(self) {
        // The pause before the next attempt while connections are not accepted.
        let mut retry: Option<Duration> = None;
        // A third of the idle time is left for a probe that is late.
        let rest = REST_INTERVAL.min(self.transport.config.connection_idle * 2 / 3);
        let mut next = Instant::now() + PROBE_INTERVAL;
        // When `accept` has to be kept from timing out.
        let mut due = next;
        loop {
            let woken = self.woken.recv_deadline(next);
            if self.transport.draining.load(Ordering::SeqCst) || woken == Err(RecvTimeoutError::Disconnected) {
                return;
            }
            let mut failure = self.transport.failure.lock().take();
            if failure.is_none() {
                let now = Look::now(&self.transport);
                let quiet = self.transport.has_seen(&now);
                if quiet && Instant::now() < due {
                    next = due;
                    continue;
                }
                let threads = own_status("Threads");
                match self.transport.probe(if retry.is_some() { REBUILT_PROBE_TIMEOUT } else { PROBE_TIMEOUT }) {
                    Ok(()) => {
                        if retry.take().is_some() {
                            info!("connections are accepted again");
                        }
                        self.transport.free_stranded(threads);
                        // Before the probe, whose own descriptors may take their time to close.
                        *self.transport.seen.lock() = Some(now);
                    }
                    // The probe itself found no descriptor or no memory: that says nothing about the accept loop.
                    Err(ProbeError::NotMade(error)) => debug!("cannot probe: {error}"),
                    Err(ProbeError::NotAnswered(error)) => failure = Some(error),
                }
                due = Instant::now() + rest;
                next = if quiet { due } else { Instant::now() + retry.unwrap_or(PROBE_INTERVAL) };
            }
            let Some(error) = failure else { continue };
            *self.transport.seen.lock() = None;
            let pause = match retry {
                None => {
                    error!("the accept loop of {} ended, building a new one: {error}", self.transport.address);
                    FIRST_RETRY
                }
                Some(last) => (last * 2).min(LAST_RETRY),
            };
            retry = Some(pause);
            thread::sleep(pause);
            self.rebuild();
            next = Instant::now() + pause;
        }
    }

    fn rebuild(&self) {
        let new = match build(&self.listener) {
            Ok(new) => Arc::new(new),
            Err(error) => {
                debug!("no new accept loop yet: {error}");
                self.transport.report(error);
                return;
            }
        };
        let old = std::mem::replace(&mut *self.transport.current.lock(), new);
        // What the workers reported of the old one meanwhile is settled.
        *self.transport.failure.lock() = None;
        self.transport.counters.rebuilt.fetch_add(1, Ordering::Relaxed);
        // Only one worker at a time waits in it; the others wait for that one and then see the new one.
        old.tiny.unblock();
        let transport = Arc::clone(&self.transport);
        // Connections that the old one accepted are served until all of them have been idle too long.
        let patience = transport.config.connection_idle + PROBE_INTERVAL;
        let drain = move || {
            loop {
                let asked = Instant::now();
                match transport.take(&old, Some(patience)) {
                    Ok(Some(arrival)) => transport.begin(arrival),
                    // Left over: a wake-up that no worker needed, or the error that ended the loop.
                    Ok(None) | Err(_) if asked.elapsed() < patience => {}
                    Ok(None) | Err(_) => return,
                }
            }
        };
        if let Err(error) = spawn("drain", drain) {
            debug!("connections of the old accept loop are lost: {error}");
        }
    }
}

impl Transport {
    /// Forgets connections that are closed, and wakes the supervisor if something has come since it looked.
    pub(super) fn tend(&self) {
        self.connections.sweep(self.config.connection_idle + PROBE_INTERVAL);
        if !self.has_seen(&Look::now(self)) {
            let _ = self.wake_supervisor.try_send(());
        }
    }

    /// Whether nothing has come since the supervisor looked.
    fn has_seen(&self, now: &Look) -> bool {
        self.seen.lock().as_ref() == Some(now)
    }

    /// Connects to ourselves, leaves, and waits until that is noticed. A thread that tiny_http starts for it looks into
    /// the queue afterwards and takes one connection that was left there.
    pub(super) fn nudge(&self) -> io::Result<()> {
        let mut stream = TcpStream::connect_timeout(&self.own_address(), NUDGE_TIMEOUT)?;
        stream.set_read_timeout(Some(NUDGE_TIMEOUT))?;
        stream.shutdown(Shutdown::Write)?;
        stream.read(&mut [0]).map(drop)
    }

    /// Nudges for as long as each nudge costs a thread: then the thread before it has found a connection to serve. What
    /// was left behind silent connections is found this way, where no request tells of it.
    fn free_stranded(&self, threads_before: u64) {
        let mut before = threads_before;
        for _ in 0..MAX_NUDGES {
            let now = own_status("Threads");
            if now <= before || self.draining.load(Ordering::SeqCst) || self.nudge().is_err() {
                return;
            }
            before = now;
        }
    }

    /// A connection to ourselves, to see whether the accept loop still lives. What comes on it is no request, and so tiny_http
    /// itself refuses it: no worker is disturbed.
    fn probe(&self, patience: Duration) -> Result<(), ProbeError> {
        let mut stream = TcpStream::connect_timeout(&self.own_address(), patience).map_err(ProbeError::NotMade)?;
        let mut ask = || {
            stream.set_read_timeout(Some(patience))?;
            stream.write_all(b"probe\r\n")?;
            stream.read_exact(&mut [0; b"HTTP/1.1 400".len()])
        };
        ask().map_err(ProbeError::NotAnswered)
    }

    /// Where we reach ourselves: a wildcard listener is reached over loopback.
    fn own_address(&self) -> SocketAddr {
        let mut address = self.address;
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        address
    }
}
