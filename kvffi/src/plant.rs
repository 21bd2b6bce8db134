//! Panics planted by tests, to show that the guard contains them. Not part of any release: the
//! feature `planted-panics` is off by default, and neither `kv.h` nor `symbols.txt` knows of this.

use std::ffi::c_char;
use std::sync::Mutex;

use crate::arguments::text;

static PLANTED: Mutex<Option<String>> = Mutex::new(None);

/// Makes the next call of the named function panic, once. NULL takes the plant back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_test_plant_panic(function_name: *const c_char) {
    // SAFETY: the test passes NULL or a string that ends with a NUL.
    let name = unsafe { text(function_name, "") };
    if let Ok(mut planted) = PLANTED.lock() {
        *planted = name.ok().map(str::to_owned);
    }
}

/// Panics if this is the function that the test named.
pub(crate) fn panic_if_planted(name: &str) {
    let due = match PLANTED.lock() {
        Ok(mut planted) => planted.take_if(|planted| planted == name).is_some(),
        Err(_) => false,
    };
    assert!(!due, "planted by a test");
}
