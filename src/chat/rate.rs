//! Rates: token buckets that are told the time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::refusal::Refusal;

/// A rate a minute for each address, with as much at once.
#[derive(Debug)]
pub(super) struct Rates {
    /// The things that are counted, in words that name the time.
    what: &'static str,
    /// The most in that time; 0 for no limit.
    limit: u32,
    buckets: HashMap<IpAddr, Bucket>,
}

impl Rates {
    pub(super) fn new(what: &'static str, limit: u32) -> Self {
        Self { what, limit, buckets: HashMap::new() }
    }

    fn per_second(&self) -> f64 {
        f64::from(self.limit) / 60.0
    }

    /// Takes one for `address`; a call without one has no limit.
    pub(super) fn take(&mut self, address: Option<IpAddr>, now: Instant) -> Result<(), Refusal> {
        let (Some(address), what, limit) = (address, self.what, self.limit) else { return Ok(()) };
        let per_second = self.per_second();
        let bucket = self.buckets.entry(address).or_insert_with(|| Bucket::full(limit, now));
        bucket.take(per_second, limit, now).map_err(|retry_after| Refusal::TooFast { what, limit, retry_after })
    }

    /// Forgets the addresses that have been quiet.
    pub(super) fn forget_full(&mut self, now: Instant) {
        let (per_second, limit) = (self.per_second(), self.limit);
        self.buckets.retain(|_, bucket| !bucket.is_full(per_second, limit, now));
    }
}

/// A bucket that holds up to `burst` tokens and gains `per_second` of them.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn full(burst: u32, now: Instant) -> Self {
        Self { tokens: f64::from(burst.max(1)), filled: now }
    }

    /// Takes a token, or says how long it takes until there is one. A rate of 0 is no limit.
    pub(super) fn take(&mut self, per_second: f64, burst: u32, now: Instant) -> Result<(), Duration> {
        if per_second <= 0.0 {
            return Ok(());
        }
        let gained = now.saturating_duration_since(self.filled).as_secs_f64() * per_second;
        self.tokens = (self.tokens + gained).min(f64::from(burst.max(1)));
        self.filled = now;
        if self.tokens < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - self.tokens) / per_second));
        }
        self.tokens -= 1.0;
        Ok(())
    }

    /// Whether it would be full again by `now`, so that it need not be remembered.
    pub(super) fn is_full(&self, per_second: f64, burst: u32, now: Instant) -> bool {
        self.tokens + now.saturating_duration_since(self.filled).as_secs_f64() * per_second >= f64::from(burst.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_allowed_and_then_the_rate_counts() {
        let start = Instant::now();
        let mut bucket = Bucket::full(3, start);
        for _ in 0..3 {
            assert_eq!(bucket.take(2.0, 3, start), Ok(()));
        }
        assert_eq!(bucket.take(2.0, 3, start), Err(Duration::from_millis(500)));
        assert_eq!(bucket.take(2.0, 3, start + Duration::from_millis(500)), Ok(()));
        assert!(!bucket.is_full(2.0, 3, start + Duration::from_millis(500)));
        assert!(bucket.is_full(2.0, 3, start + Duration::from_secs(10)));
        assert_eq!(bucket.take(0.0, 0, start), Ok(()), "a rate of 0 is no limit");
    }
}
