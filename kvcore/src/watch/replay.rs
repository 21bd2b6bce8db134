//! What the log still has of changes that are no longer in the buffer.
//!
//! Owns: [`Replay`], which reads the log up to where the buffer goes on. Invariants: revisions come in
//! their order; a revision that the log does not have is missed, and that is said; memory is bounded
//! by a window of records and one group of the log.
//!
//! The log has the order in which records were queued, which for changes of several shards is not
//! exactly that of their revisions. Records wait in a window until the ones before them have come. What
//! has not come when the window is full, or the log is at its end, is not there: expiries, which no
//! record tells, and contents that were restored. Between two lives of a store revisions may be left
//! out: after a crash the next life begins behind the ceiling of the last one, and nothing happened in
//! between. Entries that had expired by then take one more revision, so that they are missed as well.

use std::collections::{BTreeMap, VecDeque};

use super::Watched;
use super::event::{Body, Event, EventKind};
use super::options::Filter;
use crate::entry::NEVER;
use crate::error::{Error, Result, Status};
use crate::record::{Record, Records};
use crate::wal::{End, Log, Opened, SegmentInfo, SegmentReader, Step};

/// Records that wait for an earlier one at most, and bytes of them.
const WINDOW: usize = 16 << 10;
const WINDOW_BYTES: usize = 8 << 20;

/// How far the first record of a segment may be ahead of one that comes later. If it was farther, that
/// one is missed.
const DISORDER: u64 = 1 << 16;

/// Reads the log from a revision on.
pub(super) struct Replay {
    /// The next revision to tell.
    next: u64,
    /// Segments to read after the one that is open.
    segments: VecDeque<SegmentInfo>,
    open: Option<Box<SegmentReader>>,
    /// The number of the segment that was opened last.
    number: u64,
    /// Records that have not been told, `None` for those that nobody asked for.
    waiting: BTreeMap<u64, Option<Body>>,
    waiting_bytes: usize,
    /// The highest revision that was read, and the highest that may have been given out by then.
    last: u64,
    ceiling: u64,
    /// Set where one life ends: what of it has not come is not there.
    border: Option<Border>,
}

/// How a life ended.
#[derive(Debug, Clone, Copy)]
struct Border {
    /// The first revision of the next life, if it ended by a crash.
    goes_on: Option<u64>,
}

/// What comes next.
pub(super) enum Replayed {
    Watched(Watched),
    /// The buffer has everything from this revision on, or knows what is missing.
    UpTo(u64),
}

impl Replay {
    /// Begins at a revision that the buffer does not have.
    ///
    /// # Errors
    /// What stopped the log, `Io`, `Corrupt`.
    pub(super) fn begin(log: &Log, next: u64) -> Result<Replay> {
        let segments = log.readable()?;
        let mut replay = Replay {
            next,
            segments: VecDeque::new(),
            open: None,
            number: 0,
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            last: 0,
            ceiling: 0,
            border: None,
        };
        let mut ends_at = None;
        for info in segments.into_iter().rev() {
            // Of segments of earlier lives only the next one knows where the log ends in them.
            let bytes = ends_at.take().unwrap_or(info.bytes);
            let Some(Opened::Used(mut reader)) = log.open_segment(info.number, bytes)? else {
                break;
            };
            ends_at = reader.header().previous.map(|(_, end)| end);
            replay.segments.push_front(SegmentInfo { bytes, ..info });
            if first_revision(&mut reader)?.is_some_and(|first| first + DISORDER <= next) {
                break;
            }
        }
        Ok(replay)
    }

    /// What comes next of the log. `oldest` is the first revision that the buffer has.
    ///
    /// # Errors
    /// `Io`, `Corrupt`, what stopped the log.
    pub(super) fn next(
        &mut self,
        log: &Log,
        filter: &Filter,
        oldest: &dyn Fn() -> u64,
    ) -> Result<Replayed> {
        let mut has_looked_again = false;
        loop {
            let oldest = oldest();
            if oldest <= self.next {
                return Ok(Replayed::UpTo(self.next));
            }
            let first = self.waiting.first_key_value().map(|(&first, _)| first);
            if let Some(first) = first.filter(|&first| first <= self.next) {
                if let Some(event) = self.take(first) {
                    return Ok(Replayed::Watched(Watched::Event(event)));
                }
                continue;
            }
            if !self.is_full() && self.read(log, filter)? {
                continue;
            }
            match (first, self.border.take()) {
                (None, Some(border)) => {
                    // Who asks for more than was kept of a life may have seen what the crash took.
                    let goes_on = border.goes_on.filter(|_| self.next <= self.last + 1);
                    self.next = goes_on.map_or(self.next, |next| next.max(self.next));
                }
                (Some(first), border) if border.is_some() || self.is_full() || has_looked_again => {
                    self.border = border;
                    let revision = first.min(oldest);
                    let missed = revision - self.next;
                    self.next = revision;
                    return Ok(Replayed::Watched(Watched::Lagged { revision, missed }));
                }
                (None, None) if has_looked_again => return Ok(Replayed::UpTo(self.next)),
                _ => {
                    // The log may have grown while it was read.
                    self.look_again(log)?;
                    has_looked_again = true;
                }
            }
        }
    }

