//! Tells a callback of the caller which entries went, and why.
//!
//! Owns: the queue between the calls that remove and the one thread that calls the callback, and
//! that thread. Invariants: a callback runs with no lock held, after the change it tells of; the
//! queue holds at most `callback_buffer` removals and [`BYTES_MAX`] bytes, and what does not fit is
//! counted and not told; a writer never waits for a callback; without a callback there is neither
//! queue nor thread, and asking costs one look at a field.
//!
//! A thread of its own, and not the thread that made the change: a callback may take its time, may
//! call the store, may need a lock that the caller holds, or an interpreter's.

use std::collections::VecDeque;
use std::fmt;
use std::ops::BitOr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::thread::ThreadId;
use std::time::Duration;

use crate::error::{Error, Result, Status};
use crate::options::Options;
use crate::store::Store;
use crate::sync::{Condvar, Mutex, Thread, spawn};
use crate::value::Value;

/// Bytes of keys and values that wait for the callback at most, whatever `callback_buffer` allows.
/// A larger removal still fits into an empty queue.
const BYTES_MAX: usize = 64 << 20;

/// Removals that the queue keeps room for while it is empty.
const IDLE_CAPACITY: usize = 1024;

/// How long the dispatcher looks away before it looks again, and only then sleeps until it is woken:
/// waking it for each of many removals would cost their writers more than all the rest.
const NAP: Duration = Duration::from_millis(1);

/// Why an entry, or its value, went. The numbers are those of every change, on every surface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u32)]
pub enum Cause {
    /// A call removed it, or gave it a deadline that had passed.
    Deleted = 2,
    /// Its deadline came.
    Expired = 4,
    /// It made room for others.
    Evicted = 8,
    /// The whole store was cleared.
    Cleared = 16,
    /// A write put another value in its place: this is the value before.
    Replaced = 32,
}

impl Cause {
    /// Every cause, in the order of the numbers.
    pub const ALL: [Cause; 5] =
        [Cause::Deleted, Cause::Expired, Cause::Evicted, Cause::Cleared, Cause::Replaced];

    /// Its number, one bit.
    pub const fn bit(self) -> u32 {
        self as u32
    }

    /// Its name in lower case, such as `"evicted"`.
    pub const fn name(self) -> &'static str {
        match self {
            Cause::Deleted => "deleted",
            Cause::Expired => "expired",
            Cause::Evicted => "evicted",
            Cause::Cleared => "cleared",
            Cause::Replaced => "replaced",
        }
    }
}

/// A set of causes: `Cause::Evicted | Cause::Expired`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Causes(u32);

impl Causes {
    /// Every cause.
    pub const ALL: Causes = Causes(62);

    /// The set of these bits.
    ///
    /// # Errors
    /// `Invalid` if a bit is of no cause.
    pub fn from_bits(bits: u32) -> Result<Causes> {
        if bits & !Causes::ALL.0 == 0 {
            return Ok(Causes(bits));
        }
        Err(Error::new(
            Status::Invalid,
            format!(
                "{bits} has bits that are no cause of a removal: add up deleted (2), expired (4), \
                 evicted (8), cleared (16) and replaced (32)"
            ),
        ))
    }

    /// Whether a cause is in the set.
    #[inline]
    pub const fn contains(self, cause: Cause) -> bool {
        self.0 & cause.bit() != 0
    }
}

impl From<Cause> for Causes {
    fn from(cause: Cause) -> Causes {
        Causes(cause.bit())
    }
}

impl<T: Into<Causes>> BitOr<T> for Cause {
    type Output = Causes;

    fn bitor(self, other: T) -> Causes {
        Causes(self.bit() | other.into().0)
    }
}

impl<T: Into<Causes>> BitOr<T> for Causes {
    type Output = Causes;

    fn bitor(self, other: T) -> Causes {
        Causes(self.0 | other.into().0)
    }
}

