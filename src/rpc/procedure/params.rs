//! The types of parameters and replies.

use crate::rpc::{Fault, Value, write};

/// A type that a parameter can have.
pub trait Param: Sized {
    /// The XML-RPC type, as `system.methodSignature` names it.
    const TYPE: &'static str;
    /// If the parameter may be left out at the end of a call.
    const OPTIONAL: bool = false;

    /// Checks `value`, which is `None` where an optional parameter is absent.
    ///
    /// # Errors
    /// A fault that says what `name` must be.
    fn from_value(value: Option<Value>, name: &str) -> Result<Self, Fault>;
}

/// A type that the reply of a procedure can have.
pub trait Reply {
    /// The XML-RPC types that it can have, as `system.methodSignature` names them.
    const TYPES: &'static [&'static str];

    /// Appends one `<value>`.
    fn write(&self, out: &mut String);
}

fn wrong_type(name: &str, wanted: &str, value: Option<&Value>) -> Fault {
    let got = value.map_or("nothing", Value::type_name);
    Fault::new(Fault::BAD_PARAMS, format!("parameter {name} must be a {wanted}, not {got}"))
}

impl Param for String {
    const TYPE: &'static str = "string";
    fn from_value(value: Option<Value>, name: &str) -> Result<Self, Fault> {
        match value {
            Some(Value::String(text)) => Ok(text),
            other => Err(wrong_type(name, "string", other.as_ref())),
        }
    }
}

impl Param for i64 {
    const TYPE: &'static str = "int";
    fn from_value(value: Option<Value>, name: &str) -> Result<Self, Fault> {
        match value {
            Some(Value::Int(number)) => Ok(number),
            other => Err(wrong_type(name, "int", other.as_ref())),
        }
    }
}

impl Param for Value {
    const TYPE: &'static str = "value";
    fn from_value(value: Option<Value>, name: &str) -> Result<Self, Fault> {
        value.ok_or_else(|| wrong_type(name, Self::TYPE, None))
    }
}

impl<P: Param> Param for Vec<P> {
    const TYPE: &'static str = "array";
    fn from_value(value: Option<Value>, name: &str) -> Result<Self, Fault> {
        match value {
            Some(Value::Array(values)) => values.into_iter().map(|value| P::from_value(Some(value), name)).collect(),
            other => Err(wrong_type(name, "array", other.as_ref())),
        }
    }
}

/// Absent and `nil` are both `None`.
impl<P: Param> Param for Option<P> {
    const TYPE: &'static str = P::TYPE;
    const OPTIONAL: bool = true;
    fn from_value(value: Option<Value>, name: &str) -> Result<Self, Fault> {
        match value {
            None | Some(Value::Nil) => Ok(None),
            value => P::from_value(value, name).map(Some),
        }
    }
}

impl Reply for String {
    const TYPES: &'static [&'static str] = &["string"];
    fn write(&self, out: &mut String) {
        write::string(out, self);
    }
}

impl Reply for i64 {
    const TYPES: &'static [&'static str] = &["int"];
    fn write(&self, out: &mut String) {
        write::int(out, *self);
    }
}

impl Reply for bool {
    const TYPES: &'static [&'static str] = &["boolean"];
    fn write(&self, out: &mut String) {
        write::boolean(out, *self);
    }
}

impl Reply for Value {
    const TYPES: &'static [&'static str] = &["value"];
    fn write(&self, out: &mut String) {
        write::value(out, self);
    }
}

impl<R: Reply> Reply for Vec<R> {
    const TYPES: &'static [&'static str] = &["array"];
    fn write(&self, out: &mut String) {
        write::array(out, |out| self.iter().for_each(|reply| reply.write(out)));
    }
}

/// A `<value>` that has been written already.
#[derive(Debug)]
pub struct Written<const STRUCT: bool>(pub String);

impl<const STRUCT: bool> Reply for Written<STRUCT> {
    const TYPES: &'static [&'static str] = if STRUCT { &["struct"] } else { &["array"] };
    fn write(&self, out: &mut String) {
        out.push_str(&self.0);
    }
}

impl<R: Reply> Reply for Option<R> {
    const TYPES: &'static [&'static str] = &[R::TYPES[0], "nil"];
    fn write(&self, out: &mut String) {
        match self {
            Some(reply) => reply.write(out),
            None => write::nil(out),
        }
    }
}
