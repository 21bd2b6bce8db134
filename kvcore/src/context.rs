//! What all shards of one store share: clock, limits, revisions and the options in force.
//!
//! Owns: the revision counter and the settings that can change while the store is open. Invariant:
//! a revision is taken under the lock of the shard it belongs to, so the revisions of one key rise.

use std::sync::Arc;

use crossbeam_utils::CachePadded;

use crate::background::Alarm;
use crate::budget::{Budget, UNLIMITED};
use crate::clock::{Clock, Now};
use crate::entry::NEVER;
use crate::hash::KeyHasher;
use crate::journal::Journal;
use crate::options::Options;
use crate::random;
use crate::removals::Removals;
use crate::set_options::Expiry;
use crate::stats::LatencyMeter;
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use crate::value::PinMeter;
use crate::wal::SyncMode;
use crate::watch::Feed;

/// What a shard needs to know of its store.
pub(crate) struct Context {
    pub(crate) clock: Clock,
    pub(crate) hasher: KeyHasher,
    /// Written by many calls, so it shares no cache line with what reads need.
    pub(crate) budget: CachePadded<Budget>,
    pub(crate) alarm: CachePadded<Alarm>,
    pub(crate) removals: Removals,
    pub(crate) pins: &'static PinMeter,
    revision: CachePadded<AtomicU64>,
    /// How often all contents were replaced.
    contents: AtomicU64,
    default_ttl_ms: AtomicU64,
    ttl_jitter_ppm: AtomicU32,
    cleanup_interval_ms: AtomicU64,
    /// Whether the cleaner leaves everything where it is.
    holds_expired: AtomicBool,
    /// Whether changes are counted. Of reads the state of the store says it.
    counts: AtomicBool,
    may_evict: AtomicBool,
    pub(crate) latency: Arc<LatencyMeter>,
    /// The options that threads which tend files go by.
    pub(crate) files: FileSettings,
    /// Where changes are recorded.
    pub(crate) journal: Journal,
    /// Where changes are told to those who watch.
    pub(crate) feed: Arc<Feed>,
}

/// When a write makes its entry expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deadline {
    /// At this time, which may be [`NEVER`].
    At(i64),
    /// It has expired before it was written.
    Past,
}

impl Context {
    /// `margin` is how many bytes policies may take without asking.
    pub(crate) fn new(options: &Options, clock: Clock, margin: usize) -> Self {
        let (max_entries, max_bytes) = (limit(options.max_entries()), limit(options.max_memory()));
        let context = Context {
            clock,
            hasher: KeyHasher::new(),
            budget: CachePadded::new(Budget::new(max_entries, max_bytes, margin as u64)),
            alarm: CachePadded::new(Alarm::new()),
            removals: Removals::new(options),
            pins: PinMeter::lease(),
            revision: CachePadded::new(AtomicU64::new(0)),
            contents: AtomicU64::new(0),
            default_ttl_ms: AtomicU64::new(0),
            ttl_jitter_ppm: AtomicU32::new(0),
            cleanup_interval_ms: AtomicU64::new(0),
            holds_expired: AtomicBool::new(false),
            counts: AtomicBool::new(true),
            may_evict: AtomicBool::new(true),
            latency: Arc::new(LatencyMeter::new()),
            files: FileSettings::default(),
            journal: Journal::new(),
            feed: Arc::new(Feed::new(options)),
        };
        context.apply(options);
        context
    }

    /// Puts the options that can change while the store is open in force, but for the limits.
    pub(crate) fn apply(&self, options: &Options) {
        self.default_ttl_ms.store(options.default_ttl_ms(), Ordering::Relaxed);
        self.ttl_jitter_ppm.store(options.ttl_jitter_ppm(), Ordering::Relaxed);
        self.cleanup_interval_ms.store(options.cleanup_interval_ms(), Ordering::Relaxed);
        self.latency.set_mode(options.latency());
        self.counts.store(options.metrics(), Ordering::Relaxed);
        self.files.apply(options);
        if let Some(log) = self.journal.log() {
            log.set_mode(options.sync_mode());
        }
    }

