//! Panics planted by tests, to show that the guard contains them. Not part of any release: the
//! feature `planted-panics` is off by default, and the stub does not know of this.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;

static PLANTED: AtomicBool = AtomicBool::new(false);

/// Makes the next call that reaches the engine panic, once.
#[pyfunction]
pub(crate) fn plant_panic() {
    PLANTED.store(true, Ordering::Relaxed);
}

/// Panics if a panic was planted.
pub(crate) fn panic_if_planted() {
    assert!(!PLANTED.swap(false, Ordering::Relaxed), "planted by a test");
}
