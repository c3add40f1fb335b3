//! Pauses between attempts.

use std::time::Duration;

/// Pauses that double from [`Backoff::FIRST`] to [`Backoff::LAST`], each shortened by up to a quarter at random, so that
/// clients that were cut off together do not come back together.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(super) const FIRST: Duration = Duration::from_millis(250);
    pub(super) const LAST: Duration = Duration::from_secs(8);

    pub(super) fn new() -> Self {
        Self { next: Self::FIRST }
    }

    /// Returns the next pause, which `random` shortens.
    pub(super) fn pause(&mut self, random: u8) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(Self::LAST);
        pause - pause / 4 * u32::from(random) / u32::from(u8::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_bounded() {
        let mut backoff = Backoff::new();
        let pauses: Vec<_> = (0..8).map(|_| backoff.pause(0).as_millis()).collect();
        assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 8000, 8000, 8000]);
        assert_eq!(backoff.pause(u8::MAX), Duration::from_secs(6));
    }
}
