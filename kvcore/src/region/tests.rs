//! What a region promises, on real memory.

use super::*;

const CHUNK: usize = Region::<AtomicU32>::CHUNK_WORDS;

#[test]
fn nothing_reads_as_zero() {
    let region = Region::<AtomicU32>::new();
    for index in [0, 7, CHUNK, u32::MAX as usize, usize::MAX] {
        assert_eq!(region.get(index).load(Relaxed), 0);
        assert!(region.line::<8>(index).iter().all(|word| word.load(Relaxed) == 0));
        assert!(region.run(index, 8).is_empty());
        region.prefetch(index);
    }
    assert_eq!(region.resident_bytes(), 0);
    region.discard(0, 100);
}

#[test]
fn words_keep_their_place_and_their_value() {
    let region = Region::<AtomicU64>::new();
    let mut first = ptr::null();
    for n in 0..6 * Region::<AtomicU64>::CHUNK_WORDS {
        region.reserve(n + 1).unwrap();
        region.get(n).store(n as u64, Relaxed);
        if n == 0 {
            first = ptr::from_ref(region.get(0));
        }
    }
    assert!(ptr::eq(first, region.get(0)));
    for n in 0..6 * Region::<AtomicU64>::CHUNK_WORDS {
        assert_eq!(region.get(n).load(Relaxed), n as u64);
        assert_eq!(region.line::<8>(n)[n % 8].load(Relaxed), n as u64);
    }
    assert_eq!(region.resident_bytes(), 6 * CHUNK_BYTES);
}

#[test]
fn runs_end_with_their_chunk() {
    let region = Region::<AtomicU32>::new();
    region.reserve(CHUNK + 1).unwrap();
    assert_eq!(region.run(CHUNK - 3, 8).len(), 3);
    assert_eq!(region.run(CHUNK, 8).len(), 8);
    assert_eq!(region.run(2 * CHUNK, 8).len(), 0);
}

#[test]
fn bytes_are_those_of_the_words() {
    let region = Region::<AtomicU32>::new();
    region.reserve(CHUNK).unwrap();
    region.get(8).store(u32::from_le_bytes(*b"abcd"), Relaxed);
    region.get(9).store(u32::from_le_bytes(*b"efgh"), Relaxed);
    // SAFETY: nobody writes here.
    unsafe {
        assert_eq!(region.bytes(8, 3, 4), b"defg");
        assert_eq!(region.bytes(CHUNK - 1, 2, 100), [0, 0]);
        assert_eq!(region.bytes(CHUNK - 1, 200, 100), [0u8; 0]);
        assert_eq!(region.bytes(8, 0, 8), b"abcdefgh");
    }
}

#[test]
fn what_is_discarded_is_zero_and_can_be_used_again() {
    for (from, to) in [(5, 3000), (1024, 2048), (1, 2), (CHUNK - 5000, 3 * CHUNK + 7)] {
        let region = Region::<AtomicU32>::new();
        let len = 4 * CHUNK;
        region.reserve(len).unwrap();
        for n in 0..len {
            region.get(n).store(1, Relaxed);
        }
        region.discard(from, to);
        for n in 0..len {
            let kept = n < from || n >= to;
            assert_eq!(region.get(n).load(Relaxed), u32::from(kept), "word {n}");
        }
        region.get(from).store(2, Relaxed);
        assert_eq!(region.get(from).load(Relaxed), 2);
    }
}

#[test]
fn the_extent_ends_where_the_last_words_were_discarded() {
    let region = Region::<AtomicU32>::new();
    region.reserve(2 * CHUNK).unwrap();
    region.discard(0, CHUNK);
    assert_eq!(region.resident_bytes(), 8 * CHUNK);
    region.discard(CHUNK, 2 * CHUNK);
    assert_eq!(region.resident_bytes(), 4 * CHUNK);
    region.reserve(CHUNK + 1).unwrap();
    assert_eq!(region.resident_bytes(), 4 * CHUNK + 4);
}

#[test]
fn racing_growth_makes_one_region() {
    let region = Region::<AtomicU32>::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in (0..8 * CHUNK).step_by(CHUNK / 2) {
                    region.reserve(n + 1).unwrap();
                    region.get(n).fetch_add(1, Relaxed);
                }
            });
        }
    });
    for n in (0..8 * CHUNK).step_by(CHUNK / 2) {
        assert_eq!(region.get(n).load(Relaxed), 4);
    }
}

#[test]
fn there_is_an_end() {
    let region = Region::<AtomicU32>::new();
    assert_eq!(region.reserve((1 << 32) + 1).unwrap_err().status(), Status::NoMemory);
    assert_eq!(region.reserve(usize::MAX).unwrap_err().status(), Status::NoMemory);
    assert_eq!(region.resident_bytes(), 0);
}
