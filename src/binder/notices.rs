//! Notices for the log, at most one a minute about each thing, so that frequent calls do not fill it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The time during which further notices about the same thing are held back.
const QUIET: Duration = Duration::from_secs(60);
/// The most notices within that time, about all things together.
const MAX_NOTICES: usize = 100;

/// A thing that a notice was about.
#[derive(Debug)]
struct Notice {
    until: Instant,
    further: u64,
    latest: String,
}

/// The notices of the last minute.
#[derive(Debug, Default)]
pub(super) struct Notices {
    said: HashMap<String, Notice>,
    /// Notices dropped because there were too many things.
    lost: u64,
}

impl Notices {
    /// Returns `text` if it may be logged now, or counts it with those held back about `thing`.
    pub(super) fn admit(&mut self, thing: String, text: String, now: Instant) -> Option<String> {
        if let Some(said) = self.said.get_mut(&thing) {
            said.further += 1;
            said.latest = text;
            return None;
        }
        if self.said.len() >= MAX_NOTICES {
            self.lost += 1;
            return None;
        }
        self.said.insert(thing, Notice { until: now + QUIET, further: 0, latest: String::new() });
        Some(text)
    }

    /// Returns the latest notice held back about each thing whose time is over, with the number of those held back.
    pub(super) fn due(&mut self, now: Instant) -> Vec<String> {
        let mut due = Vec::new();
        let mut again = Vec::new();
        self.said.retain(|thing, said| {
            let goes_on = said.until > now;
            if !goes_on && said.further > 0 {
                due.push(format!("{} ({} such changes within a minute)", said.latest, said.further));
                again.push(thing.clone());
            }
            goes_on
        });
        if self.said.len() < MAX_NOTICES && self.lost > 0 {
            due.push(format!("{} further changes are not shown", std::mem::take(&mut self.lost)));
        }
        // These notices hold back the next ones in turn.
        for thing in again {
            self.said.insert(thing, Notice { until: now + QUIET, further: 0, latest: String::new() });
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_is_said_once_a_minute_and_then_how_often_it_was_more() {
        let start = Instant::now();
        let mut notices = Notices::default();
        let say = |notices: &mut Notices, thing: &str, number: u32, at: Duration| {
            notices.admit(thing.to_owned(), format!("{thing} {number}"), start + at)
        };
        assert_eq!(say(&mut notices, "a", 0, Duration::ZERO).as_deref(), Some("a 0"));
        for number in 1..1000 {
            assert_eq!(say(&mut notices, "a", number, Duration::from_millis(number.into())), None);
        }
        assert_eq!(say(&mut notices, "b", 0, Duration::ZERO).as_deref(), Some("b 0"));
        assert_eq!(notices.due(start + Duration::from_secs(59)), [""; 0]);
        assert_eq!(notices.due(start + QUIET), ["a 999 (999 such changes within a minute)"]);
        assert_eq!(say(&mut notices, "a", 1, QUIET), None, "that was a notice too");
        assert_eq!(say(&mut notices, "b", 1, QUIET).as_deref(), Some("b 1"));
    }

    #[test]
    fn notices_about_many_things_are_bounded() {
        let start = Instant::now();
        let mut notices = Notices::default();
        let said = (0..10_000).filter(|number| notices.admit(number.to_string(), "x".into(), start).is_some()).count();
        assert_eq!(said, MAX_NOTICES);
        assert_eq!(notices.due(start + QUIET), ["9900 further changes are not shown"]);
        assert!(notices.admit("a".into(), "x".into(), start + QUIET).is_some());
    }
}
