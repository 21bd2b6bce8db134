//! The files of a store in C: the barrier for writes, snapshots, and what opening found.

use std::ffi::c_char;
use std::mem::size_of;
use std::path::Path;

use kvcore::{SnapshotInfo, Status};

use crate::arguments::{Out, c_text, text};
use crate::error::kv_error_t;
use crate::guard;
use crate::status::kv_status_t;
use crate::store::kv_store_t;
use crate::structs::{Growable, Output};

/// What a snapshot came to. Threads: plain data of the caller's.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct kv_snapshot_info_t {
    /// set by KV_SNAPSHOT_INFO_INIT
    pub struct_size: usize,
    /// entries in it
    pub entries: u64,
    /// bytes of the file
    pub bytes: u64,
    /// the last revision that it shows
    pub revision: u64,
    /// Unix time of the moment that it shows
    pub created_at_ms: i64,
    /// how long it took
    pub seconds: f64,
}

// SAFETY: repr(C), five fields of 8 bytes behind a usize of 8; tests/layout.rs proves it. Every
// pattern of bits is an f64, so any bytes may be copied into it.
unsafe impl Growable for kv_snapshot_info_t {
    const FIRST_SIZE: usize = size_of::<usize>() + 40;
}

impl From<&SnapshotInfo> for kv_snapshot_info_t {
    fn from(info: &SnapshotInfo) -> kv_snapshot_info_t {
        kv_snapshot_info_t {
            struct_size: 0,
            entries: info.entries,
            bytes: info.bytes,
            revision: info.revision,
            created_at_ms: info.created_at_ms,
            seconds: info.seconds,
        }
    }
}

/// Waits until every write that was acknowledged before is on the disk, whatever `sync` says. With
/// `persistence=snapshot` it takes a snapshot. A store in memory has nothing to wait for: KV_OK.
///
/// Answers KV_OK; KV_ERR_INVALID (the store is NULL), KV_ERR_IO (the store is poisoned: close it and
/// open it again), KV_ERR_NO_SPACE (a snapshot had no room), KV_ERR_CLOSED, KV_ERR_POISONED,
/// KV_ERR_FORKED, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_sync(store: *mut kv_store_t, err: *mut *mut kv_error_t) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (store, err) = unsafe { (store.as_ref(), Out::optional(err)) };
    guard::call_explained("kv_sync", store, err, |store| {
        store.sync()?;
        Ok(Status::Ok)
    })
}

/// Writes a snapshot, the exact state of one moment, while other calls go on: to a file at `path`,
/// which is replaced if it is there, or for NULL into the store's own directory, where older ones
/// than `snapshot_keep` go. The file is complete and on the disk when this returns; if it fails,
/// what was there before stays, unless all that failed was the sync of the directory: then the new
/// file has the name, and a crash of the machine may bring the old one back. Any number of threads
/// and processes may write to one path at once. The names that a store uses in its own directory are
/// KV_ERR_INVALID there. `out_info` and `out_path` may be NULL.
///
/// Answers KV_OK, what it came to in `*out_info`, and the path of the file in `*out_path`, for the
/// caller to free with kv_string_free; KV_ERR_INVALID, KV_ERR_UNSUPPORTED (no path, and a store in
/// memory), KV_ERR_NO_SPACE, KV_ERR_IO, KV_ERR_CLOSED, KV_ERR_POISONED, KV_ERR_FORKED,
/// KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_snapshot(
    store: *mut kv_store_t,
    path: *const c_char,
    out_info: *mut kv_snapshot_info_t,
    out_path: *mut *mut c_char,
    err: *mut *mut kv_error_t,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (store, path, out_info, out_path, err) = unsafe {
        (
            store.as_ref(),
            (!path.is_null()).then(|| text(path, "")).transpose(),
            Output::optional(out_info),
            Out::optional(out_path),
            Out::optional(err),
        )
    };
    guard::call_explained("kv_snapshot", store, err, |store| {
        let (path, out_info) = (path?, out_info?);
        let info = store.snapshot(path.map(Path::new))?;
        if out_path.is_wanted() {
            out_path.put(c_text(&info.path.to_string_lossy()).into_raw());
        }
        if let Some(out_info) = out_info {
            out_info.put((&info).into());
        }
        Ok(Status::Ok)
    })
}

/// Puts the contents of a snapshot file in the place of the store's contents, while other calls
/// wait. The file is checked to its last byte first. Entries keep their deadlines and get new
/// versions. A store that evicts takes a file whose entries fit its limits without their index, and
/// evicts what the index has no room for. If a later step fails, also for want of memory, the store is
/// poisoned and the disk keeps the old contents.
///
/// Answers KV_OK; KV_ERR_INVALID, KV_ERR_CORRUPT, KV_ERR_UNSUPPORTED (the file is of another
/// format), KV_ERR_FULL (its contents are over the store's limits, or one of its keys or values is),
/// each of them with nothing changed; KV_ERR_IO, KV_ERR_NO_SPACE, KV_ERR_NO_MEMORY, KV_ERR_CLOSED,
/// KV_ERR_POISONED, KV_ERR_FORKED, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_restore(
    store: *mut kv_store_t,
    path: *const c_char,
    err: *mut *mut kv_error_t,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (store, path, err) = unsafe {
        (
            store.as_ref(),
            text(path, "the path is NULL: pass the path of a snapshot file"),
            Out::optional(err),
        )
    };
    guard::call_explained("kv_restore", store, err, |store| {
        store.restore(Path::new(path?))?;
        Ok(Status::Ok)
    })
}

/// Tells what opening the store found, as one JSON object: `snapshot_revision`, the last revision
/// given out when the snapshot was taken that was read; `last_revision`, the highest one that was
/// recovered, from the snapshot or from a record of the log behind it (after a crash, changes of
/// lower revisions may be among those that were lost, because the log has an order of its own);
/// `records` replayed from the log, `discarded_bytes` of a torn tail and the `reason`,
/// `fallback_used` if an older snapshot had to do, `clock_regression_ms` and `seconds`. All of it
/// is zero, false or empty for a store in memory. It also answers after kv_shutdown.
///
/// Answers KV_OK and a string in `*out_json`, for the caller to free with kv_string_free;
/// KV_ERR_INVALID, KV_ERR_FORKED, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_recovery_report(
    store: *mut kv_store_t,
    out_json: *mut *mut c_char,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (store, out_json) = unsafe { (store.as_ref(), Out::required(out_json)) };
    guard::call("kv_recovery_report", store, |store| {
        let out_json = out_json?;
        out_json.put(c_text(&store.recovery()?.to_json()).into_raw());
        Ok(Status::Ok)
    })
}
