//! The engines that race: libkv, and what a Rust program would use instead.
//!
//! All hash with `ahash`, as libkv does, so that engines are compared and not hash functions.
//! Keys and values are kept as a program would keep them: boxed, and shared where the engine hands
//! values out. A map has no TTL of its own, nor has quick_cache; with one, they keep a deadline with
//! each value and compare it on reads, which is the least a program would do. moka gets its
//! per-entry expiry.
//!
//! `libkv` is the engine here, `maps` are what holds everything it is given, `caches` are what
//! evicts.

mod caches;
mod libkv;
mod maps;

use std::hint::black_box;
use std::time::Instant;

use anyhow::Result;

use crate::plan::{KEY_BYTES, Key, SET_EVERY, TTL, VALUE, VALUE_BYTES};

pub use libkv::policy;

/// Larger than every value.
const BUFFER_BYTES: usize = 128;
/// The most keys that one call asks for.
pub const MANY_MAX: usize = 128;

/// What a run does with each of its keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    /// Set, of keys that are not there.
    Insert,
    /// Copy the value into a buffer.
    GetInto,
    /// Take a value to keep: a handle or a copy, as the engine gives it.
    Get,
    /// Set, of keys that are there.
    Overwrite,
    /// 95 % `GetInto`, 5 % `Overwrite`.
    Mix,
    /// Copy the values of so many keys at a time, [`MANY_MAX`] at most, into as many buffers.
    GetMany(usize),
}

impl Call {
    /// Its name in the results.
    pub fn name(self) -> String {
        match self {
            Call::Insert => "insert".to_owned(),
            Call::GetInto => "get_into".to_owned(),
            Call::Get => "get".to_owned(),
            Call::Overwrite => "set".to_owned(),
            Call::Mix => "95/5 mix".to_owned(),
            Call::GetMany(keys) => format!("get_many of {keys}"),
        }
    }
}

/// A store that takes part: runs one call for each key, and says how many did what they should.
pub trait Subject: Sync {
    /// Runs a call for each key.
    fn run(&self, call: Call, keys: &[Key]) -> usize;

    /// What it counts of its own memory, if it counts.
    fn counted_bytes(&self) -> Option<u64> {
        None
    }
}

/// Where the values of one call for many keys are copied to.
type Buffers = [[u8; BUFFER_BYTES]; MANY_MAX];

/// One engine's way of doing the calls. The loops around them are the same for all.
trait Engine: Sync {
    fn set(&self, key: &[u8], value: &[u8]) -> bool;
    fn get_into(&self, key: &[u8], buffer: &mut [u8]) -> bool;
    fn get(&self, key: &[u8]) -> bool;

    /// How many of these keys were there. Engines without such a call are asked one by one.
    fn get_many(&self, keys: &[&[u8]], buffers: &mut Buffers) -> usize {
        let pairs = keys.iter().zip(buffers.iter_mut());
        pairs.filter_map(|(key, buffer)| self.get_into(key, buffer).then_some(())).count()
    }

    fn counted_bytes(&self) -> Option<u64> {
        None
    }
}

impl<E: Engine> Subject for E {
    fn run(&self, call: Call, keys: &[Key]) -> usize {
        // The compiler is not told the lengths: no program knows them beforehand, nor does C here.
        let len = black_box(KEY_BYTES);
        let value = &VALUE[..black_box(VALUE_BYTES)];
        if let Call::GetMany(many) = call {
            return get_many(self, many, len, keys);
        }
        let keys = keys.iter().map(|key| &key[..len]);
        let set = |key: &[u8]| self.set(key, value);
        let get_into = |key: &[u8]| {
            let mut buffer = [0; BUFFER_BYTES];
            let found = self.get_into(key, &mut buffer);
            black_box(&buffer);
            found
        };
        match call {
            Call::Insert | Call::Overwrite => keys.filter(|key| set(key)).count(),
            Call::GetInto => keys.filter(|key| get_into(key)).count(),
            Call::Get | Call::GetMany(_) => keys.filter(|key| self.get(key)).count(),
            Call::Mix => {
                let each = keys.enumerate();
                each.filter(|(at, key)| if at % SET_EVERY == 0 { set(key) } else { get_into(key) })
                    .count()
            }
        }
    }

    fn counted_bytes(&self) -> Option<u64> {
        Engine::counted_bytes(self)
    }
}

