//! Shuttle's locks with the interface of parking_lot's, for tests under `--cfg kv_shuttle`.

use std::time::Duration;

use shuttle::sync;

pub(crate) type ReadGuard<'a, T> = sync::RwLockReadGuard<'a, T>;
pub(crate) type WriteGuard<'a, T> = sync::RwLockWriteGuard<'a, T>;

/// A readers-writer lock without poisoning.
#[derive(Debug)]
pub(crate) struct RwLock<T>(sync::RwLock<T>);

impl<T> RwLock<T> {
    pub(crate) fn new(value: T) -> Self {
        RwLock(sync::RwLock::new(value))
    }

    pub(crate) fn read(&self) -> ReadGuard<'_, T> {
        self.0.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn write(&self) -> WriteGuard<'_, T> {
        self.0.write().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A mutex without poisoning.
#[derive(Debug)]
pub(crate) struct Mutex<T>(sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Mutex(sync::Mutex::new(value))
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn lock(&self) -> sync::MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A condition variable that nothing waits on: stores under shuttle have no background thread.
#[derive(Debug)]
pub(crate) struct Condvar;

impl Condvar {
    pub(crate) fn new() -> Self {
        Condvar
    }

    pub(crate) fn notify_all(&self) {}

    pub(crate) fn wait<T>(&self, _guard: &mut sync::MutexGuard<'_, T>) {}

    pub(crate) fn wait_for<T>(&self, _guard: &mut sync::MutexGuard<'_, T>, _timeout: Duration) {}
}
