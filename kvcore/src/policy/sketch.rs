//! How often keys came lately, counted approximately: a count-min sketch with counters of 4 bits.
//!
//! One word of 16 counters for each entry of the shard: 8 bytes an entry. A key has four counters in four words, and
//! only the lowest of them grow. When fifty times as many uses were counted as there are
//! entries, all counters are halved, a few words with each use: until a word's turn comes it is read
//! as half of what it says, and counts double. (Cormode and Muthukrishnan 2005; the reset is TinyLFU's.)
//!
//! Made when the shard evicts first, and anew when it has twice as many entries, or less than a
//! quarter; charged from the first entry on.

use super::ghost::mix;

/// The highest count.
const MOST: u64 = 15;
/// Uses, for each entry, until counters are halved.
const AGE: usize = 50;
/// Fewer entries than these count as so many: the smallest stores would forget between two rounds of a
/// loop.
const FEWEST: usize = 16;
/// The fewest words.
const LEAST: usize = 256;
/// Words halved with each use.
const STEPS: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Sketch {
    words: Vec<u64>,
    uses: usize,
    /// Entries of the shard.
    live: usize,
    /// Words from here on are still to be halved.
    halved: Option<usize>,
}

impl Sketch {
    /// Makes room for the keys of so many entries.
    pub(super) fn fit(&mut self, live: usize) {
        self.live = live;
        let want = live.max(LEAST);
        if want > self.words.len() * 2 || want < self.words.len() / 4 {
            *self = Sketch { words: vec![0; want], live, ..Sketch::default() };
        }
    }

    pub(super) fn count(&self, hash: u32) -> u8 {
        if self.words.is_empty() {
            return 0;
        }
        self.places(hash).into_iter().map(|place| self.get(place)).min().unwrap_or(0) as u8
    }

    pub(super) fn add(&mut self, hash: u32, uses: u8) {
        if self.words.is_empty() || uses == 0 {
            return;
        }
        let to = (u64::from(self.count(hash)) + u64::from(uses)).min(MOST);
        for place in self.places(hash) {
            if self.get(place) < to {
                self.set(place, to);
            }
        }
        self.uses += usize::from(uses);
        if self.halved.is_none() && self.uses >= self.live.max(FEWEST) * AGE {
            self.uses /= 2;
            self.halved = Some(0);
        }
        self.halve();
    }

    fn halve(&mut self) {
        let Some(from) = self.halved else { return };
        let to = (from + STEPS).min(self.words.len());
        for word in &mut self.words[from..to] {
            *word = *word >> 1 & 0x7777_7777_7777_7777;
        }
        self.halved = (to < self.words.len()).then_some(to);
    }

    /// Word and shift of a key's four counters.
    fn places(&self, hash: u32) -> [(usize, u32); 4] {
        let spread = mix(hash);
        std::array::from_fn(|row| {
            let bits = mix((spread >> (row * 8)) as u32 ^ row as u32);
            let word = (((bits >> 32) * self.words.len() as u64) >> 32) as usize;
            (word, (row as u32 * 4 + (bits & 3) as u32) * 4)
        })
    }

    fn is_old(&self, word: usize) -> bool {
        self.halved.is_some_and(|from| word >= from)
    }

    fn get(&self, (word, shift): (usize, u32)) -> u64 {
        (self.words[word] >> shift & MOST) >> u32::from(self.is_old(word))
    }

    fn set(&mut self, (word, shift): (usize, u32), count: u64) {
        let count = (count << u32::from(self.is_old(word))).min(MOST);
        self.words[word] = self.words[word] & !(MOST << shift) | count << shift;
    }

    pub(super) fn bytes(&self, live: usize) -> usize {
        let charged = if live == 0 { 0 } else { live.max(LEAST) * 8 };
        charged.max(self.words.len() * 8)
    }
}
