//! A message as a JSON object on one line (RFC 8259).

use std::fmt::Write as _;

use crate::client::event::Message;

/// Returns the object, with the members that the server sends and the room. `room_id` and `id` together are unique. A
/// `confirmed` message is the user's own, and has neither of them.
pub(super) fn message(room: &str, message: &Message, confirmed: bool) -> String {
    let optional = |text: Option<&String>| text.map_or_else(|| "null".to_owned(), |text| string(text));
    let mut members = vec![
        ("room", string(room)),
        ("room_id", optional(message.room_id.as_ref())),
        ("id", message.id.map_or_else(|| "null".to_owned(), |id| id.to_string())),
        ("origin", string(&message.origin)),
        ("destination", optional(message.destination.as_ref())),
        ("content", string(&message.content)),
        ("time", optional(message.time.as_ref())),
        ("timestamp", string(&message.timestamp)),
    ];
    if confirmed {
        members.push(("confirmed", "true".to_owned()));
    }
    let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}\n", members.join(","))
}

/// Returns a string that is exact for a program and harmless for a terminal: characters beyond ASCII other than letters and
/// digits are escaped.
fn string(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            _ if c.is_alphanumeric() => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_exact_and_harmless() {
        for (text, json) in [
            ("olá", r#""olá""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("\x1b[2J\n\0", r#""\u001b[2J\u000a\u0000""#),
            ("\u{202e}\u{9b}\u{7f}", r#""\u202e\u009b\u007f""#),
            ("🚀", r#""\ud83d\ude80""#),
        ] {
            assert_eq!(string(text), json);
        }
    }
}
