//! Reads every byte of a store's files and says what is wrong, without opening the store.
//!
//! Nothing is changed. The directory is locked meanwhile if it has a lock file: a log that grows would
//! look damaged.

use std::path::Path;

use super::report::{Finding, VerifyReport};
use crate::directory::{
    CLOSED, CleanMark, Files, LOCK, Roll, STORE, clean_mark, failed, files, identity, lock,
    snapshot_name, store_is_missing,
};
use crate::error::{Error, Result, Status};
use crate::io::{DirLock, Disk};
use crate::record::Records;
use crate::snapshot::{self, SnapshotReader};
use crate::wal::{End, Opened, SegmentHeader, SegmentReader, Step, segment_name};

/// Checks a directory, or one snapshot file.
///
/// # Errors
/// `Invalid` if no file of a store is there, `Locked` if the store is open, `Io` if something cannot be
/// read. Damage is no error but a finding.
pub(crate) fn verify(disk: &dyn Disk, path: &Path) -> Result<VerifyReport> {
    must_exist(disk, path)?;
    let mut check = Check { disk, dir: path, report: VerifyReport::default(), start: 0 };
    if let Ok(file) = disk.open(path) {
        check.count(file.len().map_err(|error| failed("cannot measure", path, &error))?);
        check.note(path, "all of it, or a block", snapshot::verify(disk, path))?;
        return Ok(check.report);
    }
    let _lock = lock_if_any(disk, path)?;
    let files = files(disk, path)?;
    must_hold_a_store(&files, path)?;
    check.directory(&files)?;
    Ok(check.report)
}

/// Refuses a path where nothing is.
pub(super) fn must_exist(disk: &dyn Disk, path: &Path) -> Result<()> {
    if disk.exists(path).map_err(|error| failed("cannot look for", path, &error))? {
        return Ok(());
    }
    let message = format!("there is nothing at '{}': name a store's directory", path.display());
    Err(Error::new(Status::Invalid, message))
}

/// Refuses a directory without any file of a store.
pub(super) fn must_hold_a_store(files: &Files, dir: &Path) -> Result<()> {
    if files.store || files.has_data() {
        return Ok(());
    }
    let message = format!("{} holds no file of a store: name its directory", dir.display());
    Err(Error::new(Status::Invalid, message))
}

/// Locks a directory, if anybody can have it open.
pub(super) fn lock_if_any(disk: &dyn Disk, dir: &Path) -> Result<Option<Box<dyn DirLock>>> {
    let path = dir.join(LOCK);
    if !disk.exists(&path).map_err(|error| failed("cannot look for", &path, &error))? {
        return Ok(None);
    }
    match lock(disk, dir) {
        // Nobody writes to what cannot be written.
        Err(error) if matches!(error.os_code(), Some(libc::EROFS | libc::EACCES)) => Ok(None),
        other => other.map(Some),
    }
}

/// The finding of an error that names its file and offset.
pub(super) fn finding(path: &Path, lost: &str, error: &Error) -> Finding {
    let message = error.message();
    let offset = message.split("at offset ").nth(1).and_then(|rest| {
        let end = rest.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse().ok()
    });
    Finding {
        file: path.display().to_string(),
        offset: offset.unwrap_or(0),
        problem: message.to_string(),
        lost: lost.to_string(),
        harmless: false,
    }
}

/// The identity that the files of a directory have in common, also if `STORE` cannot be read.
pub(super) fn likely_id(disk: &dyn Disk, dir: &Path, files: &Files) -> Option<[u8; 16]> {
    if let Ok(identity) = identity(disk, dir) {
        return Some(identity.store_id);
    }
    for file in files.snapshots.iter().rev() {
        if let Ok(reader) = SnapshotReader::open(disk, &dir.join(snapshot_name(file.number))) {
            return Some(reader.head().store_id);
        }
    }
    files.segments.iter().find_map(|file| {
        let segment = disk.open(&dir.join(segment_name(file.number))).ok()?;
        let mut id = [0; 16];
        crate::io::read_exact_at(&*segment, &mut id, 16).ok()?;
        Some(id).filter(|id| *id != [0; 16])
    })
}

