//! The announcement of a binder.

use std::io::Read as _;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use log::{info, warn};

use super::link::{Link, Received, is_multicast, networks_with, wait};
use super::packet::{LIFETIME, ServiceInstance};
use crate::network::{Network, host_name};
use crate::program::{Failure, spawn};
use crate::random;

/// The time between two looks at the interfaces: a cable may be plugged in, an address may change.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// A new announcement is made this often, with this pause (RFC 6762, section 8.3).
const ANNOUNCEMENTS: u32 = 2;
const ANNOUNCEMENT_PAUSE: Duration = Duration::from_secs(1);
/// The least time between two replies to everybody in a network (RFC 6762, section 6).
const REPLY_PAUSE: Duration = Duration::from_secs(1);
/// The longest host name within the name of a binder, in bytes.
const MAX_HOST: usize = 48;

/// Announces a binder until it is stopped or dropped.
#[derive(Debug)]
pub struct Announcer {
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Announcer {
    /// Announces the binder that listens on `listening`. Returns `None` if only this machine can reach it.
    ///
    /// # Errors
    /// If the system has no random numbers, or no thread.
    pub fn start(listening: SocketAddr) -> Result<Option<Self>, Failure> {
        let listening = SocketAddr::new(listening.ip().to_canonical(), listening.port());
        if listening.ip().is_loopback() {
            return Ok(None);
        }
        let failed = |error| Failure::while_doing("cannot announce the binder", error);
        let digits = random::hex::<2>()?;
        let own = host_name();
        let label = format!("{} ({digits})", &own[..own.floor_char_boundary(MAX_HOST)]);
        let service =
            ServiceInstance { label, host: format!("chat-rpc-{}", random::hex::<4>()?), port: listening.port() };
        let (stop, stopped) = UnixStream::pair().map_err(failed)?;
        stopped.set_nonblocking(true).map_err(failed)?;
        let announcement = Announcement { service, ip: listening.ip(), joined: Vec::new(), refused: Vec::new() };
        let thread = spawn("announce", move || announcement.run(&stopped)).map_err(failed)?;
        Ok(Some(Self { stop: Some(stop), thread: Some(thread) }))
    }

    /// Tells the network that the binder has gone.
    pub fn stop(self) {}
}

impl Drop for Announcer {
    fn drop(&mut self) {
        drop(self.stop.take());
        // It says goodbye and ends.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A joined network, and the state of the announcement there.
struct JoinedNetwork {
    link: Link,
    announcements: u32,
    next: Instant,
    replied: Option<Instant>,
}

/// An announcement in progress.
struct Announcement {
    service: ServiceInstance,
    /// The address that the binder listens on.
    ip: IpAddr,
    joined: Vec<JoinedNetwork>,
    /// The networks that could not be joined.
    refused: Vec<Network>,
}

impl Announcement {
    /// Announces until the other end of `stopped` is closed.
    fn run(mut self, stopped: &UnixStream) {
        let mut look = Instant::now();
        while !has_ended(stopped) {
            let now = Instant::now();
            if now >= look {
                look = now + LOOK_INTERVAL;
                self.follow_networks();
            }
            let mut deadline = look;
            for network in self.joined.iter_mut().filter(|network| network.announcements < ANNOUNCEMENTS) {
                if now >= network.next {
                    network.tell(&self.service, LIFETIME);
                    network.announcements += 1;
                    network.next = now + ANNOUNCEMENT_PAUSE;
                }
                deadline = deadline.min(network.next);
            }
            let sources = self.joined.iter().map(|network| network.link.as_fd());
            wait(sources.chain([stopped.as_fd()]), deadline);
            self.joined.iter_mut().for_each(|network| network.reply(&self.service));
        }
        self.joined.iter().for_each(|network| network.tell(&self.service, 0));
    }

    /// Joins networks that are new, and forgets those that have gone.
    fn follow_networks(&mut self) {
        let mut networks = networks_with(|own| match self.ip {
            IpAddr::V4(ip) if ip.is_unspecified() => own.is_ipv4(),
            // It takes both families.
            IpAddr::V6(ip) if ip.is_unspecified() => true,
            ip => ip == own,
        });
        self.joined.retain(|known| networks.contains(&known.link.network));
        networks.retain(|network| self.joined.iter().all(|known| known.link.network != *network));
        for network in networks {
            let ip = network.ip;
            match Link::open(network.clone()) {
                Ok(link) => {
                    info!("announced as {:?} in the network where this machine is {ip}", self.service.label);
                    self.joined.push(JoinedNetwork { link, announcements: 0, next: Instant::now(), replied: None });
                }
                // Once, though it is tried again and again.
                Err(error) if !self.refused.contains(&network) => {
                    warn!("cannot announce this binder in the network where this machine is {ip}: {error}");
                    self.refused.push(network);
                }
                Err(_) => {}
            }
        }
    }
}

/// Returns whether the other end is closed, to which nothing is ever written.
fn has_ended(stopped: &UnixStream) -> bool {
    matches!((&*stopped).read(&mut [0]), Ok(0))
}

impl JoinedNetwork {
    /// Announces the service for `lifetime` seconds.
    fn tell(&self, service: &ServiceInstance, lifetime: u32) {
        service.announcement(self.link.network.ip, lifetime).iter().for_each(|packet| self.link.send(packet));
    }

    /// Replies to the queries that have come.
    fn reply(&mut self, service: &ServiceInstance) {
        let Self { link, replied, .. } = self;
        link.receive(|Received { bytes, from }| {
            let now = Instant::now();
            // Others that ask within that time have heard the last reply too, or ask again.
            if replied.is_some_and(|last| now - last < REPLY_PAUSE) {
                return;
            }
            let is_multicast = is_multicast(from);
            if let Some(packet) = service.reply(bytes, link.network.ip, is_multicast) {
                *replied = Some(now);
                if is_multicast { link.send(&packet) } else { link.send_to(&packet, from) }
            }
        });
    }
}
