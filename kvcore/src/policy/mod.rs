//! Which entry goes when room is needed. One file for each policy; a policy sees places, tags,
//! weights and hashes, never keys, values, locks or the log.
//!
//! One instance a shard, used under the shard's lock. What a hit does is the exception: readers
//! change the six access bits in an entry's slot of the index without the lock, by
//! [`Touch::touched`], a function of the bits alone (and of a clock, for `lru`). Policies look at
//! the bits when they look at the entry.
//!
//! Order is kept in records: ids of 4 bytes in first-in first-out lists. Nobody takes a record
//! out of the middle. When its entry goes, or moves to another list, it becomes stale, and is
//! dropped when it is met: the tag byte in an entry says which list holds its valid record. There is
//! one valid record for each entry, except for one that was just given as a victim.
//! [`Policy::tidy`] keeps stale records from outnumbering the valid ones by much.
//!
//! Why not lists linked through the entries, as textbooks have them: they cost two links an entry,
//! and a hit takes the lock and writes to three entries.

mod departed;
mod ghost;
mod lfu;
mod lists;
mod lru;
mod random;
mod recency;
mod room;
mod s3fifo;
mod sketch;
#[cfg(all(test, not(kv_shuttle)))]
mod tests;
mod tinylfu;
mod ttl;
mod window;

pub(crate) use recency::Recency;

use crate::slab::EntryId;

/// Lines and a ghost's slack that one call may add, at most.
const GROWTH: usize = 1024;

/// Entries that may not go and are passed over, before a search is given up. One that is being written
/// is nearly all there ever is; of a batch, the shard finds what is left by itself.
const SPARED: usize = 8;

/// What each further entry of one call may add: records in a few lists, slots of a ghost and a sketch.
const GROWTH_EACH: usize = 64;

/// What the shard writes beside a new entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Into the entry.
    pub(crate) tag: u8,
    /// Into its slot of the index.
    pub(crate) access: u8,
}

/// What a policy may ask of its shard.
pub(crate) trait Residents {
    /// The tag of the entry that starts here; `None` if none does. Any id may be asked for.
    fn tag(&self, id: EntryId) -> Option<u8>;
    /// Changes the tag of a live entry.
    fn set_tag(&mut self, id: EntryId, tag: u8);
    /// The access bits of a live entry.
    fn access(&self, id: EntryId) -> u8;
    /// Changes the access bits of a live entry.
    fn set_access(&mut self, id: EntryId, access: u8);
    /// The hash of a live entry's key: always the same for the same key.
    fn hash(&self, id: EntryId) -> u32;
    /// What a live entry is charged.
    fn weight(&self, id: EntryId) -> usize;
    /// Whether a live entry may go; the one that is being written may not.
    fn may_go(&self, id: EntryId) -> bool;
    /// Some live entry, each about as likely.
    fn random(&mut self) -> Option<EntryId>;
    /// The entry with the closest deadline, of those that may go.
    fn closest_deadline(&mut self) -> Option<EntryId>;
}

/// What a hit does to the access bits of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Touch {
    /// Nothing.
    None,
    /// They become the present quantum.
    Stamp,
    /// The low four count up to `most`; the high two are the policy's own.
    Low {
        /// The highest count.
        most: u8,
    },
    /// They count: exactly up to `exact`, above that by chance, and up to `most`.
    Count {
        /// Counts up to this one are exact.
        exact: u8,
        /// The highest count.
        most: u8,
    },
}

impl Touch {
    /// The access bits after a hit. If they are the same, nothing need be written.
    #[inline]
    pub(crate) fn touched(self, access: u8, recency: &Recency) -> u8 {
        match self {
            Touch::None => access,
            Touch::Stamp => recency.touch(access),
            Touch::Low { most } => access + u8::from(access & 15 < most),
            Touch::Count { exact, .. } if access < exact => access + 1,
            Touch::Count { exact, most } if access < most => {
                let odds = 1u64 << ((access - exact) / 4 + 1);
                access + u8::from(crate::random::up_to(odds - 1) == 0)
            }
            Touch::Count { .. } => access,
        }
    }
}

/// The eviction policy of one shard, with its state.
pub(crate) enum Policy {
    /// Nothing goes: a full store refuses.
    None,
    /// Any entry may go.
    Random,
    /// The closest deadline goes first.
    Ttl,
    /// See [`lru`].
    Lru(lru::Lru),
    /// See [`lfu`].
    Lfu(lfu::Lfu),
    /// See [`s3fifo`].
    S3Fifo(Box<s3fifo::S3Fifo>),
    /// See [`tinylfu`].
    TinyLfu(tinylfu::TinyLfu),
}