/// Opens a snapshot that must be this store's, and the one that its name says.
pub(super) fn named(
    disk: &dyn Disk,
    path: &Path,
    id: &[u8; 16],
    lsn: u64,
) -> Result<SnapshotReader> {
    let reader = SnapshotReader::open(disk, path)?;
    let head = reader.head();
    if head.store_id == *id && head.lsn == lsn {
        return Ok(reader);
    }
    let what = "is damaged at offset 0: it is another one than its name says";
    Err(Error::new(Status::Corrupt, format!("{} {what}: run kv verify", path.display())))
}

/// The header of a segment; `None` if it was never used, or cannot be read.
pub(super) fn header(
    disk: &dyn Disk,
    dir: &Path,
    id: &[u8; 16],
    number: u64,
) -> Option<SegmentHeader> {
    match SegmentReader::open(disk, &dir.join(segment_name(number)), id, number, None) {
        Ok(Opened::Used(reader)) => Some(reader.header().clone()),
        _ => None,
    }
}

struct Check<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    report: VerifyReport,
    /// The segment that goes on from the newest snapshot that can be read.
    start: u64,
}

impl Check<'_> {
    fn count(&mut self, bytes: u64) {
        self.report.files += 1;
        self.report.bytes += bytes;
    }

    /// Takes damage down; any other error ends the check.
    fn note<T>(&mut self, path: &Path, lost: &str, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if matches!(error.status(), Status::Corrupt | Status::Unsupported) => {
                self.report.findings.push(finding(path, lost, &error));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn absent(&mut self, path: &Path, lost: &str) {
        let message = format!("{} is missing or empty at offset 0", path.display());
        let error = Error::new(Status::Corrupt, message);
        self.report.findings.push(finding(path, lost, &error));
    }

    fn directory(&mut self, files: &Files) -> Result<()> {
        let store = self.dir.join(STORE);
        let read = match files.store {
            true => identity(self.disk, self.dir),
            false => Err(store_is_missing(self.dir)),
        };
        if files.store {
            self.count(128);
        }
        let known = self.note(&store, "what must be there", read)?;
        let mut roll = known.map_or(Roll::default(), |known| known.roll);
        let Some(id) = likely_id(self.disk, self.dir, files) else { return Ok(()) };
        let edition = known.map(|known| known.edition);
        let mark = if files.closed { self.mark(id, edition)? } else { None };
        self.snapshots(files, roll, &id)?;
        if roll.segment < self.start {
            // What the log had is in a snapshot, and the log may have been given up.
            roll.segment = 0;
        }
        // A store that was closed without a log leaves the end of an older one as it is.
        self.segments(files, roll, mark.filter(|mark| mark.segment != 0), &id)
    }

    /// Where the store was closed.
    fn mark(&mut self, id: [u8; 16], edition: Option<u64>) -> Result<Option<CleanMark>> {
        self.count(128);
        let path = self.dir.join(CLOSED);
        let read = clean_mark(self.disk, self.dir, id, edition);
        let Some(mark) = self.note(&path, "where the log ended", read)? else { return Ok(None) };
        if mark.is_none() {
            self.report.findings.push(Finding {
                file: path.display().to_string(),
                offset: 72,
                problem: "it is from before the store was last open".into(),
                lost: "nothing: opening takes no notice of it".into(),
                harmless: true,
            });
        }
        Ok(mark)
    }

    fn snapshots(&mut self, files: &Files, roll: Roll, id: &[u8; 16]) -> Result<()> {
        for file in &files.snapshots {
            let path = self.dir.join(snapshot_name(file.number));
            self.count(file.len);
            let checked = snapshot::verify(self.disk, &path)
                .and_then(|_| named(self.disk, &path, id, file.number))
                .map(|reader| reader.head().segment);
            let segment = self.note(&path, "this snapshot, or entries of a block", checked)?;
            self.start = segment.unwrap_or(self.start);
        }
        if let Some(lsn) = roll.snapshot
            && files.snapshots.last().is_none_or(|file| file.number < lsn)
        {
            self.absent(&self.dir.join(snapshot_name(lsn)), "the newest snapshot");
        }
        Ok(())
    }

    fn segments(
        &mut self,
        files: &Files,
        roll: Roll,
        mark: Option<CleanMark>,
        id: &[u8; 16],
    ) -> Result<()> {
        let headers: Vec<_> = files
            .segments
            .iter()
            .map(|file| header(self.disk, self.dir, id, file.number))
            .collect();
        let last_used = headers.iter().rposition(Option::is_some);
        for (index, file) in files.segments.iter().enumerate() {
            let path = self.dir.join(segment_name(file.number));
            self.count(file.len);
            let next = headers.get(index + 1).and_then(Option::as_ref);
            let previous = next.and_then(|next| next.previous);
            let ends_at = previous.filter(|previous| previous.0 == file.number).map(|end| end.1);
            let is_last = last_used == Some(index);
            // A log that was given up for a while ends as a crash left it, and a snapshot stands for it.
            let is_given_up =
                file.number < self.start && next.is_some_and(|next| next.previous.is_none());
            let checked = self.segment(&path, file.number, id, ends_at);
            self.note_excess(&path, file.len, headers[index].as_ref());
            let lost = "the records from there on, and those of all later segments";
            let Some(Some(end)) = self.note(&path, lost, checked)? else { continue };
            let (offset, problem) = match end {
                End::Torn { at, reason, .. } => (at, reason),
                End::Open { end } if !is_last && !is_given_up && ends_at != Some(end) => {
                    (end, "the log breaks off".into())
                }
                End::Open { end } | End::Closed { end }
                    if is_last
                        && mark
                            .is_some_and(|mark| (mark.segment, mark.end) != (file.number, end)) =>
                {
                    (end, "it was closed and has another end".into())
                }
                _ => continue,
            };
            let harmless = is_last && mark.is_none() || is_given_up;
            let lost = match harmless {
                true => "writes that a crash interrupted, and that were not durable",
                false => lost,
            };
            let file = path.display().to_string();
            let lost = lost.to_string();
            self.report.findings.push(Finding { file, offset, problem, lost, harmless });
        }
        let newest = last_used.map_or(0, |index| files.segments[index].number);
        for pair in files.segments.windows(2) {
            if pair[1].number != pair[0].number.saturating_add(1) && pair[1].number <= newest {
                let path = self.dir.join(segment_name(pair[0].number.saturating_add(1)));
                self.absent(&path, "its records, if a snapshot does not have them");
            }
        }
        if newest < roll.segment.max(mark.map_or(0, |mark| mark.segment)) {
            self.absent(&self.dir.join(segment_name(newest.saturating_add(1))), "its records");
        }
        Ok(())
    }

    /// Notes what somebody added to a segment behind the length that its header states.
    fn note_excess(&mut self, path: &Path, len: u64, header: Option<&SegmentHeader>) {
        let Some(header) = header.filter(|header| header.segment_bytes < len) else { return };
        self.report.findings.push(Finding {
            file: path.display().to_string(),
            offset: header.segment_bytes,
            problem: "the file is longer than its header says".into(),
            lost: "nothing: opening takes no notice of what was added".into(),
            harmless: true,
        });
    }

    /// Reads one segment to its end; `None` if it was never used.
    fn segment(
        &self,
        path: &Path,
        number: u64,
        id: &[u8; 16],
        ends_at: Option<u64>,
    ) -> Result<Option<End>> {
        let Opened::Used(mut reader) = SegmentReader::open(self.disk, path, id, number, ends_at)?
        else {
            return Ok(None);
        };
        loop {
            match reader.next()? {
                Step::End(End::Damaged(error)) => return Err(error),
                Step::End(end) => return Ok(Some(end)),
                Step::Group(group) => {
                    let records = Records::new(group.payload)
                        .try_fold(0u64, |count, record| record.map(|_| count + 1));
                    if records.ok() != Some(u64::from(group.count)) {
                        let message = format!(
                            "{} is damaged at offset {}: a group makes no sense",
                            path.display(),
                            group.offset
                        );
                        return Err(Error::new(Status::Corrupt, message));
                    }
                }
            }
        }
    }
}
