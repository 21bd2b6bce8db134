//! libkv through its C interface, as a contestant: the loops of `c/calls.c` on the installed
//! `libkv.so`, in the same process and the same rounds as all others.

#![allow(unsafe_code)]

use std::ffi::{OsStr, c_void};

use anyhow::{Context, Result, ensure};
use libloading::{Library, Symbol};

use crate::contestants::{Call, Subject};
use crate::plan::{Key, TTL, VALUE};

/// Its name in the results.
pub const NAME: &str = "libkv from C";

type Reads = unsafe extern "C" fn(*mut c_void, *const Key, usize) -> usize;
type Writes = unsafe extern "C" fn(*mut c_void, *const Key, usize, *const u8, usize, i64) -> usize;

/// The loaded loops. They stay loaded for as long as the program runs.
pub struct Calls {
    open: unsafe extern "C" fn() -> *mut c_void,
    close: unsafe extern "C" fn(*mut c_void),
    get_into: Reads,
    get: Reads,
    set: Writes,
    mix: Writes,
}

impl Calls {
    /// Loads the module that `c/CMakeLists.txt` builds.
    pub fn load(module: &OsStr) -> Result<Calls> {
        // SAFETY: neither the module nor libkv.so, which it links, runs anything when loaded but the
        // constructors of the C library.
        let library = unsafe { Library::new(module) };
        let library = library.with_context(|| format!("cannot load {}", module.display()))?;
        // Symbols are copied out of a library that is never unloaded.
        let library: &'static Library = Box::leak(Box::new(library));
        // SAFETY: the types are those of the functions in calls.c. A `Key` is KEY_BYTES chars.
        unsafe {
            Ok(Calls {
                open: *symbol(library, "calls_open")?,
                close: *symbol(library, "calls_close")?,
                get_into: *symbol(library, "calls_get_into")?,
                get: *symbol(library, "calls_get")?,
                set: *symbol(library, "calls_set")?,
                mix: *symbol(library, "calls_mix")?,
            })
        }
    }

    /// Opens an empty store.
    pub fn open(&self, with_ttl: bool) -> Result<CStore<'_>> {
        // SAFETY: takes nothing and gives a store or NULL.
        let store = unsafe { (self.open)() };
        ensure!(!store.is_null(), "kv_open failed");
        Ok(CStore { calls: self, store, ttl_ms: if with_ttl { TTL.as_millis() as i64 } else { 0 } })
    }
}

/// # Safety
/// `T` is the type of that function.
unsafe fn symbol<'l, T>(library: &'l Library, name: &str) -> Result<Symbol<'l, T>> {
    // SAFETY: the caller vouches for the type.
    unsafe { library.get(name.as_bytes()) }
        .with_context(|| format!("{name} is missing from the module"))
}

/// A store behind `kv.h`.
pub struct CStore<'c> {
    calls: &'c Calls,
    store: *mut c_void,
    ttl_ms: i64,
}

// SAFETY: kv.h lets any number of threads call a store at once; closing it is left to Drop, which
// has it alone.
unsafe impl Sync for CStore<'_> {}

impl CStore<'_> {
    fn read(&self, reads: Reads, keys: &[Key]) -> usize {
        // SAFETY: the store is open, and the keys are as many as said.
        unsafe { reads(self.store, keys.as_ptr(), keys.len()) }
    }

    fn write(&self, writes: Writes, keys: &[Key]) -> usize {
        // SAFETY: as above, and the value has as many bytes as said.
        unsafe {
            writes(self.store, keys.as_ptr(), keys.len(), VALUE.as_ptr(), VALUE.len(), self.ttl_ms)
        }
    }
}

impl Subject for CStore<'_> {
    fn run(&self, call: Call, keys: &[Key]) -> usize {
        match call {
            Call::GetInto | Call::GetMany(_) => self.read(self.calls.get_into, keys),
            Call::Get => self.read(self.calls.get, keys),
            Call::Insert | Call::Overwrite => self.write(self.calls.set, keys),
            Call::Mix => self.write(self.calls.mix, keys),
        }
    }
}

impl Drop for CStore<'_> {
    fn drop(&mut self) {
        // SAFETY: opened by `open`, closed once, and no call is under way.
        unsafe { (self.calls.close)(self.store) }
    }
}
