//! Reads the log when a server starts, and writes a new file where there is none or a damaged one.

use std::fs::File;

use log::{info, warn};

use super::Identity;
use super::directory::Directory;
use super::file::{Active, NewFile, read_head};
use super::record::{Findings, RecordReader};
use crate::chat::state::State;
use crate::program::Failure;
use crate::random;
use crate::secret::Salt;

/// A file, and what it says beside its entries.
struct Found {
    file: File,
    identity: Identity,
    findings: Findings,
    /// The position of the last record.
    position: u64,
}

/// Opens the log in `directory`, and applies its entries to `state`.
///
/// # Errors
/// If the file cannot be read or written, or is none of this version.
pub(super) fn open(directory: &Directory, state: &mut State) -> Result<(Identity, Active), Failure> {
    let failed = |error| {
        Failure::while_doing(format_args!("--data {}: cannot write the log", directory.path().display()), error)
    };
    let found = read(directory, state)?;
    let identity = match &found {
        Some(found) => found.identity.clone(),
        None => Identity { server_id: random::hex::<16>()?, salt: Salt::random(true)? },
    };
    let active = match found {
        Some(Found { file, findings, position, .. }) if findings.damaged == 0 && findings.missing == 0 => {
            if findings.has_tail {
                info!("the last record of the log was not whole, as after a loss of power, and is cut");
            }
            // At most a part of a record follows the last one.
            file.set_len(findings.end).map_err(failed)?;
            // About as much as a new file would have: the next one says it exactly.
            Active::new(file, findings.end, position, state.history_bytes as u64 / 2)
        }
        damaged => {
            if let Some(Found { findings: Findings { damaged, missing, .. }, .. }) = damaged {
                let kept = directory.keep_damaged().map_err(failed)?.display().to_string();
                warn!(
                    "the log is damaged: {damaged} bytes are no records and {missing} entries are missing; the rest is there, \
                     and the damaged file is kept as {kept}"
                );
            }
            let NewFile { file, end, position, .. } = NewFile::write(directory, &identity, state).map_err(failed)?;
            directory.put_in_place().and_then(|()| directory.flush()).map_err(failed)?;
            Active::new(file, end, position, end)
        }
    };
    Ok((identity, active))
}

/// Reads the file, if there is one with anything in it.
fn read(directory: &Directory, state: &mut State) -> Result<Option<Found>, Failure> {
    let shown = directory.path().display();
    let cannot = |error| Failure::while_doing(format_args!("--data {shown}: cannot read the log"), error);
    let wrong = |what: &str| Failure::Failed(format!("--data {shown}: {what}"));
    let Some(file) = directory.open_log().map_err(cannot)? else { return Ok(None) };
    let mut reader = RecordReader::new(&file);
    let (mut identity, mut unreadable, mut refused) = (None, 0, 0);
    while let Some((_, payload)) = reader.next().map_err(cannot)? {
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
    let (mut findings, position) = (reader.findings(), reader.last().unwrap_or_default());
    findings.missing += unreadable;
    match identity {
        Some(identity) => Ok(Some(Found { file, identity, findings, position })),
        None if findings.has_tail => Err(wrong("the file log is none of this program; move it away")),
        None => Ok(None),
    }
}
