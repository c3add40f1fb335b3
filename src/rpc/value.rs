//! The values in parameters and replies.

use std::fmt;

use chrono::{Datelike as _, FixedOffset, NaiveDateTime, Timelike as _};

use crate::stamp::parse_iso;

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
    /// Reads `YYYYMMDDTHH:MM:SS` and the other forms of ISO 8601 that `parse_iso` knows. A fraction of a second is dropped, and
    /// white space around it ignored.
    pub fn parse(text: &str) -> Option<DateTime> {
        let (time, offset) = parse_iso(text.trim_matches(is_white_space))?;
        Some(DateTime { stated: time.with_nanosecond(0)?, offset })
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

/// Returns whether `c` is white space as XML defines it.
pub(super) fn is_white_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}
