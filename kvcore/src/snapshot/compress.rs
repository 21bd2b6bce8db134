//! How the payload of a block is packed.
//!
//! Owns: the methods, and what of their state is kept from block to block. Invariants: packing never
//! makes a block longer, nor so short that a reader would have to believe in more than
//! [`MAX_RATIO`](super::format::MAX_RATIO); unpacking writes into the place it is given and nowhere
//! else, and fails unless it fills that exactly from exactly the bytes there are. So the length of
//! the place, which the caller has checked, bounds what a hostile block can do.

use std::io;

use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::compress_bound;

use super::format::{BLOCK_HEAD_BYTES, MAX_RATIO};

/// How hard zstd and DEFLATE try. A snapshot is to be taken fast; the next levels pack a few percent
/// better in twice the time.
const ZSTD_LEVEL: i32 = 1;
const DEFLATE_LEVEL: u32 = 1;

/// A way to pack blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    /// As they are.
    None,
    /// DEFLATE (RFC 1951), as gzip has it, without the frame of gzip.
    Gzip,
    /// An LZ4 block.
    Lz4,
    /// One Zstandard frame (RFC 8878).
    Zstd,
}

impl Compression {
    /// The number that stands for it in a file.
    pub(super) fn number(self) -> u8 {
        match self {
            Compression::None => 0,
            Compression::Gzip => 1,
            Compression::Lz4 => 2,
            Compression::Zstd => 3,
        }
    }

    /// What a number stands for.
    pub(super) fn from_number(number: u8) -> Option<Compression> {
        match number {
            0 => Some(Compression::None),
            1 => Some(Compression::Gzip),
            2 => Some(Compression::Lz4),
            3 => Some(Compression::Zstd),
            _ => None,
        }
    }
}

/// Packs the blocks of one thread.
pub(super) struct Packing {
    wanted: Compression,
    deflate: Option<Compress>,
    zstd: Option<Compressor<'static>>,
    /// The last block, behind room for a head.
    packed: Vec<u8>,
}

impl Packing {
    /// Packs with one method, where that makes a block shorter.
    pub(super) fn new(wanted: Compression) -> Packing {
        Packing { wanted, deflate: None, zstd: None, packed: Vec::new() }
    }

    /// Packs a payload. `None` if it is better left as it is; otherwise how it was packed, and the
    /// bytes, with room for the head of a block before them.
    ///
    /// # Errors
    /// What zstd says if it cannot work at all.
    pub(super) fn pack(&mut self, raw: &[u8]) -> io::Result<Option<(Compression, &mut [u8])>> {
        let room = BLOCK_HEAD_BYTES
            + compress_bound(raw.len()).max(lz4_flex::block::get_maximum_output_size(raw.len()));
        if self.wanted != Compression::None && self.packed.len() < room {
            self.packed.resize(room, 0);
        }
        let mut how = self.wanted;
        let mut len = match self.wanted {
            Compression::None => return Ok(None),
            Compression::Gzip => self.deflate(raw),
            Compression::Lz4 => self.lz4(raw),
            Compression::Zstd => Some(self.zstd(raw)?),
        };
        if len.is_some_and(|len| !is_plausible(raw.len() as u64, len as u64)) {
            how = Compression::Lz4;
            len = self.lz4(raw);
        }
        let Some(len) = len.filter(|&len| len < raw.len()) else { return Ok(None) };
        Ok(Some((how, &mut self.packed[..BLOCK_HEAD_BYTES + len])))
    }

    fn zstd(&mut self, raw: &[u8]) -> io::Result<usize> {
        let zstd = match &mut self.zstd {
            Some(zstd) => zstd,
            none => none.insert(Compressor::new(ZSTD_LEVEL)?),
        };
        zstd.compress_to_buffer(raw, &mut self.packed[BLOCK_HEAD_BYTES..])
    }

    fn lz4(&mut self, raw: &[u8]) -> Option<usize> {
        lz4_flex::block::compress_into(raw, &mut self.packed[BLOCK_HEAD_BYTES..]).ok()
    }

    fn deflate(&mut self, raw: &[u8]) -> Option<usize> {
        let level = flate2::Compression::new(DEFLATE_LEVEL);
        let deflate = self.deflate.get_or_insert_with(|| Compress::new(level, false));
        deflate.reset();
        let to = &mut self.packed[BLOCK_HEAD_BYTES..];
        match deflate.compress(raw, to, FlushCompress::Finish) {
            Ok(Status::StreamEnd) => usize::try_from(deflate.total_out()).ok(),
            _ => None,
        }
    }
}

