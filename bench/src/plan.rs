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

/// How often the most frequent keys of a Zipf distribution are visited.
const ZIPF: f64 = 0.99;
const VISITS: usize = 1 << 21;

/// The keys of a store, and the order in which calls visit them.
pub struct Plan {
    /// Every key once.
    pub keys: Vec<Key>,
    visits: Visits,
}

/// An order in which calls visit keys.
pub struct Visits(Vec<Key>);

impl Plan {
    /// A plan for so many keys, the same in every run of the program.
    pub fn new(entries: usize) -> Plan {
        Plan { keys: (0..entries).map(key).collect(), visits: Visits::uniform(entries) }
    }

    /// The keys of the `turn`-th run, `calls` of them. Turns that follow each other visit others.
    pub fn visits(&self, turn: usize, calls: usize) -> &[Key] {
        self.visits.of_turn(turn, calls)
    }
}

impl Visits {
    /// Every key is as likely as any other. The same in every run of the program.
    pub fn uniform(entries: usize) -> Visits {
        let mut random = fastrand::Rng::with_seed(1);
        Visits((0..VISITS).map(|_| key(random.usize(..entries))).collect())
    }

    /// Few keys are likely, by Zipf's law. Drawn as in Gray et al., "Quickly generating
    /// billion-record synthetic databases" (SIGMOD 1994); likely keys lie anywhere among the others.
    pub fn zipf(entries: usize) -> Visits {
        let mut random = fastrand::Rng::with_seed(2);
        let len = entries as f64;
        let sum: f64 = (1..=entries).map(|rank| (rank as f64).powf(-ZIPF)).sum();
        let first_two = 1.0 + 0.5f64.powf(ZIPF);
        let alpha = 1.0 / (1.0 - ZIPF);
        let eta = (1.0 - (2.0 / len).powf(1.0 - ZIPF)) / (1.0 - first_two / sum);
        let mut rank = || {
            let draw = random.f64();
            match draw * sum {
                at if at < 1.0 => 0,
                at if at < first_two => 1.min(entries - 1),
                _ => ((len * (eta * draw - eta + 1.0).powf(alpha)) as usize).min(entries - 1),
            }
        };
        // A prime that shares no factor with the sizes in use, so that every rank has its own key.
        let mut scatter = |_| key((rank() as u64 * 2_654_435_761 % entries as u64) as usize);
        Visits((0..VISITS).map(&mut scatter).collect())
    }

    /// The keys of the `turn`-th run, `calls` of them. Turns that follow each other visit others.
    pub fn of_turn(&self, turn: usize, calls: usize) -> &[Key] {
        let turns = (self.0.len() / calls).max(1);
        let start = turn % turns * calls;
        &self.0[start..(start + calls).min(self.0.len())]
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
    fn by_zipf_few_keys_get_most_visits() {
        let visits = Visits::zipf(1000);
        let share_of_first = visits.0.iter().filter(|visit| **visit == key(0)).count() as f64;
        // 1 / (1 + 1/2^0.99 + ... + 1/1000^0.99) is 13 %.
        assert!((0.12..0.14).contains(&(share_of_first / visits.0.len() as f64)));
        let mut keys = visits.0;
        keys.sort_unstable();
        keys.dedup();
        assert!(keys.len() > 990);
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
