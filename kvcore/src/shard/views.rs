//! What a shard does for scans of one moment: an entry that is about to change is left to them as it was.
//!
//! A change leaves an entry at the step that can't fail any more, so what a view has of an entry is also
//! what changed, and exactly once. A walk goes through the index in the order of hashes and notes here how
//! far it has come; what lies behind it changes without leaving anything. Scans in an order of keys stay at
//! the beginning, and the view itself knows which keys it is done with.

use std::sync::Arc;

use super::journal::LOW_BITS;
use super::{Change, Found, Shard, Shown, is_live};
use crate::clock::Now;
use crate::context::Context;
use crate::planted::{Planted, is_planted};
use crate::views::View;

/// A view that needs this shard.
pub(super) struct Viewed {
    view: Arc<View>,
    /// The hash number that a walk goes on with.
    next: u32,
}

impl Viewed {
    /// Whether an entry is one that the view needs as it is now, as far as the shard can tell.
    fn awaits(&self, hash: u32, found: &Found, key: &[u8]) -> bool {
        found.head.version <= self.view.revision()
            && hash >> LOW_BITS >= self.next
            && self.view.wanted(key)
    }
}

impl Shard {
    /// Begins a view of this shard as it is now.
    pub(crate) fn attach(&mut self, view: &Arc<View>) {
        self.views.push(Viewed { view: Arc::clone(view), next: 0 });
    }

    /// Ends a view, if it still needs this shard.
    pub(crate) fn detach(&mut self, view: &Arc<View>) {
        self.views.retain(|viewed| !Arc::ptr_eq(&viewed.view, view));
    }

    /// Ends all views, because everything is taken out.
    pub(super) fn clear_views(&mut self) {
        self.views.drain(..).for_each(|viewed| viewed.view.cleared());
    }

    /// Leaves an entry to the views that need it. Before it changes, or goes.
    #[inline]
    pub(super) fn leave(&self, hash: u32, found: &Found, change: &Change<'_>) {
        if !self.views.is_empty() {
            self.leave_to_views(hash, found, change);
        }
    }

    #[cold]
    #[inline(never)]
    fn leave_to_views(&self, hash: u32, found: &Found, change: &Change<'_>) {
        if !is_live(found, &change.now) || is_planted(Planted::NothingLeft) {
            return;
        }
        let shown = Shown::new(self, *found);
        for viewed in self.views.iter().filter(|viewed| viewed.awaits(hash, found, shown.key())) {
            let entry = |keys_only| shown.entry(keys_only, change.context.pins);
            viewed.view.keep(shown.key(), shown.value_len(), entry);
        }
    }

    /// Whether a change of an entry would leave it to a view, which then shares a large value.
    pub(super) fn is_awaited(&self, hash: u32, found: &Found, now: &Now<'_>) -> bool {
        let key = || self.entries().key(found);
        !self.views.is_empty()
            && is_live(found, now)
            && self.views.iter().any(|viewed| viewed.awaits(hash, found, key()))
    }

    /// As [`visit_live`](Shard::visit_live), from where the walk of a view goes on. After the last part
    /// the view needs this shard no more.
    pub(crate) fn visit_view(
        &mut self,
        view: &Arc<View>,
        buckets: usize,
        context: &Context,
        each: impl FnMut(Shown<'_>) -> bool,
    ) -> Option<u32> {
        let place = self.views.iter().position(|viewed| Arc::ptr_eq(&viewed.view, view))?;
        let next = self.visit_live(self.views[place].next, buckets, context, each);
        match next {
            Some(next) => self.views[place].next = next,
            None => drop(self.views.swap_remove(place)),
        }
        next
    }
}
