//! Files that are not what was written.

use super::super::format::{FOOTER_BYTES, HEAD_BYTES, put, u32_at};
use super::super::fuzz::{fuzz_read, mend};
use super::*;

/// A small file that has all kinds of blocks: a large entry too.
fn small(how: Compression) -> Vec<u8> {
    let disk = disk();
    let writer = SnapshotWriter::create(&disk, path(), &head(), how).unwrap();
    let mut block = writer.builder();
    for entry in few() {
        assert_eq!(block.push(&entry.saved()), Pushed::Added);
    }
    writer.write_block(&mut block).unwrap();
    writer.write_large(&Owned::new("large", value(1, 300)).saved()).unwrap();
    writer.finish().unwrap();
    disk.contents(path()).unwrap()
}

fn assert_damaged(bytes: Vec<u8>, place: &str) {
    let error = read(bytes).expect_err(place);
    assert_eq!(error.status(), Status::Corrupt, "{place}: {error}");
    let message = error.message();
    assert!(message.starts_with("snapshot memory is damaged at offset "), "{place}: {error}");
}

#[test]
fn every_flipped_bit_is_found() {
    for how in ALL {
        let whole = small(how);
        assert!(whole.len() < 4000);
        assert_eq!(read(whole.clone()), Ok(7));
        for bit in 0..8 * whole.len() {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_damaged(bytes, &format!("{how:?}, bit {bit}"));
        }
    }
}

#[test]
fn a_flipped_bit_in_a_block_is_found_where_it_is() {
    let mut bytes = small(Compression::None);
    bytes[HEAD_BYTES + 60] ^= 1;
    let error = read(bytes).unwrap_err();
    let place = format!("at offset {}: the checksum of a block", HEAD_BYTES + 40);
    assert!(error.message().contains(&place), "{error}");
}

#[test]
fn every_truncation_is_found() {
    for how in ALL {
        let whole = small(how);
        for len in 0..whole.len() {
            assert_damaged(whole[..len].to_vec(), &format!("{how:?}, {len} bytes"));
        }
    }
}

#[test]
fn what_follows_is_found() {
    let whole = small(Compression::Zstd);
    for extra in [1, 7, FOOTER_BYTES, 4096] {
        let mut zeros = whole.clone();
        zeros.resize(whole.len() + extra, 0);
        assert_damaged(zeros, "zeros");
    }
    let twice = [&whole[..], &whole[..]].concat();
    assert_damaged(twice, "twice");
    let footer = whole.len() - FOOTER_BYTES;
    assert_damaged([&whole[..], &whole[footer..]].concat(), "two footers");
}

#[test]
fn blocks_of_another_file_are_found() {
    let ours = small(Compression::None);
    let theirs = {
        let disk = disk();
        let other = SnapshotHead { lsn: 8, ..head() };
        let writer = SnapshotWriter::create(&disk, path(), &other, Compression::None).unwrap();
        let mut block = writer.builder();
        for entry in few() {
            assert_eq!(block.push(&entry.saved()), Pushed::Added);
        }
        writer.write_block(&mut block).unwrap();
        writer.write_large(&Owned::new("large", value(1, 300)).saved()).unwrap();
        writer.finish().unwrap();
        disk.contents(path()).unwrap()
    };
    assert_eq!(ours.len(), theirs.len());
    for (from, to) in [(0, HEAD_BYTES), (HEAD_BYTES, 300), (ours.len() - 64, ours.len())] {
        let mut mixed = ours.clone();
        mixed[from..to].copy_from_slice(&theirs[from..to]);
        assert_damaged(mixed, &format!("{from}..{to}"));
    }
}

#[test]
fn another_version_of_the_format_is_named() {
    let mut bytes = small(Compression::None);
    put(&mut bytes, 8, &2_u32.to_le_bytes());
    mend(&mut bytes);
    let error = read(bytes.clone()).unwrap_err();
    assert_eq!(error.status(), Status::Unsupported);
    assert!(error.message().contains("snapshot memory has format version 2"), "{error}");
    bytes.truncate(HEAD_BYTES);
    assert_eq!(read(bytes).unwrap_err().status(), Status::Unsupported);
}

