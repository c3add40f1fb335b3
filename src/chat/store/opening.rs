//! Reads the log when a server starts, and writes a new file where there is none or a damaged one.

use std::fs::File;

use log::{info, warn};

use super::Identity;
use super::directory::Directory;
use super::file::{LogFile, read_head};
use super::record::{Findings, RecordReader};
use crate::chat::state::State;
use crate::program::Failure;
use crate::random;
use crate::secret::Salt;

/// Opens the log in `directory`, and applies its entries to `state`.
///
/// # Errors
/// If the file cannot be read or written, or is none of this version.
pub(super) fn open(directory: &Directory, state: &mut State) -> Result<(Identity, LogFile), Failure> {
    let failed = |error| {
        Failure::while_doing(format_args!("--data {}: cannot write the log", directory.path().display()), error)
    };
    let identity = match read(directory, state)? {
        Some((file, identity, found)) if found.damaged == 0 && found.missing == 0 => {
            if found.has_tail {
                info!("the last record of the log was not whole, as after a loss of power, and is cut");
            }
            // At most a part of a record follows the last one.
            file.set_len(found.end).map_err(failed)?;
            // About as much as a new file would have: the next one says it exactly.
            let alive = state.history_bytes as u64 / 2;
            return Ok((identity, LogFile::new(file, found.end, found.last.unwrap_or_default(), alive)));
        }
        Some((_, identity, Findings { damaged, missing, .. })) => {
            let kept = directory.keep_damaged().map_err(failed)?.display().to_string();
            warn!(
                "the log is damaged: {damaged} bytes are no records and {missing} entries are missing; the rest is there, \
                 and the damaged file is kept as {kept}"
            );
            identity
        }
        None => Identity { server_id: random::hex::<16>()?, salt: Salt::random(true)? },
    };
    let log = LogFile::create(directory, &identity, state).map_err(failed)?;
    directory.put_in_place().and_then(|()| directory.flush()).map_err(failed)?;
    Ok((identity, log))
}

/// Reads the file, if there is one with anything in it.
fn read(directory: &Directory, state: &mut State) -> Result<Option<(File, Identity, Findings)>, Failure> {
    let shown = directory.path().display();
    let cannot = |error| Failure::while_doing(format_args!("--data {shown}: cannot read the log"), error);
    let wrong = |what: &str| Failure::Failed(format!("--data {shown}: {what}"));
    let Some(file) = directory.open_log().map_err(cannot)? else { return Ok(None) };
    let mut reader = RecordReader::new(&file);
    let (mut identity, mut unreadable, mut refused) = (None, 0, 0);
    while let Some(payload) = reader.next().map_err(cannot)? {
        if identity.is_none() {
            identity = Some(read_head(payload).map_err(|what| wrong(&what))?);
            continue;
        }
        match postcard::from_bytes(payload) {
            // It was not refused when it was written; with other limits it can be now.
            Ok(entry) => refused += u64::from(state.apply(entry).is_err()),
            Err(_) => unreadable += 1,
        }
    }
    if refused > 0 {
        warn!("{refused} entries of the log are refused by the limits of today or for what is missing before them");
    }
    let mut findings = reader.findings;
    findings.missing += unreadable;
    match identity {
        Some(identity) => Ok(Some((file, identity, findings))),
        None if findings.has_tail => Err(wrong("the file log is none of this program; move it away")),
        None => Ok(None),
    }
}
