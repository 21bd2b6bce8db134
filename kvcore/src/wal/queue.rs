//! What has been appended and not been written yet, and where in the log it will be.
//!
//! Owns: [`Queue`], the bytes to be written next in the one order of the log, and [`Room`], the
//! promise that what was reserved will find its place. Nothing here touches a file.
//!
//! Invariants: a unit is decided its place when it is appended, so the batch that the writer takes
//! is the very bytes of one or more segments, with blanks where the heads of frames go; a unit lies in
//! one group; LSNs go up by one a record. The segment that is last in line (a prepared one, or else
//! the one in use) has room for everything that is reserved, heads of frames included. Whatever is
//! lost at the ends of the segments before it, a reserved unit fits there at the latest; this is
//! why no sum over segments is kept, which would not tell whether one of them has room in one piece.

use std::collections::VecDeque;

use crate::sync::atomic::{AtomicI64, Ordering};

use super::frame::{FRAME_BYTES, HEADER_BYTES, SEAL_BYTES};

/// Payload bytes from which on the next unit begins a group of its own. It bounds what a reader
/// must hold, unless a single unit is larger.
pub(super) const GROUP_BYTES: usize = 1 << 20;
/// Capacity in bytes that an idle buffer keeps.
const KEPT_BYTES: usize = 4 << 20;
const FRAME: u64 = FRAME_BYTES as u64;

/// Bytes for frames in a segment of so many bytes.
pub(super) fn capacity(segment_bytes: u64) -> u64 {
    segment_bytes.saturating_sub(HEADER_BYTES as u64 + SEAL_BYTES)
}

/// Bytes of a segment that has room for so many bytes of frames.
pub(super) fn segment_bytes(capacity: u64) -> u64 {
    capacity.saturating_add(HEADER_BYTES as u64 + SEAL_BYTES)
}

/// The most that a unit of so many bytes takes.
pub(super) fn cost(bytes: usize) -> i64 {
    // Nothing of more than 2^40 bytes is ever promised.
    i64::try_from(bytes).unwrap_or(i64::MAX).min(1 << 60) + FRAME as i64
}

/// How much of the last segment in line is neither used nor promised, in bytes.
#[derive(Debug)]
pub(super) struct Room(AtomicI64);

impl Room {
    /// Room of so many bytes.
    pub(super) fn new(bytes: u64) -> Self {
        Room(AtomicI64::new(i64::try_from(bytes).unwrap_or(i64::MAX)))
    }

    /// Promises room, if there is any. Takes no lock.
    pub(super) fn take(&self, cost: i64) -> bool {
        let mut free = self.0.load(Ordering::Relaxed);
        while free >= cost {
            // What the room guards is ordered by the lock of the queue.
            let rest = free - cost;
            match self.0.compare_exchange_weak(free, rest, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => free = now,
            }
        }
        false
    }

    /// Takes back a promise, or the part of it that was not needed.
    pub(super) fn give(&self, bytes: i64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes that could be promised at this moment.
    pub(super) fn free(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Moves all promises to another segment, which has `change` bytes more room than the last one,
    /// or says that they do not fit there.
    fn change(&self, change: i64) -> bool {
        let mut free = self.0.load(Ordering::Relaxed);
        loop {
            let after = free.saturating_add(change);
            if after < 0 {
                return false;
            }
            match self.0.compare_exchange_weak(free, after, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => free = now,
            }
        }
    }
}

/// A part of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    /// A frame, from the blank for its head on.
    Group {
        /// Where in the batch its head goes.
        start: usize,
        /// Where in the batch its payload ends.
        end: usize,
        /// How many records it holds.
        count: u32,
        /// The LSN of the first of them.
        first_lsn: u64,
    },
    /// The next segment begins.
    Rotate {
        /// The LSN that follows in the segment before.
        next_lsn: u64,
        /// The LSN of the next record: the same, unless some were left out.
        first_lsn: u64,
    },
}

/// What the writer takes from the queue at once.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Frames, with zeros for their heads.
    pub(super) bytes: Vec<u8>,
    /// What the bytes are.
    pub(super) pieces: Vec<Piece>,
    /// The LSN of the last record up to here.
    pub(super) last_lsn: u64,
    /// How often something had been queued up to here.
    pub(super) ticket: u64,
    /// How many units are in it.
    pub(super) units: usize,
}

impl Batch {
    /// Memory that it holds, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.pieces.capacity() * size_of::<Piece>()
    }

    /// Empties it, and keeps the memory unless that is much.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.pieces.clear();
        self.units = 0;
        self.bytes.shrink_to(KEPT_BYTES);
    }
}

/// The queue. Its owner holds it under one lock, never over input or output.
#[derive(Debug)]
pub(super) struct Queue {
    batch: Batch,
    next_lsn: u64,
    ticket: u64,
    /// The number of the segment in which the next unit goes, if it fits.
    segment: u64,
    /// Bytes for frames that are left there.
    left: u64,
    /// Bytes for frames in each of the segments that follow.
    prepared: VecDeque<u64>,
}

