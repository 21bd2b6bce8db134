//! Calls on many keys: `get_many`, `set_many` and the pairs that `update` and they take.
//!
//! The GIL is released around the engine's work when there is much of it. Invariant: what the
//! engine reads meanwhile belongs to immutable objects that the call itself holds references to.

use kvcore::Expiry;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyMapping, PyString, PyTuple};

use crate::Backend;
use crate::convert::{Data, key, read, value};
use crate::errors::{OrRaise, guarded};

/// From this many keys on, the GIL is released: the work then outweighs the hand-over.
const RELEASE_FROM: usize = 32;

/// A list with the value of each key, `None` where there is none.
pub(crate) fn get_many<'py>(
    store: &Backend,
    keys: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyList>> {
    let py = keys.py();
    if keys.is_instance_of::<PyString>() || keys.is_instance_of::<PyBytes>() {
        return Err(PyTypeError::new_err("get_many takes an iterable of keys, not one key"));
    }
    // A tuple of our own: the caller's list may change once the GIL is released.
    let keys = py.get_type::<PyTuple>().call1((keys,))?.cast_into::<PyTuple>()?;
    let objects: Vec<Borrowed<'_, 'py, PyAny>> = keys.iter_borrowed().collect();
    let slices = objects.iter().map(|object| key(object)).collect::<PyResult<Vec<&[u8]>>>()?;
    let values = guarded(py, store, |store| {
        if slices.len() < RELEASE_FROM {
            let one = |slice: &&[u8]| read(py, store, slice).or_raise(py)?.transpose();
            return slices.iter().map(one).collect::<PyResult<Vec<_>>>();
        }
        let found = py.detach(|| store.get_many(&slices)).or_raise(py)?;
        found.iter().map(|one| one.as_ref().map(|one| value(py, one)).transpose()).collect()
    })?;
    PyList::new(py, values)
}

/// Stores all pairs, or none.
pub(crate) fn set_many(store: &Backend, pairs: &Bound<'_, PyAny>, expiry: Expiry) -> PyResult<()> {
    let py = pairs.py();
    let mut objects = Vec::new();
    each_pair(pairs, |key, value| {
        objects.push((key, value));
        Ok(())
    })?;
    let data = (objects.iter().map(|(key_object, value)| Ok((key(key_object)?, Data::of(value)?))))
        .collect::<PyResult<Vec<_>>>()?;
    let items: Vec<(&[u8], &[u8])> =
        data.iter().map(|(key, value)| (*key, value.as_bytes())).collect();
    guarded(py, store, |store| {
        if items.len() < RELEASE_FROM {
            store.set_many(&items, expiry).or_raise(py)
        } else {
            py.detach(|| store.set_many(&items, expiry)).or_raise(py)
        }
    })
}

/// Visits the pairs of a mapping, of an object with `keys()`, or of an iterable of pairs.
pub(crate) fn each_pair<'py>(
    source: &Bound<'py, PyAny>,
    mut visit: impl FnMut(Bound<'py, PyAny>, Bound<'py, PyAny>) -> PyResult<()>,
) -> PyResult<()> {
    if let Ok(dict) = source.cast_exact::<PyDict>() {
        // A list of the items, because `visit` may run Python code that changes the dict.
        return each_of(dict.items().as_any(), visit);
    }
    if source.is_instance_of::<PyMapping>() {
        return each_of(&source.call_method0("items")?, visit);
    }
    if source.hasattr("keys")? {
        for key in source.call_method0("keys")?.try_iter()? {
            let key = key?;
            let value = source.get_item(&key)?;
            visit(key, value)?;
        }
        return Ok(());
    }
    each_of(source, visit)
}

fn each_of<'py>(
    pairs: &Bound<'py, PyAny>,
    mut visit: impl FnMut(Bound<'py, PyAny>, Bound<'py, PyAny>) -> PyResult<()>,
) -> PyResult<()> {
    for (at, pair) in pairs.try_iter()?.enumerate() {
        let pair = pairs.py().get_type::<PyTuple>().call1((pair?,))?.cast_into::<PyTuple>()?;
        if pair.len() != 2 {
            let message =
                format!("item {at} has length {}: a key and a value are needed", pair.len());
            return Err(PyValueError::new_err(message));
        }
        visit(pair.get_item(0)?, pair.get_item(1)?)?;
    }
    Ok(())
}
