//! Who watches which key for a transaction.
//!
//! Owns: the keys named by `WATCH`. Versions alone would tell nearly every change, and do so where it
//! counts, under the locks of a transaction; but a key that was absent, set and removed again is absent
//! as before, and that must be told as well.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ahash::HashMap;
use parking_lot::Mutex;

/// Set when a key that a client watches has changed.
pub type Dirty = Arc<AtomicBool>;

/// The keys that are watched.
#[derive(Debug, Default)]
pub struct Watched {
    by_key: Mutex<HashMap<Vec<u8>, Vec<Dirty>>>,
}

impl Watched {
    /// Watches a key for whoever has this flag.
    pub fn watch(&self, key: &[u8], dirty: &Dirty) {
        let mut by_key = self.by_key.lock();
        by_key.entry(key.to_vec()).or_default().push(Arc::clone(dirty));
    }

    /// Ends that.
    pub fn unwatch(&self, key: &[u8], dirty: &Dirty) {
        let mut by_key = self.by_key.lock();
        if let Some(watching) = by_key.get_mut(key) {
            watching.retain(|other| !Arc::ptr_eq(other, dirty));
            if watching.is_empty() {
                by_key.remove(key);
            }
        }
    }

    /// Whether nobody watches anything.
    pub fn is_empty(&self) -> bool {
        self.by_key.lock().is_empty()
    }

    /// A key has changed.
    pub fn touch(&self, key: &[u8]) {
        for dirty in self.by_key.lock().get(key).into_iter().flatten() {
            dirty.store(true, Ordering::Relaxed);
        }
    }
}
