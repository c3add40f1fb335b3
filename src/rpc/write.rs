//! Writing. The functions append to a `String`, so that a message is turned into XML once and copied from then on.
//!
//! The strictest peers can read the result: no white space between tags, `<int>` as long as 32 bits are enough, no
//! attributes, no comments, UTF-8.

use std::fmt::Write as _;

use base64ct::{Base64, Encoding as _};

use super::fault::Fault;
use super::scan::SPECIAL;
use super::value::Value;

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";

/// Returns the first character of `text` that XML 1.0 cannot carry: control characters but tab, line feed and carriage return,
/// and U+FFFE and U+FFFF. [`text`] would replace it.
pub fn forbidden_char(text: &str) -> Option<char> {
    text.chars().find(|c| !matches!(c, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..))
}

/// Appends `text` as character data. All text turns into XML here, and what XML forbids becomes U+FFFD.
pub fn text(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| SPECIAL[usize::from(byte)]) {
        let (length, written) = match &rest.as_bytes()[at..] {
            [b'&', ..] => (1, "&amp;"),
            [b'<', ..] => (1, "&lt;"),
            // Always, and not only after `]]`, where XML demands it.
            [b'>', ..] => (1, "&gt;"),
            // As itself it would arrive as a line feed.
            [b'\r', ..] => (1, "&#13;"),
            // U+FFFE and U+FFFF.
            [0xEF, 0xBF, 0xBE | 0xBF, ..] => (3, "\u{FFFD}"),
            [0xEF, ..] => (3, &rest[at..at + 3]),
            _ => (1, "\u{FFFD}"),
        };
        out.push_str(&rest[..at]);
        out.push_str(written);
        rest = &rest[at + length..];
    }
    out.push_str(rest);
}

/// Appends `<value>…</value>`.
pub fn value(out: &mut String, value: &Value) {
    match value {
        Value::Int(number) => int(out, *number),
        Value::Boolean(truth) => boolean(out, *truth),
        Value::String(text) => string(out, text),
        Value::Double(number) => double(out, *number),
        Value::DateTime(time) => plain(out, "dateTime.iso8601", time),
        Value::Base64(bytes) => {
            out.push_str("<value><base64>");
            out.push_str(&Base64::encode_string(bytes));
            out.push_str("</base64></value>");
        }
        Value::Array(items) => array(out, |out| items.iter().for_each(|item| self::value(out, item))),
        Value::Struct(members) => structure(out, |out| {
            for (name, content) in members {
                member(out, name, |out| self::value(out, content));
            }
        }),
        Value::Nil => nil(out),
    }
}

/// Appends a string value.
pub fn string(out: &mut String, text: &str) {
    out.push_str("<value><string>");
    self::text(out, text);
    out.push_str("</string></value>");
}

/// Appends an integer value, as `<i8>` only if 32 bits are too few: many peers do not know it.
pub fn int(out: &mut String, number: i64) {
    plain(out, if i32::try_from(number).is_ok() { "int" } else { "i8" }, number);
}

/// Appends a boolean value.
pub fn boolean(out: &mut String, truth: bool) {
    out.push_str(if truth { "<value><boolean>1</boolean></value>" } else { "<value><boolean>0</boolean></value>" });
}

/// Appends the value for "no value".
pub fn nil(out: &mut String) {
    out.push_str("<value><nil/></value>");
}

/// Appends a double without an exponent, which XML-RPC does not allow; infinities and NaN as Python writes and reads them.
fn double(out: &mut String, number: f64) {
    if number.is_nan() {
        plain(out, "double", "nan");
    } else if number.is_finite() && number.fract() == 0.0 {
        plain(out, "double", format_args!("{number:.1}"));
    } else {
        plain(out, "double", number);
    }
}

/// Appends a value whose text needs no escaping.
fn plain(out: &mut String, tag: &str, content: impl std::fmt::Display) {
    // Writing to a String cannot fail.
    let _ = write!(out, "<value><{tag}>{content}</{tag}></value>");
}

/// Appends an array; `items` appends its values.
pub fn array(out: &mut String, items: impl FnOnce(&mut String)) {
    out.push_str("<value><array><data>");
    items(out);
    out.push_str("</data></array></value>");
}

/// Appends a struct; `members` appends them with [`member`].
pub fn structure(out: &mut String, members: impl FnOnce(&mut String)) {
    out.push_str("<value><struct>");
    members(out);
    out.push_str("</struct></value>");
}

/// Appends a member of a struct; `content` appends its one value.
pub fn member(out: &mut String, name: &str, content: impl FnOnce(&mut String)) {
    out.push_str("<member><name>");
    text(out, name);
    out.push_str("</name>");
    content(out);
    out.push_str("</member>");
}

/// Returns the document of a call.
pub fn call(method: &str, params: &[Value]) -> String {
    let mut out = String::with_capacity(256);
    out.push_str(DECLARATION);
    out.push_str("<methodCall><methodName>");
    text(&mut out, method);
    out.push_str("</methodName><params>");
    for param in params {
        out.push_str("<param>");
        value(&mut out, param);
        out.push_str("</param>");
    }
    out.push_str("</params></methodCall>");
    out
}

/// Appends the beginning of a reply, up to its one value.
pub fn response_start(out: &mut String) {
    out.push_str(DECLARATION);
    out.push_str("<methodResponse><params><param>");
}

/// Appends the end of a reply, after its one value.
pub fn response_end(out: &mut String) {
    out.push_str("</param></params></methodResponse>");
}

/// Returns the document of a reply around a value that is XML already.
pub fn response(value_xml: &str) -> String {
    let mut out = String::with_capacity(value_xml.len() + 128);
    response_start(&mut out);
    out.push_str(value_xml);
    response_end(&mut out);
    out
}

/// Returns the document of a reply that is a fault.
pub fn fault_document(fault: &Fault) -> String {
    let mut out = String::with_capacity(384);
    out.push_str(DECLARATION);
    out.push_str("<methodResponse><fault>");
    fault_value(&mut out, fault);
    out.push_str("</fault></methodResponse>");
    out
}

/// Appends a fault as a value, as it stands in its document and in the reply of `system.multicall`.
pub fn fault_value(out: &mut String, fault: &Fault) {
    structure(out, |out| {
        member(out, "faultCode", |out| int(out, fault.code.into()));
        member(out, "faultString", |out| string(out, &fault.message));
    });
}
