//! Hands what was queued to the system, in order, one thread at a time.
//!
//! Owns: [`Files`], the segment in use and where in it the next frame goes, and [`Ledger`], the list
//! of segments. Invariants: a batch is written with one write a segment, its heads filled in before;
//! the next segment is entered only when all of the last one is durable, and gets its first frame only
//! when its header is; after any failure nothing is written any more.

use std::sync::Arc;

use crate::clock::Stopwatch;
use crate::error::{Error, Result, Status};
use crate::io::write_all_at;
use crate::planted::{Planted, is_planted};
use crate::stats::Timed;
use crate::sync::atomic::Ordering;

use super::frame::{FRAME_BYTES, Frame, HEADER_BYTES, Kind, Seed, SegmentHeader};
use super::queue::{Batch, Piece};
use super::segments::Segment;
use super::{Log, LogEnd, SegmentInfo};

/// What the thread that writes needs.
#[derive(Debug)]
pub(super) struct Files {
    /// The segment in use.
    pub(super) current: Arc<Segment>,
    seed: Seed,
    /// Where its next frame goes.
    end: u64,
    /// An empty batch, to be exchanged with the queue's.
    batch: Batch,
    /// The LSN of the last record that was written, and the ticket.
    pub(super) lsn: u64,
    pub(super) ticket: u64,
    /// The revision ceiling that frames state from now on.
    pub(super) ceiling: u64,
}

/// The segments that are there.
#[derive(Debug)]
pub(super) struct Ledger {
    /// Those that are complete, the oldest first.
    complete: Vec<SegmentInfo>,
    /// The one in use. How much of it is used is [`Log::current_bytes`], which changes with every write.
    current: SegmentInfo,
}

impl Files {
    /// In a segment that is written and durable up to `end`.
    pub(super) fn new(
        current: Segment,
        store_id: &[u8; 16],
        end: u64,
        lsn: u64,
        ceiling: u64,
    ) -> Self {
        Files {
            seed: Seed::new(store_id, current.number),
            current: Arc::new(current),
            end,
            batch: Batch::default(),
            lsn,
            ticket: 0,
            ceiling,
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let current = &self.current;
        let written = write_all_at(&*current.file, bytes, self.end);
        if !is_planted(Planted::WriteOn) {
            written.map_err(|error| current.error("write to", &error))?;
        }
        self.end += bytes.len() as u64;
        Ok(())
    }
}

impl Ledger {
    /// The segments of earlier lives, and the first one of this.
    pub(super) fn new(complete: Vec<SegmentInfo>, current: SegmentInfo) -> Self {
        Ledger { complete, current }
    }

    /// Goes on in the next segment; of the last one, so many bytes are used.
    fn enter(&mut self, number: u64, first_lsn: u64, bytes: u64) {
        let next = SegmentInfo { number, first_lsn, bytes: HEADER_BYTES as u64 };
        let last = std::mem::replace(&mut self.current, next);
        self.complete.push(SegmentInfo { bytes, ..last });
    }
}

impl Log {
    /// The segments that are there, the oldest first.
    pub(crate) fn segments(&self) -> Vec<SegmentInfo> {
        let ledger = self.ledger.lock();
        let bytes = self.current_bytes.load(Ordering::Relaxed);
        let current = SegmentInfo { bytes, ..ledger.current };
        ledger.complete.iter().copied().chain([current]).collect()
    }

    /// Bytes of the log in all segments that are there.
    pub(crate) fn bytes(&self) -> u64 {
        let ledger = self.ledger.lock();
        let complete: u64 = ledger.complete.iter().map(|segment| segment.bytes).sum();
        complete + self.current_bytes.load(Ordering::Relaxed)
    }

    /// Whether no record has been written to the segment in use.
    pub(crate) fn is_at_start(&self) -> bool {
        self.ledger.lock().current.first_lsn == self.last_lsn() + 1
    }

