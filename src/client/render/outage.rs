//! A lost connection, told in one line from the loss to the return.

/// The parts of that line, as far as they have happened.
#[derive(Debug, Default)]
pub(super) struct OutageLine {
    pub(super) lost: Option<&'static str>,
    pub(super) retrying: Option<String>,
    pub(super) forgotten: Option<String>,
    pub(super) back: Option<String>,
}

impl OutageLine {
    /// Returns the line so far. The next attempt is of no interest once one has succeeded.
    pub(super) fn told(&self) -> String {
        let end = self.back.as_deref().or(self.retrying.as_deref());
        [self.lost, self.forgotten.as_deref(), end].into_iter().flatten().collect::<Vec<_>>().join(" · ")
    }
}
