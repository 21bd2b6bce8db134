//! Every bit of a file flipped, and the file cut at every byte: never silent.
//!
//! The readers of a segment and of a snapshot are given the bytes; what a store makes of damaged files is
//! in `damage.rs`.

use kvcore::simulation::{LogSeen, SimDisk, read_log, read_snapshot};
use kvcore::{Result, Status};

use crate::runs::{PLACE, World};

/// Bytes that a file has at the least.
pub const LEN: usize = 64 << 10;

/// The files: a log that was closed, one that was not, and a snapshot of each compression.
pub const FILES: u64 = 6;

const COMPRESSIONS: [&str; 4] = ["none", "gzip", "lz4", "zstd"];

/// Tries one of the files, and of its bits one in `step`. Returns how many damages were tried.
pub fn run(file: u64, step: usize) -> u64 {
    match file {
        0 => try_all(&log(true), step, &|bytes| closed(bytes)),
        1 => crashed_log(step),
        _ => try_all(&snapshot(COMPRESSIONS[file as usize % 4]), step, &|bytes| {
            damage(read_snapshot(bytes.to_vec()).map(drop))
        }),
    }
}

/// Whether the damage is seen: an error of the right kind.
fn damage(read: Result<()>) -> bool {
    read.is_err_and(|error| matches!(error.status(), Status::Corrupt | Status::Unsupported))
}

fn closed(bytes: &[u8]) -> bool {
    match read_log(bytes) {
        // Without its footer a log has not been closed. The mark of the clean close says where it ends.
        Ok(seen) => !seen.is_ended,
        Err(error) => damage(Err(error)),
    }
}

fn try_all(whole: &[u8], step: usize, is_seen: &dyn Fn(&[u8]) -> bool) -> u64 {
    assert!(whole.len() > LEN - 300 && !is_seen(whole), "{} bytes", whole.len());
    let mut bytes = whole.to_vec();
    let mut tried = 0;
    for bit in (0..whole.len() * 8).step_by(step) {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(is_seen(&bytes), "bit {} of byte {} is silent", bit % 8, bit / 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        tried += 1;
    }
    for len in (0..whole.len()).step_by(step) {
        assert!(is_seen(&whole[..len]), "cut to {len} is silent");
        tried += 1;
    }
    tried
}

/// A log that was not closed: an error, unless bytes are counted as torn and no record is another one.
fn crashed_log(step: usize) -> u64 {
    let whole = log(false);
    let before = read_log(&whole).unwrap();
    assert_eq!((before.torn_bytes, before.is_ended), (0, false));
    try_all(&whole, step, &|bytes| match read_log(bytes) {
        Ok(LogSeen { torn_bytes: 0, .. }) => false,
        Ok(seen) => seen.records < before.records || seen.digest == before.digest,
        Err(error) => damage(Err(error)),
    })
}

/// A segment with many groups, nearly full.
fn log(closed: bool) -> Vec<u8> {
    let world = World::new(7, &[("sync", "always"), ("persistence", "wal")]);
    let store = world.open().unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    for number in 0.. {
        let bytes = world.disk.contents(segment(&world.disk)).unwrap();
        let used = bytes.iter().rposition(|&byte| byte != 0).unwrap();
        if used > LEN - 1_000 {
            break;
        }
        let value = vec![random.u8(..); random.usize(..700)];
        store.set(format!("key {number}"), value).unwrap();
    }
    if closed {
        // The footer ends the file, which has to be long enough.
        let bytes = world.disk.contents(segment(&world.disk)).unwrap();
        let used = bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1;
        store.set("last", vec![7; LEN - used - 200]).unwrap();
        store.shutdown().unwrap();
    }
    let mut bytes = world.disk.contents(segment(&world.disk)).unwrap();
    assert!(bytes.len() <= LEN, "one segment holds all");
    if closed {
        // Some bytes short of the length that is asked for: that is what the last value left.
        assert!(bytes.len() > LEN - 300);
    }
    bytes.shrink_to_fit();
    bytes
}

fn segment(disk: &SimDisk) -> std::path::PathBuf {
    let is_log = |path: &std::path::PathBuf| path.extension().is_some_and(|end| end == "log");
    disk.paths().into_iter().find(is_log).unwrap()
}

/// A snapshot with blocks and a large entry.
fn snapshot(compression: &'static str) -> Vec<u8> {
    let world = World::new(7, &[("persistence", "snapshot"), ("compression", compression)]);
    let store = world.open().unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    for number in 0..500 {
        let mut value = vec![0; 125];
        random.fill(&mut value);
        store.set(format!("key {number}"), value).unwrap();
    }
    store.set("large", vec![7; 70_000]).unwrap();
    let info = store.snapshot(None).unwrap();
    assert!(info.path.starts_with(PLACE));
    world.disk.contents(info.path).unwrap()
}
