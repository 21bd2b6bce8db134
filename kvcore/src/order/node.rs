//! The nodes of the tree, and what is done to them on the way down and up.

use super::lane::Lane;
use super::{From, Keys, Nodes};
use crate::slab::EntryId;

/// Keys of a leaf: half a kilobyte.
pub(super) const LEAF: usize = 63;

/// Children of an inner node.
pub(super) const INNER: usize = 60;

/// Ids ahead of the one being shown whose entries are brought into the cache.
const AHEAD: usize = 8;

pub(super) type Leaf = Lane<LEAF>;

/// Children and, for each, its first key.
pub(super) struct Inner {
    firsts: Lane<INNER>,
    kids: Vec<Tree>,
}

/// A node, with everything below it.
pub(super) enum Tree {
    Empty,
    Leaf(Box<Leaf>),
    Inner(Box<Inner>),
}

impl Inner {
    fn new() -> Inner {
        Inner { firsts: Lane::new(), kids: Vec::with_capacity(INNER) }
    }

    /// A node of two.
    pub(super) fn of(left: Tree, right: Tree, keys: &impl Keys) -> Inner {
        let mut inner = Inner::new();
        inner.insert(0, left, keys);
        inner.insert(1, right, keys);
        inner
    }

    /// The child that has a key, if any has it.
    fn child(&self, key: &[u8], keys: &impl Keys) -> usize {
        self.firsts.search(key, keys).unwrap_or_else(|at| at.saturating_sub(1))
    }

    fn insert(&mut self, at: usize, kid: Tree, keys: &impl Keys) {
        let first = kid.first();
        self.firsts.insert(at, keys.key(first), first, keys);
        self.kids.insert(at, kid);
    }

    /// Sees that the first key of a child is the one that is named here.
    fn rename(&mut self, at: usize, keys: &impl Keys) {
        let first = self.kids[at].first();
        if self.firsts.id(at) != first {
            self.firsts.replace(at, keys.key(first), first, keys);
        }
    }

    fn split_off(&mut self, at: usize, keys: &impl Keys) -> Inner {
        let mut right = Inner::new();
        right.firsts = self.firsts.split_off(at, keys);
        right.kids.extend(self.kids.drain(at..));
        right
    }

    fn insert_below(
        &mut self,
        key: &[u8],
        id: EntryId,
        keys: &impl Keys,
        nodes: &mut Nodes,
    ) -> Option<Tree> {
        let at = self.child(key, keys);
        let split = self.kids[at].insert(key, id, keys, nodes);
        self.rename(at, keys);
        let (kid, at) = (split?, at + 1);
        if !self.firsts.is_full() {
            self.insert(at, kid, keys);
            return None;
        }
        nodes.inners += 1;
        // Keys that come in order fill their nodes.
        let middle = if at == INNER { INNER } else { INNER / 2 };
        let mut right = self.split_off(middle, keys);
        if at <= middle && middle < INNER {
            self.insert(at, kid, keys);
        } else {
            right.insert(at - middle, kid, keys);
        }
        Some(Tree::Inner(Box::new(right)))
    }

    fn remove_below(&mut self, key: &[u8], keys: &impl Keys, nodes: &mut Nodes) -> bool {
        let at = self.child(key, keys);
        let removed = self.kids[at].remove(key, keys, nodes);
        if matches!(self.kids[at], Tree::Empty) {
            self.firsts.remove(at);
            self.kids.remove(at);
            return removed;
        }
        self.rename(at, keys);
        if self.kids[at].is_sparse() {
            let left = at.saturating_sub(1);
            if !self.merge(left, keys, nodes) && left != at {
                self.merge(at, keys, nodes);
            }
        }
        removed
    }

