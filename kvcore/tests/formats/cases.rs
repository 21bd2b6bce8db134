//! The directories that are kept of each format, and how each of them was made.
//!
//! `cargo run -p kvcore --example fixtures -- FOLDER` writes them, with what they hold in `contents.txt`.
//! The identity of a store is random, and so is the order of shards within a batch; all else comes out
//! the same.

use std::collections::BTreeMap;
use std::fmt::Write;

use kvcore::simulation::{SimDisk, open};
use kvcore::{Clock, Expiry, Options, Store};

/// When the stores were made, and what time it is when they are opened.
pub const NOW_MS: u64 = 1_700_000_000_000;

/// Bytes behind the last frame of a store that was killed.
pub const TORN_BYTES: usize = 20;

/// Where a store is on its disk.
pub const PLACE: &str = "/store";

/// How a store ended.
#[derive(Clone, Copy, PartialEq)]
pub enum End {
    Closed,
    Killed,
}

/// A directory: its name, the options of its store, and what became of that.
pub struct Case {
    pub name: &'static str,
    options: &'static [(&'static str, &'static str)],
    fill: fn(&Store),
    pub end: End,
}

const fn case(
    name: &'static str,
    options: &'static [(&'static str, &'static str)],
    fill: fn(&Store),
    end: End,
) -> Case {
    Case { name, options, fill, end }
}

const WAL: (&str, &str) = ("persistence", "wal");
const HYBRID: (&str, &str) = ("persistence", "hybrid");
const SNAPSHOT: (&str, &str) = ("persistence", "snapshot");
const FEW: (&str, &str) = ("max_entries", "50");

pub const CASES: &[Case] = &[
    case("wal", &[WAL], fill, End::Closed),
    case("wal-killed", &[WAL], fill, End::Killed),
    case("hybrid-none", &[HYBRID, ("compression", "none")], fill_twice, End::Closed),
    case("hybrid-gzip", &[HYBRID, ("compression", "gzip")], fill_twice, End::Closed),
    case("hybrid-lz4", &[HYBRID, ("compression", "lz4")], fill_twice, End::Closed),
    case("hybrid-zstd", &[HYBRID, ("compression", "zstd")], fill_twice, End::Closed),
    case("hybrid-killed", &[HYBRID, ("compression", "lz4")], fill_twice, End::Killed),
    case("snapshot-large", &[SNAPSHOT, ("compression", "zstd")], fill_large, End::Closed),
    case("policy-lru", &[SNAPSHOT, FEW, ("eviction", "lru")], fill_many, End::Closed),
    case("policy-lfu", &[SNAPSHOT, FEW, ("eviction", "lfu")], fill_many, End::Closed),
    case("policy-s3fifo", &[SNAPSHOT, FEW, ("eviction", "s3fifo")], fill_many, End::Closed),
    case("policy-tinylfu", &[SNAPSHOT, FEW, ("eviction", "tinylfu")], fill_many, End::Closed),
];

/// Every kind of record.
fn fill(store: &Store) {
    store.set("plain", "value").unwrap();
    store.set("", "the empty key").unwrap();
    store.set([0, 0xff, b'\n'], [0xff_u8, 0]).unwrap();
    store.set_many(&[("soon", "a"), ("later", "b")], Expiry::AfterMs(60_000)).unwrap();
    store.expire("later", 3_600_000).unwrap();
    store
        .set_many(&[("batch 1", "x"), ("batch 2", "y"), ("batch 3", "z")], Expiry::Default)
        .unwrap();
    store.incr("number", 41, Expiry::Default).unwrap();
    store.incr("number", 1, Expiry::Default).unwrap();
    store.append("list", "one").unwrap();
    store.append("list", ", two").unwrap();
    store.set("gone", "x").unwrap();
    store.del("gone").unwrap();
}

fn fill_twice(store: &Store) {
    fill(store);
    store.snapshot(None).unwrap();
    store.set("behind the snapshot", "x").unwrap();
    store.del("batch 2").unwrap();
}

fn fill_large(store: &Store) {
    fill(store);
    store.set("large", vec![b'v'; 300_000]).unwrap();
    store.set("out of line", vec![b'w'; 5_000]).unwrap();
}

fn fill_many(store: &Store) {
    for number in 0..70 {
        store.set(format!("key {number:02}"), format!("value {number}")).unwrap();
        store.get("key 00").unwrap();
    }
}

impl Case {
    /// The store's options.
    pub fn options(&self) -> Options {
        let base = [("shards", "2"), ("wal_segment_bytes", "64KiB"), ("sync", "always")];
        base.iter()
            .chain(self.options)
            .fold(Options::new(), |options, (name, value)| options.with(name, value).unwrap())
    }

    /// Makes the store. Returns its disk and what it holds.
    pub fn make(&self) -> (SimDisk, String) {
        let disk = SimDisk::new(1);
        let store = self.open(&disk).unwrap();
        (self.fill)(&store);
        let contents = contents(&store);
        if self.end == End::Closed {
            store.shutdown().unwrap();
        }
        disk.kill();
        drop(store);
        if self.end == End::Killed {
            tear(&disk);
        }
        (disk, contents)
    }

    /// Opens the store on a disk.
    ///
    /// # Errors
    /// What opening it gives.
    pub fn open(&self, disk: &SimDisk) -> kvcore::Result<Store> {
        open(disk, PLACE, self.options(), Clock::manual(NOW_MS).0)
    }
}

/// Leaves something behind the last frame, as a write does that a crash has cut.
fn tear(disk: &SimDisk) {
    let paths = disk.paths();
    let log = paths.iter().rfind(|path| path.extension().is_some_and(|end| end == "log")).unwrap();
    let mut bytes = disk.contents(log).unwrap();
    let end = bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    bytes[end..end + TORN_BYTES].fill(0xf7);
    disk.put(log, &bytes).unwrap();
}

/// What a store holds, a line for each key: key, value, deadline and version.
pub fn contents(store: &Store) -> String {
    let keys: Vec<Vec<u8>> = store.keys().unwrap().map(kvcore::Result::unwrap).collect();
    let entries: BTreeMap<_, _> =
        keys.into_iter().map(|key| (key.clone(), store.get(&key).unwrap().unwrap())).collect();
    entries.iter().fold(String::new(), |mut text, (key, value)| {
        let deadline = value.expire_at_ms().map_or("-".into(), |at| at.to_string());
        let (key, shown) = (shown(key), shown(value));
        writeln!(text, "{key}\t{shown}\t{deadline}\t{}", value.version()).unwrap();
        text
    })
}

/// Bytes as text: one that repeats a byte by its length.
fn shown(bytes: &[u8]) -> String {
    match bytes {
        [first, rest @ ..] if rest.len() > 1_000 && rest.iter().all(|byte| byte == first) => {
            format!("{} times {first:02x}", bytes.len())
        }
        _ => bytes
            .iter()
            .flat_map(|byte| std::ascii::escape_default(*byte))
            .map(char::from)
            .collect(),
    }
}
