//! Calls on one key in C.
//!
//! Owns the structs of conditional writes. What a TTL, a condition or a deadline means is the
//! core's; here their numbers become its types.

use std::ffi::c_void;
use std::mem::size_of;

use kvcore::{Condition, DeleteOutcome, Expiry, SetOptions, SetOutcome, Status, Value, Within};

use crate::arguments::{Buffer, Out, bytes};
use crate::error::Failure;
use crate::guard;
use crate::status::kv_status_t;
use crate::store::kv_store_t;
use crate::structs::{Growable, Output, input};
use crate::ttl::found;
use crate::value::kv_value_t;

/// write in any case
pub const KV_IF_ANY: i32 = 0;
/// only if the key is absent, else KV_EXISTS
pub const KV_IF_ABSENT: i32 = 1;
/// only if the key is there, else KV_NOT_FOUND
pub const KV_IF_PRESENT: i32 = 2;
/// only if it has this version, else KV_CONFLICT or KV_NOT_FOUND
pub const KV_IF_VERSION: i32 = 3;

/// How kv_set_with writes. Threads: plain data of the caller's.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct kv_set_options_t {
    /// set by KV_SET_OPTIONS_INIT
    pub struct_size: usize,
    /// milliseconds from now, or one of KV_TTL_DEFAULT, _NONE, _KEEP
    pub ttl_ms: i64,
    /// a Unix time in milliseconds instead; 0: use `ttl_ms`
    pub expire_at_ms: i64,
    /// for KV_IF_VERSION
    pub version: u64,
    /// one of KV_IF_ANY, _ABSENT, _PRESENT, _VERSION
    pub condition: i32,
    /// must be zero
    pub reserved: i32,
}

// SAFETY: repr(C), three fields of 8 bytes and two of 4 behind a usize of 8;
// tests/layout.rs proves the layout.
unsafe impl Growable for kv_set_options_t {
    const FIRST_SIZE: usize = size_of::<usize>() + 32;
}

impl kv_set_options_t {
    pub(crate) fn to_core(self) -> Result<SetOptions, Failure> {
        if self.reserved != 0 {
            return Err(Failure::invalid("`reserved` of kv_set_options_t must be zero"));
        }
        let expiry = match self.expire_at_ms {
            0 => Expiry::from_ttl_ms(self.ttl_ms)?,
            unix_ms => Expiry::AtMs(unix_ms),
        };
        let condition = match self.condition {
            KV_IF_ANY => Condition::Any,
            KV_IF_ABSENT => Condition::Absent,
            KV_IF_PRESENT => Condition::Present,
            KV_IF_VERSION => Condition::Version(self.version),
            _ => return Err(Failure::invalid("`condition` must be one of the KV_IF constants")),
        };
        Ok(SetOptions { expiry, condition })
    }
}

/// What kv_set_with did. Threads: plain data of the caller's.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct kv_set_result_t {
    /// set by KV_SET_RESULT_INIT
    pub struct_size: usize,
    /// the version that the key has now
    pub version: u64,
}

// SAFETY: repr(C), one field of 8 bytes behind a usize of 8; tests/layout.rs proves it.
unsafe impl Growable for kv_set_result_t {
    const FIRST_SIZE: usize = size_of::<usize>() + 8;
}

/// Stores a value under a key, in place of what was there. `ttl_ms` is a positive number of
/// milliseconds, KV_TTL_DEFAULT, KV_TTL_NONE, or KV_TTL_KEEP.
///
/// Answers KV_OK; KV_ERR_INVALID, KV_ERR_TOO_LARGE, KV_ERR_FULL, KV_ERR_NO_MEMORY, KV_ERR_CLOSED,
/// KV_ERR_POISONED, KV_ERR_FORKED, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_set(
    store: *mut kv_store_t,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
    ttl_ms: i64,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (store, key, value) =
        unsafe { (store.as_ref(), bytes(key, key_len), bytes(value, value_len)) };
    guard::call("kv_set", store, |store| {
        let (key, value) = (key?, value?);
        let options = SetOptions { expiry: Expiry::from_ttl_ms(ttl_ms)?, ..Default::default() };
        store.set_with(key, value, &options)?;
        Ok(Status::Ok)
    })
}

