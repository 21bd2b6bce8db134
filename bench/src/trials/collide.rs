//! `cargo xtask bench collide`: a million keys that collide under any hash whose seed is known.
//!
//! Stores draw their own seeds, so such keys must cost no more than any others: at most twice the
//! time. That the keys do collide is shown on a map that hashes as the attacker expects.

use std::collections::HashMap;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher};
use std::path::Path;

use ahash::RandomState;
use anyhow::Result;
use kvcore::{Options, Store};

use crate::clock;
use crate::machine;
use crate::plan::Key;
use crate::results::{self, Asked};
use crate::samples::{Goal, Limit, Samples};
use crate::text::{count, table};

const USAGE: &str = "\
usage: cargo xtask bench collide [--quick] [--name NAME]

  --quick       fewer keys
  --name NAME   write bench/results/NAME.md and .csv instead of collide.*";

const TABLE: &str = "collide";
const NORMAL: &str = "random keys";
/// Bits of a hash that the searched keys have in common.
const BITS: u32 = 8;
/// Keys for the map that is attacked: enough to see it, few enough to wait for it.
const ATTACKED: usize = 10_000;
const VALUE: [u8; 16] = [7; 16];
const RATIO_MAX: f64 = 2.0;

/// How keys are chosen, and the hash under which they collide.
struct Attack {
    name: &'static str,
    hash: fn(&[u8]) -> u64,
    keys: fn(usize) -> Vec<Key>,
}

const ATTACKS: [Attack; 6] = [
    Attack { name: NORMAL, hash: ahash_fixed, keys: random_keys },
    Attack {
        name: "ahash with known seeds: one low byte",
        hash: ahash_fixed,
        keys: |len| searched(len, ahash_fixed, 0),
    },
    Attack {
        name: "ahash with known seeds: one byte of the upper half",
        hash: ahash_upper,
        keys: |len| searched(len, ahash_fixed, 32),
    },
    Attack {
        name: "SipHash with known seeds: one low byte",
        hash: sip_fixed,
        keys: |len| searched(len, sip_fixed, 0),
    },
    Attack { name: "FxHash: all 64 bits", hash: fx, keys: fx_keys },
    Attack { name: "numbers times 2^40", hash: low_bytes, keys: spaced_keys },
];

fn ahash_fixed(bytes: &[u8]) -> u64 {
    let mut hasher = RandomState::with_seeds(1, 2, 3, 4).build_hasher();
    hasher.write(bytes);
    hasher.finish()
}

fn ahash_upper(bytes: &[u8]) -> u64 {
    ahash_fixed(bytes).rotate_right(32)
}

fn sip_fixed(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

const FX: u64 = 0x51_7c_c1_b7_27_22_0a_95;

/// The hash of the Firefox and of earlier Rust compilers, which has no seed.
fn fx(bytes: &[u8]) -> u64 {
    words(bytes).fold(0, |hash: u64, word| (hash.rotate_left(5) ^ word).wrapping_mul(FX))
}

/// What a table does that takes the key itself for a hash.
fn low_bytes(bytes: &[u8]) -> u64 {
    words(bytes).next().unwrap_or(0)
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes
        .chunks_exact(8)
        .map(|chunk| chunk.iter().rev().fold(0, |word, b| word << 8 | u64::from(*b)))
}

fn key_of(low: u64, high: u64) -> Key {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&low.to_le_bytes());
    key[8..].copy_from_slice(&high.to_le_bytes());
    key
}

fn random_keys(len: usize) -> Vec<Key> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..len).map(|_| key_of(random.u64(..), random.u64(..))).collect()
}

/// Tries keys until so many have zeros in the bits from `shift` on.
fn searched(len: usize, hash: fn(&[u8]) -> u64, shift: u32) -> Vec<Key> {
    let mut random = fastrand::Rng::with_seed(8);
    let mut keys = Vec::with_capacity(len);
    while keys.len() < len {
        let key = key_of(random.u64(..), random.u64(..));
        if (hash(&key) >> shift).trailing_zeros() >= BITS {
            keys.push(key);
        }
    }
    keys
}

/// The second word undoes what the first one did.
fn fx_keys(len: usize) -> Vec<Key> {
    let mut random = fastrand::Rng::with_seed(9);
    let mut key = || {
        let first = random.u64(..);
        key_of(first, first.wrapping_mul(FX).rotate_left(5) ^ 1)
    };
    (0..len).map(|_| key()).collect()
}

fn spaced_keys(len: usize) -> Vec<Key> {
    let mut keys: Vec<Key> = (0..len as u64).map(|number| key_of(number << 40, 0)).collect();
    fastrand::Rng::with_seed(10).shuffle(&mut keys);
    keys
}

