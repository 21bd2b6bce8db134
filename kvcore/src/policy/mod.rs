//! Which entry goes when room is needed. One file for each policy; a policy sees places and
//! tokens, never keys, values, locks or the log.

mod random;

use crate::slab::{EntryId, Slab};

/// The eviction policy of one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Nothing goes: a full store refuses.
    None,
    /// Any entry may go.
    Random,
}

impl Policy {
    /// The policy of this name in the table of options.
    pub(crate) fn named(name: &str) -> Policy {
        if name == "random" { Policy::Random } else { Policy::None }
    }

    /// Whether anything may go at all.
    pub(crate) fn may_evict(self) -> bool {
        self != Policy::None
    }

    /// The entry that should go, of those that `may_go`.
    pub(crate) fn victim(self, slab: &Slab, may_go: impl Fn(EntryId) -> bool) -> Option<EntryId> {
        match self {
            Policy::None => None,
            Policy::Random => random::victim(slab, may_go),
        }
    }
}
