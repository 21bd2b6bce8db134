//! A run of keys in order, as a node of the tree has it: an id and four bytes of each.
//!
//! Keys that stand together begin alike, so what tells them apart is cached behind the bytes that all
//! of them share (`skip`): prefix truncation and poor man's normalised keys (Graefe and Larson, "B-Tree
//! Indexes and CPU Caches", ICDE 2001). A search reads one key for the shared bytes and then, nearly
//! always, none or one more.

use std::cmp::Ordering;

use super::Keys;
use crate::slab::EntryId;

/// Bytes of a key that are cached.
const HEAD: usize = 4;

/// Up to `N` keys in order. An id may stand for a key that is gone only until the call ends that takes
/// it out.
#[derive(Clone, Copy)]
pub(super) struct Lane<const N: usize> {
    len: u16,
    /// Bytes with which all keys begin alike. There may be more.
    skip: u16,
    heads: [u32; N],
    ids: [u32; N],
}

impl<const N: usize> Lane<N> {
    pub(super) const fn new() -> Self {
        Lane { len: 0, skip: 0, heads: [0; N], ids: [0; N] }
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.len)
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() == N
    }

    pub(super) fn id(&self, at: usize) -> EntryId {
        EntryId::new(self.ids[at])
    }

    pub(super) fn ids(&self) -> &[u32] {
        &self.ids[..self.len()]
    }

    /// Where a key is, or where it would be.
    pub(super) fn search(&self, key: &[u8], keys: &impl Keys) -> Result<usize, usize> {
        if self.len == 0 {
            return Err(0);
        }
        let skip = usize::from(self.skip);
        match key.get(..skip).unwrap_or(key).cmp(&keys.key(self.id(0))[..skip]) {
            Ordering::Less => return Err(0),
            Ordering::Greater => return Err(self.len()),
            Ordering::Equal => {}
        }
        let (rest, head) = (&key[skip..], head(key, skip));
        let heads = &self.heads[..self.len()];
        let from = heads.partition_point(|other| *other < head);
        let alike = heads[from..].partition_point(|other| *other == head);
        self.ids[from..from + alike]
            .binary_search_by(|id| keys.key(EntryId::new(*id))[skip..].cmp(rest))
            .map(|at| from + at)
            .map_err(|at| from + at)
    }

    /// Puts a key where it belongs. There is room.
    pub(super) fn insert(&mut self, at: usize, key: &[u8], id: EntryId, keys: &impl Keys) {
        if self.len == 0 {
            // Keys have no more bytes than this counts.
            self.skip = key.len() as u16;
        } else {
            self.share_with(key, keys);
        }
        let len = self.len();
        self.heads.copy_within(at..len, at + 1);
        self.ids.copy_within(at..len, at + 1);
        self.heads[at] = head(key, usize::from(self.skip));
        self.ids[at] = id.number();
        self.len += 1;
    }

    /// Puts another key in the place of one, between the same neighbours.
    pub(super) fn replace(&mut self, at: usize, key: &[u8], id: EntryId, keys: &impl Keys) {
        self.share_with(key, keys);
        self.heads[at] = head(key, usize::from(self.skip));
        self.ids[at] = id.number();
    }

    /// Gives a key that stays another id.
    pub(super) fn set_id(&mut self, at: usize, id: EntryId) {
        self.ids[at] = id.number();
    }

    pub(super) fn remove(&mut self, at: usize) {
        let len = self.len();
        self.heads.copy_within(at + 1..len, at);
        self.ids.copy_within(at + 1..len, at);
        self.len -= 1;
    }

    /// Takes out what is from `at` on.
    pub(super) fn split_off(&mut self, at: usize, keys: &impl Keys) -> Self {
        let mut right = Lane::new();
        let more = self.len() - at;
        right.heads[..more].copy_from_slice(&self.heads[at..self.len()]);
        right.ids[..more].copy_from_slice(&self.ids[at..self.len()]);
        (right.len, right.skip) = (more as u16, self.skip);
        self.len = at as u16;
        self.share_more(keys);
        right.share_more(keys);
        right
    }

    /// Takes over all keys of the next lane. There is room.
    pub(super) fn append(&mut self, mut right: Self, keys: &impl Keys) {
        if right.len == 0 {
            return;
        }
        if self.len == 0 {
            *self = right;
            return;
        }
        self.share_with(keys.key(right.id(0)), keys);
        right.share_with(keys.key(self.id(0)), keys);
        let skip = self.skip.min(right.skip);
        self.share(usize::from(skip), keys);
        right.share(usize::from(skip), keys);
        let (len, more) = (self.len(), right.len());
        self.heads[len..len + more].copy_from_slice(&right.heads[..more]);
        self.ids[len..len + more].copy_from_slice(&right.ids[..more]);
        self.len += right.len;
    }

    /// Sees that a key begins with the bytes that all are taken to share.
    fn share_with(&mut self, key: &[u8], keys: &impl Keys) {
        let first = &keys.key(self.id(0))[..usize::from(self.skip)];
        let shared = first.iter().zip(key).take_while(|(a, b)| a == b).count();
        self.share(shared, keys);
    }

    /// Takes fewer bytes to be shared. What heads lack is among those that all keys share.
    fn share(&mut self, skip: usize, keys: &impl Keys) {
        let before = usize::from(self.skip);
        if skip >= before {
            return;
        }
        let first = keys.key(self.id(0));
        let known = (before - skip).min(HEAD);
        let bytes = head(&first[..skip + known], skip);
        for at in 0..self.len() {
            self.heads[at] =
                if known == HEAD { bytes } else { bytes | self.heads[at] >> (8 * known) };
        }
        self.skip = skip as u16;
    }

    /// Finds out how many bytes are shared now: as many as by the first key and the last.
    fn share_more(&mut self, keys: &impl Keys) {
        let Some(last) = self.len().checked_sub(1) else { return };
        let (first, last) = (keys.key(self.id(0)), keys.key(self.id(last)));
        let skip = first.iter().zip(last).take_while(|(a, b)| a == b).count();
        if skip != usize::from(self.skip) {
            for at in 0..self.len() {
                self.heads[at] = head(keys.key(self.id(at)), skip);
            }
            self.skip = skip as u16;
        }
    }

    /// Panics if the keys are out of order or a head is not theirs.
    pub(super) fn validate(&self, keys: &impl Keys) {
        let skip = usize::from(self.skip);
        for at in 0..self.len() {
            let key = keys.key(self.id(at));
            assert_eq!(
                key[..skip],
                keys.key(self.id(0))[..skip],
                "a key does not share its lane's"
            );
            assert_eq!(self.heads[at], head(key, skip), "a head is not its key's");
            assert!(at == 0 || keys.key(self.id(at - 1)) < key, "keys are out of order");
        }
    }
}

/// The bytes of a key from `skip` on that are cached, as a number that is in their order. Where the key
/// ends there are zeros, so keys that differ may have the same.
fn head(key: &[u8], skip: usize) -> u32 {
    let rest = &key[skip..];
    let mut bytes = [0; HEAD];
    let len = rest.len().min(HEAD);
    bytes[..len].copy_from_slice(&rest[..len]);
    u32::from_be_bytes(bytes)
}
