//! The keys of a shard in order, where the store keeps them so (`order`): every entry that comes, goes
//! or moves is told here.

use super::entries::Entries;
use super::scan::Shown;
use super::{Found, Shard, is_live};
use crate::clock::Now;
use crate::context::Context;
use crate::order::{From, Keys, OrderIndex};
use crate::slab::EntryId;

impl Keys for Entries<'_> {
    #[inline]
    fn key(&self, id: EntryId) -> &[u8] {
        Entries::key(*self, &self.get(id))
    }

    #[inline]
    fn prefetch(&self, id: EntryId) {
        self.space.words.prefetch(id.word());
    }
}

impl Shard {
    /// The order for a change, and the entries that it may read meanwhile.
    #[inline]
    fn order_and_entries(&mut self) -> Option<(&mut OrderIndex, Entries<'_>)> {
        let entries = Entries { space: &self.space, slab: &self.slab, large: &self.large };
        self.order.as_deref_mut().map(|order| (order, entries))
    }

    /// An entry has come.
    #[inline]
    pub(super) fn order_insert(&mut self, key: &[u8], id: EntryId) {
        if let Some((order, entries)) = self.order_and_entries() {
            order.insert(key, id, &entries);
        }
    }

    /// An entry is about to go.
    #[inline]
    pub(super) fn order_remove(&mut self, found: &Found) {
        if let Some((order, entries)) = self.order_and_entries() {
            order.remove(entries.key(found), &entries);
        }
    }

    /// An entry has another place, and its old one is still as it was.
    #[inline]
    pub(super) fn order_moved(&mut self, old: &Found, new: EntryId) {
        if let Some((order, entries)) = self.order_and_entries() {
            order.moved(entries.key(old), old.id, new, &entries);
        }
    }

    /// Bytes that the order takes.
    #[inline]
    pub(super) fn order_bytes(&self) -> usize {
        self.order.as_ref().map_or(0, |order| order.bytes())
    }

    /// Bytes that so many inserts may add to the order.
    #[inline]
    pub(super) fn order_growth(&self, inserts: usize) -> usize {
        self.order.as_ref().map_or(0, |order| order.growth_for(inserts))
    }

    /// The same, if there were no entries.
    pub(super) fn order_first_growth(&self, inserts: usize) -> usize {
        self.order.as_ref().map_or(0, |_| OrderIndex::new().growth_for(inserts))
    }

    /// Shows entries from a key on, in order or backwards, until `each` answers false. `None` stands
    /// for one that has expired. Nothing if the store keeps no order.
    pub(crate) fn visit_ordered(
        &self,
        from: Option<From<'_>>,
        backwards: bool,
        context: &Context,
        mut each: impl FnMut(&[u8], Option<Shown<'_>>) -> bool,
    ) {
        let Some(order) = &self.order else { return };
        let now = Now::new(&context.clock);
        let entries = self.entries();
        order.visit(from, backwards, &entries, |id| {
            let found = entries.get(id);
            let shown = is_live(&found, &now).then(|| Shown::new(self, found));
            each(Entries::key(entries, &found), shown)
        });
    }
}
