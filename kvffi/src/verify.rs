//! Damaged files in C: what is wrong with them, and saving what is left.
//!
//! No store is open here: both calls name a directory, and answer with the core's reports as JSON.

use std::ffi::c_char;
use std::path::Path;

use kvcore::Status;

use crate::arguments::{Out, c_text, text};
use crate::error::kv_error_t;
use crate::guard;
use crate::status::kv_status_t;

/// Reads every byte of the store's directory at `path`, or of one snapshot file, and checks every
/// checksum. Nothing is changed. The store must not be open, here or elsewhere. The answer is one
/// JSON object: `sound`, how many `files` and `bytes` were read, and `findings`, a list of objects
/// with the `file`, the `offset` in bytes, the `problem`, what is `lost` by it, and whether it is
/// `harmless`: what a crash leaves in the ordinary course of things, and opening mends. `sound`
/// says that there is no other finding.
///
/// Answers KV_OK, also if damage was found, and a string in `*out_json`, for the caller to free with
/// kv_string_free; KV_ERR_INVALID (also: there is nothing at `path`), KV_ERR_LOCKED (the store is
/// open), KV_ERR_IO (something cannot be read), KV_ERR_NO_MEMORY, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_verify(
    path: *const c_char,
    out_json: *mut *mut c_char,
    err: *mut *mut kv_error_t,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (path, out_json, err) = unsafe {
        (
            text(path, "the path is NULL: pass that of a store's directory or of a snapshot file"),
            Out::required(out_json),
            Out::optional(err),
        )
    };
    guard::explained("kv_verify", err, || {
        let (path, out_json) = (path?, out_json?);
        let report = kvcore::verify(Path::new(path))?;
        out_json.put(c_text(&report.to_json()).into_raw());
        Ok(Status::Ok)
    })
}

/// Copies what can be read of the damaged store in the directory `from` into a new one in `to`,
/// which must be empty or not there. `from` is left as it is, and must not be open. Everything that
/// is found is in memory for a while. The answer is one JSON object: `entries` in the new store,
/// `records` of the log that were applied, `findings` as of kv_verify, and `may_be_back`, which says
/// that records may be missing before others, so that entries may be back which had been deleted or
/// changed.
///
/// Answers KV_OK and a string in `*out_json`, for the caller to free with kv_string_free;
/// KV_ERR_INVALID (also: `to` is not empty), KV_ERR_CORRUPT (`from` has no file of a store that can
/// be read), KV_ERR_LOCKED (one of them is open), KV_ERR_NO_SPACE, KV_ERR_IO, KV_ERR_NO_MEMORY,
/// KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_salvage(
    from: *const c_char,
    to: *const c_char,
    out_json: *mut *mut c_char,
    err: *mut *mut kv_error_t,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (from, to, out_json, err) = unsafe {
        (
            text(from, "the directory to read is NULL: pass that of the damaged store"),
            text(to, "the directory to write is NULL: pass that of the new store"),
            Out::required(out_json),
            Out::optional(err),
        )
    };
    guard::explained("kv_salvage", err, || {
        let (from, to, out_json) = (from?, to?, out_json?);
        let report = kvcore::salvage(Path::new(from), Path::new(to))?;
        out_json.put(c_text(&report.to_json()).into_raw());
        Ok(Status::Ok)
    })
}
