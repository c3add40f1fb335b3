//! The fast source: exactly the subset of XML that XML-RPC peers write, read in one pass without copying.
//!
//! The subset is: UTF-8, with one of a few declarations or none, spaces, tabs and line feeds, the elements of XML-RPC without
//! attributes, character data, the five predefined entities and the references to line breaks. Everything else (other
//! encodings, a byte order mark, `\r`, comments, CDATA, processing instructions, DOCTYPE, attributes, unknown elements, every
//! error) is an error here, and the caller gives the whole document to xml-rs instead. So this source never has to be right
//! about XML at large, only never to accept what xml-rs reads differently; the fuzz targets hold it to that.

use std::borrow::Cow;

use super::error::ReadError;
use super::token::{Source, Tag, Token};

/// Deeper documents are left to xml-rs, where the limits of the caller stop them.
const DEPTH: usize = 64;

/// The declarations with which nearly all peers begin.
const DECLARATIONS: [&str; 5] = [
    r#"<?xml version="1.0" encoding="UTF-8"?>"#,
    r#"<?xml version="1.0" encoding="utf-8"?>"#,
    r#"<?xml version="1.0"?>"#,
    r#"<?xml version="1.0" ?>"#,
    "<?xml version='1.0'?>",
];

/// The references that nearly all peers write.
const REFERENCES: [(&str, char); 7] =
    [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>'), ("&quot;", '"'), ("&apos;", '\''), ("&#10;", '\n'), ("&#13;", '\r')];

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
        let document = str::from_utf8(document).map_err(|_| not_mine())?;
        let at =
            DECLARATIONS.iter().find(|declaration| document.starts_with(**declaration)).map_or(0, |found| found.len());
        Ok(SubsetReader { document, at, open: [&[]; DEPTH], depth: 0, empty: false, root_seen: false })
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
        let length = rest.iter().position(|byte| !(byte.is_ascii_alphanumeric() || *byte == b'.'))?;
        let name = &rest[..length];
        let tag = Some(Tag::plain(name)).filter(|tag| *tag != Tag::Unknown)?;
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
        let (written, c) = REFERENCES.iter().find(|(written, _)| self.rest().starts_with(written.as_bytes()))?;
        self.at += written.len();
        Some(*c)
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