    fn is_full(&self) -> bool {
        self.waiting.len() >= WINDOW || self.waiting_bytes >= WINDOW_BYTES
    }

    /// Takes the first record out of the window; an event if it comes next and was asked for.
    fn take(&mut self, revision: u64) -> Option<Event> {
        let body = self.waiting.remove(&revision).flatten();
        if let Some(body) = &body {
            self.waiting_bytes -= body.own_bytes() as usize;
        }
        if revision < self.next {
            return None;
        }
        self.next = revision + 1;
        body.map(|body| Event::new(revision, body))
    }

    /// Reads a group into the window, or goes on in the next segment. False at the end of the log.
    fn read(&mut self, log: &Log, filter: &Filter) -> Result<bool> {
        if self.border.is_some() {
            return Ok(false);
        }
        let Some(reader) = &mut self.open else { return self.enter_next(log) };
        let end = match reader.next()? {
            Step::Group(group) => {
                self.ceiling = self.ceiling.max(group.revision_ceiling);
                for record in Records::new(group.payload) {
                    let record = record.map_err(|bad| Error::new(Status::Corrupt, bad.what))?;
                    let (revision, body) = event_of(&record, filter);
                    self.last = self.last.max(revision);
                    if revision >= self.next {
                        self.waiting_bytes +=
                            body.as_ref().map_or(0, |body| body.own_bytes() as usize);
                        self.waiting.insert(revision, body);
                    }
                }
                return Ok(true);
            }
            Step::End(End::Damaged(error)) => return Err(error),
            Step::End(end) => end,
        };
        if self.segments.is_empty() {
            return Ok(false);
        }
        self.open = None;
        match end {
            End::Sealed { .. } | End::Damaged(_) => {}
            End::Closed { .. } => self.border = Some(Border { goes_on: None }),
            End::Open { .. } | End::Torn { .. } => {
                self.border = Some(Border { goes_on: Some(self.ceiling + 1) });
            }
        }
        Ok(true)
    }

    fn enter_next(&mut self, log: &Log) -> Result<bool> {
        let Some(info) = self.segments.pop_front() else { return Ok(false) };
        self.number = info.number;
        // One that has been retired meanwhile is missing from the revisions.
        if let Some(Opened::Used(reader)) = log.open_segment(info.number, info.bytes)? {
            self.ceiling = self.ceiling.max(reader.header().revision_ceiling);
            self.open = Some(reader);
        }
        Ok(true)
    }

    /// Goes on with what was written since this began, or looked last.
    fn look_again(&mut self, log: &Log) -> Result<()> {
        for info in log.readable()? {
            match &mut self.open {
                Some(reader) if info.number == self.number => reader.extend(info.bytes),
                _ if info.number > self.number => self.segments.push_back(info),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The revision of the first record in a segment.
fn first_revision(reader: &mut SegmentReader) -> Result<Option<u64>> {
    while let Step::Group(group) = reader.next()? {
        if let Some(Ok(record)) = Records::new(group.payload).next() {
            return Ok(Some(version(&record)));
        }
    }
    Ok(None)
}

fn version(record: &Record<'_>) -> u64 {
    match *record {
        Record::Set { version, .. }
        | Record::Delete { version, .. }
        | Record::Touch { version, .. }
        | Record::Clear { version } => version,
    }
}

/// The event that a record tells of, if it was asked for.
fn event_of(record: &Record<'_>, filter: &Filter) -> (u64, Option<Body>) {
    let body = match *record {
        Record::Set { key, value, deadline, .. } => {
            Body::copy(EventKind::Set, key, value, deadline)
        }
        // The log does not tell an eviction from a deletion.
        Record::Delete { key, .. } => Body::copy(EventKind::Deleted, key, [b"", b""], NEVER),
        Record::Touch { key, deadline, .. } => {
            Body::copy(EventKind::Touched, key, [b"", b""], deadline)
        }
        Record::Clear { .. } => Body::copy(EventKind::Cleared, b"", [b"", b""], NEVER),
    };
    let may_be_evicted = body.kind == EventKind::Deleted
        && filter.wants(EventKind::Evicted)
        && filter.has_key(body.key());
    (version(record), (may_be_evicted || filter.matches(&body)).then_some(body))
}
