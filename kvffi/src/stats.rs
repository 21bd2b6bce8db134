//! Statistics in C: the counters of the core as a struct and as text.

use std::ffi::{CString, c_char};
use std::mem::size_of;

use kvcore::{Stats, Status};

use crate::arguments::{Out, c_text, text};
use crate::guard;
use crate::status::kv_status_t;
use crate::store::kv_store_t;
use crate::structs::{Growable, Output};

/// What a store counts. Threads: plain data of the caller's.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct kv_stats_t {
    /// set by KV_STATS_INIT
    pub struct_size: usize,
    /// entries, with those that expired and wait to be freed
    pub entries: u64,
    /// entries that have a deadline
    pub expiring_entries: u64,
    /// entries that expired and wait to be freed
    pub expired_pending: u64,
    /// bytes of all keys
    pub key_bytes: u64,
    /// bytes of all values
    pub value_bytes: u64,
    /// what the live data is charged; `max_memory` limits it
    pub memory_bytes: u64,
    /// what the store holds from the system
    pub resident_bytes: u64,
    /// what values in callers' hands, callbacks and watches hold beside it
    pub pinned_bytes: u64,
    /// reads
    pub gets: u64,
    /// reads that found their key
    pub hits: u64,
    /// reads that did not
    pub misses: u64,
    /// writes that stored a value
    pub sets: u64,
    /// entries deleted
    pub deletes: u64,
    /// entries that expired
    pub expired: u64,
    /// entries evicted to make room
    pub evicted: u64,
    /// events dropped by a full callback queue
    pub callbacks_dropped: u64,
    /// bytes written to the log
    pub wal_bytes: u64,
    /// syncs of the log
    pub wal_syncs: u64,
    /// snapshots written
    pub snapshots: u64,
    /// the store's last revision
    pub revision: u64,
}

// SAFETY: repr(C), twenty fields of 8 bytes behind a usize of 8; tests/layout.rs proves it.
unsafe impl Growable for kv_stats_t {
    const FIRST_SIZE: usize = size_of::<usize>() + 160;
}

impl From<Stats> for kv_stats_t {
    fn from(stats: Stats) -> kv_stats_t {
        kv_stats_t {
            struct_size: 0,
            entries: stats.entries,
            expiring_entries: stats.expiring_entries,
            expired_pending: stats.expired_pending,
            key_bytes: stats.key_bytes,
            value_bytes: stats.value_bytes,
            memory_bytes: stats.memory_bytes,
            resident_bytes: stats.resident_bytes,
            pinned_bytes: stats.pinned_bytes,
            gets: stats.gets,
            hits: stats.hits,
            misses: stats.misses,
            sets: stats.sets,
            deletes: stats.deletes,
            expired: stats.expired,
            evicted: stats.evicted,
            callbacks_dropped: stats.callbacks_dropped,
            wal_bytes: stats.wal_bytes,
            wal_syncs: stats.wal_syncs,
            snapshots: stats.snapshots,
            revision: stats.revision,
        }
    }
}

/// Reads the counters. They are gathered without stopping the store, so beside running calls they
/// may be a few operations apart from each other.
///
/// Answers KV_OK and the counters in `*out_stats`; KV_ERR_INVALID, KV_ERR_CLOSED, KV_ERR_FORKED,
/// KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_stats(
    store: *mut kv_store_t,
    out_stats: *mut kv_stats_t,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (store, out_stats) = unsafe { (store.as_ref(), Output::required(out_stats)) };
    guard::call("kv_stats", store, |store| {
        let out_stats = out_stats?;
        out_stats.put(store.stats()?.into());
        Ok(Status::Ok)
    })
}

/// Reads the counters as text: `format` is "json" or "prometheus".
///
/// Answers KV_OK and a string in `*out_text`, for the caller to free with kv_string_free;
/// KV_ERR_INVALID, KV_ERR_UNSUPPORTED (another format), KV_ERR_CLOSED, KV_ERR_FORKED,
/// KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_stats_text(
    store: *mut kv_store_t,
    format: *const c_char,
    out_text: *mut *mut c_char,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (store, format, out_text) = unsafe {
        (
            store.as_ref(),
            text(format, "the format is NULL: pass \"json\" or \"prometheus\""),
            Out::required(out_text),
        )
    };
    guard::call("kv_stats_text", store, |store| {
        let (format, out_text) = (format?, out_text?);
        out_text.put(c_text(&store.stats_text(format)?).into_raw());
        Ok(Status::Ok)
    })
}

/// Frees a string that this library gave to the caller. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_string_free(string: *mut c_char) {
    guard::or((), "kv_string_free", || {
        if !string.is_null() {
            // SAFETY: it came from `CString::into_raw`, with its NUL where it was, and the caller
            // gives it up here.
            drop(unsafe { CString::from_raw(string) });
        }
    });
}
