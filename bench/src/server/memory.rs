//! What a server weighs: with a million keys, and with ten thousand connections that do nothing.

use std::time::Duration;

use anyhow::Result;

use super::process::{BOTH, KV, REDIS, Server};
use super::sizes::Sizes;
use super::wire::Client;
use crate::plan::{KEY_BYTES, VALUE_BYTES};
use crate::samples::{Goal, Limit, Samples};
use crate::text::{count, table};

/// The word for this section.
pub const KIND: &str = "memory";
const TABLE: &str = "server-memory";
const ENTRY: &str = "bytes an entry";
const IDLE: &str = "idle connections";
const MEBIBYTE: f64 = (1 << 20) as f64;
/// What all of a server may take with so many idle connections, in MiB.
const IDLE_MOST: f64 = 100.0;
/// How long a server may go on giving memory back before it is weighed.
const REST: Duration = Duration::from_secs(2);

/// Weighs both servers.
pub fn run(sizes: &Sizes, samples: &mut Samples) -> Result<()> {
    for name in BOTH {
        println!("{TABLE}: {name}");
        let server = Server::start(name, &[])?;
        let before = server.resident_bytes()?;
        Client::connect(server.address)?.fill(sizes.entries, true)?;
        std::thread::sleep(REST);
        let bytes = (server.resident_bytes()? - before) / sizes.entries as f64;
        samples.add(TABLE, ENTRY, name, "B", bytes);

        let server = Server::start(name, &[])?;
        let mut clients = Vec::new();
        for _ in 0..sizes.idle {
            // Each was served once, so it has whatever a server keeps of a client.
            let mut client = Client::connect(server.address)?;
            client.ask(&[b"PING"])?;
            clients.push(client);
        }
        std::thread::sleep(REST);
        samples.add(TABLE, IDLE, name, "MiB", server.resident_bytes()? / MEBIBYTE);
    }
    Ok(())
}

/// What the weight has to show.
pub fn goals(sizes: &Sizes, samples: &Samples) -> Vec<Goal> {
    vec![
        Goal {
            what: format!("memory of an entry with a TTL, times {REDIS}'s"),
            measured: samples.ratio(TABLE, ENTRY, KV, REDIS),
            limit: Limit::AtMost(0.6),
            unit: "x",
        },
        Goal {
            what: format!("{} idle connections", count(sizes.idle)),
            measured: samples.median(TABLE, IDLE, KV),
            limit: Limit::AtMost(IDLE_MOST),
            unit: "MiB",
        },
    ]
}

/// The table, in Markdown.
pub fn report(sizes: &Sizes, samples: &Samples) -> String {
    let row = |what: String, case| {
        let [own, other] = BOTH.map(|name| samples.median(TABLE, case, name));
        [what, format!("{own:.1}"), format!("{other:.1}"), format!("{:.2}x", own / other)]
    };
    let rows = [
        row("bytes an entry".to_owned(), ENTRY),
        row(format!("MiB with {} idle connections", count(sizes.idle)), IDLE),
    ];
    format!(
        "## Memory\n\nWhat the process grows by for each of {} entries of {KEY_BYTES} B and {VALUE_BYTES} B with \
         a TTL, and what it takes in all with connections that were served once and then do nothing.\n\n{}",
        count(sizes.entries),
        table(&["", "kv-server", "redis-server", "kv-server : redis-server"], &rows)
    )
}
