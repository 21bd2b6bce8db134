//! Files of every released format can be read for ever, and those of later ones are refused by name.
//!
//! `tests/fixtures/format-1` holds what this version of the format looks like; `cases.rs` says how it was
//! made. It is never made again: the day a change cannot read it any more, this test says so.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]
#![cfg(all(feature = "simulation", not(kv_shuttle)))]

mod cases;

use std::path::{Path, PathBuf};

use cases::{CASES, Case, End, PLACE, TORN_BYTES, contents};
use kvcore::Status;
use kvcore::simulation::SimDisk;

fn folder(case: &Case) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-1").join(case.name)
}

/// A disk with a copy of the files.
fn disk_of(case: &Case) -> SimDisk {
    let disk = SimDisk::new(1);
    for file in std::fs::read_dir(folder(case)).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name != "contents.txt" {
            disk.put(format!("{PLACE}/{name}"), &std::fs::read(&path).unwrap()).unwrap();
        }
    }
    disk
}

#[test]
fn every_directory_of_format_1_is_read() {
    for case in CASES {
        let disk = disk_of(case);
        let store = case.open(&disk).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        store.validate();
        let expected = std::fs::read_to_string(folder(case).join("contents.txt")).unwrap();
        assert_eq!(contents(&store), expected, "{}", case.name);
        let torn = if case.end == End::Killed { TORN_BYTES as u64 } else { 0 };
        assert_eq!(store.recovery().unwrap().discarded_bytes, torn, "{}", case.name);
        // The next life goes on in it.
        assert!(store.set("more", "x").unwrap() > 0);
        store.shutdown().unwrap();
        assert!(case.open(&disk).unwrap().exists("more").unwrap(), "{}", case.name);
    }
}

#[test]
fn what_is_made_today_holds_the_same() {
    for case in CASES {
        let (disk, made) = case.make();
        let expected = std::fs::read_to_string(folder(case).join("contents.txt")).unwrap();
        // Which entries a policy lets go is its own affair, and which of a batch comes first.
        if !case.name.starts_with("policy") {
            assert_eq!(without_versions(&made), without_versions(&expected), "{}", case.name);
        }
        assert_eq!(contents(&case.open(&disk).unwrap()), made, "{}", case.name);
    }
}

fn without_versions(contents: &str) -> Vec<&str> {
    contents.lines().map(|line| line.rsplit_once('\t').unwrap().0).collect()
}

#[test]
fn later_formats_are_refused_by_name() {
    for case in CASES {
        let disk = disk_of(case);
        for path in disk.paths() {
            let copy = disk.duplicate(1);
            let mut bytes = copy.contents(&path).unwrap();
            // Every file has its format at 8, and behind 124 bytes their checksum.
            bytes[8..12].copy_from_slice(&2_u32.to_le_bytes());
            let checksum = crc32c(&bytes[..124]);
            bytes[124..128].copy_from_slice(&checksum.to_le_bytes());
            copy.put(&path, &bytes).unwrap();
            let error = case.open(&copy).map(drop).unwrap_err();
            let name = path.file_name().unwrap().to_str().unwrap();
            assert_eq!(error.status(), Status::Unsupported, "{}, {name}: {error}", case.name);
            assert!(error.message().contains(name), "{}: {error}", case.name);
            assert!(error.message().contains('2'), "{}: {error}", case.name);
        }
    }
}

/// CRC-32C, bit by bit, so that the test does not trust the code that it tests.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 }
        })
    })
}
