//! The fast source: exactly the subset of XML that XML-RPC peers write, read in one pass without copying.
//!
//! The subset is: UTF-8 or US-ASCII, an optional declaration that says so, spaces, tabs and line feeds, the elements of XML-RPC
//! without attributes, character data, the five predefined entities and character references. Everything else (other
//! encodings, a byte order mark, `\r`, comments, CDATA, processing instructions, DOCTYPE, attributes, unknown elements, every
//! error) is an error here, and the caller gives the whole document to xml-rs instead. So this source never has to be right
//! about XML at large, only never to accept what xml-rs reads differently; the fuzz targets hold it to that.

use std::borrow::Cow;

use super::error::ReadError;
use super::token::{Source, Tag, Token};

/// Deeper documents are left to xml-rs, where the limits of the caller stop them.
const DEPTH: usize = 64;

/// The bytes of character data that need a closer look: markup, what XML forbids, and 0xEF, with which U+FFFE and U+FFFF
/// begin.
pub(super) static SPECIAL: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < b' ' as usize {
        table[byte] = byte != b'\t' as usize && byte != b'\n' as usize;
        byte += 1;
    }
    table[b'<' as usize] = true;
    table[b'&' as usize] = true;
    table[b'>' as usize] = true;
    table[0xEF] = true;
    table
};

pub(super) struct SubsetReader<'d> {
    document: &'d str,
    at: usize,
    /// The names of the open elements, `depth` of them.
    open: [&'d [u8]; DEPTH],
    depth: usize,
    /// If the element that was just started is an empty one, whose end comes next.
    empty: bool,
    root_seen: bool,
}

/// Returns the error for everything that is not in the subset. Nobody sees it, because xml-rs then reads the document.
fn not_mine() -> ReadError {
    ReadError::NotWellFormed(String::new())
}

impl<'d> SubsetReader<'d> {
    pub(super) fn new(document: &'d [u8]) -> Result<SubsetReader<'d>, ReadError> {
        let mut scan = SubsetReader {
            document: str::from_utf8(document).map_err(|_| not_mine())?,
            at: 0,
            open: [&[]; DEPTH],
            depth: 0,
            empty: false,
            root_seen: false,
        };
        if scan.skip(b"<?xml") {
            scan.declaration().ok_or_else(not_mine)?;
        }
        Ok(scan)
    }

    /// Reads the rest of `<?xml version="1.0" encoding="UTF-8"?>`, in which the encoding is optional.
    fn declaration(&mut self) -> Option<()> {
        self.white_space().then_some(())?;
        (self.quoted(b"version=")? == "1.0").then_some(())?;
        if self.white_space() && !self.rest().starts_with(b"?>") {
            let encoding = self.quoted(b"encoding=")?;
            let named = |names: [&str; 2]| names.iter().any(|name| encoding.eq_ignore_ascii_case(name));
            (named(["utf-8", "utf8"]) || named(["us-ascii", "ascii"]) && self.document.is_ascii()).then_some(())?;
            self.white_space();
        }
        self.skip(b"?>").then_some(())
    }

    /// Reads `name`, and returns the value that follows in quotes.
    fn quoted(&mut self, name: &[u8]) -> Option<&'d str> {
        self.skip(name).then_some(())?;
        let quote = char::from(*self.rest().first()?);
        matches!(quote, '"' | '\'').then_some(())?;
        let (value, _) = self.document[self.at + 1..].split_once(quote)?;
        self.at += value.len() + 2;
        Some(value)
    }

