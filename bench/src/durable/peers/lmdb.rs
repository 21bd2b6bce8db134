//! LMDB, through its C interface, loaded when it is asked for: the workspace builds without it.
//!
//! One set is one transaction. Without `Mode::Always` it is not synced (`MDB_NOSYNC`); in
//! `Mode::Interval` the benchmark syncs once a second.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::null_mut;

use anyhow::{Result, bail};

use super::{Mode, Peer, Writer};
use crate::durable::content::value;
use crate::outside::load;
use crate::plan::Key;

const LIBRARIES: [&str; 2] = ["liblmdb.so", "liblmdb.so.0"];
const NOSYNC: c_uint = 0x1_0000;
const RDONLY: c_uint = 0x2_0000;
/// Readers belong to transactions and not to threads.
const NOTLS: c_uint = 0x20_0000;
const NOTFOUND: c_int = -30798;
/// Address space for the file, which grows as it is used.
const MAP_BYTES: usize = 16 << 30;
/// Keys of a transaction while a store is filled.
const FILL: usize = 10_000;

type Handle = *mut c_void;

/// `MDB_val`.
#[repr(C)]
struct Bytes {
    len: usize,
    start: *const c_void,
}

impl Bytes {
    fn of(bytes: &[u8]) -> Bytes {
        Bytes { len: bytes.len(), start: bytes.as_ptr().cast() }
    }
}

/// The functions of `lmdb.h` that are used.
struct Calls {
    begin: unsafe extern "C" fn(Handle, Handle, c_uint, *mut Handle) -> c_int,
    commit: unsafe extern "C" fn(Handle) -> c_int,
    abort: unsafe extern "C" fn(Handle),
    put: unsafe extern "C" fn(Handle, c_uint, *mut Bytes, *mut Bytes, c_uint) -> c_int,
    get: unsafe extern "C" fn(Handle, c_uint, *mut Bytes, *mut Bytes) -> c_int,
    set_flags: unsafe extern "C" fn(Handle, c_uint, c_int) -> c_int,
    sync: unsafe extern "C" fn(Handle, c_int) -> c_int,
    close: unsafe extern "C" fn(Handle),
    error: unsafe extern "C" fn(c_int) -> *const c_char,
}

/// An open environment with its one database.
pub(super) struct Lmdb {
    calls: Calls,
    env: Handle,
    database: c_uint,
}

// SAFETY: an environment may be used by any number of threads at once, each with transactions of its
// own; it is closed in Drop, which has it alone.
unsafe impl Sync for Lmdb {}

impl Lmdb {
    pub(super) fn open(dir: &Path) -> Result<Lmdb> {
        let library = load(&LIBRARIES)?;
        let path = CString::new(dir.as_os_str().as_bytes())?;
        // SAFETY: the types are those of `lmdb.h`; the path ends in a zero; the environment is made
        // and sized before it is opened.
        let mut lmdb = unsafe {
            let create: unsafe extern "C" fn(*mut Handle) -> c_int =
                *library.get(b"mdb_env_create")?;
            let set_map_bytes: unsafe extern "C" fn(Handle, usize) -> c_int =
                *library.get(b"mdb_env_set_mapsize")?;
            let open: unsafe extern "C" fn(Handle, *const c_char, c_uint, c_uint) -> c_int =
                *library.get(b"mdb_env_open")?;
            let calls = Calls {
                begin: *library.get(b"mdb_txn_begin")?,
                commit: *library.get(b"mdb_txn_commit")?,
                abort: *library.get(b"mdb_txn_abort")?,
                put: *library.get(b"mdb_put")?,
                get: *library.get(b"mdb_get")?,
                set_flags: *library.get(b"mdb_env_set_flags")?,
                sync: *library.get(b"mdb_env_sync")?,
                close: *library.get(b"mdb_env_close")?,
                error: *library.get(b"mdb_strerror")?,
            };
            let mut env = null_mut();
            calls.check(create(&mut env))?;
            let lmdb = Lmdb { calls, env, database: 0 };
            lmdb.calls.check(set_map_bytes(env, MAP_BYTES))?;
            lmdb.calls.check(open(env, path.as_ptr(), NOTLS | NOSYNC, 0o600))?;
            lmdb
        };
        let mut database = 0;
        lmdb.transaction(0, |calls, transaction| {
            // SAFETY: as above, in a transaction that is open; the one database has no name.
            unsafe {
                let open: unsafe extern "C" fn(
                    Handle,
                    *const c_char,
                    c_uint,
                    *mut c_uint,
                ) -> c_int = *library.get(b"mdb_dbi_open")?;
                calls.check(open(transaction, std::ptr::null(), 0, &mut database))
            }
        })?;
        lmdb.database = database;
        Ok(lmdb)
    }

