//! RocksDB with default options, through its C interface, loaded when it is asked for: the workspace
//! builds without it.
//!
//! RocksDB has no thread that syncs its log: in `Mode::Interval` the benchmark does, once a second.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_uchar, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::{NonNull, null_mut};

use anyhow::{Result, bail};

use super::{Mode, Peer, Writer};
use crate::outside::load;
use crate::plan::Key;

/// Names of the library: Debian's without the package for developers have a version.
const LIBRARIES: [&str; 4] =
    ["librocksdb.so", "librocksdb.so.7.8", "librocksdb.so.8.9", "librocksdb.so.9.10"];

type Handle = *mut c_void;
type Fault = *mut *mut c_char;

/// The functions of `rocksdb/c.h` that are used.
struct Calls {
    put: unsafe extern "C" fn(Handle, Handle, *const c_char, usize, *const c_char, usize, Fault),
    get: unsafe extern "C" fn(Handle, Handle, *const c_char, usize, *mut usize, Fault) -> Handle,
    flush_wal: unsafe extern "C" fn(Handle, c_uchar, Fault),
    free: unsafe extern "C" fn(Handle),
    close: unsafe extern "C" fn(Handle),
}

/// An open database.
pub(super) struct RocksDb {
    calls: Calls,
    database: Handle,
    reads: Handle,
    /// Options of a write that does not wait for the disk, and of one that does.
    writes: [Handle; 2],
    mode: Mode,
}

// SAFETY: a database, and options that nobody changes any more, may be used by any number of threads
// at once; closing the database is left to Drop, which has it alone.
unsafe impl Sync for RocksDb {}

impl RocksDb {
    pub(super) fn open(dir: &Path) -> Result<RocksDb> {
        let library = load(&LIBRARIES)?;
        let path = CString::new(dir.join("rocksdb").as_os_str().as_bytes())?;
        let mut fault = null_mut();
        // SAFETY: the types are those of `rocksdb/c.h`; the path ends in a zero; options are made
        // before they are used, and stay for as long as the process.
        unsafe {
            let create: unsafe extern "C" fn() -> Handle =
                *library.get(b"rocksdb_options_create")?;
            let create_if_missing: unsafe extern "C" fn(Handle, c_uchar) =
                *library.get(b"rocksdb_options_set_create_if_missing")?;
            let open: unsafe extern "C" fn(Handle, *const c_char, Fault) -> Handle =
                *library.get(b"rocksdb_open")?;
            let reads: unsafe extern "C" fn() -> Handle =
                *library.get(b"rocksdb_readoptions_create")?;
            let writes: unsafe extern "C" fn() -> Handle =
                *library.get(b"rocksdb_writeoptions_create")?;
            let set_sync: unsafe extern "C" fn(Handle, c_uchar) =
                *library.get(b"rocksdb_writeoptions_set_sync")?;
            let calls = Calls {
                put: *library.get(b"rocksdb_put")?,
                get: *library.get(b"rocksdb_get")?,
                flush_wal: *library.get(b"rocksdb_flush_wal")?,
                free: *library.get(b"rocksdb_free")?,
                close: *library.get(b"rocksdb_close")?,
            };
            let options = create();
            create_if_missing(options, 1);
            let database = open(options, path.as_ptr(), &mut fault);
            calls.check(fault)?;
            let writes = [writes(), writes()];
            set_sync(writes[1], 1);
            Ok(RocksDb { calls, database, reads: reads(), writes, mode: Mode::Never })
        }
    }
}

impl Calls {
    /// # Safety
    /// The pointer was set by a call that was told its place, or is null.
    unsafe fn check(&self, fault: *mut c_char) -> Result<()> {
        let Some(fault) = NonNull::new(fault) else { return Ok(()) };
        // SAFETY: the caller vouches for a text that ends in a zero and is to be freed.
        let text = unsafe { CStr::from_ptr(fault.as_ptr()) }.to_string_lossy().into_owned();
        // SAFETY: as above.
        unsafe { (self.free)(fault.as_ptr().cast()) };
        bail!("RocksDB: {text}")
    }
}

impl Peer for RocksDb {
    fn set_mode(&mut self, mode: Mode) -> Result<()> {
        self.mode = mode;
        Ok(())
    }

    fn writer(&self) -> Result<Box<dyn Writer + '_>> {
        Ok(Box::new(self))
    }

    fn tick(&self) -> Result<()> {
        let mut fault = null_mut();
        // SAFETY: the database is open, and `fault` is a place for a text.
        unsafe {
            (self.calls.flush_wal)(self.database, 1, &mut fault);
            self.calls.check(fault)
        }
    }
}

impl Writer for &RocksDb {
    fn set(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        let writes = self.writes[usize::from(self.mode == Mode::Always)];
        let (key, key_len) = (key.as_ptr().cast(), key.len());
        let mut fault = null_mut();
        // SAFETY: the database is open, key and value are as long as said, and `fault` is a place
        // for a text.
        unsafe {
            let (value, value_len) = (value.as_ptr().cast(), value.len());
            (self.calls.put)(self.database, writes, key, key_len, value, value_len, &mut fault);
            self.calls.check(fault)
        }
    }

    fn get(&mut self, key: &Key) -> Result<bool> {
        let (mut len, mut fault) = (0, null_mut());
        // SAFETY: as in `set`; the value, if there is one, is ours to free.
        unsafe {
            let key = (key.as_ptr().cast(), key.len());
            let found =
                (self.calls.get)(self.database, self.reads, key.0, key.1, &mut len, &mut fault);
            self.calls.check(fault)?;
            (self.calls.free)(found);
            Ok(!found.is_null())
        }
    }
}

impl Drop for RocksDb {
    fn drop(&mut self) {
        // SAFETY: opened by `open`, closed once, and no call is under way.
        unsafe { (self.calls.close)(self.database) }
    }
}