/// Whether so few bytes in a file may stand for so many.
pub(super) fn is_plausible(raw: u64, stored: u64) -> bool {
    (stored + BLOCK_HEAD_BYTES as u64).saturating_mul(MAX_RATIO) >= raw
}

/// Unpacks the blocks of one thread.
#[derive(Default)]
pub(super) struct Unpacking {
    inflate: Option<Decompress>,
    zstd: Option<Decompressor<'static>>,
}

impl Unpacking {
    /// Fills `raw` from all of `stored`. Says whether that was possible.
    pub(super) fn unpack(&mut self, how: Compression, stored: &[u8], raw: &mut [u8]) -> bool {
        match how {
            Compression::None => {
                let fits = stored.len() == raw.len();
                if fits {
                    raw.copy_from_slice(stored);
                }
                fits
            }
            Compression::Gzip => self.inflate(stored, raw),
            Compression::Lz4 => {
                lz4_flex::block::decompress_into(stored, raw).is_ok_and(|len| len == raw.len())
            }
            Compression::Zstd => self.unzstd(stored, raw).is_ok_and(|len| len == raw.len()),
        }
    }

    fn unzstd(&mut self, stored: &[u8], raw: &mut [u8]) -> io::Result<usize> {
        let zstd = match &mut self.zstd {
            Some(zstd) => zstd,
            none => none.insert(Decompressor::new()?),
        };
        zstd.decompress_to_buffer(stored, raw)
    }

    fn inflate(&mut self, stored: &[u8], raw: &mut [u8]) -> bool {
        let inflate = self.inflate.get_or_insert_with(|| Decompress::new(false));
        inflate.reset(false);
        let status = inflate.decompress(stored, raw, FlushDecompress::Finish);
        matches!(status, Ok(Status::StreamEnd))
            && inflate.total_in() == stored.len() as u64
            && inflate.total_out() == raw.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Compression; 4] =
        [Compression::None, Compression::Gzip, Compression::Lz4, Compression::Zstd];

    fn text(len: usize) -> Vec<u8> {
        (0..len).map(|n| (n * n / 7 % 31) as u8).collect()
    }

    #[test]
    fn every_method_gives_back_what_it_got() {
        for how in ALL {
            assert_eq!(Compression::from_number(how.number()), Some(how));
            let mut packing = Packing::new(how);
            let mut unpacking = Unpacking::default();
            for raw in [text(100_000), vec![0; 1 << 20], text(1), text(0), text(4096)] {
                let Some((used, packed)) = packing.pack(&raw).unwrap() else { continue };
                let stored = &packed[BLOCK_HEAD_BYTES..];
                assert!(stored.len() < raw.len());
                assert!(is_plausible(raw.len() as u64, stored.len() as u64));
                let mut back = vec![1; raw.len()];
                assert!(unpacking.unpack(used, stored, &mut back), "{used:?}");
                assert_eq!(back, raw);
            }
        }
        assert_eq!(Compression::from_number(4), None);
    }

    #[test]
    fn what_packs_too_well_is_packed_by_lz4() {
        let zeros = vec![0; 1 << 20];
        let mut zstd = Packing::new(Compression::Zstd);
        assert_eq!(zstd.pack(&zeros).unwrap().map(|(how, _)| how), Some(Compression::Lz4));
    }

    #[test]
    fn noise_is_left_as_it_is() {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        };
        let noise: Vec<u8> = (0..50_000).map(|_| next()).collect();
        for how in ALL {
            assert!(Packing::new(how).pack(&noise).unwrap().is_none(), "{how:?}");
        }
    }

    #[test]
    fn any_other_length_is_refused() {
        let raw = text(10_000);
        for how in [Compression::Gzip, Compression::Lz4, Compression::Zstd] {
            let mut packing = Packing::new(how);
            let (used, packed) = packing.pack(&raw).unwrap().unwrap();
            let stored = packed[BLOCK_HEAD_BYTES..].to_vec();
            let mut unpacking = Unpacking::default();
            for len in [0, 1, raw.len() - 1, raw.len() + 1, raw.len() + 5000] {
                assert!(!unpacking.unpack(used, &stored, &mut vec![0; len]), "{how:?} {len}");
            }
            for len in [0, 1, stored.len() / 2, stored.len() - 1] {
                let mut to = vec![0; raw.len()];
                assert!(!unpacking.unpack(used, &stored[..len], &mut to), "{how:?} {len}");
            }
            let mut longer = stored.clone();
            longer.push(0);
            assert!(!unpacking.unpack(used, &longer, &mut vec![0; raw.len()]), "{how:?}");
            assert!(unpacking.unpack(used, &stored, &mut vec![0; raw.len()]), "{how:?}");
        }
    }
}
