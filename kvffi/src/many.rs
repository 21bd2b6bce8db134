//! Reads of many keys in one call, in C. Owns `kv_slice_t`, which is how C lists bytes.

use std::ffi::c_void;

use kvcore::Status;

use crate::arguments::{Places, many_bytes};
use crate::guard;
use crate::status::kv_status_t;
use crate::store::kv_store_t;
use crate::value::kv_value_t;

/// Some bytes of somebody else's: `(NULL, 0)` is the empty string. Threads: plain data of the
/// caller's.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kv_slice_t {
    /// where they begin
    pub data: *const c_void,
    /// how many there are
    pub len: usize,
}

/// Reads `count` values, in the order of their keys, NULL where a key is absent. Each is read on its
/// own: this is no snapshot. `out_values` has room for `count` pointers.
///
/// Answers KV_OK and the values in `out_values`, for the caller to free with kv_values_free. On an
/// error all of `out_values` is NULL: KV_ERR_INVALID, KV_ERR_TOO_LARGE, KV_ERR_NO_MEMORY,
/// KV_ERR_CLOSED, KV_ERR_FORKED, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_get_many(
    store: *mut kv_store_t,
    keys: *const kv_slice_t,
    count: usize,
    out_values: *mut *mut kv_value_t,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (store, out_values) = unsafe { (store.as_ref(), Places::cleared(out_values, count)) };
    guard::call("kv_get_many", store, |store| {
        // SAFETY: as above.
        let keys = unsafe { many_bytes(keys, count) }?;
        let out_values = out_values?;
        let values = store.get_many(&keys)?;
        for (index, value) in values.into_iter().enumerate() {
            if let Some(value) = value {
                out_values.put(index, kv_value_t::new(value));
            }
        }
        Ok(Status::Ok)
    })
}
