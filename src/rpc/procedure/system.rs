//! The `system.*` procedures: introspection, several calls in one, and what the server can do.

use super::{Dispatcher, Written};
use crate::procedures;
use crate::rpc::server::Caller;
use crate::rpc::{Fault, Value, write};

/// Calls that one `system.multicall` may carry.
pub const MAX_MULTICALL: usize = 100;
/// Bytes of the answers in one `system.multicall` after which no further call is made: a hundred whole histories would not
/// fit a small machine.
pub const MAX_MULTICALL_BYTES: usize = 1 << 20;

procedures! { pub(super) SYSTEM for Dispatcher {
    /// The names of all procedures.
    "system.listMethods" = list_methods() -> Vec<String>;
    /// The signatures of a procedure: arrays with the type of the answer, followed by those of the parameters.
    "system.methodSignature" = method_signature(procedure_name: String) -> Vec<Value>;
    /// The help text of a procedure.
    "system.methodHelp" = method_help(procedure_name: String) -> String;
    /// Makes several calls, structs of methodName and params, at most 100. Returns an array with a one-element array for
    /// each answer, and a struct of faultCode and faultString for each fault. Cannot be nested, nor carry calls that wait.
    "system.multicall" = writes multicall(calls: Vec<Value>) -> Written<false>;
    /// The capabilities of this server: a struct with a struct of specUrl and specVersion for each capability, and its limits.
    "system.getCapabilities" = get_capabilities() -> Written<true>;
} }

/// The capabilities of every dispatcher and their specifications, all in version 1.
const CAPABILITIES: [(&str, &str); 5] = [
    ("xmlrpc", "http://www.xmlrpc.com/spec"),
    ("introspection", "http://xmlrpc-c.sourceforge.net/introspection.html"),
    ("system.multicall", "http://www.xmlrpc.com/discuss/msgReader$1208"),
    ("faults_interop", "http://xmlrpc-epi.sourceforge.net/specs/rfc.fault_codes.php"),
    ("nil", "http://ontosys.com/xml-rpc/extensions.php"),
];

impl Dispatcher {
    fn list_methods(&self, _: &Caller) -> Result<Vec<String>, Fault> {
        Ok(self.procedures.iter().map(|procedure| procedure.name.to_owned()).collect())
    }

    fn method_signature(&self, _: &Caller, procedure_name: String) -> Result<Vec<Value>, Fault> {
        let entry = self.find(&procedure_name)?;
        let mut signatures: Vec<Vec<Value>> = entry.answers.iter().map(|&kind| vec![kind.into()]).collect();
        let mut complete = Vec::new();
        for parameter in entry.params {
            let kinds = &[parameter.kind, "nil"][..=usize::from(parameter.optional)];
            let mut longer = Vec::new();
            for start in &signatures {
                for &kind in kinds {
                    let mut signature = start.clone();
                    signature.push(kind.into());
                    longer.push(signature);
                }
            }
            let shorter = std::mem::replace(&mut signatures, longer);
            if parameter.optional {
                complete.extend(shorter);
            }
        }
        complete.extend(signatures);
        Ok(complete.into_iter().map(Value::Array).collect())
    }

    fn method_help(&self, _: &Caller, procedure_name: String) -> Result<String, Fault> {
        let lines = self.find(&procedure_name)?.help.lines().map(str::trim);
        Ok(lines.collect::<Vec<_>>().join("\n").trim().to_owned())
    }

    fn multicall(&self, caller: &Caller, calls: Vec<Value>, out: &mut String) -> Result<(), Fault> {
        if calls.len() > MAX_MULTICALL {
            return Err(Fault::new(Fault::LIMIT, format!("a multicall may carry {MAX_MULTICALL} calls")));
        }
        let before = out.len();
        write::array(out, |out| {
            for call in calls {
                let start = out.len();
                let mut outcome = Ok(());
                if start - before > MAX_MULTICALL_BYTES {
                    let what = format!("the answers of a multicall may have {MAX_MULTICALL_BYTES} bytes; not called");
                    outcome = Err(Fault::new(Fault::LIMIT, what));
                } else {
                    write::array(out, |out| outcome = self.one_of_many(caller, call, out));
                }
                if let Err(fault) = outcome {
                    out.truncate(start);
                    write::fault_value(out, &fault);
                }
            }
        });
        Ok(())
    }

    fn one_of_many(&self, caller: &Caller, call: Value, out: &mut String) -> Result<(), Fault> {
        let malformed =
            || Fault::new(Fault::INVALID_CALL, "each call is a struct of methodName (string) and params (array)");
        let Value::Struct(members) = call else { return Err(malformed()) };
        let (mut name, mut params) = (None, Vec::new());
        for member in members {
            match member {
                (key, Value::String(text)) if key == "methodName" => name = Some(text),
                (key, Value::Array(values)) if key == "params" => params = values,
                _ => return Err(malformed()),
            }
        }
        let name = name.ok_or_else(malformed)?;
        if name == "system.multicall" {
            return Err(Fault::new(Fault::INVALID_CALL, "multicalls cannot be nested"));
        }
        self.call_into(caller, &name, params, out)
    }

    fn get_capabilities(&self, _: &Caller) -> Result<Written<true>, Fault> {
        let mut out = String::new();
        write::structure(&mut out, |out| {
            for (name, url) in CAPABILITIES {
                let specification = |out: &mut String| {
                    write::member(out, "specUrl", |out| write::string(out, url));
                    write::member(out, "specVersion", |out| write::int(out, 1));
                };
                write::member(out, name, |out| write::structure(out, specification));
            }
            if let Some(id) = &self.server_id {
                write::member(out, "server_id", |out| write::string(out, id));
            }
            if !self.published.is_empty() {
                let limits = |out: &mut String| {
                    for &(ref name, limit) in &self.published {
                        write::member(out, name, |out| write::int(out, limit));
                    }
                };
                write::member(out, "limits", |out| write::structure(out, limits));
            }
        });
        Ok(Written(out))
    }
}
