#![no_main]

libfuzzer_sys::fuzz_target!(|document: &[u8]| {
    let _ = chat_rpc_fuzz::response(document);
});
