//! Clients that mean harm, and one that does not: what the server holds meanwhile, and how long the good
//! client waits.
//!
//! Each kind of harm has a server of its own with a small budget for the buffers of clients. The good client
//! asks at a fixed rate before and meanwhile, so a ratio compares two loads a few seconds apart. The harm is
//! done by this process: it pays for it with time of the same cores, and so does the good client.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, anyhow};

use super::pace;
use super::process::{KV, Server};
use super::sizes::Sizes;
use super::wire::{Client, request};
use crate::samples::{Goal, Limit, Samples};
use crate::text::{count, table};

/// The word for this section.
pub const KIND: &str = "hostile";
const TABLE: &str = "hostile";
const BEFORE: &str = "p99 before";
const MEANWHILE: &str = "p99 meanwhile";
const GREW: &str = "grew by";
const MEBIBYTE: f64 = (1 << 20) as f64;
/// What the buffers of all clients may take, in MiB.
const BUDGET_MIB: f64 = 256.0;
/// Requests a second of the good client.
const RATE: u32 = 5_000;
/// Keys of the good client.
const ENTRIES: usize = 10_000;
/// How often those who were thrown out come again.
const ROUND: Duration = Duration::from_millis(100);
/// Those who come again in one round at most.
const RETURNS: usize = 5;
/// The key whose value is large, and bytes of that value.
const LARGE: &[u8] = b"large";
const LARGE_BYTES: usize = 64 << 10;
/// Requests for it by each client that reads none of the answers.
const ASKED: usize = 64;
/// Bytes that those who send much send in each round: all together some tens of megabytes a second.
const STEP: usize = 4 << 10;

/// What a client does to the server.
#[derive(Clone, Copy)]
enum Harm {
    /// Asks for much and reads nothing.
    NeverReads,
    /// Sends a request one byte a second.
    OneByte,
    /// Promises a thousand million arguments, and begins with them.
    ManyArguments,
    /// Promises an argument of 10 GiB.
    LongArgument,
    /// Sends an argument that is allowed and never ends.
    EndlessArgument,
    /// Sends whatever comes.
    RandomBytes,
}

const HARMS: [Harm; 6] = [
    Harm::NeverReads,
    Harm::OneByte,
    Harm::ManyArguments,
    Harm::LongArgument,
    Harm::EndlessArgument,
    Harm::RandomBytes,
];

impl Harm {
    fn name(self) -> &'static str {
        match self {
            Harm::NeverReads => "never reads",
            Harm::OneByte => "sends one byte a second",
            Harm::ManyArguments => "`*1000000000`",
            Harm::LongArgument => "a bulk of 10 GiB",
            Harm::EndlessArgument => "a bulk of 512 MiB",
            Harm::RandomBytes => "random bytes",
        }
    }

    /// How long a client waits between two attempts to send.
    fn pause(self) -> Duration {
        if matches!(self, Harm::OneByte) { Duration::from_secs(1) } else { ROUND }
    }

    /// What a client sends first, and what it goes on with.
    fn bytes(self, random: &mut fastrand::Rng) -> [Vec<u8>; 2] {
        match self {
            Harm::NeverReads => {
                let mut asks = Vec::new();
                (0..ASKED).for_each(|_| request(&mut asks, &[b"GET", LARGE]));
                [asks.clone(), asks]
            }
            Harm::OneByte => [b"*1000\r\n$1000\r\n".to_vec(), b"x".to_vec()],
            Harm::ManyArguments => [b"*1000000000\r\n".to_vec(), b"$1\r\na\r\n".repeat(STEP / 7)],
            Harm::LongArgument => {
                let header = format!("*2\r\n$3\r\nGET\r\n${}\r\n", 10_u64 << 30);
                [header.into_bytes(), vec![b'x'; STEP]]
            }
            Harm::EndlessArgument => {
                let header = format!("*2\r\n$3\r\nGET\r\n${}\r\n", 512 << 20);
                [header.into_bytes(), vec![b'x'; STEP]]
            }
            Harm::RandomBytes => {
                let mut bytes = || std::iter::repeat_with(|| random.u8(..)).take(STEP).collect();
                [bytes(), bytes()]
            }
        }
    }
}

