//! The events of the last revisions, each in the slot of its revision.
//!
//! Owns: [`Ring`], the buffer that all watches of a store read. Invariants: the event of revision r is
//! in slot r modulo the number of slots or nowhere; a slot's revision never falls; below `floor`
//! nothing is told any more; the bytes of events are within the limit, but for one event that is
//! larger alone.
//!
//! Whoever puts revisions in order looks at slots far more often than anybody reads them, so whether a revision is
//! there is known without the lock of its slot.
//!
//! Why slots by revision and not a queue: threads publish in any order and without waiting for one
//! another. A thread that comes late finds its slot where it would have been all along.

use crate::error::{Error, Result, Status};
use crate::region;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering};

use super::event::{Body, Event};
use super::options::Filter;

/// Bytes of a cache line.
const LINE: usize = 64;

/// Whoever publishes a revision sends for the slot of the one so far ahead: about as many are published while memory
/// answers. It will mostly be the same processor that writes it, as there are fewer of them than threads.
const AHEAD: u64 = 8;

/// What one revision came to. In two cache lines of its own, because neighbours are written by threads that race, and
/// a processor fetches lines in pairs.
#[repr(align(64))]
struct Slot {
    /// The last revision that was published here; 0 before there was one. Written under the lock of the body.
    revision: AtomicU64,
    /// The last revision of its change, which is seen as a whole. Written before the revision.
    last: AtomicU64,
    /// None once it had to make room.
    body: Mutex<Option<Body>>,
}

impl Slot {
    fn new() -> Slot {
        Slot { revision: AtomicU64::new(0), last: AtomicU64::new(0), body: Mutex::new(None) }
    }

    /// The revision, for who holds the lock of the body.
    fn revision(&self, _body: &Option<Body>) -> u64 {
        self.revision.load(Ordering::Relaxed)
    }
}

/// What is known of a revision.
pub(super) enum Look {
    /// It has not been published.
    NotYet,
    /// It has, and its change ends with this revision; or it is too old for anybody to know.
    Published { last: u64 },
}

/// What a watch finds in the slot of its next revision.
pub(super) enum Read {
    /// An event that it asked for.
    Event(Event),
    /// One that it did not ask for.
    Other,
    /// The event is not kept any more.
    Gone,
}

/// The buffer.
pub(super) struct Ring {
    slots: Box<[Slot]>,
    floor: AtomicU64,
    /// Bytes of all events, and what of it are values shared with the store.
    bytes: AtomicU64,
    shared_bytes: AtomicU64,
    bytes_max: u64,
}

impl Ring {
    /// An empty ring for so many events, and for so many bytes of them.
    ///
    /// # Errors
    /// `NoMemory`.
    pub(super) fn new(capacity: usize, bytes_max: u64) -> Result<Ring> {
        let mut slots = Vec::new();
        slots.try_reserve_exact(capacity).map_err(|_| Error::from(Status::NoMemory))?;
        slots.resize_with(capacity, Slot::new);
        Ok(Ring {
            slots: slots.into_boxed_slice(),
            floor: AtomicU64::new(1),
            bytes: AtomicU64::new(0),
            shared_bytes: AtomicU64::new(0),
            bytes_max,
        })
    }

    /// Starts to bring the slot of a revision into the cache, which was last written a round ago.
    #[inline]
    fn prefetch(&self, revision: u64) {
        let slot = (&raw const *self.slot(revision)).cast::<u8>();
        for line in (0..size_of::<Slot>()).step_by(LINE) {
            region::prefetch(slot.wrapping_add(line));
        }
    }

    fn slot(&self, revision: u64) -> &Slot {
        let count = self.slots.len() as u64;
        // A division takes longer than all else here, and nearly every buffer has a power of two.
        let number =
            if count.is_power_of_two() { revision & (count - 1) } else { revision % count };
        &self.slots[number as usize]
    }

    /// The first revision that may still be told.
    pub(super) fn floor(&self) -> u64 {
        self.floor.load(Ordering::Acquire)
    }

    /// The first revision that is kept when `newest` is the last one that was taken.
    pub(super) fn oldest(&self, newest: u64) -> u64 {
        self.floor().max((newest + 1).saturating_sub(self.slots.len() as u64))
    }

