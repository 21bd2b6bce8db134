//! Must fail: a fuzzer that does not find this finds nothing.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    assert!(!bytes.starts_with(b"kv"), "the canary");
});
