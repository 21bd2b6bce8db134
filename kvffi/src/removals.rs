//! Removal callbacks in C: a function and a pointer of the caller's, called for entries that go.
//!
//! Owns the `KV_CHANGE_…` constants, which repeat `kvcore::Cause` because cbindgen reads literals
//! only; a test holds the two against each other. When to call, and on which thread, is the core's.

use std::ffi::c_void;

use kvcore::{Causes, Removal, Status};

use crate::foreign::Foreign;
use crate::guard;
use crate::options::kv_options_t;
use crate::status::kv_status_t;

/// a value was stored (watches only)
pub const KV_CHANGE_SET: u32 = 1;
/// a call removed the entry
pub const KV_CHANGE_DELETED: u32 = 2;
/// the entry's deadline came
pub const KV_CHANGE_EXPIRED: u32 = 4;
/// the entry made room for others
pub const KV_CHANGE_EVICTED: u32 = 8;
/// kv_clear removed the entry
pub const KV_CHANGE_CLEARED: u32 = 16;
/// a write replaced the value (callbacks only)
pub const KV_CHANGE_REPLACED: u32 = 32;
/// a deadline changed (watches only)
pub const KV_CHANGE_TOUCHED: u32 = 64;

/// Called with one KV_CHANGE_ number, the key, and the value the entry had. The bytes are valid
/// until it returns; copy what is to stay. It must return: no longjmp, no exception. Threads: called
/// from one thread of the store, one call after the other, with all signals blocked.
pub type kv_remove_fn = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        change: u32,
        key: *const c_void,
        key_len: usize,
        value: *const c_void,
        value_len: usize,
    ),
>;

/// The function of a caller that gave one.
type Callback = unsafe extern "C" fn(*mut c_void, u32, *const c_void, usize, *const c_void, usize);

impl Foreign<Callback> {
    fn tell_removal(&self, removal: Removal<'_>) {
        let (key, value) = (removal.key, removal.value);
        let (key_start, value_start) = (start(key), start(value));
        // SAFETY: the caller of kv_options_on_remove promised a function of this type that takes
        // this pointer until `finalize` is called, which is when this object is dropped. The bytes
        // are those of slices that live as long as the call.
        unsafe {
            (self.callback)(
                self.user_data,
                removal.cause.bit(),
                key_start,
                key.len(),
                value_start,
                value.len(),
            );
        }
    }
}

/// Where bytes begin; somewhere, if there are none.
fn start(bytes: &[u8]) -> *const c_void {
    if bytes.is_empty() { c"".as_ptr().cast() } else { bytes.as_ptr().cast() }
}

/// Has `callback` called for every entry that goes for one of the `changes`: KV_CHANGE_DELETED,
/// _EXPIRED, _EVICTED, _CLEARED and _REPLACED, added up, or 0 for all five. KV_CHANGE_REPLACED is
/// the old value of a write that stores another. Options have one callback, the last one given.
///
/// The callback runs on a thread of the store, after the change, with no lock held. It may call any
/// function but kv_close and kv_shutdown of its own store, which answer KV_ERR_INVALID there and do
/// nothing. Changes that one thread made are told in their order. A slow callback delays other
/// callbacks and never a write: `callback_buffer` removals wait for it, and what is more is dropped
/// and counted in `callbacks_dropped`. kv_shutdown and kv_close return once all that waits was told;
/// what they free themselves is not told. Stores that are opened with the same options call it from
/// a thread each, at the same time.
///
/// `finalize`, which may be NULL, is called with `user_data` once and last: when these options, or
/// this callback in them, and all stores opened with them are gone. If this call fails it is not
/// called. It must not call the library.
///
/// Answers KV_OK; KV_ERR_INVALID (the options or the callback are NULL, or a number is no cause of a
/// removal), KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_options_on_remove(
    options: *mut kv_options_t,
    changes: u32,
    callback: kv_remove_fn,
    user_data: *mut c_void,
    finalize: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h, and no other thread uses these
    // options while they are being set.
    let options = unsafe { options.as_mut() };
    guard::or(Status::Panic.code(), "kv_options_on_remove", || {
        let causes = if changes == 0 { Ok(Causes::ALL) } else { Causes::from_bits(changes) };
        let (Some(options), Some(callback), Ok(causes)) = (options, callback, causes) else {
            return Status::Invalid.code();
        };
        let foreign: Foreign<Callback> = Foreign { callback, user_data, finalize };
        let given = std::mem::take(&mut options.options);
        options.options = given.on_remove(causes, move |removal| foreign.tell_removal(removal));
        Status::Ok.code()
    })
}

#[cfg(test)]
mod tests {
    use kvcore::Cause;

    use super::*;

    #[test]
    fn the_numbers_are_the_cores() {
        let named = [
            (KV_CHANGE_DELETED, Cause::Deleted),
            (KV_CHANGE_EXPIRED, Cause::Expired),
            (KV_CHANGE_EVICTED, Cause::Evicted),
            (KV_CHANGE_CLEARED, Cause::Cleared),
            (KV_CHANGE_REPLACED, Cause::Replaced),
        ];
        assert_eq!(named.map(|(_, cause)| cause), Cause::ALL);
        for (number, cause) in named {
            assert_eq!(number, cause.bit());
        }
        assert!(Causes::from_bits(KV_CHANGE_SET).is_err());
        assert!(Causes::from_bits(KV_CHANGE_TOUCHED).is_err());
    }
}
