//! The grammar of calls and responses, over either source of tokens.

use std::borrow::Cow;
use std::num::IntErrorKind;

use base64ct::{Base64Unpadded, Encoding as _};

use super::error::ReadError;
use super::fault::Fault;
use super::scan::SubsetReader;
use super::token::{Source, Tag, Token};
use super::value::{DateTime, Value, is_white_space};
use super::xml::XmlRsReader;

/// A call as it was received.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The name of the procedure.
    pub method: String,
    /// The parameters in their order.
    pub params: Vec<Value>,
}

/// Limits on the work that a document can cause. Its length is limited where it is received.
///
/// The default is meant for calls. A reply can need more elements: 26 for each message, 2 for each name in a list.
#[derive(Debug, Clone)]
pub struct DocumentLimits {
    /// The greatest depth of nested elements, the root included. 64 by default.
    pub depth: usize,
    /// The greatest number of elements. 10,000 by default.
    pub elements: usize,
}

impl Default for DocumentLimits {
    fn default() -> DocumentLimits {
        DocumentLimits { depth: 64, elements: 10_000 }
    }
}

/// Reads a call.
///
/// Accepts more than the letter of the specification: 64 bits in every integer type, `true` and `false` as booleans, white
/// space and a `+` around and before numbers, `<array/>` without `<data>`, attributes, and the forms that [`DateTime::parse`]
/// and [`Value::Double`] name.
///
/// # Errors
/// See [`ReadError`].
pub fn read_call(body: &[u8], limits: &DocumentLimits) -> Result<Call, ReadError> {
    read(body, limits, |reader| reader.call())
}

/// Reads a reply: a value or a fault. A reply without a value, which some servers send, is [`Value::Nil`].
///
/// # Errors
/// See [`ReadError`].
pub fn read_response(body: &[u8], limits: &DocumentLimits) -> Result<Result<Value, Fault>, ReadError> {
    read(body, limits, |reader| reader.response())
}

/// Reads a call without the fast path, for comparison with [`read_call`].
#[doc(hidden)]
pub fn read_call_with_xml_rs(body: &[u8], limits: &DocumentLimits) -> Result<Call, ReadError> {
    read_with_xml_rs(body, limits, |reader| reader.call())
}

/// Reads a reply without the fast path, for comparison with [`read_response`].
#[doc(hidden)]
pub fn read_response_with_xml_rs(body: &[u8], limits: &DocumentLimits) -> Result<Result<Value, Fault>, ReadError> {
    read_with_xml_rs(body, limits, |reader| reader.response())
}

/// Reads one kind of document.
type Grammar<T> = fn(&mut DocumentReader<'_, '_>) -> Result<T, ReadError>;

fn read<T>(body: &[u8], limits: &DocumentLimits, grammar: Grammar<T>) -> Result<T, ReadError> {
    let scanned = SubsetReader::new(body)
        .and_then(|mut source| grammar(&mut DocumentReader { source: &mut source, limits, depth: 0, elements: 0 }));
    match scanned {
        // Both sources count alike, so what is too much for one is too much for the other.
        Ok(_) | Err(ReadError::TooMuch(_)) => scanned,
        Err(_) => read_with_xml_rs(body, limits, grammar),
    }
}

fn read_with_xml_rs<T>(body: &[u8], limits: &DocumentLimits, grammar: Grammar<T>) -> Result<T, ReadError> {
    let mut source = XmlRsReader::new(body);
    let mut reader = DocumentReader { source: &mut source, limits, depth: 0, elements: 0 };
    let result = grammar(&mut reader);
    reader.or_not_even_xml(result)
}

/// Reads base64 (RFC 4648). Peers disagree on whether the end is padded; but padding that is there must be right.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    let bare = text.trim_end_matches('=');
    let is_padded = text.len() > bare.len();
    if is_padded && !(text.len().is_multiple_of(4) && text.len() - bare.len() <= 2) {
        return None;
    }
    Base64Unpadded::decode_vec(bare).ok()
}

/// The grammar. It alone counts against the limits.
struct DocumentReader<'r, 'd> {
    /// Behind a pointer, so that a program has the grammar once and not for each source.
    source: &'r mut dyn Source<'d>,
    limits: &'r DocumentLimits,
    depth: usize,
    elements: usize,
}

