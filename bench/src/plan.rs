//! What every contestant is asked: the same keys, the same value, in the same order.
//!
//! Keys are visited in a uniformly random order that no cache can guess, but their own bytes lie in
//! that order one after the other, so that a run measures the store and not the fetching of keys.

use std::time::Duration;

/// Bytes of a key.
pub const KEY_BYTES: usize = 16;
/// Bytes of a value.
pub const VALUE_BYTES: usize = 100;
/// Of the mixed calls, one in this many is a set.
pub const SET_EVERY: usize = 20;
/// The TTL where there is one: so long that nothing expires during a run.
pub const TTL: Duration = Duration::from_secs(3600);

/// A key.
pub type Key = [u8; KEY_BYTES];

/// The value of every key.
pub const VALUE: [u8; VALUE_BYTES] = [b'v'; VALUE_BYTES];

/// The key of a number: `key:` and twelve digits, as the benches of the bindings have it.
pub fn key(number: usize) -> Key {
    let mut key = *b"key:000000000000";
    let mut rest = number;
    for place in key[4..].iter_mut().rev() {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    key
}

/// The keys of a store, and the order in which calls visit them.
pub struct Plan {
    /// Every key once.
    pub keys: Vec<Key>,
    visits: Vec<Key>,
}

impl Plan {
    /// A plan for so many keys, the same in every run of the program.
    pub fn new(entries: usize) -> Plan {
        const VISITS: usize = 1 << 21;
        let mut random = fastrand::Rng::with_seed(1);
        let visits = (0..VISITS).map(|_| key(random.usize(..entries))).collect();
        Plan { keys: (0..entries).map(key).collect(), visits }
    }

    /// The keys of the `turn`-th run, `calls` of them. Turns that follow each other visit others.
    pub fn visits(&self, turn: usize, calls: usize) -> &[Key] {
        let turns = (self.visits.len() / calls).max(1);
        let start = turn % turns * calls;
        &self.visits[start..(start + calls).min(self.visits.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_numbers_in_text() {
        assert_eq!(&key(0), b"key:000000000000");
        assert_eq!(&key(1_234_567), b"key:000001234567");
    }

    #[test]
    fn every_turn_has_its_calls() {
        let plan = Plan::new(10);
        for turn in 0..100 {
            assert_eq!(plan.visits(turn, 300_000).len(), 300_000);
        }
        assert_ne!(plan.visits(0, 1000), plan.visits(1, 1000));
    }
}
