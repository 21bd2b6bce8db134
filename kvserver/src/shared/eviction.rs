//! Making room by policies that the store was not opened with.
//!
//! Owns: the policies of `maxmemory-policy` that need nothing but the keys and their deadlines, and so can be
//! chosen while the store is open: a random key, a random key with a deadline, and the one that expires
//! soonest of some. The store's own limit is one that is never reached meanwhile, with which it counts its bytes, so
//! that measuring them is one look. As in Redis, room is made before each command, until the limit is kept again or nothing
//! is left that may go; a single command may exceed the limit.
//!
//! Policies by use (`lru`, `lfu`) need what the store keeps only if it was opened with them.

use std::sync::atomic::{AtomicU64, Ordering};

use kvcore::Remaining;
use parking_lot::Mutex;

use super::Shared;
use super::events::{self, Classes};

/// What may go, and what goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Any key.
    AnyKey,
    /// Any key with a deadline.
    AnyExpiring,
    /// Of some keys with a deadline, the one with the nearest.
    SoonestExpiring,
}

/// The choices and what Redis calls them.
pub const CHOICES: [(Choice, &str); 3] = [
    (Choice::AnyKey, "allkeys-random"),
    (Choice::AnyExpiring, "volatile-random"),
    (Choice::SoonestExpiring, "volatile-ttl"),
];

/// Keys that are evicted before one command, so that none waits for long: what is left is for the next one.
const EVICTED_MAX: usize = 256;

/// Keys that are compared for the nearest deadline.
const COMPARED: usize = 5;

/// Keys of one page of the walk.
const PAGE: usize = 16;

/// Whether there is room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// The limit is kept.
    Kept,
    /// Not yet, but there is more that may go.
    Coming,
    /// The limit is exceeded and nothing may go.
    None,
}

/// How room is made, if not by the store.
#[derive(Debug, Default)]
pub struct Eviction {
    choice: Mutex<Option<Choice>>,
    /// Where the walk over all keys goes on: a cursor of `scan_page`.
    hand: Mutex<u64>,
    evicted: AtomicU64,
}

impl Eviction {
    /// What may go; `None` if making room is up to the store.
    pub fn choice(&self) -> Option<Choice> {
        *self.choice.lock()
    }

    /// Chooses what may go.
    pub fn choose(&self, choice: Option<Choice>) {
        *self.choice.lock() = choice;
    }

    /// Keys that were evicted here.
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Counts anew.
    pub fn reset_count(&self) {
        self.evicted.store(0, Ordering::Relaxed);
    }

    /// Evicts until the limit is kept, and says whether it is.
    ///
    /// # Errors
    /// Those of the store; nothing more is evicted then.
    pub fn make_room(&self, shared: &Shared) -> kvcore::Result<Room> {
        let most = shared.settings.memory_max.load(Ordering::Relaxed);
        let Some(choice) = self.choice().filter(|_| most > 0) else { return Ok(Room::Kept) };
        for _ in 0..EVICTED_MAX {
            if shared.limited_memory()? <= most {
                return Ok(Room::Kept);
            }
            let victim = match choice {
                Choice::AnyKey => shared.store.random_key()?,
                // A walk would find none.
                _ if shared.store.stats()?.expiring_entries == 0 => None,
                Choice::AnyExpiring => self.expiring(shared, 1)?,
                Choice::SoonestExpiring => self.expiring(shared, COMPARED)?,
            };
            let Some(victim) = victim else { return Ok(Room::None) };
            if shared.store.del(&victim)? {
                self.evicted.fetch_add(1, Ordering::Relaxed);
                shared.keys_changed(&[&victim], 0, &[]);
                events::publish(shared, Classes::EVICTED, "evicted", &victim);
            }
        }
        Ok(Room::Coming)
    }

    /// Of the next few keys with a deadline, the one with the nearest. Walks through all keys once at most:
    /// the order of hashes has nothing to do with the keys, so the next one there is as good as a random one.
    fn expiring(&self, shared: &Shared, wanted: usize) -> kvcore::Result<Option<Vec<u8>>> {
        let mut best: Option<(i64, Vec<u8>)> = None;
        let mut hand = self.hand.lock();
        let (mut seen, mut turns) = (0, 0);
        // The first turn may have begun anywhere, so only the end of the second one has shown every key.
        while seen < wanted && turns < 2 {
            let mut keys = Vec::new();
            *hand = shared.store.scan_page(*hand, PAGE, |key| keys.push(key.to_vec()))?;
            turns += usize::from(*hand == 0);
            for key in keys {
                let Some(Remaining::Ms(left_ms)) = shared.store.ttl(&key)? else { continue };
                seen += 1;
                if best.as_ref().is_none_or(|(nearest_ms, _)| left_ms < *nearest_ms) {
                    best = Some((left_ms, key));
                }
            }
        }
        Ok(best.map(|(_, key)| key))
    }
}
