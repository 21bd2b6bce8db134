//! `cargo xtask bench remote`: the remote store beside the embedded one and beside the client crate's own calls.
//!
//! Servers and callers share one machine and its loopback interface. A near hit is timed by the processor time of
//! its thread, what goes to servers by the clock: waiting is what is measured there. Each turn of a round asks
//! every subject, so that a slow moment falls on all of them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use kvcore::{Expiry, Options, Store};
use kvremote::RemoteStore;
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Commands};
use tokio::runtime::{Builder, Runtime};

use crate::plot::{self, Frame};
use crate::relay::Relay;
use crate::results::{self, Asked};
use crate::samples::{Goal, Limit, Samples};
use crate::servers::{Cluster, Server, wait_until};
use crate::text::{count, table};
use crate::{clock, machine};

const USAGE: &str = "\
usage: cargo xtask bench remote [--quick] [--name NAME]

  --quick       little of everything, to see that it runs
  --name NAME   write bench/results/NAME.md, NAME.csv and NAME.svg; without it, remote for a whole
                run, and latest for a quick one";

/// The word for this benchmark, and the name of its results.
pub const PART: &str = "remote";

const VALUE: [u8; 100] = [b'v'; 100];

/// Keys that are asked for one by one, few enough that all are in the near cache, and keys of one `get_many`.
const HOT: usize = 1_000;
const MANY: usize = 1_000;

const NEAR: &str = "a read that memory answers";
const GET: &str = "a read of one server";
const GET_MANY: &str = "1,000 keys of three masters";
const FAR: &str = "1,000 keys of three masters that are 1 ms away";

const EMBEDDED: &str = "embedded get";
const NEAR_HIT: &str = "near hit";
const OURS: &str = "remote get_into";
const DATED: &str = "remote get, with the deadline";
const CLIENT: &str = "client, multiplexed";
const BLOCKING: &str = "client, blocking";
const ROUND_TRIP: &str = "get of a cluster";
const MANY_AT_ONCE: &str = "get_many";
const FLOOR: &str = "the same GETs, nothing but sockets";

/// How much is done.
struct Sizes {
    rounds: usize,
    hits: usize,
    gets: usize,
    many: usize,
}

const FULL: Sizes = Sizes { rounds: 11, hits: 500_000, gets: 4_000, many: 40 };
const QUICK: Sizes = Sizes { rounds: 3, hits: 50_000, gets: 400, many: 4 };

/// Measures all of it.
pub fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let asked = Asked::read(arguments, &[], &[], USAGE)?;
    let sizes = if asked.quick { QUICK } else { FULL };
    let name = asked.name_or(PART);
    let machine = machine::describe(root);
    let mut samples = Samples::default();
    near_hits(&sizes, &mut samples)?;
    gets(&sizes, &mut samples)?;
    many(&sizes, &mut samples)?;
    far(&sizes, &mut samples)?;
    let goals = goals(&samples);
    let command = ["cargo xtask bench remote"].into_iter();
    let command = command.chain(arguments.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
    let file = format!("{name}.svg");
    draw(&results::path(root, &file)?, &samples)?;
    let sections = [report(&sizes, &samples), format!("![times of calls]({file})\n")];
    let text = results::compose(&name, &command, &machine, &goals, &sections);
    results::publish(root, &name, &text, &samples.csv(), &goals)
}

fn keys(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("key:{number:06}")).collect()
}

fn filled(store: &RemoteStore, keys: &[String]) -> Result<()> {
    let items: Vec<(&String, &[u8])> = keys.iter().map(|key| (key, &VALUE[..])).collect();
    Ok(store.set_many(&items, Expiry::Default)?)
}

/// Hits of the near cache beside reads of the embedded store.
fn near_hits(sizes: &Sizes, samples: &mut Samples) -> Result<()> {
    let keys = keys(HOT);
    let server = Server::start(&[]);
    let near = server.open("near=16MiB");
    filled(&near, &keys)?;
    wait_until("the listener is confirmed", || near.near_stats().confirmed);
    let embedded = Store::memory(Options::new())?;
    for key in &keys {
        embedded.set(key, VALUE)?;
        // The first read fills the near cache.
        near.get(key)?.context("a key is missing")?;
    }
    let before = near.near_stats().hits;
    for round in 0..sizes.rounds {
        println!("{NEAR}: round {} of {}", round + 1, sizes.rounds);
        let asked = || keys.iter().cycle().take(sizes.hits);
        let mut found = 0;
        let ours = clock::alone(|| {
            found += asked().filter(|key| matches!(near.get(key), Ok(Some(_)))).count();
        });
        let theirs = clock::alone(|| {
            found += asked().filter(|key| matches!(embedded.get(key), Ok(Some(_)))).count();
        });
        anyhow::ensure!(found == 2 * sizes.hits, "a key was not found");
        samples.add(NEAR, "1 thread", NEAR_HIT, "ns", ours / sizes.hits as f64);
        samples.add(NEAR, "1 thread", EMBEDDED, "ns", theirs / sizes.hits as f64);
    }
    let hits = near.near_stats().hits - before;
    anyhow::ensure!(hits == (sizes.rounds * sizes.hits) as u64, "only {hits} reads were near hits");
    Ok(())
}

