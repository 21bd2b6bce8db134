//! Panics planted by tests, to show that the guard contains them. Not part of any release: the
//! feature `planted-panics` is off by default, and neither `kv.h` nor `symbols.txt` knows of this.
//!
//! There is no lock here, because a test that forks would inherit it locked.

use std::ffi::{CStr, c_char};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

static PLANTED: AtomicPtr<c_char> = AtomicPtr::new(ptr::null_mut());

/// Makes the next call of the named function panic, once. NULL takes the plant back. The name must
/// stay valid: pass a string literal.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_test_plant_panic(function_name: *const c_char) {
    PLANTED.store(function_name.cast_mut(), Ordering::Release);
}

/// Panics if this is the function that the test named.
pub(crate) fn panic_if_planted(name: &str) {
    let planted = PLANTED.load(Ordering::Acquire);
    if planted.is_null() {
        return;
    }
    // SAFETY: not NULL, so it is the string literal that the test passed.
    if unsafe { CStr::from_ptr(planted) }.to_bytes() == name.as_bytes() {
        PLANTED.store(ptr::null_mut(), Ordering::Release);
        panic!("planted by a test");
    }
}
