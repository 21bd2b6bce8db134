//! Any bytes as a segment of the log, as they are and with their checksums mended, and as records.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = kvcore::simulation::fuzz_log(bytes);
});
