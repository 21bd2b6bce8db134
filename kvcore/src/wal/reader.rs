//! Reads a segment of the log, of which nothing is believed before it is checked.
//!
//! Owns: [`SegmentReader`], and what tells an end of the log from damage. Invariants: a group is
//! handed out only after its checksums, its length and its LSN have been found right; memory is
//! bounded by the longest group that passes its checksum; nothing is looked at behind the length that
//! the header states, because nothing was ever written there; a read that fails is an error and never
//! an end; nothing is changed in the file.
//!
//! A log that ends without a footer ends where nothing but zeros follow. Where anything else does,
//! it may be what a crash left of the last writes, or damage. It is damage wherever a write could not
//! have been on its way: in a header, which is synced before any frame is written; before the end
//! that the next segment states; before a seal or a footer that passed; in a file that is shorter
//! than its header says; and before any frame which says that the missing record was durable when
//! that frame was written.

use std::path::Path;

use crate::error::{Error, Result, Status};
use crate::io::{Disk, DiskFile};
use crate::planted::{Planted, is_planted};
use crate::record::NUMBER_MAX;

use super::frame::{
    FRAME_BYTES, FRAME_MARK, Frame, HEADER_BYTES, Kind, SEAL_BYTES, Seed, SegmentHeader,
};
use super::segments::MIN_SEGMENT_BYTES;
use super::window::{PAGE, Window, is_zero};

const FRAME: u64 = FRAME_BYTES as u64;
/// Bytes of a payload up to which it is held before its checksum is known.
const UNCHECKED_MAX: usize = 16 << 20;

/// A segment, once its header has been read.
#[derive(Debug)]
pub(crate) enum Opened {
    /// It was prepared, and no record was ever written to it.
    Unused {
        /// Bytes of a header that did not reach the disk as a whole; usually 0.
        bytes: u64,
    },
    /// It holds a part of the log.
    Used(Box<SegmentReader>),
}

/// What comes next in a segment.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// Some records.
    Group(Group<'a>),
    /// Nothing; why the log ends here.
    End(End),
}

/// Records that were written at once. Its checksums are right.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group<'a> {
    /// The LSN of the first record.
    pub(crate) first_lsn: u64,
    /// How many records its writer says it holds. None: it marks the time or the ceiling.
    pub(crate) count: u32,
    /// Unix milliseconds when it was written; everything due by then had expired.
    pub(crate) time_ms: i64,
    /// No revision above this was given out when it was written.
    pub(crate) revision_ceiling: u64,
    /// All records up to this LSN were known to be durable when it was written.
    #[cfg(all(test, not(kv_shuttle)))]
    pub(crate) durable_lsn: u64,
    /// Where in the file its frame begins.
    pub(crate) offset: u64,
    /// The records.
    pub(crate) payload: &'a [u8],
}

/// Why the log ends in a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// It goes on in another one.
    Sealed {
        /// The number of that segment.
        next: u64,
        /// The offset behind the seal.
        end: u64,
    },
    /// It was closed.
    Closed {
        /// The offset behind the footer.
        end: u64,
    },
    /// Nothing was written behind this, or the end is reached that the next segment states.
    Open {
        /// The offset behind the last frame.
        end: u64,
    },
    /// What follows is what a crash left of the last writes, as far as can be told.
    Torn {
        /// The offset behind the last frame that is whole.
        at: u64,
        /// How many bytes from there on are not zero.
        bytes: u64,
        /// What is wrong with the first of them.
        reason: String,
    },
    /// A `Corrupt` error that names the file and the offset. The log may go on, and cannot be read.
    Damaged(Error),
}

/// Reads the groups of one segment in their order.
#[derive(Debug)]
pub(crate) struct SegmentReader {
    window: Window,
    header: SegmentHeader,
    seed: Seed,
    /// Where the log ends here, as the next segment states.
    ends_at: Option<u64>,
    /// The offset of the next frame.
    at: u64,
    next_lsn: u64,
    /// All records up to this LSN were durable, as some frame says.
    durable_lsn: u64,
    end: Option<End>,
}

impl SegmentReader {
    /// Opens a segment and reads its header. If the next segment states where the log ends in this
    /// one, that is `ends_at`, and nothing is read behind it but what must be zero.
    ///
    /// # Errors
    /// `Io` if the file cannot be read; `Corrupt` if the header is damaged, or not that of this
    /// segment of this store, or if the file is cut short; `Unsupported` if the format is unknown.
    pub(crate) fn open(
        disk: &dyn Disk,
        path: &Path,
        store_id: &[u8; 16],
        number: u64,
        ends_at: Option<u64>,
    ) -> Result<Opened> {
        SegmentReader::read(open(disk, path)?, path, store_id, number, ends_at)
    }

