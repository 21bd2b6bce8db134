//! `store.scan(...)`: the entries of a prefix or a range, one after the other.
//!
//! Owns: [`Scan`], an iterator. Invariant: the GIL is released whenever the engine is asked, and never
//! while Python objects are made. Handing it over costs more than an entry does, and with other threads
//! busy it may come back only after milliseconds; so entries are taken from the engine in stretches that
//! grow up to a bound, and the engine is asked about each again when its turn comes: nothing is shown
//! that has expired meanwhile.

use std::collections::VecDeque;

use libkv::{Entry, Order, ScanOptions};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyType};

use crate::Backend;
use crate::convert::{key, value_of};
use crate::errors::{OrRaise, guarded, invalid};
use crate::store::Store;

/// Entries of the first stretch. Each is twice as long as the one before.
const FIRST_ENTRIES: usize = 16;

/// No stretch has more entries than this, nor more bytes, beside those of one entry.
const MOST_ENTRIES: usize = 1024;
const MOST_BYTES: usize = 256 << 10;

/// Iterator over the entries of a store: pairs of key and value, or keys. Made by Store.scan.
///
/// It holds no lock between two entries and little memory. One thread at a time may use it.
#[pyclass(module = "libkv")]
pub(crate) struct Scan {
    stretch: Stretch,
    keys_only: bool,
    store: Backend,
}

/// The engine's scan, and what was taken from it to be given.
struct Stretch {
    scan: libkv::Scan,
    ahead: VecDeque<Entry>,
    /// Entries to take the next time.
    enough: usize,
}

impl Stretch {
    /// Takes entries. An error behind some of them comes again when they are given.
    ///
    /// # Errors
    /// Those of [`libkv::Scan::try_next`].
    fn take(&mut self) -> libkv::Result<()> {
        let mut bytes = 0;
        while self.ahead.len() < self.enough && bytes < MOST_BYTES {
            match self.scan.try_next() {
                Ok(Some(entry)) => {
                    bytes += entry.key().len() + entry.value().len();
                    self.ahead.push_back(entry);
                }
                Err(error) if self.ahead.is_empty() => return Err(error),
                Ok(None) | Err(_) => break,
            }
        }
        self.enough = MOST_ENTRIES.min(self.enough * 2);
        Ok(())
    }

    fn next(&mut self, py: Python<'_>) -> PyResult<Option<Entry>> {
        loop {
            if self.ahead.is_empty() {
                py.detach(|| self.take()).or_raise(py)?;
            }
            let Some(entry) = self.ahead.pop_front() else { return Ok(None) };
            if self.scan.still_shows(&entry).or_raise(py)? {
                return Ok(Some(entry));
            }
        }
    }
}

#[pymethods]
impl Scan {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Scan { stretch, keys_only, store } = self;
        let Some(entry) = guarded(py, store, |_| stretch.next(py))? else { return Ok(None) };
        let name = PyBytes::new(py, entry.key()).into_any();
        if *keys_only {
            return Ok(Some(name));
        }
        let pair = (name, value_of(py, entry.value())?).into_pyobject(py)?;
        Ok(Some(pair.into_any()))
    }

    /// Scan[bytes] and Scan[tuple[bytes, bytes]], for annotations.
    #[classmethod]
    #[pyo3(signature = (item, /))]
    fn __class_getitem__<'py>(
        cls: &Bound<'py, PyType>,
        item: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        cls.py().import("types")?.getattr("GenericAlias")?.call1((cls, item))
    }
}

#[pymethods]
impl Store {
    /// Return an iterator over the entries whose keys have a prefix and lie in a range.
    ///
    /// It gives pairs of key and value, or keys alone with keys_only=True: those that begin with
    /// prefix, from start on and before end, no more than limit. order is None (any), "asc" (the
    /// smallest key first, byte by byte) or "desc". With ordered_index=True it costs as much as it
    /// gives; without, it goes through the whole store, and for an order several times if the store
    /// is large.
    ///
    /// An entry that stays comes exactly once, whatever else changes meanwhile; others may come, as
    /// they were at some moment since the scan began, or be missing. Nothing that has expired comes.
    /// Memory is bounded, no lock is held between two entries, and the GIL is released for every
    /// stretch of them. Raises InvalidError (a ValueError) for an unknown order, and, while it runs,
    /// ConflictError once restore has replaced the contents.
    ///
    /// With point_in_time=True every entry comes as it was when the scan began, and no other. Nobody
    /// waits for that: what changes is kept for the scan as it was, up to scan_buffer_bytes, until the
    /// scan has ended or is gone. ConflictError also says that this was too little, or that the store
    /// was cleared.
    ///
    /// On servers an entry comes at least once, in no order: start, end, order and point_in_time raise
    /// UnsupportedError, and ConflictError says that slots moved between servers.
    #[pyo3(signature = (
        *, prefix=None, start=None, end=None, order=None, limit=None, keys_only=false,
        point_in_time=false
    ))]
    #[expect(clippy::too_many_arguments, reason = "they are Python keywords")]
    fn scan(
        &self,
        py: Python<'_>,
        prefix: Option<&Bound<'_, PyAny>>,
        start: Option<&Bound<'_, PyAny>>,
        end: Option<&Bound<'_, PyAny>>,
        order: Option<&str>,
        limit: Option<u64>,
        keys_only: bool,
        point_in_time: bool,
    ) -> PyResult<Scan> {
        let mut options = ScanOptions { keys_only, point_in_time, ..ScanOptions::new() };
        if let Some(prefix) = prefix {
            options = options.prefix(key(prefix)?);
        }
        if let Some(start) = start {
            options = options.start(key(start)?);
        }
        if let Some(end) = end {
            options = options.end(key(end)?);
        }
        options = match limit {
            // The engine's 0 is no limit, and no key lies before the empty one.
            Some(0) => options.end(b""),
            limit => options.limit(limit.unwrap_or(0)),
        };
        options = options.order(match order {
            None => Order::None,
            Some("asc") => Order::Asc,
            Some("desc") => Order::Desc,
            Some(other) => {
                let message = format!("order is None, 'asc' or 'desc', not '{other}'");
                return Err(invalid(py, &message));
            }
        });
        let scan = self.ask(py, |store| store.scan(&options))?;
        let store = self.backend.clone();
        let stretch = Stretch { scan, ahead: VecDeque::new(), enough: FIRST_ENTRIES };
        Ok(Scan { stretch, keys_only, store })
    }
}