/// With right checksums a wrong byte may stay unseen, but nothing may go wrong by it.
#[test]
fn lies_under_right_checksums_do_no_harm() {
    for how in ALL {
        let whole = small(how);
        for at in 0..whole.len() {
            for byte in [0, 1, 0x80, 0xff, whole[at].wrapping_add(1)] {
                let mut bytes = whole.clone();
                bytes[at] = byte;
                mend(&mut bytes);
                if let Err(error) = read(bytes) {
                    let known = [Status::Corrupt, Status::Unsupported];
                    assert!(known.contains(&error.status()), "{at}: {error}");
                }
            }
        }
    }
}

#[test]
fn an_index_that_lies_is_refused() {
    let whole = small(Compression::None);
    let footer = whole.len() - FOOTER_BYTES;
    let index = u32_at(&whole, footer + 8) as usize;
    let lie = |at: usize, bytes: &[u8]| {
        let mut lying = whole.clone();
        put(&mut lying, at, bytes);
        mend(&mut lying);
        assert_damaged(lying, &format!("{at}: {bytes:?}"));
    };
    lie(index, &64_u64.to_le_bytes()); // overlaps the head
    lie(index, &u64::MAX.to_le_bytes());
    lie(index + 8, &u32::MAX.to_le_bytes()); // stored
    lie(index + 12, &u32::MAX.to_le_bytes()); // raw
    lie(index + 12, &0_u32.to_le_bytes());
    lie(index + 16, &u32::MAX.to_le_bytes()); // entries
    lie(index + 16, &0_u32.to_le_bytes());
    lie(index + 24, &[1]); // kind: a large entry without pieces
    lie(index + 24, &[2]); // kind: a piece of nothing
    lie(index + 24, &[3]);
    lie(index + 25, &[1]);
    lie(footer + 8, &u64::MAX.to_le_bytes()); // where the index is
    lie(footer + 16, &u64::MAX.to_le_bytes()); // lines
    lie(footer + 24, &1_u64.to_le_bytes()); // entries
    lie(footer + 32, &1_u64.to_le_bytes()); // bytes
    lie(footer + 40, &1_u64.to_le_bytes()); // length
}

#[test]
fn a_block_that_would_unpack_to_more_than_it_says_is_refused() {
    let entries = [Owned::new("zeros", value(5, 60_000))];
    for how in [Compression::Gzip, Compression::Lz4, Compression::Zstd] {
        let whole = file(&entries, how);
        let index = u32_at(&whole, whole.len() - FOOTER_BYTES + 8) as usize;
        let raw = u32_at(&whole, HEAD_BYTES + 8);
        for lie in [raw - 1, raw + 1, raw / 2, raw * 2] {
            let mut bytes = whole.clone();
            put(&mut bytes, HEAD_BYTES + 8, &lie.to_le_bytes());
            put(&mut bytes, index + 12, &lie.to_le_bytes());
            let footer = whole.len() - FOOTER_BYTES;
            put(&mut bytes, footer + 32, &u64::from(lie).to_le_bytes());
            mend(&mut bytes);
            let error = read(bytes).unwrap_err();
            assert!(error.message().contains("does not unpack"), "{how:?}: {error}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_bytes_can_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(fuzz_read(&bytes).is_err());
    }

    #[test]
    fn any_change_of_some_bytes_can_be_read(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        how in 0..4_usize,
    ) {
        let whole = small(ALL[how]);
        let mut bytes = whole.clone();
        for (at, byte) in changes {
            bytes[at.index(whole.len())] = byte;
        }
        prop_assert_eq!(fuzz_read(&bytes).is_ok(), bytes == whole);
    }
}

#[test]
fn numbers_that_no_store_gives_out_are_refused() {
    let largest = 1 << 63;
    let heads = |number| {
        [
            SnapshotHead { lsn: number, ..head() },
            SnapshotHead { segment: number, ..head() },
            SnapshotHead { revision: number, ..head() },
        ]
    };
    for head in heads(largest) {
        assert!(SnapshotHead::decode(&head.encode()).is_ok());
    }
    for head in heads(largest + 1).into_iter().chain(heads(u64::MAX)) {
        assert!(SnapshotHead::decode(&head.encode()).is_err(), "{head:?}");
    }
}
