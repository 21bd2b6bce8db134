//! Must fail within a second. What is done with its input is in `bodies.rs`.
#![no_main]

mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = bodies::canary(bytes);
});