    /// Removes the segments before this one, the oldest first, and makes that durable. After a crash
    /// in between, any of them may be back.
    ///
    /// # Errors
    /// `Io` if that fails; what was not removed is tried again next time.
    pub(crate) fn retire_before(&self, segment: u64) -> Result<()> {
        let _one = self.retiring.lock();
        let old = |info: &SegmentInfo| info.number < segment;
        let retired: Vec<_> = self.ledger.lock().complete.iter().copied().filter(old).collect();
        if retired.is_empty() {
            return Ok(());
        }
        self.maker.remove_all(retired.iter().map(|info| self.maker.path(info.number)))?;
        self.ledger.lock().complete.retain(|info| !old(info));
        Ok(())
    }

    /// Writes all that is queued. Nothing of it is durable by that.
    ///
    /// # Errors
    /// What stopped the log, now or before.
    pub(super) fn flush(&self, files: &mut Files) -> Result<()> {
        self.fault.check()?;
        // The time is read before the batch is taken: whatever is queued later happens later.
        let time_ms = self.clock.now_ms();
        let mut batch = std::mem::take(&mut files.batch);
        {
            let mut queue = self.queue.lock();
            queue.take(&mut batch);
            self.queued_units.store(0, Ordering::Relaxed);
        }
        self.batch_bytes.store(batch.memory_bytes(), Ordering::Relaxed);
        if !batch.pieces.is_empty() {
            self.writing.store(true, Ordering::Relaxed);
            let guard = self.guard();
            let written = self.write_batch(files, &mut batch, time_ms);
            if let Err(error) = &written {
                self.poison(error.clone());
            }
            guard.done();
            self.writing.store(false, Ordering::Relaxed);
            written?;
            (files.lsn, files.ticket) = (batch.last_lsn, batch.ticket);
            self.written_lsn.store(batch.last_lsn, Ordering::Release);
            self.current_bytes.store(files.end, Ordering::Relaxed);
        }
        batch.clear();
        self.batch_bytes.store(batch.memory_bytes(), Ordering::Relaxed);
        files.batch = batch;
        Ok(())
    }

    fn write_batch(&self, files: &mut Files, batch: &mut Batch, time_ms: i64) -> Result<()> {
        let Batch { bytes, pieces, .. } = batch;
        // What is filled in and not written yet.
        let mut run = 0..0;
        for &piece in pieces.iter() {
            match piece {
                Piece::Group { start, end, count, first_lsn } => {
                    let offset = files.end + (start - run.start) as u64;
                    let (head, payload) = bytes[start..end].split_at_mut(FRAME_BYTES);
                    let place = files.seed.at(offset);
                    let checksum = place.payload(payload);
                    let kind = Kind::Group { bytes: payload.len() as u64, count, checksum };
                    let frame = self.frame(files, kind, first_lsn, time_ms);
                    head.copy_from_slice(&frame.encode(place));
                    run.end = end;
                }
                Piece::Rotate { next_lsn, first_lsn } => {
                    files.write(&bytes[run.clone()])?;
                    run = run.end..run.end;
                    self.enter_next(files, next_lsn, first_lsn, time_ms)?;
                }
            }
        }
        files.write(&bytes[run])
    }

    fn frame(&self, files: &Files, kind: Kind, lsn: u64, time_ms: i64) -> Frame {
        let revision_ceiling = files.ceiling;
        Frame { kind, lsn, time_ms, revision_ceiling, durable_lsn: self.durable_lsn() }
    }

    /// Seals the segment in use and goes on in the next one that is prepared.
    fn enter_next(
        &self,
        files: &mut Files,
        next_lsn: u64,
        first_lsn: u64,
        time_ms: i64,
    ) -> Result<()> {
        let Some(next) = self.prepared.lock().pop_front() else {
            return Err(Error::new(Status::Panic, "the log was cut without a segment to go on in"));
        };
        let seal = self.frame(files, Kind::Seal { next: next.number }, next_lsn, time_ms);
        files.write(&seal.encode(files.seed.at(files.end)))?;
        if !is_planted(Planted::UnsyncedSeal) {
            self.sync_segment(&files.current)?;
        }
        self.durable_lsn.fetch_max(first_lsn - 1, Ordering::AcqRel);
        let (number, end) = (files.current.number, files.end);
        files.seed = Seed::new(&self.maker.store_id, next.number);
        files.current = Arc::new(next);
        files.end = 0;
        self.write_header(files, first_lsn, Some((number, end)), time_ms)?;
        let mut ledger = self.ledger.lock();
        ledger.enter(files.current.number, first_lsn, end);
        self.current_bytes.store(files.end, Ordering::Relaxed);
        Ok(())
    }

