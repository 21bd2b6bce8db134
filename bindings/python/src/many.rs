//! Calls on many keys: `get_many`, `set_many`, `delete_many`, and the pairs that `update` takes too.
//!
//! The GIL is released around the engine's work when there is much of it. Invariant: what the
//! engine reads meanwhile belongs to immutable objects that the call itself holds references to.
//!
//! `get_many` makes no value handles. Of a few keys the engine copies each value straight into its `bytes` object,
//! with the GIL, because handing that over costs more than they do. Of many keys the engine copies a stretch into one run of
//! bytes without the GIL, and the list is built from that: two copies, but other threads run.

use libkv::Expiry;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyMapping, PyString, PyTuple};

use crate::Backend;
use crate::convert::{Data, ListOfValues, key, keys as names_of, read, value_of};
use crate::errors::{OrRaise, guarded};
use crate::store::Store;

/// From this many keys on, writes release the GIL: the work then outweighs the hand-over. On a disk or a
/// server they always do.
pub(crate) const RELEASE_FROM: usize = 32;

/// From this many keys on, reads of this process release the GIL: building the list needs it anyway.
const READ_RELEASE_FROM: usize = 256;

/// So many keys are read at a time without the GIL, and values up to so many bytes are copied then:
/// that bounds the memory of the copies to 64 MiB.
const STRETCH_KEYS: usize = 4096;
const STRETCH_VALUE_MAX: usize = 16 << 10;

/// A list with the value of each key, `None` where there is none.
pub(crate) fn get_many<'py>(
    store: &Backend,
    keys: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyList>> {
    let py = keys.py();
    let keys = keys_of("get_many", keys)?;
    let names = names_of(&keys)?;
    guarded(py, store, |store| {
        if names.len() < READ_RELEASE_FROM && !store.is_remote() {
            let mut values = ListOfValues::new(py, names.len())?;
            store.get_many_to(&names, &mut values).or_raise(py)?;
            return values.finish();
        }
        // Absent keys are done with, and no place is ever empty where other threads may see it.
        let list = PyList::new(py, std::iter::repeat_n(None::<()>, names.len()))?;
        if store.is_remote() {
            read_remote(store, &names, &list)?;
            return Ok(list);
        }
        for (stretch, names) in names.chunks(STRETCH_KEYS).enumerate() {
            read_released(store, names, stretch * STRETCH_KEYS, &list)?;
        }
        Ok(list)
    })
}

/// Reads values without the GIL, then puts them into the list from `first` on.
fn read_released(
    store: &Backend,
    names: &[&[u8]],
    first: usize,
    list: &Bound<'_, PyList>,
) -> PyResult<()> {
    let py = list.py();
    let mut copies = Copies { bytes: Vec::new(), found: Vec::with_capacity(names.len()) };
    py.detach(|| store.get_many_with(names, |index, value| copies.take(index, value)))
        .or_raise(py)?;
    for (index, found) in &copies.found {
        let value = match found {
            Found::Copied { start, len } => value_of(py, &copies.bytes[*start..*start + *len])?,
            Found::Large => match read(py, store, names[*index]).or_raise(py)? {
                Some(value) => value?,
                None => continue,
            },
        };
        list.set_item(first + index, value)?;
    }
    Ok(())
}

/// Reads values from servers, in one message to each of them, while other threads run.
fn read_remote(store: &Backend, names: &[&[u8]], list: &Bound<'_, PyList>) -> PyResult<()> {
    let py = list.py();
    let values = py.detach(|| store.get_many(names)).or_raise(py)?;
    for (index, found) in values.iter().enumerate() {
        if let Some(found) = found {
            list.set_item(index, value_of(py, found)?)?;
        }
    }
    Ok(())
}

/// Values copied out of the engine, each with the number of its key.
struct Copies {
    bytes: Vec<u8>,
    found: Vec<(usize, Found)>,
}

enum Found {
    /// Where in the bytes it is.
    Copied { start: usize, len: usize },
    /// Better read again, straight into its object, than copied twice.
    Large,
}

impl Copies {
    fn take(&mut self, index: usize, value: Option<&[u8]>) {
        let Some(value) = value else { return };
        if value.len() > STRETCH_VALUE_MAX || self.bytes.try_reserve(value.len()).is_err() {
            self.found.push((index, Found::Large));
            return;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.found.push((index, Found::Copied { start, len: value.len() }));
    }
}

#[pymethods]
impl Store {
    /// Remove keys and return how many were there. Releases the GIL for many keys.
    ///
    /// Each is removed by itself. Raises TooLargeError, and removes none, for a key over its limit.
    fn delete_many(&self, keys: &Bound<'_, PyAny>) -> PyResult<u64> {
        let py = keys.py();
        let keys = keys_of("delete_many", keys)?;
        let names = names_of(&keys)?;
        guarded(py, &self.backend, |store| {
            if names.len() < RELEASE_FROM && !self.waits {
                store.del_many(&names).or_raise(py)
            } else {
                py.detach(|| store.del_many(&names)).or_raise(py)
            }
        })
    }
}

/// The keys of a call that takes many.
fn keys_of<'py>(call: &str, keys: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTuple>> {
    if keys.is_instance_of::<PyString>() || keys.is_instance_of::<PyBytes>() {
        let message = format!("{call} takes an iterable of keys, not one key");
        return Err(PyTypeError::new_err(message));
    }
    tuple_of(keys)
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
pub(crate) fn set_many(on: &Store, pairs: &Bound<'_, PyAny>, expiry: Expiry) -> PyResult<()> {
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
    guarded(py, &on.backend, |store| {
        if items.len() < RELEASE_FROM && !on.waits {
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
