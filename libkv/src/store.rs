//! The store, wherever it is: each call goes to the engine or to the servers.
//!
//! Owns: [`Store`]. No logic but the choice; what one of the two cannot do is said here and nowhere else.

use std::path::Path;

use kvcore::{
    Batch, BatchOutcome, Capabilities, DeleteOutcome, Error, Expiry, Latency, Location, Options,
    RecoveryReport, Remaining, Result, ScanOptions, SetOptions, SetOutcome, SnapshotInfo, Stats,
    Timed, Value, ValueSink, WatchOptions, Within,
};
#[cfg(feature = "remote")]
use kvremote::{NearStats, RemoteStore};

use crate::streams::{Keys, Scan, Watch};

/// A key-value store, embedded or on servers. A handle: cloning it is cheap, and all calls may be made from any number
/// of threads.
///
/// The calls are those of [`kvcore::Store`] and of `kvremote::RemoteStore`, where their errors are listed.
#[derive(Debug, Clone)]
pub enum Store {
    /// In this process: in memory, or in a directory.
    Local(kvcore::Store),
    /// On a server or cluster.
    #[cfg(feature = "remote")]
    Remote(RemoteStore),
}

/// Makes one call on either store.
macro_rules! on {
    ($self:expr, $store:ident => $call:expr) => {
        match $self {
            Store::Local($store) => $call,
            #[cfg(feature = "remote")]
            Store::Remote($store) => $call,
        }
    };
}

