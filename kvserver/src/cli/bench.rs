//! `kv bench`: how fast a store answers reads and writes, here or over the network.
//!
//! Each thread has keys of its own choice out of one range, a read or a write by chance, and one call (or one
//! pipeline of a server) under way at a time. So throughput and latency belong together, and a pipeline's
//! latency is that of its last answer. The keys have a prefix of their own and are removed at the end.

use std::time::{Duration, Instant};

use clap::Args;
use hdrhistogram::Histogram;
use kvcore::{Expiry, SetOptions, Store};
use serde_json::json;

use super::Operation;
use super::outcome::{Failure, Outcome, Result};
use super::output::Output;
use super::progress::Progress;
use super::remote::Remote;
use super::session::Session;

/// What the keys of a measurement begin with.
const PREFIX: &str = "kv:bench:";

/// Keys that are written or removed at a time before and after.
const STEP: u64 = 1_000;

/// `kv bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// How long.
    #[arg(long, value_name = "DURATION", value_parser = super::args::duration_ms, default_value = "5s")]
    time: u64,
    /// Threads, each with a connection of its own on a server.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: u32,
    /// Keys that are read and written.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    keys: u64,
    /// Bytes of a value.
    #[arg(long, default_value_t = 100)]
    value_bytes: usize,
    /// Reads in a hundred calls; the others write.
    #[arg(long, default_value_t = 80, value_parser = clap::value_parser!(u32).range(0..=100))]
    reads: u32,
    /// Calls that are sent at once to a server.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pipeline: u32,
    /// TTL of what is written.
    #[arg(long, value_name = "DURATION", value_parser = super::args::duration_ms)]
    ttl: Option<u64>,
}

impl Operation for BenchArgs {
    const CREATES: bool = true;

    fn run(&self, session: &mut Session, output: &mut Output<'_>, quiet: bool) -> Result<Outcome> {
        if self.pipeline > 1 && matches!(session, Session::Store(_)) {
            return Err(Failure::usage("--pipeline is for a server: leave it out"));
        }
        self.fill(session, quiet)?;
        let bar = Progress::spinner("measuring", quiet);
        let began = Instant::now();
        let measured = self.measure(session);
        let seconds = began.elapsed().as_secs_f64();
        drop(bar);
        self.clear(session)?;
        let latencies = measured?;
        let calls = latencies.len() * u64::from(self.pipeline);
        let per_second = (calls as f64 / seconds).round();
        let us = |quantile: f64| latencies.value_at_quantile(quantile) as f64 / 1_000.0;
        let text = format!(
            "{per_second} calls/s, p50 {:.1} us, p99 {:.1} us, p99.9 {:.1} us, longest {:.1} us",
            us(0.5),
            us(0.99),
            us(0.999),
            us(1.0)
        );
        let json = json!({
            "calls": calls, "seconds": seconds, "calls_per_second": per_second,
            "p50_us": us(0.5), "p99_us": us(0.99), "p999_us": us(0.999), "max_us": us(1.0),
            "threads": self.threads, "pipeline": self.pipeline, "reads_percent": self.reads,
        });
        output.answer(text, json)?;
        Ok(Outcome::Done)
    }
}

impl BenchArgs {
    /// Writes every key once, so that reads find something.
    fn fill(&self, session: &mut Session, quiet: bool) -> Result<()> {
        let bar = Progress::entries("filling", quiet);
        bar.set_total(self.keys);
        let value = vec![b'x'; self.value_bytes];
        for first in (0..self.keys).step_by(STEP as usize) {
            let keys = first..self.keys.min(first + STEP);
            let item = |number| super::item::Item {
                key: key(number).into_bytes(),
                value: value.clone(),
                expire_at_ms: None,
            };
            session.put(&keys.map(item).collect::<Vec<_>>())?;
            bar.set(first);
        }
        Ok(())
    }

    /// Removes them.
    fn clear(&self, session: &mut Session) -> Result<()> {
        for first in (0..self.keys).step_by(STEP as usize) {
            let keys: Vec<_> = (first..self.keys.min(first + STEP)).map(key).collect();
            session.del(&keys.iter().map(String::as_bytes).collect::<Vec<_>>())?;
        }
        Ok(())
    }

    /// Runs all threads, and gives what their calls took in nanoseconds.
    fn measure(&self, session: &Session) -> Result<Histogram<u64>> {
        let sessions: Vec<Session> =
            (0..self.threads).map(|_| session.another()).collect::<Result<_>>()?;
        std::thread::scope(|scope| {
            let run = |(number, session): (usize, Session)| {
                scope.spawn(move || self.run_thread(session, number as u64 + 1))
            };
            let threads: Vec<_> = sessions.into_iter().enumerate().map(run).collect();
            let mut all = histogram()?;
            for thread in threads {
                let own = thread.join().map_err(|_| Failure::failed("a thread panicked"))??;
                all.add(own).map_err(|error| Failure::failed(error.to_string()))?;
            }
            Ok(all)
        })
    }

    fn run_thread(&self, mut session: Session, seed: u64) -> Result<Histogram<u64>> {
        let mut latencies = histogram()?;
        let mut choice = Choice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let value = vec![b'y'; self.value_bytes];
        let mut began = Instant::now();
        let end = began + Duration::from_millis(self.time);
        while began < end {
            match &mut session {
                Session::Store(store) => self.call(store, &mut choice, &value)?,
                Session::Server(remote) => self.call_remote(remote, &mut choice, &value)?,
            }
            let ended = Instant::now();
            let took = ended.duration_since(began).as_nanos();
            latencies.saturating_record(u64::try_from(took).unwrap_or(u64::MAX));
            began = ended;
        }
        Ok(latencies)
    }

    fn call(&self, store: &Store, choice: &mut Choice, value: &[u8]) -> Result<()> {
        let key = key(choice.below(self.keys));
        if choice.below(100) < u64::from(self.reads) {
            std::hint::black_box(store.get(key)?);
        } else {
            let expiry = self.ttl.map_or(Expiry::Default, Expiry::AfterMs);
            let options = SetOptions { expiry, ..SetOptions::default() };
            store.set_with(key, value, &options)?;
        }
        Ok(())
    }

    fn call_remote(&self, remote: &mut Remote, choice: &mut Choice, value: &[u8]) -> Result<()> {
        let mut calls = redis::Pipeline::with_capacity(self.pipeline as usize);
        for _ in 0..self.pipeline {
            let key = key(choice.below(self.keys));
            if choice.below(100) < u64::from(self.reads) {
                calls.cmd("GET").arg(key).ignore();
            } else {
                calls.cmd("SET").arg(key).arg(value);
                if let Some(ms) = self.ttl {
                    calls.arg("PX").arg(ms);
                }
                calls.ignore();
            }
        }
        Ok(calls.exec(remote.connection())?)
    }
}

fn key(number: u64) -> String {
    format!("{PREFIX}{number:08}")
}

/// From one nanosecond to an hour, three digits exact.
fn histogram() -> Result<Histogram<u64>> {
    let histogram = Histogram::new_with_bounds(1, 3_600_000_000_000, 3);
    histogram.map_err(|error| Failure::failed(error.to_string()))
}

/// The numbers of a thread (SplitMix64), the same in each run: a measurement can be repeated.
struct Choice(u64);

impl Choice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        // The high half of the product is even enough where bounds are far below 2^64.
        ((u128::from(mixed) * u128::from(bound)) >> 64) as u64
    }
}
