//! Times and timestamps as text. By hand, because chrono's own formats and parsers add 30 KB to a program.

use std::fmt;

use chrono::{DateTime, Datelike as _, Local, NaiveDate, NaiveDateTime, Timelike as _};
use serde::{Deserialize, Serialize};

/// A moment, and the offset of the local time from UTC at that moment.
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

    /// Parses RFC 3339 with an offset, such as `2026-03-01T12:00:00.123+02:00` or `2026-03-01T10:00:00Z`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (local, ahead) = match text.strip_suffix('Z') {
            Some(local) => (local, 0),
            None => {
                let (local, offset) = text.split_at_checked(text.len().checked_sub("+00:00".len())?)?;
                let (sign, rest) = offset.split_at_checked(1)?;
                let (hours, minutes) = rest.split_once(':')?;
                let number = |digits: &str| {
                    let is_number = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
                    is_number.then(|| digits.parse::<i16>().ok()).flatten()
                };
                let ahead = number(hours)? * 60 + number(minutes)?;
                (local, if sign == "-" { -ahead } else { (sign == "+").then_some(ahead)? })
            }
        };
        let stamp = Stamp::parse(local).filter(|_| local.as_bytes().get("YYYY-MM-DD".len()) == Some(&b'T'))?;
        Some(Self { utc: stamp.millis() - i64::from(ahead) * 60_000, ahead })
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

    /// Parses a timestamp with or without a fraction of a second, and with a space or a `T` between date and time.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (date, time) = text.split_once([' ', 'T'])?;
        let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
        let [year, month, day] = numbers(date, '-')?;
        let [hour, minute, second] = numbers(time, ':')?;
        let digits = fraction.get(..fraction.len().min(9))?;
        let is_number = !digits.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
        let nanoseconds = is_number.then(|| format!("{digits:0<9}").parse().ok()).flatten()?;
        NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?
            .and_hms_nano_opt(hour, minute, second, nanoseconds)
            .map(Self)
    }
}

/// Returns three numbers of at most four digits.
fn numbers(text: &str, separator: char) -> Option<[u32; 3]> {
    let mut parts = text.split(separator).map(|part| {
        let is_number = (1..=4).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| part.parse().ok()).flatten()
    });
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
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
