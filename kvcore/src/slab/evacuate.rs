//! Which entries should move, so that their span becomes free.
//!
//! Owns: the span that is being drained, and when to choose one. Invariants: one span at a time; it
//! is chosen only if the other spans of its class have room for what is in it; a call does bounded
//! work. The slab only names the entries: the shard moves them, because it knows who points to them.
//!
//! Free places gather in the classes whose sizes went out of use. They are too many when they exceed
//! a twelfth of what is in use and a little; then the emptiest span of the class with the most of
//! them goes. A twelfth bounds the work as well: a span is on average at least a twelfth free when
//! it is chosen, in practice more than half.

use std::sync::atomic::Ordering::Relaxed;

use super::classes::SHAPES;
use super::spans::{DRAINING, SpanNumber};
use super::{EntryId, MARK, SPAN, Slab};
use crate::region::Region;
use crate::sync::atomic::AtomicU32;

/// Free words that are never too many.
const SLACK: usize = if cfg!(kv_shuttle) { 0 } else { (256 << 10) / 4 };

/// The share of the used words that free ones may be.
const SLACK_SHARE: usize = 12;

/// Frees between two looks for a span to drain, if the last one found none.
const PAUSE: u32 = 64;

/// Places that one call looks at.
const STEPS: usize = 32;

/// The span that is being drained.
pub(super) struct Drain {
    /// 0 for none.
    span: SpanNumber,
    /// The places before this one have been looked at.
    place: u16,
    /// Frees to wait for before the next look.
    pause: u32,
}

impl Drain {
    pub(super) const NONE: Drain = Drain { span: 0, place: 0, pause: 0 };

    #[inline]
    pub(super) fn freed(&mut self) {
        self.pause = self.pause.saturating_sub(1);
    }

    /// The span, or 0, for tests.
    #[cfg(all(test, not(kv_shuttle)))]
    pub(super) fn span(&self) -> SpanNumber {
        self.span
    }

    pub(super) fn closed(&mut self, span: SpanNumber) {
        if self.span == span {
            *self = Drain::NONE;
        }
    }
}

impl Slab {
    /// A live entry that should move to another place of its size, if free places are too many. The
    /// next call names another one, whether this one was moved or not.
    #[inline]
    pub(crate) fn draining_next(&mut self, region: &Region<AtomicU32>) -> Option<EntryId> {
        if self.drain.span == 0 {
            let free = self.words - self.used_words;
            if free <= self.used_words / SLACK_SHARE + SLACK || self.drain.pause > 0 {
                return None;
            }
            self.start_drain();
        }
        self.next_in_drain(region)
    }

    /// Whether a span is being drained.
    pub(crate) fn is_draining(&self) -> bool {
        self.drain.span != 0
    }

    /// Chooses a span to drain if that is worth it.
    #[cold]
    fn start_drain(&mut self) {
        let (mut best, mut most) = (0, 0);
        for (number, (class, shape)) in self.classes.iter().zip(&SHAPES).enumerate() {
            let places = class.spans as usize * usize::from(shape.places);
            let free = places - class.used as usize;
            // Without one span the others must still have a place for each entry.
            if free >= usize::from(shape.places) && free * usize::from(shape.words) > most {
                (best, most) = (number, free * usize::from(shape.words));
            }
        }
        let class = &mut self.classes[best];
        let emptiest = class.heads.iter().copied().find(|head| *head != 0);
        let (Some(span), true) = (emptiest, most > 0) else {
            self.drain.pause = PAUSE;
            return;
        };
        class.settle(&mut self.spans, span, DRAINING);
        self.drain = Drain { span, place: 0, pause: 0 };
    }

    /// The next live entry of the span that is being drained.
    #[cold]
    fn next_in_drain(&mut self, region: &Region<AtomicU32>) -> Option<EntryId> {
        let Drain { span, place: from, .. } = self.drain;
        if span == 0 {
            return None;
        }
        let record = *self.spans.at(span);
        let shape = SHAPES[usize::from(record.class)];
        let to = usize::from(record.opened).min(usize::from(from) + STEPS);
        for place in usize::from(from)..to {
            let word = span as usize * SPAN + place * usize::from(shape.words);
            if region.get(word).load(Relaxed) & MARK != 0 {
                self.drain.place = place as u16 + 1;
                return Some(EntryId::new(word as u32));
            }
        }
        self.drain.place = to as u16;
        if to == usize::from(record.opened) {
            // The shard left something where it is: places are handed out here again.
            let class = &mut self.classes[usize::from(record.class)];
            class.settle(&mut self.spans, span, shape.level(record.used));
            self.drain = Drain { pause: PAUSE, ..Drain::NONE };
        }
        None
    }
}
