//! Numbers as files have them: seven bits a byte, the lowest first, the high bit set in all bytes but the last
//! (LEB128), and the sign folded into the lowest bit.
//!
//! Owns: [`Short`], where the few bytes before a key or a value are put together. Appending them to a vector one by
//! one would ask each time whether that has room.

/// Bytes of the longest varint of 64 bits.
pub(crate) const VARINT_MAX: usize = 10;

/// Up to `N` bytes.
pub(crate) struct Short<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Short<N> {
    /// None yet.
    #[inline]
    pub(crate) fn new() -> Short<N> {
        Short { bytes: [0; N], len: 0 }
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    #[inline]
    pub(crate) fn byte(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    /// Changes the first byte, which is there.
    #[inline]
    pub(crate) fn set_first(&mut self, byte: u8) {
        self.bytes[0] = byte;
    }

    #[inline]
    pub(crate) fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.byte(number as u8 | 0x80);
            number >>= 7;
        }
        self.byte(number as u8);
    }
}
/// Folds the sign into the lowest bit, so that numbers near zero are short on either side.
#[inline]
pub(crate) fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

/// The number that was folded.
#[inline]
pub(crate) fn unzigzag(folded: u64) -> i64 {
    (folded >> 1) as i64 ^ -((folded & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_number_takes_as_many_bytes_as_there_is_room_for() {
        let mut short = Short::<{ 1 + VARINT_MAX }>::new();
        short.byte(0);
        short.varint(u64::MAX);
        short.set_first(7);
        assert_eq!(short.bytes(), [7, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
    }

    #[test]
    fn small_numbers_of_either_sign_are_folded_to_small_ones() {
        assert_eq!([0, -1, 1, -2, 2].map(zigzag), [0, 1, 2, 3, 4]);
        for number in [i64::MIN, -1, 0, 1, i64::MAX] {
            assert_eq!(unzigzag(zigzag(number)), number);
        }
    }
}
