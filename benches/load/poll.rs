//! Sockets that are waited for together.

use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use crate::Outcome;

/// Sockets that are waited for together; each has a number.
pub(crate) struct Poll {
    epoll: OwnedFd,
    events: Vec<Event>,
}

impl Poll {
    pub(crate) fn new() -> Outcome<Self> {
        Ok(Self { epoll: epoll::create(CreateFlags::CLOEXEC)?, events: Vec::with_capacity(256) })
    }

    /// Adds a socket; it leaves when it is closed.
    pub(crate) fn add(&self, stream: &TcpStream, number: usize) -> Outcome<()> {
        Ok(epoll::add(&self.epoll, stream, EventData::new_u64(number as u64), EventFlags::IN)?)
    }

    /// Returns the numbers of the sockets that can be read, waited for until `deadline`; none when it has passed.
    pub(crate) fn wait(&mut self, deadline: Instant) -> Outcome<impl Iterator<Item = usize>> {
        self.events.clear();
        let time = deadline.saturating_duration_since(Instant::now());
        let time = Timespec { tv_sec: time.as_secs().cast_signed(), tv_nsec: time.subsec_nanos().into() };
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&time)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(self.events.iter().map(|event| event.data.u64() as usize))
    }
}
