//! The source for every document that [`scan`](super::scan) does not know: xml-rs, within bounds.
//!
//! The only file that names xml-rs. It accepts XML 1.0 in UTF-8, UTF-16 with a byte order mark, US-ASCII and ISO-8859-1.

use std::borrow::Cow;
use std::io::{self, Read};

use xml::common::XmlVersion;
use xml::name::OwnedName;
use xml::reader::{Error, ErrorKind, EventReader, ParserConfig, XmlEvent};

use super::error::ReadError;
use super::token::{Source, Tag, Token};

/// The namespace of `ex:nil` and its like.
const EXTENSIONS: &str = "http://ws.apache.org/xmlrpc/namespaces/extensions";

/// The names of encodings are compared here, because xml-rs also accepts beginnings and continuations of those that it knows.
const ENCODINGS: [&str; 8] = ["utf-8", "utf8", "utf-16", "utf16", "us-ascii", "ascii", "iso-8859-1", "latin1"];

/// More attributes on one element than any peer writes.
const MAX_ATTRIBUTES: usize = 16;

/// A longer name or attribute than any peer writes, in bytes.
const MAX_NAME: usize = 256;

/// Namespace declarations up to this number cost too little to be counted.
const FREE_NAMESPACES: usize = 16;

/// For every element xml-rs copies all declarations that are in force. Without a limit on those copies the cost of a document
/// would grow with the square of its length: 4.5 s for 67 KB.
const MAX_COPIES: usize = 5_000;

pub(super) struct XmlRsReader<'d> {
    events: EventReader<Guarded<'d>>,
    /// The greatest number of namespace declarations that can have been copied.
    copies: usize,
}

impl<'d> XmlRsReader<'d> {
    pub(super) fn new(document: &'d [u8]) -> XmlRsReader<'d> {
        let config = ParserConfig::new()
            .whitespace_to_characters(true)
            .cdata_to_characters(true)
            .allow_multiple_root_elements(false)
            .max_entity_expansion_length(0)
            .max_entity_expansion_depth(0)
            .max_attributes(MAX_ATTRIBUTES)
            .max_attribute_length(MAX_NAME)
            .max_name_length(MAX_NAME)
            // Nothing is expanded, so nothing is longer than the document.
            .max_data_length(document.len());
        XmlRsReader { events: EventReader::new_with_config(Guarded::new(document), config), copies: 0 }
    }

    fn refused(&self, what: &str) -> ReadError {
        ReadError::NotWellFormed(format!("{what} at byte {}", self.position()))
    }

    fn start(&mut self, name: &OwnedName) -> Result<Token<'d>, ReadError> {
        let source = self.events.source_mut();
        source.in_prolog = false;
        if source.namespaces > FREE_NAMESPACES {
            self.copies += source.namespaces;
        }
        if self.copies > MAX_COPIES {
            let what = format!("too many namespaces at byte {}", self.position());
            return Err(ReadError::TooMuch(what));
        }
        let local = name.local_name.as_bytes();
        Ok(Token::Start(match (&name.prefix, name.namespace.as_deref()) {
            (None, _) => Tag::plain(local),
            (_, Some(EXTENSIONS)) => Tag::extension(local),
            _ => Tag::Unknown,
        }))
    }
}

impl<'d> Source<'d> for XmlRsReader<'d> {
    fn next(&mut self) -> Result<Token<'d>, ReadError> {
        loop {
            return match self.events.next().map_err(|error| self.refused(words(&error)))? {
                XmlEvent::StartDocument { version: XmlVersion::Version11, .. } => {
                    Err(self.refused("a version of XML other than 1.0"))
                }
                XmlEvent::StartDocument { encoding, .. }
                    if !ENCODINGS.iter().any(|name| encoding.eq_ignore_ascii_case(name)) =>
                {
                    Err(self.refused("an encoding other than UTF-8, UTF-16, US-ASCII and ISO-8859-1"))
                }
                XmlEvent::StartElement { name, .. } => self.start(&name),
                XmlEvent::EndElement { .. } => Ok(Token::End),
                XmlEvent::Characters(text) | XmlEvent::CData(text) | XmlEvent::Whitespace(text) => {
                    Ok(Token::Text(Cow::Owned(text)))
                }
                XmlEvent::EndDocument => Ok(Token::Eof),
                XmlEvent::Doctype { .. } => Err(self.refused(DOCTYPE)),
                XmlEvent::StartDocument { .. } | XmlEvent::ProcessingInstruction { .. } | XmlEvent::Comment(_) => {
                    continue;
                }
            };
        }
    }

    fn position(&self) -> usize {
        self.events.source().at
    }
}

