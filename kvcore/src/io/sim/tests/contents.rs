//! What a crash leaves of the contents of files.

use super::*;

#[test]
fn it_reads_what_was_written() {
    let (disk, file) = disk_with_file(1, b"hello");
    file.write_at(b"far", 1200).unwrap();
    assert_eq!(file.len().unwrap(), 1203);
    let mut bytes = [7; 8];
    read_exact_at(&*file, &mut bytes, 1195).unwrap();
    assert_eq!(&bytes, b"\0\0\0\0\0far");
    assert_eq!(file.read_at(&mut bytes, 1200).unwrap(), 3);
    assert_eq!(file.read_at(&mut bytes, 1203).unwrap(), 0);
    assert_eq!(file.read_at(&mut bytes, u64::MAX).unwrap(), 0);
    file.set_len(3).unwrap();
    file.set_len(1203).unwrap();
    assert_eq!(&file_of(&disk)[..6], b"hel\0\0\0");
    assert!(file_of(&disk)[3..].iter().all(|&byte| byte == 0));
    assert_eq!(os_code(file.write_at(b"x", u64::MAX)), Some(libc::EFBIG));
    let reader = disk.open(&path("file")).unwrap();
    assert_eq!(os_code(reader.write_at(b"x", 0)), Some(libc::EBADF));
    assert_eq!(os_code(reader.allocate(9)), Some(libc::EBADF));
    reader.sync_data().unwrap();
}

/// Random writes, truncations and allocations, against a plain vector of bytes.
#[test]
fn it_behaves_like_a_file() {
    for seed in 0..50 {
        let mut random = Rng::with_seed(seed);
        let (disk, file) = disk_with_file(seed, b"");
        disk.short_writes(3);
        disk.short_reads(3);
        let mut model: Vec<u8> = Vec::new();
        for _ in 0..60 {
            let at = random.usize(..4000);
            match random.u8(..6) {
                0 => {
                    file.set_len(at as u64).unwrap();
                    model.resize(at, 0);
                }
                1 => {
                    file.allocate(at as u64).unwrap();
                    model.resize(model.len().max(at), 0);
                }
                2 => file.sync_data().unwrap(),
                _ => {
                    let bytes = vec![random.u8(..); random.usize(1..1500)];
                    write_all_at(&*file, &bytes, at as u64).unwrap();
                    model.resize(model.len().max(at + bytes.len()), 0);
                    model[at..at + bytes.len()].copy_from_slice(&bytes);
                }
            }
            let mut read = vec![1; model.len()];
            read_exact_at(&*file, &mut read, 0).unwrap();
            assert!(read == model, "seed {seed}");
        }
        let copy = disk.duplicate(seed);
        copy.crash_with(Survivors::Everything);
        assert!(file_of(&copy) == model, "seed {seed}");
        file.sync_all().unwrap();
        file.write_at(b"later", 1).unwrap();
        disk.crash_with(Survivors::Nothing);
        assert!(file_of(&disk) == model, "seed {seed}");
    }
}

#[test]
fn sectors_survive_in_every_subset() {
    let (disk, file) = disk_with_file(2, &[b'a'; 1536]);
    file.write_at(&[b'b'; 1536], 0).unwrap();
    let seen = outcomes(&disk, |disk| {
        let bytes = file_of(disk);
        // A sector is whole.
        assert!(bytes.chunks(512).all(|sector| sector.iter().all(|&byte| byte == sector[0])));
        (bytes[0], bytes[512], bytes[1024])
    });
    assert_eq!(seen.len(), 8, "{seen:?}");
}

#[test]
fn a_sector_may_survive_in_a_state_between() {
    let (disk, file) = disk_with_file(3, b"0");
    for state in [b"1", b"2", b"3"] {
        file.write_at(state, 0).unwrap();
    }
    let seen = outcomes(&disk, file_of);
    assert_eq!(seen, [b"0", b"1", b"2", b"3"].map(|state| state.to_vec()).into());
    // However many there were, the last one may survive, and memory is bounded.
    for state in 0..100u8 {
        file.write_at(&[state], 0).unwrap();
    }
    let seen = outcomes(&disk, file_of);
    assert!(seen.contains(&vec![99]) && seen.contains(&b"0"[..]) && seen.len() <= 9);
}

#[test]
fn a_length_survives_apart_from_the_bytes() {
    let (disk, file) = disk_with_file(4, b"ab");
    file.write_at(b"cd", 2).unwrap();
    let seen = outcomes(&disk, file_of);
    let expected: [&[u8]; 3] = [b"ab", b"ab\0\0", b"abcd"];
    assert_eq!(seen, expected.map(<[u8]>::to_vec).into());

    let (disk, file) = disk_with_file(4, &[b'a'; 600]);
    file.set_len(0).unwrap();
    let seen = outcomes(&disk, |disk| file_of(disk).len());
    assert_eq!(seen, [0, 600].into());
    file.sync_data().unwrap();
    assert_eq!(outcomes(&disk, |disk| file_of(disk).len()), [0].into());
    // What was cut off does not come back when the file grows again.
    file.set_len(600).unwrap();
    assert!(outcomes(&disk, file_of).into_iter().flatten().all(|byte| byte == 0));
}

