//! The type `libkv.Store` and its calls beyond those of a dict.
//!
//! Owns: the handle. Invariants: a method converts all of its arguments before it calls the engine,
//! so a refused argument changes nothing; what may wait for a disk runs without the GIL.

use std::sync::Arc;

use libkv::{DeleteOutcome, Remaining, SetOutcome, Status};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyList;

use crate::Backend;
use crate::convert::{Data, key, read, value};
use crate::errors::{OrRaise, from_engine, guarded, invalid, not_found};
use crate::expiry::{deadline_ms, seconds, ttl_of_expire, ttl_or_default};
use crate::many;
use crate::options::text_of;
use crate::removals::Listener;
use crate::set_arguments::SetArguments;

/// A key-value store, used as a dict from keys (bytes, or str taken as UTF-8) to bytes.
///
/// Made by libkv.open. Values given may be bytes, str (as UTF-8) or any object with a buffer;
/// values returned are bytes. A TTL is seconds (int or float), a timedelta, text such as "5m", or
/// libkv.NEVER. One store may be used from any number of threads; it is a context manager that
/// closes itself. In a directory, a call that changes something may also raise NoSpaceError (the
/// disk is full; not applied; writes resume by themselves) and IoError (the outcome is unknown; no
/// more writes until the store is opened again), and lets other threads run while it waits. On servers
/// every call lets other threads run, and may also raise UnavailableError (no answer within timeout), and
/// one that changes something IoError (its reply was lost: whether it was made is unknown; the store goes
/// on); capabilities() tells what is not possible there. After close every call raises ClosedError; in a
/// process made by os.fork every call raises ForkedError.
#[pyclass(frozen, mapping, weakref, module = "libkv")]
pub(crate) struct Store {
    pub(crate) backend: Backend,
    /// As it may be shown: without a password.
    location: String,
    /// Whether a change may have to wait, for a disk or a server.
    pub(crate) waits: bool,
    listener: Option<Arc<Listener>>,
}

impl Store {
    /// A handle for an open store.
    pub(crate) fn new(
        backend: Backend,
        location: String,
        waits: bool,
        listener: Option<Arc<Listener>>,
    ) -> Store {
        Store { backend, location, waits, listener }
    }

    /// Asks without changing anything. Other threads run while it may wait for a server.
    #[inline]
    pub(crate) fn ask<T: Send>(
        &self,
        py: Python<'_>,
        body: impl FnOnce(&Backend) -> libkv::Result<T> + Send,
    ) -> PyResult<T> {
        guarded(py, &self.backend, |store| {
            if store.is_remote() { py.detach(|| body(store)) } else { body(store) }.or_raise(py)
        })
    }

    /// Makes a change. Other threads run while it may wait for a disk or a server.
    #[inline]
    pub(crate) fn change<T: Send>(
        &self,
        py: Python<'_>,
        body: impl FnOnce(&Backend) -> libkv::Result<T> + Send,
    ) -> PyResult<T> {
        guarded(py, &self.backend, |store| {
            if self.waits { py.detach(|| body(store)) } else { body(store) }.or_raise(py)
        })
    }

    /// Removes a key, and says whether it was there.
    pub(crate) fn removed(&self, object: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = object.py();
        let name = key(object)?;
        self.change(py, |store| store.del(name))
    }

    /// The value of a key that is removed by this.
    pub(crate) fn taken<'py>(
        &self,
        object: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = object.py();
        let name = key(object)?;
        let taken = self.change(py, |store| store.take(name))?;
        taken.map(|found| value(py, &found)).transpose()
    }
}

impl Drop for Store {
    /// Nothing is told of a store that is gone: its callable may be part of the same garbage.
    fn drop(&mut self) {
        if let Some(listener) = &self.listener {
            listener.clear();
        }
    }
}

/// A class of `libkv._records`.
pub(crate) fn record<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    static RECORDS: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    RECORDS
        .get_or_try_init(py, || py.import("libkv._records").map(Bound::unbind))?
        .bind(py)
        .getattr(name)
}

