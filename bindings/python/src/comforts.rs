//! What a store offers beyond its own bytes: views by codecs, and results of functions.
//!
//! Both are written in Python, on the calls of the store (`libkv._view`, `libkv._memoize`); here they
//! become its methods.

use std::ffi::OsString;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::store::Store;

#[pymethods]
impl Store {
    /// The directory of the store, or None for one in memory. It can also be read after close.
    #[getter]
    fn path(&self) -> Option<OsString> {
        self.backend.directory().map(|path| path.as_os_str().to_owned())
    }

    /// Return a MutableMapping over this store whose keys and values go through codecs.
    ///
    /// A codec is "bytes", "str", "json", "msgpack" (if the package is installed), or any object with
    /// encode and decode, such as those of libkv.codecs. Pickle has no name: give
    /// libkv.codecs.UnsafePickle(), and read there why. Raises UnsupportedError (a ValueError) for an
    /// unknown name. The view has the calls of a dict and those of a store.
    #[pyo3(signature = (*, keys, values))]
    fn view<'py>(
        slf: &Bound<'py, Self>,
        keys: &Bound<'py, PyAny>,
        values: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("libkv._view")?.call_method1("View", (slf, keys, values))
    }

    /// Decorate a function or a coroutine function, so that its results are kept in this store.
    ///
    /// ttl is how long, None for the store's default_ttl. Callers that miss together compute once:
    /// the first one does, and the others get what it got, also its exception. key is a function of
    /// the same arguments that returns bytes or str; without it the key is made of the function's
    /// name (or name) and its arguments, which must be plain data. serializer is a codec as view takes
    /// it; a caller always gets what it gives back. For stale_ttl after ttl the old value is still
    /// returned, at once, while one call in the background computes the new one; with early_refresh (1.0 as
    /// published) such a call may start shortly before ttl ends. Exceptions of calls in the
    /// background go to sys.unraisablehook, and the old value stays until stale_ttl ends.
    ///
    /// The decorated function also has refresh, which computes anew, forget, which
    /// removes a result, and cache_key, each with the same arguments. Errors of the store are raised to the caller.
    #[pyo3(signature = (
        function=None, /, *, ttl=None, key=None, serializer=None, stale_ttl=None, early_refresh=0.0,
        name=None
    ))]
    #[expect(clippy::too_many_arguments, reason = "they are Python keywords")]
    fn memoize<'py>(
        slf: &Bound<'py, Self>,
        function: Option<&Bound<'py, PyAny>>,
        ttl: Option<&Bound<'py, PyAny>>,
        key: Option<&Bound<'py, PyAny>>,
        serializer: Option<&Bound<'py, PyAny>>,
        stale_ttl: Option<&Bound<'py, PyAny>>,
        early_refresh: f64,
        name: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let options = PyDict::new(py);
        options.set_item("ttl", ttl)?;
        options.set_item("key", key)?;
        match serializer {
            Some(serializer) => options.set_item("serializer", serializer)?,
            None => options.set_item("serializer", "json")?,
        }
        options.set_item("stale_ttl", stale_ttl)?;
        options.set_item("early_refresh", early_refresh)?;
        options.set_item("name", name)?;
        py.import("libkv._memoize")?.call_method("memoize", (slf, function), Some(&options))
    }
}
