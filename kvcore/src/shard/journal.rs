//! What a shard does for durability: it records its changes, and shows a snapshot its entries as they
//! were when that began.
//!
//! A snapshot goes through the index in the order of hashes, some entries at a time. `Picture` is how
//! far it has come. An entry that it has not come to, and that is as old as the picture, leaves an image
//! before it changes; one that is younger is none of its business. An entry that has expired is left out.

use std::sync::Arc;

use super::{Change, Found, Refusal, Shard, is_live};
use crate::clock::Now;
use crate::entry::Head;
use crate::images::Image;
use crate::journal::Lack;
use crate::planted::{Planted, is_planted};
use crate::record::Record;
use crate::value::{LargeValue, PinMeter, Value, ValueInfo};

/// Bits of a hash below those that the index is ordered by.
pub(super) const LOW_BITS: u32 = 6;

/// Bytes of the longest key.
const LONGEST_KEY: usize = u16::MAX as usize;

/// How far a snapshot has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Picture {
    /// The last revision that it shows.
    revision: u64,
    /// The hash number that it goes on with.
    next: u32,
}

/// Who looks at a picture. Under the shard's lock.
pub(crate) trait Viewer {
    /// Sees an entry.
    fn see(&mut self, key: &[u8], value: &[u8], head: &Head, access: u8);
    /// Sees an entry whose value is shared.
    fn see_large(&mut self, image: Image);
}

/// Tells the log what was changed.
#[inline]
pub(super) fn record(record: Record<'_>, change: &mut Change<'_>) {
    change.context.journal.record(&mut change.unit, &record);
}

/// Tells the log and the watches that an entry has another deadline.
#[inline]
pub(super) fn record_touch(key: &[u8], mut deadline: i64, version: u64, change: &mut Change<'_>) {
    if is_planted(Planted::RelativeDeadline) {
        deadline -= change.now.ms();
    }
    record(Record::Touch { key, deadline, version }, change);
    if let Some(told) = change.tells() {
        told.touched(version, key, deadline);
    }
}

/// Tells the log and the watches that an entry is now what it is. `large` is its value, if that is
/// shared.
#[inline]
pub(super) fn record_set(
    key: &[u8],
    value: [&[u8]; 2],
    large: Option<&Arc<LargeValue>>,
    head: &Head,
    change: &mut Change<'_>,
) {
    let (deadline, version) = (head.deadline, head.version);
    if change.only_redates {
        record_touch(key, deadline, version, change);
    } else {
        if let Some(told) = change.tells() {
            match large {
                Some(large) => told.set_large(version, key, large, deadline),
                None => told.set(version, key, value, deadline),
            }
        }
        let created_at_ms = head.access().map(|(created_at_ms, _)| created_at_ms);
        record(Record::Set { key, value, deadline, version, created_at_ms }, change);
    }
}

impl Shard {
    /// Sees that a change of an entry, or a new one, can be recorded: room in the log for a record of
    /// key and value of so many bytes, and an image for a snapshot under way. Before anything changes.
    #[inline]
    pub(super) fn prepare(
        &self,
        hash: u32,
        found: Option<&Found>,
        key_and_value: usize,
        change: &mut Change<'_>,
    ) -> Result<(), Refusal> {
        if self.picture.is_none() && change.context.journal.log().is_none() {
            return Ok(());
        }
        self.prepare_journal(hash, found, key_and_value, change)
    }

    #[inline(never)]
    fn prepare_journal(
        &self,
        hash: u32,
        found: Option<&Found>,
        key_and_value: usize,
        change: &mut Change<'_>,
    ) -> Result<(), Refusal> {
        change.reserve_records(1, key_and_value)?;
        found.map_or(Ok(()), |found| self.prepare_image(hash, found, change))
    }

