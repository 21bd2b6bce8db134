//! What counting and timing cost a get and a set: `cargo run --release -p kvcore --example metrics_cost`.
//!
//! Every round measures each setting once, in turn, so that what slows the machine down for a while slows
//! all of them; the figure is the median over the rounds of the ratio to `metrics=false` in the same round.
//!
//! With the name of a setting, `get` or `set` and a number it only makes that many calls, for a profiler
//! that counts instructions. What a call takes is the difference of two runs, divided by that of the numbers:
//! `valgrind --tool=callgrind target/release/examples/metrics_cost counted get 200000`.

#![allow(clippy::disallowed_methods)]

use std::hint::black_box;
use std::time::Instant;

use kvcore::{Options, Result, Store};

const KEYS: usize = 1_000_000;
const FEW_KEYS: usize = 10_000;
const CALLS: usize = 400_000;
const ROUNDS: usize = 41;

/// A name, and the options `metrics` and `latency`.
const SETTINGS: [(&str, &str, &str); 4] = [
    ("neither", "false", "off"),
    ("counted", "true", "off"),
    ("sampled", "true", "sampled"),
    ("full", "true", "full"),
];

const KINDS: [&str; 2] = ["get", "set"];

fn key(number: usize) -> [u8; 16] {
    let mut key = *b"key:000000000000";
    let mut rest = number;
    for digit in key[4..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    key
}

fn filled(keys: usize, metrics: &str, latency: &str) -> Result<Store> {
    let options = Options::new().with("metrics", metrics)?.with("latency", latency)?;
    let store = Store::memory(options)?;
    for number in 0..keys {
        store.set(key(number), [b'v'; 100])?;
    }
    Ok(store)
}

/// Makes calls on keys that look random and are the same every time.
fn run(store: &Store, keys: usize, kind: &str, calls: usize) -> Result<()> {
    let mut state = 1_usize;
    let mut buffer = [0; 128];
    for _ in 0..calls {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let key = key((state >> 33) % keys);
        if kind == "get" {
            black_box(store.get_into(key, &mut buffer)?);
        } else {
            black_box(store.set(key, [b'w'; 100])?);
        }
    }
    Ok(())
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn compare(keys: usize) -> Result<()> {
    println!("{keys} keys of 16 bytes, values of 100 bytes, one thread, {ROUNDS} rounds");
    let open = |(_, metrics, latency): &(&str, &str, &str)| filled(keys, metrics, latency);
    let stores = SETTINGS.iter().map(open).collect::<Result<Vec<_>>>()?;
    for kind in KINDS {
        let mut times = vec![Vec::new(); SETTINGS.len()];
        for round in 0..ROUNDS {
            for turn in 0..SETTINGS.len() {
                let which = (round + turn) % SETTINGS.len();
                let began = Instant::now();
                run(&stores[which], keys, kind, CALLS)?;
                times[which].push(began.elapsed().as_secs_f64() * 1e9 / CALLS as f64);
            }
        }
        for (number, (name, ..)) in SETTINGS.iter().enumerate() {
            let ratios = times[number].iter().zip(&times[0]).map(|(own, base)| own / base);
            let ratio = median(ratios.collect());
            let ns = median(times[number].clone());
            println!("  {kind} {name}: {ns:.1} ns, {ratio:.3} times");
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [name, kind, calls] = &arguments[..] {
        let setting = SETTINGS.iter().find(|(setting, ..)| setting == name);
        let (Some((_, metrics, latency)), Ok(calls)) = (setting, calls.parse()) else {
            println!("usage: metrics_cost [neither|counted|sampled|full get|set CALLS]");
            return Ok(());
        };
        return run(&filled(FEW_KEYS, metrics, latency)?, FEW_KEYS, kind, calls);
    }
    compare(FEW_KEYS)?;
    compare(KEYS)
}
