//! A sorted scan of a store that keeps its keys sorted: each shard has its own order, and they are
//! merged.
//!
//! Some entries of each shard are read ahead; the first of all of them is the next one.

use std::collections::VecDeque;

use super::{AHEAD, AHEAD_BYTES, Entry, Wanted};
use crate::error::Result;
use crate::order::From;
use crate::store::Core;

/// Entries of a shard that are read ahead at first, where no limit says how many are wanted.
const FIRST: usize = 16;

/// Bytes of keys and values that are read ahead of each shard, beside those of one entry.
const SHARD_BYTES: usize = AHEAD_BYTES / 4;

/// Entries that are looked at under one hold of a shard's lock, with those that have expired.
const LOOKED_AT: usize = 1024;

/// Where a sorted scan is in every shard.
pub(super) struct Merge {
    backwards: bool,
    shards: Vec<Cursor>,
}

/// Where it is in one.
struct Cursor {
    ahead: VecDeque<Entry>,
    /// The last key that was read.
    after: Option<Vec<u8>>,
    /// Entries to read ahead the next time.
    enough: usize,
    /// Whether everything that is wanted was read.
    is_done: bool,
}

impl Merge {
    pub(super) fn new(backwards: bool, shards: usize, limit: u64) -> Merge {
        // A little more than the share of a shard, so that most are asked once.
        let share = usize::try_from(limit).unwrap_or(usize::MAX) / shards;
        let enough = if limit == u64::MAX { FIRST } else { (share + share / 2 + 4).min(AHEAD) };
        let cursor = || Cursor { ahead: VecDeque::new(), after: None, enough, is_done: false };
        Merge { backwards, shards: std::iter::repeat_with(cursor).take(shards).collect() }
    }

    /// The next entry; it may have expired since it was read.
    pub(super) fn next(
        &mut self,
        core: &Core,
        wanted: &Wanted,
        contents: u64,
    ) -> Result<Option<Entry>> {
        let mut first: Option<(usize, &[u8])> = None;
        for (number, cursor) in self.shards.iter_mut().enumerate() {
            while cursor.ahead.is_empty() && !cursor.is_done {
                cursor.read_ahead(core, number, self.backwards, wanted, contents)?;
            }
            let Some(entry) = cursor.ahead.front() else { continue };
            let comes_first = |other: &[u8]| (entry.key() < other) != self.backwards;
            if first.is_none_or(|(_, key)| comes_first(key)) {
                first = Some((number, entry.key()));
            }
        }
        Ok(first.map(|(number, _)| number).and_then(|number| self.shards[number].ahead.pop_front()))
    }
}

impl Cursor {
    fn read_ahead(
        &mut self,
        core: &Core,
        number: usize,
        backwards: bool,
        wanted: &Wanted,
        contents: u64,
    ) -> Result<()> {
        let bounds = &wanted.bounds;
        let from = match (&self.after, backwards) {
            (Some(key), _) => Some(From { key, included: false }),
            (None, false) => Some(From { key: &bounds.start, included: true }),
            (None, true) => bounds.end.as_ref().map(|key| From { key, included: false }),
        };
        let (mut last, mut looked_at, mut bytes) = (None, 0, 0);
        let (ahead, enough) = (&mut self.ahead, self.enough);
        let shard = core.read_shard(number);
        core.check_contents(contents)?;
        self.is_done = true;
        let is_done = &mut self.is_done;
        shard.visit_ordered(from, backwards, &core.context, |key, shown| {
            if !bounds.contains(key) {
                return false;
            }
            looked_at += 1;
            if let Some(shown) = shown.filter(|shown| wanted.admits(shown.version())) {
                let entry = shown.entry(wanted.keys_only, core.context.pins);
                bytes += entry.bytes();
                ahead.push_back(entry);
            }
            if ahead.len() < enough && bytes < SHARD_BYTES && looked_at < LOOKED_AT {
                return true;
            }
            (last, *is_done) = (Some(key.to_vec()), false);
            false
        });
        drop(shard);
        self.after = last;
        self.enough = AHEAD.min(self.enough * 2);
        Ok(())
    }
}