impl Policy {
    /// The policy of this name in the table of options.
    pub(crate) fn named(name: &str) -> Policy {
        match name {
            "random" => Policy::Random,
            "ttl" => Policy::Ttl,
            "lru" => Policy::Lru(lru::Lru::new()),
            "lfu" => Policy::Lfu(lfu::Lfu::new()),
            "s3fifo" => Policy::S3Fifo(Box::new(s3fifo::S3Fifo::new())),
            "tinylfu" => Policy::TinyLfu(tinylfu::TinyLfu::new()),
            _ => Policy::None,
        }
    }

    /// Whether entries carry a tag byte.
    pub(crate) fn needs_tag(&self) -> bool {
        !matches!(self, Policy::None | Policy::Random | Policy::Ttl)
    }

    /// Whether anything may go at all.
    pub(crate) fn may_evict(&self) -> bool {
        !matches!(self, Policy::None)
    }

    /// What a hit does.
    pub(crate) fn touch(&self) -> Touch {
        match self {
            Policy::None | Policy::Random | Policy::Ttl => Touch::None,
            Policy::Lru(_) => Touch::Stamp,
            Policy::Lfu(_) => Touch::Count { exact: lfu::EXACT, most: lfu::MOST },
            Policy::S3Fifo(_) => Touch::Low { most: s3fifo::MOST },
            Policy::TinyLfu(_) => Touch::Low { most: tinylfu::HITS },
        }
    }

    /// A new entry is there. The shard writes the answer beside it.
    pub(crate) fn admitted(
        &mut self,
        id: EntryId,
        hash: u32,
        weight: usize,
        recency: &Recency,
    ) -> Mark {
        match self {
            Policy::None | Policy::Random | Policy::Ttl => Mark { tag: 0, access: 0 },
            Policy::Lru(policy) => policy.admitted(id, recency),
            Policy::Lfu(policy) => policy.admitted(id),
            Policy::S3Fifo(policy) => policy.admitted(id, hash, weight),
            Policy::TinyLfu(policy) => policy.admitted(id, hash, weight),
        }
    }

    /// An entry has a new place, a new weight, or both. Answers with its new tag.
    pub(crate) fn moved(&mut self, old: EntryId, new: EntryId, tag: u8, weights: [usize; 2]) -> u8 {
        let place = (old != new).then_some(new);
        match (self, place) {
            (Policy::S3Fifo(policy), _) => policy.moved(place, tag, weights),
            (Policy::TinyLfu(policy), _) => policy.moved(place, tag, weights),
            (Policy::Lru(policy), Some(id)) => policy.moved(id, tag),
            (Policy::Lfu(policy), Some(id)) => policy.moved(id, tag),
            _ => tag,
        }
    }

    /// An entry is gone, for whatever reason; victims too. `tag` is the one it had in the end.
    pub(crate) fn removed(&mut self, tag: u8, weight: usize) {
        match self {
            Policy::None | Policy::Random | Policy::Ttl => (),
            Policy::Lru(policy) => policy.removed(),
            Policy::Lfu(policy) => policy.removed(),
            Policy::S3Fifo(policy) => policy.removed(tag, weight),
            Policy::TinyLfu(policy) => policy.removed(tag, weight),
        }
    }

    /// Every entry is gone.
    pub(crate) fn cleared(&mut self) {
        match self {
            Policy::None | Policy::Random | Policy::Ttl => (),
            Policy::Lru(policy) => policy.cleared(),
            Policy::Lfu(policy) => *policy = lfu::Lfu::new(),
            Policy::S3Fifo(policy) => **policy = s3fifo::S3Fifo::new(),
            Policy::TinyLfu(policy) => *policy = tinylfu::TinyLfu::new(),
        }
    }

    /// The entry that should go. The shard removes it: it has no record any more.
    pub(crate) fn victim(
        &mut self,
        residents: &mut impl Residents,
        recency: &Recency,
    ) -> Option<EntryId> {
        match self {
            Policy::None => None,
            Policy::Random => random::victim(residents),
            Policy::Ttl => ttl::victim(residents),
            Policy::Lru(policy) => policy.victim(residents, recency),
            Policy::Lfu(policy) => policy.victim(residents),
            Policy::S3Fifo(policy) => policy.victim(residents),
            Policy::TinyLfu(policy) => policy.victim(residents),
        }
    }

