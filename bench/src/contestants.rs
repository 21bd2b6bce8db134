//! The engines that race: libkv, and what a Rust program would use instead.
//!
//! All maps hash with `ahash`, as libkv does, so that engines are compared and not hash functions.
//! A map has no TTL of its own; with one, it keeps a deadline with each value and compares it on
//! reads, which is the least a program would do. moka gets its per-entry expiry.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ahash::RandomState;
use anyhow::Result;
use dashmap::DashMap;
use parking_lot::Mutex;

use crate::plan::{KEY_BYTES, Key, SET_EVERY, TTL, VALUE, VALUE_BYTES};

/// Larger than every value.
const BUFFER_BYTES: usize = 128;

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
}

impl Call {
    /// Its name in the results.
    pub fn name(self) -> &'static str {
        match self {
            Call::Insert => "insert",
            Call::GetInto => "get_into",
            Call::Get => "get",
            Call::Overwrite => "set",
            Call::Mix => "95/5 mix",
        }
    }
}

/// A store that takes part: runs one call for each key, and says how many did what they should.
pub trait Subject: Sync {
    /// Runs a call for each key.
    fn run(&self, call: Call, keys: &[Key]) -> usize;
}

/// One engine's way of doing the calls. The loops around them are the same for all.
trait Engine: Sync {
    fn set(&self, key: &[u8], value: &[u8]) -> bool;
    fn get_into(&self, key: &[u8], buffer: &mut [u8]) -> bool;
    fn get(&self, key: &[u8]) -> bool;
}

impl<E: Engine> Subject for E {
    fn run(&self, call: Call, keys: &[Key]) -> usize {
        // The compiler is not told the lengths: no program knows them beforehand, nor does C here.
        let len = black_box(KEY_BYTES);
        let value = &VALUE[..black_box(VALUE_BYTES)];
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
            Call::Get => keys.filter(|key| self.get(key)).count(),
            Call::Mix => {
                let each = keys.enumerate();
                each.filter(|(at, key)| if at % SET_EVERY == 0 { set(key) } else { get_into(key) })
                    .count()
            }
        }
    }
}

/// The contestants in Rust.
pub const NAMES: [&str; 4] = ["libkv", "HashMap+Mutex", "dashmap", "moka"];

/// An empty store of a contestant.
pub fn open(name: &str, with_ttl: bool) -> Result<Box<dyn Subject>> {
    Ok(match (name, with_ttl) {
        ("libkv", _) => Box::new(Libkv::new(with_ttl)?),
        ("HashMap+Mutex", false) => Box::new(MutexMap::<Plain>::default()),
        ("HashMap+Mutex", true) => Box::new(MutexMap::<Timed>::default()),
        ("dashmap", false) => Box::new(Dash::<Plain>::default()),
        ("dashmap", true) => Box::new(Dash::<Timed>::default()),
        ("moka", false) => Box::new(Moka::new()),
        ("moka", true) => Box::new(MokaTimed::new()),
        _ => anyhow::bail!("there is no contestant `{name}`; there are {}", NAMES.join(", ")),
    })
}

struct Libkv {
    store: kvcore::Store,
    options: Option<kvcore::SetOptions>,
}

impl Libkv {
    fn new(with_ttl: bool) -> Result<Libkv> {
        let store = kvcore::Store::memory(kvcore::Options::default())?;
        let options = with_ttl.then(|| kvcore::SetOptions::default().ttl(TTL));
        Ok(Libkv { store, options })
    }
}

impl Engine for Libkv {
    fn set(&self, key: &[u8], value: &[u8]) -> bool {
        match &self.options {
            None => self.store.set(key, value).is_ok(),
            Some(options) => self.store.set_with(key, value, options).is_ok(),
        }
    }

    fn get_into(&self, key: &[u8], buffer: &mut [u8]) -> bool {
        matches!(self.store.get_into(key, buffer), Ok(Some(_)))
    }

    fn get(&self, key: &[u8]) -> bool {
        matches!(black_box(self.store.get(key)), Ok(Some(_)))
    }
}

