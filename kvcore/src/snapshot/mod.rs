//! Snapshot files: the state of a store at one LSN, as blocks of entries.
//!
//! Owns: the bytes of such a file (`format`, `index`, `entry`, `compress`; docs/format.md has the
//! map), writing one from any number of threads (`block`, `writer`) and reading one from any number
//! of threads (`reader`, `verify`). It never sees a shard or the store, and it neither names, renames
//! nor removes a file: that is the directory's part. Invariants: every byte of a file is under a
//! checksum that is checked before the byte is used; no length is believed before that, and none
//! makes this code take more memory than the file's own length warrants; a file is whole or an error.
//!
//! Why blocks with an index at the end, and not one stream: blocks are packed and read in parallel
//! and in any order, and one that is damaged says so alone. Why the index is at the end: blocks are
//! written as they come, and a file that was never finished lacks what makes it readable.

// The parts of durability come one after the other; this goes when the store uses them all.

mod block;
mod compress;
mod entry;
mod format;
#[cfg(any(test, feature = "simulation"))]
mod fuzz;
mod index;
mod reader;
#[cfg(all(test, not(kv_shuttle)))]
mod tests;
mod verify;
mod writer;

pub(crate) use block::{BlockBuilder, Pushed};
pub(crate) use compress::Compression;
pub(crate) use entry::Saved;
pub(crate) use format::SnapshotHead;
#[cfg(any(test, feature = "simulation"))]
pub use fuzz::{fuzz_read, read as read_whole};
pub(crate) use reader::{BlockBuffer, SnapshotReader};
pub(crate) use verify::verify;
pub(crate) use writer::SnapshotWriter;

/// How much is in a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SnapshotSummary {
    /// Entries.
    pub(crate) entries: u64,
    /// Blocks, as [`SnapshotReader::blocks`] counts them.
    pub(crate) blocks: u64,
    /// Bytes of all entries before compression: keys, values and about eight bytes each.
    pub(crate) raw_bytes: u64,
    /// Length of the file in bytes.
    pub(crate) bytes: u64,
}
