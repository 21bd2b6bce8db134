//! The handle of a remote store: opening, closing, and what all calls share.
//!
//! Owns: [`RemoteStore`]. The calls are in modules of one noun each. Invariants: the last handle stops the
//! engine's thread; a handle that crossed a `fork` touches neither sockets nor locks; nothing is sent for a
//! call that will be refused.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use kvcore::{Capabilities, Clock, Error, Location, Options, RemotePlace, Result, Status, Store};
use redis::Value;
use tokio::sync::Notify;

use crate::address::{Address, Endpoint};
use crate::call::{Caller, Kind};
use crate::commands::Request;
use crate::direct::Direct;
use crate::direct::gather::Gather;
use crate::engine::Engine;
use crate::link::{Lane, Link, into_error};
use crate::near::{Near, NearStats, Writing, listen};
use crate::settings::Settings;
use crate::slot;
use crate::topology::Topology;
use crate::whole::Counters;

/// A key-value store on a server or cluster.
///
/// A handle: cloning it is cheap and gives another handle of the same connections. All calls may be made from any
/// number of threads, inside an async runtime too, where they block as any other call. It is closed by
/// [`shutdown`](RemoteStore::shutdown) or when its last handle goes.
///
/// Every call can fail with `Unavailable` if the server did not answer within the option `timeout`, with `Io` if a
/// change was sent and its reply lost, with `Closed` after a shutdown, and with `Forked` in a child process that
/// inherited the handle. A key over its limit is `TooLarge` in every call.
#[derive(Clone)]
pub struct RemoteStore {
    pub(crate) inner: Arc<Inner>,
}

/// What all handles share.
pub(crate) struct Inner {
    engine: Engine,
    pub(crate) caller: Arc<Caller>,
    /// The shorter way for reads, where there is one.
    direct: Option<Arc<Direct>>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) near: Option<Arc<Near>>,
    /// An empty store of the engine, which knows whether this process was forked off.
    guard: Store,
    /// For deadlines that may pass during a call.
    pub(crate) clock: Clock,
    is_closed: AtomicBool,
    /// Wakes whoever has to know that it was closed.
    pub(crate) closing: Arc<Notify>,
    /// What stopped the store, if a panic did.
    fault: OnceLock<Error>,
    pub(crate) counters: Counters,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.guard.is_forked() {
            self.engine.abandon();
            // Closing connections takes locks of the runtime, which may have been held at the moment of the fork; and
            // another thread may have been taking a line.
            std::mem::forget((Arc::clone(&self.caller), self.direct.clone()));
        } else {
            self.engine.stop();
        }
    }
}

impl RemoteStore {
    /// Opens the store at `valkey://…` or `valkey-cluster://…`, whose options win over `options`.
    ///
    /// # Errors
    /// `Invalid` for a location that cannot be read, another kind of location, and a refused login;
    /// `Unsupported` for an option that has no meaning on a server, and for a server of the other kind;
    /// `Unavailable` if no server answers; `Io` if the system has no thread to give.
    pub fn open(location: &str, mut options: Options) -> Result<RemoteStore> {
        match Location::read(location, &mut options)? {
            Location::Remote(place) => RemoteStore::open_place(&place, options),
            _ => Err(Error::new(
                Status::Invalid,
                "this is no store on a server: begin with valkey:// or valkey-cluster://",
            )),
        }
    }

    /// As [`open`](RemoteStore::open), with the location read and its options applied.
    ///
    /// # Errors
    /// As [`open`](RemoteStore::open).
    pub fn open_place(place: &RemotePlace, options: Options) -> Result<RemoteStore> {
        let address = Address::read(place)?;
        let settings = Arc::new(Settings::new(options)?);
        let near = match settings.near_bytes {
            0 => None,
            bytes => Some(Arc::new(Near::new(bytes, settings.near_max_ttl_ms)?)),
        };
        let (standing, _) = Clock::manual(0);
        let guard = Store::with_clock(Options::new().with("shards", "1")?, standing)?;
        let clock = Clock::system();
        let engine = Engine::start()?;
        let link = Arc::new(Link::new(address, &settings));
        let opened = engine.wait(async {
            let connected = tokio::time::timeout(settings.timeout, link.wire(Lane::Quick)).await;
            let silent =
                || Error::new(Status::Unavailable, "no server answered in time: retry later");
            connected.map_err(|_| silent())?.map_err(into_error)?;
            link.refresh_topology().await
        });
        if let Err(error) = opened {
            engine.stop();
            return Err(error);
        }
        if let Some(near) = &near {
            let prefix = settings.prefix.clone();
            engine.spawn(listen::run(Arc::clone(&link), Arc::downgrade(near), prefix));
        }
        let direct = Direct::new(&link, &settings);
        let caller = Arc::new(Caller::new(link, Arc::clone(&settings)));
        let (is_closed, closing) = (AtomicBool::new(false), Arc::default());
        let counters = Counters::default();
        let fault = OnceLock::new();
        let inner = Inner {
            engine,
            caller,
            direct,
            settings,
            near,
            guard,
            clock,
            is_closed,
            closing,
            fault,
            counters,
        };
        Ok(RemoteStore { inner: Arc::new(inner) })
    }

    /// Closes the store for all handles: calls that come later answer `Closed`. Calls that are under way end as
    /// they would have, or with `Closed`. Connections stay until the last handle goes. May be called again.
    ///
    /// # Errors
    /// `Forked`.
    pub fn shutdown(&self) -> Result<()> {
        if self.inner.guard.is_forked() {
            return Err(Status::Forked.into());
        }
        self.inner.is_closed.store(true, Ordering::Release);
        self.inner.closing.notify_waiters();
        if let Some(near) = &self.inner.near {
            near.shutdown();
        }
        Ok(())
    }

