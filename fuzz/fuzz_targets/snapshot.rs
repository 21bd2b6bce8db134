//! Any bytes as a snapshot, as they are and with their checksums mended, and as entries.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = kvcore::simulation::fuzz_snapshot(bytes);
});
