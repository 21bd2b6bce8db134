//! Batches in C: changes that are made all together or not at all. Owns `kv_batch_t`, in which they
//! are collected, and the struct that tells what became of them.

use std::ffi::c_void;
use std::mem::size_of;
use std::ptr;

use kvcore::{Batch, BatchOutcome, Expiry, SetOptions, Status};

use crate::arguments::{Out, bytes};
use crate::error::{Failure, Refusal, kv_error_t};
use crate::guard::{self, Outcome};
use crate::key::kv_set_options_t;
use crate::status::kv_status_t;
use crate::store::kv_store_t;
use crate::structs::{Growable, Output, input};

/// Changes for kv_write. It is of no store, and may be written any number of times. Threads: belongs
/// to one thread at a time; kv_write may read it from several.
pub struct kv_batch_t {
    batch: Batch,
}

/// What kv_write did. Threads: plain data of the caller's.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct kv_batch_result_t {
    /// set by KV_BATCH_RESULT_INIT
    pub struct_size: usize,
    /// changes that were made
    pub applied: u64,
    /// deletions and deadlines of keys that were absent
    pub missing: u64,
    /// with KV_CONFLICT: the first change whose condition failed, from 0
    pub failed_index: u64,
}

// SAFETY: repr(C), three fields of 8 bytes behind a usize of 8; tests/layout.rs proves it.
unsafe impl Growable for kv_batch_result_t {
    const FIRST_SIZE: usize = size_of::<usize>() + 24;
}

/// Makes an empty batch. The caller frees it with kv_batch_free. NULL only if there is no memory.
#[unsafe(no_mangle)]
pub extern "C" fn kv_batch_new() -> *mut kv_batch_t {
    guard::or(ptr::null_mut(), "kv_batch_new", || {
        Box::into_raw(Box::new(kv_batch_t { batch: Batch::new() }))
    })
}

/// Adds: store a value under a key, with a TTL as kv_set takes it. Key and value are copied; that they
/// are within the limits is checked by kv_write.
///
/// Answers KV_OK; KV_ERR_INVALID, KV_ERR_TOO_LARGE (a length that no object can have),
/// KV_ERR_NO_MEMORY, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_batch_set(
    batch: *mut kv_batch_t,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
    ttl_ms: i64,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h, and no other thread uses the batch.
    let (batch, key, value) =
        unsafe { (batch.as_mut(), bytes(key, key_len), bytes(value, value_len)) };
    add("kv_batch_set", batch, key, value, |batch, key, value| {
        let options = SetOptions { expiry: Expiry::from_ttl_ms(ttl_ms)?, ..Default::default() };
        batch.set_with(key, value, &options);
        Ok(Status::Ok)
    })
}

/// Adds: store a value if a condition holds, as kv_set_with does. If it does not hold, nothing of the
/// batch is done. KV_IF_VERSION never holds once the batch has changed the key. NULL `options` are
/// KV_SET_OPTIONS_INIT.
///
/// Answers KV_OK; KV_ERR_INVALID, KV_ERR_UNSUPPORTED (see "Structs"), KV_ERR_TOO_LARGE (a length
/// that no object can have), KV_ERR_NO_MEMORY, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_batch_set_with(
    batch: *mut kv_batch_t,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
    options: *const kv_set_options_t,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h, and no other thread uses the batch.
    let (batch, key, value, options) = unsafe {
        (
            batch.as_mut(),
            bytes(key, key_len),
            bytes(value, value_len),
            (!options.is_null()).then(|| input(options, kv_set_options_t::default())),
        )
    };
    add("kv_batch_set_with", batch, key, value, |batch, key, value| {
        let options = options.transpose()?.unwrap_or_default().to_core()?;
        batch.set_with(key, value, &options);
        Ok(Status::Ok)
    })
}

/// Adds: remove a key.
///
/// Answers KV_OK; KV_ERR_INVALID, KV_ERR_TOO_LARGE (a length that no object can have),
/// KV_ERR_NO_MEMORY, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_batch_del(
    batch: *mut kv_batch_t,
    key: *const c_void,
    key_len: usize,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h, and no other thread uses the batch.
    let (batch, key) = unsafe { (batch.as_mut(), bytes(key, key_len)) };
    add("kv_batch_del", batch, key, Ok(&[]), |batch, key, _| {
        batch.del(key);
        Ok(Status::Ok)
    })
}