/// Stores a value if a condition holds, with a TTL or an absolute deadline, and tells the version it
/// got. A deadline that has passed removes what was there. NULL `options` are KV_SET_OPTIONS_INIT;
/// `out_result` may be NULL.
///
/// Answers KV_OK and the version in `*out_result`; KV_EXISTS, KV_NOT_FOUND, KV_CONFLICT if the
/// condition does not hold; KV_ERR_INVALID, KV_ERR_UNSUPPORTED (see "Structs"), KV_ERR_TOO_LARGE,
/// KV_ERR_FULL, KV_ERR_NO_MEMORY, KV_ERR_CLOSED, KV_ERR_POISONED, KV_ERR_FORKED, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_set_with(
    store: *mut kv_store_t,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
    options: *const kv_set_options_t,
    out_result: *mut kv_set_result_t,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (store, key, value, options, out_result) = unsafe {
        (
            store.as_ref(),
            bytes(key, key_len),
            bytes(value, value_len),
            (!options.is_null()).then(|| input(options, kv_set_options_t::default())),
            Output::optional(out_result),
        )
    };
    guard::call("kv_set_with", store, |store| {
        let (key, value, out_result) = (key?, value?, out_result?);
        let options = options.transpose()?.unwrap_or_default().to_core()?;
        match store.set_with(key, value, &options)? {
            SetOutcome::Stored { version } => {
                if let Some(out_result) = out_result {
                    out_result.put(kv_set_result_t { struct_size: 0, version });
                }
                Ok(Status::Ok)
            }
            SetOutcome::Exists => Ok(Status::Exists),
            SetOutcome::NotFound => Ok(Status::NotFound),
            SetOutcome::Conflict => Ok(Status::Conflict),
        }
    })
}

/// Reads a value. Large values are not copied.
///
/// Answers KV_OK and the value in `*out_value`, for the caller to free with kv_value_free;
/// KV_NOT_FOUND; KV_ERR_INVALID, KV_ERR_TOO_LARGE, KV_ERR_CLOSED, KV_ERR_FORKED, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_get(
    store: *mut kv_store_t,
    key: *const c_void,
    key_len: usize,
    out_value: *mut *mut kv_value_t,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (store, key, out_value) =
        unsafe { (store.as_ref(), bytes(key, key_len), Out::required(out_value)) };
    guard::call("kv_get", store, |store| {
        let (key, out_value) = (key?, out_value?);
        Ok(hand_out(store.get(key)?, out_value))
    })
}

/// Copies a value into a buffer of the caller's, whole or not at all: the fastest read of a small
/// value. `buffer` may be NULL with a capacity of 0, to ask for the length. It must not overlap the
/// key.
///
/// Answers KV_OK and the value's length in `*out_len`; KV_SHORT_BUFFER and the length needed in
/// `*out_len`, with nothing written to the buffer and no read counted; KV_NOT_FOUND;
/// KV_ERR_INVALID, KV_ERR_TOO_LARGE, KV_ERR_CLOSED, KV_ERR_FORKED, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_get_into(
    store: *mut kv_store_t,
    key: *const c_void,
    key_len: usize,
    buffer: *mut c_void,
    capacity: usize,
    out_len: *mut usize,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (store, key, buffer, out_len) = unsafe {
        (store.as_ref(), bytes(key, key_len), Buffer::new(buffer, capacity), Out::required(out_len))
    };
    guard::call("kv_get_into", store, |store| {
        let (key, buffer, out_len) = (key?, buffer?, out_len?);
        // The closure runs under the shard's lock: it copies and returns.
        let found = store.get_within(key, buffer.capacity(), |value| buffer.take(value))?;
        let (status, len) = match found {
            None => return Ok(Status::NotFound),
            Some(Within::Read(len)) => (Status::Ok, len),
            Some(Within::Longer(len)) => (Status::ShortBuffer, len),
        };
        out_len.put(len);
        Ok(status)
    })
}

/// Reads a value and deletes its key, as one step.
///
/// Answers KV_OK and the value in `*out_value`, for the caller to free with kv_value_free;
/// KV_NOT_FOUND; KV_ERR_INVALID, KV_ERR_TOO_LARGE, KV_ERR_CLOSED, KV_ERR_POISONED, KV_ERR_FORKED,
/// KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_take(
    store: *mut kv_store_t,
    key: *const c_void,
    key_len: usize,
    out_value: *mut *mut kv_value_t,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (store, key, out_value) =
        unsafe { (store.as_ref(), bytes(key, key_len), Out::required(out_value)) };
    guard::call("kv_take", store, |store| {
        let (key, out_value) = (key?, out_value?);
        Ok(hand_out(store.take(key)?, out_value))
    })
}