    /// Does something in a transaction, and commits it unless that fails.
    fn transaction<R>(
        &self,
        flags: c_uint,
        work: impl FnOnce(&Calls, Handle) -> Result<R>,
    ) -> Result<R> {
        let mut transaction = null_mut();
        // SAFETY: the environment is open, and there is a place for the transaction.
        unsafe {
            self.calls.check((self.calls.begin)(self.env, null_mut(), flags, &mut transaction))?
        };
        let done = work(&self.calls, transaction);
        // SAFETY: the transaction was begun, and ends here in one of two ways.
        unsafe {
            if done.is_ok() {
                self.calls.check((self.calls.commit)(transaction))?;
            } else {
                (self.calls.abort)(transaction);
            }
        }
        done
    }

    fn put(&self, calls: &Calls, transaction: Handle, key: &Key, value: &[u8]) -> Result<()> {
        let (mut key, mut value) = (Bytes::of(key), Bytes::of(value));
        // SAFETY: the transaction is open, and key and value are as long as said.
        unsafe { calls.check((calls.put)(transaction, self.database, &mut key, &mut value, 0)) }
    }
}

impl Calls {
    /// # Safety
    /// The code came from LMDB.
    unsafe fn check(&self, code: c_int) -> Result<()> {
        if code == 0 {
            return Ok(());
        }
        // SAFETY: there is a text for every code, which is never freed.
        let text = unsafe { CStr::from_ptr((self.error)(code)) };
        bail!("LMDB: {}", text.to_string_lossy())
    }
}

impl Peer for Lmdb {
    fn set_mode(&mut self, mode: Mode) -> Result<()> {
        let without = c_int::from(mode != Mode::Always);
        // SAFETY: the environment is open, and nobody else uses it now.
        unsafe { self.calls.check((self.calls.set_flags)(self.env, NOSYNC, without)) }
    }

    fn writer(&self) -> Result<Box<dyn Writer + '_>> {
        Ok(Box::new(self))
    }

    fn tick(&self) -> Result<()> {
        // SAFETY: the environment is open.
        unsafe { self.calls.check((self.calls.sync)(self.env, 1)) }
    }

    fn fill(&self, keys: &[Key]) -> Result<()> {
        for keys in keys.chunks(FILL) {
            self.transaction(0, |calls, transaction| {
                keys.iter().try_for_each(|key| self.put(calls, transaction, key, value(key)))
            })?;
        }
        self.tick()
    }
}

impl Writer for &Lmdb {
    fn set(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        self.transaction(0, |calls, transaction| self.put(calls, transaction, key, value))
    }

    fn get(&mut self, key: &Key) -> Result<bool> {
        self.transaction(RDONLY, |calls, transaction| {
            let (mut key, mut value) = (Bytes::of(key), Bytes { len: 0, start: null_mut() });
            // SAFETY: the transaction is open, the key is as long as said, and there is a place for
            // the value.
            unsafe {
                match (calls.get)(transaction, self.database, &mut key, &mut value) {
                    NOTFOUND => Ok(false),
                    code => calls.check(code).map(|()| true),
                }
            }
        })
    }
}

impl Drop for Lmdb {
    fn drop(&mut self) {
        // SAFETY: made by `open`, closed once, and no transaction is open.
        unsafe { (self.calls.close)(self.env) }
    }
}
