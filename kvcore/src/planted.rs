//! Mistakes that tests plant, to show that their checks would find them.
//!
//! Owns: which of them is planted. In a build for use none can be, and the questions are gone from the
//! code. Each stands for a mistake that is easily made; the table in `docs/durability.md` says which check
//! catches it.

/// A step that is left out, done where it is too late, or done on what nobody has checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(kv_shuttle), allow(dead_code))]
#[repr(u8)]
pub enum Planted {
    /// Readers do not ask whether the bucket has changed.
    NoRecheck = 1,
    /// Writers change an entry without opening its bucket.
    NoOpen,
    /// Readers are not held off while many keys change.
    NoHold,
    /// Readers ask for the time once they know that nothing has changed.
    LateClock,
    /// A table is emptied and goes on in the same epoch.
    NoEpoch,
    /// Who had the stage of the change feed does not look for what others published meanwhile.
    NoSecondLook,
    /// The change feed exposes parts of a change.
    NoWhole,
    /// A watch takes it for a lag that closing let go of the events.
    ClosedIsLag,
    /// A change leaves nothing for the scans that show an earlier moment.
    NothingLeft,

    /// A write is acknowledged before the log is synced.
    EarlyOk,
    /// The log goes on after a sync that failed.
    IgnoredSync,
    /// A sync that failed is tried again, and the second one believed.
    RepeatedSync,
    /// One call is taken to write all of the bytes.
    OneWrite,
    /// What is acknowledged stays in memory until the next sync.
    Buffered,
    /// A file is renamed before it is durable.
    NoFileSync,
    /// A directory is not synced.
    NoDirSync,
    /// What cannot be read is taken for the zeros at the end of a log.
    ReadErrorIsEnd,
    /// A directory that cannot be read is taken for an empty one.
    UnreadableIsEmpty,
    /// A directory is locked against other processes alone.
    ProcessLock,
    /// A shard's lock is let go before its change is in the log.
    LateLog,
    /// A shard's lock is held while its change is written and synced.
    LockedSync,
    /// A batch enters the log shard by shard.
    SplitBatch,
    /// A new deadline is logged as the time that is left.
    RelativeDeadline,
    /// An append is logged as what was appended.
    RelativeAppend,
    /// An eviction is not logged.
    SilentEviction,
    /// Whoever waited for a round of others takes it for a success.
    FollowerOk,
    /// A failure of the log is forgotten.
    NoFault,
    /// A write that failed is left in place, and the next one goes behind it.
    WriteOn,
    /// A segment is left for the next one before all of it is durable.
    UnsyncedSeal,
    /// A new segment does not say where the one that was torn ends.
    NoEnd,
    /// The head of a frame is believed before its checksum.
    UncheckedHead,
    /// Records are believed before their checksum.
    UncheckedRecords,
    /// A length is believed, and memory taken for it, before it is compared with what is there.
    UncheckedLength,
    /// Whatever cannot be read as a frame is taken for the end of the log.
    ErrorIsEnd,
    /// What a crash left behind the last frame is taken for damage.
    TornIsDamage,
    /// Files that are missing are taken for files that never were.
    StartEmpty,
    /// Entries that have expired are left out before the log is replayed.
    ExpireFirst,
    /// What is replayed counts as writes of callers.
    CountReplay,
    /// What recovery shows is synced, and not written again.
    SyncToSettle,
    /// The mark of a clean close stays while the store is open.
    StaleMark,
    /// A mark of a clean close is believed, however old it is.
    OldMark,
    /// A snapshot that may be there in memory only is taken as it is.
    LooseSnapshot,
    /// Revisions go on from the last one that was found.
    NoCeiling,
    /// The log gives way to a snapshot that is not in its place yet.
    EarlyRetire,
    /// A snapshot is not read back before older ones give way.
    NoVerify,
    /// A directory is made, and the one above is not synced.
    NoParentSync,

    /// The thread that syncs the log panics.
    PanicInLog,
    /// The thread that takes snapshots panics.
    PanicInSnapshot,
    /// The thread that frees what has expired panics.
    PanicInCleaner,
    /// The thread that writes the log for others panics.
    PanicInRound,
}

/// Whether a mistake is planted.
#[cfg(not(any(kv_shuttle, test, feature = "simulation")))]
#[inline(always)]
pub(crate) const fn is_planted(_: Planted) -> bool {
    false
}

#[cfg(kv_shuttle)]
pub(crate) use on_this_thread::is_planted;

#[cfg(all(any(test, feature = "simulation"), not(kv_shuttle)))]
pub(crate) use in_this_process::is_planted;

#[cfg(kv_shuttle)]
mod on_this_thread {
    use std::cell::Cell;

    use super::Planted;

    thread_local! {
        // Shuttle runs all threads of a scene on the one of its test.
        static NOW: Cell<Option<Planted>> = const { Cell::new(None) };
    }

    pub(crate) fn is_planted(mistake: Planted) -> bool {
        NOW.get() == Some(mistake)
    }

    impl Planted {
        /// Plants the mistake in everything that the calling thread runs from now on.
        pub fn plant(self) {
            NOW.set(Some(self));
        }
    }
}

#[cfg(all(any(test, feature = "simulation"), not(kv_shuttle)))]
mod in_this_process {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::Planted;

    const NONE: u8 = 0;

    static NOW: AtomicU8 = AtomicU8::new(NONE);

    pub(crate) fn is_planted(mistake: Planted) -> bool {
        NOW.load(Ordering::Relaxed) == mistake as u8
    }

    impl Planted {
        /// Plants the mistake in all of the process while `run` runs. For a process that does nothing
        /// else meanwhile.
        pub fn during<R>(self, run: impl FnOnce() -> R) -> R {
            NOW.store(self as u8, Ordering::Relaxed);
            let result = run();
            NOW.store(NONE, Ordering::Relaxed);
            result
        }
    }
}
