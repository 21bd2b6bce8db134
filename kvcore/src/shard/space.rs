//! The part of a shard that readers reach without its lock.
//!
//! Owns: the index and the words of the entries. All of it is atomics. Only the holder of the shard's
//! write lock changes it, but for the access bits in the index, which are hints. A reader loads an
//! entry as relaxed atomics and then asks the index whether the bucket it came from has changed meanwhile
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
use crate::slab::EntryId;
use crate::stats::HitCounter;
use crate::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use crate::table::{Candidate, Probe, Table};
use crate::words::Holds;
use crate::{region, words};

use super::Reader;

/// The longest run that is read without the lock.
const PEEK_BYTES: usize = 640;
const PEEK_WORDS: usize = PEEK_BYTES / 4;

/// How often a reader tries before it takes the lock.
const TRIES: usize = 8;

/// Words to a cache line.
const LINE_WORDS: usize = 16;

/// Lines of an entry that are fetched before its length is known.
const PREFETCHED_LINES: usize = 2;

/// Lines of an entry behind its first one that are fetched before its length is known, where one entry is
/// read: a value of 100 bytes ends in one of them.
const LINES_BEHIND: usize = 2;

/// Starts to bring the lines behind the first one of an entry into the cache, before its head is here and
/// tells where the value is: the two would be waited for one after the other.
#[inline(always)]
pub(super) fn prefetch_behind(place: &[AtomicU32]) {
    for line in 1..=LINES_BEHIND {
        region::prefetch(place.as_ptr().wrapping_add(line * LINE_WORDS).cast());
    }
}

/// What readers of one shard share.
pub(crate) struct Space {
    pub(crate) table: Table,
    pub(crate) words: Region<AtomicU32>,
    pub(crate) recency: Recency,
    /// How full the shard is, for the choice of a shard to evict from.
    pub(crate) fill: AtomicUsize,
    touch: Touch,
}

/// An entry that has the key a reader looks for, while others may be changing it.
pub(crate) struct Sight<'a> {
    probe: Probe<'a>,
    head: Head,
    place: &'a [AtomicU32],
    late: bool,
    now: &'a Now<'a>,
}

impl Sight<'_> {
    /// Loads the value, and shows it if it may be shown.
    #[inline(always)]
    pub(crate) fn show<R>(&self, read: impl FnOnce(&Head, &[u8], &Now<'_>) -> R) -> Option<R> {
        let mut copy = [const { MaybeUninit::uninit() }; PEEK_WORDS];
        let value = self.head.load_value(self.place, &mut copy)?;
        self.holds().then(|| read(&self.head, value, self.now))
    }

    /// Copies the value to the front of a buffer, and says how long it is, if it is short, fits and may
    /// be shown. Otherwise nothing is written.
    #[inline(always)]
    pub(crate) fn copy_short(&self, buffer: &mut [u8]) -> Option<usize> {
        let value = self.head.value_range();
        let len = value.len();
        words::move_if(self.place, value.start, len, buffer, self).then_some(len)
    }

    /// How long the value is, if all of it is at hand.
    #[inline(always)]
    pub(crate) fn near_value_len(&self) -> Option<usize> {
        let value = self.head.value_range();
        (value.end <= size_of_val(self.place)).then(|| value.len())
    }

    /// Copies the value of [`near_value_len`](Sight::near_value_len) to room of just this length. Whether it
    /// may be shown; if not, anything may have been written.
    #[inline(always)]
    pub(crate) fn copy_near(&self, room: &mut [MaybeUninit<u8>]) -> bool {
        let value = self.head.value_range();
        assert!(room.len() == value.len(), "room for another length");
        words::load_into(self.place, value.start, room) && self.holds()
    }

    /// Whether what was seen of the entry may be told.
    #[inline(always)]
    pub(crate) fn is_sure(&self) -> bool {
        self.holds()
    }

    /// Whether the value is one for [`copy_short`](Sight::copy_short).
    #[inline(always)]
    pub(crate) fn is_short(&self, capacity: usize) -> bool {
        self.head.value_range().len() <= capacity.min(words::MOVED)
    }
}

