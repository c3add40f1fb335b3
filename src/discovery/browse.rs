//! The look around for binders.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::Found;
use super::link::{Link, Network, is_multicast, wait};
use super::packet::Heard;

/// The pause before the query is repeated, for replies that were lost or held back.
const AGAIN: Duration = Duration::from_secs(1);
/// How long others may take to reply after the first.
const OTHERS: Duration = Duration::from_millis(400);

/// Asks the networks of this machine for binders. Returns those found, soon after the first one replied, and after `patience`
/// at the latest.
#[must_use]
pub fn browse(patience: Duration) -> Vec<Found> {
    let links: Vec<_> = Network::all(|_| true).into_iter().filter_map(|network| Link::open(network).ok()).collect();
    if links.is_empty() {
        return Vec::new();
    }
    let start = Instant::now();
    let mut deadline = start + patience;
    let mut heard = Heard::default();
    let mut queries = [start, start + AGAIN].into_iter().peekable();
    let mut count = 0;
    while Instant::now() < deadline {
        if queries.next_if(|at| Instant::now() >= *at).is_some() {
            ask(&links, &heard);
        }
        wait(links.iter().map(AsFd::as_fd), queries.peek().map_or(deadline, |next| deadline.min(*next)));
        let mut is_new = false;
        for link in &links {
            // Replies come from the port of multicast DNS, which other users' programs cannot take where it is in use.
            link.receive(|received| {
                is_new |= is_multicast(received.from) && heard.hear(received.bytes, received.from.is_ipv4())
            });
        }
        let found = heard.found().len();
        if found > count {
            deadline = deadline.min(Instant::now() + OTHERS);
            count = found;
        } else if is_new {
            ask(&links, &heard);
        }
    }
    heard.found()
}

fn ask(links: &[Link], heard: &Heard) {
    if let Some(query) = heard.query() {
        links.iter().for_each(|link| link.send(&query));
    }
}