impl<'d> DocumentReader<'_, 'd> {
    fn call(&mut self) -> Result<Call, ReadError> {
        self.open(Tag::MethodCall, "<methodCall>")?;
        self.open(Tag::MethodName, "<methodName>")?;
        let method = self.text()?.trim_matches(is_white_space).to_owned();
        if method.is_empty() {
            return Err(self.wrong("an empty <methodName>"));
        }
        let mut params = Vec::new();
        if self.child(Tag::Params, "<params>")? {
            while self.child(Tag::Param, "<param>")? {
                params.push(self.only_value()?);
            }
            self.close()?;
        }
        self.close()?;
        Ok(Call { method, params })
    }

    fn response(&mut self) -> Result<Result<Value, Fault>, ReadError> {
        self.open(Tag::MethodResponse, "<methodResponse>")?;
        let response = match self.any_child()? {
            Some(Tag::Params) => {
                if self.child(Tag::Param, "<param>")? {
                    let value = self.only_value()?;
                    self.close()?;
                    Ok(value)
                } else {
                    Ok(Value::Nil)
                }
            }
            Some(Tag::Fault) => {
                let value = self.only_value()?;
                Err(self.fault(&value)?)
            }
            _ => return Err(self.wrong("neither <params> nor <fault>")),
        };
        self.close()?;
        self.close()?;
        Ok(response)
    }

    fn fault(&self, value: &Value) -> Result<Fault, ReadError> {
        let code = value.member("faultCode").and_then(Value::as_int);
        let message = value.member("faultString").and_then(Value::as_str);
        match (code.map(i32::try_from), message) {
            (Some(Ok(code)), Some(message)) => Ok(Fault::new(code, message)),
            _ => Err(self.wrong("a <fault> without an int faultCode and a string faultString")),
        }
    }

    /// Reads the one value inside an element that was started, and the end of that element.
    fn only_value(&mut self) -> Result<Value, ReadError> {
        self.open(Tag::Value, "<value>")?;
        let value = self.value()?;
        self.close()?;
        Ok(value)
    }

    /// Reads the rest of a `<value>`.
    fn value(&mut self) -> Result<Value, ReadError> {
        let mut text = Cow::Borrowed("");
        loop {
            match self.next()? {
                Token::Text(more) => append(&mut text, more),
                // Without a type it is a string, white space included.
                Token::End | Token::Eof => return Ok(Value::String(text.into_owned())),
                Token::Start(_) if !text.trim_matches(is_white_space).is_empty() => {
                    return Err(self.wrong("text beside the type of a <value>"));
                }
                Token::Start(tag) => {
                    let value = self.typed(tag)?;
                    self.close()?;
                    return Ok(value);
                }
            }
        }
    }

    /// Reads the rest of an element that gives the type of a value.
    fn typed(&mut self, tag: Tag) -> Result<Value, ReadError> {
        match tag {
            Tag::String => Ok(Value::String(self.text()?.into_owned())),
            Tag::Int => self.int(),
            Tag::Boolean => match self.text()?.trim_matches(is_white_space) {
                "1" | "true" => Ok(Value::Boolean(true)),
                "0" | "false" => Ok(Value::Boolean(false)),
                _ => Err(self.wrong("a <boolean> that is neither 0 nor 1")),
            },
            Tag::Double => self.double(),
            Tag::DateTime => {
                let text = self.text()?;
                let time = DateTime::parse(&text).ok_or_else(|| self.wrong("a <dateTime.iso8601> that is none"))?;
                Ok(Value::DateTime(time))
            }
            Tag::Base64 => {
                let mut text = self.text()?.into_owned();
                text.retain(|c| !is_white_space(c));
                Ok(Value::Base64(base64(&text).ok_or_else(|| self.wrong("a <base64> that is none"))?))
            }
            Tag::Nil => {
                self.close()?;
                Ok(Value::Nil)
            }
            Tag::Array => self.array(),
            Tag::Struct => self.structure(),
            _ => Err(self.wrong("an element that is not a type")),
        }
    }

    fn int(&mut self) -> Result<Value, ReadError> {
        let text = self.text()?;
        let number = text.trim_matches(is_white_space).parse();
        number.map(Value::Int).map_err(|error| match error.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => self.too_much("an integer of more than 64 bits"),
            _ => self.wrong("an integer that is none"),
        })
    }

    fn double(&mut self) -> Result<Value, ReadError> {
        let text = self.text()?;
        let number: f64 =
            text.trim_matches(is_white_space).parse().map_err(|_| self.wrong("a <double> that is none"))?;
        if number.is_infinite() && text.contains(|c: char| c.is_ascii_digit()) {
            return Err(self.too_much("a <double> beyond the range of 64 bits"));
        }
        Ok(Value::Double(number))
    }

    fn array(&mut self) -> Result<Value, ReadError> {
        let mut items = Vec::new();
        if self.child(Tag::Data, "<data>")? {
            while self.child(Tag::Value, "<value>")? {
                items.push(self.value()?);
            }
            self.close()?;
        }
        Ok(Value::Array(items))
    }

    fn structure(&mut self) -> Result<Value, ReadError> {
        let mut members = Vec::new();
        while self.child(Tag::Member, "<member>")? {
            let (mut name, mut value) = (None, None);
            loop {
                match self.any_child()? {
                    Some(Tag::Name) if name.is_none() => name = Some(self.text()?.into_owned()),
                    Some(Tag::Value) if value.is_none() => value = Some(self.value()?),
                    Some(_) => {
                        return Err(self.wrong("something else than one <name> and one <value> in a <member>"));
                    }
                    None => break,
                }
            }
            match (name, value) {
                (Some(name), Some(value)) => members.push((name, value)),
                _ => return Err(self.wrong("a <member> without <name> or <value>")),
            }
        }
        Ok(Value::Struct(members))
    }

    /// Reads the text up to the end of the element that was started.
    fn text(&mut self) -> Result<Cow<'d, str>, ReadError> {
        let mut text = Cow::Borrowed("");
        loop {
            match self.next()? {
                Token::Text(more) => append(&mut text, more),
                Token::End | Token::Eof => return Ok(text),
                Token::Start(_) => return Err(self.wrong("an element where only text belongs")),
            }
        }
    }

    /// Starts the next element and returns it, or ends the one around it and returns `None`.
    fn any_child(&mut self) -> Result<Option<Tag>, ReadError> {
        loop {
            match self.next()? {
                Token::Start(tag) => return Ok(Some(tag)),
                Token::End | Token::Eof => return Ok(None),
                Token::Text(text) if text.trim_matches(is_white_space).is_empty() => {}
                Token::Text(_) => return Err(self.wrong("text where none belongs")),
            }
        }
    }

    /// Starts the next element, which must be `tag`, and returns `true`; or ends the one around it and returns `false`.
    fn child(&mut self, tag: Tag, name: &str) -> Result<bool, ReadError> {
        match self.any_child()? {
            Some(found) if found == tag => Ok(true),
            Some(_) => Err(self.wrong(&format!("another element instead of {name}"))),
            None => Ok(false),
        }
    }

    /// Starts the next element, which must be `tag`.
    fn open(&mut self, tag: Tag, name: &str) -> Result<(), ReadError> {
        match self.child(tag, name)? {
            true => Ok(()),
            false => Err(self.wrong(&format!("no {name}"))),
        }
    }

    /// Ends the element that was started, which must have nothing more in it; after the root, the document.
    fn close(&mut self) -> Result<(), ReadError> {
        match self.any_child()? {
            None => Ok(()),
            Some(_) => Err(self.wrong("an element too many")),
        }
    }

    fn next(&mut self) -> Result<Token<'d>, ReadError> {
        let token = self.source.next()?;
        match token {
            Token::Start(_) => {
                self.depth += 1;
                self.elements += 1;
                if self.depth > self.limits.depth {
                    return Err(self.too_much(&format!("elements nested deeper than {}", self.limits.depth)));
                }
                if self.elements > self.limits.elements {
                    return Err(self.too_much(&format!("more than {} elements", self.limits.elements)));
                }
            }
            Token::End => self.depth -= 1,
            Token::Text(_) | Token::Eof => {}
        }
        Ok(token)
    }

    /// Returns `result`; an error of the grammar becomes an error of XML if the rest of the document is not well-formed.
    fn or_not_even_xml<T>(&mut self, result: Result<T, ReadError>) -> Result<T, ReadError> {
        while let Err(ReadError::NotACall(_)) = result {
            match self.next() {
                Ok(Token::Eof) | Err(ReadError::TooMuch(_)) => break,
                Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
        result
    }

    fn wrong(&self, what: &str) -> ReadError {
        ReadError::NotACall(format!("{what} at byte {}", self.source.position()))
    }

    fn too_much(&self, what: &str) -> ReadError {
        ReadError::TooMuch(format!("{what} at byte {}", self.source.position()))
    }
}

fn append<'d>(text: &mut Cow<'d, str>, more: Cow<'d, str>) {
    if text.is_empty() {
        *text = more;
    } else {
        text.to_mut().push_str(&more);
    }
}
