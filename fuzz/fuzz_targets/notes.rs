//! Any bytes as the small files of a directory, and as a location with options.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = kvcore::simulation::fuzz_notes(bytes);
});
