//! From files to a store: the newest snapshot that is whole, and the log behind it.
//!
//! Owns: which files are read, in which order, and what counts as damage (`chain`, `replay`, `load`),
//! what had expired (`marks`), what is made durable (`settle`), and the looks at a directory from
//! outside (`verify`, `salvage`, `log`). Invariants: what is recovered is the effect of all records
//! up to some LSN, every durable one among them, or an error that names the file; nothing is written
//! but `STORE` and equal copies of the last segment and of a snapshot that `STORE` does not name yet,
//! so recovery may be cut short and repeated at will; what it exposes is durable before it returns;
//! memory is bounded by a block or a group at a time.
//!
//! A damaged snapshot is given up for an older one only if the log reaches from there to the newest
//! state that any file names. Whatever is wrong with the log is an error: no snapshot mends that.

mod apply;
mod chain;
mod load;
mod log;
mod marks;
mod progress;
mod replay;
mod report;
mod salvage;
mod settle;
#[cfg(all(test, not(kv_shuttle)))]
mod tests;
mod verify;

use crate::clock::{Clock, Stopwatch};
use crate::directory::{Directory, Files, sync_dir};
use crate::error::{Error, Result, Status};
use crate::planted::{Planted, is_planted};
use crate::snapshot::{Saved, SnapshotHead, SnapshotReader};
use crate::wal::SegmentInfo;

use chain::{Chain, missing};
use marks::Marks;
use progress::Meter;
use replay::Replay;

pub use log::{LogOp, LogReader, LogRecord};
pub(crate) use progress::ProgressListener;
pub use progress::{Phase, Progress};
pub use report::{Finding, RecoveryReport, SalvageReport, VerifyReport};
pub(crate) use salvage::salvage;
#[cfg(all(test, not(kv_shuttle)))]
pub(crate) use settle::settle;
pub(crate) use verify::verify;

