//! Turns what the engine says into Python exceptions.
//!
//! Owns: the way from a status to its class in `libkv._errors`, and the guard that contains a
//! panic. Invariant: every call into the engine goes through [`guarded`], so that a bug poisons
//! the store and raises `PanicError`, an ordinary exception, instead of unwinding into Python.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use libkv::Status;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

use crate::Backend;

/// The number, the C name and the message of every status, for the tests of the class table.
pub(crate) fn statuses() -> Vec<(i32, &'static str, &'static str)> {
    Status::ALL.iter().map(|status| (status.code(), status.c_name(), status.message())).collect()
}

/// `libkv._errors.CLASSES`: the exception class of each status number.
fn class<'py>(py: Python<'py>, status: Status) -> PyResult<Bound<'py, PyAny>> {
    static CLASSES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    let classes = CLASSES.get_or_try_init(py, || -> PyResult<_> {
        let module = py.import("libkv._errors")?;
        Ok(module.getattr("CLASSES")?.cast_into::<PyDict>()?.unbind())
    })?;
    classes.bind(py).as_any().get_item(status.code())
}

/// The exception for a status, with a message that names the thing at fault and the remedy.
#[cold]
pub(crate) fn error(py: Python<'_>, status: Status, message: &str) -> PyErr {
    class(py, status)
        .and_then(|class| class.call1((message,)))
        .map_or_else(|e| e, PyErr::from_value)
}

/// An argument that cannot be: `InvalidError`, which is a `ValueError`.
#[cold]
pub(crate) fn invalid(py: Python<'_>, message: &str) -> PyErr {
    error(py, Status::Invalid, message)
}

/// The absent key: `NotFoundError`, which is a `KeyError` and carries the key as one.
#[cold]
pub(crate) fn not_found(key: &Bound<'_, PyAny>) -> PyErr {
    class(key.py(), Status::NotFound)
        .and_then(|class| class.call1((key,)))
        .map_or_else(|e| e, PyErr::from_value)
}

/// `popitem` of an empty store.
#[cold]
pub(crate) fn no_items(py: Python<'_>) -> PyErr {
    error(py, Status::NotFound, "the store is empty")
}

/// A batch of which nothing was applied: `ConflictError`, with the number of the change whose condition
/// did not hold.
#[cold]
pub(crate) fn conflict(py: Python<'_>, index: usize) -> PyErr {
    let message = format!(
        "the condition of change {index} of the batch, counted from 0, does not hold: read again and \
         retry; nothing was applied"
    );
    class(py, Status::Conflict)
        .and_then(|class| class.call1((message, index)))
        .map_or_else(|e| e, PyErr::from_value)
}

/// The exception for an error of the engine.
#[cold]
pub(crate) fn from_engine(py: Python<'_>, error_from: &libkv::Error) -> PyErr {
    let message = error_from.message();
    let raised = class(py, error_from.status()).and_then(|class| match error_from.os_code() {
        Some(os_code) => class.call1((os_code, message)),
        None => class.call1((message,)),
    });
    raised.map_or_else(|e| e, PyErr::from_value)
}

/// `?` for the engine's results inside a method.
pub(crate) trait OrRaise<T> {
    /// The value, or the exception of the error.
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> OrRaise<T> for libkv::Result<T> {
    #[inline]
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        match self {
            Ok(value) => Ok(value),
            Err(error) => Err(from_engine(py, &error)),
        }
    }
}

/// Runs `body`; a panic in it poisons the store and becomes `PanicError`.
#[inline]
pub(crate) fn guarded<T>(
    py: Python<'_>,
    store: &Backend,
    body: impl FnOnce(&Backend) -> PyResult<T>,
) -> PyResult<T> {
    let contained = || {
        #[cfg(feature = "planted-panics")]
        crate::plant::panic_if_planted();
        body(store)
    };
    match catch_unwind(AssertUnwindSafe(contained)) {
        Ok(result) => result,
        Err(payload) => {
            let message = describe(payload.as_ref());
            store.poison(&message);
            Err(error(py, Status::Panic, &message))
        }
    }
}

/// Runs what opens a store; a panic in it becomes `PanicError`.
pub(crate) fn contained<T>(py: Python<'_>, body: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        let what = text_of(payload.as_ref());
        Err(error(py, Status::Panic, &format!("a bug in libkv was contained: {what}")))
    })
}

#[cold]
fn describe(payload: &(dyn Any + Send)) -> String {
    format!("a bug in libkv was contained and the store is poisoned: {}", text_of(payload))
}

fn text_of(payload: &(dyn Any + Send)) -> &str {
    (payload.downcast_ref::<&str>().copied())
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
