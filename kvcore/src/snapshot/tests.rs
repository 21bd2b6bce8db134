//! Whole snapshots: round trips, damage of every kind, disks that fail, many threads.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod damage;
mod disks;

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::fuzz::read;
use super::*;
use crate::entry::NEVER;
use crate::error::{Error, Status};
use crate::io::{Disk, SimDisk};

const ALL: [Compression; 4] =
    [Compression::None, Compression::Gzip, Compression::Lz4, Compression::Zstd];
const BASE_MS: i64 = 1_700_000_000_000;

/// An entry that owns what it is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Owned {
    key: Vec<u8>,
    value: Vec<u8>,
    deadline: i64,
    version: u64,
    created_at_ms: Option<i64>,
    hits: u8,
    access: u8,
    tag: u8,
}

impl Owned {
    fn new(key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Owned {
        Owned {
            key: key.into(),
            value: value.into(),
            deadline: NEVER,
            version: 1,
            created_at_ms: None,
            hits: 0,
            access: 0,
            tag: 0,
        }
    }

    fn of(saved: &Saved<'_>) -> Owned {
        let Saved { key, value, deadline, version, created_at_ms, hits, access, tag } = *saved;
        let (key, value) = (key.to_vec(), value.to_vec());
        Owned { key, value, deadline, version, created_at_ms, hits, access, tag }
    }

    fn saved(&self) -> Saved<'_> {
        let Owned { deadline, version, created_at_ms, hits, access, tag, .. } = *self;
        let (key, value) = (&self.key[..], &self.value[..]);
        Saved { key, value, deadline, version, created_at_ms, hits, access, tag }
    }
}

fn path() -> &'static Path {
    Path::new("/data/snapshot-7.kvs")
}

fn head() -> SnapshotHead {
    SnapshotHead {
        store_id: *b"0123456789abcdef",
        lsn: 7,
        segment: 3,
        revision: 99,
        time_ms: BASE_MS,
        eviction: "tinylfu".into(),
        has_log: true,
    }
}

/// A disk with a directory, on which a fault or a bound may be put.
fn disk() -> SimDisk {
    let disk = SimDisk::new(1);
    disk.create_dir_all(Path::new("/data")).unwrap();
    disk
}

fn write(disk: &SimDisk, entries: &[Owned], how: Compression) -> Result<SnapshotSummary, Error> {
    let writer = SnapshotWriter::create(disk, path(), &head(), how)?;
    let mut packer = writer.packer();
    for entry in entries {
        packer.push(&entry.saved())?;
    }
    packer.finish()?;
    writer.finish()
}

/// The bytes of a snapshot of these entries.
fn file(entries: &[Owned], how: Compression) -> Vec<u8> {
    let disk = disk();
    let summary = write(&disk, entries, how).unwrap();
    assert_eq!(verify(&disk, path()), Ok(summary));
    disk.contents(path()).unwrap()
}

fn read_back(disk: &SimDisk) -> Vec<Owned> {
    let reader = SnapshotReader::open(disk, path()).unwrap();
    let mut buffer = BlockBuffer::new();
    let mut found = Vec::new();
    for (number, block) in reader.blocks().iter().enumerate() {
        let before = found.len();
        let entries = reader.read_block(number, &mut buffer).unwrap();
        found.extend(entries.map(|entry| Owned::of(&entry.unwrap())));
        assert_eq!(found.len() - before, block.entries as usize);
    }
    found
}

/// Compressible, and different for every number.
fn value(number: usize, len: usize) -> Vec<u8> {
    (0..len).map(|n| ((n / 3) ^ (number * 31)) as u8).collect()
}

/// A few entries with everything that an entry can have.
fn few() -> Vec<Owned> {
    let mut entries: Vec<Owned> =
        (0..6).map(|n| Owned::new(format!("key {n}"), value(n, 40 * n))).collect();
    entries[1].deadline = BASE_MS + 60_000;
    entries[2].created_at_ms = Some(BASE_MS - 5);
    entries[2].hits = 9;
    entries[3].access = 5;
    entries[4].tag = 200;
    entries[5].version = (1 << 48) - 1;
    entries
}

