//! Iteration over keys.
//!
//! Owns: the iterator behind `iter(store)`. It holds no lock between two keys, so the store may
//! change while it runs: a key that is there all the time comes exactly once, from servers at least once.

use libkv::Keys;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::Backend;
use crate::errors::{OrRaise, guarded};

/// Iterator over the keys of a store, as `bytes`.
#[pyclass(module = "libkv")]
pub(crate) struct KeyIterator {
    keys: Keys,
    store: Backend,
}

impl KeyIterator {
    /// Starts over `store`.
    pub(crate) fn new(py: Python<'_>, store: &Backend) -> PyResult<KeyIterator> {
        let keys = guarded(py, store, |store| {
            if store.is_remote() { py.detach(|| store.keys()) } else { store.keys() }.or_raise(py)
        })?;
        Ok(KeyIterator { keys, store: store.clone() })
    }
}

#[pymethods]
impl KeyIterator {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let KeyIterator { keys, store } = self;
        let next = guarded(py, store, |store| {
            // Which of a server's keys begins a page, and so has to be waited for, nobody can tell beforehand.
            if store.is_remote() { py.detach(|| keys.next()) } else { keys.next() }
                .transpose()
                .or_raise(py)
        })?;
        Ok(next.map(|key| PyBytes::new(py, &key)))
    }
}
