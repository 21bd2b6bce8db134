//! One store for every place: the embedded engine of `kvcore`, or a server or cluster through `kvremote`.
//!
//! A program that outgrows its machine changes the string that it opens and nothing else. [`Store::open`] chooses
//! by the string's scheme; all calls, types, options and errors are those of `kvcore`, which this crate hands on.
//!
//! ```
//! # fn main() -> libkv::Result<()> {
//! use libkv::{Options, Store};
//!
//! // Or "cache.d", or "valkey-cluster://h1:7000,h2:7001/?prefix=app:&near=64MiB".
//! let location = ":memory:";
//! let store = Store::open(location, Options::new())?;
//! store.set(b"user:1", b"Ada")?;
//! assert_eq!(store.get(b"user:1")?.as_deref(), Some(&b"Ada"[..]));
//! # Ok(())
//! # }
//! ```
//!
//! Without the feature `remote`, which is on by default, there is the embedded engine alone: it has no runtime and no
//! TLS, and a location on a server answers `Unsupported`.
//!
//! Why an enum and not a trait object: the embedded case is a read of some hundred nanoseconds, and a branch that
//! always goes the same way costs it nothing, while a call through a table could not be inlined.

#![forbid(unsafe_code)]

mod store;
mod streams;

pub use kvcore::{
    Batch, BatchOp, BatchOutcome, Capabilities, Cause, Causes, Condition, DeleteOutcome, Entry,
    Error, Event, EventKind, EventKinds, Expiry, Finding, Latency, OPTION_TABLE, OptionKind,
    Options, Order, Phase, Progress, RecoveryReport, Remaining, Removal, Result, SalvageReport,
    ScanOptions, SetOptions, SetOutcome, SnapshotInfo, Stats, Status, TTL_DEFAULT, TTL_KEEP,
    TTL_NONE, Timed, Value, ValueSink, VerifyReport, WatchOptions, Watched, Within, duration_ms,
    salvage, verify,
};
#[cfg(feature = "remote")]
pub use kvremote::NearStats;
pub use store::Store;
pub use streams::{Keys, Scan, Watch, WatchCancel};