impl words::Holds for Sight<'_> {
    /// Whether what was loaded of the entry was there at one moment, at which it had not expired.
    #[inline(always)]
    fn holds(&self) -> bool {
        self.probe.still_holds() && !self.late
    }
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

    /// Reads the entry of a key. `hit` is whether that counts as a use of it. The reader is called once
    /// at most, with bytes that were the entry's at one moment of this call.
    #[inline(always)]
    pub(crate) fn peek<R>(
        &self,
        key: Key<'_>,
        now: &Now<'_>,
        hit: bool,
        reader: &mut impl Reader<R>,
    ) -> Peek<R> {
        match self.table.aim(key.index_hash()).probe() {
            Some(probe) => self.peek_probed(key, probe, now, hit, reader),
            None => self.peek_on(key.parts(), None, now, hit, reader),
        }
    }

    /// As [`peek`](Space::peek), with a probe that was begun before.
    #[inline(always)]
    pub(crate) fn peek_probed<R>(
        &self,
        key: Key<'_>,
        probe: Probe<'_>,
        now: &Now<'_>,
        hit: bool,
        reader: &mut impl Reader<R>,
    ) -> Peek<R> {
        // Nearly always the first look tells, and nearly always at the first candidate. That way has
        // neither a loop nor a call, and is short: the processor then begins with the next read of its
        // caller while this one still waits for memory.
        if let Some(candidate) = probe.first()
            && !(hit && self.is_stuck())
            // A wrong answer of this way is not believed, so that mistake is planted in the other one.
            && !is_planted(Planted::LateClock)
        {
            let place = self.words.run(candidate.id().word(), PEEK_WORDS);
            prefetch_behind(place);
            if let Some(head) = Head::near(place)
                && head.has_key(place, key.bytes)
            {
                let late = self.is_late(&head, now);
                let sight = Sight { probe, head, place, late, now };
                if let Some(read) = reader.peek(&sight) {
                    if hit && !matches!(self.touch, Touch::None) {
                        self.note_use(candidate);
                    }
                    return Peek::Found(read);
                }
            }
        }
        self.peek_on(key.parts(), Some(probe), now, hit, reader)
    }

    /// As [`peek`](Space::peek), for what is rarer: no entry, a second candidate, one in a node, a
    /// change meanwhile.
    #[inline(never)]
    pub(crate) fn peek_on<R>(
        &self,
        (key, hash): (&[u8], u64),
        mut begun: Option<Probe<'_>>,
        now: &Now<'_>,
        hit: bool,
        reader: &mut impl Reader<R>,
    ) -> Peek<R> {
        let key = Key::of_parts(key, hash);
        for _ in 0..TRIES {
            let Some(probe) = begun.take().or_else(|| self.table.probe(key.index_hash())) else {
                std::hint::spin_loop();
                continue;
            };
            let mut copy = [const { MaybeUninit::uninit() }; PEEK_WORDS];
            let mut changed = false;
            for candidate in probe.candidates() {
                let Some((head, value)) = self.copy(&candidate, key, &mut copy) else {
                    if self.needs_lock(&candidate) {
                        return Peek::Unknown;
                    }
                    continue;
                };
                let late = self.is_late(&head, now);
                if probe.still_holds() {
                    return self.show(&candidate, late, &head, value, now, hit, reader);
                }
                changed = true;
                break;
            }
            if !changed && probe.absent() {
                return Peek::Absent;
            }
        }
        Peek::Unknown
    }

    /// Copies the value of a candidate if it has this key, and is not too long.
    #[inline(always)]
    fn copy<'c>(
        &self,
        candidate: &Candidate<'_>,
        key: Key<'_>,
        copy: &'c mut [MaybeUninit<u32>],
    ) -> Option<(Head, &'c [u8])> {
        let place = self.words.run(candidate.id().word(), PEEK_WORDS);
        let head = Head::of(place)?;
        if !head.has_key(place, key.bytes) {
            return None;
        }
        Some((head, head.load_value(place, copy)?))
    }

    /// Whether only the lock can tell what a candidate has.
    fn needs_lock(&self, candidate: &Candidate<'_>) -> bool {
        let place = self.words.run(candidate.id().word(), PEEK_WORDS);
        Head::of(place).is_some_and(|head| head.is_large() || head.run_len() > PEEK_BYTES)
    }

    /// Shows an entry that was there while the probe held, unless its time was over.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "what was read of one entry")]
    fn show<R>(
        &self,
        candidate: &Candidate<'_>,
        late: bool,
        head: &Head,
        value: &[u8],
        now: &Now<'_>,
        hit: bool,
        reader: &mut impl Reader<R>,
    ) -> Peek<R> {
        if self.is_late_planted(late, head, now) {
            return Peek::Absent;
        }
        if hit && let Some(unread) = self.used(candidate, head) {
            return unread;
        }
        Peek::Found(reader.peeked(head, value, now))
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
        if self.is_stuck() {
            return Some(Peek::Unknown);
        }
        if !matches!(self.touch, Touch::None) {
            self.note_use(*candidate);
        }
        None
    }

    /// Notes a use in the access bits.
    #[inline(never)]
    fn note_use(&self, candidate: Candidate<'_>) {
        let access = candidate.access();
        let touched = self.touch.touched(access, &self.recency);
        if touched != access {
            candidate.set_access(touched);
        }
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

    /// Starts to bring the entries of a probe into the cache: those in the bucket's own line, or the
    /// node behind it if there is none. What the probe says is a hint here.
    #[inline(always)]
    pub(crate) fn prefetch(&self, probe: &Probe<'_>) {
        match probe.first() {
            Some(candidate) => self.prefetch_entry(candidate.id()),
            None => probe.prefetch_node(),
        }
    }

    /// After [`prefetch`](Space::prefetch), and a while later: starts to bring in what it was too early
    /// for, the rest of a longer entry and an entry in a node.
    #[inline(always)]
    pub(crate) fn prefetch_rest(&self, probe: &Probe<'_>) {
        let Some(candidate) = probe.first() else {
            return probe.candidates().for_each(|candidate| self.prefetch_entry(candidate.id()));
        };
        let word = candidate.id().word();
        let Some(head) = Head::of(self.words.run(word, PEEK_WORDS)) else { return };
        let last = word + (head.run_len().min(PEEK_BYTES) - 1) / size_of::<u32>();
        for line in word / LINE_WORDS + PREFETCHED_LINES..=last / LINE_WORDS {
            self.words.prefetch(line * LINE_WORDS);
        }
    }

    /// Starts to bring the first lines of an entry into the cache.
    #[inline(always)]
    fn prefetch_entry(&self, id: EntryId) {
        for line in 0..PREFETCHED_LINES {
            self.words.prefetch(id.word() + line * LINE_WORDS);
        }
    }

    /// Says how full the shard is.
    #[inline]
    pub(super) fn publish_fill(&self, fill: usize) {
        self.fill.store(fill, Ordering::Relaxed);
    }
}
