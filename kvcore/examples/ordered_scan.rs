//! What `ordered_index` costs and gains: bytes an entry, the time of a set, and the time of a scan of a
//! hundred keys under a prefix, in a store of a million keys.

#![allow(clippy::disallowed_methods)]

use std::time::Instant;

use kvcore::{Expiry, Options, Order, Result, ScanOptions, Store};

const KEYS: usize = 1_000_000;
const SCANS: usize = 1_000;
/// Keys that a prefix has.
const GROUP: usize = 100;
const BATCH: usize = 100;

/// Keys in groups of a hundred, in an order of their own.
fn key(number: usize) -> String {
    let number = number * 7_919 % KEYS;
    format!("user:{:06}:{:03}", number / GROUP, number % GROUP)
}

fn main() -> Result<()> {
    println!("{KEYS} keys of 15 bytes, values of 20 bytes");
    for ordered in ["false", "true"] {
        let options = Options::new().with("ordered_index", ordered)?;
        let store = Store::memory(options)?;
        let began = Instant::now();
        for number in 0..KEYS {
            store.set(key(number), [b'v'; 20])?;
        }
        let set = began.elapsed().as_secs_f64();
        let stats = store.stats()?;
        let data = stats.key_bytes + stats.value_bytes;
        let overhead = (stats.memory_bytes - data) as f64 / stats.entries as f64;
        println!(
            "ordered_index={ordered}: insert {:.0} ns, {overhead:.1} bytes an entry",
            set * 1e9 / KEYS as f64
        );

        let began = Instant::now();
        for number in 0..KEYS / BATCH {
            let items: Vec<_> = (0..BATCH).map(|n| (key(number * BATCH + n), [b'w'; 20])).collect();
            store.set_many(&items, Expiry::Default)?;
        }
        let batches = began.elapsed().as_secs_f64();
        println!("  set_many of {BATCH}: {:.1} us", batches * 1e6 / (KEYS / BATCH) as f64);

        let scans = if ordered == "true" { SCANS } else { 3 };
        let mut met = 0;
        let began = Instant::now();
        for number in 0..scans {
            let prefix = format!("user:{:06}:", number * 7 % (KEYS / GROUP));
            let options = ScanOptions::new().prefix(prefix).order(Order::Asc);
            met += store.scan(&options)?.count();
        }
        let scan = began.elapsed().as_secs_f64() / scans as f64;
        println!("  sorted scan of {} keys under a prefix: {:.1} us", met / scans, scan * 1e6);
    }
    Ok(())
}
