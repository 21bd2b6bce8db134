//! From changes to watches: one order, made where nobody waits for it.
//!
//! Owns: [`Feed`], which is on while somebody watches, and its [`Stage`], where what was published in
//! any order becomes one order. Invariants: a revision is exposed when it and all before it are
//! published, and every change that began before it is published as a whole; a revision is exposed
//! once; a listener that waits is called for the first revision that concerns it, and for no other.
//!
//! Who publishes takes the stage only if it is free. Whoever has it looks, after letting go, whether
//! something was published meanwhile. There is a fence between publishing and the attempt to take the
//! stage, and one between letting go and the look: so the look finds what was published, or the attempt
//! finds the stage free. Nothing is left behind, and no writer waits for another one.

use std::sync::{Arc, OnceLock};

use crate::context::Context;
use crate::error::Result;
use crate::options::Options;
use crate::planted::{Planted, is_planted};
use crate::store::Core;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

use super::listener::Listener;
use super::ring::{Look, Ring};
use super::told::Told;

/// The way from changes to watches.
pub(crate) struct Feed {
    /// Whether changes are told. Read under the lock of a shard.
    on: AtomicBool,
    capacity: usize,
    bytes_max: u64,
    /// Made for the first watch.
    ring: OnceLock<Ring>,
    /// All revisions up to this one may be read.
    exposed: AtomicU64,
    stage: Mutex<Stage>,
    /// Held while a watch begins.
    joining: Mutex<()>,
}

/// What puts revisions in order.
struct Stage {
    /// All revisions up to this one are published.
    cursor: u64,
    /// The last revision of the changes that begin at or before the cursor.
    open_until: u64,
    /// The watches that have read everything, and the next revision of each.
    waiting: Vec<(Arc<Listener>, u64)>,
    /// How many watches there are.
    watches: usize,
    /// Once there is no watch, the buffer is kept until this revision, for one that comes back.
    kept_until: u64,
}

/// What came of an attempt to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// The listener will be called.
    Waiting,
    /// There is something to read.
    Behind,
    /// The store takes no more changes.
    Over,
}

impl Feed {
    pub(crate) fn new(options: &Options) -> Feed {
        Feed {
            on: AtomicBool::new(false),
            capacity: options.watch_buffer(),
            bytes_max: options.watch_buffer_bytes(),
            ring: OnceLock::new(),
            exposed: AtomicU64::new(0),
            stage: Mutex::new(Stage {
                cursor: 0,
                open_until: 0,
                waiting: Vec::new(),
                watches: 0,
                kept_until: 0,
            }),
            joining: Mutex::new(()),
        }
    }

    /// Whether a change is to be told. Asked under the lock of its shard: who turns this on goes
    /// through all of these locks afterwards, so a change is told from its first event on or not at all.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// Bytes that the buffer holds beside the store.
    pub(crate) fn pinned_bytes(&self) -> u64 {
        self.ring.get().map_or(0, Ring::pinned_bytes)
    }

    /// All revisions up to this one may be read.
    pub(super) fn exposed(&self) -> u64 {
        self.exposed.load(Ordering::Acquire)
    }

    pub(super) fn ring(&self) -> Option<&Ring> {
        self.ring.get()
    }

    /// Publishes what a change did. With no lock held, once it may be known.
    #[inline]
    pub(crate) fn publish(&self, told: Told) {
        if let (Some(ring), Some(last)) = (self.ring.get(), told.last()) {
            // The last event comes first: when the first one is there, the others are as well.
            for (revision, body) in told.backwards() {
                ring.publish(revision, last, body);
            }
            ring.trim(last);
            // With the fence behind letting go of the stage: see the top.
            fence(Ordering::SeqCst);
            self.advance(ring);
        }
    }

    /// Exposes what can be, unless somebody else is about to.
    fn advance(&self, ring: &Ring) {
        while let Some(mut stage) = self.stage.try_lock() {
            self.expose(ring, &mut stage);
            let next = stage.cursor + 1;
            drop(stage);
            // With the fence before the attempt to take the stage: see the top.
            fence(Ordering::SeqCst);
            if is_planted(Planted::NoSecondLook) || matches!(ring.look(next), Look::NotYet) {
                return;
            }
        }
    }

    /// Does something with the stage, and then what others left undone meanwhile.
    fn on_stage<R>(&self, act: impl FnOnce(&mut Stage) -> R) -> R {
        let done = act(&mut self.stage.lock());
        if let Some(ring) = self.ring.get() {
            self.advance(ring);
        }
        done
    }