    /// Tells nothing below this revision any more.
    pub(super) fn raise_floor(&self, revision: u64) {
        self.floor.fetch_max(revision, Ordering::AcqRel);
    }

    /// Puts an event in its slot, unless a later one is there already.
    pub(super) fn publish(&self, revision: u64, last: u64, body: Body) {
        self.prefetch(revision + AHEAD);
        let (own, shared) = (body.own_bytes(), body.shared_bytes());
        let before = {
            let slot = self.slot(revision);
            let mut kept = slot.body.lock();
            // Asked under the lock: who raises the floor takes it afterwards, and finds this event.
            if slot.revision(&kept) > revision || revision < self.floor() {
                return;
            }
            slot.last.store(last, Ordering::Relaxed);
            slot.revision.store(revision, Ordering::Release);
            kept.replace(body)
        };
        let (freed, unshared) =
            before.as_ref().map_or((0, 0), |body| (body.own_bytes(), body.shared_bytes()));
        // Events of one size follow each other, and all threads write these numbers.
        if own + shared != freed + unshared {
            self.bytes.fetch_add((own + shared).wrapping_sub(freed + unshared), Ordering::Relaxed);
        }
        if shared != unshared {
            self.shared_bytes.fetch_add(shared.wrapping_sub(unshared), Ordering::Relaxed);
        }
        if let Some(before) = before {
            before.recycle();
        }
    }

    /// Lets the oldest events go until the bytes are within their limit, but not the event of `newest`.
    #[inline]
    pub(super) fn trim(&self, newest: u64) {
        while self.bytes.load(Ordering::Relaxed) > self.bytes_max {
            let floor = self.oldest(newest);
            if floor >= newest {
                return;
            }
            self.raise_floor(floor + 1);
            self.forget(floor);
        }
    }

    /// Lets go of the event of a revision.
    fn forget(&self, revision: u64) {
        let body = {
            let slot = self.slot(revision);
            let mut kept = slot.body.lock();
            if slot.revision(&kept) > revision { None } else { kept.take() }
        };
        if let Some(body) = body {
            let (own, shared) = (body.own_bytes(), body.shared_bytes());
            self.bytes.fetch_sub(own + shared, Ordering::Relaxed);
            self.shared_bytes.fetch_sub(shared, Ordering::Relaxed);
        }
    }

    /// Lets go of all events.
    pub(super) fn clear(&self) {
        for slot in 0..self.slots.len() as u64 {
            self.forget(self.slot(slot).revision.load(Ordering::Relaxed));
        }
    }

    /// Whether a revision has been published.
    pub(super) fn look(&self, revision: u64) -> Look {
        let slot = self.slot(revision);
        let there = slot.revision.load(Ordering::Acquire);
        if there == revision {
            // Of this revision, or of a later one that is just being published here, which is a round ahead at least:
            // then this one is about to make room, and is the last that may be waited for.
            let last = slot.last.load(Ordering::Relaxed);
            let is_own = last - revision < self.slots.len() as u64;
            return Look::Published { last: if is_own { last } else { revision } };
        }
        if there > revision || revision < self.floor() {
            return Look::Published { last: revision };
        }
        Look::NotYet
    }

    /// Whether a watch should look at a published revision: because it asked for such an event, or
    /// because it has to learn that it missed one.
    pub(super) fn concerns(&self, revision: u64, filter: &Filter) -> bool {
        let slot = self.slot(revision);
        let kept = slot.body.lock();
        slot.revision(&kept) != revision || kept.as_ref().is_none_or(|body| filter.matches(body))
    }

    /// Reads a published revision for a watch.
    pub(super) fn read(&self, revision: u64, filter: &Filter) -> Read {
        let slot = self.slot(revision);
        let kept = slot.body.lock();
        if revision < self.floor() || slot.revision(&kept) != revision {
            return Read::Gone;
        }
        match &*kept {
            None => Read::Gone,
            Some(body) if filter.matches(body) => Read::Event(Event::new(revision, body.clone())),
            Some(_) => Read::Other,
        }
    }

    /// Bytes that the buffer holds beside the store.
    pub(super) fn pinned_bytes(&self) -> u64 {
        let own = self.bytes.load(Ordering::Relaxed);
        let shared = self.shared_bytes.load(Ordering::Relaxed);
        own.saturating_sub(shared) + (self.slots.len() * size_of::<Slot>()) as u64
    }
}
