//! Where the entries of one shard live: a growing row of small chunks, addressed by id.
//!
//! Owns: entries, and beside them the metadata that only some stores or entries use: the links of
//! the timing wheel, and creation time and hits. Invariants: an entry keeps its id for as long as it
//! lives, so an id serves as a cursor; the lowest free id is used first; a chunk without entries
//! holds no memory; it says beforehand what the next insert would allocate.

use crate::budget::allocation;
use crate::entry::Entry;
use crate::expiry::{Link, Timers};
use crate::stats::HitCounter;

/// Names an entry within its shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EntryId(u32);

impl EntryId {
    pub(crate) const fn new(number: u32) -> Self {
        EntryId(number)
    }

    pub(crate) const fn number(self) -> u32 {
        self.0
    }

    const fn place(self) -> (usize, usize) {
        (self.0 as usize / CHUNK, self.0 as usize % CHUNK)
    }
}

/// Entries to a chunk: one for each bit of a word.
const CHUNK: usize = 64;

/// The most ids a shard may have; the highest bit is left to the links of the wheel.
pub(crate) const MAX_ENTRIES: usize = 1 << 31;

#[derive(Default)]
struct Chunk {
    occupied: u64,
    /// Allocated while the chunk has an entry, as is `access` if the store keeps it.
    entries: Option<Box<[Entry; CHUNK]>>,
    access: Option<Box<[Access; CHUNK]>>,
    /// Allocated from the first deadline in the chunk until it has no entry.
    links: Option<Box<[Link; CHUNK]>>,
}

impl Chunk {
    fn bytes(&self) -> usize {
        let entries = self.entries.as_ref().map_or(0, |_| ENTRIES_BYTES);
        let access = self.access.as_ref().map_or(0, |_| ACCESS_BYTES);
        let links = self.links.as_ref().map_or(0, |_| LINKS_BYTES);
        entries + access + links
    }

    fn is_full(&self) -> bool {
        self.occupied == u64::MAX
    }
}

const ENTRIES_BYTES: usize = allocation(size_of::<[Entry; CHUNK]>());
const ACCESS_BYTES: usize = allocation(size_of::<[Access; CHUNK]>());
const LINKS_BYTES: usize = allocation(size_of::<[Link; CHUNK]>());

/// When an entry was created and about how often it was read.
#[derive(Default)]
struct Access {
    created_at_ms: i64,
    hits: HitCounter,
}

/// The entries of one shard.
pub(crate) struct Slab {
    chunks: Vec<Chunk>,
    /// A bit for each chunk that is not full.
    vacant: Vec<u64>,
    /// Every chunk whose bit is in an earlier word is full.
    first_vacant: usize,
    len: usize,
    /// What the chunks hold, without the two vectors above.
    chunk_bytes: usize,
    keeps_access: bool,
}

impl Slab {
    /// An empty slab, which holds no memory. `keeps_access` is whether to keep creation time and
    /// hits.
    pub(crate) const fn new(keeps_access: bool) -> Self {
        Slab {
            chunks: Vec::new(),
            vacant: Vec::new(),
            first_vacant: 0,
            len: 0,
            chunk_bytes: 0,
            keeps_access,
        }
    }

    /// The entry of an id that is in use.
    #[inline]
    pub(crate) fn get(&self, id: EntryId) -> &Entry {
        let (chunk, place) = id.place();
        match &self.chunks[chunk].entries {
            Some(entries) => &entries[place],
            None => unreachable!("{id:?} is not in use"),
        }
    }

    /// As [`get`](Slab::get), to change it.
    #[inline]
    pub(crate) fn get_mut(&mut self, id: EntryId) -> &mut Entry {
        let (chunk, place) = id.place();
        match &mut self.chunks[chunk].entries {
            Some(entries) => &mut entries[place],
            None => unreachable!("{id:?} is not in use"),
        }
    }

    /// Puts an entry in the lowest free place.
    pub(crate) fn insert(&mut self, entry: Entry, now_ms: impl FnOnce() -> i64) -> EntryId {
        let index = self.vacant_chunk();
        if index == self.chunks.len() {
            self.push_chunk();
        }
        let keeps_access = self.keeps_access;
        let chunk = &mut self.chunks[index];
        let before = chunk.bytes();
        let place = chunk.occupied.trailing_ones() as usize;
        let vacant = || Box::new(std::array::from_fn(|_| Entry::vacant()));
        chunk.entries.get_or_insert_with(vacant)[place] = entry;
        if keeps_access {
            let unused = || Box::new(std::array::from_fn(|_| Access::default()));
            chunk.access.get_or_insert_with(unused)[place] =
                Access { created_at_ms: now_ms(), hits: HitCounter::default() };
        }
        chunk.occupied |= 1 << place;
        self.chunk_bytes += chunk.bytes() - before;
        if chunk.is_full() {
            self.vacant[index / WORD] &= !(1 << (index % WORD));
        }
        self.len += 1;
        EntryId::new((index * CHUNK + place) as u32)
    }

