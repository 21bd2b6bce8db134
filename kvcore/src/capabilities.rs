//! What a store can do, told before it is asked to.
//!
//! Owns: [`Capabilities`]. It is here, beside options and errors, because stores of every kind answer with it, and
//! a build without remote stores as well.

/// What a store can do beyond reading and writing keys.
///
/// What is not among these answers `Unsupported` before anything is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Whether values have versions, for conditions and deletes by version.
    pub versions: bool,
    /// Whether a batch may name keys of several slots. Otherwise `CrossSlot`.
    pub cross_slot_batches: bool,
    /// Whether scans come in order, and take a range.
    pub ordered_scans: bool,
    /// Whether a scan gives each key once, rather than at least once.
    pub exact_scans: bool,
    /// Whether changes can be watched. The server's `notify-keyspace-events` has to be on as well.
    pub watches: bool,
    /// Whether watches tell values and revisions, and can begin in the past.
    pub watch_history: bool,
    /// Whether there are snapshots, restoring and a log of the store's own.
    pub snapshots: bool,
    /// Whether there are limits and eviction of the store's own.
    pub eviction: bool,
    /// Whether `clear` may empty the whole store.
    pub clear: bool,
    /// Whether a near cache is in front.
    pub near_cache: bool,
}

impl Capabilities {
    /// Those of the embedded engine.
    pub fn embedded() -> Capabilities {
        Capabilities {
            versions: true,
            cross_slot_batches: true,
            ordered_scans: true,
            exact_scans: true,
            watches: true,
            watch_history: true,
            snapshots: true,
            eviction: true,
            clear: true,
            near_cache: false,
        }
    }
}
