//! What a watch is to see.

use super::event::{Body, EventKind, EventKinds};

/// Which changes a [`Watch`](super::Watch) sees, and from which revision on.
///
/// ```
/// use kvcore::{EventKind, WatchOptions};
///
/// let options = WatchOptions::prefix("user:").kinds(EventKind::Set | EventKind::Deleted);
/// # let _ = options;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchOptions {
    pub(super) filter: Filter,
    pub(super) from_revision: u64,
}

impl WatchOptions {
    /// The changes of all keys.
    pub fn all() -> WatchOptions {
        WatchOptions::prefix("")
    }

    /// The changes of one key.
    pub fn key(key: impl Into<Vec<u8>>) -> WatchOptions {
        WatchOptions::of(Keys::One(key.into()))
    }

    /// The changes of all keys that begin with this.
    pub fn prefix(prefix: impl Into<Vec<u8>>) -> WatchOptions {
        WatchOptions::of(Keys::Prefix(prefix.into()))
    }

    /// Whether it sees changes of this kind.
    pub fn wants(&self, kind: EventKind) -> bool {
        self.filter.wants(kind)
    }

    /// Whether it sees changes of this key.
    pub fn has_key(&self, key: &[u8]) -> bool {
        self.filter.has_key(key)
    }

    /// The key or the prefix that it was made with.
    pub fn key_or_prefix(&self) -> &[u8] {
        self.filter.key_or_prefix()
    }

    /// Whether it sees one key alone, and not all that begin with it.
    pub fn is_exact(&self) -> bool {
        matches!(self.filter.keys, Keys::One(_))
    }

    /// The revision to begin at; 0 is from now on.
    pub fn revision(&self) -> u64 {
        self.from_revision
    }

    fn of(keys: Keys) -> WatchOptions {
        WatchOptions { filter: Filter { keys, kinds: EventKinds::ALL }, from_revision: 0 }
    }

    /// Only changes of these kinds.
    pub fn kinds(mut self, kinds: impl Into<EventKinds>) -> WatchOptions {
        self.filter.kinds = kinds.into();
        self
    }

    /// From this revision on, itself included; 0, as in the beginning, is from now on.
    pub fn from_revision(mut self, revision: u64) -> WatchOptions {
        self.from_revision = revision;
        self
    }
}

impl Default for WatchOptions {
    fn default() -> Self {
        WatchOptions::all()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Keys {
    One(Vec<u8>),
    Prefix(Vec<u8>),
}

/// Tells the events that a watch asked for from the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter {
    keys: Keys,
    kinds: EventKinds,
}

impl Filter {
    /// The key or the prefix.
    pub(super) fn key_or_prefix(&self) -> &[u8] {
        let (Keys::One(bytes) | Keys::Prefix(bytes)) = &self.keys;
        bytes
    }

    /// Whether the watch asked for such an event. Clearing concerns every key.
    #[inline]
    pub(super) fn matches(&self, body: &Body) -> bool {
        self.wants(body.kind) && (body.kind == EventKind::Cleared || self.has_key(body.key()))
    }

    /// Whether the watch asked for changes of this kind.
    pub(super) fn wants(&self, kind: EventKind) -> bool {
        self.kinds.contains(kind)
    }

    /// Whether the watch asked for changes of this key.
    pub(super) fn has_key(&self, key: &[u8]) -> bool {
        match &self.keys {
            Keys::One(one) => key == one,
            Keys::Prefix(prefix) => key.starts_with(prefix),
        }
    }
}