    fn rest(&self) -> &'d [u8] {
        &self.document.as_bytes()[self.at..]
    }

    fn skip(&mut self, expected: &[u8]) -> bool {
        let found = self.rest().starts_with(expected);
        if found {
            self.at += expected.len();
        }
        found
    }

    /// Skips white space. Returns whether there was any.
    fn white_space(&mut self) -> bool {
        let rest = self.rest();
        let length = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n')).count();
        self.at += length;
        length > 0
    }

    /// Reads a tag, from its `<` on.
    fn tag(&mut self) -> Option<Token<'d>> {
        self.at += 1;
        if self.skip(b"/") {
            let name = self.open[self.depth.checked_sub(1)?];
            self.skip(name).then_some(())?;
            self.white_space();
            self.skip(b">").then_some(())?;
            self.depth -= 1;
            return Some(Token::End);
        }
        if self.depth == 0 && self.root_seen {
            return None;
        }
        let rest = self.rest();
        let length = rest.iter().position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b':')))?;
        let name = &rest[..length];
        let tag = match name.strip_prefix(b"ex:") {
            // xml.rs binds the prefix at the root.
            Some(name) if self.root_seen => Tag::extension(name),
            _ => Tag::plain(name),
        };
        if tag == Tag::Unknown {
            return None;
        }
        self.at += length;
        self.white_space();
        self.empty = self.skip(b"/");
        self.skip(b">").then_some(())?;
        *self.open.get_mut(self.depth)? = name;
        self.depth += 1;
        self.root_seen = true;
        Some(Token::Start(tag))
    }

    /// Reads the character data up to the next tag.
    fn text(&mut self) -> Option<Cow<'d, str>> {
        // The text before `self.at`, if it had a reference in it.
        let mut done = String::new();
        loop {
            let rest = self.rest();
            let mut length = 0;
            let reference = loop {
                length += rest[length..].iter().position(|&byte| SPECIAL[usize::from(byte)])?;
                match rest[length] {
                    b'<' => break false,
                    b'&' => break true,
                    b'>' if !rest[..length].ends_with(b"]]") => length += 1,
                    0xEF if !matches!(rest[length..], [_, 0xBF, 0xBE | 0xBF, ..]) => length += 1,
                    _ => return None,
                }
            };
            let run = &self.document[self.at..self.at + length];
            self.at += length;
            if reference {
                done.push_str(run);
                done.push(self.reference()?);
            } else if done.is_empty() {
                return Some(Cow::Borrowed(run));
            } else {
                done.push_str(run);
                return Some(Cow::Owned(done));
            }
        }
    }

    /// Reads a reference, from its `&` on.
    fn reference(&mut self) -> Option<char> {
        let rest = &self.rest()[1..];
        // The longest useful ones are `&#x10FFFF;` and `&#1114111;`.
        let length = rest.iter().take(9).position(|&byte| byte == b';')?;
        let name = &self.document[self.at + 1..self.at + 1 + length];
        self.at += length + 2;
        let (digits, radix) = match (name, name.strip_prefix("#x"), name.strip_prefix('#')) {
            ("lt", ..) => return Some('<'),
            ("gt", ..) => return Some('>'),
            ("amp", ..) => return Some('&'),
            ("quot", ..) => return Some('"'),
            ("apos", ..) => return Some('\''),
            (_, Some(digits), _) => (digits, 16),
            (_, _, Some(digits)) => (digits, 10),
            _ => return None,
        };
        // Parsing alone would accept a sign.
        digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(())?;
        let c = char::from_u32(u32::from_str_radix(digits, radix).ok()?)?;
        super::write::is_allowed(c).then_some(c)
    }
}

impl<'d> Source<'d> for SubsetReader<'d> {
    fn next(&mut self) -> Result<Token<'d>, ReadError> {
        if self.empty {
            self.empty = false;
            self.depth -= 1;
            return Ok(Token::End);
        }
        if self.depth == 0 {
            self.white_space();
        }
        match self.rest().first() {
            Some(b'<') => self.tag(),
            Some(_) if self.depth > 0 => self.text().map(Token::Text),
            None if self.depth == 0 && self.root_seen => Some(Token::Eof),
            _ => None,
        }
        .ok_or_else(not_mine)
    }

    fn position(&self) -> usize {
        self.at
    }
}
