//! Snapshots. What is done with them is in `bodies.rs`.
#![no_main]

mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = bodies::snapshot(bytes);
});
