//! Keys that left unused, and when: 16 bits a key.
//!
//! Time is counted in departures. A slot holds 12 bits of a key's hash and an era of four bits:
//! eight eras are as many departures as there are slots, so ages are known to about an eighth of
//! that, and run around only when hardly any key of that age is still here. Buckets of 16 slots are
//! each in the order of departure: a new key pushes out the oldest of its bucket. That is nearly
//! one queue of the whole, without its links. A key that never was here is taken for one that was
//! with a chance of 16 in 4,095.
//!
//! The table has a slot for each entry of the shard, and [`EXTRA`] more in all but the smallest
//! shards: there the keys that left lately are few, and say little about the next ones. It is made
//! with the first departure, and anew, empty, when the shard has doubled or fallen to less than
//! half. What it may hold is charged from the first entry on, so that making it adds nothing when
//! there is no room.

use super::ghost::mix;

/// Slots in a bucket.
const SLOTS: usize = 16;
/// Slots beside one for each entry.
const EXTRA: usize = 768;
/// But no more than so many for each entry.
const EXTRA_EACH: usize = 9;
const ERA_BITS: u32 = 4;
const ERAS: u64 = 1 << ERA_BITS;
const PRINT: u16 = u16::MAX >> ERA_BITS;
/// What one more entry adds to the charge at most.
pub(super) const GROWTH: usize = (1 + EXTRA_EACH + SLOTS) * 2;

/// The keys of one shard that left.
#[derive(Debug, Default)]
pub(super) struct Departed {
    slots: Vec<u16>,
    now: u64,
}

impl Departed {
    /// How many have left.
    pub(super) fn now(&self) -> u64 {
        self.now
    }

    /// A key leaves a shard of `live` entries.
    pub(super) fn insert(&mut self, hash: u32, live: usize) {
        let fits = Self::slots_for(live.max(1));
        if self.slots.len() < fits.div_ceil(2) || self.slots.len() > fits.saturating_mul(2) {
            self.slots = vec![0; fits];
        }
        self.now += 1;
        let stamped = fingerprint(hash) | (self.era() as u16) << PRINT.count_ones();
        let bucket = self.bucket(hash);
        bucket.copy_within(..SLOTS - 1, 1);
        bucket[0] = stamped;
    }

    /// Forgets a key. Answers about how many left after it; `None` if it is not known.
    pub(super) fn take(&mut self, hash: u32) -> Option<u64> {
        if self.slots.is_empty() {
            return None;
        }
        let print = fingerprint(hash);
        let bucket = self.bucket(hash);
        let at = bucket.iter().position(|slot| *slot & PRINT == print)?;
        let era = u64::from(bucket[at] >> PRINT.count_ones());
        bucket.copy_within(at + 1.., at);
        bucket[SLOTS - 1] = 0;
        let into = self.now % self.era_len();
        Some(match (self.era() + ERAS - era) % ERAS {
            0 => into / 2,
            eras => into + (eras - 1) * self.era_len() + self.era_len() / 2,
        })
    }

    pub(super) fn bytes(&self, live: usize) -> usize {
        Self::slots_for(live).max(self.slots.len()) * 2
    }

    fn slots_for(live: usize) -> usize {
        (live + EXTRA.min(live * EXTRA_EACH)).div_ceil(SLOTS) * SLOTS
    }

    fn era_len(&self) -> u64 {
        (self.slots.len() as u64 * 2 / ERAS).max(1)
    }

    fn era(&self) -> u64 {
        self.now / self.era_len() % ERAS
    }

    fn bucket(&mut self, hash: u32) -> &mut [u16] {
        let buckets = (self.slots.len() / SLOTS) as u64;
        let bucket = (((mix(hash) >> 32) * buckets) >> 32) as usize * SLOTS;
        &mut self.slots[bucket..bucket + SLOTS]
    }
}

/// Never 0, which marks a vacant slot.
fn fingerprint(hash: u32) -> u16 {
    (mix(hash) as u16 & PRINT).max(1)
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn ages_are_known_to_an_era() {
        let mut departed = Departed::default();
        for key in 0..10_000 {
            departed.insert(key, 1_000);
        }
        let off = departed.era_len();
        let mut known = 0;
        for back in (10..1_500).step_by(20) {
            let Some(age) = departed.take(9_999 - back) else { continue };
            known += u32::from(age.abs_diff(u64::from(back)) <= off);
        }
        assert!(known > 60, "{known} of 75");
        assert_eq!(departed.take(9_989), None, "it was taken");
    }

    #[test]
    fn strangers_are_hardly_ever_taken_for_known() {
        let mut departed = Departed::default();
        (0..10_000).for_each(|key| departed.insert(key, 1_000));
        let wrong = (20_000..30_000).filter(|key| departed.take(*key).is_some()).count();
        assert!(wrong < 100, "{wrong}");
    }

    #[test]
    fn the_charge_foretells_the_table() {
        let mut departed = Departed::default();
        let mut charged = 0;
        for live in 1..5_000 {
            assert!(departed.bytes(live) <= charged + GROWTH);
            charged = departed.bytes(live);
            departed.insert(live as u32, live);
            assert_eq!(departed.bytes(live), charged);
        }
        assert_eq!(Departed::default().bytes(0), 0);
    }
}
