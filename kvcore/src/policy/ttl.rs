//! The entry whose deadline is closest goes first; those without one last, at random.
//!
//! Costs nothing beyond the timing wheel, which knows the order. Exact in one shard. Do not use it
//! where the time to live says nothing about use: it ignores hits.

use super::{Residents, random};
use crate::slab::EntryId;

pub(super) fn victim(residents: &mut impl Residents) -> Option<EntryId> {
    residents.closest_deadline().or_else(|| random::victim(residents))
}
