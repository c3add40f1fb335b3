//! The file that is appended to, and the making of one that takes its place.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::{info, warn};

use super::directory::Directory;
use super::record::{self, MAX_PAYLOAD, PIECE};
use super::{Identity, VERSION};
use crate::chat::entry::Entry;
use crate::chat::state::State;

/// Bytes of zeros that are made ahead of the records, so that a flush rewrites blocks that exist already.
const AHEAD: u64 = 64 << 10;
/// The least time between two lines of the program's log that say that nothing can be stored.
const REPORT: Duration = Duration::from_secs(60);

/// A file of records.
#[derive(Debug)]
pub(super) struct LogFile {
    pub(super) file: Arc<File>,
    /// The end of the last record.
    pub(super) end: u64,
    /// The position of the last record.
    pub(super) position: u64,
    /// The end of the zeros after that.
    zeros: u64,
    /// Bytes of what was alive when the file was new.
    pub(super) alive: u64,
}

/// The file that is appended to, and what is to be done about it.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) log: LogFile,
    /// The time of the first record that has not been flushed.
    pub(super) dirty_since: Option<Instant>,
    /// The records appended since a snapshot was taken, while the new file is being written.
    pub(super) since_snapshot: Option<Vec<Payload>>,
    /// If set, the file must not be used any more, because a flush failed.
    pub(super) is_broken: bool,
    /// The time of the next attempt at a new file, after one that failed.
    pub(super) not_before: Option<Instant>,
    /// The last report that nothing can be stored, and whether that has passed since.
    reported: Option<(Instant, bool)>,
    pub(super) failures: u64,
    pub(super) is_ending: bool,
}

/// An entry as it stands in a record, and whether it stands there twice.
#[derive(Debug)]
pub(super) struct Payload {
    pub(super) bytes: Vec<u8>,
    is_vital: bool,
}

impl Payload {
    fn new(entry: &Entry) -> io::Result<Self> {
        let bytes = postcard::to_allocvec(entry).map_err(io::Error::other)?;
        if bytes.len() > MAX_PAYLOAD {
            return Err(io::Error::other("an entry is too long"));
        }
        Ok(Self { bytes, is_vital: entry.is_vital() })
    }

    /// Appends it to `out` as the record after `position`.
    fn write(&self, out: &mut Vec<u8>, position: &mut u64) {
        *position += 1;
        for _ in 0..=usize::from(self.is_vital) {
            record::write(out, *position, &self.bytes);
        }
    }
}

impl LogFile {
    /// Returns a file whose last record is at `position` and ends at `end`, and of which `alive` bytes are alive.
    pub(super) fn new(file: File, end: u64, position: u64, alive: u64) -> Self {
        Self { file: Arc::new(file), end, position, zeros: end, alive }
    }

    /// Writes a new file with the head and the entries of `state`, and flushes it to the device.
    pub(super) fn create(directory: &Directory, identity: &Identity, state: &State) -> io::Result<Self> {
        let mut log = Self::new(directory.create_new()?, 0, 0, 0);
        let mut bytes = Vec::new();
        let head = postcard::to_allocvec(&(VERSION, identity)).map_err(io::Error::other)?;
        for _ in 0..2 {
            record::write(&mut bytes, 0, &head);
        }
        state.image().try_for_each(|entry| {
            Payload::new(&entry)?.write(&mut bytes, &mut log.position);
            if bytes.len() >= PIECE {
                log.write(&bytes)?;
                bytes.clear();
            }
            io::Result::Ok(())
        })?;
        log.write(&bytes)?;
        log.file.sync_data()?;
        log.alive = log.end;
        Ok(log)
    }

    /// Appends `payloads` in this order.
    pub(super) fn append(&mut self, payloads: &[Payload]) -> io::Result<()> {
        let (mut bytes, mut position) = (Vec::new(), self.position);
        payloads.iter().for_each(|payload| payload.write(&mut bytes, &mut position));
        let end = self.end + bytes.len() as u64;
        if end > self.zeros {
            // Where there is no room ahead, there may still be room for this.
            let made = self.file.write_all_at(&vec![0; AHEAD as usize], end);
            self.zeros = if made.is_ok() { end + AHEAD } else { end };
        }
        self.write(&bytes)?;
        self.position = position;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.end)?;
        self.end += bytes.len() as u64;
        Ok(())
    }
}

impl Active {
    pub(super) fn new(log: LogFile) -> Self {
        Self {
            log,
            dirty_since: None,
            since_snapshot: None,
            is_broken: false,
            not_before: None,
            reported: None,
            failures: 0,
            is_ending: false,
        }
    }

    /// Appends `entries`, unless the file has more than `most` bytes already.
    pub(super) fn append(&mut self, entries: &[Entry], most: u64, flushes: bool) -> io::Result<()> {
        let Self { log, .. } = self;
        if self.is_broken {
            return Err(io::Error::other("a flush failed, and there is no new file yet"));
        }
        if log.end > most {
            return Err(io::Error::other(format!("the log has {} bytes, as many as --data-limit allows", log.end)));
        }
        let payloads = entries.iter().map(Payload::new).collect::<io::Result<Vec<_>>>()?;
        let before = (log.end, log.position);
        let written = log.append(&payloads).and_then(|()| if flushes { log.file.sync_data() } else { Ok(()) });
        if let Err(error) = written {
            // What was written of it must never be taken for a record.
            (log.end, log.position) = before;
            log.zeros = log.end;
            self.is_broken |= flushes || log.file.set_len(log.end).is_err();
            return Err(error);
        }
        if let Some(since_snapshot) = &mut self.since_snapshot {
            since_snapshot.extend(payloads);
        }
        Ok(())
    }

    /// Says in the program's log that something cannot be stored: once in a while, whatever comes between.
    pub(super) fn report(&mut self, error: &io::Error) {
        self.failures += 1;
        if self.reported.is_none_or(|(at, _)| at.elapsed() >= REPORT) {
            warn!("changes cannot be stored, and are refused until they can: {error}");
            self.reported = Some((Instant::now(), false));
        }
    }

    /// Says once that changes are stored again.
    pub(super) fn recovered(&mut self) {
        if let Some((_, has_passed @ false)) = &mut self.reported {
            *has_passed = true;
            info!("changes are stored again");
        }
    }
}

/// Reads the head of a log. Its version comes first, whatever follows.
pub(super) fn read_head(payload: &[u8]) -> Result<Identity, String> {
    match postcard::take_from_bytes::<u32>(payload) {
        Ok((VERSION, rest)) => {
            postcard::from_bytes(rest).map_err(|_| "the head of the log is unreadable; move it away".into())
        }
        Ok((version, _)) if version > VERSION => Err(format!(
            "the log is of a newer version of this program (form {version}); use that or another directory"
        )),
        _ => Err("the file log is none of this program; move it away".into()),
    }
}
