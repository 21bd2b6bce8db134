//! The forms in which Python says when an entry expires.
//!
//! Owns: `NEVER`, TTLs (seconds, `timedelta`, text, `NEVER`) and deadlines (timestamps, aware
//! `datetime`s), turned into the engine's milliseconds. Seconds are taken to the nearest
//! microsecond, as `timedelta` takes them, and then to a whole millisecond, the engine's tick. A TTL
//! is rounded up: what is positive stays positive, and `0.07` is 70 ms and not 71. A deadline is
//! rounded down: nothing is seen after the time that was named.

use libkv::{Expiry, TTL_NONE};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDateTime, PyDelta, PyDeltaAccess, PyFloat, PyInt, PyString};

use crate::errors::invalid;

/// The type of `libkv.NEVER`, the TTL of an entry that never expires.
#[pyclass(frozen, module = "libkv")]
pub(crate) struct NeverType;

#[pymethods]
impl NeverType {
    fn __repr__(&self) -> &'static str {
        "libkv.NEVER"
    }

    /// There is one `NEVER`: pickling and copying give the same object.
    fn __reduce__(&self) -> &'static str {
        "NEVER"
    }
}

/// The one instance.
pub(crate) fn never(py: Python<'_>) -> PyResult<Py<NeverType>> {
    static NEVER: PyOnceLock<Py<NeverType>> = PyOnceLock::new();
    NEVER.get_or_try_init(py, || Py::new(py, NeverType)).map(|never| never.clone_ref(py))
}

/// A TTL as given.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Ttl {
    /// `NEVER`, or more than the engine can count.
    Never,
    /// Milliseconds, perhaps zero or less.
    Ms(i64),
}

/// Reads a TTL.
///
/// # Errors
/// `InvalidError` (a `ValueError`) for a number that is no time or text that is no duration,
/// `TypeError` for another type.
pub(crate) fn ttl(object: &Bound<'_, PyAny>) -> PyResult<Ttl> {
    if object.is_exact_instance_of::<PyInt>() || object.is_exact_instance_of::<PyFloat>() {
        // Most TTLs: the other forms are not even looked at.
        return Ok(ms_of_seconds(object, "ttl", f64::ceil)?.map_or(Ttl::Never, ttl_of_ms));
    }
    if object.is_instance_of::<NeverType>() {
        return Ok(Ttl::Never);
    }
    if let Ok(delta) = object.cast::<PyDelta>() {
        let days = i64::from(delta.get_days());
        let seconds = days * 86_400 + i64::from(delta.get_seconds());
        let up = (i64::from(delta.get_microseconds()) + 999) / 1000;
        return Ok(ttl_of_ms(seconds * 1000 + up));
    }
    if let Ok(text) = object.cast::<PyString>() {
        let text = text.to_str()?;
        let ms = libkv::duration_ms(text).ok_or_else(|| {
            let message = format!("ttl '{text}' is no duration: write '250ms', '1s', '5m' or '6h'");
            invalid(object.py(), &message)
        })?;
        return Ok(ttl_of_ms(i64::try_from(ms).unwrap_or(i64::MAX)));
    }
    match ms_of_seconds(object, "ttl", f64::ceil)? {
        Some(ms) => Ok(ttl_of_ms(ms)),
        None => Err(PyTypeError::new_err(
            "a ttl is a number of seconds, a timedelta, text such as '5m', or libkv.NEVER",
        )),
    }
}

/// The seconds of a TTL, infinity for NEVER: for what is written in Python.
#[pyfunction]
pub(crate) fn duration(ttl: &Bound<'_, PyAny>) -> PyResult<f64> {
    Ok(match self::ttl(ttl)? {
        Ttl::Never => f64::INFINITY,
        Ttl::Ms(ms) => seconds(ms),
    })
}

fn ttl_of_ms(ms: i64) -> Ttl {
    if ms == TTL_NONE { Ttl::Never } else { Ttl::Ms(ms) }
}

/// Reads the TTL of a write, where zero or less is refused.
///
/// # Errors
/// As [`ttl`], and `InvalidError` for zero or less.
pub(crate) fn ttl_of_write(object: &Bound<'_, PyAny>) -> PyResult<Expiry> {
    match ttl(object)? {
        Ttl::Never => Ok(Expiry::Never),
        Ttl::Ms(ms @ 1..) => Ok(Expiry::AfterMs(ms.unsigned_abs())),
        Ttl::Ms(_) => Err(invalid(
            object.py(),
            "ttl must be positive: use libkv.NEVER for no expiry, or delete the key",
        )),
    }
}

/// As [`ttl_of_write`]; `None` is the store's `default_ttl`.
pub(crate) fn ttl_or_default(object: Option<&Bound<'_, PyAny>>) -> PyResult<Expiry> {
    object.map_or(Ok(Expiry::Default), ttl_of_write)
}

/// Reads the TTL that an entry is given anew, in the engine's milliseconds, where zero or less ends it.
///
/// # Errors
/// As [`ttl`].
pub(crate) fn ttl_of_expire(object: &Bound<'_, PyAny>) -> PyResult<i64> {
    Ok(match ttl(object)? {
        Ttl::Never => TTL_NONE,
        // The engine gives some negative numbers a meaning of their own.
        Ttl::Ms(ms) => ms.max(0),
    })
}

/// Reads a deadline: Unix milliseconds.
///
/// # Errors
/// `InvalidError` (a `ValueError`) for a `datetime` without a time zone, `TypeError` for a type
/// that is no time.
pub(crate) fn deadline_ms(object: &Bound<'_, PyAny>) -> PyResult<i64> {
    let py = object.py();
    let timestamp = if object.is_instance_of::<PyDateTime>() {
        if object.call_method0("utcoffset")?.is_none() {
            return Err(invalid(
                py,
                "expire_at is a datetime without a time zone: give it one, such as datetime.timezone.utc",
            ));
        }
        object.call_method0("timestamp")?
    } else {
        object.clone()
    };
    ms_of_seconds(&timestamp, "expire_at", f64::floor)?.ok_or_else(|| {
        PyTypeError::new_err("expire_at is a timestamp in seconds or an aware datetime")
    })
}

/// Milliseconds of a number of seconds, saturating; `None` when the object is no number.
fn ms_of_seconds(
    object: &Bound<'_, PyAny>,
    name: &str,
    round: fn(f64) -> f64,
) -> PyResult<Option<i64>> {
    if object.is_instance_of::<PyBool>() {
        return Ok(None);
    }
    if let Ok(whole) = object.cast::<PyInt>() {
        let seconds = match whole.extract::<i64>() {
            Ok(seconds) => seconds,
            Err(_) if whole.gt(0)? => i64::MAX,
            Err(_) => i64::MIN,
        };
        return Ok(Some(seconds.saturating_mul(1000)));
    }
    let is_float = object.is_instance_of::<PyFloat>();
    let seconds = match object.extract::<f64>() {
        Ok(seconds) => seconds,
        Err(error) if is_float => return Err(error),
        Err(_) => return Ok(None),
    };
    if seconds.is_nan() {
        return Err(invalid(object.py(), &format!("{name} is not a number (nan)")));
    }
    // What is positive must not become "gone at once" by being less than a microsecond.
    let micros = (seconds * 1e6).round();
    let micros = if seconds > 0.0 { micros.max(1.0) } else { micros };
    // A float cast saturates.
    Ok(Some(round(micros / 1000.0) as i64))
}

/// Seconds, as Python writes times, of milliseconds.
pub(crate) fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}
