//! Which segments make up the log from one segment on.
//!
//! Owns: the rules by which segments follow each other. Invariant: a chain has no gap: its numbers
//! rise by one, every segment but the last ends in a seal or where the next one says, and what `STORE`
//! names is in it. Only what was prepared and never used may follow the last one.

use crate::directory::{Directory, Numbered};
use crate::error::{Error, Result, Status};
use crate::planted::{Planted, is_planted};
use crate::wal::{Opened, SegmentHeader, SegmentReader};

/// A segment of a chain.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) number: u64,
    /// The length of the file in bytes, without what was added to it behind the end that its header states.
    pub(super) len: u64,
    pub(super) header: SegmentHeader,
    /// Where the next segment says that the log ends in this one.
    pub(super) ends_at: Option<u64>,
}

/// The segments that hold records, in their order.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) links: Vec<Link>,
    /// Bytes of a header behind the last one that a crash left incomplete.
    pub(super) torn_header_bytes: u64,
    /// The segment that a seal may name.
    pub(super) first_unused: Option<u64>,
}

impl Chain {
    /// The chain from a segment on; empty if that one and those behind were never used.
    pub(super) fn from(dir: &Directory, segments: &[Numbered], start: u64) -> Result<Chain> {
        let mut chain = Chain { links: Vec::new(), torn_header_bytes: 0, first_unused: None };
        let mut next = start;
        for &Numbered { number, len } in segments.iter().filter(|file| file.number >= start) {
            let path = dir.segment_path(number);
            let reader =
                match SegmentReader::open(&**dir.disk(), &path, &dir.store_id(), number, None)? {
                    Opened::Used(reader) => reader,
                    Opened::Unused { bytes } => {
                        chain.torn_header_bytes += bytes;
                        // A store that was closed without a log leaves the end of an older one as it is.
                        if bytes > 0 && dir.clean_mark().is_some_and(|mark| mark.segment != 0) {
                            return Err(damaged(dir, number, 0, "it was closed and has changed"));
                        }
                        chain.first_unused = chain.first_unused.or(Some(number));
                        continue;
                    }
                };
            if number != next {
                return Err(missing(dir, next));
            }
            let header = reader.header().clone();
            if let Some(last) = chain.links.last_mut() {
                match header.previous {
                    Some((segment, end)) if segment == last.number => last.ends_at = Some(end),
                    // It began behind a snapshot, and the segment before must end in a seal.
                    None => {}
                    Some(_) => {
                        return Err(damaged(dir, number, 48, "it follows another segment"));
                    }
                }
            }
            next = number.saturating_add(1);
            let len = len.min(header.segment_bytes);
            chain.links.push(Link { number, len, header, ends_at: None });
        }
        if chain.first_unused.is_some_and(|unused| unused < next) {
            return Err(missing(dir, chain.first_unused.unwrap_or(next)));
        }
        let required = dir.roll().segment;
        if required >= next && !is_planted(Planted::StartEmpty) {
            return Err(missing(dir, next));
        }
        Ok(chain)
    }
}

/// The error of a segment that is not there, or that holds nothing and ought to.
pub(super) fn missing(dir: &Directory, number: u64) -> Error {
    let message = format!(
        "{} is missing or empty at offset 0: bring it back from a backup, or run kv salvage",
        dir.segment_path(number).display()
    );
    Error::new(Status::Corrupt, message)
}

/// The error of a segment that is not what it must be.
pub(super) fn damaged(dir: &Directory, number: u64, offset: u64, what: &str) -> Error {
    let message = format!(
        "{} is damaged at offset {offset}: {what}: run kv verify",
        dir.segment_path(number).display()
    );
    Error::new(Status::Corrupt, message)
}
