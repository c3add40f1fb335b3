//! The values in parameters and replies.

use std::fmt;

use chrono::{Datelike as _, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Timelike as _};

/// A value of XML-RPC.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `int`, `i4`, `i8`, and on reading also `i1`, `i2` and a `biginteger` that fits.
    Int(i64),
    /// `boolean`.
    Boolean(bool),
    /// `string`, or a value without a type.
    String(String),
    /// `double`. XML-RPC has no spelling for infinities and NaN; they are read and written as Python does, `inf`, `-inf`, `nan`.
    Double(f64),
    /// `dateTime.iso8601`.
    DateTime(DateTime),
    /// `base64`, decoded.
    Base64(Vec<u8>),
    /// `array`.
    Array(Vec<Value>),
    /// `struct`, its members in the order in which they came. Where a name comes twice, the last one counts, as in Python.
    Struct(Vec<(String, Value)>),
    /// `nil`, the common extension for "no value".
    Nil,
}

impl Value {
    /// Returns the member `name`, if this is a struct that has one.
    pub fn member(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Struct(members) => members.iter().rfind(|(n, _)| n == name).map(|(_, v)| v),
            _ => None,
        }
    }

    /// Returns the text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the number, if this is an integer.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// Returns the truth value, if this is a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Boolean(truth) => Some(*truth),
            _ => None,
        }
    }

    /// Returns the items, if this is an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }

    /// Returns the type as `system.methodSignature` spells it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Int(_) => "int",
            Value::Boolean(_) => "boolean",
            Value::String(_) => "string",
            Value::Double(_) => "double",
            Value::DateTime(_) => "dateTime.iso8601",
            Value::Base64(_) => "base64",
            Value::Array(_) => "array",
            Value::Struct(_) => "struct",
            Value::Nil => "nil",
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::String(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Int(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Value {
        Value::Boolean(truth)
    }
}

/// A date and a time to the second, years 0 to 9999.
///
/// XML-RPC leaves the zone to the documentation of the server. Where a peer states an offset nevertheless, it is
/// kept beside the time, which stays as the peer wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DateTime {
    stated: NaiveDateTime,
    offset: Option<FixedOffset>,
}

impl DateTime {
    /// Reads `YYYYMMDDTHH:MM:SS`, each of date and time also in the other form of ISO 8601 (`YYYY-MM-DD`, `HHMMSS`), then
    /// optionally a fraction of a second, which is dropped, then optionally `Z` or an offset (`+HH`, `+HHMM`, `+HH:MM`). A space
    /// may stand for the `T`. `None` for everything else, days and hours that do not exist included.
    pub fn parse(text: &str) -> Option<DateTime> {
        let mut rest = Digits(text.trim_matches(is_white_space).as_bytes());
        let year = rest.number(4)?;
        let extended = rest.skip(b'-');
        let month = rest.number(2)?;
        if extended && !rest.skip(b'-') {
            return None;
        }
        let day = rest.number(2)?;
        if !(rest.skip(b'T') || rest.skip(b't') || rest.skip(b' ')) {
            return None;
        }
        let hour = rest.number(2)?;
        let extended = rest.skip(b':');
        let minute = rest.number(2)?;
        if extended && !rest.skip(b':') {
            return None;
        }
        let second = rest.number(2)?;
        if rest.skip(b'.') || rest.skip(b',') {
            rest.number(1)?;
            while rest.number(1).is_some() {}
        }
        let offset = rest.offset()?;
        let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
        let time = NaiveTime::from_hms_opt(hour, minute, second)?;
        Some(DateTime { stated: NaiveDateTime::new(date, time), offset })
    }

    /// Returns the time as it was written, in the zone that the peer meant.
    pub fn stated(&self) -> NaiveDateTime {
        self.stated
    }

    /// Returns the offset from UTC that was written with it, if there was one.
    pub fn offset(&self) -> Option<FixedOffset> {
        self.offset
    }
}

/// The one form that every peer reads, `YYYYMMDDTHH:MM:SS`. An offset is not written: strict peers refuse it.
impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, time) = (self.stated.date(), self.stated.time());
        write!(f, "{:04}{:02}{:02}", date.year(), date.month(), date.day())?;
        write!(f, "T{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())
    }
}

/// The rest of the text of a date.
struct Digits<'a>(&'a [u8]);

impl Digits<'_> {
    /// Takes a number of exactly `digits` digits.
    fn number(&mut self, digits: usize) -> Option<u32> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        let number =
            number.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u32::from(byte - b'0')))?;
        self.0 = rest;
        Some(number)
    }

    /// Takes `byte` if it comes next.
    fn skip(&mut self, byte: u8) -> bool {
        let rest = self.0.strip_prefix(&[byte]);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// Takes all that is left as an offset. The outer `None` says that it is not one, the inner one that nothing is left.
    fn offset(&mut self) -> Option<Option<FixedOffset>> {
        if self.0.is_empty() {
            return Some(None);
        }
        let seconds = if self.skip(b'Z') || self.skip(b'z') {
            0
        } else {
            let sign = match (self.skip(b'+'), self.skip(b'-')) {
                (true, _) => 1,
                (_, true) => -1,
                _ => return None,
            };
            let hours = self.number(2)?;
            let colon = self.skip(b':');
            let minutes = match self.number(2) {
                Some(minutes) if minutes < 60 => minutes,
                None if !colon => 0,
                _ => return None,
            };
            sign * i32::try_from(hours * 3600 + minutes * 60).ok()?
        };
        let offset = FixedOffset::east_opt(seconds)?;
        self.0.is_empty().then_some(Some(offset))
    }
}

/// Returns whether `c` is white space as XML defines it.
pub(super) fn is_white_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}
