//! A scan in the order of hashes: shard by shard, some buckets at a time.
//!
//! With a view, the shards themselves know how far it has come, because a change asks for that.

use std::sync::Arc;

use super::{AHEAD, AHEAD_BYTES, Entry, Wanted};
use crate::error::Result;
use crate::shard::Shown;
use crate::store::Core;
use crate::views::View;

/// Buckets that are gone through under one hold of a shard's lock.
pub(super) const BUCKETS: usize = 64;

/// Where a walk is.
pub(super) struct Walk {
    shard: usize,
    /// The first hash that has not come yet.
    from: u32,
    /// The moment that it shows, if it is to be one.
    view: Option<Arc<View>>,
    ahead: std::vec::IntoIter<Entry>,
}

impl Walk {
    pub(super) fn new(view: Option<Arc<View>>) -> Walk {
        Walk { shard: 0, from: 0, view, ahead: Vec::new().into_iter() }
    }

    /// The next entry; it may have expired since it was read.
    pub(super) fn next(
        &mut self,
        core: &Core,
        wanted: &Wanted,
        contents: u64,
    ) -> Result<Option<Entry>> {
        loop {
            if let Some(entry) = self.ahead.next() {
                return Ok(Some(entry));
            }
            if self.shard >= core.shard_count() {
                return Ok(None);
            }
            self.ahead = self.read_ahead(core, wanted, contents)?.into_iter();
        }
    }

    fn read_ahead(&mut self, core: &Core, wanted: &Wanted, contents: u64) -> Result<Vec<Entry>> {
        let enough = wanted.left.min(AHEAD as u64) as usize;
        let (mut ahead, mut bytes) = (Vec::new(), 0);
        let each = |shown: Shown<'_>| {
            if wanted.bounds.contains(shown.key()) && wanted.admits(shown.version()) {
                let entry = shown.entry(wanted.keys_only, core.context.pins);
                bytes += entry.bytes();
                ahead.push(entry);
            }
            ahead.len() < enough && bytes < AHEAD_BYTES
        };
        let next = match &self.view {
            None => {
                let shard = core.read_shard(self.shard);
                core.check_contents(contents)?;
                shard.visit_live(self.from, BUCKETS, &core.context, each)
            }
            Some(view) => {
                let mut shard = core.write_shard(self.shard);
                core.check_contents(contents)?;
                shard.visit_view(view, BUCKETS, &core.context, each)
            }
        };
        self.shard += usize::from(next.is_none());
        self.from = next.unwrap_or(0);
        Ok(ahead)
    }
}
