//! Values in C: what a read hands out. Owns `kv_value_t`, a reference to bytes that never change,
//! and the struct that tells about them.

use std::ffi::c_void;
use std::mem::size_of;

use kvcore::{Status, Value};

use crate::guard;
use crate::status::kv_status_t;
use crate::structs::{Growable, Output};
use crate::ttl::KV_TTL_NONE;

/// A value that was read. It keeps its bytes, whatever happens to the key, until the caller frees
/// it with kv_value_free; it may outlive the store. Threads: never changes, so any number of
/// threads may read it.
pub struct kv_value_t {
    value: Value,
}

impl kv_value_t {
    /// A handle for the caller.
    pub(crate) fn new(value: Value) -> *mut kv_value_t {
        Box::into_raw(Box::new(kv_value_t { value }))
    }
}

/// What is known of a value beside its bytes. Threads: plain data of the caller's.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct kv_value_info_t {
    /// set by KV_VALUE_INFO_INIT
    pub struct_size: usize,
    /// the revision of the last change of the key
    pub version: u64,
    /// Unix time of its creation; -1 without `entry_stats`
    pub created_at_ms: i64,
    /// Unix time of its deadline; KV_TTL_NONE: never
    pub expire_at_ms: i64,
    /// reads so far, roughly; 0 without `entry_stats`
    pub hits: u64,
}

// SAFETY: repr(C), four fields of 8 bytes behind a usize of 8; tests/layout.rs proves it.
unsafe impl Growable for kv_value_info_t {
    const FIRST_SIZE: usize = size_of::<usize>() + 32;
}

/// The bytes of a value: kv_value_len of them, with no NUL behind. Never NULL, even if there are
/// none; NULL for NULL. They belong to the value and go with it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_value_data(value: *const kv_value_t) -> *const c_void {
    // SAFETY: the caller passes NULL or a value it has not freed.
    let value = unsafe { value.as_ref() };
    guard::or(std::ptr::null(), "kv_value_data", || match value {
        None => std::ptr::null(),
        Some(value) if value.value.is_empty() => c"".as_ptr().cast(),
        Some(value) => value.value.as_ptr().cast(),
    })
}

/// How many bytes a value has. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_value_len(value: *const kv_value_t) -> usize {
    // SAFETY: the caller passes NULL or a value it has not freed.
    let value = unsafe { value.as_ref() };
    guard::or(0, "kv_value_len", || value.map_or(0, |value| value.value.len()))
}

/// Tells what is known of a value beside its bytes, as of when it was read.
///
/// Answers KV_OK and the answer in `*out_info`; KV_ERR_INVALID, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_value_info(
    value: *const kv_value_t,
    out_info: *mut kv_value_info_t,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (value, out_info) = unsafe { (value.as_ref(), Output::required(out_info)) };
    guard::or(Status::Panic.code(), "kv_value_info", || {
        let (Some(value), Ok(out_info)) = (value, out_info) else {
            return Status::Invalid.code();
        };
        out_info.put(kv_value_info_t {
            struct_size: 0,
            version: value.value.version(),
            created_at_ms: value.value.created_at_ms().unwrap_or(-1),
            expire_at_ms: value.value.expire_at_ms().unwrap_or(KV_TTL_NONE),
            hits: value.value.hits(),
        });
        Status::Ok.code()
    })
}

/// Frees a value. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_value_free(value: *mut kv_value_t) {
    guard::or((), "kv_value_free", || {
        if !value.is_null() {
            // SAFETY: it came from `kv_value_t::new`, and the caller gives it up here.
            drop(unsafe { Box::from_raw(value) });
        }
    });
}

/// Frees `count` values, as kv_get_many gives them, and sets each pointer to NULL. The array itself
/// stays the caller's. NULL is fine, for the array and in it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_values_free(values: *mut *mut kv_value_t, count: usize) {
    if values.is_null() {
        return;
    }
    for index in 0..count {
        // SAFETY: the caller passes an array of `count` pointers, each NULL or a value it gives up
        // here.
        unsafe {
            let place = values.add(index);
            kv_value_free(place.read_unaligned());
            place.write_unaligned(std::ptr::null_mut());
        }
    }
}