/// Deletes a key.
///
/// Answers KV_OK, KV_NOT_FOUND; KV_ERR_INVALID, KV_ERR_TOO_LARGE, KV_ERR_CLOSED, KV_ERR_POISONED,
/// KV_ERR_FORKED, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_del(
    store: *mut kv_store_t,
    key: *const c_void,
    key_len: usize,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (store, key) = unsafe { (store.as_ref(), bytes(key, key_len)) };
    guard::call("kv_del", store, |store| Ok(found(store.del(key?)?)))
}

/// Deletes a key if it still has this version.
///
/// Answers KV_OK, KV_NOT_FOUND, KV_CONFLICT (another version, and it stays); KV_ERR_INVALID,
/// KV_ERR_TOO_LARGE, KV_ERR_CLOSED, KV_ERR_POISONED, KV_ERR_FORKED, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_del_if(
    store: *mut kv_store_t,
    key: *const c_void,
    key_len: usize,
    version: u64,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (store, key) = unsafe { (store.as_ref(), bytes(key, key_len)) };
    guard::call("kv_del_if", store, |store| {
        Ok(match store.del_if(key?, version)? {
            DeleteOutcome::Deleted => Status::Ok,
            DeleteOutcome::NotFound => Status::NotFound,
            DeleteOutcome::Conflict => Status::Conflict,
        })
    })
}

/// Tells whether a key is there.
///
/// Answers KV_OK, KV_NOT_FOUND; KV_ERR_INVALID, KV_ERR_TOO_LARGE, KV_ERR_CLOSED, KV_ERR_FORKED,
/// KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_exists(
    store: *mut kv_store_t,
    key: *const c_void,
    key_len: usize,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (store, key) = unsafe { (store.as_ref(), bytes(key, key_len)) };
    guard::call("kv_exists", store, |store| Ok(found(store.exists(key?)?)))
}

/// Adds to a number kept as decimal text. A missing key counts from 0 and gets `ttl_ms` as kv_set
/// would give it; an existing deadline is kept unless `ttl_ms` is positive or KV_TTL_NONE.
/// `out_number` may be NULL.
///
/// Answers KV_OK and the sum in `*out_number`; KV_ERR_TYPE (the value is no decimal 64-bit integer,
/// or the sum would not fit), KV_ERR_INVALID, KV_ERR_TOO_LARGE, KV_ERR_FULL, KV_ERR_NO_MEMORY,
/// KV_ERR_CLOSED, KV_ERR_POISONED, KV_ERR_FORKED, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_incr(
    store: *mut kv_store_t,
    key: *const c_void,
    key_len: usize,
    delta: i64,
    ttl_ms: i64,
    out_number: *mut i64,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (store, key, out_number) =
        unsafe { (store.as_ref(), bytes(key, key_len), Out::optional(out_number)) };
    guard::call("kv_incr", store, |store| {
        let number = store.incr(key?, delta, Expiry::from_ttl_ms(ttl_ms)?)?;
        out_number.put(number);
        Ok(Status::Ok)
    })
}

/// Puts bytes behind a value, which keeps its deadline. If the key is absent they are stored, with
/// the store's `default_ttl`. `out_len` may be NULL.
///
/// Answers KV_OK and the new length in `*out_len`; KV_ERR_INVALID, KV_ERR_TOO_LARGE, KV_ERR_FULL,
/// KV_ERR_NO_MEMORY, KV_ERR_CLOSED, KV_ERR_POISONED, KV_ERR_FORKED, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_append(
    store: *mut kv_store_t,
    key: *const c_void,
    key_len: usize,
    data: *const c_void,
    data_len: usize,
    out_len: *mut usize,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (store, key, data, out_len) = unsafe {
        (store.as_ref(), bytes(key, key_len), bytes(data, data_len), Out::optional(out_len))
    };
    guard::call("kv_append", store, |store| {
        let (key, data) = (key?, data?);
        out_len.put(store.append(key, data)?);
        Ok(Status::Ok)
    })
}

/// Gives the caller a value that was found.
#[inline]
fn hand_out(value: Option<Value>, out_value: Out<*mut kv_value_t>) -> Status {
    match value {
        None => Status::NotFound,
        Some(value) => {
            out_value.put(kv_value_t::new(value));
            Status::Ok
        }
    }
}
