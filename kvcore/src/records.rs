//! Lists of four-byte records, for the timing wheel and the eviction policies.
//!
//! Owns: a [`Pool`] of lines, each one cache line with a link, a count and up to fifteen records,
//! and the two kinds of list made of them: a [`Queue`], first in and first out, and a [`Bag`],
//! which keeps no order, and joins another bag without touching most records.
//! A list owns its lines, but not the pool: every call takes the pool along, and a list that is
//! dropped without being cleared leaks its lines until the pool goes.
//!
//! Invariants: a line is free or on one list; every line of a bag but the first is full, every line
//! of a queue but the first and the last is; the lowest free line is used first, so that the highest
//! blocks run empty; a block without lines in use holds no memory, and an empty pool none at all.
//!
//! Why not a vector for each list: it doubles, and copies itself doing so, and a wheel has hundreds
//! of lists. Why not links in the entries: they cost eight bytes an entry instead of 4.3, and each
//! step along them is a cache miss.

/// Records in a line.
pub(crate) const LINE_RECORDS: usize = 15;
/// Bytes that a line in use is charged.
pub(crate) const LINE_BYTES: usize = size_of::<Line>();

/// Lines to a block: one for each bit of a word.
const BLOCK: usize = 64;
const WORD: usize = 64;
const NIL: u32 = COUNT_UNIT - 1;
/// The count of a line is above the link in one word.
const COUNT_UNIT: u32 = 1 << 28;

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line {
    /// The next line of the list, or `NIL`, and how many records are in use, from the first on.
    word: u32,
    records: [u32; LINE_RECORDS],
}

impl Line {
    const EMPTY: Line = Line { word: NIL, records: [0; LINE_RECORDS] };

    fn next(&self) -> u32 {
        self.word % COUNT_UNIT
    }

    fn set_next(&mut self, next: u32) {
        self.word = self.word - self.next() + next;
    }

    fn count(&self) -> usize {
        (self.word / COUNT_UNIT) as usize
    }

    fn push(&mut self, record: u32) {
        self.records[self.count()] = record;
        self.word += COUNT_UNIT;
    }
}

/// Where the lines of some lists live.
pub(crate) struct Pool {
    blocks: Vec<Option<Box<[Line; BLOCK]>>>,
    /// For each block, a bit for each line in use.
    used: Vec<u64>,
    /// A bit for each block that is not full.
    vacant: Vec<u64>,
    /// Every block whose bit is in an earlier word is full.
    first_vacant: usize,
    lines: usize,
}

impl Pool {
    /// An empty pool, which holds no memory.
    pub(crate) const fn new() -> Self {
        Pool { blocks: Vec::new(), used: Vec::new(), vacant: Vec::new(), first_vacant: 0, lines: 0 }
    }

    /// Bytes charged: those of the lines in use.
    pub(crate) fn bytes(&self) -> usize {
        self.lines * LINE_BYTES
    }

    fn line(&self, line: u32) -> &Line {
        match &self.blocks[line as usize / BLOCK] {
            Some(block) => &block[line as usize % BLOCK],
            None => unreachable!("line {line} is not in use"),
        }
    }

    fn line_mut(&mut self, line: u32) -> &mut Line {
        match &mut self.blocks[line as usize / BLOCK] {
            Some(block) => &mut block[line as usize % BLOCK],
            None => unreachable!("line {line} is not in use"),
        }
    }

    /// The lowest free line, empty, with this one behind it.
    fn take(&mut self, next: u32) -> u32 {
        let vacant = self.vacant[self.first_vacant..].iter().position(|word| *word != 0);
        let index = match vacant {
            Some(skipped) => {
                self.first_vacant += skipped;
                self.first_vacant * WORD + self.vacant[self.first_vacant].trailing_zeros() as usize
            }
            None => self.push_block(),
        };
        let place = self.used[index].trailing_ones() as usize;
        self.used[index] |= 1 << place;
        if self.used[index] == u64::MAX {
            self.vacant[index / WORD] &= !(1 << (index % WORD));
        }
        let block = self.blocks[index].get_or_insert_with(|| Box::new([Line::EMPTY; BLOCK]));
        block[place] = Line { word: next, ..Line::EMPTY };
        self.lines += 1;
        (index * BLOCK + place) as u32
    }

    fn push_block(&mut self) -> usize {
        let index = self.blocks.len();
        debug_assert!(index * BLOCK + BLOCK < NIL as usize, "more lines than numbers");
        self.blocks.push(None);
        self.used.push(0);
        if index / WORD == self.vacant.len() {
            self.vacant.push(0);
        }
        self.vacant[index / WORD] |= 1 << (index % WORD);
        self.first_vacant = index / WORD;
        index
    }

    /// Gives a line back, and says which was behind it.
    fn give(&mut self, line: u32) -> u32 {
        let next = self.line(line).next();
        let (index, place) = (line as usize / BLOCK, line as usize % BLOCK);
        self.used[index] &= !(1 << place);
        self.vacant[index / WORD] |= 1 << (index % WORD);
        self.first_vacant = self.first_vacant.min(index / WORD);
        self.lines -= 1;
        if self.used[index] == 0 {
            self.blocks[index] = None;
            self.trim();
        }
        next
    }

