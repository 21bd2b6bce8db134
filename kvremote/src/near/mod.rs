//! The near cache: an embedded store in front of the servers, kept coherent by what they tell of changes.
//!
//! Owns: [`Near`]: the cached values, and what decides whether one may be kept and shown. `listen` has the
//! connections on which servers tell of changes. Invariants, by which no value is stale once a change has
//! been told:
//!
//! * **Generations.** Keys are in stripes by their slot, and each stripe has a generation. A fill notes it before it
//!   asks the server, and is dropped if it has moved. Every told change moves it and removes the key, under
//!   the stripe's lock, under which a fill looks and stores. So the answer to a question that was asked before
//!   a change never outlives the telling of that change.
//! * **Own writes** move the generation before sending and after the reply, without waiting to be told. So
//!   whoever has written reads what was written, or something newer.
//! * **Seals.** Each entry carries the seal of the server that vouches for it, a number never used before,
//!   given when the server's listener was confirmed. An entry is shown only while that is the server's seal.
//!   Breaking a seal empties a server's part of the cache at once, however large it is; while there is none
//!   nothing is shown and nothing is kept.
//! * **Deadlines** are the earlier of the entry's own, counted from before the question was sent so that no
//!   clock is compared with another machine's, and `near_max_ttl`.
//!
//! It knows keys as callers do, without the prefix, so that a hit copies no key; the slot is that of the whole
//! key and is given beside it.
//!
//! Why not a map from server to keys: emptying it would take as long as it is large, while callers wait.
//! Why not the client's own cache: it keeps what it was told to drop while it asked, and for ever.

#[cfg(test)]
mod interleavings;
pub(crate) mod listen;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use kvcore::sync::{Mutex, RwLock};
use kvcore::{Options, Result, SetOptions, Store, Value};

use crate::slot::SLOTS;

/// Locks, each with a generation.
const STRIPES: usize = 256;

/// Servers that may vouch at a time. A cluster has a thousand at most.
pub(crate) const PARTS: usize = 1024;

/// A slot that nobody vouches for.
const NO_PART: u16 = u16::MAX;

/// A server's seal while nothing of it may be shown.
const BROKEN: u64 = 0;

/// What stands before each value: its deadline on the server, and the seal.
const HEAD: usize = 16;

/// The deadline of an entry that has none.
const NEVER: i64 = i64::MAX;

/// What the near cache has done since the store was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NearStats {
    /// Reads that it answered.
    pub hits: u64,
    /// Values that it took in.
    pub fills: u64,
    /// Keys, or whole parts, that a server told to be changed.
    pub invalidations: u64,
    /// Values that were not taken in, because they may have changed since they were asked for.
    pub drops: u64,
    /// Times that a server's part was emptied: its listener was lost, its slots changed, or it was flushed.
    pub breaks: u64,
    /// Whether servers vouch for all slots at this moment. Where they do not, reads go to the servers.
    pub confirmed: bool,
    /// Entries in memory, those of emptied parts among them.
    pub entries: u64,
    /// Bytes that they take, at most the option `near`.
    pub memory_bytes: u64,
}

/// Numbers that only [`NearStats`] shows.
#[derive(Default)]
struct Counters {
    /// Hits of entries whose seal was broken, which the store counts as hits.
    unsealed: AtomicU64,
    fills: AtomicU64,
    invalidations: AtomicU64,
    drops: AtomicU64,
    breaks: AtomicU64,
}

/// The near cache of a handle.
pub(crate) struct Near {
    store: Store,
    max_ttl_ms: i64,
    stripes: Box<[CachePadded<Mutex<u64>>]>,
    /// The seal of each part, or [`BROKEN`].
    seals: Box<[AtomicU64]>,
    /// For the next seal.
    next_seal: AtomicU64,
    /// The part of each slot.
    parts: RwLock<Arc<[u16]>>,
    counters: Counters,
}

/// What a fill has to show: that nothing was told of the key since it was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket {
    stripe: usize,
    generation: u64,
    seal: u64,
    asked_at_ms: i64,
}

/// A value as a server told it.
pub(crate) struct Told<'a> {
    pub(crate) value: &'a [u8],
    /// Unix milliseconds by the server's clock.
    pub(crate) expire_at_ms: Option<i64>,
    /// Milliseconds that it had left.
    pub(crate) left_ms: Option<i64>,
}