    /// Looks at up to about `steps` records, if there is a reason to. Called with every write. With `rests`
    /// nothing is evicted for now, so that only stale records are a reason for a policy that pays for its order.
    pub(crate) fn tidy(
        &mut self,
        steps: usize,
        rests: bool,
        residents: &mut impl Residents,
        recency: &Recency,
    ) {
        match self {
            Policy::None | Policy::Random | Policy::Ttl => (),
            Policy::Lru(policy) if rests && !policy.is_stale() => (),
            Policy::Lru(policy) => policy.tidy(steps, residents, recency),
            Policy::Lfu(policy) => policy.tidy(steps, residents),
            Policy::S3Fifo(policy) => policy.tidy(steps, residents),
            Policy::TinyLfu(policy) => policy.tidy(steps, residents),
        }
    }

    /// What the access bits of an entry say to a later life of the store.
    pub(crate) fn saved_access(&self, access: u8, recency: &Recency) -> u8 {
        match self {
            Policy::Lru(_) => lru::Lru::age(access, recency),
            _ => access,
        }
    }

    /// Takes in an entry of an earlier life, with what was saved of its access bits.
    pub(crate) fn readmitted(
        &mut self,
        id: EntryId,
        hash: u32,
        weight: usize,
        access: u8,
        recency: &Recency,
    ) -> Mark {
        match self {
            Policy::Lru(policy) => policy.readmitted(access),
            _ if access == 0 => self.admitted(id, hash, weight, recency),
            _ => Mark { access, ..self.admitted(id, hash, weight, recency) },
        }
    }

    /// Whether [`resume`](Policy::resume) does anything.
    pub(crate) fn resumes(&self) -> bool {
        matches!(self, Policy::Lru(_))
    }

    /// Goes on with the entries of an earlier life, all of which were taken in.
    pub(crate) fn resume(
        &mut self,
        ids: &[EntryId],
        residents: &mut impl Residents,
        recency: &Recency,
    ) {
        if let Policy::Lru(policy) = self {
            policy.resume(ids, residents, recency);
        }
    }

    /// Bytes charged now.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Policy::None | Policy::Random | Policy::Ttl => 0,
            Policy::Lru(policy) => policy.bytes(),
            Policy::Lfu(policy) => policy.bytes(),
            Policy::S3Fifo(policy) => policy.bytes(),
            Policy::TinyLfu(policy) => policy.bytes(),
        }
    }

    /// Bytes that the next entry adds at most, with the `tidy` after it.
    pub(crate) fn growth(&self) -> usize {
        match self {
            Policy::None | Policy::Random => 0,
            // The wheel's, when it is asked for the victim.
            Policy::Ttl => crate::expiry::CLOSEST_GROWTH,
            Policy::Lru(policy) => policy.growth(),
            Policy::TinyLfu(policy) => policy.growth(),
            Policy::S3Fifo(policy) => policy.growth(),
            Policy::Lfu(_) => GROWTH,
        }
    }

    /// Bytes that the next `more` entries add at most, with the `tidy` after them.
    pub(crate) fn growth_for(&self, more: usize) -> usize {
        let each = match self {
            Policy::None | Policy::Random | Policy::Ttl => 0,
            Policy::Lru(_) | Policy::Lfu(_) | Policy::S3Fifo(_) | Policy::TinyLfu(_) => GROWTH_EACH,
        };
        more.checked_sub(1).map_or(0, |others| self.growth() + others * each)
    }

    /// Bytes that the first entry of an empty shard adds at most.
    pub(crate) fn first_growth(&self) -> usize {
        match self {
            Policy::TinyLfu(policy) => policy.first_growth(),
            _ => self.growth(),
        }
    }

    /// Checks that each entry has its record.
    pub(crate) fn validate(&self, residents: &impl Residents) -> Result<(), String> {
        match self {
            Policy::None | Policy::Random | Policy::Ttl => Ok(()),
            Policy::Lru(policy) => policy.validate(residents),
            Policy::Lfu(policy) => policy.validate(residents),
            Policy::S3Fifo(policy) => policy.validate(residents),
            Policy::TinyLfu(policy) => policy.validate(residents),
        }
    }
}

/// What `validate` of every policy ends with.
fn all_listed(listed: usize, live: usize) -> Result<(), String> {
    if listed == live { Ok(()) } else { Err(format!("{listed} of {live} entries have a record")) }
}