/// What a callback is told: an entry as it was when it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Removal<'a> {
    /// Why it went.
    pub cause: Cause,
    /// Its key.
    pub key: &'a [u8],
    /// Its last value.
    pub value: &'a [u8],
}

type Callback = dyn Fn(Removal<'_>) + Send + Sync;

/// A callback as the options keep it, and for which causes it is called.
#[derive(Clone)]
pub(crate) struct Listener {
    causes: Causes,
    callback: Arc<Callback>,
}

impl Listener {
    pub(crate) fn new(
        causes: Causes,
        callback: impl Fn(Removal<'_>) + Send + Sync + 'static,
    ) -> Self {
        Listener { causes, callback: Arc::new(callback) }
    }
}

impl PartialEq for Listener {
    fn eq(&self, other: &Self) -> bool {
        self.causes == other.causes && Arc::ptr_eq(&self.callback, &other.callback)
    }
}

impl Eq for Listener {}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("causes", &self.causes).finish_non_exhaustive()
    }
}

/// A removal on its way to the callback.
pub(crate) struct Removed {
    cause: Cause,
    key_len: usize,
    /// The key, and behind it the value unless that is `large`.
    bytes: Box<[u8]>,
    /// A value that is shared with the store's readers instead of copied.
    large: Option<Value>,
}

impl Removed {
    /// A copy of an entry. `None` if there is no memory for one: count that with
    /// [`Removals::count_dropped`].
    pub(crate) fn copy(cause: Cause, key: &[u8], value: &[u8]) -> Option<Removed> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(key.len() + value.len()).ok()?;
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(value);
        let bytes = bytes.into_boxed_slice();
        Some(Removed { cause, key_len: key.len(), bytes, large: None })
    }

    /// As [`copy`](Removed::copy), with a value that the caller of the store may hold as well.
    pub(crate) fn share(cause: Cause, key: &[u8], value: Value) -> Option<Removed> {
        let key = Removed::copy(cause, key, b"")?;
        Some(Removed { large: Some(value), ..key })
    }

    fn tell(&self) -> Removal<'_> {
        let (key, rest) = self.bytes.split_at(self.key_len);
        let value = self.large.as_ref().map_or(rest, |value| value);
        Removal { cause: self.cause, key, value }
    }

    /// What it holds, with a value that others hold too.
    fn bytes(&self) -> usize {
        self.own_bytes() + self.large.as_ref().map_or(0, |value| value.len())
    }

    /// What it alone holds. A shared value is counted as pinned by itself.
    fn own_bytes(&self) -> usize {
        size_of::<Removed>() + self.bytes.len()
    }
}

/// The way from removals to the callback, or the absence of one.
pub(crate) struct Removals {
    causes: Causes,
    shared: Option<Arc<Shared>>,
    thread: Mutex<Option<Thread>>,
    dispatcher: OnceLock<ThreadId>,
}

/// What the calls share with the dispatcher thread, which may outlive the store by a callback.
struct Shared {
    callback: Arc<Callback>,
    capacity: usize,
    queue: Mutex<Queue>,
    bell: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Removed>,
    bytes: usize,
    own_bytes: usize,
    dropped: u64,
    /// The dispatcher looks at the queue only if it is woken.
    asleep: bool,
    /// The dispatcher tells what waits and ends; nothing is taken any more.
    stop: bool,
}

impl Removals {
    /// No thread runs until [`start`](Removals::start).
    pub(crate) fn new(options: &Options) -> Self {
        let listener = options.listener();
        let shared = listener.map(|listener| {
            Arc::new(Shared {
                callback: Arc::clone(&listener.callback),
                capacity: options.callback_buffer(),
                queue: Mutex::new(Queue::default()),
                bell: Condvar::new(),
            })
        });
        Removals {
            causes: listener.map_or(Causes(0), |listener| listener.causes),
            shared,
            thread: Mutex::new(None),
            dispatcher: OnceLock::new(),
        }
    }

