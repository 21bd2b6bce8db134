//! The log of a directory as it lies there, record by record, for people and tools that look at it.
//!
//! Owns: [`LogReader`]. Invariants: records come in the order of their LSNs, each only after the checksums,
//! the length and the LSN of its group were found right; nothing is changed, and nobody else opens the
//! directory meanwhile; memory is bounded by one group of the log.
//!
//! Recovery (`replay`) wants a log without a fault, or one error. Who looks at a log wants all of it that
//! can be read: so a fault is told where it is met, and reading goes on in the segment behind it.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::verify::{header, likely_id, lock_if_any, must_exist, must_hold_a_store};
use crate::directory::{files, store_is_missing};
use crate::entry::NEVER;
use crate::error::{Error, Result, Status};
use crate::io::{DirLock, Disk, RealDisk};
use crate::record::{Record, Records};
use crate::wal::{End, FRAME_BYTES, Group, Opened, SegmentReader, Step, segment_name};

/// What a record of the log says was done. The log knows no expiries, and an eviction is a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LogOp {
    /// The key has this value and this deadline from now on.
    Set,
    /// The key is gone.
    Delete,
    /// The key has another deadline; its value is as it was.
    Touch,
    /// All keys are gone.
    Clear,
}

impl LogOp {
    /// Its name: `"set"`, `"delete"`, `"touch"`, `"clear"`.
    pub const fn name(self) -> &'static str {
        match self {
            LogOp::Set => "set",
            LogOp::Delete => "delete",
            LogOp::Touch => "touch",
            LogOp::Clear => "clear",
        }
    }
}

/// One record of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogRecord {
    /// Its number in the order of all changes.
    pub lsn: u64,
    /// The number of the segment that it is in.
    pub segment: u64,
    /// The revision of the change, which is the version of the entry since then.
    pub revision: u64,
    /// When its group was written, in Unix milliseconds.
    pub written_at_ms: i64,
    /// What was done.
    pub op: LogOp,
    /// The key; empty if all keys are concerned.
    pub key: Vec<u8>,
    /// The value that was set.
    pub value: Option<Vec<u8>>,
    /// The deadline that a set or a touch gave the entry, in Unix milliseconds; `None` if it never expires.
    pub expire_at_ms: Option<i64>,
}

/// Reads the log of a store's directory, from the oldest record that is still there to the last one.
///
/// Each item is a record, or a fault: an error that names the file and the offset. After a fault the records
/// of the next segment come; after `Io`, and after the last record, nothing does. It holds the directory's
/// lock, so nobody can open the store until it is dropped. It belongs to one thread at a time.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let dir = std::env::temp_dir().join(format!("kv-log-{}", std::process::id()));
/// let store = kvcore::Store::open_directory(&dir, kvcore::Options::new())?;
/// store.set("user:1", "Ada")?;
/// store.shutdown()?;
/// for record in kvcore::LogReader::open(&dir)? {
///     let record = record?;
///     println!("{} {} {}", record.lsn, record.op.name(), record.key.escape_ascii());
/// }
/// # std::fs::remove_dir_all(&dir).ok();
/// # Ok(())
/// # }
/// ```
pub struct LogReader {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    store_id: [u8; 16],
    /// Segments that were not entered yet.
    waiting: VecDeque<Part>,
    /// The segment that is read.
    open: Option<(Part, Box<SegmentReader>)>,
    group: Loaded,
    total_bytes: u64,
    done_bytes: u64,
    discarded_bytes: u64,
    _lock: Option<Box<dyn DirLock>>,
}

/// A segment to read.
#[derive(Debug, Clone, Copy)]
struct Part {
    number: u64,
    len: u64,
    /// Where the next segment says that the log ends in this one.
    ends_at: Option<u64>,
    /// Whether the log may break off in it as a crash leaves it: it is the last one that was used, or the
    /// log was given up there for a snapshot.
    may_break_off: bool,
    /// Whether segments between the one before and this one are missing.
    follows_gap: bool,
}

