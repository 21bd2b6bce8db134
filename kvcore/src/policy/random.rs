//! Random eviction: every entry is as likely to go as any other.
//!
//! Costs no memory and nothing on reads. Do not use it where some keys are much hotter than others:
//! it throws them out as readily as the rest.

use super::Residents;
use crate::slab::EntryId;

/// Entries tried. With one that may not go and another one beside it, that all tries meet the same is
/// less likely than a broken machine.
const TRIES: usize = 256;

pub(super) fn victim(residents: &mut impl Residents) -> Option<EntryId> {
    for _ in 0..TRIES {
        let id = residents.random()?;
        if residents.may_go(id) {
            return Some(id);
        }
    }
    None
}
