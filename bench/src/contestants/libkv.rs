//! libkv through its public interface in Rust.

use std::hint::black_box;

use anyhow::Result;
use kvcore::{Options, SetOptions, Status, Store};

use super::{Buffers, Engine};
use crate::plan::TTL;

/// The policy that libkv races with, and the one that takes its place where it is not offered.
const POLICIES: [&str; 2] = ["s3fifo", "random"];

/// libkv: a store, and what its sets ask for.
pub(super) struct Libkv {
    store: Store,
    options: Option<SetOptions>,
}

impl Libkv {
    pub(super) fn new(with_ttl: bool) -> Result<Libkv> {
        Libkv::open(Options::default(), with_ttl)
    }

    /// With a policy that has all its work but evicting: the limit is twice what comes.
    pub(super) fn with_policy(with_ttl: bool, entries: usize) -> Result<Libkv> {
        let options = Options::new().with("eviction", policy()?)?;
        Libkv::open(options.with("max_entries", &(2 * entries).to_string())?, with_ttl)
    }

    fn open(options: Options, with_ttl: bool) -> Result<Libkv> {
        let options_of_sets = with_ttl.then(|| SetOptions::default().ttl(TTL));
        Ok(Libkv { store: Store::memory(options)?, options: options_of_sets })
    }
}

/// The name of the policy that libkv races with.
pub fn policy() -> Result<&'static str> {
    for name in POLICIES {
        let options = Options::new().with("eviction", name);
        match options.and_then(Store::memory) {
            Ok(_) => return Ok(name),
            Err(error) if error.status() == Status::Unsupported => {}
            Err(error) => return Err(error.into()),
        }
    }
    anyhow::bail!("none of the policies {} is offered", POLICIES.join(", "))
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

    fn get_many(&self, keys: &[&[u8]], buffers: &mut Buffers) -> usize {
        let mut found = 0;
        let done = self.store.get_many_with(keys, |index, value| {
            if let Some(value) = value {
                buffers[index][..value.len()].copy_from_slice(value);
                found += 1;
            }
        });
        if done.is_ok() { found } else { 0 }
    }

    fn counted_bytes(&self) -> Option<u64> {
        self.store.stats().ok().map(|stats| stats.memory_bytes)
    }
}
