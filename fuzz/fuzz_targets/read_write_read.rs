//! Whatever was read is written so that it reads the same.
#![no_main]

use chat_rpc::rpc::{DocumentLimits, Value, read_call, read_response, write};

/// The writer adds an element to a string without a type.
const LIMITS: DocumentLimits = DocumentLimits { depth: 64, elements: 1000 };

libfuzzer_sys::fuzz_target!(|document: &[u8]| {
    if let Ok(call) = chat_rpc_fuzz::call(document) {
        let written = write::call(&call.method, &call.params);
        let again = read_call(written.as_bytes(), &LIMITS).expect("what was written");
        assert_eq!(again.method, call.method);
        again.params.iter().zip(&call.params).for_each(|(again, first)| same(again, first));
        assert_eq!(write::call(&again.method, &again.params), written);
    }
    match chat_rpc_fuzz::response(document) {
        Ok(Ok(value)) => {
            let mut written = String::new();
            write::value(&mut written, &value);
            let written = write::response(&written);
            let again = read_response(written.as_bytes(), &LIMITS).expect("what was written");
            same(&again.expect("a value"), &value);
        }
        Ok(Err(fault)) => {
            let written = write::fault_document(&fault);
            let again = read_response(written.as_bytes(), &LIMITS).expect("what was written");
            assert_eq!(again, Err(fault));
        }
        Err(_) => {}
    }
});

/// Equal, but for NaN, which does not equal itself, and for the offset of a date, which is not written.
fn same(again: &Value, first: &Value) {
    match (again, first) {
        (Value::Array(again), Value::Array(first)) => {
            assert_eq!(again.len(), first.len());
            again.iter().zip(first).for_each(|(again, first)| same(again, first));
        }
        (Value::Struct(again), Value::Struct(first)) => {
            assert_eq!(again.len(), first.len());
            for ((again_name, again), (first_name, first)) in again.iter().zip(first) {
                assert_eq!(again_name, first_name);
                same(again, first);
            }
        }
        (Value::Double(again), Value::Double(first)) if first.is_nan() => assert!(again.is_nan()),
        (Value::DateTime(again), Value::DateTime(first)) => {
            assert_eq!(again.stated(), first.stated())
        }
        _ => assert_eq!(again, first),
    }
}