    /// What this store can do beyond reading and writing keys.
    pub fn capabilities(&self) -> Capabilities {
        let inner = &self.inner;
        let mut can = Capabilities::embedded();
        can.versions = false;
        can.cross_slot_batches = !inner.caller.link.is_cluster();
        can.ordered_scans = false;
        can.exact_scans = false;
        can.watch_history = false;
        can.snapshots = false;
        can.eviction = false;
        can.clear = inner.settings.allow_flush || !inner.settings.prefix.is_empty();
        can.near_cache = inner.near.is_some();
        can
    }

    /// Whether this handle answers calls at all. Asks no server.
    ///
    /// # Errors
    /// `Closed`, `Forked`, `Poisoned`.
    pub fn check(&self) -> Result<()> {
        self.inner.check()
    }

    /// Whether this handle was inherited through a `fork`, so that every call answers `Forked`.
    pub fn is_forked(&self) -> bool {
        self.inner.guard.is_forked()
    }

    /// What stopped the store, if a panic did. Works on a closed store too.
    pub fn last_fault(&self) -> Option<Error> {
        if self.is_forked() {
            return Some(Status::Forked.into());
        }
        self.inner.fault.get().cloned()
    }

    /// Stops all calls, after a binding has caught a panic.
    #[doc(hidden)]
    pub fn poison(&self, message: &str) {
        self.inner.poison(message);
    }

    /// What the near cache has done; all zero if there is none, and on a handle that was inherited.
    pub fn near_stats(&self) -> NearStats {
        if self.is_forked() {
            return NearStats::default();
        }
        self.inner.near.as_ref().map(|near| near.stats()).unwrap_or_default()
    }
}

impl Inner {
    /// Refuses calls on a handle that is closed or was inherited.
    ///
    /// # Errors
    /// `Forked`, `Closed`.
    #[inline]
    /// Whether it was closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.guard.is_forked() {
            return Err(Status::Forked.into());
        }
        if self.is_closed() {
            return Err(Status::Closed.into());
        }
        if self.fault.get().is_some() {
            return Err(Status::Poisoned.into());
        }
        Ok(())
    }

    /// Stops all calls after a panic, unless that has happened.
    pub(crate) fn poison(&self, message: &str) {
        if !self.is_forked() {
            // The first panic is the one that is told.
            let _ = self.fault.set(Error::new(Status::Panic, message.to_string()));
        }
    }

    /// Whether this process was forked off the one that opened the store.
    pub(crate) fn is_forked(&self) -> bool {
        self.guard.is_forked()
    }

    /// Checks a key and gives it as the server knows it, with its slot.
    ///
    /// # Errors
    /// Those of [`check`](Inner::check), `TooLarge`.
    pub(crate) fn key(&self, key: &[u8]) -> Result<(u16, Vec<u8>)> {
        self.check()?;
        let key = self.settings.key(key)?;
        Ok((slot::of(&key), key))
    }

    /// Waits for a future.
    pub(crate) fn wait<F: Future>(&self, future: F) -> F::Output {
        self.engine.wait(future)
    }

    /// Sends a request to the server of a slot and waits for the replies.
    ///
    /// # Errors
    /// Those of [`Caller::call`].
    pub(crate) fn call(&self, slot: u16, request: &Request, kind: Kind) -> Result<Vec<Value>> {
        let deadline = self.caller.deadline();
        if kind == Kind::Read
            && let Some(direct) = &self.direct
            && let Some(replies) = direct.ask(&self.engine, slot, request)
        {
            return Ok(replies);
        }
        self.wait(self.caller.call_until(deadline, slot, request, kind))
    }

    /// To ask for many keys at once. `None` where that has no shorter way.
    pub(crate) fn gather(&self) -> Option<Gather<'_>> {
        Gather::new(self.direct.as_ref(), &self.engine)
    }

    /// As [`call`](Inner::call), for the one reply of a request that has one.
    ///
    /// # Errors
    /// Those of [`call`](Inner::call).
    pub(crate) fn ask(&self, slot: u16, request: &Request, kind: Kind) -> Result<Value> {
        Ok(self.call(slot, request, kind)?.into_iter().next().unwrap_or_default())
    }

    /// Begins a change of one key, as callers know it.
    pub(crate) fn writing<'a>(&'a self, slot: u16, key: &'a [u8]) -> Writing<'a> {
        Near::writing(self.near.as_deref(), [(slot, key)])
    }

    /// A new picture of the cluster.
    ///
    /// # Errors
    /// `Unavailable`.
    pub(crate) fn topology(&self) -> Result<Arc<Topology>> {
        self.wait(self.caller.link.refresh_topology())
    }

    /// Sends commands to one server and waits for the replies.
    ///
    /// # Errors
    /// Those of [`Caller::call_node`].
    pub(crate) fn call_node(
        &self,
        server: &Endpoint,
        commands: &[redis::Cmd],
        kind: Kind,
    ) -> Result<Vec<Value>> {
        self.wait(self.caller.call_node(server, commands, kind))
    }

    /// Lets a task run in the background.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.engine.spawn(task);
    }
}

impl std::fmt::Debug for RemoteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteStore")
            .field("is_cluster", &self.inner.caller.link.is_cluster())
            .finish_non_exhaustive()
    }
}
