//! Watches in C. Owns `kv_watch_t`, and the structs of what a watch is asked and what it gives.

use std::ffi::{c_int, c_void};
use std::mem::size_of;
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kvcore::{Event, EventKinds, Status, WatchOptions, Watched};
use libkv::{Watch, WatchCancel};

use crate::arguments::{Out, bytes};
use crate::error::Failure;
use crate::guard;
use crate::many::kv_slice_t;
use crate::status::kv_status_t;
use crate::store::kv_store_t;
use crate::structs::{Growable, Output, input};
use crate::ttl::KV_TTL_NONE;

/// What is noted of a panic, whose own message went to the panic hook.
const PANICKED: &str = "kv_watch_next panicked; please report this, then reopen the store";

/// What kv_watch shows: changes that meet all of this. Threads: plain data of the caller's.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kv_watch_options_t {
    /// set by KV_WATCH_OPTIONS_INIT
    pub struct_size: usize,
    /// only keys that begin with this; with `exact`, this key
    pub key_or_prefix: kv_slice_t,
    /// from this revision on, itself included; 0: from now
    pub from_revision: u64,
    /// a sum of KV_CHANGE_ numbers; 0: all
    pub changes: u32,
    /// if not zero, one key and not a prefix
    pub exact: i32,
}

// SAFETY: repr(C), a slice of two words, a field of 8 bytes and two of 4 behind a usize of 8;
// tests/layout.rs proves it. Every pattern of bits is a pointer as long as nobody follows it.
unsafe impl Growable for kv_watch_options_t {
    const FIRST_SIZE: usize = size_of::<usize>() * 3 + 16;
}

impl kv_watch_options_t {
    /// Every change, from now on.
    fn all() -> kv_watch_options_t {
        kv_watch_options_t {
            struct_size: size_of::<kv_watch_options_t>(),
            key_or_prefix: kv_slice_t { data: ptr::null(), len: 0 },
            from_revision: 0,
            changes: 0,
            exact: 0,
        }
    }

    /// Copies what the options point to.
    ///
    /// # Safety
    /// The slice is as [`bytes`] takes it.
    unsafe fn to_core(self) -> Result<WatchOptions, Failure> {
        // SAFETY: passed on.
        let keys = unsafe { bytes(self.key_or_prefix.data, self.key_or_prefix.len) }?;
        let kinds = EventKinds::from_bits(self.changes)?;
        let options = match self.exact {
            0 => WatchOptions::prefix(keys),
            _ => WatchOptions::key(keys),
        };
        Ok(options.kinds(kinds).from_revision(self.from_revision))
    }
}

/// A change that a watch came to. Threads: plain data of the caller's; the bytes belong to the watch.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kv_event_t {
    /// set by KV_EVENT_INIT
    pub struct_size: usize,
    /// its key; never NULL, and empty with KV_CHANGE_CLEARED
    pub key: kv_slice_t,
    /// the value that was set; never NULL, and empty with other changes
    pub value: kv_slice_t,
    /// its revision; with KV_LAGGED: the one to resume at
    pub revision: u64,
    /// with KV_LAGGED: how many events were missed
    pub lagged: u64,
    /// Unix time of the deadline that was set; KV_TTL_NONE: never
    pub expire_at_ms: i64,
    /// one KV_CHANGE_ number; 0 with KV_LAGGED
    pub change: u32,
    /// zero
    pub reserved: u32,
}

// SAFETY: repr(C), two slices of two words each, three fields of 8 bytes and two of 4 behind a usize
// of 8; tests/layout.rs proves it.
unsafe impl Growable for kv_event_t {
    const FIRST_SIZE: usize = size_of::<usize>() * 5 + 32;
}

impl kv_event_t {
    /// Shows an event, which must outlive what is shown.
    fn of(event: &Event) -> kv_event_t {
        kv_event_t {
            struct_size: 0,
            key: slice(event.key()),
            value: slice(event.value().unwrap_or_default()),
            revision: event.revision(),
            lagged: 0,
            expire_at_ms: event.expire_at_ms().unwrap_or(KV_TTL_NONE),
            change: event.kind().bit(),
            reserved: 0,
        }
    }

