//! The native half of the Python package `libkv`: the store, wherever it is, as a Python type.
//!
//! Owns: the module `libkv._native` and the allocator of the wheel. Each method converts its
//! arguments, calls the store once, and converts the answer; what can be said in Python (the
//! exception classes, the views, the records) is said in `python/libkv`.
//!
//! The GIL is held for calls on one key in memory, because releasing it costs more than the call. It
//! is released for calls whose work grows with the data: `get_many`, `set_many`, `delete_many`, batches,
//! scans, `clear`, `purge_expired`, `configure`, `close`, `watch` and its waits; and for all that may wait
//! for a disk or a server: `open`, `sync`, `snapshot`, `restore`, `verify`, `salvage`, every change of a store in a
//! directory, and every call on a store on servers. No Python code ever runs under a lock of the engine.

#![deny(unsafe_code)]

mod batch;
mod comforts;
mod convert;
mod errors;
mod expiry;
mod files;
mod iterate;
mod many;
mod mapping;
mod options;
#[cfg(feature = "planted-panics")]
mod plant;
mod removals;
mod scan;
mod set_arguments;
mod stats;
mod store;
mod verify;
mod watch;

use pyo3::prelude::*;

/// The store behind this surface, named here and nowhere else.
pub(crate) use libkv::Store as Backend;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The native half of libkv. Import `libkv` instead.
#[pymodule]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::batch::Batch;
    #[pymodule_export]
    use crate::expiry::NeverType;
    #[pymodule_export]
    use crate::iterate::KeyIterator;
    #[pymodule_export]
    use crate::options::open;
    #[pymodule_export]
    use crate::scan::Scan;
    #[pymodule_export]
    use crate::store::Store;
    #[pymodule_export]
    use crate::verify::{salvage, verify};
    #[pymodule_export]
    use crate::watch::RawWatch;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("NEVER", crate::expiry::never(module.py())?)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("STATUSES", crate::errors::statuses())?;
        module.add_function(pyo3::wrap_pyfunction!(crate::expiry::duration, module)?)?;
        #[cfg(feature = "planted-panics")]
        module.add_function(pyo3::wrap_pyfunction!(crate::plant::plant_panic, module)?)?;
        Ok(())
    }
}
