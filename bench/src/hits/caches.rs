//! What is replayed: the engine's policies, moka and quick_cache, each used as its own manual says.
//!
//! Invariant: every cache is asked `get`, and on a miss `set`, with one thread and a limit in
//! entries. The engine goes through its public interface, so that shards, budget and access stamps
//! are those of a real store. moka gathers its work and may hold more than its limit meanwhile;
//! it is told to finish after every insert, which keeps it within its limit.

use anyhow::{Context, Result};
use kvcore::{Expiry, Options, SetOptions, Status, Store};

/// The engine's policies, in the order of the tables.
pub const POLICIES: [&str; 6] = ["lru", "lfu", "random", "ttl", "s3fifo", "tinylfu"];

/// The caches they are compared with.
pub const PEERS: [&str; 2] = ["moka", "quick_cache"];

/// A cache of so many entries, in which each key stands for its value.
pub trait Cache {
    /// Whether the key was there. If not, it is put there.
    ///
    /// # Errors
    /// Those of the engine.
    fn access(&mut self, key: u32) -> Result<bool>;
}

/// Opens an empty cache, or `None` if the engine does not offer the policy.
///
/// # Errors
/// Those of the engine.
pub fn open(name: &str, size: usize) -> Result<Option<Box<dyn Cache>>> {
    Ok(match name {
        "moka" => Some(Box::new(moka::sync::Cache::new(size as u64))),
        "quick_cache" => Some(Box::new(quick_cache::sync::Cache::new(size))),
        policy => open_engine(policy, size)?.map(|engine| Box::new(engine) as Box<dyn Cache>),
    })
}

/// A store, and how long its entries live.
struct Engine {
    store: Store,
    expiry: Expiry,
}

fn open_engine(policy: &str, size: usize) -> Result<Option<Engine>> {
    let limited = Options::new().with("max_entries", &size.to_string())?;
    let options = match limited.with("eviction", policy) {
        Err(error) if error.status() == Status::Unsupported => return Ok(None),
        options => options?,
    };
    // The policy by deadlines has nothing to go by without them. With the same TTL for all, the
    // oldest entry goes first.
    let expiry = if policy == "ttl" { Expiry::AfterMs(3_600_000) } else { Expiry::Never };
    Ok(Some(Engine { store: Store::memory(options)?, expiry }))
}

impl Cache for Engine {
    fn access(&mut self, key: u32) -> Result<bool> {
        let key = key.to_le_bytes();
        let found = self.store.get_with(key, |value| value == key)?;
        if found.is_none() {
            let options = SetOptions { expiry: self.expiry, ..SetOptions::default() };
            self.store.set_with(key, key, &options).context("a cache refused an entry")?;
        }
        Ok(found.is_some())
    }
}

impl Cache for moka::sync::Cache<u32, u32> {
    fn access(&mut self, key: u32) -> Result<bool> {
        let found = self.get(&key).is_some();
        if !found {
            self.insert(key, key);
            self.run_pending_tasks();
        }
        Ok(found)
    }
}

impl Cache for quick_cache::sync::Cache<u32, u32> {
    fn access(&mut self, key: u32) -> Result<bool> {
        let found = self.get(&key).is_some();
        if !found {
            self.insert(key, key);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cache_hits_what_it_has_just_seen() {
        for name in POLICIES.iter().chain(&PEERS) {
            let Some(mut cache) = open(name, 100).unwrap() else { continue };
            for key in 0..50 {
                assert!(!cache.access(key).unwrap(), "{name} had {key}");
                assert!(cache.access(key).unwrap(), "{name} lost {key}");
            }
        }
    }

    #[test]
    fn a_limit_holds_for_the_replayed_cache() {
        for name in POLICIES.iter().chain(&PEERS) {
            let Some(mut cache) = open(name, 10).unwrap() else { continue };
            for key in 0..1_000 {
                cache.access(key).unwrap();
            }
            let kept = (0..1_000).filter(|&key| cache.access(key).unwrap()).count();
            assert!(kept <= 10, "{name} kept {kept} of 10");
        }
    }

    #[test]
    fn a_policy_nobody_knows_is_an_error() {
        assert!(open("no-such-policy", 10).is_err());
    }
}
