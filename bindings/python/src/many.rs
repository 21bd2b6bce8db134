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
    let keys = tuple_of(keys)?;
    let values = guarded(py, store, |store| {
        if keys.len() < RELEASE_FROM {
            let one = |object: Borrowed<'_, 'py, PyAny>| {
                read(py, store, key(&object)?).or_raise(py)?.transpose()
            };
            return keys.iter_borrowed().map(one).collect::<PyResult<Vec<_>>>();
        }
        let objects: Vec<Borrowed<'_, 'py, PyAny>> = keys.iter_borrowed().collect();
        let slices = objects.iter().map(|object| key(object)).collect::<PyResult<Vec<&[u8]>>>()?;
        let found = py.detach(|| store.get_many(&slices)).or_raise(py)?;
        found.iter().map(|one| one.as_ref().map(|one| value(py, one)).transpose()).collect()
    })?;
    PyList::new(py, values)
}

/// The elements as a tuple of our own: a list of the caller's may change once the GIL is released.
fn tuple_of<'py>(elements: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTuple>> {
    if let Ok(list) = elements.cast_exact::<PyList>() {
        return Ok(list.to_tuple());
    }
    if let Ok(tuple) = elements.cast_exact::<PyTuple>() {
        return Ok(tuple.clone());
    }
    elements
        .py()
        .get_type::<PyTuple>()
        .call1((elements,))?
        .cast_into::<PyTuple>()
        .map_err(Into::into)
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
        let pair = tuple_of(&pair?)?;
        if pair.len() != 2 {
            let message =
                format!("item {at} has length {}: a key and a value are needed", pair.len());
            return Err(PyValueError::new_err(message));
        }
        visit(pair.get_item(0)?, pair.get_item(1)?)?;
    }
    Ok(())
}
