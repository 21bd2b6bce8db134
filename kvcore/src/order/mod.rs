//! The keys of one shard in order, for stores with `ordered_index`.
//!
//! Owns: a B+tree (Comer, "The Ubiquitous B-Tree", 1979) of entry ids. It has no keys of its own: they
//! are read through [`Keys`], and a node caches four bytes of each (`lane`). So a key costs 8 bytes in a
//! leaf, 9 to 13 with what leaves have free; a tree of copied keys, such as `BTreeMap<Box<[u8]>, _>`,
//! would double the memory of small entries. Invariants: every entry of the shard is in it once, in the
//! order of the bytes of its key; an inner node names the first key of each child; what it may add to
//! its bytes for inserts is known beforehand, and removing adds nothing.
//!
//! Readers without the shard's lock never look here.

mod lane;
mod node;
#[cfg(all(test, not(kv_shuttle)))]
mod tests;

use crate::budget::allocation;
use crate::slab::EntryId;
use node::{INNER, Inner, Leaf, Tree};

/// Reads the keys that ids stand for.
pub(crate) trait Keys {
    /// The key of an entry.
    fn key(&self, id: EntryId) -> &[u8];
    /// The entry of an id will soon be looked at.
    fn prefetch(&self, _: EntryId) {}
}

/// Bytes charged for a node.
const LEAF_BYTES: usize = allocation(size_of::<Leaf>());
const INNER_BYTES: usize = allocation(size_of::<Inner>()) + allocation(INNER * size_of::<Tree>());

/// Keys that a node has at least when it was split in the middle.
const HALF_LEAF: usize = node::LEAF / 2;
const HALF_INNER: usize = INNER / 2;

/// Where a visit begins: behind this key or, if it is `included`, with it.
#[derive(Clone, Copy)]
pub(crate) struct From<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) included: bool,
}

/// How many nodes there are.
#[derive(Default, Clone, Copy, PartialEq, Eq, Debug)]
struct Nodes {
    leaves: usize,
    inners: usize,
}

/// The ids of entries in the order of their keys.
pub(crate) struct OrderIndex {
    root: Tree,
    len: usize,
    nodes: Nodes,
    /// Levels of inner nodes.
    levels: usize,
}

impl OrderIndex {
    pub(crate) fn new() -> OrderIndex {
        OrderIndex { root: Tree::Empty, len: 0, nodes: Nodes::default(), levels: 0 }
    }

    /// Bytes charged now.
    pub(crate) fn bytes(&self) -> usize {
        self.nodes.leaves * LEAF_BYTES + self.nodes.inners * INNER_BYTES
    }

    /// Bytes that the next `more` inserts may add. A node splits once it is full, and then has room for
    /// half as many.
    pub(crate) fn growth_for(&self, more: usize) -> usize {
        if more == 0 {
            return 0;
        }
        let leaves = more.min(self.nodes.leaves + more / HALF_LEAF + 1);
        if self.nodes.leaves + leaves == 1 {
            return LEAF_BYTES;
        }
        let inners = self.nodes.inners + leaves / (HALF_INNER - 1) + self.levels + 3;
        leaves * LEAF_BYTES + inners.min(leaves * (self.levels + 1)) * INNER_BYTES
    }

    /// Adds an entry whose key is not there.
    pub(crate) fn insert(&mut self, key: &[u8], id: EntryId, keys: &impl Keys) {
        self.len += 1;
        if let Some(right) = self.root.insert(key, id, keys, &mut self.nodes) {
            let left = std::mem::replace(&mut self.root, Tree::Empty);
            self.root = Tree::Inner(Box::new(Inner::of(left, right, keys)));
            self.nodes.inners += 1;
            self.levels += 1;
        }
    }

    /// Takes out the entry of a key, which can still be read.
    pub(crate) fn remove(&mut self, key: &[u8], keys: &impl Keys) {
        let removed = self.root.remove(key, keys, &mut self.nodes);
        debug_assert!(removed, "a key is not in the order");
        self.len -= usize::from(removed);
        while let Some(only) = self.root.only_child() {
            self.root = only;
            self.nodes.inners -= 1;
            self.levels -= 1;
        }
    }

    /// Gives the entry of a key another id; both can be read.
    pub(crate) fn moved(&mut self, key: &[u8], old: EntryId, new: EntryId, keys: &impl Keys) {
        if old != new {
            self.root.moved(key, old, new, keys);
        }
    }

    /// Shows the ids from a key on, in order or backwards, until `each` answers false.
    pub(crate) fn visit(
        &self,
        from: Option<From<'_>>,
        backwards: bool,
        keys: &impl Keys,
        mut each: impl FnMut(EntryId) -> bool,
    ) {
        if backwards {
            self.root.descend(from, keys, &mut each);
        } else {
            self.root.ascend(from, keys, &mut each);
        }
    }

    /// Panics if an invariant is broken.
    pub(crate) fn validate(&self, entries: usize, keys: &impl Keys) {
        assert_eq!(self.len, entries, "the order miscounts its entries");
        let (mut nodes, mut seen) = (Nodes::default(), Vec::with_capacity(entries));
        self.root.validate(self.levels, keys, &mut nodes, &mut seen);
        assert_eq!(nodes, self.nodes, "the order miscounts its nodes");
        assert_eq!(seen.len(), entries, "the order lacks entries");
        assert!(seen.windows(2).all(|pair| keys.key(pair[0]) < keys.key(pair[1])));
        let mut visited = Vec::with_capacity(entries);
        self.visit(None, false, keys, |id| {
            visited.push(id);
            true
        });
        assert_eq!(visited, seen);
    }
}