    /// Forgets the blocks at the end that hold nothing.
    fn trim(&mut self) {
        if self.lines == 0 {
            *self = Pool::new();
            return;
        }
        while self.used.last() == Some(&0) {
            self.used.pop();
            self.blocks.pop();
            let index = self.used.len();
            self.vacant[index / WORD] &= !(1 << (index % WORD));
        }
        self.vacant.truncate(self.used.len().div_ceil(WORD));
        self.first_vacant = self.first_vacant.min(self.vacant.len());
        if self.used.len() < self.used.capacity() / 4 {
            self.used.shrink_to_fit();
            self.blocks.shrink_to_fit();
        }
    }

    /// The records of a line and of those behind it, leaving out the first `skip`.
    fn records_from(&self, line: u32, skip: usize) -> impl Iterator<Item = u32> {
        let lines = std::iter::successors(self.existing(line), |line| self.existing(line.next()));
        lines.flat_map(|line| &line.records[..line.count()]).skip(skip).copied()
    }

    fn existing(&self, line: u32) -> Option<&Line> {
        (line != NIL).then(|| self.line(line))
    }
}

/// Records, first in and first out.
#[derive(Debug)]
pub(crate) struct Queue {
    head: u32,
    tail: u32,
    /// Records of the first line that are gone already.
    gone: usize,
    len: usize,
}

impl Queue {
    /// An empty queue, which has no line.
    pub(crate) const fn new() -> Self {
        Queue { head: NIL, tail: NIL, gone: 0, len: 0 }
    }

    /// Adds a record at the end.
    pub(crate) fn push_back(&mut self, pool: &mut Pool, record: u32) {
        if self.growth(pool) != 0 {
            let line = pool.take(NIL);
            match self.tail {
                NIL => self.head = line,
                tail => pool.line_mut(tail).set_next(line),
            }
            self.tail = line;
        }
        pool.line_mut(self.tail).push(record);
        self.len += 1;
    }

    /// Takes the record that came first.
    pub(crate) fn pop_front(&mut self, pool: &mut Pool) -> Option<u32> {
        let line = pool.existing(self.head)?;
        let record = line.records[self.gone];
        self.gone += 1;
        self.len -= 1;
        if self.gone == line.count() {
            self.gone = 0;
            self.head = pool.give(self.head);
            if self.head == NIL {
                self.tail = NIL;
            }
        }
        Some(record)
    }

    /// Every record, in the order they came; the next ones, to fetch what they name ahead.
    pub(crate) fn iter(&self, pool: &Pool) -> impl Iterator<Item = u32> {
        pool.records_from(self.head, self.gone)
    }

    /// How many records there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no record.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Gives every line back. Takes time with the number of lines.
    pub(crate) fn clear(&mut self, pool: &mut Pool) {
        while self.head != NIL {
            self.head = pool.give(self.head);
        }
        *self = Queue::new();
    }

    /// Bytes that the next record adds to its pool.
    pub(crate) fn growth(&self, pool: &Pool) -> usize {
        let full = pool.existing(self.tail).is_none_or(|line| line.count() == LINE_RECORDS);
        if full { LINE_BYTES } else { 0 }
    }
}

/// Records in no order. Eight bytes, for there may be hundreds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bag {
    head: u32,
    /// There are fewer records than bytes in a slab, which ids of 32 bits address by words.
    len: u32,
}

impl Bag {
    /// An empty bag, which has no line.
    pub(crate) const EMPTY: Bag = Bag { head: NIL, len: 0 };

    /// Adds a record.
    pub(crate) fn push(&mut self, pool: &mut Pool, record: u32) {
        let full = pool.existing(self.head).is_none_or(|line| line.count() == LINE_RECORDS);
        if full {
            self.head = pool.take(self.head);
        }
        pool.line_mut(self.head).push(record);
        self.len += 1;
    }

    /// Takes some record.
    pub(crate) fn pop(&mut self, pool: &mut Pool) -> Option<u32> {
        if self.head == NIL {
            return None;
        }
        let line = pool.line_mut(self.head);
        line.word -= COUNT_UNIT;
        let record = line.records[line.count()];
        if line.count() == 0 {
            self.head = pool.give(self.head);
        }
        self.len -= 1;
        Some(record)
    }

    /// Adds every record of another bag, in a time that grows with the lines of that one.
    pub(crate) fn append(&mut self, pool: &mut Pool, mut other: Bag) {
        if self.head == NIL {
            *self = other;
            return;
        }
        // The line of the other bag that need not be full is emptied, the others go behind ours.
        while pool.existing(other.head).is_some_and(|line| line.count() < LINE_RECORDS) {
            if let Some(record) = other.pop(pool) {
                self.push(pool, record);
            }
        }
        let mut tail = other.head;
        while let Some(next) = pool.existing(tail).map(Line::next).filter(|next| *next != NIL) {
            tail = next;
        }
        if tail != NIL {
            let behind = pool.line(self.head).next();
            pool.line_mut(self.head).set_next(other.head);
            pool.line_mut(tail).set_next(behind);
            self.len += other.len;
        }
    }

