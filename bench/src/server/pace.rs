//! Latency at equal load: requests at a fixed rate that neither server finds hard, and how long they take.
//!
//! Each connection has a thread and a schedule. A request is sent when it is due, or, if an earlier answer
//! came too late for that, as soon as that is there; its time counts from when it was due then, so that a
//! server that stalls pays for all who wait behind it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use hdrhistogram::Histogram;

use super::process::{BOTH, KV, REDIS, Server};
use super::sizes::Sizes;
use super::wire::Client;
use crate::plan::{self, VALUE};
use crate::samples::{Goal, Limit, Samples};
use crate::text::{count, table};

/// The word for this section.
pub const KIND: &str = "pace";
const TABLE: &str = "pace";
const CONNECTIONS: u32 = 8;
/// Requests a second of all connections.
const RATE: u32 = 20_000;
/// Of so many requests one sets, the others get.
const SET_EVERY: usize = 4;
/// How long after its end a load waits for what it has still to send.
const GRACE: Duration = Duration::from_secs(2);
const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];
const P99: &str = "p99";

/// How long requests took, in nanoseconds.
pub type Times = Histogram<u64>;

/// Measures both servers.
pub fn run(sizes: &Sizes, samples: &mut Samples) -> Result<()> {
    let mut turns = Vec::new();
    for name in BOTH {
        let server = Server::start(name, &[])?;
        Client::connect(server.address)?.fill(sizes.entries, false)?;
        turns.push((name, server));
    }
    for round in 0..sizes.paces {
        println!("{TABLE}: round {} of {}", round + 1, sizes.paces);
        turns.rotate_left(1);
        for (name, server) in &turns {
            let times = load(server.address, sizes.entries, RATE, sizes.pace)?;
            for (quantile, at) in QUANTILES {
                samples.add(TABLE, quantile, name, "ns", times.value_at_quantile(at) as f64);
            }
        }
    }
    Ok(())
}

/// Asks a server at a rate, for some time. Gives what each request took.
///
/// # Errors
/// The server did not answer.
pub fn load(address: SocketAddr, entries: usize, rate: u32, time: Duration) -> Result<Times> {
    let every = Duration::from_secs(1) * CONNECTIONS / rate;
    let began = Instant::now();
    let all: Result<Vec<Times>> = std::thread::scope(|scope| {
        let run = |number: u32| {
            // Spread out, so that connections do not all send at the same moment.
            let first = began + every * number / CONNECTIONS;
            scope.spawn(move || connection(address, entries, first, every, began + time))
        };
        let threads: Vec<_> = (0..CONNECTIONS).map(run).collect();
        let times = threads.into_iter();
        times.map(|thread| thread.join().map_err(|_| anyhow!("a client panicked"))?).collect()
    });
    let mut sum = histogram()?;
    for times in all? {
        sum.add(times)?;
    }
    ensure!(!sum.is_empty(), "no request was answered");
    Ok(sum)
}

fn histogram() -> Result<Times> {
    Ok(Histogram::new_with_bounds(1, 600_000_000_000, 3)?)
}

fn connection(
    address: SocketAddr,
    entries: usize,
    first: Instant,
    every: Duration,
    end: Instant,
) -> Result<Times> {
    let mut client = Client::connect(address)?;
    let mut random = fastrand::Rng::with_seed(u64::from(first.elapsed().subsec_nanos()));
    let (mut times, mut due, mut done) = (histogram()?, first, 0);
    while due < end {
        let now = Instant::now();
        if now > end + GRACE {
            // What a server that hangs has not even been sent waits as well.
            times.record(due.elapsed().as_nanos() as u64)?;
            due += every;
            continue;
        }
        let sent = if now < due {
            std::thread::sleep(due - now);
            Instant::now()
        } else {
            due
        };
        let key = plan::key(random.usize(..entries));
        let is_there = match done % SET_EVERY {
            0 => client.ask(&[b"SET", &key, &VALUE])?,
            _ => client.ask(&[b"GET", &key])?,
        };
        ensure!(is_there, "a key is gone");
        times.record((sent.elapsed().as_nanos() as u64).max(1))?;
        done += 1;
        due += every;
    }
    Ok(times)
}

/// What the latency has to show.
pub fn goals(samples: &Samples) -> Vec<Goal> {
    vec![Goal {
        what: format!("p99 at {} requests a second, times {REDIS}'s", count(RATE as usize)),
        measured: samples.ratio(TABLE, P99, KV, REDIS),
        limit: Limit::AtMost(1.0),
        unit: "x",
    }]
}

/// The table, in Markdown.
pub fn report(sizes: &Sizes, samples: &Samples) -> String {
    let rows = QUANTILES.map(|(quantile, _)| {
        let micros = |name| format!("{:.0}", samples.median(TABLE, quantile, name) / 1e3);
        let ratio = samples.ratio(TABLE, quantile, KV, REDIS);
        [quantile.to_owned(), micros(KV), micros(REDIS), format!("{ratio:.2}x")]
    });
    let header = ["", "kv-server, us", "redis-server, us", "kv-server : redis-server"];
    format!(
        "## Latency at equal load\n\n{} requests a second by {CONNECTIONS} connections, one in {SET_EVERY} a SET, \
         for {:.1} s, in turns: microseconds until the answer was there. Medians of {} rounds.\n\n{}",
        count(RATE as usize),
        sizes.pace.as_secs_f64(),
        sizes.paces,
        table(&header, &rows)
    )
}
