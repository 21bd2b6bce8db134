//! Scans in C. Owns `kv_scan_t`, the cursor, and the structs of what it is asked and what it gives.

use std::ffi::c_void;
use std::mem::size_of;
use std::ptr;

use kvcore::{Entry, Order, ScanOptions, Status};
use libkv::{Scan, Store};

use crate::arguments::{Out, bytes};
use crate::error::Failure;
use crate::guard;
use crate::many::kv_slice_t;
use crate::status::kv_status_t;
use crate::store::kv_store_t;
use crate::structs::{Growable, Output, input};
use crate::ttl::KV_TTL_NONE;

/// in any order, the quickest
pub const KV_ORDER_NONE: i32 = 0;
/// the smallest key first, byte by byte
pub const KV_ORDER_ASC: i32 = 1;
/// the largest key first
pub const KV_ORDER_DESC: i32 = 2;

/// Which entries kv_scan gives: those that meet all of this. Threads: plain data of the caller's.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kv_scan_options_t {
    /// set by KV_SCAN_OPTIONS_INIT
    pub struct_size: usize,
    /// only keys that begin with this
    pub prefix: kv_slice_t,
    /// only keys from this one on
    pub start: kv_slice_t,
    /// only keys before this one; empty: no end
    pub end: kv_slice_t,
    /// no more entries than this; 0: no limit
    pub limit: u64,
    /// one of KV_ORDER_NONE, _ASC, _DESC
    pub order: i32,
    /// if not zero, values are left out
    pub keys_only: i32,
    /// if not zero, entries come as they were when the scan began
    pub point_in_time: i32,
    /// must be zero
    pub reserved: i32,
}

// SAFETY: repr(C), three slices of two words each, a field of 8 bytes and four of 4 behind a usize of
// 8; tests/layout.rs proves it. Every pattern of bits is a pointer as long as nobody follows it.
unsafe impl Growable for kv_scan_options_t {
    const FIRST_SIZE: usize = size_of::<usize>() * 7 + 16;
}

impl kv_scan_options_t {
    /// Every entry.
    fn all() -> kv_scan_options_t {
        let none = kv_slice_t { data: ptr::null(), len: 0 };
        kv_scan_options_t {
            struct_size: size_of::<kv_scan_options_t>(),
            prefix: none,
            start: none,
            end: none,
            limit: 0,
            order: KV_ORDER_NONE,
            keys_only: 0,
            point_in_time: 0,
            reserved: 0,
        }
    }

    /// Copies what the options point to.
    ///
    /// # Safety
    /// Each slice is as [`bytes`] takes it.
    unsafe fn to_core(self) -> Result<ScanOptions, Failure> {
        if self.reserved != 0 {
            return Err(Failure::invalid("`reserved` of kv_scan_options_t must be zero"));
        }
        // SAFETY: passed on.
        let (prefix, start, end) = unsafe {
            (
                bytes(self.prefix.data, self.prefix.len)?,
                bytes(self.start.data, self.start.len)?,
                bytes(self.end.data, self.end.len)?,
            )
        };
        let order = match self.order {
            KV_ORDER_NONE => Order::None,
            KV_ORDER_ASC => Order::Asc,
            KV_ORDER_DESC => Order::Desc,
            _ => return Err(Failure::invalid("`order` must be one of the KV_ORDER constants")),
        };
        Ok(ScanOptions {
            prefix: prefix.to_vec(),
            start: start.to_vec(),
            end: (!end.is_empty()).then(|| end.to_vec()),
            limit: self.limit,
            order,
            keys_only: self.keys_only != 0,
            point_in_time: self.point_in_time != 0,
        })
    }
}

/// An entry that a scan came to. Threads: plain data of the caller's; the bytes belong to the scan.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kv_entry_t {
    /// set by KV_ENTRY_INIT
    pub struct_size: usize,
    /// its key; never NULL
    pub key: kv_slice_t,
    /// its value; never NULL, and empty in a scan of keys only
    pub value: kv_slice_t,
    /// the revision of its last change
    pub version: u64,
    /// Unix time of its deadline; KV_TTL_NONE: never
    pub expire_at_ms: i64,
}

// SAFETY: repr(C), two slices of two words each and two fields of 8 bytes behind a usize of 8;
// tests/layout.rs proves it.
unsafe impl Growable for kv_entry_t {
    const FIRST_SIZE: usize = size_of::<usize>() * 5 + 16;
}

