//! Which bucket a hash belongs to, now.
//!
//! Owns: the sequence of sizes, and the packing of a layout into one word, so that one load tells a
//! reader all of it. Invariants: a bucket's number rises with the hash, in every layout; growing never
//! moves an entry to a lower bucket and shrinking never to a higher one, so either works in place.
//!
//! A layout has two sizes. Hashes that lie below bucket `cursor` of the smaller size are placed by
//! that size, all others by the larger one. Growing moves the cursor down and shrinking moves it up,
//! one bucket at a time, and either may turn round at any point. At rest both sizes are the same.

/// Bits of a hash that the index goes by: the upper ones of 32.
pub(super) const HASH_BITS: u32 = 26;
/// Lower bits of a slot and of a hash that are not part of it.
pub(super) const ACCESS_BITS: u32 = 32 - HASH_BITS;

/// Steps of the sequence by which a table grows: by a quarter to a seventh.
const GROW_STEPS: u64 = 2;
/// The last step: one bucket for every hash.
const LAST_STEP: u64 = 192;

/// The number of buckets at a step: 0, then 1 to 16, then each of eight steps doubles it.
const fn size(step: u64) -> u64 {
    if step <= 16 {
        return step;
    }
    let (octave, part) = ((step - 1) >> 3, (step - 1) & 7);
    (9 + part) << (octave - 1)
}

/// The sizes of all steps, since every lookup asks for one. As many as a step's eight bits can say, so
/// that no look here can miss; those after the last step are not in use.
static SIZES: [u32; 256] = {
    let mut sizes = [0; 256];
    let mut step = 0;
    while step <= LAST_STEP {
        sizes[step as usize] = size(step) as u32;
        step += 1;
    }
    sizes
};

/// The lowest bit of the epoch: readers are held off.
const HELD: u64 = 1 << 48;

/// Epoch in 16 bits, step of the smaller size in 8, of the larger in 8, cursor in 32.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Layout(u64);

impl Layout {
    /// No buckets.
    pub(super) const EMPTY: Layout = Layout(0);

    #[inline(always)]
    pub(super) const fn from_word(word: u64) -> Layout {
        Layout(word)
    }

    #[inline(always)]
    pub(super) const fn word(self) -> u64 {
        self.0
    }

    const fn new(epoch: u64, low: u64, high: u64, cursor: u64) -> Layout {
        Layout(epoch << 48 | low << 40 | high << 32 | cursor)
    }

    const fn low_step(self) -> u64 {
        self.0 >> 40 & 0xff
    }

    const fn high_step(self) -> u64 {
        self.0 >> 32 & 0xff
    }

    /// Changes whenever buckets are given back to the system, and when readers are held off.
    #[inline(always)]
    pub(super) const fn epoch(self) -> u64 {
        self.0 >> 48
    }

    /// Buckets below this number are placed by the smaller size.
    #[inline(always)]
    pub(super) const fn cursor(self) -> usize {
        self.0 as u32 as usize
    }

    /// Buckets of the smaller size.
    #[inline(always)]
    pub(super) const fn low(self) -> usize {
        SIZES[self.low_step() as usize] as usize
    }

    /// Buckets of the larger size.
    #[inline(always)]
    pub(super) const fn high(self) -> usize {
        SIZES[self.high_step() as usize] as usize
    }

    /// Whether nothing is being moved.
    pub(super) const fn is_still(self) -> bool {
        self.low_step() == self.high_step()
    }

    /// The bucket of a hash of 32 bits, of which the lower ones do not matter.
    #[inline(always)]
    pub(super) const fn home(self, hash: u32) -> usize {
        let low = place(hash, self.low());
        if low < self.cursor() { low } else { place(hash, self.high()) }
    }

    /// The bucket of a hash by the larger size.
    pub(super) const fn home_when_grown(self, hash: u32) -> usize {
        place(hash, self.high())
    }

    /// The first bucket that is placed by the larger size.
    pub(super) const fn high_start(self) -> usize {
        if self.cursor() == self.low() {
            return self.high();
        }
        place_of_number(first(self.cursor(), self.low()), self.high())
    }

    /// The buckets of the larger size that hold the hashes of bucket `low` of the smaller one: the
    /// first and the last.
    pub(super) const fn span(self, low: usize) -> (usize, usize) {
        let (from, to) = (first(low, self.low()), first(low + 1, self.low()) - 1);
        (place_of_number(from, self.high()), place_of_number(to, self.high()))
    }

    /// The hashes (as numbers of `HASH_BITS` bits) of a bucket in use: the first one, and the first
    /// one of the next bucket.
    pub(super) const fn hashes(self, bucket: usize) -> (u64, u64) {
        if bucket < self.cursor() {
            return (first(bucket, self.low()), first(bucket + 1, self.low()));
        }
        let (from, to) = (first(bucket, self.high()), first(bucket + 1, self.high()));
        let moved = if self.is_still() { 0 } else { first(self.cursor(), self.low()) };
        (if from < moved { moved } else { from }, to)
    }

    pub(super) const fn with_cursor(self, cursor: usize) -> Layout {
        Layout(self.0 >> 32 << 32 | cursor as u64)
    }

    /// The same places, in the next epoch.
    pub(super) const fn with_next_epoch(self) -> Layout {
        Layout(self.0.wrapping_add(2 * HELD))
    }

    /// The same places, with readers held off if they are not, and the other way round.
    pub(super) const fn with_other_hold(self) -> Layout {
        Layout(self.0.wrapping_add(HELD))
    }

