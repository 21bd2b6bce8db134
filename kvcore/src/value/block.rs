//! Memory of large values, which is the store's while it is used and the system's afterwards.
//!
//! Owns: [`Block`], and the heaps behind it. Invariants: a block belongs to nobody else from when it is
//! made to when it is dropped; what is charged for one is what it takes of its heap, with its part of
//! what is lost between blocks; pages of which no block has a part are given back, but for a small
//! share that is kept to be used again.
//!
//! Why not the program's allocator: allocators keep lengths apart and give memory back late, so under
//! random lengths the process holds far more than the store counts. Here any length goes next to any
//! other, and free pages go back wherever they are, because addresses are no scarce good. Blocks of
//! many pages begin and end with a page, so that all of their memory goes back; smaller ones share
//! pages, because whole ones would waste too much.
//!
//! Values outlive their stores, so the heaps are the process's. One of them never ends: a child of a
//! `fork` starts with its own, since the lock of an inherited one may be held by a thread that is not
//! there, and inherited blocks stay where they are.

#![allow(unsafe_code)]

use std::ptr::NonNull;

use super::heaps::{self, Heaps};
use crate::error::{Error, Result, Status};

/// Blocks from this length on consist of whole pages.
const PAGED: usize = 32 << 10;

/// What shorter ones are rounded up to.
const UNIT: usize = 512;

/// The share of what blocks take that is lost between them.
const BETWEEN: usize = 16;

/// What a page has where it counts: charges are the same on every system.
const PAGE: usize = 4096;

/// Bytes that grow up to a capacity that does not change.
pub(crate) struct Block {
    start: NonNull<u8>,
    len: usize,
    capacity: usize,
    heaps: &'static Heaps,
}

// SAFETY: a block owns its bytes, like a `Vec`.
unsafe impl Send for Block {}
// SAFETY: a shared block is only read.
unsafe impl Sync for Block {}

impl Block {
    /// An empty block for so many bytes.
    ///
    /// # Errors
    /// `NoMemory`.
    pub(crate) fn with_capacity(capacity: usize) -> Result<Block> {
        let heaps = heaps::current();
        let start = match Block::taken_for(capacity) {
            0 => Some(NonNull::dangling()),
            bytes => heaps.take(bytes, capacity >= PAGED),
        };
        let start = start.ok_or(Error::from(Status::NoMemory))?;
        Ok(Block { start, len: 0, capacity, heaps })
    }

    /// What a block of this capacity is charged. The free runs between blocks that share pages keep
    /// some pages in memory, about a sixteenth of what is in use; each block is charged its part.
    pub(crate) const fn bytes_for(capacity: usize) -> usize {
        let taken = Block::taken_for(capacity);
        let charged = (taken + taken / BETWEEN).next_multiple_of(UNIT);
        match capacity {
            PAGED.. => taken,
            // Not more than a longer one.
            _ if charged > PAGED => PAGED,
            _ => charged,
        }
    }

    /// What a block of this capacity takes of its heap.
    const fn taken_for(capacity: usize) -> usize {
        capacity.next_multiple_of(if capacity < PAGED { UNIT } else { PAGE })
    }

    /// What this block is charged.
    pub(crate) fn bytes(&self) -> usize {
        Block::bytes_for(self.capacity)
    }

    /// Bytes that can be appended.
    pub(crate) fn spare(&self) -> usize {
        self.capacity - self.len
    }

    /// Appends if the capacity allows it.
    pub(crate) fn append(&mut self, data: &[u8]) -> bool {
        let fits = data.len() <= self.spare();
        if fits {
            // SAFETY: `spare` bytes behind the first `len` are the block's own and hold `data`, which
            // does not overlap them, because the block is borrowed for a change.
            unsafe {
                let end = self.start.as_ptr().add(self.len);
                std::ptr::copy_nonoverlapping(data.as_ptr(), end, data.len());
            }
            self.len += data.len();
        }
        fits
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        // SAFETY: the first `len` bytes were written, are the block's own, and change only through a
        // mutable borrow. An empty block has a dangling pointer, which is fine for no bytes.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let bytes = Block::taken_for(self.capacity);
        if bytes > 0 {
            // SAFETY: the run came from these heaps with the same length, and nobody refers to it any
            // more.
            unsafe { self.heaps.give_back(self.start, bytes, self.capacity >= PAGED) };
        }
    }
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn blocks_hold_what_was_appended() {
        let mut random = fastrand::Rng::with_seed(3);
        let mut blocks: Vec<(Block, u8)> = Vec::new();
        for round in 0..4000_u32 {
            let len = random.usize(..if round % 16 == 0 { 300_000 } else { 20_000 });
            let mut block = Block::with_capacity(len).unwrap();
            assert!(block.append(&vec![round as u8; len / 2]));
            assert!(block.append(&vec![round as u8; len - len / 2]));
            assert!(block.append(b"") && !block.append(b"x"));
            assert!(block.bytes() >= len && block.bytes() <= len + len / BETWEEN + PAGE);
            blocks.push((block, round as u8));
            if blocks.len() > 200 {
                let (block, fill) = blocks.swap_remove(random.usize(..200));
                assert!(block.as_slice().iter().all(|byte| *byte == fill));
            }
        }
        assert!(blocks.iter().all(|(block, fill)| block.as_slice().iter().all(|b| b == fill)));
    }

    #[test]
    fn charges_never_shrink() {
        for len in 1..200_000 {
            let charged = Block::bytes_for(len);
            assert!(charged >= Block::taken_for(len) && charged >= Block::bytes_for(len - 1));
        }
    }

    #[test]
    fn too_much_is_refused() {
        assert_eq!(Block::with_capacity(1 << 60).err().map(|e| e.status()), Some(Status::NoMemory));
        let empty = Block::with_capacity(0).unwrap();
        assert_eq!((empty.bytes(), empty.spare(), empty.as_slice()), (0, 0, &b""[..]));
    }
}
