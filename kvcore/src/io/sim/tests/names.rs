//! What a crash leaves of the names, and which of them are refused.

use super::*;

#[test]
fn names_survive_a_sync_of_their_directory_only() {
    let disk = disk(7);
    let file = disk.create(&path("new")).unwrap();
    file.write_at(b"x", 0).unwrap();
    file.sync_all().unwrap();
    let names = |disk: &SimDisk| disk.paths();
    assert_eq!(outcomes(&disk, names).len(), 2);
    disk.sync_dir(Path::new("/db")).unwrap();
    assert_eq!(outcomes(&disk, names).len(), 1);
    disk.remove(&path("new")).unwrap();
    assert_eq!(outcomes(&disk, names).len(), 2);
    // The file comes back whole although nothing has a name for it now.
    disk.crash_with(Survivors::Nothing);
    assert_eq!(disk.contents(path("new")).unwrap(), b"x");
}

#[test]
fn a_directory_survives_once_the_one_above_is_synced() {
    let disk = SimDisk::new(8);
    disk.create_dir_all(Path::new("a/b/c")).unwrap();
    disk.crash_with(Survivors::Nothing);
    assert!(disk.exists(Path::new("/a/b/c")).unwrap());
    disk.make(Path::new("/a/d")).unwrap();
    disk.crash_with(Survivors::Nothing);
    assert!(!disk.exists(Path::new("/a/d")).unwrap());
}

/// Wherever a process is killed while it makes directories, the next one that makes them makes them
/// survive.
#[test]
fn directories_half_made_by_a_process_that_died_are_made_whole() {
    let dir = Path::new("/a/b/c");
    for calls in 0..20 {
        let disk = SimDisk::new(calls);
        disk.cut_power_after(calls);
        let finished = disk.create_dir_all(dir).is_ok();
        disk.kill();
        disk.create_dir_all(dir).unwrap();
        disk.crash_with(Survivors::Nothing);
        assert!(disk.exists(dir).unwrap(), "{calls}");
        if finished {
            return;
        }
    }
    panic!("it never finishes");
}

#[test]
fn a_directory_above_that_is_not_ours_need_not_be_synced() {
    let disk = disk(9);
    let refuse = |errno| {
        disk.clear_faults();
        disk.inject(Fault::at(1, errno).of(&[Call::SyncDir]));
    };
    for errno in [libc::EACCES, libc::EINVAL] {
        refuse(errno);
        disk.create_dir_all(Path::new("/db")).unwrap();
    }
    refuse(libc::EIO);
    assert_eq!(os_code(disk.create_dir_all(Path::new("/db"))), Some(libc::EIO));
    // That of a new one must be.
    disk.clear_faults();
    disk.inject(Fault::at(2, libc::EACCES).of(&[Call::SyncDir]));
    assert_eq!(os_code(disk.create_dir_all(Path::new("/db/new"))), Some(libc::EACCES));
}

#[test]
fn a_rename_happens_or_does_not() {
    let disk = disk(10);
    disk.put(path("old"), b"old").unwrap();
    disk.put(path("new"), b"new").unwrap();
    disk.rename(&path("new"), &path("old")).unwrap();
    assert_eq!(disk.paths(), [path("old")]);
    let seen = outcomes(&disk, |disk| (disk.contents(path("old")), disk.contents(path("new"))));
    let before = (Some(b"old".to_vec()), Some(b"new".to_vec()));
    let after = (Some(b"new".to_vec()), None);
    assert_eq!(seen, [before, after.clone()].into());
    disk.sync_dir(Path::new("/db")).unwrap();
    let seen = outcomes(&disk, |disk| (disk.contents(path("old")), disk.contents(path("new"))));
    assert_eq!(seen, [after].into());
}