    /// Joins a child and the next one, if one node has room for both and some to spare.
    fn merge(&mut self, left: usize, keys: &impl Keys, nodes: &mut Nodes) -> bool {
        let right = left + 1;
        let fits = match (self.kids.get(left), self.kids.get(right)) {
            (Some(Tree::Leaf(a)), Some(Tree::Leaf(b))) => a.len() + b.len() <= LEAF * 3 / 4,
            (Some(Tree::Inner(a)), Some(Tree::Inner(b))) => {
                a.kids.len() + b.kids.len() <= INNER * 3 / 4
            }
            _ => false,
        };
        if !fits {
            return false;
        }
        self.firsts.remove(right);
        match (self.kids.remove(right), &mut self.kids[left]) {
            (Tree::Leaf(from), Tree::Leaf(to)) => {
                to.append(*from, keys);
                nodes.leaves -= 1;
            }
            (Tree::Inner(mut from), Tree::Inner(to)) => {
                to.firsts.append(from.firsts, keys);
                to.kids.append(&mut from.kids);
                nodes.inners -= 1;
            }
            _ => unreachable!("nodes of two kinds were to be joined"),
        }
        true
    }
}

impl Tree {
    /// The id of the first key.
    fn first(&self) -> EntryId {
        match self {
            Tree::Empty => unreachable!("an empty node is taken out at once"),
            Tree::Leaf(leaf) => leaf.id(0),
            Tree::Inner(inner) => inner.firsts.id(0),
        }
    }

    fn is_sparse(&self) -> bool {
        match self {
            Tree::Empty => true,
            Tree::Leaf(leaf) => leaf.len() <= LEAF / 4,
            Tree::Inner(inner) => inner.kids.len() <= INNER / 4,
        }
    }

    /// The only child, taken out of a node that has no other.
    pub(super) fn only_child(&mut self) -> Option<Tree> {
        match self {
            Tree::Inner(inner) if inner.kids.len() == 1 => inner.kids.pop(),
            _ => None,
        }
    }

    /// Adds a key, and answers with a new node to the right of this one if there had to be one.
    pub(super) fn insert(
        &mut self,
        key: &[u8],
        id: EntryId,
        keys: &impl Keys,
        nodes: &mut Nodes,
    ) -> Option<Tree> {
        let leaf = match self {
            Tree::Inner(inner) => return inner.insert_below(key, id, keys, nodes),
            Tree::Leaf(leaf) => leaf,
            Tree::Empty => {
                let mut leaf = Box::new(Leaf::new());
                leaf.insert(0, key, id, keys);
                *self = Tree::Leaf(leaf);
                nodes.leaves += 1;
                return None;
            }
        };
        let at = leaf.search(key, keys).unwrap_or_else(|at| at);
        if !leaf.is_full() {
            leaf.insert(at, key, id, keys);
            return None;
        }
        nodes.leaves += 1;
        let middle = if at == LEAF { LEAF } else { LEAF / 2 };
        let mut right = Box::new(leaf.split_off(middle, keys));
        if at <= middle && middle < LEAF {
            leaf.insert(at, key, id, keys);
        } else {
            right.insert(at - middle, key, id, keys);
        }
        Some(Tree::Leaf(right))
    }

    /// Takes a key out; a node that is left without any becomes `Empty`. Says whether it was there.
    pub(super) fn remove(&mut self, key: &[u8], keys: &impl Keys, nodes: &mut Nodes) -> bool {
        match self {
            Tree::Empty => false,
            Tree::Leaf(leaf) => {
                let Ok(at) = leaf.search(key, keys) else { return false };
                leaf.remove(at);
                if leaf.len() == 0 {
                    *self = Tree::Empty;
                    nodes.leaves -= 1;
                }
                true
            }
            Tree::Inner(inner) => {
                let removed = inner.remove_below(key, keys, nodes);
                if inner.kids.is_empty() {
                    *self = Tree::Empty;
                    nodes.inners -= 1;
                }
                removed
            }
        }
    }