    /// Takes an entry out. It must have been taken off the wheel before.
    pub(crate) fn remove(&mut self, id: EntryId) -> Entry {
        let (index, place) = id.place();
        let entry = std::mem::replace(self.get_mut(id), Entry::vacant());
        let chunk = &mut self.chunks[index];
        debug_assert!(chunk.occupied & 1 << place != 0, "{id:?} is not in use");
        chunk.occupied &= !(1 << place);
        self.vacant[index / WORD] |= 1 << (index % WORD);
        self.first_vacant = self.first_vacant.min(index / WORD);
        self.len -= 1;
        if chunk.occupied == 0 {
            self.chunk_bytes -= chunk.bytes();
            *chunk = Chunk::default();
            self.shrink();
        }
        entry
    }

    /// Gives back the empty chunks at the end, and half of the vectors once most is unused.
    fn shrink(&mut self) {
        if self.len == 0 {
            *self = Slab::new(self.keeps_access);
            return;
        }
        while self.chunks.last().is_some_and(|chunk| chunk.occupied == 0) {
            self.chunks.pop();
            let last = self.chunks.len();
            self.vacant[last / WORD] &= !(1 << (last % WORD));
            self.vacant.truncate(last.div_ceil(WORD));
        }
        self.first_vacant = self.first_vacant.min(self.vacant.len());
        if self.chunks.len() < self.chunks.capacity() / 4 {
            self.chunks.shrink_to(self.chunks.len() * 2);
            self.vacant.shrink_to(self.vacant.len() * 2);
        }
    }

    /// The chunk that the next insert goes to; one past the last if all are full.
    fn vacant_chunk(&mut self) -> usize {
        while let Some(word) = self.vacant.get(self.first_vacant) {
            if *word != 0 {
                return self.first_vacant * WORD + word.trailing_zeros() as usize;
            }
            self.first_vacant += 1;
        }
        self.chunks.len()
    }

    fn push_chunk(&mut self) {
        let index = self.chunks.len();
        grow(&mut self.chunks);
        self.chunks.push(Chunk::default());
        if index.is_multiple_of(WORD) {
            grow(&mut self.vacant);
            self.vacant.push(0);
        }
        self.vacant[index / WORD] |= 1 << (index % WORD);
        self.first_vacant = self.first_vacant.min(index / WORD);
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes held, without what the entries themselves hold.
    pub(crate) fn bytes(&self) -> usize {
        self.chunk_bytes + vector_bytes(&self.chunks) + vector_bytes(&self.vacant)
    }

    /// Bytes that the next insert would add beside the entry itself.
    pub(crate) fn growth(&self, timed: bool) -> usize {
        self.growth_for(1, timed)
    }

    /// Bytes that the next `more` inserts would add beside the entries themselves.
    pub(crate) fn growth_for(&self, more: usize, timed: bool) -> usize {
        let links = if timed { LINKS_BYTES } else { 0 };
        let access = if self.keeps_access { ACCESS_BYTES } else { 0 };
        let (mut left, mut bytes) = (more, 0);
        if left == 0 {
            return 0;
        }
        for chunk in self.vacant_chunks() {
            bytes += match chunk.entries {
                None => ENTRIES_BYTES + access + links,
                Some(_) if chunk.links.is_none() => links,
                Some(_) => 0,
            };
            left = left.saturating_sub(CHUNK - chunk.occupied.count_ones() as usize);
            if left == 0 {
                return bytes;
            }
        }
        let chunks = self.chunks.len() + left.div_ceil(CHUNK);
        bytes += left.div_ceil(CHUNK) * (ENTRIES_BYTES + access + links);
        bytes + growth_to(&self.chunks, chunks) + growth_to(&self.vacant, chunks.div_ceil(WORD))
    }

    fn vacant_chunks(&self) -> impl Iterator<Item = &Chunk> {
        let words = self.vacant.iter().enumerate().skip(self.first_vacant);
        words.flat_map(move |(word, vacant)| {
            ones(*vacant).map(move |bit| &self.chunks[word * WORD + bit])
        })
    }

    /// Whether the next insert has an id left.
    pub(crate) fn has_ids(&mut self) -> bool {
        (self.vacant_chunk() + 1) * CHUNK <= MAX_ENTRIES
    }

    /// Bytes that [`ensure_link`](Slab::ensure_link) would add.
    pub(crate) fn link_growth(&self, id: EntryId) -> usize {
        let links = &self.chunks[id.place().0].links;
        if links.is_none() { LINKS_BYTES } else { 0 }
    }

    /// Makes sure that an entry can be put on the wheel.
    pub(crate) fn ensure_link(&mut self, id: EntryId) {
        let links = &mut self.chunks[id.place().0].links;
        if links.is_none() {
            *links = Some(Box::new([Link::default(); CHUNK]));
            self.chunk_bytes += LINKS_BYTES;
        }
    }

    /// Creation time and hits of an entry, if they are kept; counts a hit if `hit` is set.
    pub(crate) fn access(&self, id: EntryId, hit: bool) -> Option<(i64, u64)> {
        let (chunk, place) = id.place();
        let access = &self.chunks[chunk].access.as_ref()?[place];
        if hit {
            access.hits.count();
        }
        Some((access.created_at_ms, access.hits.about()))
    }

    /// How many chunks there are, for a cursor to walk.
    pub(crate) fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// The ids in use in one chunk.
    pub(crate) fn ids(&self, chunk: usize) -> impl Iterator<Item = EntryId> + use<> {
        let occupied = self.chunks.get(chunk).map_or(0, |chunk| chunk.occupied);
        ones(occupied).map(move |place| EntryId::new((chunk * CHUNK + place) as u32))
    }

    /// The id at `number` counted through all places, if it is in use.
    pub(crate) fn id_at(&self, number: usize) -> Option<EntryId> {
        let (chunk, place) = (number / CHUNK, number % CHUNK);
        let in_use = self.chunks.get(chunk)?.occupied & 1 << place != 0;
        in_use.then(|| EntryId::new(number as u32))
    }

    /// The number of places, in use or not.
    pub(crate) fn places(&self) -> usize {
        self.chunks.len() * CHUNK
    }
}

impl Timers for Slab {
    fn deadline(&self, id: EntryId) -> i64 {
        self.get(id).deadline()
    }

