//! Statistics in C: the counters and latencies of the core as structs and as text.

use std::ffi::{CString, c_char};
use std::mem::size_of;

use kvcore::{Latency, Stats, Status, Timed};

use crate::arguments::{Out, c_text, text};
use crate::error::Failure;
use crate::guard;
use crate::status::kv_status_t;
use crate::store::kv_store_t;
use crate::structs::{Growable, Output};

/// What a store or a shard counts. Fields "of the store only" are zero for a shard. What expires
/// soon is counted exactly while few entries are due so soon, else from how full the slots of the
/// timing wheel are: then it is wrong by the entries of one slot a shard at most. Threads: plain data
/// of the caller's.
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
    /// what values in callers' hands, callbacks and watches hold beside it; of the store only
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
    /// events dropped by a full callback queue; of the store only
    pub callbacks_dropped: u64,
    /// bytes written to the log; of the store only
    pub wal_bytes: u64,
    /// syncs of the log; of the store only
    pub wal_syncs: u64,
    /// snapshots written; of the store only
    pub snapshots: u64,
    /// the store's last revision; of the store only
    pub revision: u64,
    /// of memory_bytes: the hash index
    pub index_bytes: u64,
    /// of memory_bytes: the places of entries, with their keys and values
    pub entry_bytes: u64,
    /// of memory_bytes: keys and values too large for a place
    pub large_bytes: u64,
    /// of memory_bytes: the timing wheel
    pub expiry_bytes: u64,
    /// of memory_bytes: what the eviction policy keeps of entries
    pub policy_bytes: u64,
    /// of memory_bytes: the sorted index of `ordered_index`
    pub order_bytes: u64,
    /// of pinned_bytes: removals that wait for the callback; of the store only
    pub callback_bytes: u64,
    /// of pinned_bytes: events kept for watches; of the store only
    pub watch_bytes: u64,
    /// buffers of the log, beside all others; of the store only
    pub wal_buffer_bytes: u64,
    /// about how many entries expire within a second
    pub expiring_in_1s: u64,
    /// within ten seconds, with those above
    pub expiring_in_10s: u64,
    /// within a minute
    pub expiring_in_1m: u64,
    /// within ten minutes
    pub expiring_in_10m: u64,
    /// hits as a share of gets, from 0 to 1
    pub hit_ratio: f64,
    /// reads that the near cache of a remote store answered; of the store only
    pub near_hits: u64,
    /// values that the near cache took in; of the store only
    pub near_fills: u64,
    /// keys, or whole parts of the near cache, that a server told to be changed; of the store only
    pub near_invalidations: u64,
    /// values it did not take in, for they may have changed since they were asked for; of the store only
    pub near_drops: u64,
}

// SAFETY: repr(C), fields of 8 bytes behind a usize of 8, of which the first version had twenty;
// tests/layout.rs proves it.
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
            index_bytes: stats.index_bytes,
            entry_bytes: stats.entry_bytes,
            large_bytes: stats.large_bytes,
            expiry_bytes: stats.expiry_bytes,
            policy_bytes: stats.policy_bytes,
            order_bytes: stats.order_bytes,
            callback_bytes: stats.callback_bytes,
            watch_bytes: stats.watch_bytes,
            wal_buffer_bytes: stats.wal_buffer_bytes,
            expiring_in_1s: stats.expiring_in_1s,
            expiring_in_10s: stats.expiring_in_10s,
            expiring_in_1m: stats.expiring_in_1m,
            expiring_in_10m: stats.expiring_in_10m,
            hit_ratio: stats.hit_ratio(),
            near_hits: stats.near_hits,
            near_fills: stats.near_fills,
            near_invalidations: stats.near_invalidations,
            near_drops: stats.near_drops,
        }
    }
}

/// reads of one key's value, in any form but kv_get_many and packed
pub const KV_TIMED_GET: i32 = 1;
/// kv_set and kv_set_with, with making room and the wait for the log
pub const KV_TIMED_SET: i32 = 2;
/// flushes of the log to the disk
pub const KV_TIMED_SYNC: i32 = 3;

/// How long calls took. The sum is exact; other times are upper bounds that are an eighth too long at
/// most. Threads: plain data of the caller's.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct kv_latency_t {
    /// set by KV_LATENCY_INIT
    pub struct_size: usize,
    /// calls that were timed
    pub count: u64,
    /// how long they took together
    pub sum_ns: u64,
    /// what half of them took at most
    pub p50_ns: u64,
    /// what 90 % of them took at most
    pub p90_ns: u64,
    /// what 99 % of them took at most
    pub p99_ns: u64,
    /// what 99.9 % of them took at most
    pub p999_ns: u64,
    /// what the slowest took
    pub max_ns: u64,
}

// SAFETY: repr(C), seven fields of 8 bytes behind a usize of 8; tests/layout.rs proves it.
unsafe impl Growable for kv_latency_t {
    const FIRST_SIZE: usize = size_of::<usize>() + 56;
}

impl From<Latency> for kv_latency_t {
    fn from(latency: Latency) -> kv_latency_t {
        kv_latency_t {
            struct_size: 0,
            count: latency.count(),
            sum_ns: latency.sum_ns(),
            p50_ns: latency.quantile_ns(0.5),
            p90_ns: latency.quantile_ns(0.9),
            p99_ns: latency.quantile_ns(0.99),
            p999_ns: latency.quantile_ns(0.999),
            max_ns: latency.max_ns(),
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

/// Reads the counters of one shard, from 0 on: ask for one after the other until there is none.
///
/// Answers KV_OK and the counters in `*out_stats`; KV_NOT_FOUND (there are not so many shards);
/// KV_ERR_INVALID, KV_ERR_CLOSED, KV_ERR_FORKED, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_shard_stats(
    store: *mut kv_store_t,
    shard: usize,
    out_stats: *mut kv_stats_t,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (store, out_stats) = unsafe { (store.as_ref(), Output::required(out_stats)) };
    guard::call("kv_shard_stats", store, |store| {
        let out_stats = out_stats?;
        let Some(stats) = store.shard_stats(shard)? else { return Ok(Status::NotFound) };
        out_stats.put(stats.into());
        Ok(Status::Ok)
    })
}

/// Tells how long calls of a kind took, KV_TIMED_GET and so on, since the store was opened: those that
/// were timed, which the option `latency` says. Calls that failed are not among them.
///
/// Answers KV_OK and the times in `*out_latency`, all zero if no call was timed; KV_ERR_INVALID,
/// KV_ERR_CLOSED, KV_ERR_FORKED, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_latency(
    store: *mut kv_store_t,
    timed: i32,
    out_latency: *mut kv_latency_t,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (store, out_latency) = unsafe { (store.as_ref(), Output::required(out_latency)) };
    guard::call("kv_latency", store, |store| {
        let (timed, out_latency) = (timed_of(timed)?, out_latency?);
        out_latency.put(store.latency(timed)?.into());
        Ok(Status::Ok)
    })
}

fn timed_of(number: i32) -> Result<Timed, Failure> {
    let named = Timed::ALL.into_iter().find(|timed| *timed as i32 == number);
    named.ok_or_else(|| Failure::invalid("no such kind of calls: pass KV_TIMED_GET, _SET or _SYNC"))
}

/// Reads the counters of the store and of each shard, and what was timed, as text: `format` is
/// "json", one object, or "prometheus", its text format.
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