    /// Whether readers are held off.
    #[inline(always)]
    pub(super) const fn is_held(self) -> bool {
        self.0 & HELD != 0
    }

    /// At rest with the given step.
    const fn still(self, step: u64) -> Layout {
        Layout::new(self.epoch(), step, step, size(step))
    }

    /// As it is once the cursor has arrived at an end.
    pub(super) const fn settled(self) -> Layout {
        if self.cursor() == 0 {
            self.still(self.high_step())
        } else if self.cursor() == self.low() {
            self.still(self.low_step())
        } else {
            self
        }
    }

    /// At rest, with the largest size that is not above so many buckets.
    pub(super) const fn sized(self, buckets: usize) -> Layout {
        let mut step = 0;
        while step < LAST_STEP && size(step + 1) <= buckets as u64 {
            step += 1;
        }
        self.still(step)
    }

    /// Without a bucket.
    pub(super) const fn emptied(self) -> Layout {
        self.still(0)
    }

    /// About to grow: nothing is moved yet. From none to one bucket there is nothing to move. `None`
    /// for the largest size. Only at rest.
    pub(super) const fn growing(self) -> Option<Layout> {
        match self.low_step() {
            0 => Some(self.still(1)),
            LAST_STEP => None,
            step => {
                let more = if step < 16 { 1 } else { GROW_STEPS };
                let high = if step + more > LAST_STEP { LAST_STEP } else { step + more };
                Some(Layout::new(self.epoch(), step, high, size(step)))
            }
        }
    }

    /// About to shrink to half the size: nothing is moved yet. `None` for a single bucket. Only at
    /// rest.
    pub(super) const fn shrinking(self) -> Option<Layout> {
        match self.low_step() {
            0 | 1 => None,
            step @ 2..=16 => Some(Layout::new(self.epoch(), step.div_ceil(2), step, 0)),
            step => Some(Layout::new(self.epoch(), step - 8, step, 0)),
        }
    }
}

/// The bucket among `buckets` of a hash of 32 bits.
#[inline(always)]
const fn place(hash: u32, buckets: usize) -> usize {
    place_of_number((hash >> ACCESS_BITS) as u64, buckets)
}

#[inline(always)]
const fn place_of_number(number: u64, buckets: usize) -> usize {
    ((number * buckets as u64) >> HASH_BITS) as usize
}

/// The lowest hash of a bucket among `buckets`, as a number of `HASH_BITS` bits.
const fn first(bucket: usize, buckets: usize) -> u64 {
    ((bucket as u64) << HASH_BITS).div_ceil(buckets as u64)
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn sizes_rise_by_an_eighth_at_most() {
        let sizes: Vec<_> = (0..=LAST_STEP).map(size).collect();
        assert_eq!(
            sizes[..20],
            [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 22]
        );
        assert!(sizes.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(sizes[8..].windows(2).all(|pair| pair[1] * 8 <= pair[0] * 9));
        assert!(sizes[17..].iter().zip(&sizes[9..]).all(|(large, small)| *large == small * 2));
        assert_eq!(sizes[LAST_STEP as usize], 1 << HASH_BITS);
    }

    #[test]
    fn a_layout_is_as_large_as_it_may_be() {
        for buckets in (0..200).chain([1 << 20, (1 << 26) - 1, 1 << 26, usize::MAX]) {
            let layout = Layout::EMPTY.sized(buckets);
            assert!(
                layout.is_still() && layout.high() <= buckets && layout.cursor() == layout.low()
            );
            assert!(
                layout.growing().is_none_or(
                    |next| size(layout.low_step() + 1) > buckets as u64 && next.high() > 0
                )
            );
        }
    }

    /// Walks a layout from one end to the other and checks each place on the way.
    fn walk(start: Layout, cursors: impl Iterator<Item = usize>) {
        for cursor in cursors {
            let layout = start.with_cursor(cursor);
            let (mut number, mut bucket, mut used) = (0, 0, 0);
            while number < 1 << HASH_BITS {
                let home = layout.home((number as u32) << ACCESS_BITS);
                assert!(used == 0 || home > bucket, "{layout:?} at {number}");
                let (from, to) = layout.hashes(home);
                assert_eq!(from, number, "{layout:?} bucket {home}");
                assert_eq!(layout.home((to as u32 - 1) << ACCESS_BITS), home);
                assert!(home < cursor || home >= layout.high_start());
                (number, bucket, used) = (to, home, used + 1);
            }
            assert_eq!(used, cursor + layout.high() - layout.high_start(), "{layout:?}");
        }
    }

    #[test]
    fn every_hash_has_one_bucket_in_every_layout() {
        for step in 1..40 {
            let still = Layout::EMPTY.still(step);
            walk(still, std::iter::once(size(step) as usize));
            let growing = still.growing().unwrap();
            walk(growing, 0..=growing.low());
            assert_eq!(growing.with_cursor(0).settled(), Layout::EMPTY.still(growing.high_step()));
            if let Some(shrinking) = still.shrinking() {
                walk(shrinking, 0..=shrinking.low());
                assert!(shrinking.low() * 2 >= shrinking.high());
                let done = shrinking.with_cursor(shrinking.low()).settled();
                assert_eq!(done, Layout::EMPTY.still(shrinking.low_step()));
            }
        }
        assert_eq!(Layout::EMPTY.still(LAST_STEP).growing(), None);
        assert_eq!(Layout::EMPTY.home(u32::MAX), 0);
    }
}
