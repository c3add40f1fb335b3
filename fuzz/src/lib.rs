//! Reading with and without the fast path: it must not make a difference, not even in what an error says.

use chat_rpc::rpc::{
    Call, DocumentLimits, Fault, ReadError, Value, read_call, read_call_with_xml_rs, read_response,
    read_response_with_xml_rs,
};

/// Small, so that short documents reach them.
fn limits() -> DocumentLimits {
    DocumentLimits { depth: 32, elements: 200 }
}

/// Reads a call.
pub fn call(document: &[u8]) -> Result<Call, ReadError> {
    let call = read_call(document, &limits());
    let slowly = read_call_with_xml_rs(document, &limits());
    // Compared as text, since NaN does not equal itself.
    assert_eq!(format!("{call:?}"), format!("{slowly:?}"));
    call
}

/// Reads an answer.
pub fn response(document: &[u8]) -> Result<Result<Value, Fault>, ReadError> {
    let response = read_response(document, &limits());
    let slowly = read_response_with_xml_rs(document, &limits());
    assert_eq!(format!("{response:?}"), format!("{slowly:?}"));
    response
}
