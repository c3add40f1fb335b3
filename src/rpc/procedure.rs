//! Procedures: one table row each, from which dispatch, introspection and registration at the binder are made.
//!
//! ```
//! use std::sync::Arc;
//! use chat_rpc::rpc::{Caller, Dispatcher, Fault, procedures};
//!
//! struct Adder;
//! impl Adder {
//!     fn add(&self, _: &Caller, left: i64, right: i64) -> Result<i64, Fault> {
//!         Ok(left + right)
//!     }
//! }
//! procedures! { PROCEDURES for Adder {
//!     /// The sum of two numbers.
//!     "add" = add(left: i64, right: i64) -> i64;
//! } }
//!
//! let mut dispatcher = Dispatcher::new();
//! dispatcher.serve(PROCEDURES, &Arc::new(Adder));
//! let answer = dispatcher.answer(&Caller::default(), "add", vec![2.into(), 3.into()]);
//! assert_eq!(answer.unwrap(), "<value><int>5</int></value>");
//! ```

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::metrics::Metrics;
use super::server::{Caller, Config, ConnectionId, Responder, Sent, Service};
use super::{Fault, Limits, Value, read_call, write};

/// Calls that one `system.multicall` may carry.
pub const MAX_MULTICALL: usize = 100;
/// Bytes of the answers in one `system.multicall` after which no further call is made: a hundred whole histories would not
/// fit a small machine.
pub const MAX_MULTICALL_BYTES: usize = 2 << 20;

/// A type that a parameter can have.
pub trait Param: Sized {
    /// The XML-RPC type, as `system.methodSignature` names it.
    const TYPE: &'static str;
    /// Whether the parameter may be left out at the end of a call.
    const OPTIONAL: bool = false;

    /// Checks `value`, which is `None` where an optional parameter is absent.
    ///
    /// # Errors
    /// A fault that says what `name` must be.
    fn from_value(value: Option<Value>, name: &str) -> Result<Self, Fault>;
}

/// A type that a procedure can answer.
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

impl Param for Vec<String> {
    const TYPE: &'static str = "array";
    fn from_value(value: Option<Value>, name: &str) -> Result<Self, Fault> {
        let Some(Value::Array(values)) = value else {
            return Err(wrong_type(name, "array of string", value.as_ref()));
        };
        values.into_iter().map(|value| String::from_value(Some(value), name)).collect()
    }
}

impl Param for Vec<Value> {
    const TYPE: &'static str = "array";
    fn from_value(value: Option<Value>, name: &str) -> Result<Self, Fault> {
        match value {
            Some(Value::Array(values)) => Ok(values),
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

impl Reply for Vec<String> {
    const TYPES: &'static [&'static str] = &["array"];
    fn write(&self, out: &mut String) {
        write::array(out, |out| self.iter().for_each(|text| write::string(out, text)));
    }
}

impl Reply for Vec<Value> {
    const TYPES: &'static [&'static str] = &["array"];
    fn write(&self, out: &mut String) {
        write::array(out, |out| self.iter().for_each(|value| write::value(out, value)));
    }
}

impl Reply for Vec<(String, Value)> {
    const TYPES: &'static [&'static str] = &["struct"];
    fn write(&self, out: &mut String) {
        write::structure(out, |out| {
            for (name, value) in self {
                write::member(out, name, |out| write::value(out, value));
            }
        });
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

/// The parameters of one call, taken in order by the code that [`procedures!`](crate::procedures) makes.
#[derive(Debug)]
pub struct Params {
    values: std::vec::IntoIter<Value>,
}

impl Params {
    /// Checks how many there are against what `P` declares.
    ///
    /// # Errors
    /// Fault -32602 with the parameters that there should be.
    pub fn new(values: Vec<Value>, declared: &[Declared]) -> Result<Self, Fault> {
        let required = declared.iter().filter(|parameter| !parameter.optional).count();
        if values.len() < required || values.len() > declared.len() {
            let mut wanted = String::new();
            for parameter in declared {
                let separator = if wanted.is_empty() { "" } else { ", " };
                let mark = if parameter.optional { "?" } else { "" };
                let _ = write!(wanted, "{separator}{}{mark}: {}", parameter.name, parameter.kind);
            }
            return Err(Fault::new(
                Fault::BAD_PARAMS,
                format!("the parameters are ({wanted}), not {} of them", values.len()),
            ));
        }
        Ok(Self { values: values.into_iter() })
    }

    /// The next parameter.
    ///
    /// # Errors
    /// A fault if it is not a `P`.
    pub fn take<P: Param>(&mut self, name: &str) -> Result<P, Fault> {
        P::from_value(self.values.next(), name)
    }
}

/// A parameter as its row declares it.
#[derive(Debug, Clone, Copy)]
pub struct Declared {
    /// Its name, for messages.
    pub name: &'static str,
    /// Its XML-RPC type.
    pub kind: &'static str,
    /// Whether it may be left out.
    pub optional: bool,
}

/// One row of a table: a procedure of the state `S`. Rows are made by [`procedures!`](crate::procedures).
#[derive(Debug)]
pub struct Procedure<S: 'static> {
    /// The name on the wire.
    pub name: &'static str,
    /// What it does, for `system.methodHelp`: the row's doc comment.
    pub help: &'static str,
    /// The XML-RPC types that its answer can have.
    pub answers: &'static [&'static str],
    /// Its parameters.
    pub params: &'static [Declared],
    /// What runs it.
    pub run: Run<S>,
}