/// The engine, while it is being filled.
///
/// `make` may be called by several threads at once, for entries of a snapshot. After those are done, it may
/// be for keys of different parts. All else comes from one thread.
pub(crate) trait Target: Sync {
    /// So many entries of a snapshot come, with access bits of this eviction policy. There are none yet.
    fn begin(&self, eviction: &str, entries: u64);
    /// Takes steps, those of one key in their order. Many at once, so that they can be sorted by the
    /// locks that they need: two threads that take turns at each lock are no faster than one.
    fn make(&self, steps: &[Step<'_>]) -> Result<()>;
    /// Which of so many parts a key belongs to.
    fn part_of(&self, key: &[u8], parts: usize) -> usize;
    /// Removes all entries.
    fn clear(&self) -> Result<()>;
    /// All is there. Removes the entries for whose version and deadline the function says that they
    /// had expired, whatever the clock says.
    fn finish(&self, expired: &dyn Fn(u64, i64) -> bool) -> Result<()>;
}

/// Steps that are taken at once, at most: a block or a wave of them, unless they are very small.
const STEPS: usize = 4096;

/// One step of filling the engine.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step<'a> {
    /// Puts an entry, in place of the one that has the key.
    Put(Saved<'a>),
    /// Removes an entry if it is there.
    Delete(&'a [u8]),
    /// Changes the deadline and the version of an entry if it is there.
    Touch { key: &'a [u8], deadline: i64, version: u64 },
}

impl<'a> Step<'a> {
    /// The key that it concerns.
    pub(crate) fn key(&self) -> &'a [u8] {
        match *self {
            Step::Put(Saved { key, .. }) | Step::Delete(key) | Step::Touch { key, .. } => key,
        }
    }
}

/// What was recovered, and how the log goes on.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) report: RecoveryReport,
    /// The LSN of the last record; the next one is one more.
    pub(crate) last_lsn: u64,
    /// No revision above this was given out.
    pub(crate) revision: u64,
    /// The number of the segment to go on in.
    pub(crate) next_segment: u64,
    /// The last segment that was read, and where the log ends in it.
    pub(crate) previous: Option<(u64, u64)>,
    /// The segments that are there and in use, the oldest first.
    pub(crate) segments: Vec<SegmentInfo>,
}

/// Fills the target with what the directory holds.
///
/// # Errors
/// `Corrupt` if files are missing or damaged, `Unsupported` if another version of a format wrote them,
/// `Io` if they cannot be read, `NoSpace` if there is no room for what is used of the last segment,
/// `NoMemory`, and those of the target. What the target holds then is of no use.
pub(crate) fn recover(
    dir: &Directory,
    target: &dyn Target,
    progress: &dyn Fn(Progress),
    threads: usize,
    clock: &Clock,
) -> Result<Recovered> {
    let began = Stopwatch::start();
    let files = dir.files()?;
    let recovery = Recovery { dir, files, target, progress, threads };
    let (replay, base, damage) = recovery.state()?;
    target.finish(&|version, deadline| replay.marks.expired(version, deadline))?;
    let mut recovered = recovery.outcome(&replay, base);
    let report = &mut recovered.report;
    report.clock_regression_ms = replay.marks.regression_ms(clock.now_ms());
    report.seconds = began.seconds();
    if let Some(damage) = damage {
        report.fallback_used = true;
        let reason = damage.message().to_string();
        report.reason =
            if report.reason.is_empty() { reason } else { format!("{reason}; {}", report.reason) };
    }
    Ok(recovered)
}

/// Recovery of one directory.
struct Recovery<'a> {
    dir: &'a Directory,
    files: Files,
    target: &'a dyn Target,
    progress: &'a dyn Fn(Progress),
    threads: usize,
}

/// Why a state could not be built on a snapshot.
enum Failure {
    /// The snapshot is damaged; another one may do.
    Snapshot(Error),
    /// Nothing else helps.
    Final(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Final(error)
    }
}

/// Damage of a snapshot is no end; failing to read it is.
fn of_snapshot(error: Error) -> Failure {
    match error.status() {
        Status::Corrupt => Failure::Snapshot(error),
        _ => Failure::Final(error),
    }
}

type State<'a> = (Replay<'a>, Option<SnapshotHead>, Option<Error>);

