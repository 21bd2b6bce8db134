//! The statistics of a store as a Python record.

use kvcore::Stats;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// `libkv._records.Stats` of the engine's counters, field by field in the order of that class.
pub(crate) fn record_of<'py>(
    class: &Bound<'py, PyAny>,
    stats: &Stats,
) -> PyResult<Bound<'py, PyAny>> {
    let fields = [
        stats.entries,
        stats.expiring_entries,
        stats.expired_pending,
        stats.key_bytes,
        stats.value_bytes,
        stats.memory_bytes,
        stats.resident_bytes,
        stats.pinned_bytes,
        stats.gets,
        stats.hits,
        stats.misses,
        stats.sets,
        stats.deletes,
        stats.expired,
        stats.evicted,
        stats.callbacks_dropped,
        stats.wal_bytes,
        stats.wal_syncs,
        stats.snapshots,
        stats.revision,
    ];
    class.call1(PyTuple::new(class.py(), fields)?)
}