    /// Whether there is no record.
    pub(crate) fn is_empty(&self) -> bool {
        self.head == NIL
    }

    /// How many records there are.
    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// Every record.
    pub(crate) fn iter(&self, pool: &Pool) -> impl Iterator<Item = u32> {
        pool.records_from(self.head, 0)
    }

    /// The records of the line whose turn comes after the present one, when half of that is left:
    /// whoever takes records one by one fetches what these name ahead.
    pub(crate) fn upcoming<'a>(&self, pool: &'a Pool) -> &'a [u32] {
        let next = pool.existing(self.head).filter(|line| line.count() == LINE_RECORDS / 2);
        next.and_then(|line| pool.existing(line.next())).map_or(&[], |line| &line.records)
    }
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    #[test]
    fn queues_keep_their_order() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut pool = Pool::new();
        let mut queues: Vec<(Queue, VecDeque<u32>)> = Vec::new();
        queues.resize_with(20, || (Queue::new(), VecDeque::new()));
        for step in 0..200_000_u32 {
            let (queue, model) = &mut queues[random.usize(..20)];
            // Longer and longer, then shorter and shorter.
            let grows = random.u32(..10) < if step / 20_000 % 2 == 0 { 6 } else { 4 };
            if grows {
                let foretold = pool.bytes() + queue.growth(&pool);
                queue.push_back(&mut pool, step);
                model.push_back(step);
                assert_eq!(pool.bytes(), foretold);
            } else {
                assert_eq!(queue.iter(&pool).next(), model.front().copied());
                assert_eq!(queue.pop_front(&mut pool), model.pop_front());
            }
            if random.u32(..5000) == 0 {
                queue.clear(&mut pool);
                model.clear();
            }
            assert_eq!((queue.len(), queue.is_empty()), (model.len(), model.is_empty()));
            if step % 1000 == 0 {
                assert!(
                    queues.iter().all(|(queue, model)| queue.iter(&pool).eq(model.iter().copied()))
                );
                // Fifteen to a line, but for the ends.
                let bound: usize = queues.iter().map(|(_, model)| model.len() / 15 + 2).sum();
                assert!(pool.lines <= bound);
            }
        }
        for (queue, _) in &mut queues {
            while queue.pop_front(&mut pool).is_some() {}
        }
        assert_eq!((pool.bytes(), pool.blocks.capacity(), pool.used.capacity()), (0, 0, 0));
    }

    #[test]
    fn bags_keep_everything() {
        let mut random = fastrand::Rng::with_seed(2);
        let mut pool = Pool::new();
        let mut bags = vec![(Bag::EMPTY, Vec::new()); 20];
        for step in 0..200_000_u32 {
            let at = random.usize(..20);
            match random.u32(..100) {
                0 => {
                    let (other, theirs) =
                        std::mem::replace(&mut bags[at], (Bag::EMPTY, Vec::new()));
                    let (bag, model) = &mut bags[(at + 1) % 20];
                    bag.append(&mut pool, other);
                    model.extend(theirs);
                }
                1..55 => {
                    bags[at].0.push(&mut pool, step);
                    bags[at].1.push(step);
                }
                _ => {
                    let (bag, model) = &mut bags[at];
                    assert!(bag.upcoming(&pool).iter().all(|record| model.contains(record)));
                    match bag.pop(&mut pool) {
                        Some(record) => {
                            let found = model.iter().position(|r| *r == record);
                            model.swap_remove(found.expect("a record that was pushed"));
                        }
                        None => assert!(model.is_empty()),
                    }
                }
            }
            if step % 1000 == 0 {
                let mut lines = 0;
                for (bag, model) in &bags {
                    let mut records: Vec<u32> = bag.iter(&pool).collect();
                    let mut model = model.clone();
                    records.sort_unstable();
                    model.sort_unstable();
                    assert_eq!(records, model);
                    assert_eq!((bag.len(), bag.is_empty()), (model.len(), model.is_empty()));
                    lines += model.len().div_ceil(LINE_RECORDS);
                }
                assert_eq!(pool.lines, lines);
            }
        }
        for (bag, _) in &mut bags {
            while bag.pop(&mut pool).is_some() {}
        }
        assert_eq!((pool.bytes(), pool.blocks.capacity()), (0, 0));
    }

    #[test]
    fn blocks_that_run_empty_are_given_back() {
        let (mut pool, mut queue, mut bag) = (Pool::new(), Queue::new(), Bag::EMPTY);
        bag.push(&mut pool, 1);
        for record in 0..100_000 {
            queue.push_back(&mut pool, record);
        }
        assert_eq!(pool.blocks.iter().flatten().count(), 105);
        for _ in 0..99_990 {
            queue.pop_front(&mut pool);
        }
        assert!(pool.blocks.iter().flatten().count() <= 2);
        queue.clear(&mut pool);
        assert_eq!((pool.blocks.len(), pool.lines), (1, 1));
    }
}