/// A change of this handle under way. Dropping it, however the change went, moves the generations again.
pub(crate) struct Writing<'a> {
    near: Option<&'a Near>,
    keys: Vec<(u16, &'a [u8])>,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if let Some(near) = self.near {
            self.keys.iter().for_each(|(slot, key)| near.remove(*slot, key));
        }
    }
}

impl Near {
    /// An empty cache of so many bytes.
    ///
    /// # Errors
    /// `Io` if the system has no thread to give.
    pub(crate) fn new(bytes: u64, max_ttl_ms: i64) -> Result<Near> {
        let options = Options::new().with("max_memory", &bytes.to_string())?;
        let store = Store::memory(options.with("eviction", "s3fifo")?)?;
        Ok(Near::on(store, max_ttl_ms))
    }

    fn on(store: Store, max_ttl_ms: i64) -> Near {
        Near {
            store,
            max_ttl_ms,
            stripes: (0..STRIPES).map(|_| CachePadded::new(Mutex::new(0))).collect(),
            seals: (0..PARTS).map(|_| AtomicU64::new(BROKEN)).collect(),
            next_seal: AtomicU64::new(1),
            parts: RwLock::new(vec![NO_PART; SLOTS].into()),
            counters: Counters::default(),
        }
    }

    /// Shows a value and its deadline on the server, if the cache has it and a server vouches for it. `read` may
    /// run under a lock: it copies and returns.
    #[inline]
    pub(crate) fn get<R>(
        &self,
        key: &[u8],
        read: impl FnOnce(&[u8], Option<i64>) -> R,
    ) -> Option<R> {
        let found = self.store.get_with(key, |entry| {
            let (deadline, rest) = entry.split_first_chunk()?;
            let (seal, value) = rest.split_first_chunk()?;
            if !self.is_whole(u64::from_le_bytes(*seal)) {
                return None;
            }
            let deadline = i64::from_le_bytes(*deadline);
            Some(read(value, (deadline != NEVER).then_some(deadline)))
        });
        match found {
            Ok(Some(None)) => {
                self.counters.unsealed.fetch_add(1, Ordering::Relaxed);
                None
            }
            Ok(Some(shown)) => shown,
            // A store that is closed has nothing.
            Ok(None) | Err(_) => None,
        }
    }

    /// A value of the cache, to keep.
    #[inline]
    pub(crate) fn value(&self, key: &[u8]) -> Option<Value> {
        self.get(key, Value::remote)
    }

    /// Whether a seal is that of its part. Its low bits are the part's number.
    #[inline]
    fn is_whole(&self, seal: u64) -> bool {
        self.seals[seal as usize % PARTS].load(Ordering::Acquire) == seal
    }

    /// What to note before a server is asked for a key of this slot. `None` if the answer may not be kept.
    pub(crate) fn begin(&self, slot: u16) -> Option<Ticket> {
        let slot = usize::from(slot);
        // Until the seal is read the slot stays where it is: a part's next seal does not vouch for what left it.
        let parts = self.parts.read();
        let seal = self.seals.get(usize::from(parts[slot]))?.load(Ordering::Acquire);
        drop(parts);
        if seal == BROKEN {
            return None;
        }
        let stripe = slot % STRIPES;
        let generation = *self.stripes[stripe].lock();
        Some(Ticket { stripe, generation, seal, asked_at_ms: self.store.now_ms() })
    }

