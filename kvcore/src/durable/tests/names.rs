//! Names of the directory change, and are synced, under one lock: of two threads, the sync of the one
//! that fails would take the names of the other one along.

use std::io;
use std::sync::{Arc, OnceLock};

use super::*;
use crate::io::{DirLock, Disk, DiskFile, Listed};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// A disk that looks, once it is told of it, whether the lock is held.
#[derive(Debug)]
struct Watching {
    inner: SimDisk,
    names: Arc<OnceLock<Arc<Mutex<()>>>>,
    looks: Arc<AtomicUsize>,
}

impl Watching {
    fn look(&self, what: &str) {
        if let Some(names) = self.names.get() {
            assert!(names.try_lock().is_none(), "{what} without the lock");
            self.looks.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Disk for Watching {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.inner.create_dir_all(dir)
    }
    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.inner.exists(path)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<Listed>> {
        self.inner.list(dir)
    }
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.inner.create(path)
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.inner.open(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.look("a rename");
        self.inner.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        // What was never finished needs no sync to go: the next opener sweeps it away.
        if path.extension().is_none_or(|end| end != "tmp") {
            self.look("a removal");
        }
        self.inner.remove(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.look("a sync");
        self.inner.sync_dir(dir)
    }
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DirLock>>> {
        self.inner.lock(path)
    }
    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.inner.free_bytes(dir)
    }
}

#[test]
fn names_change_under_their_lock() {
    for persistence in ["wal", "hybrid", "snapshot"] {
        let (names, looks) = (Arc::new(OnceLock::new()), Arc::new(AtomicUsize::new(0)));
        let disk = Watching {
            inner: SimDisk::new(1),
            names: Arc::clone(&names),
            looks: Arc::clone(&looks),
        };
        let options =
            [("persistence", persistence), ("wal_segment_bytes", "64KiB"), ("snapshot_keep", "1")];
        let options = options.iter().fold(Options::new(), |all, (k, v)| all.with(k, v).unwrap());
        let clock = Clock::manual(1_700_000_000_000).0;
        let store = Store::open_on(Arc::new(disk), Path::new(DIR), options, clock).unwrap();
        let lock = store.core.durable().unwrap().directory.names();
        names.set(Arc::clone(lock)).unwrap();
        for round in 0..3 {
            // More than a segment, then one that is retired.
            for number in 0..20 {
                store.set(format!("key {number}"), vec![round; 9_000]).unwrap();
            }
            store.sync().unwrap();
            store.snapshot(None).unwrap();
        }
        store.shutdown().unwrap();
        assert!(looks.load(Ordering::Relaxed) > 20, "{persistence}: nothing was looked at");
    }
}
