//! Bytes that nobody wrote, given to everything that parses files: no panic, and no memory out of
//! proportion.
//!
//! A mutator without any help of the compiler, so that it runs everywhere; the targets in `fuzz/` give the
//! same functions to libFuzzer.

use fastrand::Rng;
use kvcore::simulation::{fuzz_log, fuzz_notes, fuzz_snapshot};

use crate::runs::{PLACE, World};

/// What is changed at most in one input.
const CHANGES: usize = 12;

/// Numbers that lengths and offsets go wrong with.
const NUMBERS: [u64; 8] = [0, 1, 127, u32::MAX as u64, 1 << 30, 1 << 40, i64::MAX as u64, u64::MAX];

/// The inputs to begin with: files of small stores.
pub struct Corpus(Vec<(Parser, Vec<u8>)>);

#[derive(Clone, Copy)]
enum Parser {
    Log,
    Snapshot,
    Notes,
}

impl Corpus {
    pub fn new() -> Corpus {
        let mut files = Vec::new();
        for compression in ["none", "gzip", "lz4", "zstd"] {
            let world = World::new(1, &[("sync", "always"), ("compression", compression)]);
            let store = world.open().unwrap();
            for number in 0..20_usize {
                store.set(format!("key {number}"), vec![b'v'; number * 20]).unwrap();
            }
            store.set("large", vec![7; 70_000]).unwrap();
            store.snapshot(None).unwrap();
            store.set("last", "x").unwrap();
            store.shutdown().unwrap();
            for path in world.disk.paths() {
                let parser = match path.extension().and_then(|end| end.to_str()) {
                    Some("log") => Parser::Log,
                    Some("kvs") => Parser::Snapshot,
                    _ if path.starts_with(PLACE) => Parser::Notes,
                    _ => continue,
                };
                files.push((parser, world.disk.contents(path).unwrap()));
            }
        }
        // Records alone, where a length is not far from anything that changes.
        for _ in 0..4 {
            files.push((Parser::Log, b"\x01\x01\x03key\x05value".to_vec()));
        }
        files.push((Parser::Notes, b"kv:/a/place?max_memory=25%&sync=always&x=%41".to_vec()));
        Corpus(files)
    }

    /// Changes one of the inputs, as the seed has it, and gives it to its parser.
    pub fn run(&self, seed: u64) {
        let mut random = Rng::with_seed(seed);
        let (parser, bytes) = &self.0[random.usize(..self.0.len())];
        let mut bytes = bytes.clone();
        for _ in 0..random.usize(1..=CHANGES) {
            change(&mut bytes, &mut random);
        }
        match parser {
            Parser::Log => drop(fuzz_log(&bytes)),
            Parser::Snapshot => drop(fuzz_snapshot(&bytes)),
            Parser::Notes => drop(fuzz_notes(&bytes)),
        }
    }
}

fn change(bytes: &mut Vec<u8>, random: &mut Rng) {
    if bytes.is_empty() {
        bytes.push(random.u8(..));
        return;
    }
    // Most of what decides is at the beginning and at the end of a file.
    let at = match random.u8(..3) {
        0 => random.usize(..bytes.len()),
        1 => random.usize(..bytes.len().min(256)),
        _ => bytes.len() - 1 - random.usize(..bytes.len().min(256)),
    };
    match random.u8(..8) {
        0 => bytes[at] ^= 1 << random.u8(..8),
        1 => bytes[at] = random.u8(..),
        2 | 3 => {
            let number = NUMBERS[random.usize(..NUMBERS.len())].to_le_bytes();
            let end = bytes.len().min(at + [1, 2, 4, 8][random.usize(..4)]);
            let len = end - at;
            bytes[at..end].copy_from_slice(&number[..len]);
        }
        4 => bytes.truncate(at),
        5 => {
            let end = bytes.len().min(at + random.usize(..64));
            bytes.drain(at..end);
        }
        6 => {
            let piece: Vec<u8> = bytes[at..bytes.len().min(at + 64)].to_vec();
            bytes.splice(at..at, piece);
        }
        _ => {
            // A number as records have it, of up to ten bytes.
            let number = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
            bytes.splice(at..at, number[random.usize(..9)..].iter().copied());
        }
    }
}

/// From now on, [`peak_bytes`] tells of what comes.
#[allow(dead_code)]
pub fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

/// The most memory that this process has had, in bytes. Says nothing where tests run side by side.
#[allow(dead_code)]
pub fn peak_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix("kB").unwrap().trim().parse::<u64>().unwrap() << 10
}