    /// Keeps what a server answered, unless it may have changed since it was asked for.
    pub(crate) fn fill(&self, ticket: Ticket, key: &[u8], told: &Told<'_>) {
        let left = told.left_ms.unwrap_or(i64::MAX).min(self.max_ttl_ms);
        let deadline = ticket.asked_at_ms.saturating_add(left);
        let mut entry = Vec::with_capacity(HEAD + told.value.len());
        entry.extend_from_slice(&told.expire_at_ms.unwrap_or(NEVER).to_le_bytes());
        entry.extend_from_slice(&ticket.seal.to_le_bytes());
        entry.extend_from_slice(told.value);
        let options = SetOptions::default().expire_at_ms(deadline);
        let generation = self.stripes[ticket.stripe].lock();
        let is_fresh = *generation == ticket.generation && self.is_whole(ticket.seal);
        // An entry that is larger than the cache is refused, which is no fault.
        let kept = is_fresh && self.store.set_with(key, &entry, &options).is_ok();
        drop(generation);
        let counter = if kept { &self.counters.fills } else { &self.counters.drops };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// A server told that a key has changed.
    pub(crate) fn invalidate(&self, slot: u16, key: &[u8]) {
        self.counters.invalidations.fetch_add(1, Ordering::Relaxed);
        self.remove(slot, key);
    }

    fn remove(&self, slot: u16, key: &[u8]) {
        let mut generation = self.stripes[usize::from(slot) % STRIPES].lock();
        *generation += 1;
        // A store that is closed has nothing to remove.
        let _ = self.store.del(key);
    }

    /// Begins changes of keys by this handle.
    pub(crate) fn writing<'a>(
        near: Option<&'a Near>,
        keys: impl IntoIterator<Item = (u16, &'a [u8])>,
    ) -> Writing<'a> {
        let keys = if near.is_some() { keys.into_iter().collect() } else { Vec::new() };
        let writing = Writing { near, keys };
        if let Some(near) = near {
            writing.keys.iter().for_each(|(slot, key)| near.remove(*slot, key));
        }
        writing
    }

    /// Says which part each slot belongs to, and empties the parts whose slots are others now. For `begin` both
    /// are one moment: what was asked for in the name of a part that lost the slot is not kept.
    pub(crate) fn assign(&self, part_of: impl Fn(u16) -> Option<u16>, changed: &[u16]) {
        let assigned = (0..SLOTS as u16).map(|slot| part_of(slot).unwrap_or(NO_PART)).collect();
        let mut parts = self.parts.write();
        *parts = assigned;
        changed.iter().for_each(|part| self.empty(*part));
    }

    /// The listener of a part is confirmed: its entries may be kept and shown from now on.
    pub(crate) fn seal(&self, part: u16) {
        let number = self.next_seal.fetch_add(1, Ordering::Relaxed);
        let seal = number * PARTS as u64 + u64::from(part);
        self.seals[usize::from(part)].store(seal, Ordering::Release);
    }

