#![no_main]

libfuzzer_sys::fuzz_target!(|document: &[u8]| {
    // The readers agree, or this panics; what they agree on is of no interest.
    let _ = chat_rpc_fuzz::call(document);
});
