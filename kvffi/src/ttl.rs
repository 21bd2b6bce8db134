//! Times to live in C: the three special numbers, and the calls that read and move deadlines.

use std::ffi::c_void;

use kvcore::{Remaining, Status};

use crate::arguments::{Out, bytes};
use crate::guard;
use crate::status::kv_status_t;
use crate::store::kv_store_t;

/// the store's `default_ttl`: none, unless set
pub const KV_TTL_DEFAULT: i64 = 0;
/// never expires
pub const KV_TTL_NONE: i64 = i64::MAX;
/// keep the deadline that the entry has
pub const KV_TTL_KEEP: i64 = i64::MIN;

/// Gives an entry a new deadline, `ttl_ms` from now. Zero or less: the entry is gone at once, which
/// is a deletion. KV_TTL_NONE takes the deadline away.
///
/// Answers KV_OK, KV_NOT_FOUND; KV_ERR_INVALID, KV_ERR_TOO_LARGE, KV_ERR_FULL, KV_ERR_NO_MEMORY,
/// KV_ERR_CLOSED, KV_ERR_POISONED, KV_ERR_FORKED, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_expire(
    store: *mut kv_store_t,
    key: *const c_void,
    key_len: usize,
    ttl_ms: i64,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (store, key) = unsafe { (store.as_ref(), bytes(key, key_len)) };
    guard::call("kv_expire", store, |store| Ok(found(store.expire(key?, ttl_ms)?)))
}

/// Gives an entry a new deadline, at a Unix time in milliseconds. A time that has passed, also a
/// negative one, means that the entry is gone at once. KV_TTL_NONE takes the deadline away.
///
/// Answers KV_OK, KV_NOT_FOUND; KV_ERR_INVALID, KV_ERR_TOO_LARGE, KV_ERR_FULL, KV_ERR_NO_MEMORY,
/// KV_ERR_CLOSED, KV_ERR_POISONED, KV_ERR_FORKED, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_expire_at(
    store: *mut kv_store_t,
    key: *const c_void,
    key_len: usize,
    unix_ms: i64,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (store, key) = unsafe { (store.as_ref(), bytes(key, key_len)) };
    guard::call("kv_expire_at", store, |store| Ok(found(store.expire_at(key?, unix_ms)?)))
}

/// Takes the deadline of an entry away, so that it never expires. KV_OK too if it had none.
///
/// Answers KV_OK, KV_NOT_FOUND; KV_ERR_INVALID, KV_ERR_TOO_LARGE, KV_ERR_CLOSED, KV_ERR_POISONED,
/// KV_ERR_FORKED, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_persist(
    store: *mut kv_store_t,
    key: *const c_void,
    key_len: usize,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (store, key) = unsafe { (store.as_ref(), bytes(key, key_len)) };
    guard::call("kv_persist", store, |store| Ok(found(store.persist(key?)?)))
}

/// Tells how many milliseconds an entry has left: at least 1, or KV_TTL_NONE if it never expires.
///
/// Answers KV_OK and the time left in `*out_ttl_ms`; KV_NOT_FOUND; KV_ERR_INVALID,
/// KV_ERR_TOO_LARGE, KV_ERR_CLOSED, KV_ERR_FORKED, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_ttl(
    store: *mut kv_store_t,
    key: *const c_void,
    key_len: usize,
    out_ttl_ms: *mut i64,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (store, key, out_ttl_ms) =
        unsafe { (store.as_ref(), bytes(key, key_len), Out::required(out_ttl_ms)) };
    guard::call("kv_ttl", store, |store| {
        let (key, out_ttl_ms) = (key?, out_ttl_ms?);
        let Some(remaining) = store.ttl(key)? else {
            return Ok(Status::NotFound);
        };
        out_ttl_ms.put(match remaining {
            Remaining::Never => KV_TTL_NONE,
            Remaining::Ms(ttl_ms) => ttl_ms,
        });
        Ok(Status::Ok)
    })
}

/// How a yes or no about a key looks in C.
#[inline]
pub(crate) fn found(found: bool) -> Status {
    if found { Status::Ok } else { Status::NotFound }
}
