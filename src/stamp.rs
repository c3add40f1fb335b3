//! Times and timestamps as text. By hand, because chrono's own formats and parsers add 30 KB to a program.

use std::fmt;

use chrono::{DateTime, Datelike as _, FixedOffset, Local, NaiveDate, NaiveDateTime, Timelike as _};
use serde::{Deserialize, Serialize};

/// A moment, with the offset of the local time from UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Time {
    /// Milliseconds since the beginning of 1970, in UTC.
    pub utc: i64,
    /// The offset of the local time from UTC in minutes.
    pub ahead: i16,
}

impl Time {
    /// Returns the current time, with the offset of the system's time zone.
    #[must_use]
    pub fn now() -> Self {
        let now = Local::now();
        let minutes = now.offset().local_minus_utc() / 60;
        // Offsets are within a day.
        Self { utc: now.timestamp_millis(), ahead: i16::try_from(minutes).unwrap_or_default() }
    }

    /// Parses RFC 3339, such as `2026-03-01T12:00:00.123+02:00` or `2026-03-01T10:00:00Z`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (local, offset) = parse_iso(text).filter(|_| text.as_bytes().get("YYYY-MM-DD".len()) == Some(&b'T'))?;
        let ahead = i16::try_from(offset?.local_minus_utc() / 60).ok()?;
        Some(Self { utc: Stamp(local).millis() - i64::from(ahead) * 60_000, ahead })
    }

    /// Returns the milliseconds since the beginning of 1970 on the local clock.
    #[must_use]
    pub fn local(self) -> i64 {
        self.utc + i64::from(self.ahead) * 60_000
    }
}

/// Formats as RFC 3339 with milliseconds and offset: `2026-03-01T12:00:00.123+02:00`.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stamp = Stamp::from_millis(self.local());
        stamp.write(f, 'T')?;
        let (sign, minutes) = if self.ahead < 0 { ('-', -i32::from(self.ahead)) } else { ('+', self.ahead.into()) };
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// A timestamp, written as `YYYY-MM-DD HH:MM:SS.mmm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(pub NaiveDateTime);

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, ' ')
    }
}

impl Stamp {
    /// Returns the time `millis` milliseconds after the beginning of 1970, or the latest or earliest possible time if that is
    /// out of range.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        let bound = if millis < 0 { NaiveDateTime::MIN } else { NaiveDateTime::MAX };
        Self(DateTime::from_timestamp_millis(millis).map_or(bound, |time| time.naive_utc()))
    }

    /// Returns the milliseconds since the beginning of 1970, rounded down.
    #[must_use]
    pub fn millis(self) -> i64 {
        self.0.and_utc().timestamp_millis()
    }

    fn write(self, f: &mut fmt::Formatter<'_>, separator: char) -> fmt::Result {
        let (date, time) = (self.0.date(), self.0.time());
        write!(f, "{:04}-{:02}-{:02}{separator}", date.year(), date.month(), date.day())?;
        let milliseconds = time.nanosecond() / 1_000_000;
        write!(f, "{:02}:{:02}:{:02}.{milliseconds:03}", time.hour(), time.minute(), time.second())
    }

    /// Parses a timestamp in any of the forms of `parse_iso`, but without an offset.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (time, offset) = parse_iso(text)?;
        offset.is_none().then_some(Self(time))
    }
}

/// Parses `YYYY-MM-DDTHH:MM:SS`, each of date and time also in the other form of ISO 8601 (`YYYYMMDD`, `HHMMSS`), then
/// optionally a fraction of a second and `Z` or an offset (`+HH`, `+HHMM`, `+HH:MM`). A space may stand for the `T`, and fields
/// between `-` or `:` may lack their leading zero. `None` for everything else, days and hours that do not exist included.
pub(crate) fn parse_iso(text: &str) -> Option<(NaiveDateTime, Option<FixedOffset>)> {
    let mut rest = Digits(text.as_bytes());
    let year = rest.number(4, 4)?;
    let (month, day) = rest.two_fields(b"-")?;
    if !rest.skip(b"Tt ") {
        return None;
    }
    let hour = rest.number(1, 2)?;
    let (minute, second) = rest.two_fields(b":")?;
    let nanosecond = if rest.skip(b".,") { rest.fraction()? } else { 0 };
    let offset = if rest.0.is_empty() { None } else { Some(rest.offset()?) };
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    Some((date.and_hms_nano_opt(hour, minute, second, nanosecond)?, offset))
}

/// The rest of the text of a date.
struct Digits<'a>(&'a [u8]);

