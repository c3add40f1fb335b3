//! Finding a binder in the local network without its address: DNS-SD (RFC 6763) over multicast DNS (RFC 6762).
//!
//! A binder announces the service `_chat-rpc._tcp` ([`Announcer`]), which every browser of such services shows; a client asks for
//! it ([`Browser`]). This is the part of the protocol that the two need:
//!
//! * IPv4 and IPv6 are networks of their own: in each the addresses of its family are announced and heard, never the other's. A
//!   binder found in both is shown with its IPv4 address.
//! * IPv6 link-local addresses are not announced: servers register addresses that are passed on from machine to machine, and a
//!   link-local one means nothing without the interface. Where there are only those, there is nothing to announce.
//! * Announcements, replies and goodbyes, with known answers left out, at most one reply a second to each network.
//! * Names are unique because they carry random digits, so they are not probed for first.
//! * `packet` alone names simple-dns. Packets over `MAX_PACKET` bytes or from another network are dropped. Nothing in the others
//!   is trusted: they yield names to show and addresses to connect to.

#[cfg(feature = "discovery")]
mod announce;
#[cfg(feature = "discovery")]
mod browse;
#[cfg(feature = "discovery")]
mod link;
#[cfg(feature = "discovery")]
mod packet;

use crate::endpoint::Endpoint;

#[cfg(feature = "discovery")]
pub use announce::Announcer;
#[cfg(feature = "discovery")]
pub use browse::Browser;

/// The largest packet that is read, in bytes.
#[cfg(feature = "discovery")]
const MAX_PACKET: usize = 4096;

/// A binder that announces itself. Anybody in the network can do that under any name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its name, harmless to show.
    pub name: String,
    /// Its address.
    pub endpoint: Endpoint,
}

#[cfg(not(feature = "discovery"))]
mod absent {
    //! Without the Cargo feature `discovery` nothing is announced and nothing found.

    use std::net::SocketAddr;
    use std::time::Duration;

    use super::Found;
    use crate::program::Failure;

    pub(crate) enum Announcer {}

    impl Announcer {
        pub(crate) fn start(_: SocketAddr) -> Result<Option<Self>, Failure> {
            Ok(None)
        }

        pub(crate) fn stop(self) {
            match self {}
        }
    }

    pub(crate) struct Browser;

    impl Browser {
        pub(crate) fn open() -> Self {
            Self
        }

        pub(crate) fn look(&mut self, _: Duration, _: bool) -> Vec<Found> {
            Vec::new()
        }
    }
}

#[cfg(not(feature = "discovery"))]
pub(crate) use absent::{Announcer, Browser};
