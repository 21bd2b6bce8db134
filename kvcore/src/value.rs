//! A value in a caller's hands.
//!
//! Owns: [`Value`], and the memory that values hold beside the store. Invariant: the bytes behind a
//! `Value` never change, whatever happens to its key. A small value is a copy; a large one shares
//! its bytes with the store by a reference count, and is counted as pinned once the store has let
//! go of it.

mod block;
mod heaps;
mod runs;

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::budget::allocation;
use crate::entry::{Head, NEVER};
use crate::error::Result;
use crate::fork::PerProcess;
use crate::striped::Striped;
use block::Block;

/// Bytes that callers hold beside what the store holds.
///
/// Values may outlive their store, so meters are never freed: one whose values are all gone serves
/// the next store. That way a value needs no reference count, which every reader of a hot key would
/// write.
pub(crate) struct PinMeter {
    bytes: Striped<1>,
}

/// Meters of stores that are gone. No lock of shuttle's: it outlives a scene.
static SPARE: PerProcess<Mutex<Vec<&'static PinMeter>>> = PerProcess::new();

fn spare() -> MutexGuard<'static, Vec<&'static PinMeter>> {
    SPARE.current().lock().unwrap_or_else(PoisonError::into_inner)
}

impl PinMeter {
    /// The meter of a new store.
    pub(crate) fn lease() -> &'static PinMeter {
        let mut spare = spare();
        let unused = spare.iter().position(|meter| meter.bytes() == 0);
        match unused {
            Some(index) => spare.swap_remove(index),
            None => Box::leak(Box::new(PinMeter { bytes: Striped::new() })),
        }
    }

    /// Gives the meter back once the store is gone.
    pub(crate) fn give_back(&'static self) {
        spare().push(self);
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.sum(0)
    }
}

/// A meter of no store.
struct Leased(&'static PinMeter);

impl Default for Leased {
    fn default() -> Self {
        Leased(PinMeter::lease())
    }
}

/// A value too large to copy: bytes that the store and its callers share.
pub(crate) struct LargeValue {
    bytes: Block,
    /// Set when the store lets go of the value while a caller still holds it.
    pinned: OnceLock<&'static PinMeter>,
}

impl LargeValue {
    /// Joins the parts of a value, with room behind them.
    ///
    /// # Errors
    /// `NoMemory`.
    pub(crate) fn new(parts: [&[u8]; 2], spare: usize) -> Result<Self> {
        let mut bytes = Block::with_capacity(parts[0].len() + parts[1].len() + spare)?;
        for part in parts {
            bytes.append(part);
        }
        Ok(LargeValue { bytes, pinned: OnceLock::new() })
    }

    /// What a value of this length is charged.
    pub(crate) fn bytes_for(capacity: usize) -> usize {
        const COUNTS: usize = 2 * size_of::<usize>();
        Block::bytes_for(capacity) + allocation(COUNTS + size_of::<LargeValue>())
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.bytes() + LargeValue::bytes_for(0)
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// Bytes that can be appended without moving the value.
    pub(crate) fn spare(&self) -> usize {
        self.bytes.spare()
    }

    /// Appends if the capacity allows it.
    pub(crate) fn append(&mut self, data: &[u8]) -> bool {
        self.bytes.append(data)
    }

    /// Says that the store has let go: from now on the bytes are only its callers'.
    pub(crate) fn release(self: &Arc<Self>, meter: &'static PinMeter) {
        if Arc::strong_count(self) > 1 && self.pinned.set(meter).is_ok() {
            meter.bytes.add(0, self.bytes() as u64);
        }
    }
}

impl Drop for LargeValue {
    fn drop(&mut self) {
        if let Some(meter) = self.pinned.get() {
            meter.bytes.sub(0, self.bytes() as u64);
        }
    }
}

/// What the store knows of a value at the moment of reading it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ValueInfo {
    pub(crate) version: u64,
    pub(crate) deadline: i64,
    /// Creation time and hits, if the store keeps them.
    pub(crate) access: Option<(i64, u64)>,
}

impl ValueInfo {
    /// What the head of an entry says.
    pub(crate) fn of(head: &Head) -> ValueInfo {
        ValueInfo { version: head.version, deadline: head.deadline, access: head.access_shown() }
    }
}

/// What [`Store::get_within`](crate::Store::get_within) found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Within<R> {
    /// The value was read, with this result.
    Read(R),
    /// The value is longer than was asked for: this many bytes. It was not read.
    Longer(usize),
}