#[test]
fn a_rename_does_not_sync_the_file() {
    let disk = disk(11);
    disk.put(path("old"), b"old").unwrap();
    let file = disk.create(&path("tmp")).unwrap();
    file.write_at(b"new", 0).unwrap();
    disk.rename(&path("tmp"), &path("old")).unwrap();
    disk.sync_dir(Path::new("/db")).unwrap();
    let seen = outcomes(&disk, |disk| disk.contents(path("old")));
    let expected: [&[u8]; 3] = [b"", b"\0\0\0", b"new"];
    assert_eq!(seen, expected.map(|bytes| Some(bytes.to_vec())).into());
}

#[test]
fn changes_of_names_survive_in_every_subset() {
    let disk = disk(12);
    for name in ["a", "b", "c"] {
        disk.create(&path(name)).unwrap();
    }
    assert_eq!(outcomes(&disk, SimDisk::paths).len(), 8);
}

#[test]
fn names_are_refused_as_a_system_refuses_them() {
    let disk = disk(13);
    disk.put(path("file"), b"x").unwrap();
    disk.put(path("full/file"), b"x").unwrap();
    disk.create_dir_all(&path("dir")).unwrap();
    let (file, dir) = (path("file"), path("dir"));
    assert_eq!(os_code(disk.create(&file)), Some(libc::EEXIST));
    assert_eq!(os_code(disk.create(&path("no/file"))), Some(libc::ENOENT));
    assert_eq!(os_code(disk.create(&file.join("x"))), Some(libc::ENOTDIR));
    assert_eq!(os_code(disk.exists(&file.join("x"))), Some(libc::ENOTDIR));
    assert_eq!(os_code(disk.create_dir_all(&file.join("x"))), Some(libc::ENOTDIR));
    assert_eq!(os_code(disk.create_dir_all(&file)), Some(libc::ENOTDIR));
    assert_eq!(os_code(disk.remove(&path("no"))), Some(libc::ENOENT));
    assert_eq!(os_code(disk.remove(&dir)), Some(libc::EISDIR));
    assert_eq!(os_code(disk.rename(&path("no"), &file)), Some(libc::ENOENT));
    assert_eq!(os_code(disk.rename(&file, &dir)), Some(libc::EISDIR));
    assert_eq!(os_code(disk.rename(&dir, &file)), Some(libc::ENOTDIR));
    assert_eq!(os_code(disk.rename(&dir, &path("full"))), Some(libc::ENOTEMPTY));
    assert_eq!(os_code(disk.list(&file)), Some(libc::ENOTDIR));
    assert_eq!(os_code(disk.sync_dir(&path("no"))), Some(libc::ENOENT));
    assert_eq!(disk.open(&dir).map_err(|e| e.kind()).err(), Some(ErrorKind::InvalidInput));
    assert_eq!(os_code(disk.open(&path("../x"))), Some(libc::EINVAL));
    disk.rename(&file, &file).unwrap();
    disk.rename(&dir, &path("moved")).unwrap();
    let listed = disk.list(Path::new("/db")).unwrap();
    let listed: Vec<_> = listed.into_iter().map(|one| (one.name, one.len, one.is_file)).collect();
    let expected = [("file", 1, true), ("full", 0, false), ("moved", 0, false)];
    assert_eq!(listed, expected.map(|(name, len, is_file)| (name.to_owned(), len, is_file)));
}

#[test]
fn a_failed_sync_of_names_loses_some_of_them() {
    let mut left = BTreeSet::new();
    for seed in 0..40 {
        let disk = disk(seed);
        disk.create(&path("a")).unwrap();
        disk.inject(Fault::at(1, libc::EIO).of(SYNCS));
        assert_eq!(os_code(disk.sync_dir(Path::new("/db"))), Some(libc::EIO));
        disk.sync_dir(Path::new("/db")).unwrap();
        assert_eq!(disk.paths().len(), 1);
        disk.crash_with(Survivors::Everything);
        left.insert(disk.paths().len());
    }
    assert_eq!(left, [0, 1].into());
}