impl Queue {
    /// An empty queue in front of an empty segment.
    pub(super) fn new(first_lsn: u64, segment: u64, capacity: u64) -> Self {
        Queue {
            batch: Batch::default(),
            next_lsn: first_lsn,
            ticket: 0,
            segment,
            left: capacity,
            prepared: VecDeque::new(),
        }
    }

    /// The LSN of the last record.
    pub(super) fn last_lsn(&self) -> u64 {
        self.next_lsn - 1
    }

    /// How often something has been queued.
    pub(super) fn ticket(&self) -> u64 {
        self.ticket
    }

    /// Memory of what waits, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.batch.memory_bytes()
    }

    /// How many units wait to be written.
    pub(super) fn units(&self) -> usize {
        self.batch.units
    }

    /// Whether no segment is prepared and less than so many bytes are left.
    pub(super) fn is_low(&self, bytes: u64) -> bool {
        self.prepared.is_empty() && self.left < bytes
    }

    /// Bytes for frames in the last segment in line: what the room was at first.
    pub(super) fn last_in_line(&self) -> u64 {
        self.prepared.back().copied().unwrap_or(self.left)
    }

    /// Counts records that are thrown away. Returns the LSN of the last one.
    pub(super) fn swallow(&mut self, count: u32) -> u64 {
        self.next_lsn += u64::from(count);
        self.last_lsn()
    }

    /// Queues a unit. Returns the LSN of its last record; `None` if it has no place, which cannot be
    /// when it is no longer than what was reserved for it.
    pub(super) fn append(
        &mut self,
        unit: &[u8],
        count: u32,
        reserved: usize,
        room: &Room,
    ) -> Option<u64> {
        debug_assert!(unit.len() <= reserved, "{} bytes in {reserved} reserved", unit.len());
        let taken = self.place(unit, count)?;
        // Only what is taken from the last segment in line lessens the room there.
        let lost = if self.prepared.is_empty() { taken as i64 } else { 0 };
        room.give(cost(reserved) - lost);
        self.next_lsn += u64::from(count);
        self.ticket += 1;
        self.batch.units += 1;
        Some(self.last_lsn())
    }

    /// Puts a unit where it fits. Returns how many bytes it took there.
    fn place(&mut self, unit: &[u8], count: u32) -> Option<u64> {
        if let Some(taken) = self.join(unit, count) {
            return Some(taken);
        }
        let need = unit.len() as u64 + FRAME;
        while need > self.left {
            self.rotate(0).then_some(())?;
        }
        let start = self.batch.bytes.len();
        self.batch.bytes.extend_from_slice(&[0; FRAME_BYTES]);
        self.batch.bytes.extend_from_slice(unit);
        let end = self.batch.bytes.len();
        self.batch.pieces.push(Piece::Group { start, end, count, first_lsn: self.next_lsn });
        self.left -= need;
        Some(need)
    }

    /// Puts a unit into the group that is last in the batch, if it fits.
    fn join(&mut self, unit: &[u8], added: u32) -> Option<u64> {
        let Some(Piece::Group { start, end, count, .. }) = self.batch.pieces.last_mut() else {
            return None;
        };
        let payload = *end - *start - FRAME_BYTES;
        let need = unit.len() as u64;
        if need > self.left || payload.saturating_add(unit.len()) > GROUP_BYTES {
            return None;
        }
        *count = count.checked_add(added)?;
        *end += unit.len();
        self.batch.bytes.extend_from_slice(unit);
        self.left -= need;
        Some(need)
    }

    /// Goes on in the next segment, and leaves out so many LSNs. False if none is prepared.
    pub(super) fn rotate(&mut self, skipped: u32) -> bool {
        let Some(capacity) = self.prepared.pop_front() else { return false };
        self.left = capacity;
        self.segment += 1;
        self.ticket += 1;
        let next_lsn = self.next_lsn;
        self.next_lsn += u64::from(skipped);
        self.batch.pieces.push(Piece::Rotate { next_lsn, first_lsn: self.next_lsn });
        true
    }

    /// Whether a segment is prepared to go on in.
    pub(super) fn has_next(&self) -> bool {
        !self.prepared.is_empty()
    }

    /// The number of the segment in which the next unit goes, if it fits.
    pub(super) fn segment(&self) -> u64 {
        self.segment
    }

    /// Puts a prepared segment at the end of the line. False if what is promised does not fit there;
    /// then nothing has changed.
    pub(super) fn offer(&mut self, capacity: u64, room: &Room) -> bool {
        let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        let fits = room.change(signed(capacity) - signed(self.last_in_line()));
        if fits {
            self.prepared.push_back(capacity);
        }
        fits
    }

    /// Moves everything that is queued to `batch`, which must be empty.
    pub(super) fn take(&mut self, batch: &mut Batch) {
        self.batch.last_lsn = self.last_lsn();
        self.batch.ticket = self.ticket;
        std::mem::swap(&mut self.batch, batch);
    }
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    /// Bytes that the pieces take in each segment, and their records.
    fn lay_out(pieces: &[Piece], used: &mut Vec<u64>) -> u64 {
        let mut records = 0;
        for piece in pieces {
            match *piece {
                Piece::Rotate { .. } => used.push(0),
                Piece::Group { start, end, count, .. } => {
                    *used.last_mut().unwrap() += (end - start) as u64;
                    records += u64::from(count);
                }
            }
        }
        records
    }

    #[test]
    fn units_share_a_group_until_it_is_taken() {
        let room = Room::new(1000);
        let mut queue = Queue::new(10, 1, 1000);
        assert!(room.take(cost(5)) && room.take(cost(3)));
        assert_eq!(queue.append(b"first", 2, 5, &room), Some(11));
        assert_eq!(queue.append(b"two", 1, 3, &room), Some(12));
        let mut batch = Batch::default();
        queue.take(&mut batch);
        assert_eq!(batch.pieces, [Piece::Group { start: 0, end: 72, count: 3, first_lsn: 10 }]);
        assert_eq!(&batch.bytes[FRAME_BYTES..], b"firsttwo");
        assert_eq!((batch.last_lsn, batch.ticket, batch.units), (12, 2, 2));
        assert_eq!(room.free(), 1000 - 72);
        // The buffer comes back.
        batch.clear();
        queue.take(&mut batch);
        assert!(batch.pieces.is_empty() && batch.bytes.is_empty());
    }

    #[test]
    fn large_groups_are_not_made_larger() {
        let room = Room::new(8 << 20);
        let mut queue = Queue::new(1, 1, 8 << 20);
        let unit = vec![1; GROUP_BYTES / 2 + 1];
        for _ in 0..3 {
            assert!(room.take(cost(unit.len())));
            queue.append(&unit, 1, unit.len(), &room).unwrap();
        }
        let mut batch = Batch::default();
        queue.take(&mut batch);
        assert_eq!(batch.pieces.len(), 3);
    }

    #[test]
    fn a_small_segment_is_not_offered_what_was_promised() {
        let room = Room::new(1000);
        let mut queue = Queue::new(1, 1, 1000);
        assert!(room.take(cost(500)));
        assert!(!queue.offer(563, &room));
        assert!(queue.offer(564, &room));
        assert_eq!(room.free(), 0);
        assert!(!room.take(cost(0)));
        assert!(queue.rotate(0) && !queue.rotate(0));
        assert_eq!(queue.append(&[0; 500], 1, 500, &room), Some(1));
        assert_eq!(room.free(), 0);
        assert!(queue.append(b"", 0, 0, &room).is_some(), "a mark joins the group");
    }

    #[derive(Debug, Clone)]
    enum Step {
        Reserve(usize),
        Append { which: usize, shorter: usize },
        Release(usize),
        Offer(u64),
        Rotate,
        Take,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..900usize).prop_map(Step::Reserve),
            4 => (any::<usize>(), 0..300usize)
                .prop_map(|(which, shorter)| Step::Append { which, shorter }),
            1 => any::<usize>().prop_map(Step::Release),
            2 => (64..2000u64).prop_map(Step::Offer),
            1 => Just(Step::Rotate),
            2 => Just(Step::Take),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        /// Whatever was reserved fits, whatever happens in between, and no segment overflows.
        #[test]
        fn what_is_reserved_fits(steps in prop::collection::vec(step(), 1..120)) {
            let mut capacities = vec![1000u64];
            let mut used = vec![0u64];
            let room = Room::new(1000);
            let mut queue = Queue::new(1, 1, 1000);
            let mut reserved: Vec<usize> = Vec::new();
            let mut batch = Batch::default();
            let mut records = 0;
            for step in steps {
                match step {
                    Step::Reserve(bytes) => if room.take(cost(bytes)) {
                        reserved.push(bytes);
                    },
                    Step::Append { which, shorter } => if !reserved.is_empty() {
                        let bytes = reserved.swap_remove(which % reserved.len());
                        let unit = vec![7; bytes.saturating_sub(shorter)];
                        prop_assert!(queue.append(&unit, 1, bytes, &room).is_some());
                    },
                    Step::Release(which) => if !reserved.is_empty() {
                        room.give(cost(reserved.swap_remove(which % reserved.len())));
                    },
                    Step::Offer(capacity) => if queue.offer(capacity, &room) {
                        capacities.push(capacity);
                    },
                    Step::Rotate => { queue.rotate(0); },
                    Step::Take => {
                        queue.take(&mut batch);
                        records += lay_out(&batch.pieces, &mut used);
                        batch.clear();
                    },
                }
                let promised: i64 = reserved.iter().map(|&bytes| cost(bytes)).sum();
                prop_assert_eq!(room.free(), queue.last_in_line() as i64 - promised);
                prop_assert!(room.free() >= 0);
            }
            queue.take(&mut batch);
            records += lay_out(&batch.pieces, &mut used);
            prop_assert_eq!(records, queue.last_lsn());
            prop_assert_eq!(queue.segment(), used.len() as u64);
            for (used, capacity) in used.iter().zip(&capacities) {
                prop_assert!(used <= capacity, "{} of {}", used, capacity);
            }
        }
    }
}
