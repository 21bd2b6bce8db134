//! From the log to the engine, record by record.
//!
//! Owns: what has been read so far. Invariants: records are applied in the order of their LSNs, each
//! once, none that the snapshot has already; the log ends at its last segment only, and only in a way
//! in which a crash or a clean close ends it.

use crate::directory::{CleanMark, Directory};
use crate::error::Result;
use crate::record::Records;
use crate::wal::{End, Group, Opened, SegmentInfo, SegmentReader, Step};

use super::Target;
use super::apply::{self, Applier};
use super::chain::{Chain, Link, damaged, missing};
use super::marks::Marks;

/// What has been read so far.
pub(super) struct Replay<'a> {
    pub(super) target: &'a dyn Target,
    /// The state before the log is the one after this LSN.
    pub(super) base_lsn: u64,
    /// The LSN of the last record, and of the next one that the log must have.
    pub(super) last_lsn: u64,
    /// The highest version that was seen.
    pub(super) revision: u64,
    /// No revision above this was given out, as far as the log says.
    pub(super) ceiling: u64,
    pub(super) marks: Marks,
    pub(super) records: u64,
    pub(super) discarded_bytes: u64,
    pub(super) reason: String,
    /// The segments that were read, and how much of each is used.
    pub(super) segments: Vec<SegmentInfo>,
    /// Bytes of the file of the last one, without what was added to it behind its end.
    pub(super) last_file_bytes: u64,
}

impl Replay<'_> {
    /// Applies the whole chain, with so many threads beside this one. `tell` hears how many bytes are
    /// done.
    pub(super) fn run(
        &mut self,
        dir: &Directory,
        chain: &Chain,
        threads: usize,
        tell: &dyn Fn(u64),
    ) -> Result<()> {
        apply::with(self.target, threads, |applier| {
            let mut done = 0;
            for (index, link) in chain.links.iter().enumerate() {
                self.enter(dir, link, index == 0)?;
                let end = self.read(dir, link, applier, &|bytes| tell(done + bytes))?;
                self.leave(dir, chain, index, end)?;
                done += link.len;
                tell(done);
            }
            Ok(())
        })?;
        self.discarded_bytes += chain.torn_header_bytes;
        if chain.torn_header_bytes > 0 && self.reason.is_empty() {
            self.reason = "the header of a new segment was incomplete".into();
        }
        match dir.clean_mark() {
            Some(mark) => self.check_clean(dir, mark),
            None => Ok(()),
        }
    }

    /// Checks that a segment goes on where the one before ended.
    fn enter(&mut self, dir: &Directory, link: &Link, first: bool) -> Result<()> {
        let lsn = link.header.first_lsn;
        let follows = match first {
            true => lsn <= self.base_lsn.saturating_add(1),
            // Records that the snapshot has may be missing from the log.
            false => {
                lsn == self.last_lsn + 1
                    || (lsn > self.last_lsn && lsn <= self.base_lsn.saturating_add(1))
            }
        };
        if !follows {
            return Err(damaged(dir, link.number, 40, "it does not follow what is before it"));
        }
        self.last_lsn = lsn - 1;
        self.ceiling = self.ceiling.max(link.header.revision_ceiling);
        self.marks.add(self.revision, link.header.created_at_ms);
        Ok(())
    }

    /// Applies the records of one segment.
    fn read(
        &mut self,
        dir: &Directory,
        link: &Link,
        applier: &mut Applier<'_, '_>,
        tell: &dyn Fn(u64),
    ) -> Result<End> {
        let path = dir.segment_path(link.number);
        let (disk, id) = (&**dir.disk(), dir.store_id());
        let Opened::Used(mut reader) =
            SegmentReader::open(disk, &path, &id, link.number, link.ends_at)?
        else {
            return Err(missing(dir, link.number));
        };
        loop {
            match reader.next()? {
                Step::End(End::Damaged(error)) => return Err(error),
                Step::End(end) => return Ok(end),
                Step::Group(group) => {
                    self.apply_group(&group, applier, |at, what| {
                        damaged(dir, link.number, group.offset + 64 + at as u64, what)
                    })?;
                    tell(group.offset);
                }
            }
        }
    }

    /// Applies the records of a group that the state does not have yet.
    pub(super) fn apply_group(
        &mut self,
        group: &Group<'_>,
        applier: &mut Applier<'_, '_>,
        bad: impl Fn(usize, &str) -> crate::error::Error,
    ) -> Result<()> {
        let mut lsn = group.first_lsn;
        let mut records = Records::new(group.payload);
        let mut start = records.at();
        while let Some(record) = records.next() {
            let record = record.map_err(|malformed| bad(malformed.at, malformed.what))?;
            if lsn > self.base_lsn {
                applier.push(&record, &group.payload[start..records.at()])?;
                self.revision = self.revision.max(record.version());
                self.records += 1;
            }
            start = records.at();
            lsn += 1;
        }
        if lsn - group.first_lsn != u64::from(group.count) {
            return Err(bad(0, "a group has another number of records than it says"));
        }
        self.last_lsn = lsn - 1;
        self.ceiling = self.ceiling.max(group.revision_ceiling);
        self.marks.add(self.revision, group.time_ms);
        Ok(())
    }

    /// Checks the end of a segment, and notes how much of it is used.
    fn leave(&mut self, dir: &Directory, chain: &Chain, index: usize, end: End) -> Result<()> {
        let link = &chain.links[index];
        let follower = chain.links.get(index + 1).map(|link| link.number);
        let (used, is_sealed) = match end {
            End::Damaged(error) => return Err(error),
            End::Sealed { next, end } => {
                if next != link.number.saturating_add(1)
                    || follower.or(chain.first_unused) != Some(next)
                {
                    return Err(missing(dir, link.number.saturating_add(1)));
                }
                (end, true)
            }
            End::Open { end } | End::Closed { end } => (end, false),
            End::Torn { at, bytes, reason } => {
                self.discarded_bytes += bytes;
                self.reason = format!("{}: {reason}", dir.segment_path(link.number).display());
                (at, false)
            }
        };
        // Without a seal, only the next segment can say that nothing is missing in between.
        if follower.is_some() && !is_sealed && link.ends_at != Some(used) {
            return Err(damaged(dir, link.number, used, "the log breaks off"));
        }
        self.last_file_bytes = link.len;
        let first_lsn = link.header.first_lsn;
        self.segments.push(SegmentInfo { number: link.number, first_lsn, bytes: used });
        Ok(())
    }

    /// After a clean close the log is what the mark says, to the byte.
    fn check_clean(&self, dir: &Directory, mark: CleanMark) -> Result<()> {
        if mark.segment == 0 {
            return Ok(());
        }
        let Some(last) = self.segments.last() else { return Err(missing(dir, mark.segment)) };
        let wrong = if last.number != mark.segment {
            "it is not the segment that was closed"
        } else if last.bytes != mark.end || self.discarded_bytes != 0 {
            "it was closed and has another end"
        } else if self.last_lsn != mark.last_lsn || self.revision > mark.revision {
            "it was closed and has other records"
        } else {
            return Ok(());
        };
        Err(damaged(dir, last.number, last.bytes, wrong))
    }
}
