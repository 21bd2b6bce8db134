//! `store.batch()`: changes that are made all together or not at all.
//!
//! Owns: [`Batch`], which converts each change when it is given, so that a refused argument is told on its
//! own line, and collects them in the engine's batch. Writing is one call of the engine. A batch belongs
//! to one thread at a time: PyO3 refuses a second one while the first writes.

use libkv::{BatchOutcome, SetOptions};
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;

use crate::Backend;
use crate::convert::Data;
use crate::errors::{OrRaise, conflict, guarded};
use crate::expiry::{deadline_ms, ttl_of_expire};
use crate::many::RELEASE_FROM;
use crate::set_arguments::SetArguments;
use crate::store::{Store, record};

/// Changes of a store that are made together: all of them, in their order, or none.
///
/// Made by Store.batch. As a context manager it writes at the end of the block, and writes nothing when
/// an exception leaves the block. Without `with`, write does it. It may be filled and written again and
/// again, by one thread at a time. len(batch) is the number of changes that wait.
#[pyclass(module = "libkv")]
pub(crate) struct Batch {
    changes: libkv::Batch,
    store: Backend,
    waits: bool,
    /// Changes that were made, and those whose key was absent, of the last write.
    written: Option<(u64, u64)>,
}

impl Batch {
    /// Makes room for one more change, so that a batch without memory raises and does not end Python.
    fn reserve(&mut self, bytes: usize) -> PyResult<()> {
        let reserved = self.changes.try_reserve(bytes);
        reserved.map_err(|error| PyMemoryError::new_err(error.message().to_owned()))
    }
}

/// `libkv._records.BatchResult` of two counts.
fn result_of<'py>(py: Python<'py>, counts: (u64, u64)) -> PyResult<Bound<'py, PyAny>> {
    record(py, "BatchResult")?.call1(counts)
}

#[pymethods]
impl Batch {
    /// Set a key when the batch is written, with the keywords of Store.set.
    ///
    /// If a condition does not hold then, nothing of the batch is applied. It sees the changes before it
    /// in the batch; one on a version never holds for a key that the batch has changed already. Raises
    /// InvalidError (a ValueError) at once for keywords that do not fit.
    #[pyo3(signature = (
        key, value, *, ttl=None, expire_at=None, keep_ttl=false, if_absent=false, if_present=false,
        if_version=None
    ))]
    #[expect(clippy::too_many_arguments, reason = "they are Python keywords")]
    fn set(
        &mut self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        ttl: Option<&Bound<'_, PyAny>>,
        expire_at: Option<&Bound<'_, PyAny>>,
        keep_ttl: bool,
        if_absent: bool,
        if_present: bool,
        if_version: Option<u64>,
    ) -> PyResult<()> {
        let (name, data) = (crate::convert::key(key)?, Data::of(value)?);
        let arguments =
            SetArguments { ttl, expire_at, keep_ttl, if_absent, if_present, if_version };
        let options =
            if arguments.is_plain() { SetOptions::default() } else { arguments.options(py)? };
        self.reserve(name.len() + data.as_bytes().len())?;
        self.changes.set_with(name, data.as_bytes(), &options);
        Ok(())
    }

    /// Remove a key when the batch is written. One that is absent then is counted as missing.
    #[pyo3(name = "delete")]
    fn del(&mut self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        let name = crate::convert::key(key)?;
        self.reserve(name.len())?;
        self.changes.del(name);
        Ok(())
    }

    /// Give a key a new ttl, counted from when the batch is written, as Store.expire does.
    fn expire(&mut self, key: &Bound<'_, PyAny>, ttl: &Bound<'_, PyAny>) -> PyResult<()> {
        let (name, ttl_ms) = (crate::convert::key(key)?, ttl_of_expire(ttl)?);
        self.reserve(name.len())?;
        self.changes.expire(name, ttl_ms);
        Ok(())
    }

    /// Let a key expire at a timestamp (seconds) or an aware datetime, as Store.expire_at does.
    fn expire_at(&mut self, key: &Bound<'_, PyAny>, when: &Bound<'_, PyAny>) -> PyResult<()> {
        let (name, unix_ms) = (crate::convert::key(key)?, deadline_ms(when)?);
        self.reserve(name.len())?;
        self.changes.expire_at(name, unix_ms);
        Ok(())
    }

    /// Make all changes, or none, and return a BatchResult; the batch is empty afterwards.
    ///
    /// Whoever reads the store sees all of it or nothing, and so does the next opener after a crash.
    /// Raises ConflictError when a condition did not hold, and what Store.set raises, for the changes
    /// together; CrossSlotError on a cluster whose keys are of several slots. The batch keeps its changes
    /// then, and none of them is applied, except that after IoError the outcome is unknown. Releases the
    /// GIL for many changes.
    fn write<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let releases = self.waits || self.changes.len() >= RELEASE_FROM;
        let changes = &self.changes;
        let outcome = guarded(py, &self.store, |store| {
            if releases { py.detach(|| store.write(changes)) } else { store.write(changes) }
                .or_raise(py)
        })?;
        match outcome {
            BatchOutcome::Applied { applied, missing } => {
                self.changes.clear();
                self.written = Some((applied, missing));
                result_of(py, (applied, missing))
            }
            BatchOutcome::Conflict { index } => Err(conflict(py, index)),
        }
    }

    /// Take all changes out, so that nothing is left to write.
    fn clear(&mut self) {
        self.changes.clear();
    }

    /// The BatchResult of the last write, or None before the first one.
    #[getter]
    fn result<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.written.map(|counts| result_of(py, counts)).transpose()
    }

    fn __len__(&self) -> usize {
        self.changes.len()
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (exc_type, exc_value, traceback, /))]
    fn __exit__(
        &mut self,
        py: Python<'_>,
        exc_type: &Bound<'_, PyAny>,
        exc_value: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let _ = (exc_value, traceback);
        if exc_type.is_none() {
            self.write(py).map(drop)
        } else {
            self.changes.clear();
            Ok(())
        }
    }

    fn __repr__(&self) -> String {
        let count = self.changes.len();
        format!("<libkv.Batch of {count} {}>", if count == 1 { "change" } else { "changes" })
    }
}

#[pymethods]
impl Store {
    /// Return an empty Batch, for changes that are made all together or not at all.
    ///
    /// As in `with store.batch() as batch: batch.set("k", "v"); batch.delete("l")`, which writes at the
    /// end of the block. An exception inside the block applies nothing.
    fn batch(&self, py: Python<'_>) -> PyResult<Batch> {
        // A store that is closed says so here, and not only after the block.
        guarded(py, &self.backend, |store| store.check().or_raise(py))?;
        let (store, waits) = (self.backend.clone(), self.waits);
        Ok(Batch { changes: libkv::Batch::new(), store, waits, written: None })
    }
}
