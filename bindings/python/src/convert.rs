//! Python objects to the engine's bytes and back.
//!
//! Owns: what counts as a key and as a value. Invariant: bytes handed out by [`key`] and [`Data`]
//! belong to immutable Python objects that the caller holds, so they stay valid, and unchanged,
//! also while the GIL is released. The only unsafe code of the crate is here.

#![allow(unsafe_code)]

use libkv::Value;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::Backend;

/// The bytes of a key: of a `bytes` object, or a `str` as UTF-8. Copies nothing.
///
/// # Errors
/// `TypeError` for any other type, `UnicodeEncodeError` for a lone surrogate.
#[inline]
pub(crate) fn key<'a>(object: &'a Bound<'_, PyAny>) -> PyResult<&'a [u8]> {
    match text_or_bytes(object) {
        Some(found) => found,
        None => Err(wrong_type(object, "a key is bytes or str")),
    }
}

#[inline]
fn text_or_bytes<'a>(object: &'a Bound<'_, PyAny>) -> Option<PyResult<&'a [u8]>> {
    // The exact types first: comparing a pointer is cheaper than asking a type for its flags.
    if let Ok(bytes) = object.cast_exact::<PyBytes>() {
        return Some(Ok(bytes.as_bytes()));
    }
    if let Ok(text) = object.cast_exact::<PyString>() {
        return Some(text.to_str().map(str::as_bytes));
    }
    of_subclass(object)
}

#[cold]
fn of_subclass<'a>(object: &'a Bound<'_, PyAny>) -> Option<PyResult<&'a [u8]>> {
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Some(Ok(bytes.as_bytes()));
    }
    let text = object.cast::<PyString>().ok()?;
    Some(text.to_str().map(str::as_bytes))
}

#[cold]
fn wrong_type(object: &Bound<'_, PyAny>, rule: &str) -> PyErr {
    let name = object.get_type().name().map_or_else(|_| "?".into(), |name| name.to_string());
    PyTypeError::new_err(format!("{rule}, not {name}"))
}

/// A value on its way in.
pub(crate) enum Data<'a, 'py> {
    /// Of an immutable object of the caller.
    Borrowed(&'a [u8]),
    /// A copy of a buffer whose owner might change it.
    Copied(Bound<'py, PyBytes>),
}

impl<'a, 'py> Data<'a, 'py> {
    /// Takes `bytes`, `str` as UTF-8, or any object with the buffer protocol (copied once).
    ///
    /// # Errors
    /// `TypeError` for any other type, `UnicodeEncodeError` for a lone surrogate.
    #[inline]
    pub(crate) fn of(object: &'a Bound<'py, PyAny>) -> PyResult<Self> {
        match text_or_bytes(object) {
            Some(found) => found.map(Data::Borrowed),
            None => copied(object).map(Data::Copied),
        }
    }

    /// The bytes.
    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Data::Borrowed(bytes) => bytes,
            Data::Copied(bytes) => bytes.as_bytes(),
        }
    }
}

#[cold]
fn copied<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    // SAFETY: the pointer is that of a live object, and the thread is attached.
    if unsafe { ffi::PyObject_CheckBuffer(object.as_ptr()) } == 0 {
        return Err(wrong_type(object, "a value is bytes, str or an object with a buffer"));
    }
    // SAFETY: as above; the function returns a new reference to a bytes object, or null with an
    // exception set.
    unsafe {
        Bound::from_owned_ptr_or_err(object.py(), ffi::PyBytes_FromObject(object.as_ptr()))
            .map(|bytes| bytes.cast_into_unchecked())
    }
}

/// A new `bytes` object, or null with `MemoryError` set. Runs no Python code, so it may be called
/// where a lock is held.
#[inline]
fn new_bytes(_py: Python<'_>, bytes: &[u8]) -> *mut ffi::PyObject {
    // SAFETY: the pointer and the length are those of a slice, whose length fits, and the thread
    // is attached.
    unsafe { ffi::PyBytes_FromStringAndSize(bytes.as_ptr().cast(), bytes.len().cast_signed()) }
}

#[inline]
fn owned<'py>(py: Python<'py>, made: *mut ffi::PyObject) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: the pointer comes from `new_bytes`: a new reference, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, made) }
}

/// Reads a value straight from the engine into a new `bytes` object, or from a server.
#[inline]
pub(crate) fn read<'py>(
    py: Python<'py>,
    store: &Backend,
    key: &[u8],
) -> libkv::Result<Option<PyResult<Bound<'py, PyAny>>>> {
    if store.is_remote() {
        return read_remote(py, store, key);
    }
    let made = store.get_with(key, |bytes| new_bytes(py, bytes))?;
    Ok(made.map(|made| owned(py, made)))
}

/// Reads a value from a server, while other threads run.
#[cold]
fn read_remote<'py>(
    py: Python<'py>,
    store: &Backend,
    key: &[u8],
) -> libkv::Result<Option<PyResult<Bound<'py, PyAny>>>> {
    let found = py.detach(|| store.get(key))?;
    Ok(found.map(|found| value(py, &found)))
}

/// A value that the engine handed out, as `bytes`.
pub(crate) fn value<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    value_of(py, value)
}

/// The bytes of a value, as `bytes`. Runs no Python code, so it may be called where a lock is held.
pub(crate) fn value_of<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    owned(py, new_bytes(py, bytes))
}
