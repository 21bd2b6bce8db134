//! Snapshots to files of the caller's: many at once, beside other files, and never over a store's own.

use super::*;
use crate::io::{Call, Fault};

/// A directory of this test's own on the real disk.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = Place::new(name).0.clone();
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn names(&self) -> Vec<String> {
        let listed = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            listed.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn many_calls_for_one_path_all_succeed() {
    let folder = Folder::new("one-path");
    let path = folder.0.join("backup.kvs");
    let own = folder.0.join("backup.kvs.tmp");
    std::fs::write(&own, "the caller's").unwrap();
    // Two stores share no lock, as two processes do.
    let stores = [1, 2].map(|entries| {
        let store = Store::memory(Options::new()).unwrap();
        for n in 0..entries {
            store.set(format!("{n}"), "value").unwrap();
        }
        store
    });
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (store, path) = (&stores[number % 2], &path);
            scope.spawn(move || {
                for _ in 0..15 {
                    let info = store.snapshot(Some(path)).unwrap();
                    assert_eq!((info.entries, info.path), (number as u64 % 2 + 1, path.clone()));
                }
            });
        }
        // Whenever it is looked at, there is one whole file.
        for _ in 0..15 {
            if path.exists() {
                crate::snapshot::verify(&RealDisk, &path).unwrap();
            }
        }
    });
    assert_eq!(folder.names(), ["backup.kvs", "backup.kvs.tmp"]);
    assert_eq!(std::fs::read(&own).unwrap(), b"the caller's");
    assert!((1..=2).contains(&crate::snapshot::verify(&RealDisk, &path).unwrap().entries));
}

#[test]
fn the_files_of_a_store_are_not_replaced() {
    let folder = Folder::new("own-files");
    let store = Store::open_directory(&folder.0, Options::new()).unwrap();
    store.set("a", "1").unwrap();
    store.snapshot(None).unwrap();
    let other = Store::memory(Options::new()).unwrap();
    let mut names = folder.names();
    assert!(names.len() >= 4, "{names:?}");
    names.extend(["CLOSED", "STORE.tmp"].map(String::from));
    names.push(format!("wal-{:020}.tmp", 7));
    names.push(format!("snapshot-{:020}.kvs", 7));
    let before = folder.names();
    for name in names {
        let path = folder.0.join("..").join(folder.0.file_name().unwrap()).join(&name);
        for store in [&store, &other] {
            let error = store.snapshot(Some(&path)).unwrap_err();
            assert_eq!(error.status(), Status::Invalid, "{name}: {error}");
            assert!(error.message().contains(&name), "{error}");
        }
    }
    assert_eq!(folder.names(), before);
    let second = Store::open_directory(&folder.0, Options::new());
    assert_eq!(second.unwrap_err().status(), Status::Locked);
    // Other names are free there, and these names elsewhere.
    store.snapshot(Some(&folder.0.join("backup.kvs"))).unwrap();
    let elsewhere = Folder::new("own-files-elsewhere");
    store.snapshot(Some(&elsewhere.0.join("LOCK"))).unwrap();
    assert_eq!(elsewhere.names(), ["LOCK"]);
    store.shutdown().unwrap();
    for path in ["/", "..", ""] {
        assert_eq!(other.snapshot(Some(Path::new(path))).unwrap_err().status(), Status::Invalid);
    }
}

#[test]
fn when_only_the_sync_of_the_directory_fails_the_new_file_is_there() {
    let disk = SimDisk::new(1);
    let store = open(&disk, &[("persistence", "none")]).unwrap();
    disk.disk().create_dir_all(Path::new("/backups")).unwrap();
    let to = Path::new("/backups/copy");
    let snapshot = || picture::write_to(&store.core, &*disk.disk(), 1, to);
    store.set("a", "1").unwrap();
    snapshot().unwrap();
    for (call, entries) in [(Call::Rename, 1), (Call::SyncDir, 2)] {
        store.set("b", "2").unwrap();
        disk.inject(Fault::at(1, libc::EIO).of(&[call]));
        assert_eq!(snapshot().unwrap_err().status(), Status::Io);
        disk.clear_faults();
        let files = disk.paths();
        assert_eq!(files.iter().filter(|path| path.starts_with("/backups/")).count(), 1);
        let there = crate::snapshot::verify(&*disk.disk(), to).unwrap();
        assert_eq!(there.entries, entries, "{call:?}");
    }
}
