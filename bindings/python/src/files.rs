//! What a store in a directory has beside its contents: `sync`, snapshots, and what opening found.
//!
//! All of it may wait for a disk, so the GIL is released.

use std::path::PathBuf;

use pyo3::prelude::*;

use crate::errors::{OrRaise, guarded};
use crate::expiry::seconds;
use crate::store::{Store, record};

#[pymethods]
impl Store {
    /// Wait until every write that returned before is on the disk, whatever sync= says.
    ///
    /// With persistence="snapshot" it takes a snapshot; a store in memory has nothing to wait for.
    /// Raises IoError, and PoisonedError from then on, if the disk failed: close the store and open
    /// it again. Releases the GIL.
    fn sync(&self, py: Python<'_>) -> PyResult<()> {
        guarded(py, &self.backend, |store| py.detach(|| store.sync()).or_raise(py))
    }

    /// Write a snapshot, the exact state of one moment, and return a Snapshot that tells about it.
    ///
    /// Other threads go on reading and writing meanwhile. path is a file, which is replaced if it
    /// is there; None is for the store's own directory. Raises UnsupportedError for None and a
    /// store in memory, NoSpaceError or IoError (OSErrors) when it cannot be written: what was
    /// there before stays. Releases the GIL.
    #[pyo3(signature = (path=None))]
    fn snapshot<'py>(&self, py: Python<'py>, path: Option<PathBuf>) -> PyResult<Bound<'py, PyAny>> {
        let info = guarded(py, &self.backend, |store| {
            py.detach(|| store.snapshot(path.as_deref())).or_raise(py)
        })?;
        let fields = (
            info.entries,
            info.bytes,
            info.revision,
            seconds(info.created_at_ms),
            info.seconds,
            info.path.into_os_string(),
        );
        record(py, "Snapshot")?.call1(fields)
    }

    /// Put the contents of a snapshot file in the place of the store's contents.
    ///
    /// Other calls wait meanwhile. The file is checked first. Entries keep their deadlines and get
    /// new versions. Raises CorruptError (an OSError) for a damaged file, UnsupportedError for one
    /// of another format, FullError for contents over the limits, and then changes nothing; after
    /// an error of the disk in a later step the store is poisoned and the disk keeps the old
    /// contents. Releases the GIL.
    fn restore(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        guarded(py, &self.backend, |store| py.detach(|| store.restore(&path)).or_raise(py))
    }

    /// What opening the store found, as a Recovery. All zero for a store in memory.
    ///
    /// It can also be read after close.
    #[getter]
    fn recovery<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let report = guarded(py, &self.backend, |store| store.recovery().or_raise(py))?;
        let fields = (
            report.snapshot_revision,
            report.last_revision,
            report.records,
            report.discarded_bytes,
            report.reason,
            report.fallback_used,
            report.clock_regression_ms,
            report.seconds,
        );
        record(py, "Recovery")?.call1(fields)
    }
}
