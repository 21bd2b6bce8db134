//! Python objects to the engine's bytes and back.
//!
//! Owns: what counts as a key and as a value. Invariant: bytes handed out by [`key`] and [`Data`]
//! belong to immutable Python objects that the caller holds, so they stay valid, and unchanged,
//! also while the GIL is released. The only unsafe code of the crate is here.

#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::{ptr, slice};

use libkv::{Value, ValueSink};
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

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

/// The bytes of many keys, each as [`key`] takes them. Copies nothing.
///
/// # Errors
/// As [`key`].
pub(crate) fn keys<'a>(objects: &'a Bound<'_, PyTuple>) -> PyResult<Vec<&'a [u8]>> {
    let mut keys = Vec::with_capacity(objects.len());
    for object in objects.iter_borrowed() {
        let bytes = key(&object)?;
        // SAFETY: the bytes are those of an immutable object, and stay as they are as long as it lives. The
        // tuple, which never changes either, holds it for 'a.
        keys.push(unsafe { slice::from_raw_parts(bytes.as_ptr(), bytes.len()) });
    }
    Ok(keys)
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

/// A list that takes the values of many keys, each copied by the engine straight into its `bytes` object. It runs
/// no Python code meanwhile, so the engine may fill it under a lock.
///
/// Its places are empty until they are filled, so nobody else may be given it, nor look for it: the thread stays
/// attached from the beginning to [`finish`](ListOfValues::finish).
pub(crate) struct ListOfValues<'py> {
    list: Bound<'py, PyList>,
    /// The object that the engine writes to.
    made: Option<Bound<'py, PyAny>>,
    /// What went wrong first. Nothing more is taken then.
    fault: Option<PyErr>,
}

impl<'py> ListOfValues<'py> {
    /// For so many keys.
    ///
    /// # Errors
    /// `MemoryError`.
    pub(crate) fn new(py: Python<'py>, len: usize) -> PyResult<Self> {
        // SAFETY: the thread is attached; the function returns a new list, or null with an exception set.
        let list = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyList_New(len.cast_signed())) }?;
        // SAFETY: it is a list.
        let list = unsafe { list.cast_into_unchecked() };
        Ok(ListOfValues { list, made: None, fault: None })
    }

    /// The list, in which every place was filled.
    ///
    /// # Errors
    /// `MemoryError`.
    pub(crate) fn finish(self) -> PyResult<Bound<'py, PyList>> {
        self.fault.map_or(Ok(self.list), Err)
    }

    #[inline]
    fn fill(&mut self, place: usize, object: Bound<'py, PyAny>) {
        let py = object.py();
        // SAFETY: both are live objects, and the thread is attached. The function takes the reference to the
        // object over, also if it refuses the place.
        let set = unsafe {
            ffi::PyList_SetItem(self.list.as_ptr(), place.cast_signed(), object.into_ptr())
        };
        if set != 0 {
            self.fault.get_or_insert_with(|| PyErr::fetch(py));
        }
    }
}

impl ValueSink for ListOfValues<'_> {
    #[inline]
    fn room(&mut self, _: usize, len: usize) -> Option<&mut [MaybeUninit<u8>]> {
        if self.fault.is_some() {
            return None;
        }
        let py = self.list.py();
        // SAFETY: the thread is attached. Without bytes to copy the function returns a new `bytes` object whose
        // contents are still to be written, or null with an exception set.
        let made = unsafe {
            let made = ffi::PyBytes_FromStringAndSize(ptr::null(), len.cast_signed());
            Bound::from_owned_ptr_or_err(py, made)
        };
        match made {
            Ok(made) => {
                let made = self.made.insert(made);
                // SAFETY: it is a `bytes` object of this length, which nobody else has seen, so that it may be
                // written. An empty one is shared by all, but has no bytes.
                unsafe {
                    let start = ffi::PyBytes_AsString(made.as_ptr());
                    Some(slice::from_raw_parts_mut(start.cast(), len))
                }
            }
            Err(fault) => {
                (self.made, self.fault) = (None, Some(fault));
                None
            }
        }
    }

    #[inline]
    fn found(&mut self, number: usize, _: usize) {
        if let Some(made) = self.made.take() {
            self.fill(number, made);
        }
    }

    #[inline]
    fn absent(&mut self, number: usize) {
        self.made = None;
        let none = self.list.py().None().into_bound(self.list.py());
        self.fill(number, none);
    }
}
