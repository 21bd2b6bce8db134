//! What is known of each span, and the lists that spans are in.
//!
//! Owns: 16 bytes for each span that ever was. Invariants: a span is in one list at most, the one
//! that its state names; the records never move, so no growth copies them.

/// The number of a span in its region. Span 0 is never used, so 0 ends a list.
pub(super) type SpanNumber = u32;

/// What becomes of a span. A number under `LEVELS` is the level of fullness of a span from which
/// places are handed out.
pub(super) type State = u8;

/// All places are in use.
pub(super) const FULL: State = 0xf0;
/// Its entries are to move elsewhere. No place in it is handed out.
pub(super) const DRAINING: State = 0xf1;
/// Without entries, and still in memory.
pub(super) const POOLED: State = 0xf2;
/// Without entries, and its memory is given back, or was never touched.
pub(super) const RETURNED: State = 0xf3;

/// One span.
#[derive(Clone, Copy)]
pub(super) struct Span {
    before: SpanNumber,
    after: SpanNumber,
    /// Places in use.
    pub(super) used: u16,
    /// The place that was freed last, plus one, or 0.
    pub(super) free: u16,
    /// Places that were ever in use since the span has its class: the first ones.
    pub(super) opened: u16,
    pub(super) class: u8,
    pub(super) state: State,
}

impl Span {
    const UNUSED: Span =
        Span { before: 0, after: 0, used: 0, free: 0, opened: 0, class: 0, state: RETURNED };
}

/// Spans to a block of records.
const BLOCK: usize = 64;

/// The records of all spans.
pub(super) struct Spans {
    // A box each, so that growing copies pointers and never the records.
    #[allow(clippy::vec_box)]
    blocks: Vec<Box<[Span; BLOCK]>>,
    /// Spans that ever were, with span 0.
    len: SpanNumber,
}

impl Spans {
    pub(super) const fn new() -> Spans {
        Spans { blocks: Vec::new(), len: 1 }
    }

    /// The number that the next new span gets.
    pub(super) fn len(&self) -> SpanNumber {
        self.len
    }

    /// Adds one.
    pub(super) fn push(&mut self) {
        self.len += 1;
        if self.len as usize > self.blocks.len() * BLOCK {
            self.blocks.push(Box::new([Span::UNUSED; BLOCK]));
        }
    }

    #[inline]
    pub(super) fn get(&self, span: SpanNumber) -> Option<&Span> {
        let span = span as usize;
        self.blocks.get(span / BLOCK).map(|block| &block[span % BLOCK])
    }

    #[inline]
    pub(super) fn at(&self, span: SpanNumber) -> &Span {
        let span = span as usize;
        &self.blocks[span / BLOCK][span % BLOCK]
    }

    #[inline]
    pub(super) fn at_mut(&mut self, span: SpanNumber) -> &mut Span {
        let span = span as usize;
        &mut self.blocks[span / BLOCK][span % BLOCK]
    }

    /// Puts a span that is in no list at the head of one.
    #[inline]
    pub(super) fn link(&mut self, head: &mut SpanNumber, span: SpanNumber, state: State) {
        let after = std::mem::replace(head, span);
        if after != 0 {
            self.at_mut(after).before = span;
        }
        let linked = self.at_mut(span);
        (linked.before, linked.after, linked.state) = (0, after, state);
    }

    /// Takes a span out of the list it is in.
    #[inline]
    pub(super) fn unlink(&mut self, head: &mut SpanNumber, span: SpanNumber) {
        let Span { before, after, .. } = *self.at(span);
        if before == 0 {
            debug_assert_eq!(*head, span, "a span is in another list");
            *head = after;
        } else {
            self.at_mut(before).after = after;
        }
        if after != 0 {
            self.at_mut(after).before = before;
        }
    }

    /// Bytes of the records.
    pub(super) fn resident_bytes(&self) -> usize {
        self.blocks.len() * size_of::<[Span; BLOCK]>()
            + self.blocks.capacity() * size_of::<Box<[Span; BLOCK]>>()
    }

    /// The spans of a list, for tests.
    #[cfg(all(test, not(kv_shuttle)))]
    pub(super) fn list(&self, head: SpanNumber) -> Vec<SpanNumber> {
        let (mut all, mut span, mut before) = (Vec::new(), head, 0);
        while span != 0 {
            assert_eq!(self.at(span).before, before, "a list is broken");
            all.push(span);
            (before, span) = (span, self.at(span).after);
        }
        all
    }
}
