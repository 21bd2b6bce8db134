//! The store in C: opening, changing options while open, stopping, and the calls on all of it.
//!
//! Owns `kv_store_t`, the handle. The store itself is named here and in `guard` only, so that another
//! kind of store can take its place.

use std::ffi::c_char;

use kvcore::{Options, Status};
use libkv::Store;

use crate::arguments::{Out, text};
use crate::error::{Failure, kv_error_t};
use crate::guard;
use crate::options::kv_options_t;
use crate::status::kv_status_t;

/// An open store. Whoever opened it closes it with kv_close. Threads: every call on a store may be
/// made from any number of threads at once, except kv_close, which must be the last.
pub struct kv_store_t {
    pub(crate) store: Store,
}

/// Opens a store. `path` NULL or ":memory:" keeps everything in memory. A plain path is a directory,
/// which is made if it is missing (unless `create` is false) and is never parsed: what was
/// acknowledged as durable is there again, and kv_recovery_report tells what was found.
/// "kv:DIR?name=value&..." and "kv::memory:?name=value&..." carry options of their own, which win
/// over `options`. `options` may be NULL for the defaults, and are copied. The library reads no
/// environment variable. A directory has one opener at a time, in this process and in all others.
///
/// "valkey://HOST:PORT/?..." is a store on a Valkey or Redis server and
/// "valkey-cluster://HOST:PORT,HOST:PORT/?..." one on a cluster, with USER:PASSWORD@ before the first
/// host if need be. The same calls run there; kv_capabilities tells what does not, and
/// docs/cluster.md what differs. Every call on it may also answer KV_ERR_UNAVAILABLE (no answer
/// within `timeout`), and a change KV_ERR_IO (its reply was lost: whether it was made is unknown;
/// the store goes on). A libkv that was built without KV_REMOTE answers KV_ERR_UNSUPPORTED.
///
/// Answers KV_OK and the store in `*out_store`, for the caller to close with kv_close;
/// KV_ERR_INVALID (also: no such directory, and `create` is false), KV_ERR_UNSUPPORTED,
/// KV_ERR_LOCKED (another opener has the directory), KV_ERR_CORRUPT (a file is damaged or missing;
/// the message names it), KV_ERR_FULL (the contents are over the limits), KV_ERR_NO_SPACE,
/// KV_ERR_NO_MEMORY, KV_ERR_IO (also: the system has no thread to give), KV_ERR_UNAVAILABLE (no
/// server answers), KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_open(
    path: *const c_char,
    options: *const kv_options_t,
    out_store: *mut *mut kv_store_t,
    err: *mut *mut kv_error_t,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (path, options, out_store, err) = unsafe {
        (
            (!path.is_null()).then(|| text(path, "")),
            options.as_ref(),
            Out::required(out_store),
            Out::optional(err),
        )
    };
    guard::explained("kv_open", err, || {
        let out_store = out_store?;
        let options = options.map_or_else(Options::default, |options| options.options.clone());
        let store = match path {
            None => Store::memory(options)?,
            Some(path) => Store::open(path?, options)?,
        };
        out_store.put(Box::into_raw(Box::new(kv_store_t { store })));
        Ok(Status::Ok)
    })
}

/// Changes an option of an open store; the table of options says which can be. Lowering a limit
/// returns after evicting, or changes nothing and says KV_ERR_FULL where nothing may be evicted.
///
/// Answers KV_OK; KV_ERR_INVALID, KV_ERR_UNSUPPORTED (unknown, or not while open), KV_ERR_FULL,
/// KV_ERR_CLOSED, KV_ERR_POISONED, KV_ERR_FORKED, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_configure(
    store: *mut kv_store_t,
    name: *const c_char,
    value: *const c_char,
    err: *mut *mut kv_error_t,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (store, name, value, err) = unsafe {
        (
            store.as_ref(),
            text(name, "the option's name is NULL: pass its name"),
            text(value, "the option's value is NULL: pass its value as text"),
            Out::optional(err),
        )
    };
    guard::call_explained("kv_configure", store, err, |store| {
        store.configure(name?, value?)?;
        Ok(Status::Ok)
    })
}

