//! A histogram of times with log-linear buckets, as HdrHistogram has them: each doubling is cut into eight
//! buckets of one width. So every time is known to within an eighth, from a nanosecond to the longest
//! there is, with 496 numbers; nothing is cut off at an end.
//!
//! A bucket holds the times above its lower bound and up to its upper one. Powers of two are bounds, so
//! coarser buckets, as Prometheus takes them, are sums of whole ones.

const PER_DOUBLING_BITS: u32 = 3;
const PER_DOUBLING: usize = 1 << PER_DOUBLING_BITS;

/// How many buckets there are.
pub(super) const BUCKETS: usize = (64 - PER_DOUBLING_BITS as usize) * PER_DOUBLING + PER_DOUBLING;

/// The bucket of a time. Zero goes with one nanosecond.
pub(super) fn bucket_of(ns: u64) -> usize {
    let below = ns.saturating_sub(1);
    if below < PER_DOUBLING as u64 {
        return below as usize;
    }
    let doubling = below.ilog2() - PER_DOUBLING_BITS;
    let part = (below >> doubling) as usize % PER_DOUBLING;
    (doubling as usize + 1) * PER_DOUBLING + part
}

/// The longest time of a bucket, in nanoseconds.
fn upper_ns(bucket: usize) -> u64 {
    if bucket < PER_DOUBLING {
        return bucket as u64 + 1;
    }
    let doubling = bucket / PER_DOUBLING - 1;
    let ends = (PER_DOUBLING + bucket % PER_DOUBLING + 1) as u128;
    u64::try_from(ends << doubling).unwrap_or(u64::MAX)
}

/// How long calls took: a histogram, as of one moment.
///
/// Times are in nanoseconds. Those that are told from the histogram are upper bounds and at most an
/// eighth too long; the sum is exact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latency {
    buckets: Vec<u64>,
    sum_ns: u64,
}

impl Latency {
    /// Of a count for each bucket, and the sum of all times.
    pub(super) fn new(buckets: Vec<u64>, sum_ns: u64) -> Latency {
        Latency { buckets, sum_ns }
    }

    /// How many calls were timed.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// How long all of them took together.
    pub fn sum_ns(&self) -> u64 {
        self.sum_ns
    }

    /// What this share of the calls took at most: 0.5 for the median, 1 for the slowest. 0 if none was
    /// timed.
    pub fn quantile_ns(&self, share: f64) -> u64 {
        let count = self.count();
        let rank = ((share.clamp(0.0, 1.0) * count as f64).ceil() as u64).clamp(1, count.max(1));
        let mut seen = 0;
        let found = self.buckets.iter().position(|bucket| {
            seen += bucket;
            seen >= rank
        });
        found.map_or(0, upper_ns)
    }

    /// How long the slowest call took.
    pub fn max_ns(&self) -> u64 {
        self.quantile_ns(1.0)
    }

    /// How many calls took so many nanoseconds at most, a power of two.
    pub(super) fn within_ns(&self, power: u32) -> u64 {
        let behind = bucket_of((1 << power) + 1);
        self.buckets[..behind].iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_and_hold_their_bounds() {
        let mut lower = 0;
        for bucket in 0..BUCKETS {
            let upper = upper_ns(bucket);
            assert_eq!((bucket_of(lower + 1), bucket_of(upper)), (bucket, bucket), "{bucket}");
            assert!(upper - lower <= (lower / 8).max(1), "{bucket} is from {lower} to {upper}");
            lower = upper;
        }
        assert_eq!((bucket_of(0), lower), (0, u64::MAX));
    }

    fn of(times: &[u64]) -> Latency {
        let mut buckets = vec![0; BUCKETS];
        times.iter().for_each(|ns| buckets[bucket_of(*ns)] += 1);
        Latency::new(buckets, times.iter().sum())
    }

    #[test]
    fn quantiles_are_close_and_never_too_short() {
        let times: Vec<u64> = (1..=1000).map(|n| n * 1000).collect();
        let latency = of(&times);
        assert_eq!((latency.count(), latency.sum_ns()), (1000, 500_500_000));
        for (share, exact) in [(0.0, 1_000), (0.5, 500_000), (0.99, 990_000), (1.0, 1_000_000)] {
            let told = latency.quantile_ns(share);
            assert!((exact..=exact * 9 / 8).contains(&told), "{share}: {told} for {exact}");
        }
        assert_eq!(latency.max_ns(), latency.quantile_ns(1.0));
        assert_eq!(of(&[]).quantile_ns(0.5), 0);
    }

    #[test]
    fn powers_of_two_are_bounds() {
        let latency = of(&[1, 63, 64, 65, 128, 129, 1 << 62]);
        assert_eq!([6, 7, 8, 61, 62].map(|power| latency.within_ns(power)), [3, 5, 6, 6, 7]);
    }
}