impl Digits<'_> {
    /// Takes a number of `least` to `most` digits.
    fn number(&mut self, least: usize, most: usize) -> Option<u32> {
        let count = self.0.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        let number = digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
        (count >= least).then_some(number)
    }

    /// Takes one of `bytes` if it comes next.
    fn skip(&mut self, bytes: &[u8]) -> bool {
        let is_next = self.0.first().is_some_and(|first| bytes.contains(first));
        self.0 = &self.0[usize::from(is_next)..];
        is_next
    }

    /// Takes two fields, with `separator` before both of them or before none.
    fn two_fields(&mut self, separator: &[u8]) -> Option<(u32, u32)> {
        let is_extended = self.skip(separator);
        let least = if is_extended { 1 } else { 2 };
        let first = self.number(least, 2)?;
        if is_extended && !self.skip(separator) {
            return None;
        }
        Some((first, self.number(least, 2)?))
    }

    /// Takes the digits of a fraction of a second. Returns it in nanoseconds, rounded down.
    fn fraction(&mut self) -> Option<u32> {
        let before = self.0.len();
        let digits = self.number(1, 9)?;
        let count = before - self.0.len();
        while self.number(1, 1).is_some() {}
        Some((count..9).fold(digits, |nanoseconds, _| nanoseconds * 10))
    }

    /// Takes all that is left as an offset.
    fn offset(&mut self) -> Option<FixedOffset> {
        let seconds = if self.skip(b"Zz") {
            0
        } else {
            let is_ahead = self.0.first() == Some(&b'+');
            if !self.skip(b"+-") {
                return None;
            }
            let hours = self.number(2, 2)?;
            let minutes = if self.skip(b":") || !self.0.is_empty() { self.number(2, 2)? } else { 0 };
            let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
            if minutes > 59 {
                return None;
            }
            if is_ahead { seconds } else { -seconds }
        };
        self.0.is_empty().then(|| FixedOffset::east_opt(seconds)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_their_offset() {
        for (utc, ahead, written) in [
            (1_772_366_400_123, 120, "2026-03-01T14:00:00.123+02:00"),
            (1_772_366_400_123, 0, "2026-03-01T12:00:00.123+00:00"),
            (1_772_366_400_000, -210, "2026-03-01T08:30:00.000-03:30"),
            (-1, 0, "1969-12-31T23:59:59.999+00:00"),
        ] {
            let time = Time { utc, ahead };
            assert_eq!(time.to_string(), written);
            assert_eq!(Time::parse(written), Some(time));
            assert_eq!(Stamp::from_millis(time.local()).millis(), time.local());
        }
    }

    #[test]
    fn times_are_read_with_their_offset() {
        assert_eq!(Time::parse("2026-03-01T12:00:00Z"), Time::parse("2026-03-01T12:00:00.000+00:00"));
        assert_eq!(Time::parse("2026-03-01T12:00:00.5-05:30").map(|time| time.ahead), Some(-330));
        for text in [
            "",
            "Z",
            "2026-03-01 12:00:00Z",
            "2026-03-01T12:00:00",
            "2026-03-01T12:00:00+2:00",
            "2026-03-01T12:00:00 02:00",
            "2026-03-01T12:00:00\u{1b}02:00",
            "2026-03-01T12:00:00+é:00",
        ] {
            assert_eq!(Time::parse(text), None, "{text}");
        }
    }

    #[test]
    fn time_stamps_are_read_with_and_without_a_fraction() {
        for (text, written) in [
            ("2026-03-01 12:00:00", "2026-03-01 12:00:00.000"),
            ("2026-03-01 12:00:00.5", "2026-03-01 12:00:00.500"),
            ("2026-03-01T23:59:59.123456789123", "2026-03-01 23:59:59.123"),
            ("1970-1-2 3:4:5", "1970-01-02 03:04:05.000"),
        ] {
            assert_eq!(Stamp::parse(text).unwrap().to_string(), written);
        }
        for text in [
            "",
            "now",
            "2026-03-01",
            "2026-13-01 00:00:00",
            "2026-02-30 00:00:00",
            "2026-03-01 24:00:00",
            "2026-03-01 12:00:00.",
            "2026-03-01 12:00:00.x",
            "2026-03-01 12:00:00.000000000é",
            "2026-03-01 12:00",
            "2026-03-01 12:00:00:00",
            "+026-03-01 12:00:00",
        ] {
            assert_eq!(Stamp::parse(text), None, "{text}");
        }
    }
}