    /// Writes the header of the segment in use and makes it durable.
    fn write_header(
        &self,
        files: &mut Files,
        first_lsn: u64,
        previous: Option<(u64, u64)>,
        created_at_ms: i64,
    ) -> Result<()> {
        let header = SegmentHeader {
            store_id: self.maker.store_id,
            segment: files.current.number,
            first_lsn,
            previous,
            revision_ceiling: files.ceiling,
            created_at_ms,
            segment_bytes: files.current.bytes,
        };
        files.end = 0;
        files.write(&header.encode())?;
        self.sync_segment(&files.current)
    }

    /// Syncs a segment. A failure stops the log before anybody else can sync it again.
    ///
    /// # Errors
    /// What stopped the log, now or before.
    pub(super) fn sync_segment(&self, segment: &Segment) -> Result<()> {
        let _one = segment.syncing.lock();
        self.fault.check()?;
        self.syncs.fetch_add(1, Ordering::Relaxed);
        if is_planted(Planted::EarlyOk) {
            return Ok(());
        }
        let guard = self.guard();
        let watch = self.latency.is_due(Timed::Sync).then(Stopwatch::start);
        let mut synced = segment.file.sync_data().map_err(|error| segment.error("sync", &error));
        if is_planted(Planted::IgnoredSync) {
            synced = Ok(());
        }
        if is_planted(Planted::RepeatedSync) && synced.is_err() {
            synced = segment.file.sync_data().map_err(|error| segment.error("sync", &error));
        }
        match (&synced, watch) {
            (Ok(()), Some(watch)) => self.latency.record(Timed::Sync, watch.elapsed()),
            (Ok(()), None) => {}
            (Err(error), _) => self.poison(error.clone()),
        }
        guard.done();
        synced
    }

    /// Writes and syncs all that is queued and a footer behind it, cuts off what follows, and takes no
    /// more records.
    ///
    /// # Errors
    /// What stopped the log, now or before; `Io` if the file could not be cut, in which case all
    /// records are durable nevertheless.
    pub(crate) fn close(&self) -> Result<LogEnd> {
        let _no_more = self.preparing.lock();
        let mut files = self.files.lock();
        self.flush(&mut files)?;
        self.sync_segment(&files.current)?;
        self.durable_lsn.fetch_max(files.lsn, Ordering::AcqRel);
        let ended = self.end_file(&mut files);
        let fault = match &ended {
            Ok(_) => Status::Closed.into(),
            Err(error) => error.clone(),
        };
        self.poison(fault);
        let end = ended?;
        let unused: Vec<_> = self.prepared.lock().drain(..).collect();
        if !unused.is_empty() {
            self.maker.remove_all(unused.iter().map(|segment| segment.path.clone()))?;
        }
        Ok(end)
    }

    fn end_file(&self, files: &mut Files) -> Result<LogEnd> {
        // What was queued since the flush is lost: a log is closed when nobody writes any more.
        let footer = self.frame(files, Kind::Footer, files.lsn + 1, self.clock.now_ms());
        files.write(&footer.encode(files.seed.at(files.end)))?;
        self.sync_segment(&files.current)?;
        let current = &files.current;
        let cut = current.file.set_len(files.end).and_then(|()| current.file.sync_all());
        cut.map_err(|error| current.error("cut", &error))?;
        self.current_bytes.store(files.end, Ordering::Relaxed);
        Ok(LogEnd { segment: current.number, end: files.end, last_lsn: files.lsn })
    }
}
