//! The engine of libkv: a sharded, in-memory key-value store with exact TTLs, in plain Rust.
//!
//! A [`Store`] maps any bytes to any bytes. Every entry has a version and, if asked, a deadline in
//! milliseconds from which no call sees it. A store is cheap to clone, may be used from any number
//! of threads, and keeps itself within `max_entries` and `max_memory` by refusing or by evicting.
//!
//! ```
//! use std::time::Duration;
//! use kvcore::{Options, SetOptions, Store};
//!
//! # fn main() -> kvcore::Result<()> {
//! let store = Store::memory(Options::new().with("max_memory", "64MiB")?)?;
//! store.set("user:1", "Ada")?;
//! store.set_with("session", "token", &SetOptions::default().ttl(Duration::from_secs(300)))?;
//! assert_eq!(store.get("user:1")?.as_deref(), Some(&b"Ada"[..]));
//! assert!(store.get("user:2")?.is_none());
//! # Ok(())
//! # }
//! ```
//!
//! # How the crate is laid out
//!
//! A call enters through [`Store`] (`store`), which checks its arguments, hashes the key and picks
//! a shard. A read looks at the shard's index (`table`) and at the bytes of the entry (`entry`)
//! without a lock, and only if those change under it takes the lock. The shard (`shard`) is the only
//! thing that changes data: it finds the entry in the index, writes its bytes into the place where
//! entries live (`slab`, in memory that never moves: `region`), keeps the timing wheel (`expiry`) and
//! charges every byte (`budget`). When there is no room, `store` makes some, by expiry first and by
//! the eviction policy (`policy`) after that. One thread (`background`) frees what expired, another
//! one (`removals`) tells callbacks what went. Who watches changes (`watch`) gets them in one order.
//!
//! Changes of many keys (`batch`) are planned, and then made as one. A scan (`scan`) reads some entries at a
//! time and remembers where it was; with `ordered_index` each shard has its keys in order (`order`).
//!
//! Who serves many callers from one thread puts the waiting for the log off (`deferral`), and waits once for all.
//!
//! A store in a directory (`durable`) is filled from there (`recovery`, `directory`), tells a log (`wal`,
//! `record`) of each change on its way (`journal`), and writes snapshots (`snapshot`) while it goes on.
//!
//! Time, files, locks and threads are reached through the seams `clock`, `io` and `sync` alone,
//! random numbers through `random`.
//! Unsafe code is in `clock`, `fork`, `io::real`, `sync::signal` and `sync::thread` for calls of the system, in
//! `region` and `value::{block, heaps}` for the memory they take from it, in `words` for copies that
//! others may change meanwhile, in `shard::entries` to show words as bytes, and nowhere else.

#![deny(unsafe_code)]

mod background;
mod batch;
mod budget;
mod capabilities;
mod clock;
mod context;
mod deferral;
mod directory;
mod durable;
mod entry;
mod error;
mod expiry;
mod fork;
mod hash;
mod images;
mod io;
mod journal;
mod keys;
mod location;
mod number;
mod options;
mod order;
mod planted;
mod poison;
mod policy;
mod random;
mod record;
mod records;
mod recovery;
mod region;
mod removals;
mod scan;
mod set_options;
mod shard;
mod slab;
mod snapshot;
mod stats;
mod store;
mod striped;
#[doc(hidden)]
pub mod sync;
mod table;
mod value;
mod varint;
mod views;
mod wal;
mod watch;
mod words;

/// The disk that a crash takes from what it may, and the seam that it stands in for. For tests only:
/// nothing here is promised to stay.
#[cfg(any(test, feature = "simulation"))]
#[doc(hidden)]
pub mod simulation;

pub use batch::{Batch, BatchOp, BatchOutcome};
pub use capabilities::Capabilities;
pub use clock::{Clock, ManualClock};
pub use deferral::Ticket;
pub use durable::{SnapshotInfo, salvage, verify};
pub use error::{Error, Result, Status};
#[doc(hidden)]
pub use io::read_file;
pub use keys::Keys;
pub use location::{Location, RemotePlace, percent_decoded};
pub use options::{
    OPTION_TABLE, Offers, OptionKind, OptionSpec, Options, duration_ms, flag_value, size_bytes,
};
#[cfg(kv_shuttle)]
#[doc(hidden)]
pub use planted::Planted;
pub use recovery::{
    Finding, LogOp, LogReader, LogRecord, Phase, Progress, RecoveryReport, SalvageReport,
    VerifyReport,
};
pub use removals::{Cause, Causes, Removal};
pub use scan::{Entry, Order, Scan, ScanOptions};
pub use set_options::{
    Condition, DeleteOutcome, Expiry, Remaining, SetOptions, SetOutcome, TTL_DEFAULT, TTL_KEEP,
    TTL_NONE,
};
pub use stats::{Latency, Stats, Timed};
pub use store::{Held, Store, Transaction, Update, ValueSink};
#[doc(hidden)]
pub use sync::spawn as spawn_thread;
pub use value::{Value, Within};
pub use watch::{Event, EventKind, EventKinds, Watch, WatchCancel, WatchOptions, Watched};
