//! Copies what can be read of a damaged directory into a new one.
//!
//! It begins with the newest snapshot of which all can be read, or with none, and goes on through the
//! log; on the way it takes what can be read of newer snapshots. All it finds is in memory for a while,
//! and then in one snapshot in the new directory, which is a store of its own. Behind damage in a segment
//! it goes on with the next group that is whole: the checksum of a group holds its store, its segment and
//! its offset, so that nothing else is taken for one. Each gap is reported.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::marks::Marks;
use super::report::{Finding, SalvageReport};
use super::verify::{finding, header, likely_id, lock_if_any, must_exist, named};
use crate::directory::{Directory, Files, failed, files, snapshot_name};
use crate::entry::NEVER;
use crate::error::{Error, Result, Status};
use crate::io::Disk;
use crate::record::{Record, Records};
use crate::snapshot::{
    self, BlockBuffer, Compression, Saved, SnapshotHead, SnapshotReader, SnapshotWriter,
};
use crate::wal::{End, Opened, SegmentReader, Step, segment_name};

/// Revisions that a lost part of the log may have given out.
const REVISION_MARGIN: u64 = 1 << 26;

/// Copies what can be read from one directory to another, which must be empty or not exist.
///
/// # Errors
/// `Invalid` if the new directory has anything in it, or the old one is not there; `Locked` if the store is open; `Corrupt` if
/// nothing of a store is there; `NoSpace`, `NoMemory` and `Io`. The source is never changed.
pub(crate) fn salvage(
    disk: Arc<dyn Disk>,
    from: &Path,
    to: &Path,
    now_ms: i64,
) -> Result<SalvageReport> {
    must_exist(&*disk, from)?;
    let _lock = lock_if_any(&*disk, from)?;
    let found = files(&*disk, from)?;
    let there = disk.exists(to).map_err(|error| failed("cannot look for", to, &error))?;
    if there && !disk.list(to).map_err(|error| failed("cannot list", to, &error))?.is_empty() {
        let message = format!("{} is not empty: name a new directory", to.display());
        return Err(Error::new(Status::Invalid, message));
    }
    let Some(id) = likely_id(&*disk, from, &found) else {
        let message = format!("{} has no file of a store that can be read", from.display());
        return Err(Error::new(Status::Corrupt, message));
    };
    let mut rescue = Rescue::new(&*disk, from, id);
    rescue.read(&found)?;
    let saved = rescue.save(&disk, to, now_ms)?;
    rescue.report.entries = saved;
    Ok(rescue.report)
}

/// An entry that was found.
struct Kept {
    value: Vec<u8>,
    deadline: i64,
    version: u64,
    created_at_ms: Option<i64>,
    hits: u8,
    access: u8,
    tag: u8,
}

impl Kept {
    /// The entry, as a snapshot takes it.
    fn saved<'a>(&'a self, key: &'a [u8]) -> Saved<'a> {
        let &Kept { ref value, deadline, version, created_at_ms, hits, access, tag } = self;
        Saved { key, value, deadline, version, created_at_ms, hits, access, tag }
    }
}

/// What was found so far.
struct Rescue<'a> {
    disk: &'a dyn Disk,
    from: &'a Path,
    id: [u8; 16],
    entries: HashMap<Vec<u8>, Kept>,
    lsn: u64,
    revision: u64,
    ceiling: u64,
    eviction: String,
    marks: Marks,
    report: SalvageReport,
}

impl<'a> Rescue<'a> {
    fn new(disk: &'a dyn Disk, from: &'a Path, id: [u8; 16]) -> Self {
        Rescue {
            disk,
            from,
            id,
            entries: HashMap::new(),
            lsn: 0,
            revision: 0,
            ceiling: 0,
            eviction: "none".into(),
            marks: Marks::default(),
            report: SalvageReport::default(),
        }
    }

