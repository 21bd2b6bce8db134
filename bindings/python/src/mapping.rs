//! What makes a store a `MutableMapping`.
//!
//! Owns: the operators and the methods of a dict. Views are Python classes (`libkv._dict_views`), built
//! on iteration and `get`, so that a key removed meanwhile is passed over and never an error.

use libkv::{SetOptions, SetOutcome};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict};

use crate::convert::{Data, key, read, value};
use crate::errors::{OrRaise, guarded, no_items, not_found};
use crate::iterate::KeyIterator;
use crate::many::each_pair;
use crate::store::Store;

/// An argument whose absence differs from `None`.
pub(crate) struct Given<'py>(Option<Bound<'py, PyAny>>);

impl<'a, 'py> FromPyObject<'a, 'py> for Given<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        Ok(Given(Some(object.to_owned())))
    }
}

/// `libkv._dict_views`, the part of the mapping that is written in Python.
fn views<'py>(py: Python<'py>) -> PyResult<&'py Bound<'py, PyModule>> {
    static VIEWS: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    VIEWS
        .get_or_try_init(py, || py.import("libkv._dict_views").map(Bound::unbind))
        .map(|it| it.bind(py))
}

#[pymethods]
impl Store {
    fn __getitem__<'py>(&self, key_object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = key_object.py();
        let name = key(key_object)?;
        guarded(py, &self.backend, |store| match read(py, store, name).or_raise(py)? {
            Some(found) => found,
            None => Err(not_found(key_object)),
        })
    }

    fn __setitem__(&self, key_object: &Bound<'_, PyAny>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = key_object.py();
        let (name, data) = (key(key_object)?, Data::of(data)?);
        let bytes = data.as_bytes();
        self.change(py, |store| store.set(name, bytes)).map(|_version| ())
    }

    fn __delitem__(&self, key_object: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.removed(key_object)? { Ok(()) } else { Err(not_found(key_object)) }
    }

    fn __contains__(&self, key_object: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = key_object.py();
        let name = key(key_object)?;
        self.ask(py, |store| store.exists(name))
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        let count = self.ask(py, libkv::Store::len)?;
        Ok(usize::try_from(count)?)
    }

    /// A store is true, also an empty one: it is a handle before it is a container.
    fn __bool__(&self) -> bool {
        true
    }

    fn __iter__(&self, py: Python<'_>) -> PyResult<KeyIterator> {
        KeyIterator::new(py, &self.backend)
    }

    fn __eq__<'py>(
        slf: &Bound<'py, Self>,
        other: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        views(slf.py())?.call_method1("equal", (slf, other))
    }

    /// A set-like view of the keys, as bytes.
    fn keys<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        views(slf.py())?.call_method1("StoreKeys", (slf,))
    }

    /// A set-like view of the pairs of key and value.
    ///
    /// Iterating reads each value when its turn comes; a key removed meanwhile is passed over.
    fn items<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        views(slf.py())?.call_method1("StoreItems", (slf,))
    }

    /// A view of the values.
    ///
    /// Iterating reads each value when its turn comes; a key removed meanwhile is passed over.
    fn values<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        views(slf.py())?.call_method1("StoreValues", (slf,))
    }

    /// Remove a key and return its value, atomically.
    ///
    /// Raises KeyError when it is absent and no default is given.
    #[pyo3(signature = (key, default = Given(None), /))]
    fn pop<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        default: Given<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match (self.taken(key)?, default.0) {
            (Some(found), _) => Ok(found),
            (None, Some(default)) => Ok(default),
            (None, None) => Err(not_found(key)),
        }
    }

    /// Remove some pair and return it as a tuple of key and value.
    ///
    /// Raises KeyError when the store is empty.
    fn popitem<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyAny>)> {
        let mut keys = self.ask(py, libkv::Store::keys)?;
        let mut next = || self.ask(py, |_| keys.next().transpose());
        while let Some(name) = next()? {
            if let Some(found) = self.change(py, |store| store.take(&name))? {
                return Ok((PyBytes::new(py, &name), value(py, &found)?));
            }
        }
        Err(no_items(py))
    }

    /// Return the value of a key; when it is absent, store the default and return that.
    ///
    /// One atomic step: of several callers exactly one stores. The store's default_ttl applies.
    /// Raises TypeError when the key is absent and the default is no value, FullError when there
    /// is no room.
    #[pyo3(signature = (key, default = None, /))]
    fn setdefault<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = key.py();
        let name = crate::convert::key(key)?;
        let absent = SetOptions::default().if_absent();
        loop {
            let found = guarded(py, &self.backend, |store| read(py, store, name).or_raise(py))?;
            if let Some(found) = found {
                return found;
            }
            let default = default.as_ref().ok_or_else(|| {
                PyTypeError::new_err("setdefault on an absent key needs a value, not None")
            })?;
            let data = Data::of(default)?;
            let bytes = data.as_bytes();
            // Another thread may come between: whoever stores first gives the value to all.
            let outcome = self.change(py, |store| store.set_with(name, bytes, &absent))?;
            if let SetOutcome::Stored { .. } = outcome {
                return Ok(PyBytes::new(py, bytes).into_any());
            }
        }
    }

    /// Store each pair of a mapping or of an iterable of pairs, then each keyword.
    ///
    /// Pair by pair, as a dict does: an error leaves the pairs before it stored. Use set_many to
    /// store all or nothing.
    #[pyo3(signature = (other = Given(None), /, **pairs))]
    fn update(&self, other: Given<'_>, pairs: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
        let sources = other.0.iter().chain(pairs.map(Bound::as_any));
        for source in sources {
            each_pair(source, |key, value| self.__setitem__(&key, &value))?;
        }
        Ok(())
    }

    /// Remove all entries. Releases the GIL.
    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        guarded(py, &self.backend, |store| py.detach(|| store.clear()).or_raise(py))
    }
}