/// Adds: make a key expire `ttl_ms` milliseconds after the batch is written, as kv_expire does.
///
/// Answers KV_OK; KV_ERR_INVALID, KV_ERR_TOO_LARGE (a length that no object can have),
/// KV_ERR_NO_MEMORY, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_batch_expire(
    batch: *mut kv_batch_t,
    key: *const c_void,
    key_len: usize,
    ttl_ms: i64,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h, and no other thread uses the batch.
    let (batch, key) = unsafe { (batch.as_mut(), bytes(key, key_len)) };
    add("kv_batch_expire", batch, key, Ok(&[]), |batch, key, _| {
        batch.expire(key, ttl_ms);
        Ok(Status::Ok)
    })
}

/// Adds a change to a batch that has room for it.
fn add(
    name: &'static str,
    batch: Option<&mut kv_batch_t>,
    key: Result<&[u8], Refusal>,
    value: Result<&[u8], Refusal>,
    change: impl FnOnce(&mut Batch, &[u8], &[u8]) -> Outcome,
) -> kv_status_t {
    guard::alone(name, || {
        let batch = batch
            .ok_or_else(|| Failure::invalid("the batch is NULL: pass what kv_batch_new gave"))?;
        let (key, value) = (key?, value?);
        batch.batch.try_reserve(key.len().saturating_add(value.len()))?;
        change(&mut batch.batch, key, value)
    })
}

/// The number of changes in a batch; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_batch_len(batch: *const kv_batch_t) -> usize {
    // SAFETY: the caller passes NULL or a batch that it has not freed and no other thread changes.
    let batch = unsafe { batch.as_ref() };
    guard::or(0, "kv_batch_len", || batch.map_or(0, |batch| batch.batch.len()))
}

/// Takes all changes out of a batch, which can be filled again. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_batch_clear(batch: *mut kv_batch_t) {
    // SAFETY: the caller passes NULL or a batch that it has not freed and no other thread uses.
    let batch = unsafe { batch.as_mut() };
    guard::or((), "kv_batch_clear", || {
        if let Some(batch) = batch {
            batch.batch.clear();
        }
    });
}

/// Frees a batch. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_batch_free(batch: *mut kv_batch_t) {
    guard::or((), "kv_batch_free", || {
        if !batch.is_null() {
            // SAFETY: it came from `kv_batch_new`, and the caller gives it up here.
            drop(unsafe { Box::from_raw(batch) });
        }
    });
}

/// Makes all changes of a batch, at one moment for whoever reads the store, or none of them; after a
/// crash, too, all are there or none. They apply in order: what comes later sees what came before,
/// also of the same key. A batch with nothing in it is KV_OK. `out_result` may be NULL. The message of
/// an error names the change by its number, from 0.
///
/// Answers KV_OK and what was done in `*out_result`; KV_CONFLICT, also with `*out_result`, if a
/// condition does not hold: nothing was done. KV_ERR_INVALID, KV_ERR_TOO_LARGE, KV_ERR_FULL,
/// KV_ERR_NO_MEMORY, KV_ERR_CROSS_SLOT (on a cluster: the keys are of several slots; the message
/// names two), KV_ERR_CLOSED, KV_ERR_POISONED, KV_ERR_FORKED, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_write(
    store: *mut kv_store_t,
    batch: *const kv_batch_t,
    out_result: *mut kv_batch_result_t,
    err: *mut *mut kv_error_t,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h, and no other thread changes the batch.
    let (store, batch, out_result, err) = unsafe {
        (store.as_ref(), batch.as_ref(), Output::optional(out_result), Out::optional(err))
    };
    guard::call_explained("kv_write", store, err, |store| {
        let out_result = out_result?;
        let batch = batch
            .ok_or_else(|| Failure::invalid("the batch is NULL: pass what kv_batch_new gave"))?;
        let (status, result) = match store.write(&batch.batch)? {
            BatchOutcome::Applied { applied, missing } => {
                (Status::Ok, kv_batch_result_t { applied, missing, ..Default::default() })
            }
            BatchOutcome::Conflict { index } => {
                let failed_index = index as u64;
                (Status::Conflict, kv_batch_result_t { failed_index, ..Default::default() })
            }
        };
        if let Some(out_result) = out_result {
            out_result.put(result);
        }
        Ok(status)
    })
}
