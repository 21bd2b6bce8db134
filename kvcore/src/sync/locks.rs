//! The locks of the engine: those of the standard library, or shuttle's in its tests, without poisoning.
//!
//! Why not `parking_lot`: it keeps who waits in one table for the whole process, as records in the memory of
//! the waiting threads. A child of `fork` inherits the table with the records of threads that it does not have,
//! and their memory goes to its own new threads, so a store that it opens could wait for ever in there. A
//! lock that is a word in its store, and a queue in the kernel, leaves nothing behind.
//!
//! A panic that leaves a lock poisons nothing: what may be half done then is marked by its owner.

use std::ops::{Deref, DerefMut};
use std::sync::{PoisonError, TryLockError};
use std::time::Duration;

#[cfg(kv_shuttle)]
use shuttle::sync as base;
#[cfg(not(kv_shuttle))]
use std::sync as base;

/// What reads through a lock.
pub type ReadGuard<'a, T> = base::RwLockReadGuard<'a, T>;
/// What writes through a lock.
pub type WriteGuard<'a, T> = base::RwLockWriteGuard<'a, T>;

/// A readers-writer lock.
#[derive(Debug, Default)]
pub struct RwLock<T>(base::RwLock<T>);

impl<T> RwLock<T> {
    /// A lock that is free.
    pub fn new(value: T) -> Self {
        RwLock(base::RwLock::new(value))
    }

    /// Waits until nobody writes.
    #[inline]
    pub fn read(&self) -> ReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody reads or writes.
    #[inline]
    pub fn write(&self) -> WriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A mutex.
#[derive(Debug, Default)]
pub struct Mutex<T>(base::Mutex<T>);

impl<T> Mutex<T> {
    /// A lock that is free.
    pub fn new(value: T) -> Self {
        Mutex(base::Mutex::new(value))
    }

    #[cfg(all(test, not(kv_shuttle)))]
    pub(crate) fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it guards; nobody else can have it.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` if somebody has it.
    #[inline]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(MutexGuard(Some(guard))),
            Err(TryLockError::Poisoned(poisoned)) => Some(MutexGuard(Some(poisoned.into_inner()))),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Waits until nobody has it.
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// A locked mutex. It is empty only while its thread waits for a condition.
#[derive(Debug)]
pub struct MutexGuard<'a, T>(Option<base::MutexGuard<'a, T>>);

const HELD: &str = "a thread that runs holds the lock";

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    #[allow(clippy::expect_used)]
    fn deref(&self) -> &T {
        self.0.as_ref().expect(HELD)
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    #[inline]
    #[allow(clippy::expect_used)]
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect(HELD)
    }
}

/// A condition variable.
#[derive(Debug, Default)]
pub struct Condvar(base::Condvar);

impl Condvar {
    /// A condition that nobody waits for.
    pub fn new() -> Self {
        Condvar(base::Condvar::new())
    }

    /// Wakes everybody.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }

    /// Waits to be woken.
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        if let Some(held) = guard.0.take() {
            guard.0 = Some(self.0.wait(held).unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Waits for `timeout` at most, and says whether it has passed.
    #[cfg(not(kv_shuttle))]
    pub fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, timeout: Duration) -> bool {
        let Some(held) = guard.0.take() else { return false };
        let waited = self.0.wait_timeout(held, timeout);
        let (held, result) = waited.unwrap_or_else(PoisonError::into_inner);
        guard.0 = Some(held);
        result.timed_out()
    }

    /// Returns at once: time stands still, and stores under shuttle have no background thread.
    #[cfg(kv_shuttle)]
    pub fn wait_for<T>(&self, _guard: &mut MutexGuard<'_, T>, _timeout: Duration) -> bool {
        true
    }
}