fn owned() -> impl Strategy<Value = Owned> {
    let bytes = |most| proptest::collection::vec(any::<u8>(), 0..most);
    let large = (65_000..200_000_usize, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]);
    let value = prop_oneof![8 => bytes(200), 2 => bytes(5000), 1 => large];
    let numbers = (any::<u64>(), any::<Option<i64>>(), any::<u8>(), any::<u8>(), any::<u8>());
    let deadline = prop_oneof![Just(NEVER), any::<i64>()];
    (bytes(100), value, deadline, numbers).prop_map(|(key, value, deadline, numbers)| {
        let (version, created_at_ms, hits, access, tag) = numbers;
        Owned { key, value, deadline, version, created_at_ms, hits, access, tag }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_goes_in_comes_out(entries in proptest::collection::vec(owned(), 0..80)) {
        for how in ALL {
            let disk = disk();
            let summary = write(&disk, &entries, how).unwrap();
            prop_assert_eq!(summary.entries, entries.len() as u64);
            prop_assert_eq!(summary.bytes, disk.contents(path()).unwrap().len() as u64);
            prop_assert_eq!(verify(&disk, path()).unwrap(), summary);
            // A large entry is written ahead of the block that is being filled.
            let order = |list: &[Owned]| {
                let mut list = list.to_vec();
                list.sort_by(|a, b| (&a.key, &a.value, a.version).cmp(&(&b.key, &b.value, b.version)));
                list
            };
            prop_assert_eq!(order(&read_back(&disk)), order(&entries));
        }
    }
}

#[test]
fn an_empty_snapshot_is_one() {
    for how in ALL {
        let disk = disk();
        let summary = write(&disk, &[], how).unwrap();
        assert_eq!((summary.entries, summary.blocks, summary.raw_bytes), (0, 0, 0));
        assert_eq!(verify(&disk, path()), Ok(summary));
        assert_eq!(read_back(&disk), []);
        let reader = SnapshotReader::open(&disk, path()).unwrap();
        assert_eq!(reader.head(), &head());
        let outside = reader.read_block(0, &mut BlockBuffer::new()).unwrap_err();
        assert_eq!(outside.status(), Status::Invalid);
    }
}

#[test]
fn blocks_are_as_large_as_they_should_be() {
    let entries: Vec<Owned> = (0..20_000)
        .map(|n| Owned { version: n as u64, ..Owned::new(format!("key {n:08}"), value(n, 100)) })
        .collect();
    let disk = disk();
    let summary = write(&disk, &entries, Compression::None).unwrap();
    assert_eq!(read_back(&disk), entries);
    let data: usize = entries.iter().map(|entry| entry.key.len() + entry.value.len()).sum();
    let head_bytes = summary.raw_bytes as usize - data;
    assert!(head_bytes <= 8 * entries.len(), "{head_bytes}");
    assert_eq!(summary.blocks, summary.raw_bytes.div_ceil((256 << 10) - 200));
    assert!(disk.calls() < 2 * summary.blocks + 100);
}

#[test]
fn entries_of_every_size_around_the_limits() {
    let longest = 65_535;
    let mut entries = Vec::new();
    for (key, value_len) in [
        (longest, 0),
        (longest, 1),
        (longest, 2),
        (0, 65_535),
        (0, 65_536),
        (0, 65_537),
        (1, (1 << 20) - 1),
        (2, 1 << 20),
        (3, (1 << 20) + 1),
        (longest, (3 << 20) + 17),
    ] {
        entries.push(Owned::new(vec![b'k'; key], value(entries.len(), value_len)));
    }
    for how in ALL {
        let disk = disk();
        write(&disk, &entries, how).unwrap();
        let mut found = read_back(&disk);
        found.sort_by_key(|entry| entries.iter().position(|other| other == entry));
        assert!(found == entries, "{how:?}");
    }
    for (key, value_len) in [(longest, 1), (0, 65_536)] {
        assert!(!BlockBuilder::is_large(key, value_len));
    }
    assert!(BlockBuilder::is_large(longest, 2));
    assert!(BlockBuilder::is_large(usize::MAX, usize::MAX));
}

#[test]
fn a_key_that_is_too_long_is_refused() {
    let disk = disk();
    let writer = SnapshotWriter::create(&disk, path(), &head(), Compression::None).unwrap();
    let long = Owned::new(vec![0; 65_536], "");
    assert_eq!(writer.builder().push(&long.saved()), Pushed::Large);
    assert_eq!(writer.write_large(&long.saved()).unwrap_err().status(), Status::TooLarge);
    let name = SnapshotHead { eviction: "x".repeat(33), ..head() };
    let refused = SnapshotWriter::create(&disk, Path::new("/data/b"), &name, Compression::None);
    assert_eq!(refused.err().unwrap().status(), Status::Invalid);
    assert!(!disk.exists(Path::new("/data/b")).unwrap());
}

#[test]
fn large_values_are_not_copied_nor_rewritten() {
    let disk = disk();
    let entry = Owned::new("large", value(3, 9 << 20));
    let before = disk.calls();
    write(&disk, std::slice::from_ref(&entry), Compression::None).unwrap();
    // Two for each piece of a megabyte, and a few for the file.
    assert!(disk.calls() - before <= 2 * 9 + 10, "{}", disk.calls() - before);
    assert_eq!(read_back(&disk), [entry]);
}

#[test]
fn many_threads_write_and_read_one_file() {
    const THREADS: usize = 4;
    const EACH: usize = 2000;
    for how in [Compression::None, Compression::Lz4] {
        let disk = disk();
        let writer = SnapshotWriter::create(&disk, path(), &head(), how).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let writer = &writer;
                scope.spawn(move || {
                    let mut packer = writer.packer();
                    for n in 0..EACH {
                        let len = if n % 1000 == 7 { 1_500_000 } else { 200 };
                        let key = format!("{thread} {n}");
                        packer.push(&Owned::new(key, value(n, len)).saved()).unwrap();
                    }
                    packer.finish().unwrap();
                });
            }
        });
        let summary = writer.finish().unwrap();
        assert_eq!(summary.entries, (THREADS * EACH) as u64);
        let reader = SnapshotReader::open(&disk, path()).unwrap();
        assert_eq!(reader.summary(), summary);
        let next = crate::sync::atomic::AtomicUsize::new(0);
        let take = || next.fetch_add(1, crate::sync::atomic::Ordering::Relaxed);
        let found: BTreeMap<Vec<u8>, Vec<u8>> = std::thread::scope(|scope| {
            let work = || {
                let mut buffer = BlockBuffer::new();
                let mut found = Vec::new();
                for number in
                    std::iter::repeat_with(take).take_while(|&n| n < reader.blocks().len())
                {
                    for entry in reader.read_block(number, &mut buffer).unwrap() {
                        let Saved { key, value, .. } = entry.unwrap();
                        found.push((key.to_vec(), value.to_vec()));
                    }
                }
                found
            };
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(found.len(), THREADS * EACH);
        for thread in 0..THREADS {
            for n in 0..EACH {
                let len = if n % 1000 == 7 { 1_500_000 } else { 200 };
                let key = format!("{thread} {n}").into_bytes();
                assert!(found.get(&key) == Some(&value(n, len)), "{thread} {n}");
            }
        }
    }
}
