//! How many requests a second: both servers by turns under `redis-benchmark`, one key or many.
//!
//! A turn is one run of `redis-benchmark` with 50 clients. The servers stay open for the whole section, so
//! that neither pays for starting. Client and server share the machine's cores, as everything here does.

use std::process::Command;

use anyhow::{Context, Result};

use super::process::{BOTH, KV, REDIS, Server};
use super::sizes::Sizes;
use super::wire::Client;
use crate::outside::stdout_of;
use crate::plan::VALUE_BYTES;
use crate::samples::{Goal, Limit, Samples};
use crate::text::{count, table};

/// The word for this section.
pub const KIND: &str = "speed";
const TABLE: &str = "speed";
const CLIENTS: &str = "50";
const COMMANDS: [&str; 2] = ["GET", "SET"];
/// How many requests a client sends before it reads their answers, and what libkv has to reach.
const PIPELINES: [(usize, f64); 3] = [(1, 1.0), (16, 1.5), (64, 1.5)];

/// Which keys are asked for.
#[derive(Clone, Copy)]
enum Keys {
    /// One, as `redis-benchmark` does by itself.
    One,
    /// Any of many, equally likely.
    Many,
}

const KEYS: [Keys; 2] = [Keys::One, Keys::Many];

impl Keys {
    fn name(self) -> &'static str {
        match self {
            Keys::One => "one key",
            Keys::Many => "many keys",
        }
    }
}

fn case(command: &str, pipeline: usize, keys: Keys) -> String {
    format!("{command}, pipeline of {pipeline}, {}", keys.name())
}

/// Measures both servers.
pub fn run(sizes: &Sizes, samples: &mut Samples) -> Result<()> {
    let servers = BOTH.map(|name| (name, Server::start(name, &[])));
    let mut turns = Vec::new();
    for (name, server) in servers {
        let server = server?;
        // What is read has to be there.
        Client::connect(server.address)?.fill(sizes.entries, false)?;
        turns.push((name, server));
    }
    for round in 0..sizes.rounds {
        println!("{TABLE}: round {} of {}", round + 1, sizes.rounds);
        turns.rotate_left(1);
        for keys in KEYS {
            for (place, (pipeline, _)) in PIPELINES.iter().enumerate() {
                for command in COMMANDS {
                    for (name, server) in &turns {
                        let requests = sizes.requests[place];
                        let speed =
                            turn(server, command, *pipeline, keys, requests, sizes.entries)?;
                        let case = case(command, *pipeline, keys);
                        samples.add(TABLE, &case, name, "requests/s", speed);
                    }
                }
            }
        }
    }
    Ok(())
}

/// One run of `redis-benchmark`. Gives requests a second.
fn turn(
    server: &Server,
    command: &str,
    pipeline: usize,
    keys: Keys,
    requests: usize,
    entries: usize,
) -> Result<f64> {
    let mut program = Command::new("redis-benchmark");
    program.args(["-p", &server.address.port().to_string(), "-c", CLIENTS, "--csv"]);
    program.args(["-t", &command.to_lowercase(), "-P", &pipeline.to_string()]);
    program.args(["-n", &requests.to_string(), "-d", &VALUE_BYTES.to_string()]);
    if matches!(keys, Keys::Many) {
        program.args(["-r", &entries.to_string()]);
    }
    let text = stdout_of(&mut program)?;
    speed_in(&text, command).with_context(|| format!("redis-benchmark printed:\n{text}"))
}

/// The requests a second of a command, in what `redis-benchmark --csv` prints.
fn speed_in(text: &str, command: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(&format!("\"{command}")))?;
    line.split(',').nth(1)?.trim_matches('"').parse().ok()
}

/// What the speed has to show.
pub fn goals(samples: &Samples) -> Vec<Goal> {
    let mut goals = Vec::new();
    for (pipeline, least) in PIPELINES {
        for command in COMMANDS {
            for keys in KEYS {
                let case = case(command, pipeline, keys);
                goals.push(Goal {
                    measured: samples.ratio(TABLE, &case, KV, REDIS),
                    what: format!("{case}: requests a second, times {REDIS}'s"),
                    limit: Limit::AtLeast(least),
                    unit: "x",
                });
            }
        }
    }
    goals
}

/// Thousands of requests a second, for the plot: a group for each pipeline and command.
pub fn speeds(samples: &Samples) -> Vec<(String, Vec<f64>)> {
    let mut groups = Vec::new();
    for command in COMMANDS {
        for (pipeline, _) in PIPELINES {
            let case = case(command, pipeline, Keys::Many);
            let speeds = BOTH.map(|name| samples.median(TABLE, &case, name) / 1e3);
            groups.push((format!("{command} -P {pipeline}"), speeds.into()));
        }
    }
    groups
}

/// The table, in Markdown.
pub fn report(sizes: &Sizes, samples: &Samples) -> String {
    let row = |case: &&str| {
        let speed = |name| format!("{:.0}", samples.median(TABLE, case, name) / 1e3);
        let ratio = samples.ratio(TABLE, case, KV, REDIS);
        [(*case).to_owned(), speed(KV), speed(REDIS), format!("{ratio:.2}x")]
    };
    let rows: Vec<_> = samples.cases(TABLE).iter().map(row).collect();
    let header = ["", "kv-server, k/s", "redis-server, k/s", "kv-server : redis-server"];
    format!(
        "## Requests a second\n\n`redis-benchmark` with {CLIENTS} clients, values of {VALUE_BYTES} bytes, one \
         key or {} equally likely ones. Medians of {} rounds, and of the ratios of each round.\n\n{}",
        count(sizes.entries),
        sizes.rounds,
        table(&header, &rows)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_found_behind_the_name_of_the_command() {
        let text = "\"test\",\"rps\",\"avg_latency_ms\"\n\"GET\",\"81234.50\",\"0.3\"\n";
        assert_eq!(speed_in(text, "GET"), Some(81234.5));
        assert_eq!(speed_in(text, "SET"), None);
    }
}