/// The client crate's own connection, as a program of one thread would drive it.
struct Client {
    runtime: Runtime,
    connection: MultiplexedConnection,
}

impl Client {
    fn connect(server: &Server) -> Result<Client> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let client = redis::Client::open(format!("redis://{}/?protocol=resp3", server.address()))?;
        let connection = runtime.block_on(client.get_multiplexed_async_connection())?;
        Ok(Client { runtime, connection })
    }

    fn get(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.runtime.block_on(self.connection.get(key))?)
    }
}

/// Microseconds of each of so many calls.
fn each_us(calls: usize, mut call: impl FnMut(usize) -> Result<()>) -> Result<f64> {
    let began = Instant::now();
    (0..calls).try_for_each(&mut call)?;
    Ok(began.elapsed().as_secs_f64() * 1e6 / calls as f64)
}

/// Reads of one server, by one thread.
fn gets(sizes: &Sizes, samples: &mut Samples) -> Result<()> {
    let keys = keys(HOT);
    let server = Server::start(&[]);
    let ours = server.open("");
    filled(&ours, &keys)?;
    let mut client = Client::connect(&server)?;
    let mut blocking = server.connection();
    let key = |number: usize| keys[number % HOT].as_str();
    let mut buffer = [0; VALUE.len()];
    for round in 0..sizes.rounds {
        println!("{GET}: round {} of {}", round + 1, sizes.rounds);
        let took = each_us(sizes.gets, |number| {
            ours.get_into(key(number), &mut buffer)?.context("a key is missing").map(drop)
        })?;
        samples.add(GET, "1 thread", OURS, "us", took);
        let took = each_us(sizes.gets, |number| {
            ours.get(key(number))?.context("a key is missing").map(drop)
        })?;
        samples.add(GET, "1 thread", DATED, "us", took);
        let took = each_us(sizes.gets, |number| {
            client.get(key(number))?.context("a key is missing").map(drop)
        })?;
        samples.add(GET, "1 thread", CLIENT, "us", took);
        let took = each_us(sizes.gets, |number| {
            let value: Option<Vec<u8>> = blocking.get(key(number))?;
            value.context("a key is missing").map(drop)
        })?;
        samples.add(GET, "1 thread", BLOCKING, "us", took);
    }
    Ok(())
}

/// One request to each master for its part of some keys, by blocking sockets. Of the replies only the bytes are
/// counted: it is what the servers themselves take, and the system.
struct Floor(Vec<Part>);

/// The part of one master.
struct Part {
    socket: TcpStream,
    packed: Vec<u8>,
    reply_len: usize,
}

impl Floor {
    fn connect(masters: &[Server], keys: &[String]) -> Result<Floor> {
        /// `$100`, the value, and the ends of both lines.
        const REPLY_LEN: usize = 4 + 2 + VALUE.len() + 2;
        let part = |master: &Server| -> Result<Part> {
            let (mut packed, mut count) = (Vec::new(), 0);
            let mut connection = master.connection();
            for key in keys {
                // Whoever does not have the slot refuses.
                if connection.exists::<_, bool>(key).is_ok() {
                    redis::cmd("GET").arg(key).write_packed_command(&mut packed);
                    count += 1;
                }
            }
            let socket = TcpStream::connect(master.address())?;
            socket.set_nodelay(true)?;
            Ok(Part { socket, packed, reply_len: count * REPLY_LEN })
        };
        let parts = masters.iter().map(part).collect::<Result<Vec<_>>>()?;
        let len: usize = parts.iter().map(|part| part.reply_len).sum();
        anyhow::ensure!(len == keys.len() * REPLY_LEN, "the masters do not have each key once");
        Ok(Floor(parts))
    }

    fn ask(&mut self, room: &mut [u8]) -> Result<()> {
        for part in &mut self.0 {
            part.socket.write_all(&part.packed)?;
        }
        for part in &mut self.0 {
            let mut left = part.reply_len;
            while left > 0 {
                let came = part.socket.read(room)?;
                anyhow::ensure!(came > 0, "a server has gone");
                left = left.checked_sub(came).context("more came than was asked for")?;
            }
        }
        Ok(())
    }
}

