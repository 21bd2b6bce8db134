//! The inputs of the server's fuzz targets, given to the very code of those targets, without a fuzzer.
//!
//! `fuzz/seeds/<target>` holds small inputs written by hand, and whatever once failed. The name of each begins with what
//! must come of it: `whole` is read, `refused` is not. What else must hold is asserted in the targets themselves; that a
//! target which panics is noticed, `kvcore/tests/corpus.rs` proves with its canary.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

#[path = "../../fuzz/fuzz_targets/server_bodies.rs"]
mod server_bodies;

use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::path::Path;

use server_bodies::TARGETS;

/// The inputs of a target, by their names.
fn inputs(target: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(target);
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let read = |path: std::path::PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, std::fs::read(&path).unwrap())
    };
    files.map(read).collect()
}

#[test]
fn every_input_comes_to_what_its_name_says() {
    let mut wrong = Vec::new();
    for (target, body) in TARGETS {
        let (mut refused, mut whole) = (0, 0);
        for (name, bytes) in inputs(target) {
            let is_whole = name.starts_with("whole");
            assert!(is_whole || name.starts_with("refused"), "{target}/{name} says nothing");
            let came = catch_unwind(|| body(&bytes)).ok();
            if came != Some(is_whole) {
                wrong.push((format!("{target}/{name}"), came));
            }
            *(if is_whole { &mut whole } else { &mut refused }) += 1;
        }
        assert!(whole >= 1 && refused >= 2, "{target}: {whole} and {refused} are too few");
    }
    assert_eq!(wrong, [], "what came of these is not what their names say");
}

#[test]
fn no_input_that_is_cut_or_has_a_flipped_bit_breaks_a_target() {
    for (target, body) in TARGETS {
        for (name, bytes) in inputs(target) {
            for at in 0..bytes.len() {
                let run = || body(&bytes[..at]);
                assert!(catch_unwind(run).is_ok(), "{target}/{name}, cut at {at}");
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << (at % 8);
                let run = || body(&flipped);
                assert!(catch_unwind(run).is_ok(), "{target}/{name}, a bit flipped at {at}");
            }
        }
    }
}
