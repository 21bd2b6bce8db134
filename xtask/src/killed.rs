//! The second half of `cargo xtask demo`: a C program writes into a directory with `sync=always` and
//! is killed in the middle, and Python opens the directory and finds every write that was
//! acknowledged.
//!
//! The C program prints the number of each write after the call returned, so what it printed is what
//! it was promised. At most one more write may be there: the one that was under way.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use xshell::cmd;

use crate::artifacts::Artifacts;
use crate::report::say;

/// How many writes there are to be before each kill.
const LIVES: [u64; 3] = [200, 1000, 500];

/// Kills the writer several times, and looks after each time at what is left.
pub fn run(artifacts: &Artifacts, writer: &Path, python: &Path) -> Result<()> {
    let sh = &artifacts.sh;
    let reader = artifacts.workspace.file("examples/python/durable.py")?;
    let data = artifacts.workspace.fresh_dir("demo/killed")?.join("data");
    let _env = artifacts.env_for(artifacts.prefix()?);
    say("killing a C program that writes with sync=always, and opening its directory from Python");
    println!(
        "\n{:<6} {:>13} {:>7} {:>9} {:>17} {:>11} {:>9}",
        "kill", "acknowledged", "found", "replayed", "discarded bytes", "fallback", "seconds"
    );
    for (n, writes) in LIVES.into_iter().enumerate() {
        let mut command = Command::from(cmd!(sh, "{writer} {data}"));
        let acknowledged = kill_after(&mut command, writes)?;
        let found = found(&cmd!(sh, "{python} {reader} {data}").quiet().read()?)?;
        println!(
            "{:<6} {acknowledged:>13} {:>7} {:>9} {:>17} {:>11} {:>9}",
            n + 1,
            found.orders,
            found.records,
            found.discarded_bytes,
            found.fallback_used,
            found.seconds
        );
        ensure!(
            found.orders == acknowledged || found.orders == acknowledged + 1,
            "{acknowledged} writes were acknowledged, and {} are there",
            found.orders
        );
    }
    println!();
    say("every write that was acknowledged survived every kill");
    Ok(())
}

/// Starts the writer, kills it by SIGKILL once it has printed so many lines, and says how many writes
/// of all its lives it had printed.
fn kill_after(command: &mut Command, writes: u64) -> Result<u64> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    let output = child.stdout.take().context("the writer's output is not there")?;
    let mut output = BufReader::new(output);
    let mut printed = String::new();
    for line in 0..writes {
        if output.read_line(&mut printed)? == 0 {
            let status = child.wait()?;
            bail!("the writer ended by itself after {line} writes: {status}");
        }
    }
    // SIGKILL: the program has no say in it.
    child.kill()?;
    output.read_to_string(&mut printed)?;
    let status = child.wait()?;
    ensure!(status.code().is_none(), "the writer was not killed, but ended: {status}");
    acknowledged(&printed)
}

/// How many writes these lines acknowledge, the last of which may be cut.
fn acknowledged(printed: &str) -> Result<u64> {
    let whole = &printed[..printed.rfind('\n').map_or(0, |at| at + 1)];
    let last = whole.lines().next_back().context("the writer printed nothing")?;
    let number: u64 = last.parse().with_context(|| format!("the writer printed `{last}`"))?;
    Ok(number + 1)
}

/// What Python found.
#[derive(Debug, PartialEq)]
struct Found {
    orders: u64,
    records: String,
    discarded_bytes: String,
    fallback_used: String,
    seconds: String,
}

/// Reads what the Python program printed.
fn found(printed: &str) -> Result<Found> {
    let values: HashMap<&str, &str> =
        printed.lines().filter_map(|line| line.split_once(' ')).collect();
    let text = |name: &str| -> Result<String> {
        let value = values.get(name).with_context(|| format!("Python printed no line `{name}`"))?;
        Ok((*value).to_owned())
    };
    Ok(Found {
        orders: text("orders")?.parse().context("Python printed orders that are no count")?,
        records: text("records")?,
        discarded_bytes: text("discarded_bytes")?,
        fallback_used: text("fallback_used")?,
        seconds: text("seconds")?.chars().take(7).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_line_acknowledges_nothing() {
        assert_eq!(acknowledged("7\n8\n").unwrap(), 9);
        assert_eq!(acknowledged("7\n8\n91").unwrap(), 9);
        assert!(acknowledged("7").is_err());
        assert!(acknowledged("seven\n").is_err());
    }

    #[test]
    fn reads_what_python_prints() {
        let printed = "orders 12\nrecords 12\ndiscarded_bytes 0\nreason \nfallback_used False\n\
                       seconds 0.00123456\n";
        let read = found(printed).unwrap();
        assert_eq!((read.orders, read.seconds.as_str()), (12, "0.00123"));
        let missing = found("orders 12\n").unwrap_err();
        assert!(missing.to_string().contains("records"), "{missing}");
    }
}
