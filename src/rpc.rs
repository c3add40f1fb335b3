//! XML-RPC: values, the documents they travel in, faults, procedures, and both ends of a call. Nothing here knows of the
//! chat or of the binder.
//!
//! Reading is one grammar ([`read_call`], [`read_response`]) over two sources of tokens: a reader for exactly the subset of XML
//! that XML-RPC peers write, and xml-rs for every other document. Writing ([`mod@write`]) appends to a `String`.

mod client;
mod credentials;
mod error;
mod fault;
mod metrics;
mod procedure;
mod read;
mod scan;
mod server;
mod token;
mod value;
pub mod write;
mod xml;

pub use crate::procedures;
#[cfg(feature = "tls")]
pub use client::tls;
pub use client::{CALL_TIMEOUT, CONNECT_TIMEOUT, CallError, Client, EventStream, StreamEvent};
pub use credentials::Credentials;
pub use error::ReadError;
pub use fault::Fault;
pub use metrics::Metrics;
pub use procedure::{
    Deferred, Dispatcher, Handler, MAX_MULTICALL, MAX_MULTICALL_BYTES, Param, ParamSpec, Params, Procedure, Reply,
    Written,
};
pub use read::{Call, DocumentLimits, read_call, read_response};
#[doc(hidden)]
pub use read::{read_call_with_xml_rs, read_response_with_xml_rs};
#[cfg(feature = "share")]
pub(crate) use server::percent_decode;
pub use server::{
    Audience, Caller, ConnectionId, Exchange, FLAGS as HTTP_FLAGS, HttpConfig, HttpServer, Janitor, Opener, Responder,
    StreamRequest, Streams, WebPage, listen,
};
pub use value::{DateTime, Value};
pub use write::forbidden_char;
