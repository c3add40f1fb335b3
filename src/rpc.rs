//! XML-RPC: values, the documents they travel in, and faults. Nothing here knows of the chat or of the binder.
//!
//! Reading is one grammar ([`read_call`], [`read_response`]) over two sources of tokens: a reader for exactly the subset of XML
//! that XML-RPC peers write, and xml-rs for every other document. Writing ([`mod@write`]) appends to a `String`.

mod fault;
mod read;
mod scan;
mod token;
mod value;
pub mod write;
mod xml;

pub use fault::Fault;
pub use read::{Call, Limits, ReadError, read_call, read_response};
#[doc(hidden)]
pub use read::{read_call_with_xml_rs, read_response_with_xml_rs};
pub use value::{DateTime, Value};
pub use write::forbidden_char;