    fn read(&mut self, found: &Files) -> Result<()> {
        let mut newer = Vec::new();
        for file in found.snapshots.iter().rev() {
            let path = self.from.join(snapshot_name(file.number));
            let error = match snapshot::verify(self.disk, &path) {
                Ok(_) => match named(self.disk, &path, &self.id, file.number) {
                    Ok(reader) => {
                        self.snapshot(&reader)?;
                        break;
                    }
                    Err(error) => error,
                },
                Err(error) => {
                    newer.push(file.number);
                    error
                }
            };
            if error.status() == Status::NoMemory {
                return Err(error);
            }
            self.lost(&path, "this snapshot, or a part of it", &error);
        }
        let base = self.lsn;
        for (index, file) in found.segments.iter().enumerate() {
            let path = self.from.join(segment_name(file.number));
            let next = found.segments.get(index + 1);
            let next = next.and_then(|next| header(self.disk, self.from, &self.id, next.number));
            let previous = next.as_ref().and_then(|next| next.previous);
            let ends_at = previous.filter(|previous| previous.0 == file.number).map(|end| end.1);
            // A damaged snapshot is as good as a part of the log that ends where it was taken.
            let first = header(self.disk, self.from, &self.id, file.number);
            let reached = first.map_or(self.lsn, |header| header.first_lsn - 1);
            while newer.last().is_some_and(|&lsn| lsn <= reached) {
                self.newer(newer.pop())?;
            }
            self.segment(&path, file.number, ends_at, base)?;
        }
        while !newer.is_empty() {
            self.newer(newer.pop())?;
        }
        Ok(())
    }

    /// Takes what can be read of a snapshot that is damaged.
    fn newer(&mut self, lsn: Option<u64>) -> Result<()> {
        let Some(lsn) = lsn else { return Ok(()) };
        self.report.may_be_back = true;
        let path = self.from.join(snapshot_name(lsn));
        // What is wrong with the file was noted when it was checked.
        let Ok(reader) = named(self.disk, &path, &self.id, lsn) else { return Ok(()) };
        self.snapshot(&reader)
    }

    fn snapshot(&mut self, reader: &SnapshotReader) -> Result<()> {
        let head = reader.head();
        self.revision = self.revision.max(head.revision);
        self.lsn = self.lsn.max(head.lsn);
        self.eviction.clone_from(&head.eviction);
        self.marks.add(self.revision, head.time_ms);
        let mut buffer = BlockBuffer::new();
        for number in 0..reader.blocks().len() {
            // What is wrong with the file was noted when it was checked.
            let Ok(block) = reader.read_block(number, &mut buffer) else { continue };
            for saved in block {
                let Ok(saved) = saved else { break };
                self.keep(&saved)?;
            }
        }
        Ok(())
    }

    fn keep(&mut self, saved: &Saved<'_>) -> Result<()> {
        let copy = |bytes: &[u8]| {
            let mut copy = Vec::new();
            copy.try_reserve_exact(bytes.len()).map_err(|_| Error::from(Status::NoMemory))?;
            copy.extend_from_slice(bytes);
            Ok::<_, Error>(copy)
        };
        let &Saved { deadline, version, created_at_ms, hits, access, tag, .. } = saved;
        self.revision = self.revision.max(version);
        // Per key, versions rise: what comes from an older state does not undo a newer one.
        if self.entries.get(saved.key).is_some_and(|kept| kept.version > version) {
            return Ok(());
        }
        let value = copy(saved.value)?;
        let kept = Kept { value, deadline, version, created_at_ms, hits, access, tag };
        self.entries.insert(copy(saved.key)?, kept);
        Ok(())
    }

    /// Applies what can be read of a segment and is not in the base. Behind damage it goes on with the next
    /// group that is whole.
    fn segment(&mut self, path: &Path, number: u64, ends_at: Option<u64>, base: u64) -> Result<()> {
        let opened = SegmentReader::open(self.disk, path, &self.id, number, ends_at);
        let (mut reader, mut fault) = match opened {
            Ok(Opened::Used(mut reader)) => {
                let first_lsn = reader.header().first_lsn;
                self.report.may_be_back |= first_lsn > self.lsn.saturating_add(1);
                self.ceiling = self.ceiling.max(reader.header().revision_ceiling);
                let fault = self.groups(path, &mut reader, base)?;
                (*reader, fault)
            }
            Ok(Opened::Unused { .. }) => return Ok(()),
            Err(error) => {
                self.report.may_be_back = true;
                let fault = finding(path, "the records of this segment", &error);
                let reader =
                    SegmentReader::without_header(self.disk, path, &self.id, number, ends_at);
                let Ok(reader) = reader else {
                    self.report.findings.push(fault);
                    return Ok(());
                };
                (reader, Some(fault))
            }
        };
        while let Some(mut found) = fault.take() {
            // A file that cannot be read any further has nothing more to give.
            if let Ok(Some(at)) = reader.resync() {
                found.lost = format!("the records from there to offset {at}");
                found.harmless = false;
                self.report.may_be_back = true;
                fault = self.groups(path, &mut reader, base)?;
            }
            self.report.findings.push(found);
        }
        Ok(())
    }

