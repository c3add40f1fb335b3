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
//! dispatcher.add_procedures(PROCEDURES, &Arc::new(Adder));
//! let sum = dispatcher.call(&Caller::default(), "add", vec![2.into(), 3.into()]);
//! assert_eq!(sum.unwrap(), "<value><int>5</int></value>");
//! ```

mod dispatcher;
mod params;
mod system;

use std::fmt::Write as _;

pub use self::dispatcher::{Deferred, Dispatcher};
pub use self::params::{Param, Reply, Written};
pub use self::system::{MAX_MULTICALL, MAX_MULTICALL_BYTES};
use super::server::Caller;
use super::{Fault, Value};

/// The parameters of one call, taken in order by the code that [`procedures!`](crate::procedures) makes.
#[derive(Debug)]
pub struct Params {
    values: std::vec::IntoIter<Value>,
}

impl Params {
    /// Checks the number of `values` against the declared parameters.
    ///
    /// # Errors
    /// Fault -32602 with the declared parameters.
    pub fn new(values: Vec<Value>, declared: &[ParamSpec]) -> Result<Self, Fault> {
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

    /// Returns the next parameter.
    ///
    /// # Errors
    /// A fault if it is not a `P`.
    pub fn take<P: Param>(&mut self, name: &str) -> Result<P, Fault> {
        P::from_value(self.values.next(), name)
    }
}

/// A parameter as its row declares it.
#[derive(Debug, Clone, Copy)]
pub struct ParamSpec {
    /// Its name, for messages.
    pub name: &'static str,
    /// Its XML-RPC type.
    pub kind: &'static str,
    /// If it may be left out.
    pub optional: bool,
}

/// One row of a table: a procedure of the state `S`. Rows are made by [`procedures!`](crate::procedures).
#[derive(Debug)]
pub struct Procedure<S: 'static> {
    /// The name on the wire.
    pub name: &'static str,
    /// The help for `system.methodHelp`: the row's doc comment.
    pub help: &'static str,
    /// The XML-RPC types that its reply can have.
    pub answers: &'static [&'static str],
    /// Its parameters.
    pub params: &'static [ParamSpec],
    /// The function that runs it.
    pub run: Handler<S>,
}

/// The function that runs a procedure.
#[derive(Debug)]
pub enum Handler<S: 'static> {
    /// Appends the `<value>` of the reply.
    Now(fn(&S, &Caller, Vec<Value>, &mut String) -> Result<(), Fault>),
    /// Replies through the [`Deferred`], now or later.
    Later(fn(&S, &Caller, Vec<Value>, Deferred)),
}

/// Declares a table of procedures; see the module's example. A handler with `later` before its name gets a `Deferred` as its
/// last argument and replies by it. A handler with `writes` gets the document, to which it appends its `<value>`: a reply of a
/// megabyte is not copied. The type after the arrow is then only what `system.methodSignature` says.
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
        $crate::rpc::Handler::Later(|state, caller, values, deferred| {
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
    (@run $state:ty, writes $handler:ident, ($($param:ident : $type:ty),*), $answer:ty) => {
        $crate::rpc::Handler::Now(|state, caller, values, out| {
            let mut params = $crate::rpc::Params::new(values, $crate::procedures!(@declared $($param: $type),*))?;
            $( let $param = params.take::<$type>(stringify!($param))?; )*
            <$state>::$handler(state, caller, $($param,)* out)
        })
    };
    (@run $state:ty, $handler:ident, ($($param:ident : $type:ty),*), $answer:ty) => {
        $crate::rpc::Handler::Now(|state, caller, values, out| {
            #[allow(unused_mut, unused_variables, reason = "a procedure may have no parameters")]
            let mut params = $crate::rpc::Params::new(values, $crate::procedures!(@declared $($param: $type),*))?;
            $( let $param = params.take::<$type>(stringify!($param))?; )*
            let answer: $answer = <$state>::$handler(state, caller, $($param),*)?;
            $crate::rpc::Reply::write(&answer, out);
            Ok(())
        })
    };
    (@declared $($param:ident : $type:ty),*) => {
        &[ $( $crate::rpc::ParamSpec {
            name: stringify!($param),
            kind: <$type as $crate::rpc::Param>::TYPE,
            optional: <$type as $crate::rpc::Param>::OPTIONAL,
        } ),* ]
    };
}