/// Measures every attack in turns.
pub fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let asked = Asked::read(arguments, &[], &[], USAGE)?;
    let (entries, rounds) = if asked.quick { (100_000, 3) } else { (1_000_000, 7) };
    let machine = machine::describe(root);
    let mut samples = Samples::default();
    println!("collide: searching {} keys for each attack", count(entries));
    let all: Vec<Vec<Key>> = ATTACKS.iter().map(|attack| (attack.keys)(entries)).collect();
    for round in 0..rounds {
        println!("collide: round {} of {rounds}", round + 1);
        for (attack, keys) in ATTACKS.iter().zip(&all) {
            let ns = time_libkv(keys)? / entries as f64;
            samples.add(TABLE, attack.name, "libkv", "ns", ns);
            // Keys that collide under the hash at hand, and keys that do not.
            let ratio = time_map(attack.hash, keys) / time_map(attack.hash, &all[0]);
            samples.add(TABLE, attack.name, "attacked map", "x", ratio);
        }
    }
    let goals: Vec<Goal> = ATTACKS[1..]
        .iter()
        .map(|attack| Goal {
            what: format!("{}: set and get, times that of {NORMAL}", attack.name),
            measured: slower(&samples, attack.name),
            limit: Limit::AtMost(RATIO_MAX),
            unit: "x",
        })
        .collect();
    let name = asked.name_or(TABLE);
    let command = ["cargo xtask bench collide"].into_iter();
    let command = command.chain(arguments.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
    let report = report(&samples, entries);
    let text = results::compose(&name, &command, &machine, &goals, &[report]);
    results::publish(root, &name, &text, &samples.csv(), &goals)
}

/// Nanoseconds to set and get all keys in a new store.
fn time_libkv(keys: &[Key]) -> Result<f64> {
    let store = Store::memory(Options::default())?;
    let mut found = 0;
    let ns = clock::alone(|| {
        let done = keys.iter().filter(|key| store.set(key, VALUE).is_ok()).count();
        let mut buffer = [0; 32];
        let got = |key: &&Key| matches!(store.get_into(key, &mut buffer), Ok(Some(_)));
        found = done.min(keys.iter().filter(got).count());
    });
    anyhow::ensure!(found == keys.len(), "keys were lost");
    Ok(ns)
}

/// Nanoseconds to fill a map that hashes in that way.
fn time_map(hash: fn(&[u8]) -> u64, keys: &[Key]) -> f64 {
    let mut map = HashMap::with_hasher(Known(hash));
    let keys = &keys[..keys.len().min(ATTACKED)];
    clock::alone(|| {
        for key in keys {
            map.insert(Hashed(*key), ());
        }
    })
}

/// Builds hashers of a known function.
struct Known(fn(&[u8]) -> u64);

struct KnownHasher(fn(&[u8]) -> u64, u64);

impl BuildHasher for Known {
    type Hasher = KnownHasher;

    fn build_hasher(&self) -> KnownHasher {
        KnownHasher(self.0, 0)
    }
}

impl Hasher for KnownHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.1 = self.0(bytes);
    }

    fn finish(&self) -> u64 {
        self.1
    }
}

/// A key whose bytes alone are hashed, in one piece.
#[derive(PartialEq, Eq)]
struct Hashed(Key);

impl Hash for Hashed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

fn slower(samples: &Samples, attack: &str) -> f64 {
    samples.median(TABLE, attack, "libkv") / samples.median(TABLE, NORMAL, "libkv")
}

fn report(samples: &Samples, entries: usize) -> String {
    let row = |attack: &Attack| {
        let median = |subject| samples.median(TABLE, attack.name, subject);
        [
            attack.name.to_owned(),
            format!("{:.0}", median("libkv")),
            format!("{:.2}x", slower(samples, attack.name)),
            format!("{:.1}x", median("attacked map")),
        ]
    };
    let rows: Vec<_> = ATTACKS.iter().map(row).collect();
    format!(
        "## Colliding keys\n\n{} keys of 16 bytes, set and got, for each choice of keys. The last \
         column shows that the keys do collide: how many times as long as random keys {} of them \
         take in a `HashMap` whose hash is the one they were chosen for.\n\n{}",
        count(entries),
        count(ATTACKED),
        table(&["keys", "ns for both", "of random keys", "attacked map"], &rows)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_collide_where_they_should() {
        for attack in &ATTACKS[1..] {
            let mut keys = (attack.keys)(200);
            let low = |key: &Key| (attack.hash)(key) & 0xff;
            assert!(keys.iter().all(|key| low(key) == low(&keys[0])), "{}", attack.name);
            keys.sort_unstable();
            keys.dedup();
            assert_eq!(keys.len(), 200, "{}", attack.name);
        }
        let hashes: Vec<u64> = fx_keys(100).iter().map(|key| fx(key)).collect();
        assert!(hashes.iter().all(|hash| *hash == hashes[0]));
    }
}