    /// Empties a part, and shows and keeps nothing of it until it is sealed again.
    pub(crate) fn break_seal(&self, part: u16) {
        if self.seals[usize::from(part)].swap(BROKEN, Ordering::AcqRel) != BROKEN {
            self.counters.breaks.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Empties a part whose listener is as it was.
    pub(crate) fn empty(&self, part: u16) {
        let seal = &self.seals[usize::from(part)];
        let before = seal.load(Ordering::Acquire);
        let number = self.next_seal.fetch_add(1, Ordering::Relaxed);
        let after = number * PARTS as u64 + u64::from(part);
        let is_emptied = before != BROKEN
            && seal.compare_exchange(before, after, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if is_emptied {
            self.counters.breaks.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Everything of every part, as after a `clear`.
    pub(crate) fn empty_all(&self) {
        (0..PARTS as u16).for_each(|part| self.empty(part));
    }

    /// Whether every slot's entries may be kept and shown.
    pub(crate) fn is_confirmed(&self) -> bool {
        let parts = Arc::clone(&self.parts.read());
        let mut last = None;
        parts.iter().all(|&part| {
            let known = last == Some(part);
            last = Some(part);
            let seal = self.seals.get(usize::from(part));
            known || seal.is_some_and(|seal| seal.load(Ordering::Acquire) != BROKEN)
        })
    }

    /// What it has done.
    pub(crate) fn stats(&self) -> NearStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let store = self.store.stats().unwrap_or_default();
        NearStats {
            hits: store.hits.saturating_sub(read(&self.counters.unsealed)),
            fills: read(&self.counters.fills),
            invalidations: read(&self.counters.invalidations),
            drops: read(&self.counters.drops),
            breaks: read(&self.counters.breaks),
            confirmed: self.is_confirmed(),
            entries: store.entries,
            memory_bytes: store.memory_bytes,
        }
    }

    /// Frees everything.
    pub(crate) fn shutdown(&self) {
        // It was closed already, or has crossed a fork: both are what was wanted.
        let _ = self.store.shutdown();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot;
    use kvcore::{Clock, ManualClock};

    fn near(max_ttl_ms: i64) -> (Near, ManualClock) {
        let (clock, hand) = Clock::manual(1_000_000);
        let near = Near::on(Store::with_clock(Options::new(), clock).unwrap(), max_ttl_ms);
        near.assign(|slot| Some(slot % 2), &[]);
        near.seal(0);
        near.seal(1);
        (near, hand)
    }

    fn told(value: &[u8], left_ms: Option<i64>) -> Told<'_> {
        Told { value, expire_at_ms: left_ms.map(|_| 77), left_ms }
    }

    fn shown(near: &Near, key: &[u8]) -> Option<(Vec<u8>, Option<i64>)> {
        near.get(key, |value, deadline| (value.to_vec(), deadline))
    }

    #[test]
    fn keeps_what_was_asked_for_and_not_told_since() {
        let (near, _) = near(60_000);
        let ticket = near.begin(slot::of(b"k")).unwrap();
        near.fill(ticket, b"k", &told(b"v", None));
        assert_eq!(shown(&near, b"k"), Some((b"v".to_vec(), None)));
        let late = near.begin(slot::of(b"k")).unwrap();
        near.invalidate(slot::of(b"k"), b"k");
        assert_eq!(shown(&near, b"k"), None);
        near.fill(late, b"k", &told(b"v", None));
        assert_eq!(shown(&near, b"k"), None);
        let stats = near.stats();
        assert_eq!((stats.hits, stats.fills, stats.invalidations, stats.drops), (1, 1, 1, 1));
    }

    #[test]
    fn deadlines_count_from_the_question() {
        let (near, hand) = near(5_000);
        let ticket = near.begin(slot::of(b"a")).unwrap();
        hand.advance_ms(300);
        near.fill(ticket, b"a", &told(b"v", Some(1_000)));
        assert_eq!(shown(&near, b"a"), Some((b"v".to_vec(), Some(77))));
        hand.advance_ms(699);
        assert!(shown(&near, b"a").is_some());
        hand.advance_ms(1);
        assert_eq!(shown(&near, b"a"), None);
        near.fill(near.begin(slot::of(b"b")).unwrap(), b"b", &told(b"v", None));
        hand.advance_ms(4_999);
        assert!(shown(&near, b"b").is_some());
        hand.advance_ms(1);
        assert_eq!(shown(&near, b"b"), None);
    }

    #[test]
    fn a_slot_that_moved_is_vouched_for_by_its_new_server_only() {
        let (near, _) = near(60_000);
        let slot = slot::of(b"k");
        let before = near.begin(slot).unwrap();
        near.assign(|slot| Some(1 - slot % 2), &[0, 1]);
        near.fill(before, b"k", &told(b"old", None));
        assert_eq!(shown(&near, b"k"), None);
        let after = near.begin(slot).unwrap();
        near.fill(after, b"k", &told(b"new", None));
        near.break_seal(slot % 2);
        assert_eq!(shown(&near, b"k"), Some((b"new".to_vec(), None)));
        near.break_seal(1 - slot % 2);
        assert_eq!(shown(&near, b"k"), None);
    }

    #[test]
    fn a_broken_seal_empties_one_part() {
        let (near, _) = near(60_000);
        let keys: Vec<Vec<u8>> = (0..20).map(|number| format!("k{number}").into_bytes()).collect();
        for key in &keys {
            near.fill(near.begin(slot::of(key)).unwrap(), key, &told(b"v", None));
        }
        let flying = keys.iter().find(|key| slot::of(key).is_multiple_of(2)).unwrap();
        let ticket = near.begin(slot::of(flying)).unwrap();
        near.break_seal(0);
        assert!(near.begin(slot::of(flying)).is_none() && !near.is_confirmed());
        near.seal(0);
        near.fill(ticket, flying, &told(b"v", None));
        for key in &keys {
            assert_eq!(shown(&near, key).is_some(), slot::of(key) % 2 == 1);
        }
        assert!(near.is_confirmed());
        near.empty_all();
        assert!(keys.iter().all(|key| shown(&near, key).is_none()));
        near.fill(near.begin(slot::of(flying)).unwrap(), flying, &told(b"v", None));
        assert!(shown(&near, flying).is_some());
    }
}