    /// Applies groups up to the end, or to what is wrong with the next one.
    fn groups(
        &mut self,
        path: &Path,
        reader: &mut SegmentReader,
        base: u64,
    ) -> Result<Option<Finding>> {
        let lost = "the records from there to the end of this segment";
        loop {
            let group = match reader.next() {
                Ok(Step::Group(group)) => group,
                Ok(Step::End(End::Damaged(error))) | Err(error) => {
                    return Ok(Some(finding(path, lost, &error)));
                }
                Ok(Step::End(End::Torn { at, reason, .. })) => {
                    let file = path.display().to_string();
                    let lost = lost.to_string();
                    let harmless = true;
                    return Ok(Some(Finding { file, offset: at, problem: reason, lost, harmless }));
                }
                Ok(Step::End(_)) => return Ok(None),
            };
            for (lsn, record) in (group.first_lsn..).zip(Records::new(group.payload)) {
                let Ok(record) = record else {
                    let message =
                        format!("{} is damaged at offset {}", path.display(), group.offset);
                    let error = Error::new(Status::Corrupt, message);
                    return Ok(Some(finding(path, lost, &error)));
                };
                if lsn > base {
                    self.apply(&record)?;
                }
            }
            self.lsn = self.lsn.max(group.first_lsn + u64::from(group.count) - 1);
            self.ceiling = self.ceiling.max(group.revision_ceiling);
            self.marks.add(self.revision, group.time_ms);
        }
    }

    fn apply(&mut self, record: &Record<'_>) -> Result<()> {
        self.report.records += 1;
        match *record {
            Record::Set { key, value: [value, _], deadline, version, created_at_ms } => {
                self.keep(&Saved::unused(key, value, deadline, version, created_at_ms))?;
            }
            Record::Delete { key, version } => {
                self.revision = self.revision.max(version);
                self.entries.remove(key);
            }
            Record::Touch { key, deadline, version } => {
                self.revision = self.revision.max(version);
                if let Some(kept) = self.entries.get_mut(key) {
                    (kept.deadline, kept.version) = (deadline, version);
                }
            }
            Record::Clear { version } => {
                self.revision = self.revision.max(version);
                self.entries.clear();
            }
        }
        Ok(())
    }

    fn lost(&mut self, path: &Path, lost: &str, error: &Error) {
        self.report.findings.push(finding(path, lost, error));
    }

    /// Writes all that was found as a new store.
    fn save(&self, disk: &Arc<dyn Disk>, to: &Path, now_ms: i64) -> Result<u64> {
        let dir = Directory::open(Arc::clone(disk), to, now_ms)?;
        let path = dir.snapshot_tmp_path(self.lsn);
        let head = SnapshotHead {
            store_id: dir.store_id(),
            lsn: self.lsn,
            segment: 1,
            revision: self.revision.max(self.ceiling).saturating_add(REVISION_MARGIN),
            time_ms: now_ms,
            eviction: self.eviction.clone(),
            has_log: false,
        };
        let writer = SnapshotWriter::create(&**disk, &path, &head, Compression::None)?;
        let mut packer = writer.packer();
        for (key, kept) in &self.entries {
            let lives = kept.deadline == NEVER || !self.marks.expired(kept.version, kept.deadline);
            if lives {
                packer.push(&kept.saved(key))?;
            }
        }
        packer.finish()?;
        let summary = writer.finish()?;
        snapshot::verify(&**disk, &path)?;
        dir.publish_snapshot(self.lsn)?;
        dir.close(None)?;
        Ok(summary.entries)
    }
}
