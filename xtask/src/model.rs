//! What a correct cache must answer to the demo's trace, worked out without any store.
//!
//! The rules are those of the three `page_cache` programs under `examples/`, which explain them. The
//! numbers here are the demo's independent witness: three programs that share an engine could agree
//! on a wrong answer.

use std::collections::HashSet;

use anyhow::{Context, Result};

/// After this many requests the shop changes its prices.
const ERA_REQUESTS: usize = 12_000;
/// Every third page shows a price.
const PRICE_EVERY: u32 = 3;

/// The counts that every surface must report.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub requests: u64,
    pub hits: u64,
    pub misses: u64,
    pub served_bytes: u64,
    pub expired: u64,
    pub live: u64,
    pub payload_bytes: u64,
}

/// Reads a trace: one decimal page number a line.
pub fn read_trace(text: &str) -> Result<Vec<u32>> {
    text.lines()
        .enumerate()
        .map(|(index, line)| {
            line.parse().with_context(|| format!("line {}: `{line}` is no page number", index + 1))
        })
        .collect()
}

/// The counts of a cache that loses the price pages at the end of every era and nothing else.
pub fn replay(trace: &[u32]) -> Counts {
    let mut counts = Counts::default();
    let mut cached = HashSet::new();
    for era in trace.chunks(ERA_REQUESTS) {
        for &page in era {
            counts.requests += 1;
            if cached.insert(page) {
                counts.misses += 1;
            } else {
                counts.hits += 1;
                counts.served_bytes += body_len(page);
            }
        }
        let before = cached.len();
        cached.retain(|page| page % PRICE_EVERY != 0);
        counts.expired += (before - cached.len()) as u64;
    }
    counts.live = cached.len() as u64;
    counts.payload_bytes = cached.iter().map(|&page| key_len(page) + body_len(page)).sum();
    counts
}

fn key_len(page: u32) -> u64 {
    format!("page:{page}").len() as u64
}

fn body_len(page: u32) -> u64 {
    200 + u64::from(page) * 7919 % 1800
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_page_is_gone_in_the_next_era() {
        let mut trace = vec![3; ERA_REQUESTS];
        trace.extend([3, 4, 4]);
        let counts = replay(&trace);
        assert_eq!((counts.misses, counts.expired, counts.live), (3, 2, 1));
        assert_eq!(counts.hits, ERA_REQUESTS as u64);
        assert_eq!(counts.payload_bytes, key_len(4) + body_len(4));
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = read_trace("1\nx\n").unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
    }
}