    /// Gives a key another id, wherever the old one stands.
    pub(super) fn moved(&mut self, key: &[u8], old: EntryId, new: EntryId, keys: &impl Keys) {
        match self {
            Tree::Empty => {}
            Tree::Leaf(leaf) => {
                if let Ok(at) = leaf.search(key, keys) {
                    leaf.set_id(at, new);
                }
            }
            Tree::Inner(inner) => {
                let at = inner.child(key, keys);
                if inner.firsts.id(at) == old {
                    inner.firsts.set_id(at, new);
                }
                inner.kids[at].moved(key, old, new, keys);
            }
        }
    }

    /// Shows the ids from a key on. False if `each` has had enough.
    pub(super) fn ascend<K: Keys>(
        &self,
        from: Option<From<'_>>,
        keys: &K,
        each: &mut impl FnMut(EntryId) -> bool,
    ) -> bool {
        match self {
            Tree::Empty => true,
            Tree::Leaf(leaf) => {
                let start = from.map_or(0, |from| match leaf.search(from.key, keys) {
                    Ok(at) => at + usize::from(!from.included),
                    Err(at) => at,
                });
                show(leaf.ids()[start..].iter(), keys, each)
            }
            Tree::Inner(inner) => {
                let start = from.map_or(0, |from| inner.child(from.key, keys));
                inner.kids[start].ascend(from, keys, each)
                    && inner.kids[start + 1..].iter().all(|kid| kid.ascend(None, keys, each))
            }
        }
    }

    /// Shows the ids from a key on, backwards. False if `each` has had enough.
    pub(super) fn descend<K: Keys>(
        &self,
        from: Option<From<'_>>,
        keys: &K,
        each: &mut impl FnMut(EntryId) -> bool,
    ) -> bool {
        match self {
            Tree::Empty => true,
            Tree::Leaf(leaf) => {
                let end = from.map_or(leaf.len(), |from| match leaf.search(from.key, keys) {
                    Ok(at) => at + usize::from(from.included),
                    Err(at) => at,
                });
                show(leaf.ids()[..end].iter().rev(), keys, each)
            }
            Tree::Inner(inner) => {
                let end = from.map_or(inner.kids.len() - 1, |from| inner.child(from.key, keys));
                inner.kids[end].descend(from, keys, each)
                    && inner.kids[..end].iter().rev().all(|kid| kid.descend(None, keys, each))
            }
        }
    }

    pub(super) fn validate(
        &self,
        levels: usize,
        keys: &impl Keys,
        nodes: &mut Nodes,
        seen: &mut Vec<EntryId>,
    ) {
        match self {
            Tree::Empty => assert!(levels == 0 && seen.is_empty(), "an empty node was left"),
            Tree::Leaf(leaf) => {
                assert!(levels == 0 && leaf.len() > 0);
                leaf.validate(keys);
                nodes.leaves += 1;
                seen.extend(leaf.ids().iter().map(|id| EntryId::new(*id)));
            }
            Tree::Inner(inner) => {
                assert!(levels > 0 && inner.firsts.len() == inner.kids.len());
                assert_eq!(inner.kids.capacity(), INNER);
                inner.firsts.validate(keys);
                nodes.inners += 1;
                for (at, kid) in inner.kids.iter().enumerate() {
                    assert_eq!(kid.first(), inner.firsts.id(at), "another key comes first");
                    kid.validate(levels - 1, keys, nodes, seen);
                }
            }
        }
    }
}

/// Shows ids, each of whose entries is asked for some steps before.
fn show<'a, K: Keys>(
    ids: impl Iterator<Item = &'a u32> + Clone,
    keys: &K,
    each: &mut impl FnMut(EntryId) -> bool,
) -> bool {
    let mut ahead = ids.clone();
    ahead.by_ref().take(AHEAD).for_each(|id| keys.prefetch(EntryId::new(*id)));
    for id in ids {
        if let Some(next) = ahead.next() {
            keys.prefetch(EntryId::new(*next));
        }
        if !each(EntryId::new(*id)) {
            return false;
        }
    }
    true
}
