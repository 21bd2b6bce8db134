//! What the targets do with bytes. Apart from them, so that it also runs on a stable Rust, without
//! libFuzzer: `kvcore/tests/corpus.rs` gives it the inputs of `seeds/`.

#![allow(dead_code)]

/// Any bytes as a segment of the log, as they are and with their checksums mended, and as records. Says
/// whether they are one, as do the others.
pub fn log(bytes: &[u8]) -> bool {
    kvcore::simulation::fuzz_log(bytes).is_ok()
}

/// Any bytes as a snapshot, as they are and with their checksums mended, and as entries.
pub fn snapshot(bytes: &[u8]) -> bool {
    kvcore::simulation::fuzz_snapshot(bytes).is_ok()
}

/// Any bytes as the small files of a directory, and as a location with options.
pub fn notes(bytes: &[u8]) -> bool {
    kvcore::simulation::fuzz_notes(bytes)
}

/// Must fail: a fuzzer, or a test, that does not find this finds nothing.
pub fn canary(bytes: &[u8]) -> bool {
    assert!(!bytes.starts_with(b"kv"), "the canary");
    true
}
