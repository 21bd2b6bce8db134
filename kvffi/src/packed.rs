//! Calls on many keys, packed, in C: one crossing of the border for any number of keys.
//!
//! Owns `kv_span_t`, and the packed form: the bytes of many strings one after the other, and an
//! array of their lengths. Nothing in it points anywhere, so that languages which must not hand out
//! pointers to pointers (Go), or for which each pointer is work (ctypes), pass it as it is; and no
//! handle per value comes back. Values are told by offset and length, not by length alone, so that
//! the core may read in the order that suits its memory.

use std::ffi::c_void;
use std::mem::MaybeUninit;

use kvcore::{Expiry, Status, ValueSink};

use crate::arguments::{Out, Packing, Spans, packed};
use crate::error::{Failure, kv_error_t};
use crate::guard;
use crate::status::kv_status_t;
use crate::store::kv_store_t;

/// In `len`: the key is absent. In `offset`: no bytes of it are in the buffer. (In kv.h it is
/// written by hand: cbindgen has no word for it.)
pub const KV_SPAN_NONE: usize = usize::MAX;

/// Where one value lies in the buffer of kv_get_packed. `offset` and `len` are both KV_SPAN_NONE
/// where the key is absent. `offset` alone is KV_SPAN_NONE where the value did not fit: `len` is
/// its length then. An empty value has `len` 0 and an `offset` within the buffer. Threads: plain
/// data of the caller's.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct kv_span_t {
    /// where it begins, counted from the start of the buffer
    pub offset: usize,
    /// how many bytes it has
    pub len: usize,
}

impl kv_span_t {
    /// What an absent key has.
    pub(crate) const ABSENT: kv_span_t = kv_span_t { offset: KV_SPAN_NONE, len: KV_SPAN_NONE };
}

/// Where the engine puts the values of kv_get_packed.
struct PackedValues {
    buffer: Packing,
    spans: Spans,
}

impl ValueSink for PackedValues {
    #[inline]
    fn room(&mut self, _: usize, len: usize) -> Option<&mut [MaybeUninit<u8>]> {
        self.buffer.room(len)
    }

    #[inline]
    fn found(&mut self, number: usize, len: usize) {
        self.spans.put(number, self.buffer.found(len));
    }

    /// Spans say so from the beginning.
    #[inline]
    fn absent(&mut self, _: usize) {}
}

/// Copies the values of `count` keys into one buffer. `out_spans`, with room for `count`, tells in
/// the order of the keys where each value is; between values and behind the last one any byte of the
/// buffer may change, and their order in it need not be that of the keys. Each key is read on its own: this is no snapshot. A key
/// that comes twice gets two copies.
///
/// Only whole values are copied. If they do not all fit, the answer is KV_SHORT_BUFFER, `*out_len`
/// is what all of them need together, and the spans hold: values that found room are in the
/// buffer, the others tell their length. Call again with more room for all, or for the others; a
/// value may have grown meanwhile.
///
/// Answers KV_OK and the bytes used in `*out_len`, also if no key is there; KV_SHORT_BUFFER, see
/// above. On an error all spans are KV_SPAN_NONE, and the buffer may have been written to:
/// KV_ERR_INVALID, KV_ERR_TOO_LARGE (a key; nothing was read), KV_ERR_NO_MEMORY, KV_ERR_CLOSED,
/// KV_ERR_FORKED, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_get_packed(
    store: *mut kv_store_t,
    keys: *const c_void,
    key_lens: *const usize,
    count: usize,
    buffer: *mut c_void,
    capacity: usize,
    out_spans: *mut kv_span_t,
    out_len: *mut usize,
    err: *mut *mut kv_error_t,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (store, buffer, spans, out_len, err) = unsafe {
        (
            store.as_ref(),
            Packing::new(buffer, capacity),
            Spans::cleared(out_spans, count),
            Out::required(out_len),
            Out::optional(err),
        )
    };
    guard::call_explained("kv_get_packed", store, err, move |store| {
        // SAFETY: as above.
        let keys = unsafe { packed("key", keys, key_lens, count) }?;
        let out_len = out_len?;
        let mut values = PackedValues { buffer: buffer?, spans: spans? };
        store.get_many_to(&keys, &mut values)?;
        let PackedValues { buffer, mut spans } = values;
        spans.keep();
        out_len.put(buffer.needed());
        Ok(if buffer.is_short() { Status::ShortBuffer } else { Status::Ok })
    })
}

/// Stores `count` values under as many keys, all with one `ttl_ms` as for kv_set. All are stored or
/// none, in one step: no other call sees some of them. Of a key that comes twice the last value
/// stays. With `count` 0 only `ttl_ms` is checked.
///
/// Answers KV_OK; on an error nothing changed: KV_ERR_INVALID, KV_ERR_TOO_LARGE (a key or a value),
/// KV_ERR_FULL (there is not room for all), KV_ERR_NO_MEMORY, KV_ERR_CLOSED, KV_ERR_POISONED,
/// KV_ERR_FORKED, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_set_packed(
    store: *mut kv_store_t,
    keys: *const c_void,
    key_lens: *const usize,
    values: *const c_void,
    value_lens: *const usize,
    count: usize,
    ttl_ms: i64,
    err: *mut *mut kv_error_t,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (store, err) = unsafe { (store.as_ref(), Out::optional(err)) };
    guard::call_explained("kv_set_packed", store, err, |store| {
        // SAFETY: as above.
        let (keys, values) = unsafe {
            (packed("key", keys, key_lens, count)?, packed("value", values, value_lens, count)?)
        };
        let mut items = Vec::new();
        items.try_reserve_exact(count).map_err(|_| Failure::from(Status::NoMemory))?;
        items.extend(keys.into_iter().zip(values));
        store.set_many(&items, Expiry::from_ttl_ms(ttl_ms)?)?;
        Ok(Status::Ok)
    })
}

/// Deletes `count` keys, each on its own and in any order. `out_count` may be NULL.
///
/// Answers KV_OK and how many keys were there in `*out_count`, also if none was (a key that comes
/// twice counts once); KV_ERR_INVALID, KV_ERR_TOO_LARGE (a key) and KV_ERR_NO_MEMORY: nothing was
/// deleted; KV_ERR_CLOSED, KV_ERR_POISONED, KV_ERR_FORKED, KV_ERR_PANIC: some may have been, if the
/// store was shut down or failed meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_del_packed(
    store: *mut kv_store_t,
    keys: *const c_void,
    key_lens: *const usize,
    count: usize,
    out_count: *mut u64,
    err: *mut *mut kv_error_t,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (store, out_count, err) =
        unsafe { (store.as_ref(), Out::optional(out_count), Out::optional(err)) };
    guard::call_explained("kv_del_packed", store, err, |store| {
        // SAFETY: as above.
        let keys = unsafe { packed("key", keys, key_lens, count) }?;
        out_count.put(store.del_many(&keys)?);
        Ok(Status::Ok)
    })
}