    /// Whether the policy, if there is one, may evict.
    #[inline]
    pub(crate) fn may_evict(&self) -> bool {
        self.may_evict.load(Ordering::Relaxed)
    }

    /// Lets the policy evict or not.
    pub(crate) fn allow_eviction(&self, allow: bool) {
        self.may_evict.store(allow, Ordering::Relaxed);
    }

    /// Takes the next revision of the store.
    pub(crate) fn next_revision(&self) -> u64 {
        self.revision.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The last revision taken.
    pub(crate) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Relaxed)
    }

    /// A number for what the store holds, which changes when a restore replaces all of it.
    pub(crate) fn contents(&self) -> u64 {
        self.contents.load(Ordering::Acquire)
    }

    /// All contents are replaced. Under the locks of all shards.
    pub(crate) fn contents_replaced(&self) {
        self.contents.fetch_add(1, Ordering::AcqRel);
    }

    /// Goes on above a revision that was given out before.
    pub(crate) fn resume_above(&self, revision: u64) {
        self.revision.fetch_max(revision, Ordering::Relaxed);
    }

    /// How late the cleaner may free an entry: never while it is held back.
    pub(crate) fn cleanup_interval_ms(&self) -> u64 {
        match self.holds_expired.load(Ordering::Relaxed) {
            true => u64::MAX,
            false => self.cleanup_interval_ms.load(Ordering::Relaxed),
        }
    }

    /// Holds the cleaner back, or lets it go on.
    pub(crate) fn hold_expired(&self, hold: bool) {
        self.holds_expired.store(hold, Ordering::Relaxed);
        self.alarm.ring();
    }

    /// Whether changes are counted.
    #[inline]
    pub(crate) fn counts(&self) -> bool {
        self.counts.load(Ordering::Relaxed)
    }

    /// The deadline that a write asks for. `current` is the deadline of the entry it replaces.
    #[inline]
    pub(crate) fn deadline(&self, expiry: Expiry, current: Option<i64>, now: &Now<'_>) -> Deadline {
        match (expiry, current) {
            (Expiry::Never | Expiry::AtMs(i64::MAX), _) => Deadline::At(NEVER),
            (Expiry::Keep, Some(deadline)) => Deadline::At(deadline),
            (Expiry::AtMs(at), _) if at <= now.ms() => Deadline::Past,
            (Expiry::AtMs(at), _) => Deadline::At(at),
            (Expiry::AfterMs(ttl), _) if ttl > 0 => Deadline::At(self.after(ttl, now)),
            (Expiry::AfterMs(_) | Expiry::Default | Expiry::Keep, _) => {
                match self.default_ttl_ms.load(Ordering::Relaxed) {
                    0 => Deadline::At(NEVER),
                    ttl => Deadline::At(self.after(ttl, now)),
                }
            }
        }
    }

    /// The deadline of an entry whose TTL is to be this from now on: it has passed if the TTL is not
    /// positive, and is [`NEVER`] for the largest number.
    pub(crate) fn expires_at(&self, ttl_ms: i64, now: &Now<'_>) -> i64 {
        match ttl_ms {
            i64::MAX => NEVER,
            1.. => self.after(ttl_ms.unsigned_abs(), now),
            _ => i64::MIN,
        }
    }

    /// A deadline this far from now, less the jitter, and never if there is no such time.
    pub(crate) fn after(&self, ttl_ms: u64, now: &Now<'_>) -> i64 {
        let ppm = self.ttl_jitter_ppm.load(Ordering::Relaxed);
        let ttl = i64::try_from(jittered(ttl_ms, ppm).max(1)).unwrap_or(NEVER);
        now.ms().saturating_add(ttl)
    }
}

/// A TTL less a random share of it, which is up to so many parts per million.
pub(crate) fn jittered(ttl_ms: u64, ppm: u32) -> u64 {
    let spread = u128::from(ttl_ms) * u128::from(ppm) / 1_000_000;
    let less = if ppm == 0 { 0 } else { random::up_to(spread as u64) };
    ttl_ms - less
}

