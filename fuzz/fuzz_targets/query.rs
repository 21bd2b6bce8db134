//! Queries of URLs. What is done with them is in `kvserver/src/fuzz.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = kvserver::fuzz::query(bytes);
});