/// Does every harm to a server of its own.
pub fn run(sizes: &Sizes, samples: &mut Samples) -> Result<()> {
    for harm in HARMS {
        println!("{TABLE}: {}", harm.name());
        let server = Server::start(KV, &[format!("--clients-bytes-max={BUDGET_MIB}MiB")])?;
        let mut client = Client::connect(server.address)?;
        client.fill(ENTRIES, false)?;
        client.ask(&[b"SET", LARGE, &vec![b'v'; LARGE_BYTES]])?;
        let before = pace::load(server.address, ENTRIES, RATE, sizes.pace)?;
        let resident = server.resident_bytes()?;
        server.forget_peak()?;
        let stop = AtomicBool::new(false);
        let meanwhile = std::thread::scope(|scope| {
            let attack = scope.spawn(|| attack(server.address, harm, sizes.hostile, &stop));
            // They are all there when it begins to count.
            std::thread::sleep(sizes.pace / 3);
            let times = pace::load(server.address, ENTRIES, RATE, sizes.pace);
            stop.store(true, Ordering::Relaxed);
            attack.join().map_err(|_| anyhow!("an attacker panicked"))?;
            times
        })?;
        let grew = (server.peak_bytes()? - resident) / MEBIBYTE;
        let p99 = |times: &pace::Times| times.value_at_quantile(0.99) as f64;
        samples.add(TABLE, harm.name(), BEFORE, "ns", p99(&before));
        samples.add(TABLE, harm.name(), MEANWHILE, "ns", p99(&meanwhile));
        samples.add(TABLE, harm.name(), GREW, "MiB", grew);
    }
    Ok(())
}

/// Many clients that do harm until they are told to stop. Whom the server throws out comes again.
fn attack(address: SocketAddr, harm: Harm, clients: usize, stop: &AtomicBool) {
    let mut random = fastrand::Rng::with_seed(7);
    let mut here: Vec<Option<TcpStream>> = Vec::new();
    here.resize_with(clients, || None);
    let mut returns = clients;
    let [first, more] = harm.bytes(&mut random);
    while !stop.load(Ordering::Relaxed) {
        for place in &mut here {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let is_here = place.as_mut().is_some_and(|stream| goes_on(stream, &more));
            if !is_here {
                *place = None;
                if returns > 0 {
                    returns -= 1;
                    *place = begin(address, &first);
                }
            }
        }
        returns = RETURNS;
        std::thread::sleep(harm.pause());
    }
}

/// Connects and sends. Who cannot is not there.
fn begin(address: SocketAddr, first: &[u8]) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_nonblocking(true).ok()?;
    goes_on(&mut stream, first).then_some(stream)
}

/// Sends as much as the server takes without waiting. Answers whether the connection is still there.
fn goes_on(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    match stream.write(bytes) {
        // What did not fit is not sent later: whoever means harm need not be understood.
        Ok(sent) => sent > 0,
        Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
    }
}

/// What has to hold.
pub fn goals(samples: &Samples) -> Vec<Goal> {
    let mut goals = Vec::new();
    for harm in HARMS {
        goals.push(Goal {
            what: format!("{}: memory beyond that before", harm.name()),
            measured: samples.median(TABLE, harm.name(), GREW),
            limit: Limit::AtMost(BUDGET_MIB),
            unit: "MiB",
        });
        goals.push(Goal {
            what: format!("{}: p99 of another client, times that before", harm.name()),
            measured: samples.ratio(TABLE, harm.name(), MEANWHILE, BEFORE),
            limit: Limit::AtMost(2.0),
            unit: "x",
        });
    }
    goals
}

/// The table, in Markdown.
pub fn report(sizes: &Sizes, samples: &Samples) -> String {
    let row = |harm: Harm| {
        let median = |subject| samples.median(TABLE, harm.name(), subject);
        let micros = |subject| format!("{:.0}", median(subject) / 1e3);
        let grew = format!("{:.0}", median(GREW));
        [harm.name().to_owned(), micros(BEFORE), micros(MEANWHILE), grew]
    };
    let header = ["a client that", "p99 before, us", "p99 meanwhile, us", "memory grew by, MiB"];
    format!(
        "## Clients that mean harm\n\n{} of them at a time; whom the server throws out comes again. Another \
         client asks {} times a second. The buffers of all clients may take {BUDGET_MIB} MiB.\n\n{}",
        count(sizes.hostile),
        count(RATE as usize),
        table(&header, &HARMS.map(row))
    )
}
