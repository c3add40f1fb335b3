//! The search for binders.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::Found;
use super::link::{Link, Received, is_multicast, networks_with, wait};
use super::packet::Heard;

/// The pause before the query is repeated, for replies that were lost, or held back because somebody else asked just before.
const AGAIN: Duration = Duration::from_secs(1);
/// The time for others to reply after the first, and to the repeated query.
const OTHERS: Duration = Duration::from_millis(400);

/// A search for binders. It hears announcements from when it was opened.
#[derive(Debug)]
pub struct Browser {
    links: Vec<Link>,
    heard: Heard,
}

impl Browser {
    /// Begins to listen in the networks of this machine.
    #[must_use]
    pub fn open() -> Self {
        let links = networks_with(|_| true).into_iter().filter_map(|network| Link::open(network).ok()).collect();
        Self { links, heard: Heard::default() }
    }

    /// Asks for binders. Returns those found so far: after `patience`; if `is_hurried`, soon after a new one replied.
    pub fn look(&mut self, patience: Duration, is_hurried: bool) -> Vec<Found> {
        if self.links.is_empty() {
            return Vec::new();
        }
        let start = Instant::now();
        let mut deadline = start + patience;
        let mut queries = [start, start + AGAIN].into_iter().peekable();
        let mut count = self.heard.found().len();
        while Instant::now() < deadline {
            if queries.next_if(|at| Instant::now() >= *at).is_some() {
                self.ask();
            }
            wait(self.links.iter().map(AsFd::as_fd), queries.peek().map_or(deadline, |next| deadline.min(*next)));
            let Self { links, heard } = self;
            let mut is_new = false;
            for link in links {
                // Replies come from the port of multicast DNS, which other users' programs cannot take where it is in use.
                link.receive(|Received { bytes, from }| {
                    is_new |= is_multicast(from) && heard.hear(bytes, from.is_ipv4())
                });
            }
            let found = self.heard.found().len();
            if found > count {
                count = found;
                let soon = Instant::now().max(start + AGAIN) + OTHERS;
                deadline = if is_hurried { deadline.min(soon) } else { deadline };
            } else if is_new {
                self.ask();
            }
        }
        self.heard.found()
    }

    fn ask(&self) {
        if let Some(query) = self.heard.query() {
            self.links.iter().for_each(|link| link.send(&query));
        }
    }
}
