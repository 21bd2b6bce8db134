//! Options in C: how a store is to be opened. Owns `kv_options_t`; names, values and their checks
//! are the core's.

use std::ffi::c_char;
use std::ptr;

use kvcore::{Options, Status};

use crate::arguments::{Out, text};
use crate::error::{Failure, kv_error_t};
use crate::guard;
use crate::status::kv_status_t;

/// Options for kv_open, each a name and a value in text. Opening copies them, so one object may
/// open many stores and may be freed right after. Threads: belongs to one thread at a time while it
/// is being set; kv_open may read it from several.
pub struct kv_options_t {
    pub(crate) options: Options,
}

/// Makes options that have their defaults. The caller frees them with kv_options_free. NULL only if
/// there is no memory.
#[unsafe(no_mangle)]
pub extern "C" fn kv_options_new() -> *mut kv_options_t {
    guard::or(ptr::null_mut(), "kv_options_new", || {
        Box::into_raw(Box::new(kv_options_t { options: Options::default() }))
    })
}

/// Sets one option by its name, for example "max_memory" to "64MiB" or "default_ttl" to "5m". The
/// message of the error names the nearest valid name, or the valid range. An option that is refused
/// keeps the value it had.
///
/// Answers KV_OK; KV_ERR_INVALID (a value that does not fit, or NULL), KV_ERR_UNSUPPORTED (an
/// unknown option, or one that this version has not), KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_options_set(
    options: *mut kv_options_t,
    name: *const c_char,
    value: *const c_char,
    err: *mut *mut kv_error_t,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h, and no other thread uses these
    // options while they are being set.
    let (options, name, value, err) = unsafe {
        (
            options.as_mut(),
            text(name, "the option's name is NULL: pass its name"),
            text(value, "the option's value is NULL: pass its value as text"),
            Out::optional(err),
        )
    };
    guard::explained("kv_options_set", err, || {
        let options = options.ok_or_else(|| {
            Failure::invalid("the options are NULL: pass what kv_options_new gave")
        })?;
        options.options.set(name?, value?)?;
        Ok(Status::Ok)
    })
}

/// Frees options. Stores that were opened with them keep theirs. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_options_free(options: *mut kv_options_t) {
    guard::or((), "kv_options_free", || {
        if !options.is_null() {
            // SAFETY: it came from `kv_options_new`, and the caller gives it up here.
            drop(unsafe { Box::from_raw(options) });
        }
    });
}
