//! Time stamps as text. By hand, since chrono's own formats and their reading add 30 KB to a program.

use std::fmt;

use chrono::{Datelike as _, NaiveDate, NaiveDateTime, Timelike as _};

/// A time that is written as `YYYY-MM-DD HH:MM:SS.mmm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(pub NaiveDateTime);

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, time) = (self.0.date(), self.0.time());
        write!(f, "{:04}-{:02}-{:02} ", date.year(), date.month(), date.day())?;
        let milliseconds = time.nanosecond() / 1_000_000;
        write!(f, "{:02}:{:02}:{:02}.{milliseconds:03}", time.hour(), time.minute(), time.second())
    }
}

impl Stamp {
    /// Reads a time stamp with and without a fraction of a second, with a space or a `T` between date and time.
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

/// Three numbers of at most four digits.
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
