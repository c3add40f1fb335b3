//! Positions in the stream.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The id of a record in the stream: when it was appended, in milliseconds of the engine's clock, and a number that tells
/// apart what was appended within one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct StreamPosition {
    pub(super) time: u64,
    pub(super) number: u64,
}

impl StreamPosition {
    /// Before the first record.
    pub(super) const START: Self = Self { time: 0, number: 0 };

    /// Reads what [`fmt::Display`] writes, which is the engine's form.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (time, number) = text.split_once('-')?;
        Some(Self { time: time.parse().ok()?, number: number.parse().ok()? })
    }
}

impl fmt::Display for StreamPosition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.time, self.number)
    }
}