    /// As [`Self::open`], of a file that is open; the path is for messages.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(super) fn read(
        file: Box<dyn DiskFile>,
        path: &Path,
        store_id: &[u8; 16],
        number: u64,
        ends_at: Option<u64>,
    ) -> Result<Opened> {
        let mut window = Window::new(file, path)?;
        if window.len() < HEADER_BYTES as u64 {
            return Err(damage(path, 0, "the file is cut short"));
        }
        let bytes = array(window.get(0, HEADER_BYTES)?);
        let decoded = SegmentHeader::decode(&bytes).map_err(|error| {
            Error::new(error.status(), format!("{}: {}", path.display(), error.message()))
        })?;
        let Some(header) = decoded else { return unused(&mut window, &bytes, ends_at) };
        window.cut(header.segment_bytes);
        let wrong = if header.store_id != *store_id {
            Some("the segment is of another store")
        } else if header.segment != number {
            Some("the segment is another one than its name says")
        } else if !is_possible(&header) {
            Some("the header says what cannot be")
        } else if ends_at.is_some_and(|end| end < HEADER_BYTES as u64 || end > window.len()) {
            Some("the file is shorter than the next segment says")
        } else {
            None
        };
        if let Some(wrong) = wrong {
            return Err(damage(path, 0, wrong));
        }
        Ok(Opened::Used(Box::new(SegmentReader::behind(header, window, ends_at))))
    }

    /// As [`Self::open`], of a segment whose header cannot be used: nothing is known of it until
    /// [`resync`](Self::resync) has found a frame.
    ///
    /// # Errors
    /// `Io` if the file cannot be read.
    pub(crate) fn without_header(
        disk: &dyn Disk,
        path: &Path,
        store_id: &[u8; 16],
        number: u64,
        ends_at: Option<u64>,
    ) -> Result<SegmentReader> {
        let window = Window::new(open(disk, path)?, path)?;
        let header = SegmentHeader {
            store_id: *store_id,
            segment: number,
            first_lsn: 1,
            previous: None,
            revision_ceiling: 0,
            created_at_ms: 0,
            segment_bytes: 0,
        };
        Ok(SegmentReader::behind(header, window, ends_at))
    }

    /// In front of the first frame behind a header.
    fn behind(header: SegmentHeader, window: Window, ends_at: Option<u64>) -> SegmentReader {
        SegmentReader {
            window,
            seed: Seed::new(&header.store_id, header.segment),
            ends_at,
            at: HEADER_BYTES as u64,
            next_lsn: header.first_lsn,
            durable_lsn: 0,
            header,
            end: None,
        }
    }

    /// Goes on at the next group in the file that is whole and belongs here, and
    /// returns its offset. `None` if there is none. What lies between is lost. The checksum of a frame
    /// holds the store, the segment and the offset, so nothing else is taken for one.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub(crate) fn resync(&mut self) -> Result<Option<u64>> {
        // If there was no end, the frame that is next has not been looked at.
        let mut from = self.at + u64::from(self.end.is_some());
        let limit = self.ends_at.unwrap_or(self.window.len());
        while let Some((at, frame)) = self.find_frame(from)? {
            from = at + 1;
            let Kind::Group { bytes, checksum, .. } = frame.kind else { continue };
            let fits = bytes <= limit.saturating_sub(at + FRAME)
                && (self.next_lsn..=NUMBER_MAX).contains(&frame.lsn);
            let Some(len) = usize::try_from(bytes).ok().filter(|_| fits) else { continue };
            if self.passes(at, len, checksum)? {
                (self.at, self.next_lsn, self.end) = (at, frame.lsn, None);
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// The first frame from an offset on whose head passes.
    fn find_frame(&mut self, mut from: u64) -> Result<Option<(u64, Frame)>> {
        loop {
            let seed = self.seed;
            let chunk = self.window.some(from)?;
            if chunk.len() < FRAME_BYTES {
                return Ok(None);
            }
            for (skip, head) in chunk.windows(FRAME_BYTES).enumerate() {
                if head[0] != FRAME_MARK {
                    continue;
                }
                let at = from + skip as u64;
                if let Some(frame) = Frame::decode(&array(Some(head)), seed, at) {
                    return Ok(Some((at, frame)));
                }
            }
            from += (chunk.len() - FRAME_BYTES + 1) as u64;
        }
    }

    /// Goes on to a new end, when the log has been written up to there.
    pub(crate) fn extend(&mut self, ends_at: u64) {
        if matches!(self.end, None | Some(End::Open { .. })) {
            self.ends_at = Some(ends_at);
            self.end = None;
            self.window.forget();
        }
    }

    /// What the header says.
    pub(crate) fn header(&self) -> &SegmentHeader {
        &self.header
    }

    /// The next group, or the end, again and again.
    ///
    /// # Errors
    /// `Io` if the file cannot be read, `NoMemory` if a group does not fit into memory.
    pub(crate) fn next(&mut self) -> Result<Step<'_>> {
        if let Some(end) = &self.end {
            return Ok(Step::End(end.clone()));
        }
        let (offset, payload) = (self.at, self.at + FRAME);
        let frame = match self.look()? {
            Ok(frame) => frame,
            Err(end) => {
                self.end = Some(end.clone());
                return Ok(Step::End(end));
            }
        };
        self.durable_lsn = self.durable_lsn.max(frame.durable_lsn);
        let Kind::Group { bytes, count, .. } = frame.kind else {
            let end = self.finish(frame.kind)?;
            self.end = Some(end.clone());
            return Ok(Step::End(end));
        };
        self.at = payload + bytes;
        self.next_lsn = frame.lsn + u64::from(count);
        let len = usize::try_from(bytes).unwrap_or(usize::MAX);
        Ok(Step::Group(Group {
            first_lsn: frame.lsn,
            count,
            time_ms: frame.time_ms,
            revision_ceiling: frame.revision_ceiling,
            #[cfg(all(test, not(kv_shuttle)))]
            durable_lsn: frame.durable_lsn,
            offset,
            payload: self.window.get(payload, len)?.unwrap_or(b""),
        }))
    }

    /// The frame that comes next, with its payload checked, or the end if there is none.
    fn look(&mut self) -> Result<Result<Frame, End>> {
        let at = self.at;
        if self.ends_at == Some(at) {
            return Ok(Err(End::Open { end: at }));
        }
        let limit = self.ends_at.unwrap_or(self.window.len());
        if limit.saturating_sub(at) < FRAME {
            return self.broken("a frame that is cut short").map(Err);
        }
        let head = array(self.window.get(at, FRAME_BYTES)?);
        let Some(frame) = Frame::decode(&head, self.seed, at) else {
            return self.broken("a frame whose head is damaged").map(Err);
        };
        if frame.lsn != self.next_lsn {
            let what = format!("a frame with LSN {} where {} follows", frame.lsn, self.next_lsn);
            return Ok(Err(self.damaged(at, &what)));
        }
        let Kind::Group { bytes, count, checksum } = frame.kind else { return Ok(Ok(frame)) };
        let len = usize::try_from(bytes).ok().filter(|_| bytes <= limit - at - FRAME);
        let (Some(len), Some(_)) = (len, frame.lsn.checked_add(u64::from(count))) else {
            return Ok(Err(
                self.damaged(at, "a group that is longer than what is left of the file")
            ));
        };
        if !self.passes(at, len, checksum)? && !is_planted(Planted::UncheckedRecords) {
            return self.broken("a group whose records are damaged").map(Err);
        }
        Ok(Ok(frame))
    }

    /// Whether the payload of a group has this checksum. One that is long is not held before that is known.
    fn passes(&mut self, at: u64, len: usize, checksum: u32) -> Result<bool> {
        let mut place = self.seed.at(at);
        if len <= UNCHECKED_MAX {
            // The head and the payload are asked for at once, so that they are read at once.
            let whole = self.window.get(at, FRAME_BYTES + len)?.unwrap_or(b"");
            return Ok(place.payload(whole.get(FRAME_BYTES..).unwrap_or(b"")) == checksum);
        }
        let (mut from, mut left) = (at + FRAME, len);
        while left > 0 {
            let some = self.window.some(from)?;
            let piece = &some[..some.len().min(left)];
            if piece.is_empty() {
                return Ok(false);
            }
            place = place.behind(piece);
            (from, left) = (from + piece.len() as u64, left - piece.len());
        }
        Ok(place.payload(b"") == checksum)
    }

    /// The end at a seal or a footer: nothing may follow.
    fn finish(&mut self, kind: Kind) -> Result<End> {
        let end = self.at + SEAL_BYTES;
        if self.ends_at.is_some_and(|stated| stated != end) {
            return Ok(self.damaged(self.at, "the log ends before the next segment says"));
        }
        if let Some(first) = self.window.first_byte(end)? {
            return Ok(self.damaged(first, "there is something behind the end of the log"));
        }
        Ok(match kind {
            Kind::Seal { next } => End::Sealed { next, end },
            _ => End::Closed { end },
        })
    }

    /// The end where no frame follows: nothing does, or something that a crash left, or damage.
    fn broken(&mut self, reason: &str) -> Result<End> {
        let at = self.at;
        if is_planted(Planted::ErrorIsEnd) {
            return Ok(End::Open { end: at });
        }
        if self.ends_at.is_some() {
            return Ok(self.damaged(at, reason));
        }
        let Some(first) = self.window.first_byte(at)? else {
            // Only a file with a footer is ever made shorter.
            return Ok(if self.window.len() < self.header.segment_bytes {
                self.damaged(at, "the file is cut short")
            } else {
                End::Open { end: at }
            });
        };
        if self.window.len() < self.header.segment_bytes {
            return Ok(self.damaged(at, reason));
        }
        let mut rest = Rest { bytes: 0, known_durable: false };
        self.scan(first, &mut rest)?;
        if rest.known_durable || is_planted(Planted::TornIsDamage) {
            return Ok(self.damaged(at, reason));
        }
        Ok(End::Torn { at, bytes: rest.bytes, reason: format!("{reason}, at offset {at}") })
    }

    /// Looks through what follows `from`, at every offset for a frame.
    fn scan(&mut self, mut from: u64, rest: &mut Rest) -> Result<()> {
        let missing = self.next_lsn;
        loop {
            let chunk = self.window.some(from)?;
            if chunk.is_empty() {
                return Ok(());
            }
            // Heads that reach into the next chunk are looked at there.
            let fresh = match chunk.len() {
                len if len > FRAME_BYTES => len - FRAME_BYTES + 1,
                len => len,
            };
            for (page, start) in chunk[..fresh].chunks(PAGE).zip((0..).step_by(PAGE)) {
                if is_zero(page) {
                    continue;
                }
                for (skip, &byte) in page.iter().enumerate() {
                    rest.bytes += u64::from(byte != 0);
                    if byte != FRAME_MARK {
                        continue;
                    }
                    let at = start + skip;
                    let Some(head) = chunk.get(at..at + FRAME_BYTES) else { continue };
                    let found = Frame::decode(&array(Some(head)), self.seed, from + at as u64);
                    rest.known_durable |= found.is_some_and(|frame| frame.durable_lsn >= missing);
                }
            }
            from += fresh as u64;
        }
    }

    fn damaged(&self, at: u64, what: &str) -> End {
        End::Damaged(damage(self.window.path(), at, what))
    }
}