impl kv_entry_t {
    /// Shows an entry, which must outlive what is shown.
    fn of(entry: &Entry) -> kv_entry_t {
        kv_entry_t {
            struct_size: 0,
            key: slice(entry.key()),
            value: slice(entry.value()),
            version: entry.version(),
            expire_at_ms: entry.expire_at_ms().unwrap_or(KV_TTL_NONE),
        }
    }
}

/// Bytes for C, which expects something to point to even where there is none.
fn slice(bytes: &[u8]) -> kv_slice_t {
    let data: *const c_void =
        if bytes.is_empty() { c"".as_ptr().cast() } else { bytes.as_ptr().cast() };
    kv_slice_t { data, len: bytes.len() }
}

/// A scan under way. Whoever began it frees it with kv_scan_free, before or after the store is closed.
/// Threads: belongs to one thread at a time.
pub struct kv_scan_t {
    store: Store,
    scan: Scan,
    /// What the caller was shown last.
    shown: Option<Entry>,
}

/// Begins a scan; NULL `options` are KV_SCAN_OPTIONS_INIT, which is every entry. The options and the
/// bytes they point to are copied.
///
/// An entry that is there from the beginning of the scan to its end comes exactly once. One that comes,
/// changes or goes meanwhile may be missing or come as it was at any moment since the scan began, but
/// no key comes twice, and nothing that has expired comes. No lock is held between steps. Without
/// `ordered_index` a scan goes through the whole store, and one in order sorts in bounded memory: each
/// pass gives the next few megabytes of keys.
///
/// With `point_in_time` every entry comes as it was when the scan began, unless it has expired since, and
/// no other. No write waits for that: what changes is kept for the scan as it was, up to the option
/// `scan_buffer_bytes`, until the scan has ended or is freed.
///
/// Answers KV_OK and the scan in `*out_scan`, for the caller to free with kv_scan_free;
/// KV_ERR_INVALID, KV_ERR_TOO_LARGE (a length that no object can have), KV_ERR_UNSUPPORTED (see
/// "Structs"), KV_ERR_CLOSED, KV_ERR_FORKED, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_scan(
    store: *mut kv_store_t,
    options: *const kv_scan_options_t,
    out_scan: *mut *mut kv_scan_t,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (store, options, out_scan) = unsafe {
        let all = kv_scan_options_t::all();
        let given = if options.is_null() { Ok(all) } else { input(options, all) };
        let options = given.and_then(|options| options.to_core());
        (store.as_ref(), options, Out::required(out_scan))
    };
    guard::call("kv_scan", store, |store| {
        let out_scan = out_scan?;
        let scan = store.scan(&options?)?;
        let scan = kv_scan_t { store: store.clone(), scan, shown: None };
        out_scan.put(Box::into_raw(Box::new(scan)));
        Ok(Status::Ok)
    })
}

/// Takes the next entry. The bytes that `*out_entry` points to are there until the next call on the
/// scan. The last answer is repeated from then on.
///
/// Answers KV_OK and the entry in `*out_entry`; KV_DONE after the last one; KV_CONFLICT once the
/// contents of the store were replaced by kv_restore, and with `point_in_time` also once the store was
/// cleared, or more has changed than `scan_buffer_bytes` keeps; KV_ERR_INVALID, KV_ERR_CLOSED,
/// KV_ERR_FORKED, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_scan_next(
    scan: *mut kv_scan_t,
    out_entry: *mut kv_entry_t,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h, and no other thread uses the scan.
    let (scan, out_entry) = unsafe { (scan.as_mut(), Output::required(out_entry)) };
    let Some(kv_scan_t { store, scan, shown }) = scan else { return Status::Invalid.code() };
    guard::call_on("kv_scan_next", store, |_| {
        let out_entry = out_entry?;
        *shown = scan.try_next()?;
        match shown {
            Some(entry) => {
                out_entry.put(kv_entry_t::of(entry));
                Ok(Status::Ok)
            }
            None => Ok(Status::Done),
        }
    })
}

/// Ends a scan and frees it. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_scan_free(scan: *mut kv_scan_t) {
    guard::or((), "kv_scan_free", || {
        if !scan.is_null() {
            // SAFETY: it came from `kv_scan`, and the caller gives it up here.
            let mut scan = unsafe { Box::from_raw(scan) };
            if scan.store.is_forked() {
                // Another thread may have been changing it.
                std::mem::forget(scan.shown.take());
            }
        }
    });
}
