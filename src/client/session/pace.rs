//! The pace of a sender, so that a server with a limit on messages hardly has to refuse one.

use std::time::{Duration, Instant};

use super::super::api::MessageRate;

/// Counts the messages that may be sent at once, as the server does: one more after each interval, up to the burst.
#[derive(Debug, Default)]
pub(super) struct Pace {
    bucket: Option<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    rate: MessageRate,
    tokens: f64,
    at: Instant,
}

impl Pace {
    /// Sets the limit of the server. If it is the same as before, it stays as used up as it was.
    pub(super) fn set(&mut self, rate: Option<MessageRate>, now: Instant) {
        if self.bucket.as_ref().map(|bucket| bucket.rate) != rate {
            self.bucket = rate.map(|rate| Bucket { rate, tokens: rate.burst.into(), at: now });
        }
    }

    /// Records that a message was sent. Returns when the next one may be sent.
    pub(super) fn sent(&mut self, now: Instant) -> Instant {
        let Some(Bucket { rate, tokens, at }) = &mut self.bucket else { return now };
        let per_second = f64::from(rate.per_second);
        let filled = *tokens + now.saturating_duration_since(*at).as_secs_f64() * per_second;
        *tokens = filled.min(rate.burst.into()) - 1.0;
        *at = now;
        now + Duration::from_secs_f64((1.0 - *tokens).max(0.0) / per_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        assert_eq!(pace.sent(now), now, "a server without a limit");
        let rate = MessageRate { per_second: 20, burst: 3 };
        pace.set(Some(rate), now);
        assert_eq!((pace.sent(now), pace.sent(now)), (now, now));
        let begun = now;
        for _ in 0..10 {
            now = pace.sent(now);
        }
        assert!((now - begun).abs_diff(Duration::from_millis(500)) < Duration::from_millis(1), "{:?}", now - begun);
        pace.set(Some(rate), now);
        assert!(pace.sent(now) > now, "the same limit stays used up");
        pace.set(Some(MessageRate { per_second: 30, burst: 3 }), now);
        assert_eq!(pace.sent(now), now, "another one is not");
    }
}