    fn expose(&self, ring: &Ring, stage: &mut Stage) {
        let before = self.exposed();
        let mut exposed = before;
        loop {
            stage.cursor = stage.cursor.max(ring.floor() - 1);
            if stage.cursor >= stage.open_until || is_planted(Planted::NoWhole) {
                exposed = exposed.max(stage.cursor);
            }
            let Look::Published { last } = ring.look(stage.cursor + 1) else { break };
            stage.cursor += 1;
            stage.open_until = stage.open_until.max(last);
        }
        if exposed == before {
            return;
        }
        self.exposed.store(exposed, Ordering::Release);
        if !stage.waiting.is_empty() {
            stage.call(ring, before + 1, exposed);
        }
        if stage.watches == 0 && exposed >= stage.kept_until && self.is_on() {
            self.on.store(false, Ordering::Relaxed);
            ring.clear();
        }
    }

    /// Begins a watch. Returns the revision from which on it sees everything.
    ///
    /// # Errors
    /// `NoMemory`.
    pub(super) fn join(&self, core: &Core) -> Result<u64> {
        let _one_at_a_time = self.joining.lock();
        if self.ring.get().is_none() {
            let ring = Ring::new(self.capacity, self.bytes_max)?;
            let second = self.ring.set(ring).is_err();
            debug_assert!(!second, "only one watch begins at a time");
        }
        // From here on nobody turns it off.
        self.on_stage(|stage| stage.watches += 1);
        if self.is_on() {
            return Ok(core.context.revision() + 1);
        }
        self.on.store(true, Ordering::Relaxed);
        // Whatever takes a revision after this takes its lock after it, and knows that it is on.
        let shards = core.lock_all();
        let next = self.restart(&core.context);
        drop(shards);
        Ok(next)
    }

    /// Ends a watch.
    pub(super) fn leave(&self, listener: &Arc<Listener>) {
        self.on_stage(|stage| {
            stage.waiting.retain(|(waiting, _)| !Arc::ptr_eq(waiting, listener));
            stage.watches -= 1;
            stage.kept_until = stage.cursor.saturating_add(self.capacity as u64);
        });
    }

    /// Begins anew with the next revision. With all shards locked.
    fn restart(&self, context: &Context) -> u64 {
        let newest = context.revision();
        let Some(ring) = self.ring.get() else { return newest + 1 };
        ring.raise_floor(newest + 1);
        let mut stage = self.stage.lock();
        let seen = self.exposed();
        (stage.cursor, stage.open_until) = (newest, 0);
        self.exposed.store(newest, Ordering::Release);
        stage.call_all(seen);
        newest + 1
    }

    /// The contents were exchanged: whoever watches has missed something. With all shards locked.
    pub(crate) fn cut(&self, context: &Context) {
        // A revision of its own, so that also a watch that had seen everything has missed one.
        context.next_revision();
        self.restart(context);
    }

    /// Wakes all that wait: the store is closed, or poisoned.
    pub(crate) fn wake_all(&self) {
        if self.ring.get().is_some() {
            self.on_stage(|stage| stage.call_all(self.exposed()));
        }
    }

    /// Lets go of all events, once the store is closed.
    pub(crate) fn clear(&self) {
        self.on.store(false, Ordering::Relaxed);
        if let Some(ring) = self.ring.get() {
            ring.clear();
        }
    }

    /// Has a listener wait, if it has read everything before `next`. `over` says whether the store takes
    /// no more changes; who makes that so wakes all that wait afterwards.
    pub(super) fn rest(
        &self,
        listener: &Arc<Listener>,
        next: u64,
        over: impl FnOnce() -> bool,
    ) -> Rest {
        self.on_stage(|stage| {
            if self.exposed() >= next {
                Rest::Behind
            } else if over() {
                Rest::Over
            } else {
                listener.sit();
                stage.waiting.push((Arc::clone(listener), next));
                Rest::Waiting
            }
        })
    }
}

impl Stage {
    /// Calls those who wait and are concerned by one of these revisions.
    fn call(&mut self, ring: &Ring, from: u64, to: u64) {
        self.waiting.retain(|(listener, next)| {
            let mut revisions = from.max(*next)..=to;
            let first = revisions.find(|&revision| ring.concerns(revision, &listener.filter));
            first.inspect(|&revision| listener.call(revision)).is_none()
        });
    }

    /// Calls all that wait to go on behind this revision.
    fn call_all(&mut self, seen: u64) {
        for (listener, next) in self.waiting.drain(..) {
            listener.call(next.max(seen + 1));
        }
    }
}