/// Gets all keys at once so many times, and each by itself; the samples go to a table.
fn many_and_one(
    table: &'static str,
    store: &RemoteStore,
    keys: &[String],
    (many, gets): (usize, usize),
    samples: &mut Samples,
) -> Result<()> {
    let took = each_us(many, |_| {
        let found = store.get_many(keys)?.iter().flatten().count();
        anyhow::ensure!(found == keys.len(), "only {found} keys were found");
        Ok(())
    })?;
    samples.add(table, "1 thread", MANY_AT_ONCE, "us", took);
    let took = each_us(gets, |number| {
        store.get(&keys[number % keys.len()])?.context("a key is missing").map(drop)
    })?;
    samples.add(table, "1 thread", ROUND_TRIP, "us", took);
    Ok(())
}

/// The same where a round trip takes as long as it does between the zones of a data centre. The way is long, and no
/// processor works on it: so this says how many round trips a call makes.
fn far(sizes: &Sizes, samples: &mut Samples) -> Result<()> {
    const ONE_WAY: Duration = Duration::from_micros(500);
    let keys = keys(MANY);
    let cluster = Cluster::start();
    let mut ports = Vec::new();
    for master in cluster.masters() {
        let port = Relay::start(master.address(), ONE_WAY)?.port.to_string();
        // From now on the cluster sends everybody there.
        master.say(&["CONFIG", "SET", "cluster-announce-port", &port]);
        ports.push(port);
    }
    wait_until("the servers know the way", || {
        cluster.servers.iter().all(|server| {
            let nodes = server.say(&["CLUSTER", "NODES"]);
            ports.iter().all(|port| nodes.contains(&format!("127.0.0.1:{port}@")))
        })
    });
    let store = cluster.open("");
    filled(&store, &keys)?;
    for round in 0..sizes.rounds {
        println!("{FAR}: round {} of {}", round + 1, sizes.rounds);
        many_and_one(FAR, &store, &keys, (sizes.many, sizes.many), samples)?;
    }
    Ok(())
}

/// Many keys of a cluster at once, beside one of them.
fn many(sizes: &Sizes, samples: &mut Samples) -> Result<()> {
    let keys = keys(MANY);
    let cluster = Cluster::start();
    let store = cluster.open("");
    filled(&store, &keys)?;
    let mut floor = Floor::connect(cluster.masters(), &keys)?;
    let mut room = vec![0; 64 << 10];
    for round in 0..sizes.rounds {
        println!("{GET_MANY}: round {} of {}", round + 1, sizes.rounds);
        many_and_one(GET_MANY, &store, &keys, (sizes.many, sizes.gets), samples)?;
        let took = each_us(sizes.many, |_| floor.ask(&mut room))?;
        samples.add(GET_MANY, "1 thread", FLOOR, "us", took);
    }
    Ok(())
}

fn goals(samples: &Samples) -> Vec<Goal> {
    let goal = |table, subject, base: &str, limit| Goal {
        what: format!("{table}: {subject}, times {base}"),
        measured: samples.ratio(table, "1 thread", subject, base),
        limit: Limit::AtMost(limit),
        unit: "x",
    };
    vec![
        goal(NEAR, NEAR_HIT, EMBEDDED, 1.5),
        goal(GET, OURS, CLIENT, 1.3),
        goal(GET_MANY, MANY_AT_ONCE, ROUND_TRIP, 3.0),
        goal(FAR, MANY_AT_ONCE, ROUND_TRIP, 3.0),
    ]
}

/// The table, in Markdown.
fn report(sizes: &Sizes, samples: &Samples) -> String {
    let mut rows = Vec::new();
    for (kind, unit) in [(NEAR, "ns"), (GET, "us"), (GET_MANY, "us"), (FAR, "us")] {
        for subject in samples.subjects(kind) {
            let took = samples.median(kind, "1 thread", subject);
            rows.push([kind.to_owned(), subject.to_owned(), format!("{took:.1} {unit}")]);
        }
    }
    let times = |subject, base| samples.ratio(GET_MANY, "1 thread", subject, base);
    format!(
        "## Times of calls\n\nOne thread, values of {} bytes, {} keys, Redis on the loopback interface. Medians of \
         {} rounds, and of the ratios of each round.\n\n{}\nFor {} keys the servers and the system by themselves \
         take {:.1} times one get of the cluster, and `get_many` takes {:.2} times as long as they do.\n",
        VALUE.len(),
        count(HOT),
        sizes.rounds,
        table(&["", "call", "time of one"], &rows),
        count(MANY),
        times(FLOOR, ROUND_TRIP),
        times(MANY_AT_ONCE, FLOOR),
    )
}

/// The times of what goes to servers.
fn draw(path: &Path, samples: &Samples) -> Result<()> {
    let groups: Vec<(String, Vec<f64>)> = [GET, GET_MANY]
        .into_iter()
        .flat_map(|kind| samples.subjects(kind).map(move |subject| (kind, subject)))
        .map(|(kind, subject)| {
            (subject.to_owned(), vec![samples.median(kind, "1 thread", subject)])
        })
        .collect();
    let frame = Frame { title: "Calls that go to servers", values: "us", logarithmic: true };
    plot::bars(path, &frame, &["time of one call"], &groups)
}
