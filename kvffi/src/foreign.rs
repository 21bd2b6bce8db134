//! A function of the caller's, with the pointer it wants to be given and the one that ends it.
//!
//! Owns: [`Foreign`], what every option that takes a callback keeps. Invariant: `finalize` runs once, when
//! the last of the options and stores that share the callback lets go of it, and so after the last call.

use std::ffi::c_void;

/// What is called with `user_data` once and last.
pub(crate) type Finalize = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// A callback of the caller's. `F` is the type of its function.
pub(crate) struct Foreign<F> {
    pub(crate) callback: F,
    pub(crate) user_data: *mut c_void,
    pub(crate) finalize: Finalize,
}

// SAFETY: the header asks of the caller that the functions may be called with `user_data` from other
// threads than the one that gave them; a function itself may be called from any.
unsafe impl<F: Send> Send for Foreign<F> {}
// SAFETY: as above; stores that share the options may call at the same time, which the header says.
unsafe impl<F: Sync> Sync for Foreign<F> {}

impl<F> Drop for Foreign<F> {
    fn drop(&mut self) {
        if let Some(finalize) = self.finalize {
            // SAFETY: the caller promised a function of this type that takes this pointer, and nobody can
            // call the callback any more.
            unsafe { finalize(self.user_data) };
        }
    }
}
