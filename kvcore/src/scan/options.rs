//! What a caller may ask of a scan.

use super::Bounds;

/// In which order a scan gives its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// In any.
    #[default]
    None,
    /// The smallest key first, byte by byte.
    Asc,
    /// The largest key first.
    Desc,
}

/// Which entries [`Store::scan`](crate::Store::scan) gives, and how: those that meet all of these.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScanOptions {
    /// Only keys that begin with this.
    pub prefix: Vec<u8>,
    /// Only keys from this one on.
    pub start: Vec<u8>,
    /// Only keys before this one.
    pub end: Option<Vec<u8>>,
    /// No more entries than this; 0 is no limit.
    pub limit: u64,
    /// In which order.
    pub order: Order,
    /// Leaves out the values.
    pub keys_only: bool,
    /// Shows the store as it was when the scan began, whatever changes meanwhile.
    pub point_in_time: bool,
}

impl ScanOptions {
    /// Every entry, in any order.
    pub fn new() -> ScanOptions {
        ScanOptions::default()
    }

    /// Only keys that begin with `prefix`.
    #[must_use]
    pub fn prefix(self, prefix: impl AsRef<[u8]>) -> Self {
        ScanOptions { prefix: prefix.as_ref().to_vec(), ..self }
    }

    /// Only keys from `start` on.
    #[must_use]
    pub fn start(self, start: impl AsRef<[u8]>) -> Self {
        ScanOptions { start: start.as_ref().to_vec(), ..self }
    }

    /// Only keys before `end`.
    #[must_use]
    pub fn end(self, end: impl AsRef<[u8]>) -> Self {
        ScanOptions { end: Some(end.as_ref().to_vec()), ..self }
    }

    /// No more than `limit` entries; 0 is no limit.
    #[must_use]
    pub fn limit(self, limit: u64) -> Self {
        ScanOptions { limit, ..self }
    }

    /// In this order.
    #[must_use]
    pub fn order(self, order: Order) -> Self {
        ScanOptions { order, ..self }
    }

    /// Without the values.
    #[must_use]
    pub fn keys_only(self) -> Self {
        ScanOptions { keys_only: true, ..self }
    }

    /// Shows every entry exactly as it was when the scan began, unless it has expired since, and none that
    /// came later. All shards are locked for a moment when it begins. After that nobody waits for it: what
    /// changes is kept for the scan as it was, up to the option `scan_buffer_bytes`. If that is not
    /// enough, or the store is cleared, the scan ends with `Conflict`. Nothing is kept once the scan has
    /// ended or was dropped.
    #[must_use]
    pub fn point_in_time(self) -> Self {
        ScanOptions { point_in_time: true, ..self }
    }

    pub(super) fn bounds(&self) -> Bounds {
        Bounds::new(&self.prefix, &self.start, self.end.as_deref())
    }
}
