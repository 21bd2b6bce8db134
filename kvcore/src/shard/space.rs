//! The part of a shard that readers reach without its lock.
//!
//! Owns: the index and the words of the entries. All of it is atomics. Only the holder of the shard's
//! write lock changes it, but for the access bits in the index, which are hints. A reader copies an
//! entry word by word and then asks the index whether the bucket it came from has changed meanwhile
//! (Lameter, "Effective Synchronization on Linux/NUMA Systems", 2005, on sequence locks; Boehm, "Can
//! Seqlocks Get Along With Programming Language Memory Models?", 2012, on why the copies must be
//! atomic). So a hit on a small value writes nothing that another reader reads. After some tries, or
//! for a value too long to copy twice, the reader takes the lock.

use std::mem::MaybeUninit;

use crate::clock::Now;
use crate::entry::{Head, NEVER};
use crate::hash::Key;
use crate::planted::{Planted, is_planted};
use crate::policy::{Recency, Touch};
use crate::region::Region;
use crate::stats::HitCounter;
use crate::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use crate::table::{Candidate, Probe, Table};

/// The longest run that is read without the lock.
const PEEK_BYTES: usize = 640;
const PEEK_WORDS: usize = PEEK_BYTES / 4;

/// How often a reader tries before it takes the lock.
const TRIES: usize = 8;

/// Words to a cache line.
const LINE_WORDS: usize = 16;

/// What readers of one shard share.
pub(crate) struct Space {
    pub(crate) table: Table,
    pub(crate) words: Region<AtomicU32>,
    pub(crate) recency: Recency,
    /// How full the shard is, for the choice of a shard to evict from.
    pub(crate) fill: AtomicUsize,
    touch: Touch,
}

/// What a reader found without the lock.
pub(crate) enum Peek<R> {
    Found(R),
    Absent,
    /// Only the lock can tell.
    Unknown,
    /// The entry is there, and this read is one that its hit counter counts, which takes the lock.
    Counts,
}

impl Space {
    pub(crate) fn new(touch: Touch) -> Self {
        Space {
            table: Table::new(),
            words: Region::new(),
            recency: Recency::new(),
            fill: AtomicUsize::new(0),
            touch,
        }
    }

    /// Reads the entry of a key, with a probe that was begun before if there is one. `hit` is whether
    /// that counts as a use of it. `read` is called once at most, with bytes that were the entry's at
    /// one moment of this call.
    #[inline(always)]
    pub(crate) fn peek<R>(
        &self,
        key: Key<'_>,
        begun: Option<Probe<'_>>,
        now: &Now<'_>,
        hit: bool,
        read: impl FnOnce(&Head, &[u8]) -> R,
    ) -> Peek<R> {
        // Nearly always the first look tells, and nearly always at the first candidate. That way has
        // neither a loop nor a call.
        if let Some(probe) = begun.or_else(|| self.table.probe(key.index_hash()))
            && let Some(candidate) = probe.first()
        {
            let place = self.words.run(candidate.id().word(), PEEK_WORDS);
            if let Some(head) = Head::of(place)
                && head.run_len() <= PEEK_BYTES
                && head.has_key(place, key.bytes)
            {
                let mut copy = [const { MaybeUninit::uninit() }; PEEK_WORDS];
                let run = head.copy_run(place, &mut copy);
                let late = self.is_late(&head, now);
                if probe.still_holds() {
                    if self.is_late_planted(late, &head, now) {
                        return Peek::Absent;
                    }
                    if hit && let Some(unread) = self.used(&candidate, &head) {
                        return unread;
                    }
                    let value = run.get(head.value_range()).unwrap_or_default();
                    return Peek::Found(read(&head, value));
                }
            }
        }
        self.peek_on(key, now, hit, read)
    }

    /// As [`peek`](Space::peek), for what is rare: no entry, a second candidate, a change meanwhile.
    #[inline(never)]
    fn peek_on<R>(
        &self,
        key: Key<'_>,
        now: &Now<'_>,
        hit: bool,
        read: impl FnOnce(&Head, &[u8]) -> R,
    ) -> Peek<R> {
        for _ in 0..TRIES {
            let Some(probe) = self.table.probe(key.index_hash()) else {
                std::hint::spin_loop();
                continue;
            };
            let mut copy = [const { MaybeUninit::uninit() }; PEEK_WORDS];
            let mut changed = false;
            for candidate in probe.candidates() {
                let place = self.words.run(candidate.id().word(), PEEK_WORDS);
                let Some(head) = Head::of(place) else { continue };
                if head.is_large() || head.run_len() > PEEK_BYTES {
                    return Peek::Unknown;
                }
                if !head.has_key(place, key.bytes) {
                    continue;
                }
                let run = head.copy_run(place, &mut copy);
                let late = self.is_late(&head, now);
                if !probe.still_holds() {
                    changed = true;
                    break;
                }
                if self.is_late_planted(late, &head, now) {
                    return Peek::Absent;
                }
                if hit && let Some(unread) = self.used(&candidate, &head) {
                    return unread;
                }
                return Peek::Found(read(&head, run.get(head.value_range()).unwrap_or_default()));
            }
            if !changed && probe.absent() {
                return Peek::Absent;
            }
        }
        Peek::Unknown
    }

    /// Whether a deadline has passed. To be asked before the probe is known to hold: then it passed
    /// while the entry had it.
    #[inline(always)]
    fn is_late(&self, head: &Head, now: &Now<'_>) -> bool {
        !is_planted(Planted::LateClock) && head.deadline != NEVER && head.deadline <= now.ms()
    }

    /// The same, with the mistake that tests plant: to read the clock too late.
    #[inline(always)]
    fn is_late_planted(&self, late: bool, head: &Head, now: &Now<'_>) -> bool {
        late || is_planted(Planted::LateClock)
            && head.deadline != NEVER
            && head.deadline <= now.ms()
    }

    /// Notes that an entry is used, or says that this takes the lock.
    #[inline(always)]
    fn used<R>(&self, candidate: &Candidate<'_>, head: &Head) -> Option<Peek<R>> {
        if let Some((_, hits)) = head.access()
            && HitCounter::next(hits) != hits
        {
            return Some(Peek::Counts);
        }
        if matches!(self.touch, Touch::None) {
            return None;
        }
        if self.is_stuck() {
            return Some(Peek::Unknown);
        }
        let access = candidate.access();
        let touched = self.touch.touched(access, &self.recency);
        if touched != access {
            candidate.set_access(touched);
        }
        None
    }

    /// Whether the policy must be given the lock before more uses can be told apart.
    #[inline]
    pub(crate) fn is_stuck(&self) -> bool {
        matches!(self.touch, Touch::Stamp) && self.recency.stuck()
    }

    /// What a use makes of access bits.
    #[inline]
    pub(super) fn touched(&self, access: u8) -> u8 {
        self.touch.touched(access, &self.recency)
    }

    /// Starts to bring the entries of a probe into the cache.
    #[inline]
    pub(crate) fn prefetch(&self, probe: &Probe<'_>) {
        probe.each_in_line(|id| {
            self.words.prefetch(id.word());
            self.words.prefetch(id.word() + LINE_WORDS);
        });
    }

    /// Says how full the shard is.
    #[inline]
    pub(super) fn publish_fill(&self, fill: usize) {
        self.fill.store(fill, Ordering::Relaxed);
    }
}
