//! Rates: token buckets that are told the time.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use super::refusal::Refusal;

/// A rate for each of many, such as addresses.
#[derive(Debug)]
pub(super) struct Rates<K> {
    /// The things that are limited, in words that name the time.
    what: &'static str,
    /// The most of them in that time; 0 for no limit.
    limit: u32,
    per_second: f64,
    /// The most of them at once.
    burst: f64,
    /// The tokens that each one had at a time. Whoever is not here has a full bucket.
    buckets: HashMap<K, (f64, Instant)>,
}

impl<K: Eq + Hash> Rates<K> {
    /// Returns a rate of `limit` a minute, and as many at once.
    pub(super) fn a_minute(what: &'static str, limit: u32) -> Self {
        Self::new(what, limit, f64::from(limit) / 60.0, limit)
    }

    /// Returns a rate of `limit` a second, and `burst` at once.
    pub(super) fn a_second(what: &'static str, limit: u32, burst: u32) -> Self {
        Self::new(what, limit, f64::from(limit), burst)
    }

    fn new(what: &'static str, limit: u32, per_second: f64, burst: u32) -> Self {
        Self { what, limit, per_second, burst: f64::from(burst.max(1)), buckets: HashMap::new() }
    }

    /// Takes a token from the bucket of `key`; `None` has no limit.
    ///
    /// # Errors
    /// If there is no token yet.
    pub(super) fn take(&mut self, key: Option<K>, now: Instant) -> Result<(), Refusal> {
        let Some(key) = key.filter(|_| self.limit > 0) else { return Ok(()) };
        let (tokens, filled) = self.buckets.entry(key).or_insert((self.burst, now));
        let gained = now.saturating_duration_since(*filled).as_secs_f64() * self.per_second;
        (*tokens, *filled) = ((*tokens + gained).min(self.burst), now);
        if *tokens < 1.0 {
            let retry_after = Duration::from_secs_f64((1.0 - *tokens) / self.per_second);
            return Err(Refusal::TooFast { what: self.what, limit: self.limit, retry_after });
        }
        *tokens -= 1.0;
        Ok(())
    }

    /// Forgets the buckets that are full again.
    pub(super) fn forget_full(&mut self, now: Instant) {
        let (per_second, burst) = (self.per_second, self.burst);
        self.buckets.retain(|_, (tokens, filled)| {
            *tokens + now.saturating_duration_since(*filled).as_secs_f64() * per_second < burst
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_allowed_and_then_the_rate_counts() {
        let start = Instant::now();
        let half_a_second = Duration::from_millis(500);
        let mut rates = Rates::a_second("", 2, 3);
        for _ in 0..3 {
            assert_eq!(rates.take(Some(1), start), Ok(()));
        }
        let refused = Refusal::TooFast { what: "", limit: 2, retry_after: half_a_second };
        assert_eq!(rates.take(Some(1), start), Err(refused));
        assert_eq!(rates.take(Some(2), start), Ok(()), "each has its own");
        assert_eq!(rates.take(Some(1), start + half_a_second), Ok(()));
        rates.forget_full(start + half_a_second);
        assert_eq!(rates.buckets.len(), 1);
        rates.forget_full(start + Duration::from_secs(10));
        assert!(rates.buckets.is_empty());
        let mut unlimited = Rates::a_second("", 0, 0);
        assert!((0..9).all(|_| unlimited.take(Some(1), start).is_ok()), "a rate of 0 is no limit");
        assert_eq!(Rates::a_minute("", 1).take(None::<u8>, start), Ok(()));
    }
}