/// The records of a group that were not told yet.
#[derive(Default)]
struct Loaded {
    payload: Vec<u8>,
    /// How much of the payload was told.
    told: usize,
    next_lsn: u64,
    written_at_ms: i64,
    /// Where the payload begins in the file.
    offset: u64,
}

impl LogReader {
    /// Opens the log of the store in a directory, which must not be open.
    ///
    /// # Errors
    /// `Invalid` if no store is there, `Locked` if it is open, `Corrupt` if no file tells whose log it is,
    /// `Io`.
    pub fn open(dir: impl AsRef<Path>) -> Result<LogReader> {
        LogReader::on(Arc::new(RealDisk), dir.as_ref())
    }

    /// As [`open`](LogReader::open), on this disk.
    pub(crate) fn on(disk: Arc<dyn Disk>, dir: &Path) -> Result<LogReader> {
        must_exist(&*disk, dir)?;
        let lock = lock_if_any(&*disk, dir)?;
        let files = files(&*disk, dir)?;
        must_hold_a_store(&files, dir)?;
        let store_id = likely_id(&*disk, dir, &files).ok_or_else(|| store_is_missing(dir))?;
        let headers: Vec<_> =
            files.segments.iter().map(|file| header(&*disk, dir, &store_id, file.number)).collect();
        let last_used = headers.iter().rposition(Option::is_some);
        let mut waiting = VecDeque::new();
        for (index, file) in files.segments.iter().enumerate() {
            let stated = headers[index].as_ref().map_or(u64::MAX, |header| header.segment_bytes);
            let len = file.len.min(stated);
            let next = headers.get(index + 1).and_then(Option::as_ref);
            let ends_at = next.and_then(|next| next.previous).filter(|end| end.0 == file.number);
            let before = index.checked_sub(1).map(|before| files.segments[before].number);
            waiting.push_back(Part {
                number: file.number,
                len,
                ends_at: ends_at.map(|end| end.1),
                may_break_off: last_used == Some(index)
                    || next.is_some_and(|next| next.previous.is_none()),
                follows_gap: before.is_some_and(|before| before.saturating_add(1) != file.number)
                    && last_used >= Some(index),
            });
        }
        Ok(LogReader {
            disk,
            dir: dir.to_path_buf(),
            store_id,
            total_bytes: waiting.iter().map(|part| part.len).sum(),
            waiting,
            open: None,
            group: Loaded::default(),
            done_bytes: 0,
            discarded_bytes: 0,
            _lock: lock,
        })
    }

    /// Bytes of all segments.
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// Bytes of them that were read.
    pub fn done_bytes(&self) -> u64 {
        let within = self.open.as_ref().map_or(0, |(part, _)| self.group.offset.min(part.len));
        self.done_bytes + within
    }

    /// Bytes that a crash left incomplete behind the last record, as far as they were met.
    pub fn discarded_bytes(&self) -> u64 {
        self.discarded_bytes
    }

    /// Reads on until there is a record to tell. `None` at the end of the log.
    fn read(&mut self) -> Result<Option<LogRecord>> {
        loop {
            if self.group.told < self.group.payload.len() {
                return self.next_record().map(Some);
            }
            let Some((part, reader)) = &mut self.open else {
                if !self.enter_next()? {
                    return Ok(None);
                }
                continue;
            };
            let part = *part;
            match reader.next()? {
                Step::Group(group) => self.group.load(&group),
                Step::End(end) => {
                    self.leave();
                    self.check_end(part, end)?;
                }
            }
        }
    }

    /// The next record of the group.
    fn next_record(&mut self) -> Result<LogRecord> {
        let segment = self.open.as_ref().map_or(0, |(part, _)| part.number);
        let group = &mut self.group;
        let mut records = Records::new(&group.payload[group.told..]);
        let fault = match records.next() {
            Some(Ok(record)) => {
                group.told += records.at();
                let lsn = group.next_lsn;
                group.next_lsn += 1;
                return Ok(told(&record, lsn, segment, group.written_at_ms));
            }
            Some(Err(malformed)) => malformed.what,
            None => "a record that is cut short",
        };
        let at = group.offset + group.told as u64;
        self.leave();
        Err(self.damaged(segment, at, fault))
    }

