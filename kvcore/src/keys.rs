//! Walks the keys of a store while it goes on changing.
//!
//! Owns: [`Keys`], a cursor over shards and, within one, over the hashes of its keys. The index keeps
//! its buckets in the order of the hashes however it grows, so an entry that is there during the whole
//! walk comes exactly once; one that comes or goes meanwhile may or may not come.

use crate::error::Result;
use crate::store::Store;

/// The keys of a store, in no order. Holds no lock between items, and little memory.
pub struct Keys {
    store: Store,
    shard: usize,
    /// The first hash that has not come yet.
    from: u32,
    ready: std::vec::IntoIter<Vec<u8>>,
}

impl Keys {
    pub(crate) fn new(store: Store) -> Self {
        Keys { store, shard: 0, from: 0, ready: Vec::new().into_iter() }
    }
}

impl Iterator for Keys {
    type Item = Result<Vec<u8>>;

    /// The next key. An error, such as `Closed`, is the last item.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(key) = self.ready.next() {
                return Some(Ok(key));
            }
            let core = &self.store.core;
            if self.shard >= core.shard_count() {
                return None;
            }
            let listed = core.state.check_read().and_then(|()| {
                let shard = core.read_shard(self.shard);
                core.state.check_open()?;
                let mut keys = Vec::new();
                let next = shard.visit_live(self.from, 1, &core.context, |shown| {
                    keys.push(shown.key().to_vec());
                    true
                });
                Ok((keys, next))
            });
            match listed {
                Ok((keys, next)) => {
                    self.ready = keys.into_iter();
                    self.shard += usize::from(next.is_none());
                    self.from = next.unwrap_or(0);
                }
                Err(error) => {
                    self.shard = core.shard_count();
                    return Some(Err(error));
                }
            }
        }
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}
