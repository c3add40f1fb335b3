//! The parameters of the chat's procedures, checked before a handler runs.

use super::entry::IdempotencyKey;
use super::name::{NameError, RoomName, UserName};
use super::refusal::Refusal;
use crate::rpc::{Fault, Param, Value, forbidden_char};

/// The one place where the reason against a name becomes a fault.
impl From<NameError> for Fault {
    fn from(error: NameError) -> Self {
        Self::new(Self::BAD_NAME, error.to_string())
    }
}

impl Param for UserName {
    const TYPE: &'static str = "string";
    fn from_value(value: Option<Value>, name: &str) -> Result<Self, Fault> {
        Ok(Self::parse(&String::from_value(value, name)?)?)
    }
}

impl Param for RoomName {
    const TYPE: &'static str = "string";
    fn from_value(value: Option<Value>, name: &str) -> Result<Self, Fault> {
        Ok(Self::parse(&String::from_value(value, name)?)?)
    }
}

/// The text of a message, without the characters that XML forbids: no response could carry them.
#[derive(Debug)]
pub(super) struct Text(pub(super) String);

impl Param for Text {
    const TYPE: &'static str = "string";
    fn from_value(value: Option<Value>, name: &str) -> Result<Self, Fault> {
        let text = String::from_value(value, name)?;
        match forbidden_char(&text) {
            None => Ok(Self(text)),
            Some(c) => Err(Fault::new(
                Fault::BAD_PARAMS,
                format!("{name} has a character that XML forbids: U+{:04X}", u32::from(c)),
            )),
        }
    }
}

/// An idempotency key; an empty string or nothing at all is none.
#[derive(Debug)]
pub(super) struct MessageKey(pub(super) Option<IdempotencyKey>);

impl Param for MessageKey {
    const TYPE: &'static str = "string";
    const OPTIONAL: bool = true;
    fn from_value(value: Option<Value>, name: &str) -> Result<Self, Fault> {
        let Some(Text(text)) = value.map(|value| Text::from_value(Some(value), name)).transpose()? else {
            return Ok(Self(None));
        };
        IdempotencyKey::parse(text).map(Self).map_err(|value| Refusal::Limit { what: "bytes of a key", value }.into())
    }
}

/// One user, or with nil, an empty string or nothing at all the whole room.
#[derive(Debug)]
pub(super) struct Recipient(pub(super) Option<UserName>);

impl Param for Recipient {
    const TYPE: &'static str = "string";
    const OPTIONAL: bool = true;
    fn from_value(value: Option<Value>, name: &str) -> Result<Self, Fault> {
        let text = Option::<String>::from_value(value, name)?.filter(|text| !text.is_empty());
        Ok(Self(text.map(|text| UserName::parse(&text)).transpose()?))
    }
}
