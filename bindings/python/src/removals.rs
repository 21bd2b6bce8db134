//! `on_remove`: a Python callable that is told which entries went.
//!
//! Owns: the way from the engine's callback thread to the callable. Invariants: the GIL is taken for
//! each call and never while a lock of the engine is held; an exception in the callable is reported
//! by `sys.unraisablehook` and ends that one call; once Python begins to exit nothing is told, and
//! the thread never asks for a GIL that is going away, which would end the process in the middle.
//!
//! A store and a callable that refers to it are a cycle. The garbage collector sees the reference
//! from the store, and may break it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use libkv::{Cause, Causes, Options, Removal};
use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyCFunction, PyString};

use crate::errors::invalid;

/// A callable, shared by its store and the engine.
pub(crate) struct Listener {
    /// Locked only for a moment, with the GIL held; empty once the collector has broken a cycle.
    callable: Mutex<Option<Py<PyAny>>>,
    /// Held by the engine's thread from before it asks for the GIL until the call is over.
    telling: Mutex<()>,
    silent: AtomicBool,
    process: u32,
}

/// Those to silence when Python exits.
static LISTENERS: Mutex<Vec<Weak<Listener>>> = Mutex::new(Vec::new());

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Listener {
    /// Has the engine tell a callable of the removals for these causes, or for any.
    ///
    /// # Errors
    /// `TypeError` if it cannot be called, `InvalidError` for an unknown cause.
    pub(crate) fn listen(
        callable: &Bound<'_, PyAny>,
        causes: Option<&Bound<'_, PyAny>>,
        options: Options,
    ) -> PyResult<(Arc<Listener>, Options)> {
        if !callable.is_callable() {
            return Err(PyTypeError::new_err(
                "on_remove takes a callable, called with a cause, \
                                             a key and a value",
            ));
        }
        let causes = causes.map_or(Ok(Causes::ALL), causes_of)?;
        silence_at_exit(callable.py())?;
        let listener = Arc::new(Listener {
            callable: Mutex::new(Some(callable.clone().unbind())),
            telling: Mutex::new(()),
            silent: AtomicBool::new(false),
            process: std::process::id(),
        });
        let mut listeners = lock(&LISTENERS);
        listeners.retain(|listener| listener.strong_count() > 0);
        listeners.push(Arc::downgrade(&listener));
        let told = Arc::clone(&listener);
        Ok((listener, options.on_remove(causes, move |removal| told.tell(removal))))
    }

    fn tell(&self, removal: Removal<'_>) {
        let _telling = lock(&self.telling);
        if self.silent.load(Ordering::Acquire) {
            return;
        }
        Python::attach(|py| {
            let callable = lock(&self.callable).as_ref().map(|callable| callable.clone_ref(py));
            let Some(callable) = callable else { return };
            let key = PyBytes::new(py, removal.key);
            let value = PyBytes::new(py, removal.value);
            if let Err(error) = callable.call1(py, (removal.cause.name(), key, value)) {
                error.write_unraisable(py, Some(callable.bind(py)));
            }
        });
    }

    /// Waits for the call that runs, if one does, and lets none begin.
    fn silence(&self, py: Python<'_>) {
        self.silent.store(true, Ordering::Release);
        // In the child of a fork there is no thread to wait for, and its lock may never open.
        if self.process == std::process::id() {
            py.detach(|| drop(lock(&self.telling)));
        }
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.callable.try_lock() {
            Ok(callable) => visit.call(&*callable),
            Err(_) => Ok(()),
        }
    }

    pub(crate) fn clear(&self) {
        // What is dropped may run Python code, so not under the lock.
        let callable = lock(&self.callable).take();
        drop(callable);
    }
}

/// The causes in a name, or in an iterable of names.
fn causes_of(given: &Bound<'_, PyAny>) -> PyResult<Causes> {
    if given.is_instance_of::<PyString>() {
        return cause_of(given).map(Causes::from);
    }
    let mut bits = 0;
    for name in given.try_iter()? {
        bits |= cause_of(&name?)?.bit();
    }
    Causes::from_bits(bits).map_err(|error| invalid(given.py(), error.message()))
}

fn cause_of(name: &Bound<'_, PyAny>) -> PyResult<Cause> {
    let text = name.cast::<PyString>()?.to_str()?;
    Cause::ALL.into_iter().find(|cause| cause.name() == text).ok_or_else(|| {
        let known: Vec<&str> = Cause::ALL.iter().map(|cause| cause.name()).collect();
        let text: String = text.chars().take(64).flat_map(char::escape_debug).collect();
        let message = format!("unknown cause '{text}': give some of {}", known.join(", "));
        invalid(name.py(), &message)
    })
}

/// Registers [`Listener::silence`] for all, once.
fn silence_at_exit(py: Python<'_>) -> PyResult<()> {
    static REGISTERED: PyOnceLock<()> = PyOnceLock::new();
    REGISTERED
        .get_or_try_init(py, || {
            let silence_all = PyCFunction::new_closure(py, None, None, |arguments, _| {
                let listeners: Vec<_> = lock(&LISTENERS).iter().filter_map(Weak::upgrade).collect();
                for listener in listeners {
                    listener.silence(arguments.py());
                }
            })?;
            py.import("atexit")?.call_method1("register", (silence_all,)).map(drop)
        })
        .map(drop)
}
