//! The names of a store's files. Whatever has another name is not the store's and is left alone.

use crate::io::Listed;
use crate::wal::segment_number;

/// The file that is locked. Nothing ever removes it.
pub(crate) const LOCK: &str = "LOCK";
/// The identity of the store.
pub(crate) const STORE: &str = "STORE";
/// The mark of a clean close.
pub(crate) const CLOSED: &str = "CLOSED";

/// The name of the snapshot of the state after an LSN.
pub(crate) fn snapshot_name(lsn: u64) -> String {
    format!("snapshot-{lsn:020}.kvs")
}

/// The name of a snapshot that is not finished.
pub(super) fn snapshot_tmp_name(lsn: u64) -> String {
    format!("snapshot-{lsn:020}.tmp")
}

/// The LSN in the name of a snapshot.
pub(crate) fn snapshot_lsn(name: &str) -> Option<u64> {
    number(name, "snapshot-", ".kvs")
}

/// Whether a name is that of a file which was never finished.
pub(super) fn is_leftover(name: &str) -> bool {
    matches!(name, "STORE.tmp" | "CLOSED.tmp")
        || number(name, "wal-", ".tmp").is_some()
        || number(name, "snapshot-", ".tmp").is_some()
}

/// Whether a name is that of a file which a store has, or makes for a while.
pub(super) fn is_taken(name: &str) -> bool {
    matches!(name, LOCK | STORE | CLOSED)
        || snapshot_lsn(name).is_some()
        || segment_number(name).is_some()
        || is_leftover(name)
}

/// A number of exactly 20 digits between two texts.
fn number(name: &str, before: &str, behind: &str) -> Option<u64> {
    let digits = name.strip_prefix(before)?.strip_suffix(behind)?;
    let all = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| digits.parse().ok())?
}

/// A file by the number in its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbered {
    /// The number of a segment, or the LSN of a snapshot.
    pub(crate) number: u64,
    /// Its length in bytes.
    pub(crate) len: u64,
}

/// The files of a store that were found in a directory, by their numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Files {
    /// Whether the identity is there, and the mark of a clean close.
    pub(crate) store: bool,
    pub(crate) closed: bool,
    /// The snapshots, the oldest first.
    pub(crate) snapshots: Vec<Numbered>,
    /// The segments of the log, the oldest first.
    pub(crate) segments: Vec<Numbered>,
    /// The names of files that were never finished.
    pub(super) leftovers: Vec<String>,
}

impl Files {
    /// Sorts out what is in a directory.
    pub(crate) fn of(listed: Vec<Listed>) -> Files {
        let mut files = Files::default();
        for Listed { name, len, is_file } in listed {
            if !is_file {
                continue;
            }
            if let Some(number) = snapshot_lsn(&name) {
                files.snapshots.push(Numbered { number, len });
            } else if let Some(number) = segment_number(&name) {
                files.segments.push(Numbered { number, len });
            } else if is_leftover(&name) {
                files.leftovers.push(name);
            } else {
                files.store |= name == STORE;
                files.closed |= name == CLOSED;
            }
        }
        files.snapshots.sort_by_key(|file| file.number);
        files.segments.sort_by_key(|file| file.number);
        files
    }

    /// Whether anything is there that only a store with an identity has.
    pub(crate) fn has_data(&self) -> bool {
        self.closed || !self.snapshots.is_empty() || !self.segments.is_empty()
    }
}