#[test]
fn what_is_synced_survives_and_the_sync_covers_no_more() {
    let (disk, file) = disk_with_file(5, b"");
    file.write_at(b"one", 0).unwrap();
    file.sync_data().unwrap();
    file.write_at(b"two", 0).unwrap();
    disk.crash_with(Survivors::Nothing);
    assert_eq!(file_of(&disk), b"one");

    // A write that came while the sync ran.
    let (disk, file) = disk_with_file(5, b"");
    file.write_at(b"one", 0).unwrap();
    disk.hold_syncs();
    thread::scope(|scope| {
        let sync = scope.spawn(|| file.sync_data());
        while disk.syncs_held() == 0 {
            thread::yield_now();
        }
        file.write_at(b"two", 3).unwrap();
        // Until the sync is back, nothing is sure.
        let copy = disk.duplicate(0);
        copy.crash_with(Survivors::Nothing);
        assert_eq!(file_of(&copy), b"");
        disk.release_syncs();
        sync.join().unwrap().unwrap();
    });
    assert_eq!(file_of(&disk), b"onetwo");
    disk.crash_with(Survivors::Nothing);
    assert_eq!(file_of(&disk), b"one");
}

#[test]
fn a_held_sync_dies_with_the_power() {
    let (disk, file) = disk_with_file(6, b"");
    file.write_at(b"one", 0).unwrap();
    disk.hold_syncs();
    thread::scope(|scope| {
        let sync = scope.spawn(|| file.sync_data());
        while disk.syncs_held() == 0 {
            thread::yield_now();
        }
        disk.crash_with(Survivors::Nothing);
        assert_eq!(os_code(sync.join().unwrap()), Some(libc::EIO));
    });
    assert_eq!((file_of(&disk), disk.syncs_held()), (Vec::new(), 0));
}

#[test]
fn a_failed_sync_loses_what_it_says_nothing_about() {
    let mut lost = BTreeSet::new();
    for seed in 0..40 {
        let (disk, file) = disk_with_file(seed, b"old");
        file.write_at(b"new", 0).unwrap();
        disk.fail_sync_once();
        assert_eq!(os_code(file.sync_data()), Some(libc::EIO));
        // It can be read, and the next sync says that all is well.
        assert_eq!(file_of(&disk), b"new");
        file.sync_data().unwrap();
        disk.open(&path("file")).unwrap().sync_all().unwrap();
        disk.kill();
        assert_eq!(file_of(&disk), b"new");
        disk.crash_with(Survivors::Everything);
        lost.insert(file_of(&disk));
    }
    assert_eq!(lost, [b"old".to_vec(), b"new".to_vec()].into());
    // Written again, it can be synced again.
    let (disk, file) = disk_with_file(0, b"old");
    file.write_at(b"new", 0).unwrap();
    disk.fail_sync_once();
    file.sync_data().unwrap_err();
    file.write_at(b"n", 0).unwrap();
    file.sync_data().unwrap();
    disk.crash_with(Survivors::Nothing);
    assert_eq!(file_of(&disk), b"new");
}

#[test]
fn allocated_room_survives_a_sync_and_reads_as_zeros() {
    let (disk, file) = disk_with_file(19, b"");
    disk.expose_stale(true);
    disk.put(path("gone"), &[9; 4096]).unwrap();
    disk.erase(path("gone")).unwrap();
    file.allocate(4096).unwrap();
    file.sync_data().unwrap();
    file.write_at(&[1; 4096], 0).unwrap();
    let seen = outcomes(&disk, |disk| {
        let bytes = file_of(disk);
        assert_eq!(bytes.len(), 4096);
        bytes.into_iter().collect::<BTreeSet<u8>>()
    });
    assert!(seen.iter().all(|bytes| !bytes.contains(&9)));
}

#[test]
fn bytes_of_removed_files_turn_up_if_they_may() {
    let turned_up = |may_show| {
        let (disk, file) = disk_with_file(20, b"");
        disk.expose_stale(may_show);
        disk.put(path("gone"), &[9; 4096]).unwrap();
        disk.remove(&path("gone")).unwrap();
        disk.sync_dir(Path::new("/db")).unwrap();
        file.write_at(&[1; 4096], 0).unwrap();
        outcomes(&disk, |disk| file_of(disk).contains(&9)).contains(&true)
    };
    assert!(turned_up(true));
    assert!(!turned_up(false));
}
