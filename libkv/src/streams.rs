//! Scans and watches, wherever the store is.

use std::time::Duration;

use kvcore::{Entry, Error, Result, Watched};
use kvremote::{RemoteScan, RemoteWatch, RemoteWatchCancel};

/// A scan under way, from [`Store::scan`](crate::Store::scan). It belongs to one thread at a time.
#[derive(Debug)]
pub struct Scan(Scanning);

#[derive(Debug)]
enum Scanning {
    Local(Box<kvcore::Scan>),
    Remote(Box<RemoteScan>),
}

impl Scan {
    pub(crate) fn local(scan: kvcore::Scan) -> Scan {
        Scan(Scanning::Local(Box::new(scan)))
    }

    pub(crate) fn remote(scan: RemoteScan) -> Scan {
        Scan(Scanning::Remote(Box::new(scan)))
    }

    /// The next entry, or `None` after the last one. The last answer, also an error, is repeated.
    ///
    /// # Errors
    /// `Conflict` if the contents were replaced, or slots of a cluster moved; those of every call.
    pub fn try_next(&mut self) -> Result<Option<Entry>> {
        match &mut self.0 {
            Scanning::Local(scan) => scan.try_next(),
            Scanning::Remote(scan) => scan.try_next(),
        }
    }
}

impl Iterator for Scan {
    type Item = Result<Entry, Error>;

    /// The next entry. An error is the last item.
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Scanning::Local(scan) => scan.next(),
            Scanning::Remote(scan) => scan.next(),
        }
    }
}

/// The changes of a store, one after the other. It belongs to one thread at a time.
pub struct Watch(Watching);

enum Watching {
    Local(Box<kvcore::Watch>),
    Remote(Box<RemoteWatch>),
}

impl Watch {
    pub(crate) fn local(watch: kvcore::Watch) -> Watch {
        Watch(Watching::Local(Box::new(watch)))
    }

    pub(crate) fn remote(watch: RemoteWatch) -> Watch {
        Watch(Watching::Remote(Box::new(watch)))
    }

    /// The next change, waiting for it if there is none. `None` waits for ever.
    ///
    /// # Errors
    /// `Closed` once the store is closed; those of every call.
    pub fn next(&mut self, timeout: Option<Duration>) -> Result<Watched> {
        match &mut self.0 {
            Watching::Local(watch) => watch.next(timeout),
            Watching::Remote(watch) => watch.next(timeout),
        }
    }

    /// The next change, if there is one.
    ///
    /// # Errors
    /// As [`next`](Watch::next).
    pub fn try_next(&mut self) -> Result<Watched> {
        self.next(Some(Duration::ZERO))
    }

    /// A handle that ends this watch from any thread.
    pub fn canceller(&self) -> WatchCancel {
        WatchCancel(match &self.0 {
            Watching::Local(watch) => Cancelling::Local(watch.canceller()),
            Watching::Remote(watch) => Cancelling::Remote(watch.canceller()),
        })
    }

    /// A descriptor that is readable while something waits to be read; `None` if there is none to give, and for
    /// a remote store.
    pub fn fd(&mut self) -> Option<i32> {
        match &mut self.0 {
            Watching::Local(watch) => watch.fd(),
            Watching::Remote(_) => None,
        }
    }

    /// Stops all writes of the store, after a binding has caught a panic.
    #[doc(hidden)]
    pub fn poison(&self, message: &str) {
        match &self.0 {
            Watching::Local(watch) => watch.poison(message),
            Watching::Remote(watch) => watch.poison(message),
        }
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Watching::Local(watch) => watch.fmt(f),
            Watching::Remote(watch) => watch.fmt(f),
        }
    }
}

/// Ends a [`Watch`], from any thread and more than once.
#[derive(Clone)]
pub struct WatchCancel(Cancelling);

#[derive(Clone)]
enum Cancelling {
    Local(kvcore::WatchCancel),
    Remote(RemoteWatchCancel),
}

impl WatchCancel {
    /// Ends the watch, and wakes whoever waits for it.
    pub fn cancel(&self) {
        match &self.0 {
            Cancelling::Local(cancel) => cancel.cancel(),
            Cancelling::Remote(cancel) => cancel.cancel(),
        }
    }

    /// Whether the watch was inherited through a `fork`, so that nothing of it may be touched.
    pub fn is_forked(&self) -> bool {
        match &self.0 {
            Cancelling::Local(cancel) => cancel.is_forked(),
            Cancelling::Remote(cancel) => cancel.is_forked(),
        }
    }
}

impl std::fmt::Debug for WatchCancel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WatchCancel").finish_non_exhaustive()
    }
}
