//! Where the entries of one shard live: places of a few sizes, in spans of 16 KiB.
//!
//! Owns: which words of the shard's region are in use. Invariants: a span has places of one size; a
//! place stays where it is until it is freed; byte 0 of a place in use is not 0 once its entry is
//! written, and that of a free place is; what is charged is the places in use and nothing else; spans
//! without entries go back to the pool, for any size to use, and beyond a few of them to the system.
//!
//! Why sizes and spans, and not a log of entries that is compacted: entries are overwritten in any
//! order, and a place is free for the next one at once, without a pass over the log. What sizes leave
//! over when they shift is collected by moving the last entries out of the emptiest span
//! (`evacuate`). Places come from the fullest span that has one, so that others can run empty. This
//! is how Bonwick's slab allocator ("The Slab Allocator", USENIX 1994) and mimalloc's pages (Leijen,
//! Zorn, de Moura, 2019) work; lists by fullness follow Hoard (Berger et al., ASPLOS 2000).
//!
//! Free places are chained through the region, so a span has a record of 16 bytes and taking or
//! freeing a place touches that, the class and the place itself. Readers without a lock may look at a
//! place while it is freed or handed out again: the version of the entry's bucket tells them, and a
//! fence here sees to it that they see the version if they see the change.

mod classes;
mod evacuate;
mod spans;
#[cfg(all(test, not(kv_shuttle)))]
mod tests;

use std::sync::atomic::Ordering::{Relaxed, Release};

use crate::error::{Result, Status};
use crate::region::Region;
use crate::sync::atomic::{AtomicU32, fence};

use classes::{CLASSES, SHAPES, class_of};
pub(crate) use classes::{MAX_RUN, charge, same_place};
use evacuate::Drain;
use spans::{FULL, POOLED, RETURNED, SpanNumber, Spans, State};

/// Words to a span.
const SPAN: usize = 4096;

/// The most spans that ids reach.
const MAX_SPANS: SpanNumber = 1 << 20;

/// Levels of fullness to tell apart.
const LEVELS: usize = 8;

/// Spans without entries that stay in memory in any case.
const POOL: usize = 8;

/// One span in this many may be without entries and in memory.
const POOL_SHARE: usize = 32;

/// An empty slab gives everything back if it ever had more spans than this. Otherwise a store that
/// has one entry now and then would call the system each time.
const SMALL: SpanNumber = 2;

/// The bits of a place's first word that are not all 0 in a live entry.
const MARK: u32 = 0xff;

/// Names an entry within its shard: the number of the first word of its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct EntryId(u32);

impl EntryId {
    pub(crate) const fn new(number: u32) -> Self {
        EntryId(number)
    }

    /// 0 names no entry.
    pub(crate) const fn number(self) -> u32 {
        self.0
    }

    /// Where the place begins in the region.
    pub(crate) const fn word(self) -> usize {
        self.0 as usize
    }

    const fn span(self) -> SpanNumber {
        self.0 / SPAN as u32
    }

    const fn offset(self) -> usize {
        self.0 as usize % SPAN
    }
}

/// The spans of one size.
#[derive(Clone, Copy)]
struct Class {
    /// Spans that have a free place, by level.
    heads: [SpanNumber; LEVELS],
    /// A bit for each level that has a span.
    levels: u32,
    /// Spans, and places in use.
    spans: u32,
    used: u32,
}

impl Class {
    const EMPTY: Class = Class { heads: [0; LEVELS], levels: 0, spans: 0, used: 0 };

    /// A span with a free place, as full as any by its level.
    #[inline]
    fn fullest(&self) -> Option<SpanNumber> {
        let level = self.levels.checked_ilog2()?;
        Some(self.heads[level as usize % LEVELS])
    }

    /// Moves a span from the list of its state to that of its present fullness.
    #[inline]
    fn settle(&mut self, spans: &mut Spans, span: SpanNumber, state: State) {
        let before = spans.at(span).state;
        if before != state {
            self.unlist(spans, span, before);
            if usize::from(state) < LEVELS {
                spans.link(&mut self.heads[usize::from(state)], span, state);
                self.levels |= 1 << state;
            } else {
                spans.at_mut(span).state = state;
            }
        }
    }

