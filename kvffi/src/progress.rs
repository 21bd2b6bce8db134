//! How far opening has come, told to C: a function and a pointer of the caller's.
//!
//! Owns the `KV_PHASE_…` constants, which repeat `kvcore::Phase` because cbindgen reads literals only;
//! a test holds the two against each other. When to call is the core's.

use std::ffi::c_void;

use kvcore::{Progress, Status};

use crate::foreign::Foreign;
use crate::guard;
use crate::options::kv_options_t;
use crate::status::kv_status_t;

/// the entries of a snapshot are read
pub const KV_PHASE_SNAPSHOT: u32 = 1;
/// the log is replayed that goes on from there
pub const KV_PHASE_LOG: u32 = 2;

/// Called with one KV_PHASE_ number and how many bytes of how many were read, over both phases. It
/// must return: no longjmp, no exception. Threads: called from the thread that is in kv_open.
pub type kv_progress_fn = Option<
    unsafe extern "C" fn(user_data: *mut c_void, phase: u32, done_bytes: u64, total_bytes: u64),
>;

/// The function of a caller that gave one.
type Callback = unsafe extern "C" fn(*mut c_void, u32, u64, u64);

impl Foreign<Callback> {
    fn tell_progress(&self, progress: Progress) {
        let (done, total) = (progress.done_bytes, progress.total_bytes);
        // SAFETY: the caller of kv_options_on_progress promised a function of this type that takes this
        // pointer until `finalize` is called, which is when this object is dropped.
        unsafe { (self.callback)(self.user_data, progress.phase as u32, done, total) };
    }
}

/// Has `callback` called by kv_open while it reads the files of a directory: when a phase begins,
/// when it ends, and at most every 100 ms in between. `done_bytes` rises, and begins anew only if a
/// snapshot turns out to be damaged and an older one is read. A new directory and a store in memory
/// have nothing to read and call nothing. Options have one such callback, the last one given. It
/// must not use the store, which is not there yet, or these options.
///
/// `finalize`, which may be NULL, is called with `user_data` once and last: when these options, or
/// this callback in them, are gone and no kv_open with them is running. An open store does not keep
/// the callback. If this call fails it is not called. It must not call the library.
///
/// Answers KV_OK; KV_ERR_INVALID (the options or the callback are NULL), KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_options_on_progress(
    options: *mut kv_options_t,
    callback: kv_progress_fn,
    user_data: *mut c_void,
    finalize: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h, and no other thread uses these
    // options while they are being set.
    let options = unsafe { options.as_mut() };
    guard::or(Status::Panic.code(), "kv_options_on_progress", || {
        let (Some(options), Some(callback)) = (options, callback) else {
            return Status::Invalid.code();
        };
        let foreign: Foreign<Callback> = Foreign { callback, user_data, finalize };
        let given = std::mem::take(&mut options.options);
        options.options = given.on_progress(move |progress| foreign.tell_progress(progress));
        Status::Ok.code()
    })
}

#[cfg(test)]
mod tests {
    use kvcore::Phase;

    use super::*;

    #[test]
    fn the_numbers_are_the_cores() {
        assert_eq!(KV_PHASE_SNAPSHOT, Phase::Snapshot as u32);
        assert_eq!(KV_PHASE_LOG, Phase::Log as u32);
    }
}
