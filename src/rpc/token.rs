//! The tokens of a document. Both sources hand these to the grammar, so that they can differ in nothing else.

use std::borrow::Cow;

use super::error::ReadError;

/// One step through a document. Attributes, comments and processing instructions are not part of XML-RPC and are left out.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'d> {
    Start(Tag),
    End,
    /// Character data without references. Text that belongs together may come in several pieces.
    Text(Cow<'d, str>),
    /// The end of a document that was well-formed.
    Eof,
}

/// A document as tokens. Start and end match, nothing but white space stands outside the one root.
pub(super) trait Source<'d> {
    fn next(&mut self) -> Result<Token<'d>, ReadError>;

    /// Returns the number of bytes that were read, for messages.
    fn position(&self) -> usize;
}

/// The elements of XML-RPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    MethodCall,
    MethodResponse,
    MethodName,
    Params,
    Param,
    Fault,
    Value,
    Int,
    Boolean,
    String,
    Double,
    DateTime,
    Base64,
    Nil,
    Array,
    Data,
    Struct,
    Member,
    Name,
    Unknown,
}

impl Tag {
    /// Returns the element of this name without a prefix.
    pub(super) fn plain(name: &[u8]) -> Tag {
        match name {
            b"value" => Tag::Value,
            b"string" => Tag::String,
            b"param" => Tag::Param,
            b"params" => Tag::Params,
            b"member" => Tag::Member,
            b"name" => Tag::Name,
            b"int" | b"i4" | b"i8" | b"i1" | b"i2" | b"biginteger" => Tag::Int,
            b"boolean" => Tag::Boolean,
            b"double" => Tag::Double,
            b"dateTime.iso8601" => Tag::DateTime,
            b"base64" => Tag::Base64,
            b"nil" => Tag::Nil,
            b"array" => Tag::Array,
            b"data" => Tag::Data,
            b"struct" => Tag::Struct,
            b"methodCall" => Tag::MethodCall,
            b"methodName" => Tag::MethodName,
            b"methodResponse" => Tag::MethodResponse,
            b"fault" => Tag::Fault,
            _ => Tag::Unknown,
        }
    }

    /// Returns the element of this name in the namespace of the Apache extensions, customarily with the prefix `ex`.
    pub(super) fn extension(name: &[u8]) -> Tag {
        match name {
            b"nil" => Tag::Nil,
            b"i1" | b"i2" | b"i8" | b"biginteger" => Tag::Int,
            b"float" => Tag::Double,
            b"dateTime" => Tag::DateTime,
            _ => Tag::Unknown,
        }
    }
}
