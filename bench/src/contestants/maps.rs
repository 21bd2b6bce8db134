//! Maps: they hold what they are given until it is removed.

use std::collections::HashMap;

use ahash::RandomState;
use dashmap::DashMap;
use parking_lot::Mutex;

use super::{Engine, Held, copy_into, take_copy};

/// The map of the standard library behind one lock.
pub(super) struct MutexMap<H>(Mutex<HashMap<Box<[u8]>, H, RandomState>>);

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

/// dashmap: shards of a map, each behind a lock.
pub(super) struct Dash<H>(DashMap<Box<[u8]>, H, RandomState>);

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

/// papaya: readers take no lock. Each call is pinned by itself, as calls of a program are that
/// come one by one.
pub(super) struct Papaya<H>(papaya::HashMap<Box<[u8]>, H, RandomState>);

impl<H> Default for Papaya<H> {
    fn default() -> Self {
        Papaya(papaya::HashMap::default())
    }
}

impl<H: Held> Engine for Papaya<H> {
    fn set(&self, key: &[u8], value: &[u8]) -> bool {
        self.0.pin().insert(Box::from(key), H::new(value));
        true
    }

    fn get_into(&self, key: &[u8], buffer: &mut [u8]) -> bool {
        copy_into(self.0.pin().get(key).and_then(H::live), buffer)
    }

    fn get(&self, key: &[u8]) -> bool {
        take_copy(self.0.pin().get(key).and_then(H::live))
    }
}

/// scc: a lock for each bucket of many entries.
pub(super) struct Scc<H: 'static>(scc::HashMap<Box<[u8]>, H, RandomState>);

impl<H: 'static> Default for Scc<H> {
    fn default() -> Self {
        Scc(scc::HashMap::default())
    }
}

impl<H: Held> Engine for Scc<H> {
    fn set(&self, key: &[u8], value: &[u8]) -> bool {
        drop(self.0.upsert_sync(Box::from(key), H::new(value)));
        true
    }

    fn get_into(&self, key: &[u8], buffer: &mut [u8]) -> bool {
        self.0.read_sync(key, |_, held| copy_into(held.live(), buffer)).unwrap_or(false)
    }

    fn get(&self, key: &[u8]) -> bool {
        self.0.read_sync(key, |_, held| take_copy(held.live())).unwrap_or(false)
    }
}
