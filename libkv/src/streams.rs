//! Scans, walks over keys and watches, wherever the store is.

use std::time::Duration;

use kvcore::{Entry, Error, Result, Watched};
#[cfg(feature = "remote")]
use kvremote::{RemoteScan, RemoteWatch, RemoteWatchCancel};

/// A scan under way, from [`Store::scan`](crate::Store::scan). It belongs to one thread at a time.
#[derive(Debug)]
pub struct Scan(Scanning);

#[derive(Debug)]
enum Scanning {
    Local(Box<kvcore::Scan>),
    #[cfg(feature = "remote")]
    Remote(Box<RemoteScan>),
}

impl Scan {
    pub(crate) fn local(scan: kvcore::Scan) -> Scan {
        Scan(Scanning::Local(Box::new(scan)))
    }

    #[cfg(feature = "remote")]
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
            #[cfg(feature = "remote")]
            Scanning::Remote(scan) => scan.try_next(),
        }
    }

    /// Whether an entry that it gave earlier may be shown now. For a caller who takes entries in stretches, and hands
    /// them on one by one. Of a remote entry only the server knows whether it has expired since: it was there when it
    /// was read, which is all that such a scan promises.
    ///
    /// # Errors
    /// As [`try_next`](Scan::try_next).
    pub fn still_shows(&self, entry: &Entry) -> Result<bool> {
        match &self.0 {
            Scanning::Local(scan) => scan.still_shows(entry),
            #[cfg(feature = "remote")]
            Scanning::Remote(_) => Ok(true),
        }
    }
}

impl Iterator for Scan {
    type Item = Result<Entry, Error>;

    /// The next entry. An error is the last item.
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Scanning::Local(scan) => scan.next(),
            #[cfg(feature = "remote")]
            Scanning::Remote(scan) => scan.next(),
        }
    }
}

/// The keys of a store, from [`Store::keys`](crate::Store::keys). It belongs to one thread at a time.
#[derive(Debug)]
pub struct Keys(Walking);

#[derive(Debug)]
enum Walking {
    Local(Box<kvcore::Keys>),
    #[cfg(feature = "remote")]
    Remote(Box<RemoteScan>),
}

impl Keys {
    pub(crate) fn local(keys: kvcore::Keys) -> Keys {
        Keys(Walking::Local(Box::new(keys)))
    }

    #[cfg(feature = "remote")]
    pub(crate) fn remote(scan: RemoteScan) -> Keys {
        Keys(Walking::Remote(Box::new(scan)))
    }
}

impl Iterator for Keys {
    type Item = Result<Vec<u8>, Error>;

    /// The next key. An error is the last item.
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Walking::Local(keys) => keys.next(),
            #[cfg(feature = "remote")]
            Walking::Remote(scan) => Some(scan.next()?.map(|entry| entry.key().to_vec())),
        }
    }
}

/// The changes of a store, one after the other. It belongs to one thread at a time.
pub struct Watch(Watching);

enum Watching {
    Local(Box<kvcore::Watch>),
    #[cfg(feature = "remote")]
    Remote(Box<RemoteWatch>),
}

impl Watch {
    pub(crate) fn local(watch: kvcore::Watch) -> Watch {
        Watch(Watching::Local(Box::new(watch)))
    }

    #[cfg(feature = "remote")]
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
            #[cfg(feature = "remote")]
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
            #[cfg(feature = "remote")]
            Watching::Remote(watch) => Cancelling::Remote(watch.canceller()),
        })
    }

    /// A descriptor that is readable while something waits to be read; `None` if there is none to give.
    pub fn fd(&mut self) -> Option<i32> {
        match &mut self.0 {
            Watching::Local(watch) => watch.fd(),
            #[cfg(feature = "remote")]
            Watching::Remote(watch) => watch.fd(),
        }
    }

    /// Stops all writes of the store, after a binding has caught a panic.
    #[doc(hidden)]
    pub fn poison(&self, message: &str) {
        match &self.0 {
            Watching::Local(watch) => watch.poison(message),
            #[cfg(feature = "remote")]
            Watching::Remote(watch) => watch.poison(message),
        }
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Watching::Local(watch) => watch.fmt(f),
            #[cfg(feature = "remote")]
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
    #[cfg(feature = "remote")]
    Remote(RemoteWatchCancel),
}

impl WatchCancel {
    /// Ends the watch, and wakes whoever waits for it.
    pub fn cancel(&self) {
        match &self.0 {
            Cancelling::Local(cancel) => cancel.cancel(),
            #[cfg(feature = "remote")]
            Cancelling::Remote(cancel) => cancel.cancel(),
        }
    }

    /// Whether the watch was inherited through a `fork`, so that nothing of it may be touched.
    pub fn is_forked(&self) -> bool {
        match &self.0 {
            Cancelling::Local(cancel) => cancel.is_forked(),
            #[cfg(feature = "remote")]
            Cancelling::Remote(cancel) => cancel.is_forked(),
        }
    }
}

impl std::fmt::Debug for WatchCancel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WatchCancel").finish_non_exhaustive()
    }
}
