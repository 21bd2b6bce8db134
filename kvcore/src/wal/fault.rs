//! Whether the log still takes records, and if not, why.
//!
//! Owns: [`Fault`]. Invariant: it is set once and never taken back. Whoever is about to tell a caller
//! that a record is safe asks here last, so that nobody is told so after a failure.

use crate::error::{Error, Result, Status};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};

/// The first failure of a log, or that it was closed.
#[derive(Debug)]
pub(super) struct Fault {
    set: AtomicBool,
    first: Mutex<Option<First>>,
}

#[derive(Debug, Clone)]
struct First {
    error: Error,
    /// The LSN of the last record that was queued before.
    last_lsn: u64,
}

impl Fault {
    /// No failure.
    pub(super) fn none() -> Self {
        Fault { set: AtomicBool::new(false), first: Mutex::new(None) }
    }

    /// Whether the log takes no more records.
    pub(super) fn is_set(&self) -> bool {
        self.set.load(Ordering::SeqCst)
    }

    /// Stops the log, unless it was stopped before.
    pub(super) fn set(&self, error: Error, last_lsn: u64) {
        let mut first = self.first.lock();
        if first.is_none() {
            *first = Some(First { error, last_lsn });
        }
        drop(first);
        self.set.store(true, Ordering::SeqCst);
    }

    /// What stopped the log.
    #[cfg(all(test, not(kv_shuttle)))]
    pub(super) fn get(&self) -> Option<Error> {
        self.first.lock().as_ref().map(|first| first.error.clone())
    }

    /// Lets a call pass that begins now.
    ///
    /// # Errors
    /// `Poisoned` or `Closed`.
    pub(super) fn check(&self) -> Result<()> {
        self.admit(u64::MAX)
    }

    /// Lets the caller be told that the record is safe.
    ///
    /// # Errors
    /// The failure itself if the record was queued before it, or else `Poisoned` or `Closed`.
    pub(super) fn admit(&self, lsn: u64) -> Result<()> {
        if !self.is_set() {
            return Ok(());
        }
        match self.first.lock().as_ref() {
            None => Ok(()),
            Some(first) if lsn <= first.last_lsn || first.error.status() == Status::Closed => {
                Err(first.error.clone())
            }
            Some(_) => Err(Status::Poisoned.into()),
        }
    }
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use super::*;

    fn status(result: Result<()>) -> Option<Status> {
        result.err().map(|error| error.status())
    }

    #[test]
    fn the_first_failure_stays() {
        let fault = Fault::none();
        assert_eq!((status(fault.check()), fault.get()), (None, None));
        fault.set(Status::Io.into(), 7);
        fault.set(Status::Closed.into(), 9);
        assert_eq!(status(fault.admit(7)), Some(Status::Io));
        assert_eq!(status(fault.admit(8)), Some(Status::Poisoned));
        assert_eq!(status(fault.check()), Some(Status::Poisoned));
        assert_eq!(fault.get(), Some(Status::Io.into()));
    }

    #[test]
    fn what_is_closed_says_so() {
        let fault = Fault::none();
        fault.set(Status::Closed.into(), 7);
        assert_eq!(status(fault.check()), Some(Status::Closed));
        assert_eq!(status(fault.admit(7)), Some(Status::Closed));
    }
}
