//! The small files of a directory, and locations. What is done with them is in `bodies.rs`.
#![no_main]

mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = bodies::notes(bytes);
});
