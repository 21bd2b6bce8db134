//! Caches: they evict, though here they are given more room than they need, so that every get hits.
//!
//! A cache hands out clones, so values are shared: an `Arc` of bytes.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ahash::RandomState;
use quick_cache::sync::{Cache, DefaultLifecycle};

use super::{Engine, Held, copy_into};
use crate::plan::TTL;

/// A value that is cloned cheaply.
#[derive(Clone)]
pub(super) struct Shared(Arc<[u8]>);

impl Held for Shared {
    fn new(value: &[u8]) -> Self {
        Shared(Arc::from(value))
    }

    fn live(&self) -> Option<&[u8]> {
        Some(&self.0)
    }
}

/// The same with the deadline beside it.
#[derive(Clone)]
pub(super) struct SharedTimed(Arc<[u8]>, Instant);

impl Held for SharedTimed {
    fn new(value: &[u8]) -> Self {
        SharedTimed(Arc::from(value), Instant::now() + TTL)
    }

    fn live(&self) -> Option<&[u8]> {
        (Instant::now() < self.1).then_some(&self.0)
    }
}

type QuickCache<H> =
    Cache<Box<[u8]>, H, quick_cache::UnitWeighter, RandomState, DefaultLifecycle<Box<[u8]>, H>>;

/// quick_cache, told how many entries come, as it wants to be.
pub(super) struct Quick<H: Clone>(QuickCache<H>);

impl<H: Held + Clone> Quick<H> {
    pub(super) fn new(entries: usize) -> Quick<H> {
        let (weigher, hasher) = (quick_cache::UnitWeighter, RandomState::new());
        let limit = 2 * entries as u64;
        Quick(Cache::with(entries, limit, weigher, hasher, DefaultLifecycle::default()))
    }
}

impl<H: Held + Clone> Engine for Quick<H> {
    fn set(&self, key: &[u8], value: &[u8]) -> bool {
        self.0.insert(Box::from(key), H::new(value));
        true
    }

    fn get_into(&self, key: &[u8], buffer: &mut [u8]) -> bool {
        self.0.get(key).is_some_and(|held| copy_into(held.live(), buffer))
    }

    fn get(&self, key: &[u8]) -> bool {
        black_box(self.0.get(key)).is_some_and(|held| held.live().is_some())
    }
}

/// moka without a limit, which spares it the counting of what comes often.
pub(super) struct Moka(moka::sync::Cache<Box<[u8]>, Arc<[u8]>, RandomState>);

impl Moka {
    pub(super) fn new() -> Moka {
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
pub(super) struct MokaTimed(moka::sync::Cache<Box<[u8]>, TimedValue, RandomState>);

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
    pub(super) fn new() -> MokaTimed {
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
