//! A message as a JSON object on one line (RFC 8259).

use std::fmt::Write as _;

use crate::client::event::Message;

/// Returns the object, with the members that the server sends and the room. `room_id` and `id` together are unique. A
/// `confirmed` message is the user's own, and has neither of them.
pub(super) fn message(room: &str, message: &Message, confirmed: bool) -> String {
    let mut out = String::from("{\"room\":");
    string(&mut out, room);
    out.push_str(",\"room_id\":");
    string_or_null(&mut out, message.room_id.as_deref());
    let _ = match message.id {
        Some(id) => write!(out, ",\"id\":{id}"),
        None => write!(out, ",\"id\":null"),
    };
    out.push_str(",\"origin\":");
    string(&mut out, &message.origin);
    out.push_str(",\"destination\":");
    string_or_null(&mut out, message.destination.as_deref());
    out.push_str(",\"content\":");
    string(&mut out, &message.content);
    out.push_str(",\"time\":");
    string_or_null(&mut out, message.time.as_deref());
    out.push_str(",\"timestamp\":");
    string(&mut out, &message.timestamp);
    out.push_str(if confirmed { ",\"confirmed\":true}\n" } else { "}\n" });
    out
}

fn string_or_null(out: &mut String, text: Option<&str>) {
    match text {
        Some(text) => string(out, text),
        None => out.push_str("null"),
    }
}

/// Writes a string that is exact for a program and harmless for a terminal: characters beyond ASCII other than letters and
/// digits are escaped.
fn string(out: &mut String, text: &str) {
    out.push('"');
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
            let mut out = String::new();
            string(&mut out, text);
            assert_eq!(out, json);
        }
    }
}