impl<'a> Recovery<'a> {
    /// Builds the state on the newest snapshot that is whole. Says what was wrong with newer ones.
    fn state(&self) -> Result<State<'a>> {
        let candidates: Vec<_> = self.files.snapshots.iter().map(|file| file.number).collect();
        let named = self.dir.roll().snapshot;
        let mut damage: Option<Error> = None;
        if let Some(lsn) = named.filter(|lsn| candidates.last() < Some(lsn)) {
            damage = Some(self.snapshot_is_missing(lsn));
        }
        // The log, if nothing else, must reach the newest state that any name promises.
        let promised = candidates.last().copied().max(named).unwrap_or(0);
        for base in candidates.into_iter().rev().map(Some).chain([None]) {
            match (self.build(base, promised), damage.take()) {
                (Ok((replay, head)), before) => {
                    self.expose(&replay, head.as_ref())?;
                    return Ok((replay, head, before));
                }
                (Err(Failure::Snapshot(error)), before) => {
                    self.target.clear()?;
                    damage = Some(before.unwrap_or(error));
                }
                (Err(Failure::Final(error)), None) => return Err(error),
                (Err(Failure::Final(error)), Some(before)) => return Err(both(&before, &error)),
            }
        }
        Err(damage.unwrap_or_else(|| missing(self.dir, 1)))
    }

    /// Builds the state on one snapshot, or on nothing.
    fn build(
        &self,
        lsn: Option<u64>,
        promised: u64,
    ) -> Result<(Replay<'a>, Option<SnapshotHead>), Failure> {
        let reader = match lsn {
            Some(lsn) => Some(self.open(lsn).map_err(of_snapshot)?),
            None => None,
        };
        let head = reader.as_ref().map(|reader| reader.head().clone());
        let chain = self.chain(head.as_ref())?;
        let snapshot_bytes = reader.as_ref().map_or(0, |reader| reader.summary().bytes);
        let log_bytes: u64 = chain.links.iter().map(|link| link.len).sum();
        let total_bytes = snapshot_bytes + log_bytes;
        let meter = Meter::new(self.progress, total_bytes);
        if let Some(reader) = &reader {
            self.target.begin(&reader.head().eviction, likely_entries(reader));
            meter.mark(Phase::Snapshot, 0);
            let tell = |done| meter.tell(Phase::Snapshot, done);
            load::load(reader, self.target, self.threads, &tell).map_err(of_snapshot)?;
            meter.mark(Phase::Snapshot, snapshot_bytes);
        }
        let mut marks = Marks::default();
        if let Some(head) = &head {
            marks.add(head.revision, head.time_ms);
        }
        let base_lsn = head.as_ref().map_or(0, |head| head.lsn);
        let revision = head.as_ref().map_or(0, |head| head.revision);
        let mut replay = Replay {
            target: self.target,
            base_lsn,
            last_lsn: base_lsn,
            revision,
            ceiling: revision,
            marks,
            records: 0,
            discarded_bytes: 0,
            reason: String::new(),
            segments: Vec::new(),
            last_file_bytes: 0,
        };
        if !chain.links.is_empty() {
            meter.mark(Phase::Log, snapshot_bytes);
            replay.run(self.dir, &chain, self.threads, &|done| {
                meter.tell(Phase::Log, snapshot_bytes + done);
            })?;
            meter.mark(Phase::Log, total_bytes);
        } else {
            replay.run(self.dir, &chain, self.threads, &|_| ())?;
        }
        replay.last_lsn = replay.last_lsn.max(base_lsn);
        if replay.last_lsn < promised {
            let next = replay.segments.last().map_or(1, |last| last.number.saturating_add(1));
            return Err(Failure::Final(missing(self.dir, next)));
        }
        if let Some(mark) = self.dir.clean_mark() {
            replay.marks.add(replay.revision, mark.time_ms);
        }
        Ok((replay, head))
    }

    /// Opens a snapshot that must be this store's.
    fn open(&self, lsn: u64) -> Result<SnapshotReader> {
        let path = self.dir.snapshot_path(lsn);
        verify::named(&**self.dir.disk(), &path, &self.dir.store_id(), lsn)
    }

    /// The log behind a snapshot.
    fn chain(&self, head: Option<&SnapshotHead>) -> Result<Chain> {
        let start = head.map_or(1, |head| head.segment);
        let chain = Chain::from(self.dir, &self.files.segments, start)?;
        let may_be_absent = match head {
            // A segment that the snapshot names was prepared when it was taken.
            Some(head) => !head.has_log || chain.first_unused == Some(start),
            // Nothing was ever written here.
            None => {
                let roll = self.dir.roll();
                roll.segment == 0 && roll.snapshot.is_none() && self.files.snapshots.is_empty()
            }
        };
        if chain.links.is_empty() && !may_be_absent && !is_planted(Planted::StartEmpty) {
            return Err(missing(self.dir, start));
        }
        Ok(chain)
    }

    /// Makes durable what is about to be seen. If there is no room for that, segments that were prepared
    /// and never used give theirs, and it is done anew.
    fn expose(&self, replay: &Replay<'_>, base: Option<&SnapshotHead>) -> Result<()> {
        match self.make_durable(replay, base) {
            Err(error) if error.status() == Status::NoSpace => {
                let unused = next_segment(replay, base);
                for file in self.files.segments.iter().filter(|file| file.number >= unused) {
                    let path = self.dir.segment_path(file.number);
                    settle::shorten_unused(&**self.dir.disk(), &path)?;
                }
                self.make_durable(replay, base)
            }
            exposed => exposed,
        }
    }

    /// Makes durable what is about to be seen. It may be repeated.
    fn make_durable(&self, replay: &Replay<'_>, base: Option<&SnapshotHead>) -> Result<()> {
        let (disk, is_closed) = (&**self.dir.disk(), self.dir.clean_mark().is_some());
        if !is_closed {
            self.dir.settle()?;
        }
        // `STORE` names a snapshot once that is durable. The name of another one may be there in memory
        // only, after a clean close as well: a snapshot that fails stops no store.
        let base = base.map(|head| head.lsn).filter(|&lsn| self.dir.roll().snapshot < Some(lsn));
        if let Some(lsn) = base.filter(|_| !is_planted(Planted::LooseSnapshot)) {
            settle::settle(disk, &self.dir.snapshot_path(lsn), u64::MAX)?;
            self.dir.enrol_snapshot(lsn)?;
        }
        if is_closed {
            return Ok(());
        }
        if let Some(last) = replay.segments.last() {
            settle::settle(disk, &self.dir.segment_path(last.number), replay.last_file_bytes)?;
        }
        sync_dir(disk, self.dir.path())
    }

    /// What the store goes on with.
    fn outcome(&self, replay: &Replay<'_>, base: Option<SnapshotHead>) -> Recovered {
        let last = replay.segments.last().copied();
        let start = base.as_ref().map_or(1, |head| head.segment);
        let next_segment = next_segment(replay, base.as_ref());
        let revision = match self.dir.clean_mark() {
            Some(mark) => mark.revision.max(replay.revision),
            None if is_planted(Planted::NoCeiling) => replay.revision,
            None => replay.revision.max(replay.ceiling).max(self.dir.roll().revision_ceiling),
        };
        // Segments that an older snapshot needs, or that ought to be gone, are there too.
        let older = self.files.segments.iter().filter(|file| {
            replay.segments.first().map_or(start, |first| first.number) > file.number
        });
        let older =
            older.map(|file| SegmentInfo { number: file.number, first_lsn: 0, bytes: file.len });
        Recovered {
            report: RecoveryReport {
                snapshot_revision: base.map_or(0, |head| head.revision),
                last_revision: replay.revision,
                records: replay.records,
                discarded_bytes: replay.discarded_bytes,
                reason: replay.reason.clone(),
                ..RecoveryReport::default()
            },
            last_lsn: replay.last_lsn,
            revision,
            next_segment,
            previous: last.map(|last| (last.number, last.bytes)),
            segments: older.chain(replay.segments.iter().copied()).collect(),
        }
    }

    fn snapshot_is_missing(&self, lsn: u64) -> Error {
        let path = self.dir.snapshot_path(lsn);
        let message = format!(
            "{} is missing at offset 0: bring it back from a backup, or run kv salvage",
            path.display()
        );
        Error::new(Status::Corrupt, message)
    }
}

/// The segment in which the log goes on. It and those behind it were never used.
fn next_segment(replay: &Replay<'_>, base: Option<&SnapshotHead>) -> u64 {
    let start = base.map_or(1, |head| head.segment);
    replay.segments.last().map_or(start, |last| last.number.saturating_add(1))
}

/// How many entries to prepare for: as many as a snapshot says that it has, but no more than a file of its
/// length has that is not compressed. A few bytes must not make much memory of a large number.
fn likely_entries(reader: &SnapshotReader) -> u64 {
    const ENTRY_BYTES: u64 = 8;
    let summary = reader.summary();
    summary.entries.min(summary.bytes / ENTRY_BYTES)
}

/// A snapshot is damaged, and the log does not make up for it.
fn both(first: &Error, then: &Error) -> Error {
    let message = format!("{}; without it: {}", first.message(), then.message());
    Error::new(then.status(), message)
}