/// What runs a procedure.
#[derive(Debug)]
pub enum Run<S: 'static> {
    /// Appends the answer's `<value>`.
    Now(fn(&S, &Caller, Vec<Value>, &mut String) -> Result<(), Fault>),
    /// Answers through the [`Deferred`], now or later.
    Later(fn(&S, &Caller, Vec<Value>, Deferred)),
}

/// Declares a table of procedures; see the module's example. A row with `later` before its handler gets a
/// `Deferred` as its last argument and answers through it; the type after the arrow is then
/// what `system.methodSignature` says.
#[macro_export]
macro_rules! procedures {
    ($vis:vis $table:ident for $state:ty { $( $(#[doc = $help:literal])+ $name:literal = $($handler:ident)+ ( $($param:ident : $type:ty),* ) -> $answer:ty; )+ }) => {
        #[doc = concat!("The procedures of [`", stringify!($state), "`].")]
        $vis static $table: &[$crate::rpc::Procedure<$state>] = &[ $( $crate::rpc::Procedure {
            name: $name,
            help: concat!($($help, "\n"),+),
            answers: <$answer as $crate::rpc::Reply>::TYPES,
            params: $crate::procedures!(@declared $($param: $type),*),
            run: $crate::procedures!(@run $state, $($handler)+, ($($param: $type),*), $answer),
        } ),+ ];
    };
    (@run $state:ty, later $handler:ident, ($($param:ident : $type:ty),*), $answer:ty) => {
        $crate::rpc::Run::Later(|state, caller, values, deferred| {
            let decode = || -> Result<_, $crate::rpc::Fault> {
                let mut params = $crate::rpc::Params::new(values, $crate::procedures!(@declared $($param: $type),*))?;
                Ok(( $( params.take::<$type>(stringify!($param))?, )* ))
            };
            match decode() {
                Ok(( $($param,)* )) => <$state>::$handler(state, caller, $($param,)* deferred),
                Err(fault) => deferred.fault(&fault),
            }
        })
    };
    (@run $state:ty, $handler:ident, ($($param:ident : $type:ty),*), $answer:ty) => {
        $crate::rpc::Run::Now(|state, caller, values, out| {
            #[allow(unused_mut, unused_variables, reason = "a procedure may have no parameters")]
            let mut params = $crate::rpc::Params::new(values, $crate::procedures!(@declared $($param: $type),*))?;
            $( let $param = params.take::<$type>(stringify!($param))?; )*
            let answer: $answer = <$state>::$handler(state, caller, $($param),*)?;
            $crate::rpc::Reply::write(&answer, out);
            Ok(())
        })
    };
    (@declared $($param:ident : $type:ty),*) => {
        &[ $( $crate::rpc::Declared {
            name: stringify!($param),
            kind: <$type as $crate::rpc::Param>::TYPE,
            optional: <$type as $crate::rpc::Param>::OPTIONAL,
        } ),* ]
    };
}

/// The right to answer one call later. Dropped without an answer, it answers fault -32603.
#[derive(Debug)]
pub struct Deferred {
    responder: Option<Responder>,
    entry: Arc<Meter>,
}

impl Deferred {
    /// Answers with a whole document, which many calls can share. What is returned is dropped once all of them are
    /// answered, see [`Responder::xml`].
    pub fn document(mut self, document: &str) -> Option<Sent> {
        self.responder.take()?.xml(document.as_bytes())
    }

    /// Answers with a fault.
    pub fn fault(mut self, fault: &Fault) {
        self.fail(fault);
    }

    /// The connection that the call came on.
    #[must_use]
    pub fn connection(&self) -> Option<ConnectionId> {
        self.responder.as_ref().map(Responder::connection)
    }

    /// Whether another request waits on the same connection for this answer.
    #[must_use]
    pub fn is_waited_for(&self) -> bool {
        self.responder.as_ref().is_some_and(Responder::is_waited_for)
    }

    fn fail(&mut self, fault: &Fault) {
        if let Some(responder) = self.responder.take() {
            self.entry.faults.fetch_add(1, Ordering::Relaxed);
            responder.xml(write::fault_document(fault).as_bytes());
        }
    }
}

impl Drop for Deferred {
    fn drop(&mut self) {
        self.fail(&internal_error());
    }
}

fn internal_error() -> Fault {
    Fault::new(Fault::INTERNAL, "internal error; the server's log has the cause")
}

/// How often a procedure was called, and how often it answered a fault.
#[derive(Debug, Default)]
struct Meter {
    calls: AtomicU64,
    faults: AtomicU64,
}

type RunNow = Box<dyn Fn(&Dispatcher, &Caller, Vec<Value>, &mut String) -> Result<(), Fault> + Send + Sync>;
type RunLater = Box<dyn Fn(&Caller, Vec<Value>, Deferred) + Send + Sync>;

enum Bound {
    Now(RunNow),
    Later(RunLater),
}

struct Entry {
    name: &'static str,
    help: &'static str,
    answers: &'static [&'static str],
    params: &'static [Declared],
    meter: Arc<Meter>,
    run: Bound,
}

/// Answers calls from tables of procedures, and the `system.*` procedures about them.
pub struct Dispatcher {
    /// In the order of their tables. There are so few that a search through all of them takes no longer than a hash.
    entries: Vec<Entry>,
    /// What `system.getCapabilities` publishes under `limits`.
    published: Vec<(&'static str, i64)>,
    limits: Limits,
    hurry: Box<dyn Fn(ConnectionId) + Send + Sync>,
    extra_metrics: Box<dyn Fn(&mut Metrics) + Send + Sync>,
}

impl Default for Dispatcher {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Dispatcher {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Dispatcher").field("entries", &self.entries.len()).finish_non_exhaustive()
    }
}

procedures! { SYSTEM for Dispatcher {
    /// The names of all procedures.
    "system.listMethods" = list_methods() -> Vec<String>;
    /// The signatures of a procedure: arrays with the type of the answer, followed by those of the parameters.
    "system.methodSignature" = method_signature(procedure_name: String) -> Vec<Value>;
    /// What a procedure does.
    "system.methodHelp" = method_help(procedure_name: String) -> String;
    /// Makes several calls, structs of methodName and params, at most 100. Answers an array with a one-element array for
    /// each answer, and a struct of faultCode and faultString for each fault. Cannot be nested, nor carry calls that wait.
    "system.multicall" = multicall(calls: Vec<Value>) -> Written<false>;
    /// What this server can do: a struct with a struct of specUrl and specVersion for each capability, and its limits.
    "system.getCapabilities" = get_capabilities() -> Written<true>;
} }

/// What every dispatcher can do, and where that is specified; all in version 1.
const CAPABILITIES: [(&str, &str); 5] = [
    ("xmlrpc", "http://www.xmlrpc.com/spec"),
    ("introspection", "http://xmlrpc-c.sourceforge.net/introspection.html"),
    ("system.multicall", "http://www.xmlrpc.com/discuss/msgReader$1208"),
    ("faults_interop", "http://xmlrpc-epi.sourceforge.net/specs/rfc.fault_codes.php"),
    ("nil", "http://ontosys.com/xml-rpc/extensions.php"),
];

impl Dispatcher {
    /// A dispatcher that knows the `system.*` procedures.
    #[must_use]
    pub fn new() -> Self {
        let mut dispatcher = Self {
            entries: Vec::new(),
            published: Vec::new(),
            limits: Limits::default(),
            hurry: Box::new(|_| {}),
            extra_metrics: Box::new(|_| {}),
        };
        for row in SYSTEM {
            let run = match row.run {
                Run::Now(run) => Bound::Now(Box::new(run)),
                Run::Later(_) => continue,
            };
            dispatcher.add(row, run);
        }
        dispatcher
    }

    /// Adds `table`, whose handlers get `state`.
    pub fn serve<S: Send + Sync>(&mut self, table: &'static [Procedure<S>], state: &Arc<S>) {
        for row in table {
            let state = Arc::clone(state);
            let run = match row.run {
                Run::Now(run) => Bound::Now(Box::new(move |_, caller, values, out| run(&state, caller, values, out))),
                Run::Later(run) => {
                    Bound::Later(Box::new(move |caller, values, deferred| run(&state, caller, values, deferred)))
                }
            };
            self.add(row, run);
        }
    }

    fn add<S>(&mut self, row: &'static Procedure<S>, run: Bound) {
        let Procedure { name, help, answers, params, .. } = *row;
        self.entries.push(Entry { name, help, answers, params, meter: Arc::default(), run });
    }

    /// Publishes limits as the capability `limits`: `own`, and those that every server has.
    pub fn publish_limits(&mut self, config: &Config, own: &[(&'static str, i64)]) {
        let common = [
            ("max_body_bytes", config.max_body_bytes),
            ("max_connections", config.max_connections),
            ("max_nesting", self.limits.depth),
            ("max_elements", self.limits.elements),
            ("max_multicall_calls", MAX_MULTICALL),
            ("max_multicall_bytes", MAX_MULTICALL_BYTES),
        ];
        self.published.extend_from_slice(own);
        self.published.extend(common.map(|(name, value)| (name, i64::try_from(value).unwrap_or(i64::MAX))));
    }

    /// Sets what is done when another request arrives on a connection that waits for a deferred answer.
    pub fn on_hurry(&mut self, hurry: impl Fn(ConnectionId) + Send + Sync + 'static) {
        self.hurry = Box::new(hurry);
    }

    /// Adds metrics to those of the calls.
    pub fn on_metrics(&mut self, metrics: impl Fn(&mut Metrics) + Send + Sync + 'static) {
        self.extra_metrics = Box::new(metrics);
    }

    /// Makes one call of a procedure that answers at once, and returns the answer's `<value>`.
    ///
    /// # Errors
    /// The procedure's fault, or one of the protocol: no such procedure, or one that answers later.
    pub fn answer(&self, caller: &Caller, name: &str, params: Vec<Value>) -> Result<String, Fault> {
        let mut out = String::new();
        match self.find(name)? {
            Entry { run: Bound::Now(run), meter, .. } => self.run_now(run, meter, caller, params, &mut out)?,
            Entry { run: Bound::Later(_), .. } => {
                return Err(Fault::new(Fault::INVALID_CALL, "a procedure that waits cannot be called here"));
            }
        }
        Ok(out)
    }

    fn find(&self, name: &str) -> Result<&Entry, Fault> {
        self.entries.iter().find(|entry| entry.name == name).ok_or_else(|| {
            Fault::new(Fault::NO_SUCH_PROCEDURE, "no such procedure; system.listMethods names those that there are")
        })
    }

    /// A handler that panics answers -32603; the panic hook has written the cause to the log.
    fn run_now(
        &self,
        run: &RunNow,
        meter: &Meter,
        caller: &Caller,
        params: Vec<Value>,
        out: &mut String,
    ) -> Result<(), Fault> {
        meter.calls.fetch_add(1, Ordering::Relaxed);
        let outcome =
            catch_unwind(AssertUnwindSafe(|| run(self, caller, params, out))).unwrap_or_else(|_| Err(internal_error()));
        if outcome.is_err() {
            meter.faults.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }

    fn list_methods(&self, _: &Caller) -> Result<Vec<String>, Fault> {
        Ok(self.entries.iter().map(|entry| entry.name.to_owned()).collect())
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

    fn multicall(&self, caller: &Caller, calls: Vec<Value>) -> Result<Written<false>, Fault> {
        if calls.len() > MAX_MULTICALL {
            return Err(Fault::new(Fault::LIMIT, format!("a multicall may carry {MAX_MULTICALL} calls")));
        }
        let mut out = String::new();
        write::array(&mut out, |out| {
            for call in calls {
                let answer = if out.len() > MAX_MULTICALL_BYTES {
                    let what = format!("the answers of a multicall may have {MAX_MULTICALL_BYTES} bytes; not called");
                    Err(Fault::new(Fault::LIMIT, what))
                } else {
                    self.one_of_many(caller, call)
                };
                match answer {
                    Ok(value) => write::array(out, |out| out.push_str(&value)),
                    Err(fault) => write::fault_value(out, &fault),
                }
            }
        });
        Ok(Written(out))
    }

    fn one_of_many(&self, caller: &Caller, call: Value) -> Result<String, Fault> {
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
        self.answer(caller, &name, params)
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
            if !self.published.is_empty() {
                let limits = |out: &mut String| {
                    for &(name, limit) in &self.published {
                        write::member(out, name, |out| write::int(out, limit));
                    }
                };
                write::member(out, "limits", |out| write::structure(out, limits));
            }
        });
        Ok(Written(out))
    }
}

impl Service for Dispatcher {
    fn call(&self, caller: Caller, body: &[u8], responder: Responder) {
        let call = match read_call(body, &self.limits) {
            Ok(call) => call,
            Err(error) => return drop(responder.xml(write::fault_document(&error.to_fault()).as_bytes())),
        };
        let entry = match self.find(&call.method) {
            Ok(entry) => entry,
            Err(fault) => return drop(responder.xml(write::fault_document(&fault).as_bytes())),
        };
        match &entry.run {
            Bound::Now(run) => {
                let mut document = String::with_capacity(256);
                write::response_start(&mut document);
                match self.run_now(run, &entry.meter, &caller, call.params, &mut document) {
                    Ok(()) => {
                        write::response_end(&mut document);
                        responder.xml(document.as_bytes());
                    }
                    Err(fault) => drop(responder.xml(write::fault_document(&fault).as_bytes())),
                }
            }
            Bound::Later(run) => {
                entry.meter.calls.fetch_add(1, Ordering::Relaxed);
                let deferred = Deferred { responder: Some(responder), entry: Arc::clone(&entry.meter) };
                // A panic drops the right to answer, which answers -32603.
                let _ = catch_unwind(AssertUnwindSafe(|| run(&caller, call.params, deferred)));
            }
        }
    }

    fn hurry(&self, connection: ConnectionId) {
        (self.hurry)(connection);
    }

    fn metrics(&self, out: &mut Metrics) {
        (self.extra_metrics)(out);
        let by_procedure = |read: fn(&Meter) -> &AtomicU64| {
            self.entries.iter().map(move |entry| (entry.name, read(&entry.meter).load(Ordering::Relaxed)))
        };
        out.counters("rpc_calls_total", "Calls by procedure", "procedure", by_procedure(|meter| &meter.calls));
        out.counters(
            "rpc_faults_total",
            "Calls answered with a fault, by procedure",
            "procedure",
            by_procedure(|meter| &meter.faults),
        );
    }
}