    fn link(&mut self, id: EntryId) -> &mut Link {
        let (chunk, place) = id.place();
        match &mut self.chunks[chunk].links {
            Some(links) => &mut links[place],
            None => unreachable!("{id:?} has no link"),
        }
    }

    fn next(&self, id: EntryId) -> Link {
        let (chunk, place) = id.place();
        self.chunks[chunk].links.as_ref().map_or_else(Link::default, |links| links[place])
    }
}

/// Chunks to a word of the bitmap.
const WORD: usize = 64;

/// The numbers of the bits that are set, from the lowest.
fn ones(word: u64) -> impl Iterator<Item = usize> {
    let mut left = word;
    std::iter::from_fn(move || {
        let lowest = (left != 0).then(|| left.trailing_zeros() as usize)?;
        left &= left - 1;
        Some(lowest)
    })
}

/// The smallest capacity of a vector.
const SMALLEST: usize = 4;

fn grow<T>(vector: &mut Vec<T>) {
    if vector.len() == vector.capacity() {
        vector.reserve_exact(vector.len().max(SMALLEST / 2) * 2 - vector.len());
    }
}

fn vector_bytes<T>(vector: &Vec<T>) -> usize {
    allocation(vector.capacity() * size_of::<T>())
}

/// Bytes that growing to this length, one by one, would add.
fn growth_to<T>(vector: &Vec<T>, len: usize) -> usize {
    let mut capacity = vector.capacity();
    while capacity < len {
        capacity = (capacity * 2).max(SMALLEST);
    }
    allocation(capacity * size_of::<T>()) - vector_bytes(vector)
}

#[cfg(all(test, not(kv_shuttle)))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::entry::{Content, NEVER};

    fn entry(number: u64) -> Entry {
        let key = number.to_le_bytes();
        let content = Content {
            key: &key,
            value: [b"", b""],
            version: number,
            deadline: Some(NEVER),
            spare: 0,
        };
        Entry::new(&content).unwrap()
    }

    #[test]
    fn places_are_reused_and_given_back() {
        let mut slab = Slab::new(true);
        let mut ids = Vec::new();
        for n in 0..10_000 {
            let (before, growth) = (slab.bytes(), slab.growth(true));
            let id = slab.insert(entry(n), || 5);
            slab.ensure_link(id);
            assert!(slab.bytes() <= before + growth, "at {n}");
            ids.push(id);
        }
        let full = slab.bytes();
        for id in ids.iter().step_by(2) {
            slab.remove(*id);
        }
        for n in 0..5_000 {
            slab.insert(entry(n), || 5);
        }
        assert_eq!((slab.len(), slab.bytes()), (10_000, full));
        for (n, id) in ids.iter().enumerate().skip(1).step_by(2) {
            assert_eq!(slab.get(*id).version(), n as u64);
        }
        let all: Vec<_> = (0..slab.chunks()).flat_map(|chunk| slab.ids(chunk)).collect();
        assert_eq!(all.len(), 10_000);
        for id in all {
            slab.remove(id);
        }
        assert_eq!((slab.len(), slab.bytes(), slab.places()), (0, 0, 0));
    }

    #[test]
    fn hits_are_counted_where_kept() {
        let mut slab = Slab::new(true);
        let id = slab.insert(entry(1), || 5);
        assert_eq!(slab.access(id, false), Some((5, 0)));
        slab.access(id, true);
        assert_eq!(slab.access(id, true), Some((5, 2)));
        let mut plain = Slab::new(false);
        let id = plain.insert(entry(1), || unreachable!());
        assert_eq!(plain.access(id, true), None);
    }
}