const DOCTYPE: &str = "a document type declaration, which is not accepted,";

/// Returns the error in words that are known here, without anything that the peer wrote.
fn words(error: &Error) -> &'static str {
    const KNOWN: [(&str, &str); 10] = [
        ("Unexpected closing tag", "an end tag that does not match"),
        ("Unexpected end of stream", "an end of the document before that of an element"),
        ("Unexpected EOF", "an end of the document before that of an element"),
        ("Unexpected characters outside", "text outside the root element"),
        ("Unexpected entity", "an unknown entity"),
        ("Invalid character", "a character that XML forbids"),
        ("Invalid numeric entity", "a character reference that is none"),
        ("Unsupported encoding", "an encoding other than UTF-8, UTF-16, US-ASCII and ISO-8859-1"),
        ("Declared encoding", "a declared encoding that the bytes contradict"),
        ("This document is larger", "too many attributes or too long ones"),
    ];
    let text = match error.kind() {
        ErrorKind::Utf8(_) => return "bytes that are not UTF-8",
        ErrorKind::UnexpectedEof => "Unexpected EOF",
        ErrorKind::Syntax(text) => text,
        ErrorKind::Io(error) if error.to_string() == DOCTYPE => return DOCTYPE,
        _ => return "bytes that are not in the declared encoding",
    };
    let known = KNOWN.iter().find(|(beginning, _)| text.starts_with(beginning));
    known.map_or("a syntax error", |(_, words)| words)
}

/// The document on its way to xml-rs, which takes it byte by byte.
///
/// A document type declaration must not even be read to its end: xml-rs expands parameter entities in it without any limit
/// before it reports the declaration. So the reading ends where one begins, which can only be before the root element. (In a
/// comment there it would be harmless and is refused all the same.)
struct Guarded<'d> {
    document: &'d [u8],
    at: usize,
    /// If no element has begun yet.
    in_prolog: bool,
    /// The part of [`Self::BINDING`] that is still to be read.
    inserted: &'static [u8],
    /// The number of times that the word for a namespace declaration was read, in any place.
    namespaces: usize,
}

impl<'d> Guarded<'d> {
    /// Binds `ex` on the root element, because some peers write `<ex:nil/>` without a binding. If the peer did bind it, xml-rs
    /// stays with this first binding.
    const BINDING: &'static [u8] = b" xmlns:ex=\"http://ws.apache.org/xmlrpc/namespaces/extensions\"";
    const ROOTS: [&'static [u8]; 2] = [b"<methodCall", b"<methodResponse"];
    /// The beginning of a document type declaration in all encodings but UTF-16, and in UTF-16.
    const DOCTYPE: [&'static [u8]; 2] = [b"<!D", b"<\0!\0D"];
    /// The same of a namespace declaration.
    const NAMESPACE: [&'static [u8]; 2] = [b"xmlns", b"x\0m\0l\0n\0s"];

    fn new(document: &'d [u8]) -> Guarded<'d> {
        Guarded { document, at: 0, in_prolog: true, inserted: &[], namespaces: 0 }
    }

    fn at_the_end_of_the_name_of_the_root(&self) -> bool {
        let (before, after) = self.document.split_at(self.at);
        matches!(after.first(), Some(b'>' | b'/' | b' ' | b'\t' | b'\r' | b'\n'))
            && Self::ROOTS.iter().any(|root| before.ends_with(root))
    }
}

impl Read for Guarded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.inserted.is_empty() {
            return self.inserted.read(buffer);
        }
        let rest = &self.document[self.at..];
        let begins = |words: [&[u8]; 2]| words.iter().any(|word| rest.starts_with(word));
        if self.in_prolog && begins(Self::DOCTYPE) {
            return Err(io::Error::other(DOCTYPE));
        }
        self.namespaces += usize::from(begins(Self::NAMESPACE));
        let (Some(byte), Some(place)) = (rest.first(), buffer.first_mut()) else {
            return Ok(0);
        };
        *place = *byte;
        self.at += 1;
        if self.in_prolog && self.at_the_end_of_the_name_of_the_root() {
            self.inserted = Self::BINDING;
        }
        Ok(1)
    }
}
