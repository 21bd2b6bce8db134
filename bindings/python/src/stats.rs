//! The statistics of a store as Python records.

use libkv::{Latency, Stats, Timed};
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
        stats.index_bytes,
        stats.entry_bytes,
        stats.large_bytes,
        stats.expiry_bytes,
        stats.policy_bytes,
        stats.order_bytes,
        stats.callback_bytes,
        stats.watch_bytes,
        stats.wal_buffer_bytes,
        stats.expiring_in_1s,
        stats.expiring_in_10s,
        stats.expiring_in_1m,
        stats.expiring_in_10m,
        stats.near_hits,
        stats.near_fills,
        stats.near_invalidations,
        stats.near_drops,
    ];
    class.call1(PyTuple::new(class.py(), fields)?)
}

/// `libkv._records.Latency` of a histogram.
pub(crate) fn latency_of<'py>(
    class: &Bound<'py, PyAny>,
    latency: &Latency,
) -> PyResult<Bound<'py, PyAny>> {
    let seconds = |ns: u64| ns as f64 / 1e9;
    let share = |share| seconds(latency.quantile_ns(share));
    let sum = seconds(latency.sum_ns());
    class.call1((
        latency.count(),
        sum,
        share(0.5),
        share(0.9),
        share(0.99),
        share(0.999),
        share(1.0),
    ))
}

/// The kind of calls that a name stands for.
pub(crate) fn timed(name: &str) -> Option<Timed> {
    Timed::ALL.into_iter().find(|timed| timed.name() == name)
}