    /// Starts the dispatcher, if there is a callback.
    ///
    /// # Errors
    /// `Io` if the system has no thread to give.
    pub(crate) fn start(&self) -> Result<()> {
        let Some(shared) = self.shared.clone() else { return Ok(()) };
        let thread = spawn("kv-callbacks", move || {
            while let Some(removed) = shared.next() {
                shared.tell(removed);
            }
        });
        let thread = thread.map_err(|error| {
            Error::from_os("the thread that calls the callback could not be started", &error)
        })?;
        let _ = self.dispatcher.set(thread.thread().id());
        *self.thread.lock() = Some(thread);
        Ok(())
    }

    /// Whether removals of this cause are to be told. Ask before copying anything.
    #[inline]
    pub(crate) fn wants(&self, cause: Cause) -> bool {
        self.causes.contains(cause)
    }

    /// Whether one more would be taken now: a hint, to copy nothing in vain when very many go.
    pub(crate) fn has_room(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.queue.lock().has_room(shared.capacity, 0))
    }

    /// Hands removals to the dispatcher, which tells them in this order; counts those as dropped for
    /// which there is no room. Never waits for a callback. Call it with no lock of a shard held.
    pub(crate) fn push_all(&self, all: impl IntoIterator<Item = Removed>) {
        let Some(shared) = &self.shared else { return };
        // What finds no room is freed once the lock is gone.
        let mut refused = Vec::new();
        let mut queue = shared.queue.lock();
        for removed in all {
            if let Err(removed) = queue.push(removed, shared.capacity) {
                refused.push(removed);
            }
        }
        let wake = queue.asleep || queue.waiting.len() >= shared.capacity / 2;
        drop(queue);
        if wake {
            shared.bell.notify_all();
        }
    }

    /// Counts removals that nobody could be told of.
    pub(crate) fn count_dropped(&self, count: u64) {
        if let Some(shared) = &self.shared {
            shared.queue.lock().dropped += count;
        }
    }

    /// Removals that were not told, because the queue was full or the store closed.
    pub(crate) fn dropped(&self) -> u64 {
        self.shared.as_ref().map_or(0, |shared| shared.queue.lock().dropped)
    }

    /// Bytes that the queue holds beside the store.
    pub(crate) fn pinned_bytes(&self) -> u64 {
        self.shared.as_ref().map_or(0, |shared| shared.queue.lock().own_bytes as u64)
    }

    /// Whether this is the thread that runs the callback.
    pub(crate) fn is_dispatcher(&self) -> bool {
        let dispatcher = self.dispatcher.get();
        dispatcher.is_some_and(|dispatcher| *dispatcher == std::thread::current().id())
    }

    /// Refuses what would wait for the callback that it is called from.
    ///
    /// # Errors
    /// `Invalid`.
    pub(crate) fn check_may_stop(&self) -> Result<()> {
        if !self.is_dispatcher() {
            return Ok(());
        }
        Err(Error::new(
            Status::Invalid,
            "a removal callback cannot close its own store, which waits for the callback: \
             close it from another thread",
        ))
    }

    /// Ends the dispatcher once it has told what waits, and waits for that. May be called from
    /// several threads, but not from the callback.
    pub(crate) fn stop(&self) {
        self.stop_soon();
        let mut thread = self.thread.lock();
        if let Some(thread) = thread.take() {
            // The dispatcher contains the panics of its callback.
            let _ = thread.join();
        }
    }

    /// As [`stop`](Removals::stop) without the waiting, which the callback may ask for too: the
    /// thread tells what waits, ends by itself, and drops the callback if it is the last to hold it.
    pub(crate) fn abandon(&self) {
        self.stop_soon();
        // Another thread may hold this lock while it waits for the dispatcher: this one.
        if !self.is_dispatcher() {
            drop(self.thread.lock().take());
        }
    }

    fn stop_soon(&self) {
        if let Some(shared) = &self.shared {
            shared.queue.lock().stop = true;
            shared.bell.notify_all();
        }
    }
}

