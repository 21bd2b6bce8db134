//! What the contents of a snapshot file would take of a store's limits, before anything is changed.
//!
//! Owns: [`Size`]. Reading for it checks the file to its last byte. What the entries take is exact, by the
//! engine's own arithmetic. What the index, the wheel, the policy and the order of keys take beside them
//! depends on which hashes meet and on the order in which keys come, so it is bounded first. Only where a
//! limit lies between the bounds is it found out, by filling blank shards with the keys alone. Not in every
//! case, because that costs another reading of the file and memory for the keys.

use std::cmp::{max, min};

use crate::context::Context;
use crate::entry::NEVER;
use crate::error::{Error, Result, Status};
use crate::shard::{Change, Loaded, Refusal, Shard};
use crate::snapshot::{BlockBuffer, Saved, SnapshotReader};
use crate::store::Core;

/// Shares in which shards are filled to find out what they take: that needs memory for one share of the
/// keys, and a reading of the file for each.
const SHARES: usize = 4;

/// How much a snapshot file would put into a store.
pub(super) struct Size {
    entries: u64,
    /// What the entries are charged alone.
    entry_bytes: u64,
    /// What the store would be charged in all, at most.
    bytes: u64,
}

impl Size {
    /// Checks all of a file, and measures what has not expired.
    ///
    /// # Errors
    /// `Corrupt`, `Unsupported` or `Io` for the file; `Full` if it holds more than the store may, or a
    /// longer key or value; `NoMemory`.
    pub(super) fn of(core: &Core, reader: &SnapshotReader) -> Result<Size> {
        let blank = core.blank_shard();
        let mut parts = vec![Part::EMPTY; core.shard_count()];
        let mut entry_bytes = 0;
        let mut change = Change::new(&core.context);
        let now_ms = core.context.clock.now_ms();
        each_live(reader, now_ms, |saved| {
            check_lengths(core, saved)?;
            let loaded = loaded(saved, core.context.revision(), true);
            let charge =
                blank.load_charge(saved.key, saved.value, saved.deadline, loaded, &mut change);
            entry_bytes += charge as u64;
            parts[core.shard_of(core.context.hasher.key(saved.key))].add(saved.deadline);
            Ok(())
        })?;
        let beside: usize = parts.iter().map(|part| part.structure_at_most(&blank)).sum();
        let entries = parts.iter().map(|part| part.entries as u64).sum();
        let mut size = Size { entries, entry_bytes, bytes: entry_bytes + beside as u64 };
        // Another reading would not help what is over the limits whatever it says.
        let without_structure = Size { bytes: entry_bytes, ..size };
        without_structure.check(core)?;
        if size.check(core).is_err() {
            size.bytes = entry_bytes + structure_bytes(core, reader, now_ms)?;
            size.check(core)?;
        }
        Ok(size)
    }

    /// Sees that the store may hold so much. One that evicts may if the entries fit without their index: it
    /// lets go of a few then, as it does of its own.
    ///
    /// # Errors
    /// `Full`.
    pub(super) fn check(&self, core: &Core) -> Result<()> {
        let limits = core.limits();
        let bytes = if core.may_evict() { self.entry_bytes } else { self.bytes };
        let (what, has, option, limit) = if self.entries > limits.entries {
            ("has", self.entries, "max_entries", limits.entries)
        } else if bytes > limits.bytes {
            ("takes, in bytes,", bytes, "max_memory", limits.bytes)
        } else {
            return Ok(());
        };
        Err(full(&format!("what the snapshot {what} is {has} and {option} is {limit}")))
    }
}

/// What comes to one shard.
#[derive(Clone, Copy)]
struct Part {
    entries: usize,
    /// Entries with a deadline, and the earliest and the last one.
    timed: usize,
    deadlines: [i64; 2],
}

impl Part {
    const EMPTY: Part = Part { entries: 0, timed: 0, deadlines: [NEVER, i64::MIN] };

    fn add(&mut self, deadline: i64) {
        self.entries += 1;
        if deadline != NEVER {
            self.timed += 1;
            let [soonest, latest] = self.deadlines;
            self.deadlines = [min(soonest, deadline), max(latest, deadline)];
        }
    }

    fn structure_at_most(&self, blank: &Shard) -> usize {
        if self.entries == 0 {
            return 0;
        }
        blank.structure_at_most(self.entries, self.timed, self.deadlines)
    }
}

/// Shows every entry that has not expired by then. Those that have are read and checked too.
///
/// # Errors
/// What is wrong with the file, and what `visit` says.
pub(super) fn each_live(
    reader: &SnapshotReader,
    now_ms: i64,
    mut visit: impl FnMut(&Saved<'_>) -> Result<()>,
) -> Result<()> {
    let mut buffer = BlockBuffer::new();
    for index in 0..reader.blocks().len() {
        for saved in reader.read_block(index, &mut buffer)? {
            let saved = saved?;
            if saved.deadline == NEVER || saved.deadline > now_ms {
                visit(&saved)?;
            }
        }
    }
    Ok(())
}

/// What an entry brings along into a store, where it gets this version.
pub(super) fn loaded(saved: &Saved<'_>, version: u64, same_policy: bool) -> Loaded {
    Loaded {
        version,
        created_at_ms: saved.created_at_ms,
        hits: saved.hits,
        access: if same_policy { saved.access } else { 0 },
    }
}

/// Puts an entry into a shard.
///
/// # Errors
/// `NoMemory`.
pub(super) fn load(
    context: &Context,
    shard: &mut Shard,
    saved: &Saved<'_>,
    value: &[u8],
    loaded: Loaded,
) -> Result<()> {
    let mut change = Change::new(context);
    let key = context.hasher.key(saved.key);
    let result = shard.load(key, value, saved.deadline, loaded, &mut change);
    change.finish();
    result.map_err(Refusal::without_room)
}

/// Finds out what the shards take beside the entries, with blank ones that get the keys alone.
fn structure_bytes(core: &Core, reader: &SnapshotReader, now_ms: i64) -> Result<u64> {
    let shares = core.shard_count().min(SHARES);
    let mut bytes = 0;
    for share in 0..shares {
        let of_share = (share..core.shard_count()).step_by(shares);
        let mut blanks: Vec<_> = of_share.map(|_| core.blank_shard()).collect();
        each_live(reader, now_ms, |saved| {
            let shard = core.shard_of(core.context.hasher.key(saved.key));
            if shard % shares != share {
                return Ok(());
            }
            let loaded = loaded(saved, core.context.revision(), true);
            load(&core.context, &mut blanks[shard / shares], saved, b"", loaded)
        })?;
        for shard in &mut blanks {
            let mut change = Change::new(&core.context);
            shard.loaded(&mut change);
            change.finish();
            bytes += shard.structure_bytes() as u64;
        }
    }
    Ok(bytes)
}

fn check_lengths(core: &Core, saved: &Saved<'_>) -> Result<()> {
    let fits = core.key(saved.key).and_then(|_| core.check_value(saved.value));
    fits.map_err(|error| {
        full(&format!("an entry of the snapshot is too long: {}", error.message()))
    })
}

/// The error of contents that the store may not hold.
fn full(why: &str) -> Error {
    let message = format!("{why}: raise that, or restore into another store; nothing has changed");
    Error::new(Status::Full, message)
}