    /// Takes a span out of the list of a level, if its state is one.
    #[inline]
    fn unlist(&mut self, spans: &mut Spans, span: SpanNumber, state: State) {
        if usize::from(state) < LEVELS {
            let head = &mut self.heads[usize::from(state)];
            spans.unlink(head, span);
            if *head == 0 {
                self.levels &= !(1 << state);
            }
        }
    }
}

/// The places of one shard: what the writer knows of them, beside the region that has them.
pub(crate) struct Slab {
    spans: Spans,
    /// `CLASSES` of them, or none before the first place is taken.
    classes: Vec<Class>,
    /// Spans without entries: those in memory, how many they are, and the others.
    pooled: SpanNumber,
    pooled_len: usize,
    returned: SpanNumber,
    /// Spans with a class, and the words of their places.
    spans_in_use: usize,
    words: usize,
    /// Places in use, and their words.
    len: usize,
    used_words: usize,
    drain: Drain,
}

impl Slab {
    /// A slab without places, which holds no memory.
    pub(crate) const fn new() -> Slab {
        Slab {
            spans: Spans::new(),
            classes: Vec::new(),
            pooled: 0,
            pooled_len: 0,
            returned: 0,
            spans_in_use: 0,
            words: 0,
            len: 0,
            used_words: 0,
            drain: Drain::NONE,
        }
    }

    /// Takes a place for a run of up to [`MAX_RUN`] bytes. Its first byte is 0, and the caller makes
    /// it another before it asks anything else of the slab.
    ///
    /// # Errors
    /// `NoMemory`: the system has none, or 16 GiB are in use. Nothing changed.
    #[inline]
    pub(crate) fn alloc(&mut self, region: &Region<AtomicU32>, bytes: usize) -> Result<EntryId> {
        let class = class_of(bytes);
        let shape = SHAPES[class];
        let span = match self.classes.get(class).and_then(Class::fullest) {
            Some(span) => span,
            None => self.open_span(region, class)?,
        };
        // Whoever reads what will be written here also sees that the last entry here was removed.
        fence(Release);
        let record = self.spans.at_mut(span);
        let place = if record.free == 0 {
            record.opened += 1;
            record.opened - 1
        } else {
            record.free - 1
        };
        let word = span as usize * SPAN + usize::from(place) * usize::from(shape.words);
        if record.free != 0 {
            record.free = region.get(word + 1).load(Relaxed) as u16;
        } else {
            region.get(word).store(0, Relaxed);
        }
        record.used += 1;
        let state = if record.used == shape.places { FULL } else { shape.level(record.used) };
        let class = &mut self.classes[class];
        class.used += 1;
        class.settle(&mut self.spans, span, state);
        self.len += 1;
        self.used_words += usize::from(shape.words);
        Ok(EntryId::new(word as u32))
    }

    /// Frees a place in use: its first word becomes 0, and the second one a link. Its entry must have
    /// been removed from the index, or its bucket be open.
    #[inline]
    pub(crate) fn free(&mut self, region: &Region<AtomicU32>, id: EntryId) {
        let span = id.span();
        let record = self.spans.at_mut(span);
        let (class, shape) = (usize::from(record.class), SHAPES[usize::from(record.class)]);
        let place = shape.place(id.offset());
        debug_assert!(record.used > 0 && record.state < POOLED, "{id:?} is not in use");
        debug_assert_eq!(place * usize::from(shape.words), id.offset(), "{id:?} is no place");
        // Whoever reads the mark of a free place also sees that the entry was removed.
        fence(Release);
        region.get(id.word()).store(0, Relaxed);
        region.get(id.word() + 1).store(u32::from(record.free), Relaxed);
        record.free = place as u16 + 1;
        record.used -= 1;
        let (used, before) = (record.used, record.state);
        self.len -= 1;
        self.used_words -= usize::from(shape.words);
        self.classes[class].used -= 1;
        self.drain.freed();
        if used == 0 {
            self.close_span(region, span);
        } else if before != spans::DRAINING {
            self.classes[class].settle(&mut self.spans, span, shape.level(used));
        }
    }

    /// Whether a live entry begins at this place. Any id may be asked for.
    #[inline]
    pub(crate) fn is_live(&self, region: &Region<AtomicU32>, id: EntryId) -> bool {
        let Some(span) = self.spans.get(id.span()) else { return false };
        let shape = SHAPES[usize::from(span.class)];
        let place = shape.place(id.offset());
        span.state < POOLED
            && place < usize::from(span.opened)
            && place * usize::from(shape.words) == id.offset()
            && region.get(id.word()).load(Relaxed) & MARK != 0
    }