    fn lagged(revision: u64, lagged: u64) -> kv_event_t {
        kv_event_t {
            struct_size: 0,
            key: slice(&[]),
            value: slice(&[]),
            revision,
            lagged,
            expire_at_ms: KV_TTL_NONE,
            change: 0,
            reserved: 0,
        }
    }
}

/// Bytes for C, which expects something to point to even where there is none.
fn slice(bytes: &[u8]) -> kv_slice_t {
    let data: *const c_void =
        if bytes.is_empty() { c"".as_ptr().cast() } else { bytes.as_ptr().cast() };
    kv_slice_t { data, len: bytes.len() }
}

/// A watch. Whoever began it frees it with kv_watch_free, before or after the store is closed. Threads:
/// belongs to one thread at a time, but for kv_watch_cancel.
pub struct kv_watch_t {
    /// A lock, so that a caller who breaks the rule of one thread waits and breaks nothing else.
    state: Mutex<State>,
    cancel: WatchCancel,
}

struct State {
    watch: Watch,
    /// What the caller was shown last.
    shown: Option<Event>,
}

impl kv_watch_t {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&mut self, timeout_ms: i64, out_event: Output<kv_event_t>) -> Result<Status, Failure> {
        let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
        Ok(match self.watch.next(timeout)? {
            Watched::Event(event) => {
                out_event.put(kv_event_t::of(self.shown.insert(event)));
                Status::Ok
            }
            Watched::Lagged { revision, missed } => {
                out_event.put(kv_event_t::lagged(revision, missed));
                Status::Lagged
            }
            Watched::TimedOut => Status::Timeout,
            Watched::Cancelled => Status::Done,
        })
    }
}

/// Watches changes in the order of their revisions; NULL `options` are KV_WATCH_OPTIONS_INIT, which is
/// every change from now on. The options and the bytes they point to are copied.
///
/// A watch misses nothing that it asked for unless kv_watch_next says so, and it never holds up a write:
/// up to `watch_buffer` events, and `watch_buffer_bytes` of them, wait for the slowest. With
/// `sync=always` a change is seen once it is on the disk. A batch is seen as a whole. Clearing the store
/// is one event, for every watch. A `from_revision` before what is in memory is read from the log, if
/// one is kept, which knows nothing of expiries (KV_LAGGED) and calls evictions deletions. One that is
/// no longer kept, or not there yet, is KV_LAGGED at once.
///
/// Answers KV_OK and the watch in `*out_watch`, for the caller to free with kv_watch_free;
/// KV_ERR_INVALID, KV_ERR_UNSUPPORTED, KV_ERR_TOO_LARGE (a key over its limit), KV_ERR_NO_MEMORY,
/// KV_ERR_IO and KV_ERR_CORRUPT (the log could not be read), KV_ERR_CLOSED, KV_ERR_FORKED, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_watch(
    store: *mut kv_store_t,
    options: *const kv_watch_options_t,
    out_watch: *mut *mut kv_watch_t,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (store, out_watch) = unsafe { (store.as_ref(), Out::required(out_watch)) };
    guard::call("kv_watch", store, |store| {
        let out_watch = out_watch?;
        let mut given = kv_watch_options_t::all();
        if !options.is_null() {
            // SAFETY: as above.
            given = unsafe { input(options, given) }?;
        }
        // SAFETY: as above; the slice is the caller's.
        let options = unsafe { given.to_core() }?;
        let watch = store.watch(&options)?;
        let cancel = watch.canceller();
        let state = Mutex::new(State { watch, shown: None });
        out_watch.put(Box::into_raw(Box::new(kv_watch_t { state, cancel })));
        Ok(Status::Ok)
    })
}