impl Shared {
    /// The next removal to tell; `None` once the store is stopped and all are told.
    fn next(&self) -> Option<Removed> {
        let mut queue = self.queue.lock();
        loop {
            if let Some(removed) = queue.pop() {
                return Some(removed);
            }
            if queue.stop {
                return None;
            }
            self.bell.wait_for(&mut queue, NAP);
            if queue.waiting.is_empty() && !queue.stop {
                queue.shrink();
                queue.asleep = true;
                self.bell.wait(&mut queue);
                queue.asleep = false;
            }
        }
    }

    /// Calls the callback. A panic in it is its own: the panic hook has reported it already.
    fn tell(&self, removed: Removed) {
        let told = catch_unwind(AssertUnwindSafe(|| (self.callback)(removed.tell())));
        if let Err(payload) = told {
            // What a panic carries may panic again when it is dropped.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(payload)));
        }
    }
}

impl Queue {
    fn has_room(&self, capacity: usize, bytes: usize) -> bool {
        let within = self.bytes + bytes <= BYTES_MAX || self.waiting.is_empty();
        !self.stop && self.waiting.len() < capacity && within
    }

    fn push(&mut self, removed: Removed, capacity: usize) -> std::result::Result<(), Removed> {
        if !self.has_room(capacity, removed.bytes()) || self.waiting.try_reserve(1).is_err() {
            self.dropped += 1;
            return Err(removed);
        }
        self.bytes += removed.bytes();
        self.own_bytes += removed.own_bytes();
        self.waiting.push_back(removed);
        Ok(())
    }

    fn pop(&mut self) -> Option<Removed> {
        let removed = self.waiting.pop_front()?;
        self.bytes -= removed.bytes();
        self.own_bytes -= removed.own_bytes();
        Some(removed)
    }

    /// Gives back what a burst has left behind. The queue is empty.
    fn shrink(&mut self) {
        if self.waiting.capacity() > IDLE_CAPACITY {
            self.waiting = VecDeque::new();
        }
    }
}

impl Store {
    /// Whether this thread is just running the removal callback of this very store, which cannot
    /// be shut down from there.
    pub fn is_in_callback(&self) -> bool {
        self.core.context.removals.is_dispatcher()
    }
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Cause, key and value.
    type Told = (Cause, Vec<u8>, Vec<u8>);

    /// A callback that waits for a permit before each return, and what it was told.
    fn gated(options: Options) -> (Removals, Receiver<Told>, Sender<()>) {
        let (told, tells) = channel();
        let (permit, permits) = channel();
        let (told, permits) = (Mutex::new(told), Mutex::new(permits));
        let options = options.on_remove(Cause::Evicted | Cause::Deleted, move |removal| {
            let _ = told.lock().send((removal.cause, removal.key.to_vec(), removal.value.to_vec()));
            let _ = permits.lock().recv();
        });
        let removals = Removals::new(&options);
        removals.start().unwrap();
        (removals, tells, permit)
    }

    fn removed(key: &str) -> Removed {
        Removed::copy(Cause::Evicted, key.as_bytes(), b"value").unwrap()
    }

    #[test]
    fn without_a_callback_nothing_is_wanted() {
        let removals = Removals::new(&Options::new());
        removals.start().unwrap();
        assert!(Cause::ALL.iter().all(|cause| !removals.wants(*cause)));
        removals.push_all([removed("k")]);
        assert!(!removals.has_room() && !removals.is_dispatcher());
        assert_eq!((removals.dropped(), removals.pinned_bytes()), (0, 0));
        removals.stop();
        removals.abandon();
    }

