//! The sizes that places come in.
//!
//! Owns: which class a run of bytes belongs to, and the shape of each class. Invariants: a class is
//! the smallest one that holds the run; every class fits a span at least four times. Sizes are every
//! word up to 256 bytes, and beyond that a span divided by 63, 62, … 4: no other size would let as
//! many places into a span. So a small entry loses at most 3 bytes, and one of up to 4096 bytes at
//! most what does not divide a span evenly.

use super::{LEVELS, SPAN};

/// The most bytes that a place holds.
pub(crate) const MAX_RUN: usize = 4 * SPAN / LEAST_PLACES;

/// Places of the largest class to a span.
const LEAST_PLACES: usize = 4;

/// The smallest place: a free one has to hold its mark and a link.
const LEAST_WORDS: usize = 4;

/// Up to this size there is a class for every number of words.
const EVERY_WORDS: usize = 64;

/// Classes up to `EVERY_WORDS`.
const EVERY: usize = EVERY_WORDS - LEAST_WORDS + 1;

/// The number of classes.
pub(super) const CLASSES: usize = EVERY + (SPAN / EVERY_WORDS - LEAST_PLACES);

/// How a span is divided into the places of a class.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// Words to a place.
    pub(super) words: u16,
    /// Places to a span.
    pub(super) places: u16,
    /// 2^32 / `words`, rounded up: divides offsets into a span.
    reciprocal: u32,
    /// 2^16 * `LEVELS` / `places`, rounded down: finds the level of fullness.
    level_scale: u32,
}

impl Shape {
    const fn new(class: usize) -> Shape {
        let words = if class < EVERY {
            class + LEAST_WORDS
        } else {
            SPAN / (SPAN / EVERY_WORDS - 1 - (class - EVERY))
        };
        let places = SPAN / words;
        Shape {
            words: words as u16,
            places: places as u16,
            reciprocal: ((1_u64 << 32).div_ceil(words as u64)) as u32,
            level_scale: ((LEVELS << 16) / places) as u32,
        }
    }

    /// The place that holds the word at `offset` into a span.
    #[inline]
    pub(super) const fn place(self, offset: usize) -> usize {
        // Exact: the reciprocal is too large by less than 2^-32, and offset * words < 2^32.
        ((offset as u64 * self.reciprocal as u64) >> 32) as usize
    }

    /// The level of a span with `used` places in use, which are not all.
    #[inline]
    pub(super) const fn level(self, used: u16) -> u8 {
        ((used as u32 * self.level_scale) >> 16) as u8
    }
}

pub(super) static SHAPES: [Shape; CLASSES] = {
    let mut shapes = [Shape { words: 0, places: 0, reciprocal: 0, level_scale: 0 }; CLASSES];
    let mut class = 0;
    while class < CLASSES {
        shapes[class] = Shape::new(class);
        class += 1;
    }
    shapes
};

/// The class of a run of up to `MAX_RUN` bytes.
#[inline]
pub(super) const fn class_of(bytes: usize) -> usize {
    debug_assert!(bytes <= MAX_RUN);
    let words = bytes.div_ceil(4);
    if words <= LEAST_WORDS {
        0
    } else if words <= EVERY_WORDS {
        words - LEAST_WORDS
    } else {
        // The most places of a size that holds the run.
        EVERY + SPAN / EVERY_WORDS - 1 - (SPAN as u32 / words as u32) as usize
    }
}

/// Bytes that a run of up to [`MAX_RUN`] bytes takes: those of its place.
#[inline]
pub(crate) const fn charge(bytes: usize) -> usize {
    SHAPES[class_of(bytes)].words as usize * 4
}

/// Whether two runs take the same size of place, so that one may overwrite the other.
#[inline]
pub(crate) const fn same_place(old_bytes: usize, new_bytes: usize) -> bool {
    class_of(old_bytes) == class_of(new_bytes)
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn each_run_gets_the_smallest_class_that_holds_it() {
        assert_eq!((CLASSES, charge(0), charge(17), charge(MAX_RUN)), (121, 16, 20, 4096));
        for bytes in 0..=MAX_RUN {
            let class = class_of(bytes);
            assert!(charge(bytes) >= bytes);
            assert!(class == 0 || usize::from(SHAPES[class - 1].words) * 4 < bytes, "{bytes}");
            assert!(bytes > 256 || charge(bytes) <= bytes.max(13) + 3);
            assert!(same_place(bytes, charge(bytes)));
        }
    }

    #[test]
    fn places_and_levels_are_exact() {
        for shape in SHAPES {
            let words = usize::from(shape.words);
            assert_eq!(usize::from(shape.places), SPAN / words);
            for offset in 0..SPAN {
                assert_eq!(shape.place(offset), offset / words);
            }
            for used in 0..shape.places {
                let level = usize::from(shape.level(used));
                let exact = usize::from(used) * LEVELS / usize::from(shape.places);
                assert!(level < LEVELS && level <= exact && level + 1 >= exact);
            }
        }
    }
}
