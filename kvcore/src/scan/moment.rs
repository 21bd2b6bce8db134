//! A scan that shows the store as it was when it began.
//!
//! One of the ways through the store gives what has not changed since: entries that are younger than the
//! moment are left out. What did change left itself in the scan's [`View`] beforehand. Both are put
//! together here, in order if there is one.
//!
//! Invariants: entries are taken from the view after the way has read ahead, so whatever the way left out
//! because it had changed is there by then. No key comes twice: a walk tells the shards how far it has
//! come, so that what it gave leaves nothing; the other ways read ahead in order, so what both give meets
//! here.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Entry, Order, Wanted, Way};
use crate::error::Result;
use crate::store::Core;
use crate::value::{Value, ValueInfo};
use crate::views::{View, cost};

/// The moment that a scan shows, and the way it goes.
pub(super) struct Moment {
    core: Arc<Core>,
    view: Arc<View>,
    way: Way,
    /// What the way gave and is not given yet.
    ahead: Option<Entry>,
    /// Whether the way has come to its end.
    is_done: bool,
    /// Entries that changed since the moment and are not given yet, as they were.
    changed: BTreeMap<Vec<u8>, (Option<Value>, ValueInfo)>,
}

impl Moment {
    /// Of a view that is attached to the shards of `core`. `way` leads through them.
    pub(super) fn new(core: Arc<Core>, view: Arc<View>, way: Way) -> Moment {
        Moment { core, view, way, ahead: None, is_done: false, changed: BTreeMap::new() }
    }

    /// The next entry; it may have expired since the moment.
    ///
    /// # Errors
    /// `Conflict` if the moment can't be shown any more; as the way.
    pub(super) fn next(&mut self, wanted: &Wanted, contents: u64) -> Result<Option<Entry>> {
        if self.ahead.is_none() && !self.is_done {
            self.ahead = self.way.next(&self.core, wanted, contents)?;
            self.is_done = self.ahead.is_none();
        }
        // A store that was restored or closed was cleared for that, which is not what to answer.
        let changed = self
            .view
            .take()
            .or_else(|spoiled| self.core.check_contents(contents).and(Err(spoiled)))?;
        for Entry { key, value, info } in changed {
            self.changed.insert(key, (value, info));
        }
        Ok(match self.ahead.take() {
            Some(ahead) if !self.changed_comes_first(&ahead.key) => Some(self.given(ahead)),
            ahead => {
                self.ahead = ahead;
                self.next_changed()
            }
        })
    }

    /// Gives what the way gave.
    fn given(&mut self, ahead: Entry) -> Entry {
        // It may have changed after it was read ahead, and is the same in both then.
        let twice = self.changed.remove(&ahead.key).map(|(value, _)| value);
        let bytes = twice.map_or(0, |value| count(&ahead.key, value.as_ref()));
        self.view.given(&ahead.key, bytes);
        ahead
    }

    /// Whether an entry that changed has its turn before this key. In no order it has, which makes room.
    fn changed_comes_first(&self, key: &[u8]) -> bool {
        match self.view.order() {
            Order::None => !self.changed.is_empty(),
            Order::Asc => self.changed.first_key_value().is_some_and(|(first, _)| **first < *key),
            Order::Desc => self.changed.last_key_value().is_some_and(|(last, _)| **last > *key),
        }
    }

    /// The first of the entries that changed.
    fn next_changed(&mut self) -> Option<Entry> {
        let (key, (value, info)) = match self.view.order() {
            Order::Desc => self.changed.pop_last(),
            Order::None | Order::Asc => self.changed.pop_first(),
        }?;
        self.view.given(&key, count(&key, value.as_ref()));
        Some(Entry { key, value, info })
    }
}

impl Drop for Moment {
    /// From now on nobody leaves anything for it.
    fn drop(&mut self) {
        if self.core.state.is_forked() {
            // A lock may have been held for ever at the moment of the fork, or what it guards half written.
            std::mem::forget((Arc::clone(&self.core), Arc::clone(&self.view)));
        } else {
            self.core.end_view(&self.view);
        }
    }
}

/// What an entry that was taken from the view counts for.
fn count(key: &[u8], value: Option<&Value>) -> u64 {
    cost(key.len(), value.map_or(0, |value| value.len()))
}

impl Core {
    /// Begins to show the moment of now, at which all shards are held. Also says which contents those are,
    /// as [`check_contents`](Core::check_contents) tells them apart.
    ///
    /// # Errors
    /// `Closed`.
    pub(super) fn begin_view(&self, wanted: &Wanted, order: Order) -> Result<(Arc<View>, u64)> {
        let most_bytes = self.scan_buffer_bytes();
        let mut shards = self.lock_all();
        self.state.check_open()?;
        let (revision, bounds) = (self.context.revision(), wanted.bounds.clone());
        let view = View::new(revision, bounds, order, wanted.keys_only, most_bytes);
        let view = Arc::new(view);
        shards.iter_mut().for_each(|shard| shard.attach(&view));
        Ok((view, self.context.contents()))
    }

    /// Takes a view off all shards that still have it.
    fn end_view(&self, view: &Arc<View>) {
        (0..self.shard_count()).for_each(|shard| self.write_shard(shard).detach(view));
    }
}
