//! The one connection that the HTTP server has.

use std::io;
use std::os::fd::{AsFd as _, IntoRawFd as _, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::shared::guard;
use crate::symbols;

/// The HTTP server's connection.
#[derive(Default)]
pub(crate) struct Lane {
    /// The gate's end. Nothing is sent on it; it tells when the server has closed the other one.
    watch: Mutex<Option<UnixStream>>,
    /// The inode of the server's end, until it is first read from.
    awaited: Mutex<Option<libc::ino_t>>,
    is_read: Mutex<bool>,
    begins: Condvar,
}

impl Lane {
    pub(crate) fn wait_until_closed(&self) {
        if let Some(mut watch) = guard(&self.watch).take() {
            // Anything that the server writes there is dropped.
            let _ = io::copy(&mut watch, &mut io::sink());
        }
    }

    pub(crate) fn open(&self) -> io::Result<RawFd> {
        let (watch, lane) = UnixStream::pair()?;
        // The server takes a duplicate, and cannot do without.
        drop(lane.try_clone()?);
        *guard(&self.awaited) = Some(symbols::inode(lane.as_fd()));
        *guard(&self.watch) = Some(watch);
        Ok(lane.into_raw_fd())
    }

    /// Returns whether a reader with this inode is the first of the lane.
    pub(crate) fn is_awaited(&self, inode: impl FnOnce() -> libc::ino_t) -> bool {
        if guard(&self.awaited).take_if(|awaited| *awaited == inode()).is_none() {
            return false;
        }
        *guard(&self.is_read) = true;
        self.begins.notify_all();
        true
    }

    pub(crate) fn wait_until_read(&self, timeout: Duration) -> bool {
        let waiting = self.begins.wait_timeout_while(guard(&self.is_read), timeout, |is_read| !*is_read);
        *waiting.unwrap_or_else(PoisonError::into_inner).0
    }
}
