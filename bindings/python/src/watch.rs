//! `store.watch(...)`: changes of the store, as they come.
//!
//! Owns: [`RawWatch`], which `libkv._watch` makes into an iterator, for threads and for asyncio. A wait
//! runs without the GIL, and in pieces, so that Ctrl-C ends it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use libkv::{EventKind, EventKinds, Status, Watch, WatchCancel, WatchOptions, Watched};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyString, PyTuple};

use crate::Backend;
use crate::convert::key;
use crate::errors::{OrRaise, error, guarded, invalid};
use crate::expiry::seconds;
use crate::store::Store;

/// How long a wait goes on before it looks whether the interpreter has a signal to handle.
const PIECE: Duration = Duration::from_millis(100);

/// A watch without its Python half.
#[pyclass(frozen, module = "libkv._native")]
pub(crate) struct RawWatch {
    /// Locked without the GIL only.
    watch: Mutex<Watch>,
    cancel: WatchCancel,
    store: Backend,
}

impl RawWatch {
    fn check_forked(&self, py: Python<'_>) -> PyResult<()> {
        // The lock may have been held by a thread that this process does not have.
        match self.cancel.is_forked() {
            true => Err(error(py, Status::Forked, Status::Forked.message())),
            false => Ok(()),
        }
    }

    fn wait(&self, py: Python<'_>, timeout: Duration) -> PyResult<Watched> {
        guarded(py, &self.store, |_| {
            let next = || {
                let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
                watch.next(Some(timeout))
            };
            py.detach(next).or_raise(py)
        })
    }
}

#[pymethods]
impl RawWatch {
    /// What comes next: (kind, key, value, revision, expire_at), or ("lagged", revision, missed);
    /// () once the watch was cancelled; None if nothing came in time.
    fn next<'py>(
        &self,
        py: Python<'py>,
        timeout: Option<f64>,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        self.check_forked(py)?;
        let limit =
            timeout.map(|s| Duration::try_from_secs_f64(s.max(0.0)).unwrap_or(Duration::MAX));
        #[allow(clippy::disallowed_methods)]
        let began = Instant::now();
        loop {
            let left = limit.map(|limit| limit.saturating_sub(began.elapsed()));
            match self.wait(py, left.map_or(PIECE, |left| left.min(PIECE)))? {
                Watched::Event(event) => {
                    let value = event.value().map(|value| PyBytes::new(py, value));
                    let (kind, name) = (event.kind().name(), PyBytes::new(py, event.key()));
                    let expire_at = event.expire_at_ms().map(seconds);
                    let fields = (kind, name, value, event.revision(), expire_at);
                    return fields.into_pyobject(py).map(Some);
                }
                Watched::Lagged { revision, missed } => {
                    return ("lagged", revision, missed).into_pyobject(py).map(Some);
                }
                Watched::Cancelled => return Ok(Some(PyTuple::empty(py))),
                Watched::TimedOut if left.is_some_and(|left| left <= PIECE) => return Ok(None),
                Watched::TimedOut => py.check_signals()?,
            }
        }
    }

    /// A descriptor that is readable while next has something to give; -1 if there is none.
    fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
        self.check_forked(py)?;
        let fd = || self.watch.lock().unwrap_or_else(PoisonError::into_inner).fd();
        guarded(py, &self.store, |_| Ok(py.detach(fd).unwrap_or(-1)))
    }

    /// Ends the watch, from any thread.
    fn cancel(&self) {
        self.cancel.cancel();
    }
}

#[pymethods]
impl Store {
    /// Watch changes: of one key, of the keys with a prefix, or of all.
    ///
    /// The result is an iterator of Event, for `for` and for `async for`, and a context manager
    /// that ends the watch. It sees everything from now on, in the order of revisions, or from
    /// from_revision on if that is still kept; what it missed, because it was read too slowly, it
    /// tells by LaggedError and goes on. It never holds up a write. kinds is one of "set",
    /// "deleted", "expired", "evicted", "cleared" and "touched", or several of them; clearing
    /// concerns every key.
    ///
    /// Servers tell which key changed and how, but no value and no revision, and only from now on; after
    /// a lost connection LaggedError. They must have notify-keyspace-events on: UnsupportedError.
    #[pyo3(signature = (*, key=None, prefix=None, from_revision=None, kinds=None))]
    fn watch<'py>(
        &self,
        py: Python<'py>,
        key: Option<Bound<'py, PyAny>>,
        prefix: Option<Bound<'py, PyAny>>,
        from_revision: Option<u64>,
        kinds: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let options = match (&key, &prefix) {
            (None, None) => WatchOptions::all(),
            (Some(one), None) => WatchOptions::key(bytes_of(one)?),
            (None, Some(prefix)) => WatchOptions::prefix(bytes_of(prefix)?),
            (Some(_), Some(_)) => return Err(invalid(py, "give key or prefix, not both")),
        };
        let kinds = kinds.as_ref().map_or(Ok(EventKinds::ALL), kinds_of)?;
        let options = options.kinds(kinds).from_revision(from_revision.unwrap_or(0));
        let watch =
            guarded(py, &self.backend, |store| py.detach(|| store.watch(&options)).or_raise(py))?;
        let cancel = watch.canceller();
        let raw = RawWatch { watch: Mutex::new(watch), cancel, store: self.backend.clone() };
        static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let class = CLASS.get_or_try_init(py, || -> PyResult<_> {
            Ok(py.import("libkv._watch")?.getattr("Watch")?.unbind())
        })?;
        let what = match (&key, &prefix) {
            (Some(one), _) => format!("key {}", one.repr()?),
            (None, Some(prefix)) => format!("prefix {}", prefix.repr()?),
            (None, None) => "all keys".to_owned(),
        };
        class.bind(py).call1((raw, what))
    }
}

/// The bytes of a key or a prefix.
fn bytes_of(object: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    key(object).map(<[u8]>::to_vec)
}

/// The kinds that are named.
fn kinds_of(named: &Bound<'_, PyAny>) -> PyResult<EventKinds> {
    let mut bits = 0;
    let mut add = |name: &Bound<'_, PyAny>| -> PyResult<()> {
        let name = name.cast::<PyString>()?.to_str()?;
        let Some(kind) = EventKind::ALL.into_iter().find(|kind| kind.name() == name) else {
            let names = EventKind::ALL.map(EventKind::name).join(", ");
            return Err(invalid(
                named.py(),
                &format!("'{name}' is no kind of change: give {names}"),
            ));
        };
        bits |= kind.bit();
        Ok(())
    };
    if named.cast::<PyString>().is_ok() {
        add(named)?;
    } else {
        for name in named.try_iter()? {
            add(&name?)?;
        }
    }
    match bits {
        0 => Err(invalid(named.py(), "kinds is empty, so there would be nothing to see")),
        bits => EventKinds::from_bits(bits).or_raise(named.py()),
    }
}