/// What the threads that tend a store's files go by.
#[derive(Default)]
pub(crate) struct FileSettings {
    sync_interval_ms: AtomicU64,
    snapshot_interval_ms: AtomicU64,
    wal_bytes_max: AtomicU64,
    syncs_by_interval: AtomicBool,
}

impl FileSettings {
    fn apply(&self, options: &Options) {
        self.sync_interval_ms.store(options.sync_interval_ms(), Ordering::Relaxed);
        self.snapshot_interval_ms.store(options.snapshot_interval_ms(), Ordering::Relaxed);
        self.wal_bytes_max.store(options.wal_bytes_max(), Ordering::Relaxed);
        let by_interval = matches!(options.sync_mode(), SyncMode::Interval);
        self.syncs_by_interval.store(by_interval, Ordering::Relaxed);
    }

    pub(crate) fn sync_interval_ms(&self) -> u64 {
        self.sync_interval_ms.load(Ordering::Relaxed)
    }

    /// Zero turns periodic snapshots off.
    pub(crate) fn snapshot_interval_ms(&self) -> u64 {
        self.snapshot_interval_ms.load(Ordering::Relaxed)
    }

    pub(crate) fn wal_bytes_max(&self) -> u64 {
        self.wal_bytes_max.load(Ordering::Relaxed)
    }

    pub(crate) fn syncs_by_interval(&self) -> bool {
        self.syncs_by_interval.load(Ordering::Relaxed)
    }
}

/// A limit as the budget takes it, from an option in which zero is none.
pub(crate) fn limit(option: u64) -> u64 {
    if option == 0 { UNLIMITED } else { option }
}

#[cfg(all(test, not(kv_shuttle)))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn deadline(options: &[(&str, &str)], expiry: Expiry, current: Option<i64>) -> Deadline {
        let mut set = Options::new();
        for (name, value) in options {
            set.set(name, value).unwrap();
        }
        let context = Context::new(&set, Clock::manual(1000).0, 0);
        context.deadline(expiry, current, &Now::new(&context.clock))
    }

    #[test]
    fn deadlines() {
        let ttl = [("default_ttl", "5ms")];
        let cases = [
            (&[][..], Expiry::Default, None, Deadline::At(NEVER)),
            (&ttl, Expiry::Default, Some(7000), Deadline::At(1005)),
            (&ttl, Expiry::Never, None, Deadline::At(NEVER)),
            (&ttl, Expiry::Keep, None, Deadline::At(1005)),
            (&ttl, Expiry::Keep, Some(7000), Deadline::At(7000)),
            (&ttl, Expiry::Keep, Some(NEVER), Deadline::At(NEVER)),
            (&ttl, Expiry::AfterMs(0), None, Deadline::At(1005)),
            (&ttl, Expiry::AfterMs(1), None, Deadline::At(1001)),
            (&ttl, Expiry::AfterMs(u64::MAX), None, Deadline::At(NEVER)),
            (&ttl, Expiry::AfterMs(i64::MAX as u64 - 1), None, Deadline::At(NEVER)),
            (&ttl, Expiry::AtMs(1000), None, Deadline::Past),
            (&ttl, Expiry::AtMs(0), None, Deadline::Past),
            (&ttl, Expiry::AtMs(1001), None, Deadline::At(1001)),
            (&ttl, Expiry::AtMs(i64::MAX), None, Deadline::At(NEVER)),
        ];
        for (options, expiry, current, expected) in cases {
            assert_eq!(deadline(options, expiry, current), expected, "{expiry:?} {current:?}");
        }
    }

    #[test]
    fn jitter_only_shortens() {
        let jitter = [("ttl_jitter", "50%")];
        for _ in 0..1000 {
            let Deadline::At(at) = deadline(&jitter, Expiry::AfterMs(100), None) else { panic!() };
            assert!((1050..=1100).contains(&at), "{at}");
        }
        assert_eq!(deadline(&jitter, Expiry::AtMs(1100), None), Deadline::At(1100));
    }
}
