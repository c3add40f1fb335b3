//! Decodes keys from the bytes that a terminal sends.

/// A key, or something else that a terminal sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// A character; with Ctrl, its control character.
    Char(char),
    /// A character with Alt.
    Alt(char),
    Up,
    Down,
    Left,
    Right,
    WordLeft,
    WordRight,
    Home,
    End,
    Delete,
    /// A pasted text.
    Paste(String),
    /// The column of the cursor, from 0, in reply to [`WHERE`].
    CursorColumn(usize),
}

/// Begin and end the bracketing of pasted texts (`XTerm`).
pub(super) const PASTE_ON: &str = "\x1b[?2004h";
pub(super) const PASTE_OFF: &str = "\x1b[?2004l";
/// Asks for the position of the cursor (ECMA-48, device status report).
pub(super) const WHERE: &str = "\x1b[6n";
/// Takes the cursor to the last column.
pub(super) const RIGHT_MARGIN: &str = "\x1b[999C";

/// The most bytes of one escape sequence. Longer ones are dropped.
const MAX_SEQUENCE: usize = 32;
/// The most bytes of one pasted text. The rest is dropped.
const MAX_PASTE: usize = 1 << 20;

const ESCAPE: u8 = 0x1b;

/// Turns bytes into keys. A sequence may be cut between two reads. An Esc alone is no key, but the beginning of a sequence.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// The sequence or character that is not complete yet.
    pending: Vec<u8>,
    /// The text of a paste that has not ended yet.
    paste: Option<Vec<u8>>,
}

impl Decoder {
    /// Returns the key that ends with `byte`, if one does.
    pub(super) fn feed(&mut self, byte: u8) -> Option<Key> {
        if let Some(text) = &mut self.paste {
            const END: &[u8] = b"\x1b[201~";
            text.push(byte);
            if text.ends_with(END) {
                text.truncate(text.len() - END.len());
                return self.paste.take().map(|text| Key::Paste(pasted(&text)));
            }
            if text.len() > MAX_PASTE + END.len() {
                text.remove(MAX_PASTE);
            }
            return None;
        }
        if byte == ESCAPE {
            self.pending.clear();
        }
        self.pending.push(byte);
        let key = match &self.pending[..] {
            [ESCAPE] | [ESCAPE, b'[' | b'O'] => return None,
            [ESCAPE, b'[', parameters @ .., last] if (0x40..=0x7e).contains(last) => {
                if parameters == b"200" && *last == b'~' {
                    self.paste = Some(Vec::new());
                }
                sequence(parameters, *last)
            }
            [ESCAPE, b'[', ..] if self.pending.len() < MAX_SEQUENCE => return None,
            [ESCAPE, b'[', ..] => None,
            [ESCAPE, b'O', last] => sequence(b"", *last),
            [ESCAPE, rest @ ..] => character(rest)?.map(Key::Alt),
            bytes => character(bytes)?.map(Key::Char),
        };
        self.pending.clear();
        key
    }
}

/// Returns the character of `bytes`; `Some(None)` if they are invalid, and `None` if they are incomplete.
fn character(bytes: &[u8]) -> Option<Option<char>> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text.chars().next()),
        Err(error) if error.error_len().is_none() => None,
        Err(_) => Some(None),
    }
}

/// Returns the key of a control sequence.
fn sequence(parameters: &[u8], last: u8) -> Option<Key> {
    let mut numbers = parameters.split(|byte| *byte == b';').map(|part| std::str::from_utf8(part).ok()?.parse().ok());
    let (first, second): (Option<usize>, Option<usize>) = (numbers.next().flatten(), numbers.next().flatten());
    // With Shift, Alt or Ctrl the second number is more than 1.
    let moves_word = second.is_some_and(|modifier| modifier > 2);
    Some(match last {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' if moves_word => Key::WordRight,
        b'D' if moves_word => Key::WordLeft,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        b'R' => Key::CursorColumn(second?.checked_sub(1)?),
        b'~' => match first? {
            1 | 7 => Key::Home,
            3 => Key::Delete,
            4 | 8 => Key::End,
            _ => return None,
        },
        _ => return None,
    })
}

/// Returns a pasted text with line feeds for line breaks and spaces for tabs, without other controls.
fn pasted(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text).replace("\r\n", "\n").replace('\r', "\n").replace('\t', " ");
    text.chars().filter(|c| !c.is_control() || *c == '\n').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut decoder = Decoder::default();
        bytes.iter().filter_map(|byte| decoder.feed(*byte)).collect()
    }

    #[test]
    fn keys_are_what_terminals_send_for_them() {
        for (bytes, wanted) in [
            (&b"a\r"[..], &[Key::Char('a'), Key::Char('\r')][..]),
            ("é漢🚀".as_bytes(), &[Key::Char('é'), Key::Char('漢'), Key::Char('🚀')]),
            (b"\x1b[A\x1bOB", &[Key::Up, Key::Down]),
            (b"\x1b[1;5C\x1b[1;3D\x1b[1;2C", &[Key::WordRight, Key::WordLeft, Key::Right]),
            (b"\x1b[3~\x1b[1~\x1b[4~\x1bOH", &[Key::Delete, Key::Home, Key::End, Key::Home]),
            (b"\x1bb\x1b\xc3\xa9", &[Key::Alt('b'), Key::Alt('é')]),
            (b"\x1b[12;40R", &[Key::CursorColumn(39)]),
            (b"\x1b[200~one\r\ntwo\tthree\x1b\x07\x1b[201~x", &[Key::Paste("one\ntwo three".into()), Key::Char('x')]),
            // Nothing that is unknown or broken takes what follows with it.
            (b"\x1b[99~a\x1b[?1;2cb", &[Key::Char('a'), Key::Char('b')]),
            (b"\xff\xfea", &[Key::Char('a')]),
            (b"\x1b\x1b[Aa", &[Key::Up, Key::Char('a')]),
            (b"\x1b[1\x1b[Aa", &[Key::Up, Key::Char('a')]),
        ] {
            assert_eq!(keys(bytes), wanted, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn no_input_grows_without_bound() {
        let mut decoder = Decoder::default();
        for byte in b"\x1b[".iter().chain([b'1'; 1000].iter()) {
            decoder.feed(*byte);
        }
        assert!(decoder.pending.len() <= MAX_SEQUENCE);
    }
}
