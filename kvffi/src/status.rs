//! Statuses in C. Owns the `KV_…` constants, which repeat `kvcore::Status` because cbindgen reads
//! literals only; a test holds the two tables against each other, in both directions.

use std::ffi::{CString, c_char};
use std::sync::LazyLock;

use kvcore::Status;

use crate::arguments::c_text;
use crate::guard;

/// What a call answers: zero is success, a positive number is an expected outcome, a negative
/// number is an error. The numbers are frozen. Threads: a plain number.
pub type kv_status_t = i32;

/// success
pub const KV_OK: i32 = 0;
/// the key is absent or has expired
pub const KV_NOT_FOUND: i32 = 1;
/// the key is there already
pub const KV_EXISTS: i32 = 2;
/// the key has another version
pub const KV_CONFLICT: i32 = 3;
/// nothing more will come
pub const KV_DONE: i32 = 4;
/// nothing came within the time given
pub const KV_TIMEOUT: i32 = 5;
/// the buffer is too small: nothing was written
pub const KV_SHORT_BUFFER: i32 = 6;
/// events were missed
pub const KV_LAGGED: i32 = 7;

/// fix the arguments; nothing changed
pub const KV_ERR_INVALID: i32 = -1;
/// key or value over its limit; nothing changed
pub const KV_ERR_TOO_LARGE: i32 = -2;
/// at its limit and may not evict; nothing changed
pub const KV_ERR_FULL: i32 = -3;
/// value is no integer, or overflows; nothing changed
pub const KV_ERR_TYPE: i32 = -4;
/// disk full; not applied; writes resume with room
pub const KV_ERR_NO_SPACE: i32 = -5;
/// outcome unknown; see the error object
pub const KV_ERR_IO: i32 = -6;
/// a file is damaged; see the error object
pub const KV_ERR_CORRUPT: i32 = -7;
/// another opener holds the directory
pub const KV_ERR_LOCKED: i32 = -8;
/// the store behind this handle was closed
pub const KV_ERR_CLOSED: i32 = -9;
/// an earlier failure stopped writes; reads still work
pub const KV_ERR_POISONED: i32 = -10;
/// unknown option or version, or not available here
pub const KV_ERR_UNSUPPORTED: i32 = -11;
/// handle crossed fork(): open a new one in the child
pub const KV_ERR_FORKED: i32 = -12;
/// an allocation sized by the caller's data failed
pub const KV_ERR_NO_MEMORY: i32 = -13;
/// a bug in libkv was contained; please report it
pub const KV_ERR_PANIC: i32 = -14;
/// a remote store did not answer
pub const KV_ERR_UNAVAILABLE: i32 = -15;
/// a batch names keys of several slots
pub const KV_ERR_CROSS_SLOT: i32 = -16;

/// The texts of one status, ended by the NUL that C wants.
struct Texts {
    code: i32,
    name: CString,
    message: CString,
}

/// Made on first use, never freed, so that pointers into it are good for ever.
static TEXTS: LazyLock<Vec<Texts>> = LazyLock::new(|| {
    let texts = |status: &Status| Texts {
        code: status.code(),
        name: c_text(status.c_name()),
        message: c_text(status.message()),
    };
    Status::ALL.iter().map(texts).collect()
});

/// The name of a status as in this header, "KV_NOT_FOUND"; "KV_UNKNOWN" for a foreign number.
/// The text belongs to the library.
#[unsafe(no_mangle)]
pub extern "C" fn kv_status_name(status: kv_status_t) -> *const c_char {
    guard::or(c"KV_UNKNOWN".as_ptr(), "kv_status_name", || {
        let texts = TEXTS.iter().find(|texts| texts.code == status);
        texts.map_or(c"KV_UNKNOWN".as_ptr(), |texts| texts.name.as_ptr())
    })
}

/// What a status means and, for an error, what the caller should do. Never NULL. The text belongs
/// to the library.
#[unsafe(no_mangle)]
pub extern "C" fn kv_status_message(status: kv_status_t) -> *const c_char {
    const FOREIGN: *const c_char = c"not a status of this version of libkv".as_ptr();
    guard::or(FOREIGN, "kv_status_message", || {
        let texts = TEXTS.iter().find(|texts| texts.code == status);
        texts.map_or(FOREIGN, |texts| texts.message.as_ptr())
    })
}