/// A value as it was when it was read: its bytes, and what the store knew of them.
///
/// Derefs to `[u8]`. Immutable, reference counted and usable from any thread; it stays valid
/// whatever happens to its key or its store, and holds its bytes until it is dropped.
pub struct Value {
    bytes: Bytes,
    info: ValueInfo,
}

enum Bytes {
    Copy { bytes: Arc<[u8]>, meter: &'static PinMeter },
    Shared(Arc<LargeValue>),
}

impl Value {
    pub(crate) fn copy(bytes: &[u8], meter: &'static PinMeter, info: ValueInfo) -> Value {
        meter.bytes.add(0, bytes.len() as u64);
        Value { bytes: Bytes::Copy { bytes: Arc::from(bytes), meter }, info }
    }

    pub(crate) fn share(value: &Arc<LargeValue>, info: ValueInfo) -> Value {
        Value { bytes: Bytes::Shared(Arc::clone(value)), info }
    }

    /// A value that came from a server: these bytes, no version, and the deadline that the server told, in Unix
    /// milliseconds.
    pub fn remote(bytes: &[u8], expire_at_ms: Option<i64>) -> Value {
        static METER: PerProcess<Leased> = PerProcess::new();
        let deadline = expire_at_ms.unwrap_or(NEVER);
        let info = ValueInfo { version: 0, deadline, access: None };
        Value::copy(bytes, METER.current().0, info)
    }

    /// The revision of the store at which this value was written or its deadline last changed; 0 if it came
    /// from a server, which knows no versions.
    pub fn version(&self) -> u64 {
        self.info.version
    }

    /// When the entry expires, in Unix milliseconds; `None` if it does not.
    pub fn expire_at_ms(&self) -> Option<i64> {
        (self.info.deadline != NEVER).then_some(self.info.deadline)
    }

    /// When the entry was created, in Unix milliseconds; `None` unless `entry_stats` is on.
    pub fn created_at_ms(&self) -> Option<i64> {
        self.info.access.map(|(created_at_ms, _)| created_at_ms)
    }

    /// About how many reads the entry has had, this one included; 0 unless `entry_stats` is on.
    pub fn hits(&self) -> u64 {
        self.info.access.map_or(0, |(_, hits)| hits)
    }
}

impl Clone for Value {
    fn clone(&self) -> Self {
        let bytes = match &self.bytes {
            Bytes::Copy { bytes, meter } => {
                meter.bytes.add(0, bytes.len() as u64);
                Bytes::Copy { bytes: Arc::clone(bytes), meter }
            }
            Bytes::Shared(value) => Bytes::Shared(Arc::clone(value)),
        };
        Value { bytes, info: self.info }
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        if let Bytes::Copy { bytes, meter } = &self.bytes {
            meter.bytes.sub(0, bytes.len() as u64);
        }
    }
}

impl Deref for Value {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Copy { bytes, .. } => bytes,
            Bytes::Shared(value) => value.as_slice(),
        }
    }
}

impl AsRef<[u8]> for Value {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl PartialEq<[u8]> for Value {
    fn eq(&self, other: &[u8]) -> bool {
        **self == *other
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Value")
            .field("len", &self.len())
            .field("version", &self.version())
            .field("expire_at_ms", &self.expire_at_ms())
            .finish_non_exhaustive()
    }
}
