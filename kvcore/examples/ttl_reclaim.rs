//! Measures how soon expired entries give their memory back, and whether deadlines are exact.
//!
//! 100,000 keys have deadlines spread over two seconds and are polled by four threads; then the
//! last deadline passes, and the time is taken until no entry and no byte is left. Prints figures:
//!
//! ```sh
//! cargo run --release -p kvcore --example ttl_reclaim -- [KEYS] [SPREAD_MS] [CLEANUP_INTERVAL_MS]
//! ```

#![allow(clippy::disallowed_methods)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kvcore::{Options, Remaining, SetOptions, Store};

const PROBE: &str = "probe";
const PROBE_DEADLINE_MS: i64 = 4_102_444_800_000;
const POLLERS: u64 = 4;

fn argument(index: usize, default: i64) -> i64 {
    std::env::args().nth(index).and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The store's own time: what is left until a deadline that is known.
fn now_ms(store: &Store) -> kvcore::Result<i64> {
    Ok(match store.ttl(PROBE)? {
        Some(Remaining::Ms(left)) => PROBE_DEADLINE_MS - left,
        _ => i64::MAX,
    })
}

#[derive(Default)]
struct Polls {
    total: AtomicU64,
    late: AtomicU64,
    early: AtomicU64,
}

/// Asks for the keys that are due about now, until all deadlines have passed.
fn poll(store: &Store, thread: u64, plan: &Plan, polls: &Polls) -> kvcore::Result<()> {
    let mut step = thread as i64;
    loop {
        let before = now_ms(store)?;
        if before > plan.last() + 5 {
            return Ok(());
        }
        step = (step + 7919) % 400;
        let due = (before - plan.start) * plan.keys / plan.spread_ms;
        let index = (due - 200 + step).clamp(0, plan.keys - 1);
        let alive = store.exists(index.to_be_bytes())?;
        let after = now_ms(store)?;
        polls.total.fetch_add(1, Ordering::Relaxed);
        if alive && before >= plan.deadline(index) {
            polls.late.fetch_add(1, Ordering::Relaxed);
        }
        if !alive && after < plan.deadline(index) {
            polls.early.fetch_add(1, Ordering::Relaxed);
        }
    }
}

struct Plan {
    keys: i64,
    spread_ms: i64,
    start: i64,
}

impl Plan {
    fn deadline(&self, index: i64) -> i64 {
        self.start + index * self.spread_ms / self.keys
    }

    fn last(&self) -> i64 {
        self.deadline(self.keys - 1)
    }
}

fn main() -> kvcore::Result<()> {
    let (keys, spread_ms) = (argument(1, 100_000), argument(2, 2000));
    let interval_ms = argument(3, 100);
    let options = Options::new().with("cleanup_interval", &format!("{interval_ms}ms"))?;
    let store = Store::memory(options)?;
    store.set_with(PROBE, "", &SetOptions::default().expire_at_ms(PROBE_DEADLINE_MS))?;
    let empty = store.stats()?;
    let plan = Plan { keys, spread_ms, start: now_ms(&store)? + 1000 + keys / 100 };
    for index in 0..keys {
        let options = SetOptions::default().expire_at_ms(plan.deadline(index));
        store.set_with(index.to_be_bytes(), [b'v'; 100], &options)?;
    }
    let full = store.stats()?;
    println!("keys {keys}, spread over {spread_ms} ms, cleanup_interval {interval_ms} ms");
    println!("memory_bytes {} when full, {} when empty", full.memory_bytes, empty.memory_bytes);

    let polls = Polls::default();
    let worst_backlog = std::thread::scope(|scope| {
        for thread in 0..POLLERS {
            let (store, plan, polls) = (&store, &plan, &polls);
            scope.spawn(move || poll(store, thread, plan, polls));
        }
        watch_backlog(&store, &plan)
    })?;
    println!(
        "{} polls by {POLLERS} threads: {} seen late, {} gone early",
        polls.total.load(Ordering::Relaxed),
        polls.late.load(Ordering::Relaxed),
        polls.early.load(Ordering::Relaxed)
    );
    println!("an expired entry held memory for at most {worst_backlog} ms while they polled");
    wait_until_empty(&store, &plan, &empty)
}

/// The longest time that an entry has been counted after its deadline, by the milliseconds'
/// resolution of the plan.
fn watch_backlog(store: &Store, plan: &Plan) -> kvcore::Result<i64> {
    let mut worst = 0;
    loop {
        let left = store.stats()?.entries as i64 - 1;
        let now = now_ms(store)?;
        if left > 0 {
            worst = worst.max(now - plan.deadline(plan.keys - left));
        }
        if left <= 0 || now > plan.last() + 60_000 {
            return Ok(worst);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn wait_until_empty(store: &Store, plan: &Plan, empty: &kvcore::Stats) -> kvcore::Result<()> {
    // The probe's own place and its share of the wheel may be laid out anew.
    const SLACK_BYTES: u64 = 4096;
    let begin = Instant::now();
    loop {
        let stats = store.stats()?;
        let late = now_ms(store)? - plan.last();
        if stats.entries == 1 && stats.memory_bytes <= empty.memory_bytes + SLACK_BYTES {
            println!("all memory was back at the latest {late} ms after the last deadline");
            println!("memory_bytes {} with the probe alone", stats.memory_bytes);
            return Ok(());
        }
        if begin.elapsed() > Duration::from_secs(60) {
            println!("after a minute {} entries, {} bytes", stats.entries, stats.memory_bytes);
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
