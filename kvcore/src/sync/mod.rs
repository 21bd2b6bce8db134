//! The seam to locks, atomics and threads. Nothing else in the crate names them.
//!
//! Under `--cfg kv_shuttle` the locks and atomics are shuttle's, so that a test decides which
//! thread goes next.

mod locks;
mod signal;
mod thread;

pub use locks::{Condvar, Mutex, MutexGuard, ReadGuard, RwLock, WriteGuard};
pub use signal::Signal;
pub(crate) use std::thread::scope;
pub use thread::spawn;
pub(crate) use thread::{Thread, spawn_scoped};

#[cfg(not(kv_shuttle))]
pub(crate) use std::hint::spin_loop;
#[cfg(not(kv_shuttle))]
pub(crate) use std::sync::atomic;
#[cfg(not(kv_shuttle))]
pub(crate) use std::thread::yield_now;

#[cfg(kv_shuttle)]
pub(crate) use shuttle::hint::spin_loop;
#[cfg(kv_shuttle)]
pub(crate) use shuttle::sync::atomic;
#[cfg(kv_shuttle)]
pub(crate) use shuttle::thread::yield_now;
