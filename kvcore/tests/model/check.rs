//! What must hold of a store and its model between operations: what a caller sees, what is counted,
//! and the limits.

use crate::model::{Entry, Model};
use crate::ops::{KEYS, key};
use crate::pair::Pair;

impl Pair {
    /// Counters against the model; exact where nothing expired waits to be freed.
    pub fn stats(&self) {
        let stats = self.store.stats().unwrap();
        let live = self.model.entries.len() as u64;
        let ghosts = self.model.ghosts.len() as u64;
        assert!((live..=live + ghosts).contains(&stats.entries));
        let sure = self.model.expired - self.model.expired_unsure - ghosts;
        assert!((sure..=self.model.expired).contains(&stats.expired), "{} expired", stats.expired);
        if ghosts == 0 {
            let entries = self.model.entries.iter();
            let key_bytes: usize = entries.clone().map(|(key, _)| key.len()).sum();
            let value_bytes: usize = entries.clone().map(|(_, entry)| entry.value.len()).sum();
            let expiring = entries.filter(|(_, entry)| entry.deadline.is_some()).count();
            assert_eq!(stats.key_bytes, key_bytes as u64);
            assert_eq!(stats.value_bytes, value_bytes as u64);
            assert_eq!(stats.expiring_entries, expiring as u64);
            assert_eq!(stats.expired_pending, 0);
            assert!(stats.memory_bytes >= stats.key_bytes + stats.value_bytes);
        }
    }

    /// What must hold after every operation.
    pub fn limits(&self) {
        let stats = self.store.stats().unwrap();
        if self.setup.max_memory != 0 {
            assert!(stats.memory_bytes <= self.setup.max_memory, "{}", stats.memory_bytes);
        }
        if self.model.max_entries != 0 {
            assert!(stats.entries <= self.model.max_entries, "{} entries", stats.entries);
        }
        if !self.setup.evicts() {
            assert_eq!(stats.evicted, 0);
        }
    }

    /// With an eviction policy: drops from the model what the store evicted, and checks that it had
    /// a reason, that it counted each, and that it spared what was just written.
    pub fn find_evicted(&mut self, written: &[Vec<u8>]) {
        let evicted = self.store.stats().unwrap().evicted;
        let mut missing = Vec::new();
        for key in self.model.entries.keys() {
            if !self.store.exists(key).unwrap() {
                missing.push(key.clone());
            }
        }
        assert_eq!(evicted - self.evicted, missing.len() as u64, "evictions are counted");
        self.evicted = evicted;
        let over = |model: &Model| {
            model.max_entries != 0 && model.entries.len() as u64 > model.max_entries
        };
        for key in missing {
            assert!(!written.contains(&key), "what was just written was evicted");
            let reason = over(&self.model) || self.setup.max_memory != 0;
            assert!(reason, "evicted without need: {}", key.escape_ascii());
            self.model.entries.remove(&key);
        }
        assert!(!over(&self.model), "more entries than max_entries");
    }

    /// What a caller sees of one key: value, version, deadline, creation time.
    pub fn see(&self, key: &[u8]) {
        let got = self.store.get(key).map(|value| {
            value.map(|value| {
                let created_at = value.created_at_ms();
                assert_eq!(created_at.is_some(), self.setup.entry_stats);
                (value.to_vec(), value.version(), value.expire_at_ms(), created_at)
            })
        });
        let created_at = |entry: &Entry| self.setup.entry_stats.then_some(entry.created_at);
        let known =
            self.model.entries.get(key).map(|entry| {
                (entry.value.clone(), entry.version, entry.deadline, created_at(entry))
            });
        self.compare(key, got, known);
        let copied = self.store.get_with(key, |bytes| bytes.to_vec());
        self.compare(key, copied, self.model.entries.get(key).map(|entry| entry.value.clone()));
    }

    pub fn see_all(&self) {
        for k in 0..KEYS {
            self.see(&key(k));
        }
    }

    /// Lets every deadline of the next century pass, and looks one millisecond before and at each.
    pub fn run_out(&mut self) {
        const CENTURY_MS: i64 = 100 * 366 * 24 * 3600 * 1000;
        loop {
            let deadlines = self.model.entries.values().filter_map(|entry| entry.deadline);
            let Some(next) = deadlines.min().filter(|at| at - self.model.now < CENTURY_MS) else {
                break;
            };
            self.advance((next - 1 - self.model.now) as u64);
            self.see_all();
            self.advance(1);
            self.see_all();
            self.store.validate();
        }
        self.purge();
        self.keys();
        self.store.clear().unwrap();
        self.store.validate();
        let bytes = self.store.stats().unwrap().memory_bytes;
        assert!(bytes <= self.empty_bytes, "{bytes} bytes in an empty store");
    }
}