fn open(disk: &dyn Disk, path: &Path) -> Result<Box<dyn DiskFile>> {
    disk.open(path)
        .map_err(|error| Error::from_os(&format!("cannot open {}", path.display()), &error))
}

/// What follows a frame that is broken.
struct Rest {
    /// How many bytes of it are not zero.
    bytes: u64,
    /// Whether a frame says that the record which is missing was durable.
    known_durable: bool,
}

/// Whether a store can have written a header that says this.
fn is_possible(header: &SegmentHeader) -> bool {
    (1..=NUMBER_MAX).contains(&header.first_lsn)
        && header.segment <= NUMBER_MAX
        && header.revision_ceiling <= NUMBER_MAX
        && header.segment_bytes >= MIN_SEGMENT_BYTES
}

/// A segment without a header: one that was never used, unless anything is behind the header.
fn unused(window: &mut Window, head: &[u8], ends_at: Option<u64>) -> Result<Opened> {
    let path = window.path().to_path_buf();
    if ends_at.is_some() || window.first_byte(HEADER_BYTES as u64)?.is_some() {
        return Err(damage(&path, 0, "the header is damaged"));
    }
    if window.len() < MIN_SEGMENT_BYTES {
        return Err(damage(&path, 0, "the file is cut short"));
    }
    Ok(Opened::Unused { bytes: head.iter().filter(|&&byte| byte != 0).count() as u64 })
}

/// The bytes as an array; zeros, which are never valid, if they are of another length.
fn array<const N: usize>(bytes: Option<&[u8]>) -> [u8; N] {
    bytes.and_then(|bytes| bytes.try_into().ok()).unwrap_or([0; N])
}

fn damage(path: &Path, at: u64, what: &str) -> Error {
    let message = format!(
        "{} is damaged at offset {at}: {what}: run kv verify, or restore a snapshot",
        path.display()
    );
    Error::new(Status::Corrupt, message)
}
