//! `libkv.open`, and the Python forms of option values.
//!
//! Owns: how a Python value becomes the text of an option. What an option means, its bounds and
//! its errors come from the engine's table, so that a new row there needs no line here.

use std::path::PathBuf;

use libkv::{OPTION_TABLE, OptionKind, Options};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDelta, PyDict, PyFloat, PyInt, PyString};

use crate::Backend;
use crate::errors::{OrRaise, contained, invalid};
use crate::expiry::{NeverType, Ttl, ttl};
use crate::removals::Listener;
use crate::store::Store;

/// Open a store.
///
/// `path` is None or ":memory:" for a store in memory, or a directory, as text or any os.PathLike,
/// which is made if it is missing unless create=False. A path is never parsed; text that begins
/// with "kv:" carries options: "kv:data?sync=always", "kv::memory:?max_entries=1000". In a directory
/// sync="always" makes each write safe from the end of the machine before the call returns;
/// "interval", the default, and "never" make it safe from the end of the process.
///
/// "valkey://HOST:PORT/?prefix=app:" is a store on a Valkey or Redis server, and
/// "valkey-cluster://HOST:PORT,HOST:PORT/?prefix=app:&near=64MiB" one on a cluster, with USER:PASSWORD@
/// before the first host if need be. The same calls run there; Store.capabilities tells what does not,
/// and docs/cluster.md what differs.
///
/// Options are keywords, for example max_memory="64MiB", max_entries=1000, default_ttl="5m",
/// eviction="random". Their values are text, bool or int; durations are also a timedelta or a
/// number of seconds, shares such as ttl_jitter also a float from 0 to 1. Options in the location
/// win over keywords.
///
/// `on_remove` is called as on_remove(cause, key, value) for every entry that goes, after it went,
/// on a thread of the store. The cause is "deleted", "expired", "evicted", "cleared" or "replaced"
/// (the old value of a write that stored another), and `on_remove_causes` limits the calls to some
/// of them. It may use the store, but not close it. A slow one delays no write: callback_buffer
/// removals wait for it, and more are dropped and counted in stats().callbacks_dropped. close()
/// returns once all that wait were told; a store that is dropped without it, and Python when it
/// exits, tell no more. An exception in it goes to sys.unraisablehook.
///
/// `on_progress` is called as on_progress(phase, done, total) while the files of a directory are read, by
/// the thread that opens it: the phase is "snapshot" or "log", the others are bytes. It is called when a
/// phase begins, when it ends, and at most every 100 ms in between; a new directory and a store in memory
/// have nothing to tell. An exception in it goes to sys.unraisablehook, and opening goes on.
///
/// Raises UnsupportedError for an unknown option (naming the nearest valid one) and InvalidError
/// for a value that does not fit (naming the valid range); both are ValueErrors. For a directory
/// also LockedError (another opener has it), CorruptError (a file is damaged or missing; the
/// message names it), NoSpaceError and IoError, which are OSErrors, and FullError for contents over
/// the limits. On servers InvalidError says that a user or password was refused, UnavailableError (an
/// OSError) that none answered within timeout, and UnsupportedError that an option has no meaning there.
#[pyfunction]
#[pyo3(signature = (path=None, *, on_remove=None, on_remove_causes=None, on_progress=None, **options))]
pub(crate) fn open(
    py: Python<'_>,
    path: Option<&Bound<'_, PyAny>>,
    on_remove: Option<&Bound<'_, PyAny>>,
    on_remove_causes: Option<&Bound<'_, PyAny>>,
    on_progress: Option<&Bound<'_, PyAny>>,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<Store> {
    let mut chosen = Options::new();
    if let Some(options) = options {
        for (name, value) in options.iter() {
            let name = name.cast::<PyString>()?.to_str()?.to_owned();
            chosen.set(&name, &text_of(&name, &value)?).or_raise(py)?;
        }
    }
    let place = path.map_or(Ok(Place::Text(":memory:".to_owned())), Place::of)?;
    let listener = match (on_remove, on_remove_causes) {
        (None, None) => None,
        (None, Some(_)) => return Err(invalid(py, "on_remove_causes needs on_remove")),
        (Some(callable), causes) => {
            let (listener, listening) = Listener::listen(callable, causes, chosen)?;
            chosen = listening;
            Some(listener)
        }
    };
    if let Some(callable) = on_progress {
        chosen = telling(callable, chosen)?;
    }
    let backend = contained(py, || py.detach(|| place.open(chosen)).or_raise(py))?;
    let waits = place.is_on_disk() || backend.is_remote();
    Ok(Store::new(backend, place.shown(), waits, listener))
}

/// Has a callable told how far opening has come. The engine lets go of it once the store is open.
///
/// # Errors
/// `TypeError` if it cannot be called.
fn telling(callable: &Bound<'_, PyAny>, options: Options) -> PyResult<Options> {
    if !callable.is_callable() {
        return Err(PyTypeError::new_err(
            "on_progress takes a callable, called with a phase, the bytes done and their total",
        ));
    }
    let callable = callable.clone().unbind();
    Ok(options.on_progress(move |progress| {
        Python::attach(|py| {
            let told = (progress.phase.name(), progress.done_bytes, progress.total_bytes);
            if let Err(error) = callable.call1(py, told) {
                error.write_unraisable(py, Some(callable.bind(py)));
            }
        });
    }))
}

/// Where a store is opened.
enum Place {
    /// A location, which may carry options.
    Text(String),
    /// A directory given as a path object.
    Directory(PathBuf),
}

impl Place {
    fn of(path: &Bound<'_, PyAny>) -> PyResult<Place> {
        if path.is_instance_of::<PyString>() || path.is_instance_of::<PyBytes>() {
            let text = path.py().import("os")?.call_method1("fsdecode", (path,))?;
            return Ok(Place::Text(text.extract()?));
        }
        Ok(Place::Directory(path.extract()?))
    }

    fn open(&self, options: Options) -> libkv::Result<Backend> {
        match self {
            Place::Text(location) => Backend::open(location, options),
            Place::Directory(path) => Backend::open_directory(path, options),
        }
    }

    fn is_on_disk(&self) -> bool {
        match self {
            Place::Text(text) => text != ":memory:" && !text.starts_with("kv::memory:"),
            Place::Directory(_) => true,
        }
    }

    fn shown(&self) -> String {
        match self {
            Place::Text(text) => shown(text),
            Place::Directory(path) => path.display().to_string(),
        }
    }
}

/// A location without what it may keep secret: user and password, and the options behind them.
fn shown(location: &str) -> String {
    match location.split_once("://") {
        Some((scheme, rest)) if scheme.starts_with("valkey") => {
            // A password may have a ? in it, so that the @ is looked for first.
            let servers = rest.rsplit('@').next().unwrap_or_default();
            let servers = servers.split('?').next().unwrap_or_default();
            format!("{scheme}://{}", servers.trim_end_matches('/'))
        }
        _ => location.to_owned(),
    }
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