/// Tells what poisoned the store or filled its disk, if anything did. It also answers after
/// kv_shutdown.
///
/// Answers KV_OK and an error in `*out_fault`, for the caller to free with kv_error_free;
/// KV_NOT_FOUND if nothing happened to the store; KV_ERR_INVALID, KV_ERR_FORKED, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_last_fault(
    store: *mut kv_store_t,
    out_fault: *mut *mut kv_error_t,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (store, out_fault) = unsafe { (store.as_ref(), Out::required(out_fault)) };
    guard::call("kv_last_fault", store, |store| {
        let out_fault = out_fault?;
        if store.is_forked() {
            return Err(Status::Forked.into());
        }
        let Some(fault) = store.last_fault() else {
            return Ok(Status::NotFound);
        };
        out_fault.put(Failure::from(fault).into_object());
        Ok(Status::Ok)
    })
}

/// Stops the store and its threads, and frees its contents. A store in a directory is flushed to
/// the disk first, and the directory is free for another opener. Calls that come later answer
/// KV_ERR_CLOSED, those that run meanwhile finish or do so too. The handle stays, for kv_close to
/// free. Returns once the removal callback was told all that waits for it. Safe beside running
/// calls, and as often as you like; only the first call flushes and tells how that went.
///
/// Answers KV_OK; KV_ERR_INVALID (the store is NULL, or this is its removal callback), KV_ERR_IO
/// and KV_ERR_NO_SPACE (not all could be flushed; the store is closed), KV_ERR_POISONED,
/// KV_ERR_FORKED, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_shutdown(
    store: *mut kv_store_t,
    err: *mut *mut kv_error_t,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (store, err) = unsafe { (store.as_ref(), Out::optional(err)) };
    guard::call_explained("kv_shutdown", store, err, |store| {
        store.shutdown()?;
        Ok(Status::Ok)
    })
}

/// Does what kv_shutdown does, then frees the handle, whatever it answers. No other call on the
/// store may be running or come later. Values that were read keep their bytes. NULL is fine. In
/// the child of a fork it frees the handle, leaves the parent's store alone and says KV_ERR_FORKED.
/// In the store's own removal callback it does nothing, and the handle stays.
///
/// Answers KV_OK; KV_ERR_INVALID (this is the store's removal callback), KV_ERR_IO and
/// KV_ERR_NO_SPACE (not all could be flushed; the store is closed), KV_ERR_POISONED, KV_ERR_FORKED,
/// KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_close(
    store: *mut kv_store_t,
    err: *mut *mut kv_error_t,
) -> kv_status_t {
    if store.is_null() {
        return Status::Ok.code();
    }
    // SAFETY: it came from `kv_open`, the caller gives it up here, and no other call uses it.
    let (handle, err) = unsafe { (&*store, Out::optional(err)) };
    let status = guard::call_explained("kv_close", Some(handle), err, |store| {
        store.shutdown()?;
        Ok(Status::Ok)
    });
    // Only the callback is told that it may not; the caller who waits for it closes later.
    if status == Status::Invalid.code() {
        return status;
    }
    guard::or(status, "kv_close", || {
        // SAFETY: as above; the reference was used for the last time.
        drop(unsafe { Box::from_raw(store) });
        status
    })
}

/// Counts the entries. Those that expired and wait to be freed may be counted.
///
/// Answers KV_OK and the count in `*out_count`; KV_ERR_INVALID, KV_ERR_CLOSED, KV_ERR_FORKED,
/// KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_len(store: *mut kv_store_t, out_count: *mut u64) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (store, out_count) = unsafe { (store.as_ref(), Out::required(out_count)) };
    guard::call("kv_len", store, |store| {
        let out_count = out_count?;
        out_count.put(store.len()?);
        Ok(Status::Ok)
    })
}

/// Deletes every entry. Writes that run beside it may come before or after.
///
/// Answers KV_OK; KV_ERR_INVALID (the store is NULL), KV_ERR_NO_SPACE, KV_ERR_IO, KV_ERR_CLOSED,
/// KV_ERR_POISONED, KV_ERR_FORKED, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_clear(store: *mut kv_store_t) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let store = unsafe { store.as_ref() };
    guard::call("kv_clear", store, |store| {
        store.clear()?;
        Ok(Status::Ok)
    })
}

/// Frees now what has expired, rather than within `cleanup_interval`. `out_count` may be NULL.
///
/// Answers KV_OK and how many entries were freed in `*out_count`; KV_ERR_INVALID (the store is
/// NULL), KV_ERR_CLOSED, KV_ERR_POISONED, KV_ERR_FORKED, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_purge_expired(
    store: *mut kv_store_t,
    out_count: *mut u64,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (store, out_count) = unsafe { (store.as_ref(), Out::optional(out_count)) };
    guard::call("kv_purge_expired", store, |store| {
        out_count.put(store.purge_expired()?);
        Ok(Status::Ok)
    })
}
