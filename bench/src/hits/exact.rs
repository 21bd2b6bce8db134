//! The two yardsticks: exact LRU, and the most a cache can hit.
//!
//! Both are computed from the whole trace and share nothing with the engine. LRU uses stack
//! distances (Mattson et al., "Evaluation techniques for storage hierarchies", IBM Systems Journal
//! 1970): an access hits in every cache that holds more keys than were asked for since the key's
//! last access, so that one pass answers all sizes. The optimum evicts the key whose next access is
//! farthest away (Belady, "A study of replacement algorithms", IBM Systems Journal 1966). It is that
//! of caches which take in every key they are asked for, as the engine does.

use std::collections::BinaryHeap;

use super::traces::Trace;

/// How many accesses hit in an LRU cache of each of these sizes.
pub fn lru(trace: &Trace, sizes: &[usize]) -> Vec<u64> {
    // at_distance[d]: accesses before which d other keys were asked for since the last time.
    let mut at_distance = vec![0_u64; trace.distinct];
    let mut latest = Counts::new(trace.keys.len());
    let mut last: Vec<Option<usize>> = vec![None; trace.distinct];
    for (now, &key) in trace.keys.iter().enumerate() {
        if let Some(before) = last[key as usize].replace(now) {
            latest.add(before, -1);
            let others = latest.total - latest.up_to(before);
            at_distance[others as usize] += 1;
        }
        latest.add(now, 1);
    }
    sizes.iter().map(|&size| at_distance.iter().take(size).sum()).collect()
}

/// Ones at some places, and how many there are up to a place (Fenwick 1994).
struct Counts {
    sums: Vec<i32>,
    total: i32,
}

impl Counts {
    fn new(len: usize) -> Counts {
        Counts { sums: vec![0; len + 1], total: 0 }
    }

    fn add(&mut self, at: usize, change: i32) {
        self.total += change;
        let mut node = at + 1;
        while node < self.sums.len() {
            self.sums[node] += change;
            node += node & node.wrapping_neg();
        }
    }

    fn up_to(&self, at: usize) -> i32 {
        let (mut node, mut sum) = (at + 1, 0);
        while node > 0 {
            sum += self.sums[node];
            node &= node - 1;
        }
        sum
    }
}

/// How many accesses hit if every choice is made with the future known.
pub fn optimum(trace: &Trace, size: usize) -> u64 {
    let nexts = next_accesses(trace);
    let (mut hits, mut held) = (0, 0);
    // The next access of each key in the cache; None for the others.
    let mut next_of: Vec<Option<u32>> = vec![None; trace.distinct];
    // What may go, the farthest first. A record that is not its key's newest is passed over: its
    // time has come already.
    let mut farthest: BinaryHeap<(u32, u32)> = BinaryHeap::new();
    for (&key, &next) in trace.keys.iter().zip(&nexts) {
        if next_of[key as usize].is_some() {
            hits += 1;
        } else if held < size {
            held += 1;
        } else {
            while let Some((next, gone)) = farthest.pop() {
                if next_of[gone as usize] == Some(next) {
                    next_of[gone as usize] = None;
                    break;
                }
            }
        }
        next_of[key as usize] = Some(next);
        farthest.push((next, key));
    }
    hits
}

/// For each access, when its key is asked for again; `u32::MAX` if never.
fn next_accesses(trace: &Trace) -> Vec<u32> {
    let mut nexts = vec![u32::MAX; trace.keys.len()];
    let mut seen = vec![u32::MAX; trace.distinct];
    for (now, &key) in trace.keys.iter().enumerate().rev() {
        nexts[now] = std::mem::replace(&mut seen[key as usize], now as u32);
    }
    nexts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As simple as can be: a list, the latest key last.
    fn plain_lru(trace: &Trace, size: usize) -> u64 {
        let (mut list, mut hits) = (Vec::new(), 0);
        for key in &trace.keys {
            match list.iter().position(|held| held == key) {
                Some(at) => {
                    list.remove(at);
                    hits += 1;
                }
                None if list.len() == size => drop(list.remove(0)),
                None => {}
            }
            list.push(*key);
        }
        hits
    }

    /// The best of all choices, by trying each: `held` is what the cache holds before `rest`.
    fn best(rest: &[u32], held: &[u32], size: usize) -> u64 {
        let Some((key, rest)) = rest.split_first() else { return 0 };
        if held.contains(key) {
            return 1 + best(rest, held, size);
        }
        let with_key = |mut held: Vec<u32>| {
            held.push(*key);
            best(rest, &held, size)
        };
        if held.len() < size {
            return with_key(held.to_vec());
        }
        let without = |gone: usize| {
            let mut left = held.to_vec();
            left.remove(gone);
            with_key(left)
        };
        (0..held.len()).map(without).max().unwrap_or(0)
    }

    fn some_trace(seed: u64, len: usize, keys: u64) -> Trace {
        let mut random = fastrand::Rng::with_seed(seed);
        Trace::of((0..len).map(|_| random.u64(0..keys).min(random.u64(0..keys))))
    }

    #[test]
    fn lru_is_that_of_a_list() {
        let sizes = [1, 2, 5, 17, 40, 100];
        for seed in 0..20 {
            let trace = some_trace(seed, 2_000, 50);
            let plain: Vec<_> = sizes.iter().map(|&size| plain_lru(&trace, size)).collect();
            assert_eq!(lru(&trace, &sizes), plain);
        }
    }

    #[test]
    fn the_optimum_is_the_best_of_all_choices() {
        for seed in 0..30 {
            let trace = some_trace(seed, 14, 7);
            for size in 1..4 {
                assert_eq!(optimum(&trace, size), best(&trace.keys, &[], size));
            }
        }
    }

    #[test]
    fn a_loop_one_too_long_starves_lru_alone() {
        let trace = Trace::of((0..100).map(|at| at % 10));
        assert_eq!(lru(&trace, &[9, 10]), [0, 90]);
        assert!(optimum(&trace, 9) >= 80);
    }
}