    /// Leaves an image of an entry that is about to change, if a snapshot under way needs one.
    fn prepare_image(&self, hash: u32, found: &Found, change: &Change<'_>) -> Result<(), Refusal> {
        let bytes = self.image_bytes(hash, found, change);
        if bytes > 0 {
            if !change.context.journal.images.has_room(bytes) {
                return Err(Refusal::Lacks(Lack::Images(bytes)));
            }
            change.context.journal.images.keep(self.image(hash, found, change.context.pins));
        }
        Ok(())
    }

    /// Bytes of the image of an entry that a snapshot under way needs before the entry changes; 0 if it
    /// needs none.
    pub(super) fn image_bytes(&self, hash: u32, found: &Found, change: &Change<'_>) -> usize {
        if !self.pictures(hash, found, &change.now) {
            return 0;
        }
        let entries = self.entries();
        Image::cost(entries.key(found).len() + entries.value(found).len())
    }

    /// Sees that the removal of any one entry can be recorded, however long its key.
    pub(super) fn prepare_any(&self, change: &mut Change<'_>) -> Result<(), Refusal> {
        let bytes = Image::cost(0);
        if self.picture.is_some() && !change.context.journal.images.has_room(bytes) {
            return Err(Refusal::Lacks(Lack::Images(bytes)));
        }
        change.reserve_records(1, LONGEST_KEY)
    }

    /// As [`prepare_image`](Shard::prepare_image), where there is room for the image.
    pub(super) fn keep_image(&self, hash: u32, found: &Found, change: &Change<'_>) {
        if self.pictures(hash, found, &change.now) {
            change.context.journal.images.keep(self.image(hash, found, change.context.pins));
        }
    }

    /// Whether a snapshot under way needs an entry as it is now.
    fn pictures(&self, hash: u32, found: &Found, now: &Now<'_>) -> bool {
        self.picture.is_some_and(|picture| {
            found.head.version <= picture.revision
                && hash >> LOW_BITS >= picture.next
                && is_live(found, now)
        })
    }

    fn image(&self, hash: u32, found: &Found, pins: &'static PinMeter) -> Image {
        let entries = self.entries();
        let info = ValueInfo::of(&found.head);
        let value = match entries.large_part(found) {
            Some(large) => Value::share(&large.value, info),
            None => Value::copy(entries.value(found), pins, info),
        };
        let access = self.saved_access(hash, found);
        Image { key: entries.key(found).into(), value, head: found.head, access }
    }

    /// What the policy knows of the use of an entry.
    fn saved_access(&self, hash: u32, found: &Found) -> u8 {
        let access = self.space.table.access(hash, found.id).unwrap_or(0);
        self.policy.saved_access(access, &self.space.recency)
    }

    /// Begins a picture of this shard as it is now.
    pub(crate) fn begin_picture(&mut self, revision: u64) {
        self.picture = Some(Picture { revision, next: 0 });
    }

    /// Ends the picture, complete or not.
    pub(crate) fn end_picture(&mut self) {
        self.picture = None;
    }

    /// Goes on with the picture: shows the entries of the next few buckets that are as old as it is.
    /// `false` after the last ones.
    pub(crate) fn show_picture(
        &mut self,
        buckets: usize,
        now: &Now<'_>,
        pins: &'static PinMeter,
        viewer: &mut impl Viewer,
    ) -> bool {
        let Some(picture) = self.picture else { return false };
        let entries = self.entries();
        let mut next = Some(picture.next);
        for _ in 0..buckets {
            let Some(from) = next else { break };
            next = self.space.table.visit(from, |number, id| {
                let found = entries.get(id);
                if found.head.version <= picture.revision && is_live(&found, now) {
                    let hash = number << LOW_BITS;
                    if entries.large_part(&found).is_some() {
                        viewer.see_large(self.image(hash, &found, pins));
                    } else {
                        let access = self.saved_access(hash, &found);
                        viewer.see(entries.key(&found), entries.value(&found), &found.head, access);
                    }
                }
            });
        }
        self.picture = next.map(|next| Picture { next, ..picture });
        next.is_some()
    }
}
