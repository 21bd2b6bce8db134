//! One change as a watcher learns of it.
//!
//! Owns: [`Event`] and its kinds, and [`Body`], what the buffer keeps of an event. Invariant: a small
//! value is copied, since that costs less than sharing it; a large one is shared with the store and
//! with whoever reads it.

use std::fmt;
use std::ops::BitOr;
use std::sync::Arc;

use super::spare;
use crate::entry::NEVER;
use crate::error::{Error, Result, Status};
use crate::value::LargeValue;

/// What happened to an entry. The numbers are those of every change, on every surface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u32)]
pub enum EventKind {
    /// It has a new value, and perhaps another deadline.
    Set = 1,
    /// A call removed it, or gave it a deadline that had passed.
    Deleted = 2,
    /// Its deadline came, and it was freed.
    Expired = 4,
    /// It made room for others.
    Evicted = 8,
    /// The whole store was cleared. The event has no key, and every watch sees it.
    Cleared = 16,
    /// It has another deadline, or none any more; the value is as it was.
    Touched = 64,
}

impl EventKind {
    /// Every kind, in the order of the numbers.
    pub const ALL: [EventKind; 6] = [
        EventKind::Set,
        EventKind::Deleted,
        EventKind::Expired,
        EventKind::Evicted,
        EventKind::Cleared,
        EventKind::Touched,
    ];

    /// Its number, one bit.
    pub const fn bit(self) -> u32 {
        self as u32
    }

    /// Its name in lower case, such as `"expired"`.
    pub const fn name(self) -> &'static str {
        match self {
            EventKind::Set => "set",
            EventKind::Deleted => "deleted",
            EventKind::Expired => "expired",
            EventKind::Evicted => "evicted",
            EventKind::Cleared => "cleared",
            EventKind::Touched => "touched",
        }
    }
}

/// A set of kinds: `EventKind::Set | EventKind::Deleted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventKinds(u32);

impl EventKinds {
    /// Every kind.
    pub const ALL: EventKinds = EventKinds(95);

    /// The set of these bits; zero stands for all.
    ///
    /// # Errors
    /// `Invalid` if a bit is of no kind.
    pub fn from_bits(bits: u32) -> Result<EventKinds> {
        if bits == 0 {
            return Ok(EventKinds::ALL);
        }
        if bits & !EventKinds::ALL.0 == 0 {
            return Ok(EventKinds(bits));
        }
        Err(Error::new(
            Status::Invalid,
            format!(
                "{bits} has bits that are no change a watch can see: add up set (1), deleted (2), \
                 expired (4), evicted (8), cleared (16) and touched (64), or give 0 for all"
            ),
        ))
    }

    /// Whether a kind is in the set.
    #[inline]
    pub const fn contains(self, kind: EventKind) -> bool {
        self.0 & kind.bit() != 0
    }
}

impl Default for EventKinds {
    fn default() -> Self {
        EventKinds::ALL
    }
}

impl From<EventKind> for EventKinds {
    fn from(kind: EventKind) -> Self {
        EventKinds(kind.bit())
    }
}

impl BitOr<EventKind> for EventKind {
    type Output = EventKinds;

    fn bitor(self, other: EventKind) -> EventKinds {
        EventKinds(self.bit() | other.bit())
    }
}

impl BitOr<EventKind> for EventKinds {
    type Output = EventKinds;

    fn bitor(self, other: EventKind) -> EventKinds {
        EventKinds(self.0 | other.bit())
    }
}

/// What is kept of an event, beside its revision.
#[derive(Clone)]
pub(super) struct Body {
    pub(super) kind: EventKind,
    pub(super) deadline: i64,
    key_len: u32,
    /// The key, and behind it the value unless that is `large`.
    bytes: Vec<u8>,
    large: Option<Arc<LargeValue>>,
}

impl Body {
    /// An event with a copy of its key and, in parts, of its value.
    pub(super) fn copy(kind: EventKind, key: &[u8], value: [&[u8]; 2], deadline: i64) -> Body {
        let mut bytes = spare::take(key.len() + value[0].len() + value[1].len());
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(value[0]);
        bytes.extend_from_slice(value[1]);
        // A key has 65,535 bytes at most.
        Body { kind, deadline, key_len: key.len() as u32, bytes, large: None }
    }

    /// An event with a value that the store and its callers hold as well.
    pub(super) fn share(key: &[u8], value: &Arc<LargeValue>, deadline: i64) -> Body {
        let body = Body::copy(EventKind::Set, key, [b"", b""], deadline);
        Body { large: Some(Arc::clone(value)), ..body }
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.bytes[..self.key_len as usize]
    }

    fn value(&self) -> &[u8] {
        match &self.large {
            Some(large) => large.as_slice(),
            None => &self.bytes[self.key_len as usize..],
        }
    }

    /// What it alone holds, in bytes. A shared value is counted as pinned by itself.
    pub(super) fn own_bytes(&self) -> u64 {
        (size_of::<Body>() + self.bytes.capacity()) as u64
    }

    /// Leaves its memory to the next event of this thread.
    pub(super) fn recycle(self) {
        spare::give(self.bytes);
    }

    /// The value that it shares, in bytes.
    pub(super) fn shared_bytes(&self) -> u64 {
        self.large.as_ref().map_or(0, |large| large.bytes() as u64)
    }
}

/// A change that a [`Watch`](super::Watch) has seen. It stays valid whatever becomes of the watch and
/// of the store.
#[derive(Clone)]
pub struct Event {
    revision: u64,
    body: Body,
    /// Whether it was told without the value, as servers do.
    without_value: bool,
}

impl Event {
    pub(super) fn new(revision: u64, body: Body) -> Event {
        Event { revision, body, without_value: false }
    }

    /// An event that a server told: without revision, value and deadline.
    pub fn remote(kind: EventKind, key: &[u8]) -> Event {
        let body = Body::copy(kind, key, [b"", b""], NEVER);
        Event { revision: 0, body, without_value: true }
    }

    /// What happened.
    pub fn kind(&self) -> EventKind {
        self.body.kind
    }

    /// The key; empty if the whole store was cleared.
    pub fn key(&self) -> &[u8] {
        self.body.key()
    }

    /// The value that was set; `None` for every other kind, and for an event of a server, which does not
    /// tell it.
    pub fn value(&self) -> Option<&[u8]> {
        let told = self.body.kind == EventKind::Set && !self.without_value;
        told.then(|| self.body.value())
    }

    /// The revision of the change. The revisions of a watch rise.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The deadline that a set or a touch gave the entry, in Unix milliseconds; `None` if it never
    /// expires, and for every other kind.
    pub fn expire_at_ms(&self) -> Option<i64> {
        (self.body.deadline != NEVER).then_some(self.body.deadline)
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("revision", &self.revision)
            .field("kind", &self.kind())
            .field("key", &self.key().escape_ascii().to_string())
            .field("value_len", &self.value().map(<[u8]>::len))
            .field("expire_at_ms", &self.expire_at_ms())
            .finish()
    }
}
