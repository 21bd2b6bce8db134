//! Disks that are full, slow or broken.

use super::*;
use crate::io::{Call, Fault, SYNCS, Survivors};

/// Enough for some blocks and a large entry.
fn entries() -> Vec<Owned> {
    let mut entries: Vec<Owned> =
        (0..100).map(|n| Owned::new(format!("key {n}"), value(n, 4000))).collect();
    entries.insert(50, Owned::new("large", value(1, 1_200_000)));
    entries
}

#[test]
fn short_calls_are_carried_on() {
    let disk = disk();
    disk.short_writes(1);
    disk.short_reads(1);
    let entries = few();
    write(&disk, &entries, Compression::None).unwrap();
    assert_eq!(read_back(&disk), entries);
}

#[test]
fn an_error_at_any_call_is_told() {
    for how in [Compression::None, Compression::Zstd] {
        let entries = entries();
        let calls = {
            let disk = disk();
            let before = disk.calls();
            write(&disk, &entries, how).unwrap();
            disk.calls() - before
        };
        for (errno, status) in [
            (libc::EIO, Status::Io),
            (libc::ENOSPC, Status::NoSpace),
            (libc::EDQUOT, Status::NoSpace),
        ] {
            for n in 1..=calls {
                let disk = disk();
                disk.inject(Fault::at(n, errno));
                let error = write(&disk, &entries, how).unwrap_err();
                assert_eq!(error.status(), status, "call {n}: {error}");
                assert!(error.message().contains("snapshot /data/snapshot-7.kvs"), "{error}");
            }
            let disk = disk();
            disk.inject(Fault::at(calls + 1, errno));
            write(&disk, &entries, how).unwrap();
        }
    }
}

#[test]
fn a_full_disk_is_told_and_never_looks_whole() {
    let entries = entries();
    let whole = file(&entries, Compression::None).len() as u64;
    for room in [0, 100, 127, 128, 10_000, 300_000, 1_000_000, whole - 4096] {
        let disk = disk();
        disk.set_capacity(Some(room));
        let error = write(&disk, &entries, Compression::None).unwrap_err();
        assert_eq!(error.status(), Status::NoSpace, "{room}: {error}");
        assert!(verify(&disk, path()).is_err());
    }
}

#[test]
fn the_first_fault_stays() {
    let disk = disk();
    let writer = SnapshotWriter::create(&disk, path(), &head(), Compression::None).unwrap();
    let mut block = writer.builder();
    assert_eq!(block.push(&few()[3].saved()), Pushed::Added);
    disk.inject(Fault::at(1, libc::ENOSPC).of(&[Call::Write]));
    let fault = writer.write_block(&mut block).unwrap_err();
    assert_eq!(fault.status(), Status::NoSpace);
    assert_eq!(block.entries(), 1);
    assert_eq!(writer.write_block(&mut block).unwrap_err(), fault);
    assert_eq!(writer.write_large(&few()[3].saved()).unwrap_err(), fault);
    block.clear();
    assert_eq!(writer.write_block(&mut block).unwrap_err(), fault);
    assert_eq!(writer.finish().unwrap_err(), fault);
    assert!(verify(&disk, path()).is_err());
}

#[test]
fn a_failed_sync_on_the_way_is_not_forgotten() {
    let disk = disk();
    let writer = SnapshotWriter::create(&disk, path(), &head(), Compression::None).unwrap();
    disk.fail_sync_once();
    let large = Owned::new("large", value(1, 33 << 20));
    let fault = writer.write_large(&large.saved()).unwrap_err();
    assert_eq!(fault.status(), Status::Io);
    assert_eq!(writer.finish().unwrap_err(), fault);
    assert!(verify(&disk, path()).is_err());
}

#[test]
fn what_is_finished_survives_and_what_is_not_does_not() {
    let entries = entries();
    for seed in 0..3 {
        let disk = SimDisk::new(seed);
        disk.create_dir_all(Path::new("/data")).unwrap();
        let summary = write(&disk, &entries, Compression::Lz4).unwrap();
        disk.sync_dir(Path::new("/data")).unwrap();
        disk.crash();
        assert_eq!(verify(&disk, path()), Ok(summary));
    }
    let disk = disk();
    let writer = SnapshotWriter::create(&disk, path(), &head(), Compression::None).unwrap();
    let mut packer = writer.packer();
    entries.iter().for_each(|entry| packer.push(&entry.saved()).unwrap());
    packer.finish().unwrap();
    disk.crash_with(Survivors::Everything);
    assert_eq!(writer.finish().unwrap_err().status(), Status::Io);
    assert_eq!(verify(&disk, path()).unwrap_err().status(), Status::Corrupt);
}

#[test]
fn no_power_cut_while_writing_leaves_a_file_that_lies() {
    let entries = few();
    let calls = {
        let disk = disk();
        let before = disk.calls();
        write(&disk, &entries, Compression::None).unwrap();
        disk.calls() - before
    };
    for n in 0..=calls {
        for seed in 0..16 {
            let disk = SimDisk::new(seed);
            disk.create_dir_all(Path::new("/data")).unwrap();
            disk.cut_power_after(n);
            let written = write(&disk, &entries, Compression::None);
            assert_eq!(written.is_ok(), n == calls);
            disk.crash();
            // Whole by chance is fine: the last sync may have done its work.
            if verify(&disk, path()).is_ok() {
                assert_eq!(read_back(&disk), entries);
            }
        }
    }
}

#[test]
fn a_read_error_is_no_damage() {
    let disk = disk();
    write(&disk, &few(), Compression::None).unwrap();
    let reads = {
        let before = disk.calls_of(Call::Read);
        verify(&disk, path()).unwrap();
        disk.calls_of(Call::Read) - before
    };
    for call in [Call::Open, Call::Len, Call::Read] {
        for n in 1..=if call == Call::Read { reads } else { 1 } {
            disk.clear_faults();
            disk.inject(Fault::at(n, libc::EIO).of(&[call]));
            let error = verify(&disk, path()).unwrap_err();
            assert_eq!(
                (error.status(), error.os_code()),
                (Status::Io, Some(libc::EIO)),
                "{call:?}"
            );
            assert!(error.message().contains("snapshot /data/snapshot-7.kvs"), "{error}");
        }
    }
    disk.clear_faults();
    verify(&disk, path()).unwrap();
}

#[test]
fn an_existing_file_is_left_alone() {
    let disk = disk();
    disk.put(path(), b"something else").unwrap();
    let error = write(&disk, &few(), Compression::None).unwrap_err();
    assert_eq!(error.status(), Status::Io);
    assert_eq!(disk.contents(path()).unwrap(), b"something else");
    assert_eq!(disk.calls_of(SYNCS[0]) + disk.calls_of(SYNCS[1]), 0);
}