    /// Places in use.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of the places in use: what is charged.
    pub(crate) fn bytes(&self) -> usize {
        self.used_words * 4
    }

    /// The most bytes that may be in memory, with what the slab itself needs.
    pub(crate) fn resident_bytes(&self, region: &Region<AtomicU32>) -> usize {
        // A huge page is in memory as a whole, with spans that were never opened.
        let unopened = region.resident_bytes().saturating_sub(self.spans.len() as usize * SPAN * 4);
        (self.spans_in_use + self.pooled_len) * SPAN * 4
            + unopened
            + self.spans.resident_bytes()
            + self.classes.capacity() * size_of::<Class>()
    }

    /// Frees all places at once and gives their memory back.
    pub(crate) fn clear(&mut self, region: &Region<AtomicU32>) {
        region.discard(0, self.spans.len() as usize * SPAN);
        *self = Slab::new();
    }

    /// Gives a class a span without entries.
    #[cold]
    fn open_span(&mut self, region: &Region<AtomicU32>, class: usize) -> Result<SpanNumber> {
        let fresh = self.spans.len();
        let span = [self.pooled, self.returned].into_iter().find(|span| *span != 0);
        let span = span.unwrap_or(fresh);
        if span >= MAX_SPANS {
            return Err(Status::NoMemory.into());
        }
        // Needed for one that was discarded too: the region's extent may have shrunk.
        region.reserve((span as usize + 1) * SPAN)?;
        if span == fresh {
            self.spans.push();
        } else if span == self.pooled {
            self.spans.unlink(&mut self.pooled, span);
            self.pooled_len -= 1;
        } else {
            self.spans.unlink(&mut self.returned, span);
        }
        if self.classes.is_empty() {
            self.classes = vec![Class::EMPTY; CLASSES];
        }
        let record = self.spans.at_mut(span);
        (record.used, record.free, record.opened) = (0, 0, 0);
        (record.class, record.state) = (class as u8, RETURNED);
        let shape = SHAPES[class];
        self.spans_in_use += 1;
        self.words += usize::from(shape.words) * usize::from(shape.places);
        self.classes[class].spans += 1;
        self.classes[class].settle(&mut self.spans, span, 0);
        Ok(span)
    }

    /// Puts a span without entries into the pool, and gives memory back if the pool has too much.
    #[cold]
    fn close_span(&mut self, region: &Region<AtomicU32>, span: SpanNumber) {
        let record = *self.spans.at(span);
        let class = &mut self.classes[usize::from(record.class)];
        class.unlist(&mut self.spans, span, record.state);
        class.spans -= 1;
        let shape = SHAPES[usize::from(record.class)];
        self.words -= usize::from(shape.words) * usize::from(shape.places);
        self.spans_in_use -= 1;
        self.drain.closed(span);
        if self.len == 0 && self.spans.len() > SMALL + 1 {
            self.clear(region);
            return;
        }
        self.spans.link(&mut self.pooled, span, POOLED);
        self.pooled_len += 1;
        // Twice, because the pool may get smaller with each span that comes.
        for _ in 0..2 {
            if self.pooled_len > POOL.max(self.spans_in_use / POOL_SHARE) {
                self.give_back(region, self.pooled);
            }
        }
    }

    /// Discards a pooled span and the pooled ones around it in its chunk: one call of the system for
    /// all of them, and none that cuts a huge page where it can go as a whole.
    fn give_back(&mut self, region: &Region<AtomicU32>, span: SpanNumber) {
        let chunk = (Region::<AtomicU32>::CHUNK_WORDS / SPAN) as u32;
        let pooled = |number: &SpanNumber| {
            self.spans.get(*number).is_some_and(|record| record.state == POOLED)
        };
        let first = span / chunk * chunk;
        let from = (first..span).rev().take_while(pooled).last().unwrap_or(span);
        let to = (span..first + chunk).take_while(pooled).last().unwrap_or(span);
        for number in from..=to {
            self.spans.unlink(&mut self.pooled, number);
            self.spans.link(&mut self.returned, number, RETURNED);
            self.pooled_len -= 1;
        }
        region.discard(from as usize * SPAN, (to as usize + 1) * SPAN);
    }
}
