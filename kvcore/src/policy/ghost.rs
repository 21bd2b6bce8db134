//! Keys that were evicted lately, as 16-bit fingerprints: 2 bytes a key.
//!
//! Buckets of 16 fingerprints, each in the order of arrival: a new one pushes out the oldest of its
//! bucket. That is nearly one queue of the whole, without its links or positions. A key that never
//! was here is taken for one that was with a chance of 16 in 65,535.
//!
//! The table is made for as many keys as the shard has when it evicts first, and anew, empty, when
//! that number has doubled or fallen to less than half. What it may hold is charged from the first
//! entry on ([`Ghost::bytes`]), so that making it adds nothing when there is no room.

/// Fingerprints in a bucket.
const SLOTS: usize = 16;
/// Bytes charged beside 2 a key: one bucket that is not full.
const SLACK: usize = SLOTS * 2;

#[derive(Debug, Default)]
pub(super) struct Ghost {
    slots: Vec<u16>,
}

impl Ghost {
    /// Remembers a key, in a table for `live` keys.
    pub(super) fn insert(&mut self, hash: u32, live: usize) {
        let fits = live.div_ceil(SLOTS).max(1) * SLOTS;
        if self.slots.len() < fits.div_ceil(2) || self.slots.len() > fits.saturating_mul(2) {
            self.slots = vec![0; fits];
        }
        let print = fingerprint(hash);
        let bucket = self.bucket(hash);
        let bucket = &mut self.slots[bucket..bucket + SLOTS];
        bucket.copy_within(..SLOTS - 1, 1);
        bucket[0] = print;
    }

    /// Forgets a key. Answers about how many were remembered after it; `None` if it was not here.
    pub(super) fn take(&mut self, hash: u32) -> Option<usize> {
        if self.slots.is_empty() {
            return None;
        }
        let print = fingerprint(hash);
        let bucket = self.bucket(hash);
        let bucket = &mut self.slots[bucket..bucket + SLOTS];
        let at = bucket.iter().position(|slot| *slot == print)?;
        bucket.copy_within(at + 1.., at);
        bucket[SLOTS - 1] = 0;
        Some((at * 2 + 1) * self.slots.len() / SLOTS / 2)
    }

    pub(super) fn bytes(&self, live: usize) -> usize {
        let charged = if live == 0 { 0 } else { live * 2 + SLACK };
        charged.max(self.slots.len() * 2)
    }

    fn bucket(&self, hash: u32) -> usize {
        let buckets = (self.slots.len() / SLOTS) as u64;
        (((mix(hash) >> 32) * buckets) >> 32) as usize * SLOTS
    }
}

/// Spreads a hash over 64 bits. The store seeds its hashes; this need not resist anybody.
pub(super) fn mix(hash: u32) -> u64 {
    (u64::from(hash) + 1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .rotate_left(29)
        .wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

/// Never 0, which marks a vacant slot.
fn fingerprint(hash: u32) -> u16 {
    (mix(hash) as u16).max(1)
}