/// Declares calls that both stores have in the same form.
macro_rules! calls {
    ($($(#[$doc:meta])* fn $name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)*) => {
        impl Store {
            $($(#[$doc])* #[inline]
            pub fn $name(&self, $($argument: $kind),*) -> $answer {
                on!(self, store => store.$name($($argument),*))
            })*
        }
    };
}

calls! {
    /// The value of a key, or `None` if it is absent or expired.
    fn get(key: &[u8]) -> Result<Option<Value>>;
    /// Copies the value of a key into `buffer` and returns its length; a longer one is not copied.
    fn get_into(key: &[u8], buffer: &mut [u8]) -> Result<Option<usize>>;
    /// Whether a key is there.
    fn exists(key: &[u8]) -> Result<bool>;
    /// How long a key has left, or `None` if it is absent or expired.
    fn ttl(key: &[u8]) -> Result<Option<Remaining>>;
    /// Sets a key, and returns the version of the new value.
    fn set(key: &[u8], value: &[u8]) -> Result<u64>;
    /// Sets a key with an expiry and under a condition.
    fn set_with(key: &[u8], value: &[u8], options: &SetOptions) -> Result<SetOutcome>;
    /// Removes a key and returns the value it had, in one step.
    fn take(key: &[u8]) -> Result<Option<Value>>;
    /// Removes a key; `false` if it is absent or expired.
    fn del(key: &[u8]) -> Result<bool>;
    /// Removes a key if it has this version.
    fn del_if(key: &[u8], version: u64) -> Result<DeleteOutcome>;
    /// Adds to an integer kept as decimal text, and returns the sum.
    fn incr(key: &[u8], delta: i64, expiry: Expiry) -> Result<i64>;
    /// Appends to a value, which keeps its deadline, and returns the new length.
    fn append(key: &[u8], data: &[u8]) -> Result<usize>;
    /// Makes a key expire in so many milliseconds: zero or less deletes it at once.
    fn expire(key: &[u8], ttl_ms: i64) -> Result<bool>;
    /// Makes a key expire at a Unix time in milliseconds.
    fn expire_at(key: &[u8], unix_ms: i64) -> Result<bool>;
    /// Makes a key stay.
    fn persist(key: &[u8]) -> Result<bool>;
    /// Makes all changes of a batch, at one moment, or none of them.
    fn write(batch: &Batch) -> Result<BatchOutcome>;
    /// The number of entries.
    fn len() -> Result<u64>;
    /// Whether there is no entry.
    fn is_empty() -> Result<bool>;
    /// Takes everything out.
    fn clear() -> Result<()>;
    /// Frees what has expired by now, and says how many entries that were.
    fn purge_expired() -> Result<u64>;
    /// Changes an option that the table marks as online.
    fn configure(name: &str, value: &str) -> Result<()>;
    /// Waits until everything that was acknowledged before is on the disk.
    fn sync() -> Result<()>;
    /// What opening the store found.
    fn recovery() -> Result<RecoveryReport>;
    /// What the store holds and has done.
    fn stats() -> Result<Stats>;
    /// Closes the store for all handles.
    fn shutdown() -> Result<()>;
    /// What poisoned the store, if anything did.
    fn last_fault() -> Option<Error>;
    /// Whether this handle was inherited through a `fork`, so that every call answers `Forked`.
    fn is_forked() -> bool;
    /// Stops all writes, after a binding has caught a panic.
    fn poison(message: &str) -> ();
}

impl Store {
    /// Opens a store in memory.
    ///
    /// # Errors
    /// Those of [`kvcore::Store::memory`].
    pub fn memory(options: Options) -> Result<Store> {
        kvcore::Store::memory(options).map(Store::Local)
    }

    /// Opens the store at a location: `":memory:"`, a directory, `kv:PLACE?name=value&…`, `valkey://HOST:PORT/?…` or
    /// `valkey-cluster://HOST:PORT,HOST:PORT/?…`. Its options win over `options`.
    ///
    /// # Errors
    /// Those of [`kvcore::Store::open`] and of `kvremote::RemoteStore::open`; `Unsupported` for a store on a server in a
    /// build without the feature `remote`.
    pub fn open(location: &str, mut options: Options) -> Result<Store> {
        match Location::read(location, &mut options)? {
            #[cfg(feature = "remote")]
            Location::Remote(place) => RemoteStore::open_place(&place, options).map(Store::Remote),
            #[cfg(not(feature = "remote"))]
            Location::Remote(_) => Err(Error::new(
                kvcore::Status::Unsupported,
                "this build of libkv is without stores on a server: build it with the Cargo feature `remote`, \
                 which the CMake option KV_REMOTE=ON asks for",
            )),
            Location::Directory(path) => Store::open_directory(path, options),
            _ => Store::memory(options),
        }
    }

    /// Opens the store in a directory, whose name is not parsed.
    ///
    /// # Errors
    /// Those of [`kvcore::Store::open_directory`].
    pub fn open_directory(path: impl AsRef<Path>, options: Options) -> Result<Store> {
        kvcore::Store::open_directory(path, options).map(Store::Local)
    }

    /// Whether calls may have to ask a server, and so may take as long as the option `timeout`.
    #[inline]
    pub fn is_remote(&self) -> bool {
        match self {
            Store::Local(_) => false,
            #[cfg(feature = "remote")]
            Store::Remote(_) => true,
        }
    }

    /// The directory of the store; `None` for one in memory or on a server.
    pub fn directory(&self) -> Option<&Path> {
        match self {
            Store::Local(store) => store.directory(),
            #[cfg(feature = "remote")]
            Store::Remote(_) => None,
        }
    }

    /// Whether this handle answers calls at all. Reads nothing, and asks no server.
    ///
    /// # Errors
    /// `Closed`, `Forked`; for a remote store `Poisoned`.
    pub fn check(&self) -> Result<()> {
        match self {
            Store::Local(store) => store.len().map(drop),
            #[cfg(feature = "remote")]
            Store::Remote(store) => store.check(),
        }
    }

    /// What this store can do beyond reading and writing keys.
    pub fn capabilities(&self) -> Capabilities {
        match self {
            Store::Local(_) => Capabilities::embedded(),
            #[cfg(feature = "remote")]
            Store::Remote(store) => store.capabilities(),
        }
    }

    /// Shows the value of a key to `read`, if it has at most `longest` bytes.
    ///
    /// # Errors
    /// Those of every call.
    #[inline]
    pub fn get_within<R>(
        &self,
        key: &[u8],
        longest: usize,
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<Within<R>>> {
        on!(self, store => store.get_within(key, longest, read))
    }

    /// Shows the value of a key, of any length, to `read`.
    ///
    /// # Errors
    /// Those of every call.
    #[inline]
    pub fn get_with<R>(&self, key: &[u8], read: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        match self {
            Store::Local(store) => store.get_with(key, read),
            #[cfg(feature = "remote")]
            Store::Remote(store) => Ok(store.get(key)?.map(|value| read(&value))),
        }
    }

    /// The values of many keys, in their order.
    ///
    /// # Errors
    /// Those of every call.
    pub fn get_many<K: AsRef<[u8]>>(&self, keys: &[K]) -> Result<Vec<Option<Value>>> {
        on!(self, store => store.get_many(keys))
    }

    /// Shows the values of many keys to `visit`, in their order. It must not call the store.
    ///
    /// # Errors
    /// Those of every call.
    pub fn get_many_with<K: AsRef<[u8]>>(
        &self,
        keys: &[K],
        visit: impl FnMut(usize, Option<&[u8]>),
    ) -> Result<()> {
        match self {
            Store::Local(store) => store.get_many_with(keys, visit),
            #[cfg(feature = "remote")]
            Store::Remote(store) => {
                let mut visit = visit;
                for (number, value) in store.get_many(keys)?.iter().enumerate() {
                    visit(number, value.as_deref());
                }
                Ok(())
            }
        }
    }

    /// Copies the values of many keys to where `sink` wants them, in their order.
    ///
    /// # Errors
    /// Those of every call.
    pub fn get_many_to<K: AsRef<[u8]>>(&self, keys: &[K], sink: &mut impl ValueSink) -> Result<()> {
        match self {
            Store::Local(store) => store.get_many_to(keys, sink),
            #[cfg(feature = "remote")]
            Store::Remote(store) => {
                for (number, value) in store.get_many(keys)?.iter().enumerate() {
                    let Some(value) = value else {
                        sink.absent(number);
                        continue;
                    };
                    if let Some(room) = sink.room(number, value.len()) {
                        room.write_copy_of_slice(value);
                    }
                    sink.found(number, value.len());
                }
                Ok(())
            }
        }
    }

    /// Sets many keys with one expiry.
    ///
    /// # Errors
    /// Those of every call.
    pub fn set_many<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        items: &[(K, V)],
        expiry: Expiry,
    ) -> Result<()> {
        on!(self, store => store.set_many(items, expiry))
    }

    /// Removes many keys, each by itself, and returns how many were there.
    ///
    /// # Errors
    /// Those of every call.
    pub fn del_many<K: AsRef<[u8]>>(&self, keys: &[K]) -> Result<u64> {
        on!(self, store => store.del_many(keys))
    }

    /// Begins a scan.
    ///
    /// # Errors
    /// Those of every call.
    pub fn scan(&self, options: &ScanOptions) -> Result<Scan> {
        match self {
            Store::Local(store) => store.scan(options).map(Scan::local),
            #[cfg(feature = "remote")]
            Store::Remote(store) => store.scan(options).map(Scan::remote),
        }
    }

    /// Walks over all keys, in no order. On a server a key may come twice.
    ///
    /// # Errors
    /// Those of every call.
    pub fn keys(&self) -> Result<Keys> {
        match self {
            Store::Local(store) => store.keys().map(Keys::local),
            #[cfg(feature = "remote")]
            Store::Remote(store) => store.scan(&ScanOptions::new().keys_only()).map(Keys::remote),
        }
    }

    /// Watches changes.
    ///
    /// # Errors
    /// Those of every call.
    pub fn watch(&self, options: &WatchOptions) -> Result<Watch> {
        match self {
            Store::Local(store) => store.watch(options).map(Watch::local),
            #[cfg(feature = "remote")]
            Store::Remote(store) => store.watch(options).map(Watch::remote),
        }
    }

    /// Writes a snapshot, without a path into the store's own directory.
    ///
    /// # Errors
    /// Those of every call.
    pub fn snapshot(&self, path: Option<&Path>) -> Result<SnapshotInfo> {
        match self {
            Store::Local(store) => store.snapshot(path),
            #[cfg(feature = "remote")]
            Store::Remote(store) => store.snapshot(path),
        }
    }

    /// Puts the contents of a snapshot file in the place of the store's.
    ///
    /// # Errors
    /// Those of every call.
    pub fn restore(&self, path: impl AsRef<Path>) -> Result<()> {
        on!(self, store => store.restore(path))
    }

    /// What one shard holds and has done; `None` if there are not so many shards. A remote store has none.
    ///
    /// # Errors
    /// Those of every call.
    pub fn shard_stats(&self, shard: usize) -> Result<Option<Stats>> {
        match self {
            Store::Local(store) => store.shard_stats(shard),
            #[cfg(feature = "remote")]
            Store::Remote(store) => store.stats().map(|_| None),
        }
    }

    /// How long calls of a kind took.
    ///
    /// # Errors
    /// Those of every call.
    pub fn latency(&self, timed: Timed) -> Result<Latency> {
        match self {
            Store::Local(store) => store.latency(timed),
            #[cfg(feature = "remote")]
            Store::Remote(store) => store.refuse("the times of calls"),
        }
    }

    /// Statistics as text: `"json"` or `"prometheus"`.
    ///
    /// # Errors
    /// Those of every call.
    pub fn stats_text(&self, format: &str) -> Result<String> {
        match self {
            Store::Local(store) => store.stats_text(format),
            #[cfg(feature = "remote")]
            Store::Remote(store) => store.stats()?.text(format),
        }
    }

    /// What the near cache has done; all zero if there is none. The counters are in [`stats`](Store::stats) as well.
    #[cfg(feature = "remote")]
    pub fn near_stats(&self) -> NearStats {
        match self {
            Store::Local(_) => NearStats::default(),
            #[cfg(feature = "remote")]
            Store::Remote(store) => store.near_stats(),
        }
    }
}