/// What a map holds under a key.
trait Held: Send + Sync {
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

struct MutexMap<H>(Mutex<HashMap<Box<[u8]>, H, RandomState>>);

impl<H> Default for MutexMap<H> {
    fn default() -> Self {
        MutexMap(Mutex::new(HashMap::default()))
    }
}

impl<H: Held> Engine for MutexMap<H> {
    fn set(&self, key: &[u8], value: &[u8]) -> bool {
        let (key, held) = (Box::from(key), H::new(value));
        // The old value is dropped once the lock is gone.
        let old = self.0.lock().insert(key, held);
        drop(old);
        true
    }

    fn get_into(&self, key: &[u8], buffer: &mut [u8]) -> bool {
        copy_into(self.0.lock().get(key).and_then(H::live), buffer)
    }

    fn get(&self, key: &[u8]) -> bool {
        take_copy(self.0.lock().get(key).and_then(H::live))
    }
}

struct Dash<H>(DashMap<Box<[u8]>, H, RandomState>);

impl<H> Default for Dash<H> {
    fn default() -> Self {
        Dash(DashMap::default())
    }
}

impl<H: Held> Engine for Dash<H> {
    fn set(&self, key: &[u8], value: &[u8]) -> bool {
        drop(self.0.insert(Box::from(key), H::new(value)));
        true
    }

    fn get_into(&self, key: &[u8], buffer: &mut [u8]) -> bool {
        self.0.get(key).is_some_and(|held| copy_into(held.live(), buffer))
    }

    fn get(&self, key: &[u8]) -> bool {
        self.0.get(key).is_some_and(|held| take_copy(held.live()))
    }
}

struct Moka(moka::sync::Cache<Box<[u8]>, Arc<[u8]>, RandomState>);

impl Moka {
    fn new() -> Moka {
        Moka(moka::sync::Cache::builder().build_with_hasher(RandomState::new()))
    }
}

impl Engine for Moka {
    fn set(&self, key: &[u8], value: &[u8]) -> bool {
        self.0.insert(Box::from(key), Arc::from(value));
        true
    }

    fn get_into(&self, key: &[u8], buffer: &mut [u8]) -> bool {
        copy_into(self.0.get(key).as_deref(), buffer)
    }

    fn get(&self, key: &[u8]) -> bool {
        black_box(self.0.get(key)).is_some()
    }
}

type TimedValue = (Arc<[u8]>, Duration);

/// moka, with a TTL that each entry brings along, as every entry of libkv may.
struct MokaTimed(moka::sync::Cache<Box<[u8]>, TimedValue, RandomState>);

struct OwnTtl;

impl moka::Expiry<Box<[u8]>, TimedValue> for OwnTtl {
    fn expire_after_create(
        &self,
        _key: &Box<[u8]>,
        value: &TimedValue,
        _created_at: Instant,
    ) -> Option<Duration> {
        Some(value.1)
    }

    fn expire_after_update(
        &self,
        _key: &Box<[u8]>,
        value: &TimedValue,
        _updated_at: Instant,
        _left: Option<Duration>,
    ) -> Option<Duration> {
        Some(value.1)
    }
}

impl MokaTimed {
    fn new() -> MokaTimed {
        let builder = moka::sync::Cache::builder().expire_after(OwnTtl);
        MokaTimed(builder.build_with_hasher(RandomState::new()))
    }
}

impl Engine for MokaTimed {
    fn set(&self, key: &[u8], value: &[u8]) -> bool {
        self.0.insert(Box::from(key), (Arc::from(value), TTL));
        true
    }

    fn get_into(&self, key: &[u8], buffer: &mut [u8]) -> bool {
        self.0.get(key).is_some_and(|(value, _)| copy_into(Some(&value), buffer))
    }

    fn get(&self, key: &[u8]) -> bool {
        black_box(self.0.get(key)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::key;

    #[test]
    fn every_contestant_does_every_call() {
        let (there, absent) = ([key(1), key(2)], [key(3)]);
        for name in NAMES {
            for with_ttl in [false, true] {
                let subject = open(name, with_ttl).unwrap();
                for call in [Call::Insert, Call::GetInto, Call::Get, Call::Overwrite, Call::Mix] {
                    assert_eq!(subject.run(call, &there), 2, "{name} {call:?}");
                }
                assert_eq!(subject.run(Call::GetInto, &absent), 0, "{name}");
                assert_eq!(subject.run(Call::Get, &absent), 0, "{name}");
            }
        }
        assert!(open("none", false).is_err());
    }
}
