//! `libkv.open`, and the Python forms of option values.
//!
//! Owns: how a Python value becomes the text of an option. What an option means, its bounds and
//! its errors come from the engine's table, so that a new row there needs no line here.

use kvcore::{OPTION_TABLE, OptionKind, Options};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDelta, PyDict, PyFloat, PyInt, PyString};

use crate::Backend;
use crate::errors::OrRaise;
use crate::expiry::{NeverType, Ttl, ttl};
use crate::store::Store;

/// Open a store.
///
/// `path` is None or ":memory:" for a store in memory, or a location that carries options:
/// "kv::memory:?max_entries=1000". A directory raises UnsupportedError in this version.
///
/// Options are keywords, for example max_memory="64MiB", max_entries=1000, default_ttl="5m",
/// eviction="random". Their values are text, bool or int; durations are also a timedelta or a
/// number of seconds, shares such as ttl_jitter also a float from 0 to 1. Options in the location
/// win over keywords.
///
/// Raises UnsupportedError for an unknown option (naming the nearest valid one) and InvalidError
/// for a value that does not fit (naming the valid range); both are ValueErrors.
#[pyfunction]
#[pyo3(signature = (path=None, **options))]
pub(crate) fn open(
    py: Python<'_>,
    path: Option<&Bound<'_, PyAny>>,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<Store> {
    let mut chosen = Options::new();
    if let Some(options) = options {
        for (name, value) in options.iter() {
            let name = name.cast::<PyString>()?.to_str()?.to_owned();
            chosen.set(&name, &text_of(&name, &value)?).or_raise(py)?;
        }
    }
    let location = match path {
        None => ":memory:".to_owned(),
        Some(path) => py.import("os")?.call_method1("fsdecode", (path,))?.extract::<String>()?,
    };
    let backend = py.detach(|| Backend::open(&location, chosen)).or_raise(py)?;
    Ok(Store::new(backend, location))
}

/// The text of an option's value.
///
/// # Errors
/// `TypeError` for a type that no option takes.
pub(crate) fn text_of(name: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    let kind = OPTION_TABLE.iter().find(|spec| spec.name == name).map(|spec| spec.kind);
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(text.to_str()?.to_owned());
    }
    if let Ok(flag) = value.cast::<PyBool>() {
        return Ok(flag.is_true().to_string());
    }
    let is_number = value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>();
    match kind {
        Some(OptionKind::Duration { .. })
            if is_number
                || value.is_instance_of::<PyDelta>()
                || value.is_instance_of::<NeverType>() =>
        {
            Ok(match ttl(value)? {
                Ttl::Never => "0".to_owned(),
                Ttl::Ms(ms) => format!("{ms}ms"),
            })
        }
        Some(OptionKind::Share) if value.is_instance_of::<PyFloat>() => {
            Ok(format!("{}%", value.extract::<f64>()? * 100.0))
        }
        _ if is_number => Ok(value.str()?.to_str()?.to_owned()),
        _ => Err(PyTypeError::new_err(format!(
            "option '{name}' takes text, a bool, a number or a timedelta, not {}",
            value.get_type().name()?
        ))),
    }
}