    /// Goes on in the next segment that was used; false if there is none.
    fn enter_next(&mut self) -> Result<bool> {
        let Some(part) = self.waiting.front_mut() else { return Ok(false) };
        if std::mem::take(&mut part.follows_gap) {
            let missing = part.number - 1;
            return Err(self.damaged(missing, 0, "it is missing"));
        }
        let part = *part;
        self.waiting.pop_front();
        let path = self.dir.join(segment_name(part.number));
        match SegmentReader::open(&*self.disk, &path, &self.store_id, part.number, part.ends_at) {
            Ok(Opened::Used(reader)) => self.open = Some((part, reader)),
            Ok(Opened::Unused { bytes }) => {
                self.discarded_bytes += bytes;
                self.done_bytes += part.len;
            }
            Err(error) => {
                self.done_bytes += part.len;
                return Err(error);
            }
        }
        Ok(true)
    }

    /// Is done with the segment that is read.
    fn leave(&mut self) {
        if let Some((part, _)) = self.open.take() {
            self.done_bytes += part.len;
        }
        self.group = Loaded::default();
    }

    /// Refuses an end that neither a close nor a crash leaves.
    fn check_end(&mut self, part: Part, end: End) -> Result<()> {
        match end {
            End::Damaged(error) => Err(error),
            End::Sealed { .. } | End::Closed { .. } => Ok(()),
            End::Open { end } if !part.may_break_off && part.ends_at != Some(end) => {
                Err(self.damaged(part.number, end, "the log breaks off"))
            }
            End::Open { .. } => Ok(()),
            End::Torn { at, reason, .. } if !part.may_break_off => {
                Err(self.damaged(part.number, at, &reason))
            }
            End::Torn { bytes, .. } => {
                self.discarded_bytes += bytes;
                Ok(())
            }
        }
    }

    fn damaged(&self, number: u64, offset: u64, what: &str) -> Error {
        let path = self.dir.join(segment_name(number));
        let message =
            format!("{} is damaged at offset {offset}: {what}: run kv verify", path.display());
        Error::new(Status::Corrupt, message)
    }
}

impl Iterator for LogReader {
    type Item = Result<LogRecord>;

    fn next(&mut self) -> Option<Result<LogRecord>> {
        let read = self.read();
        if let Err(error) = &read {
            self.leave();
            // What cannot be read now may be readable later; going on would leave it out in silence.
            if !matches!(error.status(), Status::Corrupt | Status::Unsupported) {
                self.waiting.clear();
            }
        }
        read.transpose()
    }
}

impl std::iter::FusedIterator for LogReader {}

impl fmt::Debug for LogReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogReader").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Loaded {
    fn load(&mut self, group: &Group<'_>) {
        self.payload.clear();
        self.payload.extend_from_slice(group.payload);
        self.told = 0;
        self.next_lsn = group.first_lsn;
        self.written_at_ms = group.time_ms;
        self.offset = group.offset + FRAME_BYTES as u64;
    }
}

/// A record as it is told.
fn told(record: &Record<'_>, lsn: u64, segment: u64, written_at_ms: i64) -> LogRecord {
    let (op, value, deadline) = match *record {
        Record::Set { value, deadline, .. } => (LogOp::Set, Some(value.concat()), deadline),
        Record::Delete { .. } => (LogOp::Delete, None, NEVER),
        Record::Touch { deadline, .. } => (LogOp::Touch, None, deadline),
        Record::Clear { .. } => (LogOp::Clear, None, NEVER),
    };
    LogRecord {
        lsn,
        segment,
        revision: record.version(),
        written_at_ms,
        op,
        key: record.key().unwrap_or_default().to_vec(),
        value,
        expire_at_ms: (deadline != NEVER).then_some(deadline),
    }
}