    #[test]
    fn causes_are_bits() {
        assert_eq!(Cause::ALL.map(Cause::bit), [2, 4, 8, 16, 32]);
        let all = Cause::ALL.iter().fold(Causes(0), |set, cause| set | *cause);
        assert_eq!(all, Causes::ALL);
        assert_eq!(Causes::from_bits(10).unwrap(), Cause::Deleted | Cause::Evicted);
        for bits in [1, 64, 63, u32::MAX] {
            assert_eq!(Causes::from_bits(bits).unwrap_err().status(), Status::Invalid);
        }
    }

    #[test]
    fn told_in_order_and_drained_by_stop() {
        let (removals, tells, permit) = gated(Options::new());
        assert!(removals.wants(Cause::Deleted) && !removals.wants(Cause::Expired));
        removals.push_all(["a", "b"].map(removed));
        removals.push_all([removed("c")]);
        drop(permit);
        removals.stop();
        let keys: Vec<_> = tells.try_iter().map(|(_, key, _)| key).collect();
        assert_eq!(keys, [b"a", b"b", b"c"]);
        removals.push_all([removed("late")]);
        assert_eq!((removals.dropped(), removals.pinned_bytes()), (1, 0));
        assert_eq!(tells.try_iter().count(), 0);
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let (removals, tells, permit) = gated(Options::new().with("callback_buffer", "4").unwrap());
        removals.push_all([removed("told")]);
        let first = tells.recv().unwrap();
        assert_eq!(first, (Cause::Evicted, b"told".to_vec(), b"value".to_vec()));
        removals.push_all((0..10).map(|n| removed(&n.to_string())));
        assert_eq!(removals.dropped(), 6);
        assert!(!removals.has_room());
        assert!(removals.pinned_bytes() >= 4 * 6);
        removals.count_dropped(3);
        drop(permit);
        removals.stop();
        assert_eq!((removals.dropped(), removals.pinned_bytes()), (9, 0));
        let keys: Vec<_> = tells.try_iter().map(|(_, key, _)| key).collect();
        assert_eq!(keys, [b"0", b"1", b"2", b"3"]);
    }

    #[test]
    fn bytes_are_bounded_but_for_a_single_one() {
        let (removals, tells, permit) = gated(Options::new());
        removals.push_all([removed("told")]);
        tells.recv().unwrap();
        let huge = vec![7; BYTES_MAX];
        let large = |key: &str| Removed::copy(Cause::Deleted, key.as_bytes(), &huge).unwrap();
        removals.push_all([large("alone")]);
        removals.push_all([removed("behind it")]);
        assert_eq!(removals.dropped(), 1);
        drop(permit);
        removals.stop();
        let told: Vec<_> = tells.try_iter().map(|(_, key, value)| (key, value.len())).collect();
        assert_eq!(told, [(b"alone".to_vec(), BYTES_MAX)]);
    }

    #[test]
    fn a_panic_does_not_end_the_dispatcher() {
        let (told, tells) = channel();
        let told = Mutex::new(told);
        let options = Options::new().on_remove(Causes::ALL, move |removal| {
            let _ = told.lock().send(removal.key.to_vec());
            assert_ne!(removal.key, b"bad", "planted");
        });
        let removals = Removals::new(&options);
        removals.start().unwrap();
        removals.push_all(["good", "bad", "good"].map(removed));
        removals.stop();
        assert_eq!(tells.try_iter().collect::<Vec<_>>(), [&b"good"[..], b"bad", b"good"]);
    }

    #[test]
    fn the_callback_is_dropped_once_nobody_needs_it() {
        let held = Arc::new(());
        let watch = Arc::downgrade(&held);
        let options = Options::new().on_remove(Causes::ALL, move |_| {
            let _ = &held;
        });
        let removals = Removals::new(&options);
        removals.start().unwrap();
        removals.push_all([removed("k")]);
        drop(options);
        removals.stop();
        assert_eq!(watch.strong_count(), 1);
        drop(removals);
        assert_eq!(watch.strong_count(), 0);
    }
}
