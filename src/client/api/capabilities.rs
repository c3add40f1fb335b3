//! The capabilities of a server.

use crate::endpoint::Endpoint;
use crate::rpc::{CALL_TIMEOUT, CallError, Client, Value};

/// The capabilities of a server, which decide how the client calls it. The default is those of the original's server, which
/// lists none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Capabilities {
    /// Identifies the server's memory of names, also under another address.
    pub(crate) server_id: Option<String>,
    /// If set, a message may carry a key, by which the server recognises a repeated call.
    pub(crate) takes_keys: bool,
    /// Messages that one user may send a second, and how many at once; `None` without a limit.
    pub(crate) message_rate: Option<MessageRate>,
}

/// A limit on the messages of one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MessageRate {
    /// Messages a second, 1 or more.
    pub(crate) per_second: u32,
    /// Messages at once, 1 or more.
    pub(crate) burst: u32,
}

impl Capabilities {
    /// Asks `server`.
    ///
    /// # Errors
    /// If the server does not reply.
    pub(crate) fn ask(server: &Endpoint) -> Result<Self, CallError> {
        let client = Client::new(&server.to_string());
        let ask = |procedure, params: &[Value]| match super::call(&client, CALL_TIMEOUT, procedure, params) {
            // An original server knows neither procedure.
            Err(CallError::Fault(_) | CallError::Malformed(_)) => Ok(Value::Nil),
            outcome => outcome,
        };
        let said = ask("system.getCapabilities", &[])?;
        if said == Value::Nil {
            return Ok(Self::default());
        }
        Ok(Self::read(&said, &ask("system.methodSignature", &["send_message".into()])?))
    }

    /// Reads the replies of `system.getCapabilities`, and of `system.methodSignature` for `send_message`.
    fn read(said: &Value, signatures: &Value) -> Self {
        // The type of the reply, and five parameters of which the last one is the key.
        const WITH_KEY: usize = 6;
        let has_key = |signature: &Value| signature.as_array().is_some_and(|types| types.len() >= WITH_KEY);
        let limit = |name| {
            let value = said.member("limits").and_then(|limits| limits.member(name)).and_then(Value::as_int);
            value.and_then(|value| u32::try_from(value).ok()).filter(|value| *value > 0)
        };
        Self {
            server_id: said.member("server_id").and_then(Value::as_str).filter(|id| !id.is_empty()).map(str::to_owned),
            takes_keys: signatures.as_array().is_some_and(|signatures| signatures.iter().any(has_key)),
            message_rate: limit("message_rate")
                .map(|per_second| MessageRate { per_second, burst: limit("message_burst").unwrap_or(1) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(members: &[(&str, Value)]) -> Value {
        Value::Struct(members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
    }

    fn signature(types: usize) -> Value {
        Value::Array(vec!["string".into(); types])
    }

    #[test]
    fn a_server_is_known_by_what_it_says() {
        let limits = members(&[("message_rate", 20.into()), ("message_burst", 50.into())]);
        let ours = members(&[("limits", limits), ("server_id", "abc".into())]);
        let said = Capabilities::read(&ours, &Value::Array(vec![signature(4), signature(5), signature(6)]));
        let message_rate = Some(MessageRate { per_second: 20, burst: 50 });
        assert_eq!(said, Capabilities { server_id: Some("abc".into()), takes_keys: true, message_rate });
    }

    #[test]
    fn an_older_or_another_server_takes_no_keys() {
        let limits = members(&[("message_rate", 0.into()), ("message_burst", 50.into())]);
        let older = Capabilities::read(&members(&[("limits", limits)]), &Value::Array(vec![signature(5)]));
        assert_eq!(older, Capabilities::default());
        for odd in [Value::Nil, "x".into(), members(&[("server_id", 7.into()), ("limits", "none".into())])] {
            assert_eq!(Capabilities::read(&odd, &odd), Capabilities::default());
        }
    }
}