/// Asks for the keys `many` at a time.
fn get_many<E: Engine>(engine: &E, many: usize, len: usize, keys: &[Key]) -> usize {
    let mut buffers: Buffers = [[0; BUFFER_BYTES]; MANY_MAX];
    let mut slices: [&[u8]; MANY_MAX] = [&[]; MANY_MAX];
    let mut found = 0;
    for keys in keys.chunks(many.clamp(1, MANY_MAX)) {
        for (slice, key) in slices.iter_mut().zip(keys) {
            *slice = &key[..len];
        }
        found += engine.get_many(&slices[..keys.len()], &mut buffers);
        black_box(&buffers);
    }
    found
}

/// The contestants of the race with C.
pub const NAMES: [&str; 4] = ["libkv", "HashMap+Mutex", "dashmap", "moka"];
/// libkv with an eviction policy and a limit that is never reached.
pub const WITH_POLICY: &str = "libkv with policy";

/// An empty store of a contestant, which will be given so many entries.
pub fn open(name: &str, with_ttl: bool, entries: usize) -> Result<Box<dyn Subject>> {
    Ok(match (name, with_ttl) {
        ("libkv", _) => Box::new(libkv::Libkv::new(with_ttl)?),
        (WITH_POLICY, _) => Box::new(libkv::Libkv::with_policy(with_ttl, entries)?),
        ("HashMap+Mutex", false) => Box::new(maps::MutexMap::<Plain>::default()),
        ("HashMap+Mutex", true) => Box::new(maps::MutexMap::<Timed>::default()),
        ("dashmap", false) => Box::new(maps::Dash::<Plain>::default()),
        ("dashmap", true) => Box::new(maps::Dash::<Timed>::default()),
        ("papaya", false) => Box::new(maps::Papaya::<Plain>::default()),
        ("papaya", true) => Box::new(maps::Papaya::<Timed>::default()),
        ("scc", false) => Box::new(maps::Scc::<Plain>::default()),
        ("scc", true) => Box::new(maps::Scc::<Timed>::default()),
        ("quick_cache", false) => Box::new(caches::Quick::<caches::Shared>::new(entries)),
        ("quick_cache", true) => Box::new(caches::Quick::<caches::SharedTimed>::new(entries)),
        ("moka", false) => Box::new(caches::Moka::new()),
        ("moka", true) => Box::new(caches::MokaTimed::new()),
        _ => anyhow::bail!("there is no contestant `{name}`"),
    })
}

/// What a store holds under a key.
trait Held: Send + Sync + 'static {
    fn new(value: &[u8]) -> Self;
    /// The value, unless it has expired.
    fn live(&self) -> Option<&[u8]>;
}

struct Plain(Box<[u8]>);

impl Held for Plain {
    fn new(value: &[u8]) -> Self {
        Plain(Box::from(value))
    }

    fn live(&self) -> Option<&[u8]> {
        Some(&self.0)
    }
}

struct Timed(Box<[u8]>, Instant);

impl Held for Timed {
    fn new(value: &[u8]) -> Self {
        Timed(Box::from(value), Instant::now() + TTL)
    }

    fn live(&self) -> Option<&[u8]> {
        (Instant::now() < self.1).then_some(&self.0)
    }
}

fn copy_into(value: Option<&[u8]>, buffer: &mut [u8]) -> bool {
    value.is_some_and(|value| {
        buffer[..value.len()].copy_from_slice(value);
        true
    })
}

fn take_copy(value: Option<&[u8]>) -> bool {
    black_box(value.map(Box::<[u8]>::from)).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::key;

    #[test]
    fn every_contestant_does_every_call() {
        let (there, absent) = ([key(1), key(2)], [key(3)]);
        let all = NAMES.into_iter().chain([WITH_POLICY, "papaya", "scc", "quick_cache"]);
        for name in all {
            for with_ttl in [false, true] {
                let subject = open(name, with_ttl, 1000).unwrap();
                for call in [Call::Insert, Call::GetInto, Call::Get, Call::Overwrite, Call::Mix] {
                    assert_eq!(subject.run(call, &there), 2, "{name} {call:?}");
                }
                assert_eq!(subject.run(Call::GetMany(8), &there), 2, "{name}");
                for call in [Call::GetInto, Call::Get, Call::GetMany(1)] {
                    assert_eq!(subject.run(call, &absent), 0, "{name}");
                }
            }
        }
        assert!(open("none", false, 1).is_err());
    }
}
