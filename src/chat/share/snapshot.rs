//! Snapshots: the state at a position of the stream, as one value beside it.

use serde::{Deserialize, Serialize};

use super::super::entry::Entry;
use super::super::{FORM, Limits, State};
use super::batch::Admission;
use super::engine::EngineError;
use super::position::StreamPosition;

/// The part before the entries.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    position: StreamPosition,
    admission: Admission,
}

/// Writes a state.
pub(super) fn write(state: &State, admission: &Admission, position: StreamPosition) -> Result<Vec<u8>, EngineError> {
    let head = Head { position, admission: admission.clone() };
    let mut bytes = postcard::to_allocvec(&head)?;
    for entry in state.image() {
        bytes.extend(postcard::to_allocvec(&entry)?);
    }
    Ok(bytes)
}

/// Returns the position of the stream at which a snapshot was written, if it can be read.
pub(super) fn position(bytes: &[u8]) -> Option<StreamPosition> {
    postcard::take_from_bytes(bytes).ok().map(|(Head { position, .. }, _)| position)
}

/// Reads what [`write()`] has written.
pub(super) fn read(bytes: &[u8], limits: &Limits) -> Result<(State, Admission, StreamPosition), EngineError> {
    let unreadable = |_| EngineError::Refused("the snapshot there is unreadable".into());
    let other = |refusal| EngineError::Refused(format!("the snapshot there does not fit: {refusal}"));
    let (Head { position, admission }, mut rest) = postcard::take_from_bytes(bytes).map_err(unreadable)?;
    let mut state = State::new(limits.clone(), FORM);
    while !rest.is_empty() {
        let (entry, after) = postcard::take_from_bytes::<Entry>(rest).map_err(unreadable)?;
        state.apply(entry).map_err(other)?;
        rest = after;
    }
    Ok((state, admission, position))
}
