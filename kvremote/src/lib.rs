//! libkv's calls on a Valkey or Redis server or cluster, with a coherent near cache.
//!
//! A [`RemoteStore`] answers as a [`kvcore::Store`] does, with the same types, errors and options. What a
//! server cannot do is refused with one clear error before anything is sent;
//! [`Capabilities`](kvcore::Capabilities) tells it beforehand.
//!
//! ```no_run
//! use kvcore::Options;
//! use kvremote::RemoteStore;
//!
//! # fn main() -> kvcore::Result<()> {
//! let store = RemoteStore::open("valkey-cluster://h1:7000,h2:7001/?prefix=app:&near=64MiB", Options::new())?;
//! store.set("user:1", "Ada")?;
//! assert_eq!(store.get("user:1")?.as_deref(), Some(&b"Ada"[..]));
//! # Ok(())
//! # }
//! ```
//!
//! # How the crate is laid out
//!
//! `address` and `settings` read what a store is opened with. `commands` turns a call into commands and
//! `replies` turns their answers back, both pure. `engine` is the private runtime of the handle: callers stay
//! synchronous. `link` holds the connections and knows which server has which slot (`topology`, `slot`);
//! `call` sends, and decides by `fault` what may be sent again. `direct` is a shorter way for reads, on the caller's own
//! thread, with which nothing is lost if it fails: `call` does it then. `store` and the modules of one noun each (`keys`,
//! `many`, `batch`, `scan`, `watch`, `whole`) are the calls. `near` is the cache in front.
//!
//! Sharding, replication and failover are the server's: nothing of that is in here, and the client of the
//! cluster is the crate `redis`. Its own retries are off, because they would repeat an increment whose reply
//! was lost; its own cache is not used, because it keeps stale values.

#![forbid(unsafe_code)]

mod address;
mod batch;
mod call;
mod commands;
mod direct;
mod engine;
mod fault;
mod keys;
mod link;
mod many;
mod near;
mod replies;
mod scan;
mod settings;
mod slot;
mod store;
mod topology;
mod watch;
mod whole;

pub use fault::is_user_refused;
pub use near::NearStats;
pub use scan::RemoteScan;
pub use store::RemoteStore;
pub use watch::{RemoteWatch, RemoteWatchCancel};