#[pymethods]
impl Store {
    /// Return the value of a key, or the default when it is absent or expired.
    #[pyo3(signature = (key, default=None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let name = crate::convert::key(key)?;
        guarded(py, &self.backend, |store| match read(py, store, name).or_raise(py)? {
            Some(found) => found.map(Some),
            None => Ok(default),
        })
    }

    /// Return a list with the value of each key, None where it is absent.
    ///
    /// No snapshot: other threads may write between two keys. Releases the GIL for many keys. On servers
    /// each of them gets one message for all its keys.
    fn get_many<'py>(&self, keys: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        many::get_many(&self.backend, keys)
    }

    /// Return the Entry of a key (value, version, created_at, expire_at, hits), or None when absent.
    ///
    /// Times are Unix timestamps in seconds; expire_at is None for an entry that never expires.
    /// created_at and hits are kept only with entry_stats=True, and are None and 0 otherwise.
    fn entry<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let name = crate::convert::key(key)?;
        let Some(found) = self.ask(py, |store| store.get(name))? else { return Ok(None) };
        let fields = (
            value(py, &found)?,
            found.version(),
            found.created_at_ms().map(seconds),
            found.expire_at_ms().map(seconds),
            found.hits(),
        );
        record(py, "Entry")?.call1(fields).map(Some)
    }

    /// Store a value and return its version, or None when the condition failed.
    ///
    /// ttl is seconds, a timedelta, "5m" or NEVER; expire_at a timestamp or an aware datetime (one
    /// that has passed removes the key); keep_ttl keeps the deadline of the value it replaces;
    /// without them the store's default_ttl applies. At most one of if_absent, if_present and
    /// if_version (the version that the key must have) is the condition.
    ///
    /// Raises InvalidError (a ValueError) for a ttl of zero or less, a naive datetime, or arguments
    /// that contradict each other; TooLargeError (a ValueError) for a key or value over its limit;
    /// FullError (a MemoryError) for a store at its limit that may not evict.
    #[pyo3(signature = (
        key, value, *, ttl=None, expire_at=None, keep_ttl=false, if_absent=false, if_present=false,
        if_version=None
    ))]
    #[expect(clippy::too_many_arguments, reason = "they are Python keywords")]
    fn set<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
        ttl: Option<&Bound<'py, PyAny>>,
        expire_at: Option<&Bound<'py, PyAny>>,
        keep_ttl: bool,
        if_absent: bool,
        if_present: bool,
        if_version: Option<u64>,
    ) -> PyResult<Option<u64>> {
        let (name, data) = (crate::convert::key(key)?, Data::of(value)?);
        let bytes = data.as_bytes();
        let arguments =
            SetArguments { ttl, expire_at, keep_ttl, if_absent, if_present, if_version };
        if arguments.is_plain() {
            return self.change(py, |store| store.set(name, bytes)).map(Some);
        }
        let options = arguments.options(py)?;
        match self.change(py, |store| store.set_with(name, bytes, &options))? {
            SetOutcome::Stored { version } => Ok(Some(version)),
            SetOutcome::Exists | SetOutcome::NotFound | SetOutcome::Conflict => Ok(None),
        }
    }

    /// Store all pairs of a mapping, or none of them (on a cluster, perhaps some).
    ///
    /// Takes a mapping or an iterable of pairs. ttl is as for set and applies to each. An error
    /// (see set) stores nothing, except on a cluster: there each pair is stored by itself, and an
    /// error may leave some of them stored. Releases the GIL for many pairs.
    #[pyo3(signature = (mapping, *, ttl=None))]
    fn set_many<'py>(
        &self,
        mapping: &Bound<'py, PyAny>,
        ttl: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        many::set_many(self, mapping, ttl_or_default(ttl)?)
    }

    /// Remove a key. Returns whether it was removed.
    ///
    /// With if_version, a version that set or entry gave, only if the key still has that version.
    #[pyo3(signature = (key, *, if_version=None))]
    fn delete(&self, key: &Bound<'_, PyAny>, if_version: Option<u64>) -> PyResult<bool> {
        let Some(version) = if_version else { return self.removed(key) };
        let py = key.py();
        let name = crate::convert::key(key)?;
        let outcome = self.change(py, |store| store.del_if(name, version))?;
        Ok(outcome == DeleteOutcome::Deleted)
    }

    /// Remove a key and return its value, atomically; the default when it is absent.
    #[pyo3(signature = (key, default=None))]
    fn take<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.taken(key)?.or(default))
    }

    /// Add delta to the decimal number stored under a key, and return the sum.
    ///
    /// An absent key counts from 0 and gets the ttl as set would give it; an existing deadline is
    /// kept unless a ttl is given. Raises WrongTypeError (a ValueError) when the value is no 64-bit
    /// integer or the sum overflows, and then changes nothing.
    #[pyo3(signature = (key, delta=1, *, ttl=None))]
    fn incr<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        delta: i64,
        ttl: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<i64> {
        let name = crate::convert::key(key)?;
        let expiry = ttl_or_default(ttl)?;
        self.change(py, |store| store.incr(name, delta, expiry))
    }

    /// Append to the value of a key and return the new length in bytes; keeps its deadline.
    ///
    /// An absent key starts empty. Raises TooLargeError or FullError, and then changes nothing.
    fn append(&self, key: &Bound<'_, PyAny>, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        let py = key.py();
        let (name, data) = (crate::convert::key(key)?, Data::of(data)?);
        let bytes = data.as_bytes();
        self.change(py, |store| store.append(name, bytes))
    }

    /// Give a key a new ttl; zero or less removes it at once, NEVER as persist.
    ///
    /// Returns whether the key was there.
    #[pyo3(signature = (key, ttl))]
    fn expire(&self, key: &Bound<'_, PyAny>, ttl: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = key.py();
        let name = crate::convert::key(key)?;
        let ttl_ms = ttl_of_expire(ttl)?;
        self.change(py, |store| store.expire(name, ttl_ms))
    }

    /// Let a key expire at a timestamp (seconds) or an aware datetime; a past one removes it.
    ///
    /// Returns whether the key was there. Raises InvalidError (a ValueError) for a naive datetime.
    fn expire_at(&self, key: &Bound<'_, PyAny>, when: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = key.py();
        let name = crate::convert::key(key)?;
        let unix_ms = deadline_ms(when)?;
        self.change(py, |store| store.expire_at(name, unix_ms))
    }

    /// Remove the deadline of a key, so that it never expires. Returns whether the key was there.
    fn persist(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = key.py();
        let name = crate::convert::key(key)?;
        self.change(py, |store| store.persist(name))
    }

    /// Return the seconds that a key has left, as a float, or None if it never expires.
    ///
    /// Raises KeyError when it is absent or expired.
    fn ttl(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<f64>> {
        let py = key.py();
        let name = crate::convert::key(key)?;
        match self.ask(py, |store| store.ttl(name))? {
            Some(Remaining::Never) => Ok(None),
            Some(Remaining::Ms(ms)) => Ok(Some(seconds(ms))),
            None => Err(not_found(key)),
        }
    }

    /// Free every expired entry now and return how many there were. Releases the GIL.
    ///
    /// Not needed for correctness: expired entries are never returned, and a thread frees them.
    fn purge_expired(&self, py: Python<'_>) -> PyResult<u64> {
        guarded(py, &self.backend, |store| py.detach(|| store.purge_expired()).or_raise(py))
    }

    /// Change an option while the store is open. Releases the GIL.
    ///
    /// Takes names and values as libkv.open does. Raises UnsupportedError (a ValueError) for an
    /// unknown option or one that only open takes, InvalidError (a ValueError) for a value that
    /// does not fit, FullError for a limit lower than the contents where nothing may be evicted.
    fn configure(&self, py: Python<'_>, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let text = text_of(name, value)?;
        guarded(py, &self.backend, |store| py.detach(|| store.configure(name, &text)).or_raise(py))
    }

    /// Return the Stats of the store: counts, sizes in bytes, and counters of operations.
    ///
    /// On servers the counts and sizes are theirs, whatever the prefix; reads and writes are those of this
    /// handle. near_hits and the like are of its near cache.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let stats = self.ask(py, libkv::Store::stats)?;
        crate::stats::record_of(&record(py, "Stats")?, &stats)
    }

    /// Return the Capabilities of the store: what it can do beyond reading and writing keys.
    ///
    /// A store of this process has all of them but near_cache, whatever its options. One on servers has
    /// fewer, and raises UnsupportedError for the rest before it sends anything. It can be asked after
    /// close, too.
    fn capabilities<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let can = self.backend.capabilities();
        let fields = (
            can.versions,
            can.cross_slot_batches,
            can.ordered_scans,
            can.exact_scans,
            can.watches,
            can.watch_history,
            can.snapshots,
            can.eviction,
            can.clear,
            can.near_cache,
        );
        record(py, "Capabilities")?.call1(fields)
    }

    /// Return what stopped the store's writes, as the exception that tells it, or None.
    ///
    /// For a failure of the disk or a contained bug, also in a thread of the store. It can be asked
    /// after close, too.
    fn last_fault<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let fault = self.backend.last_fault()?;
        Some(from_engine(py, &fault).into_value(py).into_bound(py).into_any())
    }

    /// Return the Stats of each shard, in a list. What belongs to the store as a whole is zero in them.
    fn shard_stats<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let class = record(py, "Stats")?;
        let mut shards = Vec::new();
        loop {
            let shard = shards.len();
            match self.ask(py, |store| store.shard_stats(shard))? {
                Some(stats) => shards.push(crate::stats::record_of(&class, &stats)?),
                None => return Ok(shards),
            }
        }
    }

    /// Return the statistics of the store and of each shard, and what was timed, as text for other
    /// programs: format is "json", one object, or "prometheus", its text format.
    ///
    /// Raises UnsupportedError (a ValueError) for another format.
    #[pyo3(signature = (format="json"))]
    fn stats_text(&self, py: Python<'_>, format: &str) -> PyResult<String> {
        self.ask(py, |store| store.stats_text(format))
    }

    /// Return the Latency of a kind of calls, "get", "set" or "sync", since the store was opened.
    ///
    /// Calls are timed as the option latency says: "off", which is the default, "sampled" for about one
    /// get and set in 64, or "full". The syncs are those of the log. Raises InvalidError (a ValueError)
    /// for another kind.
    fn latency<'py>(&self, py: Python<'py>, kind: &str) -> PyResult<Bound<'py, PyAny>> {
        let Some(timed) = crate::stats::timed(kind) else {
            return Err(invalid(py, "no such kind of calls: say 'get', 'set' or 'sync'"));
        };
        let latency = guarded(py, &self.backend, |store| store.latency(timed).or_raise(py))?;
        crate::stats::latency_of(&record(py, "Latency")?, &latency)
    }

    /// Stop the store and free what it holds; later calls raise ClosedError. Releases the GIL.
    ///
    /// A store in a directory is flushed to the disk first, and the directory is free for another
    /// opener. Closing twice does nothing. Returns once on_remove was told of all removals before; raises
    /// InvalidError when on_remove itself calls it.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        guarded(py, &self.backend, |store| py.detach(|| store.shutdown()).or_raise(py))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.listener.as_ref().map_or(Ok(()), |listener| listener.traverse(&visit))
    }

    fn __clear__(&self) {
        if let Some(listener) = &self.listener {
            listener.clear();
        }
    }

    fn __enter__<'py>(slf: Bound<'py, Self>) -> Bound<'py, Self> {
        slf
    }

    #[pyo3(signature = (exc_type, exc_value, traceback, /))]
    fn __exit__(
        &self,
        py: Python<'_>,
        exc_type: &Bound<'_, PyAny>,
        exc_value: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let _ = (exc_type, exc_value, traceback);
        // The child of a fork leaves the block too: that store is its parent's to close, and an
        // error here would hide the exception, such as SystemExit, that leaves the block.
        if self.backend.is_forked() { Ok(()) } else { self.close(py) }
    }

    fn __repr__(&self) -> String {
        let location = &self.location;
        // How many entries there are may take a server as long as a scan.
        let told = match self.backend.is_remote() {
            true => self.backend.check().map(|()| None),
            false => self.backend.len().map(Some),
        };
        match told {
            Ok(None) => format!("<libkv.Store '{location}'>"),
            Ok(Some(1)) => format!("<libkv.Store '{location}', 1 entry>"),
            Ok(Some(count)) => format!("<libkv.Store '{location}', {count} entries>"),
            Err(error) => match error.status() {
                Status::Closed => format!("<libkv.Store '{location}', closed>"),
                Status::Forked => format!("<libkv.Store '{location}', of the parent process>"),
                _ => format!("<libkv.Store '{location}', {error}>"),
            },
        }
    }
}
