//! The inputs of the fuzz targets, given to the very code of those targets, without a fuzzer.
//!
//! `fuzz/seeds/<target>` holds files of small stores, and what was made of them by hand. The name of each
//! begins with what must come of it: `whole` is read, `refused` is not, and neither panics. The canary is the
//! proof that a target which panics would be noticed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]
#![cfg(all(feature = "simulation", not(kv_shuttle)))]

#[path = "../../fuzz/fuzz_targets/bodies.rs"]
mod bodies;

use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use kvcore::simulation::{SimDisk, open};
use kvcore::{Clock, Options};

type Body = fn(&[u8]) -> bool;

const TARGETS: [(&str, Body); 3] =
    [("log", bodies::log), ("snapshot", bodies::snapshot), ("notes", bodies::notes)];

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(target)
}

/// The inputs of a target, by their names.
fn inputs(target: &str) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(folder(target)).unwrap().map(|file| file.unwrap().path());
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    files.map(|path| (name(&path), std::fs::read(&path).unwrap())).collect()
}

#[test]
fn every_input_comes_to_what_its_name_says() {
    for (target, body) in TARGETS {
        let (mut refused, mut whole) = (0, 0);
        for (name, bytes) in inputs(target) {
            let is_whole = name.starts_with("whole");
            assert!(is_whole || name.starts_with("refused"), "{target}/{name} says nothing");
            assert_eq!(body(&bytes), is_whole, "{target}/{name}");
            *(if is_whole { &mut whole } else { &mut refused }) += 1;
        }
        assert!(whole >= 1 && refused >= 3, "{target}: {whole} and {refused} are too few");
    }
}

#[test]
fn no_input_that_is_cut_anywhere_panics() {
    for (target, body) in TARGETS {
        for (name, bytes) in inputs(target) {
            for end in 0..bytes.len() {
                let run = || body(&bytes[..end]);
                assert!(catch_unwind(run).is_ok(), "{target}/{name}, cut at {end}");
            }
        }
    }
}

#[test]
fn the_canary_is_found() {
    let found = |bytes: Vec<u8>| catch_unwind(move || bodies::canary(&bytes)).is_err();
    let inputs = inputs("canary");
    assert!(inputs.values().cloned().any(found), "a target that panics passes");
    assert!(!inputs.into_values().all(found), "every input is taken for a panic");
}

/// The files of a small store, as the targets take them.
fn made(compression: &str) -> BTreeMap<&'static str, Vec<u8>> {
    let options = [("wal_segment_bytes", "64KiB"), ("shards", "1"), ("compression", compression)];
    let options = options.iter().fold(Options::new(), |all, (k, v)| all.with(k, v).unwrap());
    let disk = SimDisk::new(1);
    let store = open(&disk, "/store", options, Clock::manual(1_700_000_000_000).0).unwrap();
    for number in 0..4_usize {
        store.set(format!("key {number}"), vec![b'v'; number * 50]).unwrap();
    }
    store.expire("key 2", 60_000).unwrap();
    store.snapshot(None).unwrap();
    store.set("last", "x").unwrap();
    store.del("key 1").unwrap();
    store.shutdown().unwrap();
    let mut files = BTreeMap::new();
    for path in disk.paths() {
        let target = match path.extension().and_then(|end| end.to_str()) {
            Some("log") => "log",
            Some("kvs") => "snapshot",
            _ if path.ends_with("STORE") => "notes",
            _ => continue,
        };
        files.insert(target, disk.contents(path).unwrap());
    }
    files
}

#[test]
fn what_is_made_today_is_read() {
    for compression in ["none", "gzip", "lz4", "zstd"] {
        let files = made(compression);
        for (target, body) in TARGETS {
            let bytes = &files[target];
            assert!(body(bytes), "{target}, {compression}");
            // KV_WRITE_CORPUS adds it to the inputs, for the day when a format changes.
            if std::env::var_os("KV_WRITE_CORPUS").is_some() {
                std::fs::create_dir_all(folder(target)).unwrap();
                let name = folder(target).join(format!("whole-{compression}"));
                std::fs::write(name, bytes).unwrap();
            }
        }
    }
}