/// The next change, waiting for it up to `timeout_ms` milliseconds: 0 does not wait, a negative number
/// waits for ever. The bytes of the event are valid until the next call on the watch.
///
/// Answers KV_OK and the change in `*out_event`; KV_LAGGED with `revision` and `lagged` in `*out_event`
/// if events were missed, after which the watch goes on at that revision; KV_TIMEOUT; KV_DONE once the
/// watch was cancelled; KV_ERR_INVALID, KV_ERR_POISONED (all changes were seen and no more will come),
/// KV_ERR_IO and KV_ERR_CORRUPT (the log could not be read; the watch goes on with what is in memory),
/// KV_ERR_CLOSED, KV_ERR_FORKED, KV_ERR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_watch_next(
    watch: *mut kv_watch_t,
    timeout_ms: i64,
    out_event: *mut kv_event_t,
) -> kv_status_t {
    // SAFETY: the caller keeps the contract at the head of kv.h.
    let (watch, out_event) = unsafe { (watch.as_ref(), Output::required(out_event)) };
    let Some(watch) = watch else { return Status::Invalid.code() };
    let answered = guard::or(None, "kv_watch_next", || {
        if watch.cancel.is_forked() {
            // The lock may have been held by a thread that the child does not have.
            return Some(Status::Forked.code());
        }
        let next = out_event.and_then(|out_event| watch.state().next(timeout_ms, out_event));
        Some(next.unwrap_or_else(|failure| failure.status()).code())
    });
    answered.unwrap_or_else(|| {
        guard::or((), "poisoning", || watch.state().watch.poison(PANICKED));
        Status::Panic.code()
    })
}

/// A descriptor to wait for with poll or epoll: readable, level triggered, while kv_watch_next has
/// something to give. It is made by the first call, belongs to the watch and goes with it; do not read,
/// write or close it. -1 if there is none, also in the child of a fork.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_watch_fd(watch: *const kv_watch_t) -> c_int {
    // SAFETY: the caller passes NULL or a watch it has not freed.
    let watch = unsafe { watch.as_ref() };
    guard::or(-1, "kv_watch_fd", || {
        let watch = watch.filter(|watch| !watch.cancel.is_forked());
        watch.and_then(|watch| watch.state().watch.fd()).unwrap_or(-1)
    })
}

/// Ends a watch: kv_watch_next answers KV_DONE from now on, and wakes if it waits. From any thread, as
/// often as you like, as long as the watch was not freed. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_watch_cancel(watch: *mut kv_watch_t) {
    // SAFETY: the caller passes NULL or a watch it has not freed.
    let watch = unsafe { watch.as_ref() };
    guard::or((), "kv_watch_cancel", || {
        if let Some(watch) = watch {
            watch.cancel.cancel();
        }
    });
}

/// Frees a watch and what it last gave. No other call on it may be running. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kv_watch_free(watch: *mut kv_watch_t) {
    guard::or((), "kv_watch_free", || {
        if !watch.is_null() {
            // SAFETY: it came from `kv_watch`, and the caller gives it up here.
            let watch = unsafe { Box::from_raw(watch) };
            if watch.cancel.is_forked() {
                // Another thread may have been changing what it shows.
                std::mem::forget(watch);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use kvcore::EventKind;

    use crate::removals::*;

    #[test]
    fn the_numbers_of_changes_are_those_of_the_core() {
        let kinds = [
            (KV_CHANGE_SET, EventKind::Set),
            (KV_CHANGE_DELETED, EventKind::Deleted),
            (KV_CHANGE_EXPIRED, EventKind::Expired),
            (KV_CHANGE_EVICTED, EventKind::Evicted),
            (KV_CHANGE_CLEARED, EventKind::Cleared),
            (KV_CHANGE_TOUCHED, EventKind::Touched),
        ];
        assert_eq!(kinds.map(|(_, kind)| kind), EventKind::ALL);
        for (number, kind) in kinds {
            assert_eq!(number, kind.bit());
        }
    }
}
