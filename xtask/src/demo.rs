//! `cargo xtask demo`: libkv as a page cache, in three languages, on a real trace.
//!
//! Builds everything as a user would: the library is installed by CMake, the C program finds it with
//! `find_package`, Python imports a wheel, Go links through pkg-config. Then each program replays
//! the trace and prints its counts as `name value` lines. The demo fails unless all three report
//! exactly what the model says. The second half is in `killed`.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use xshell::cmd;

use crate::artifacts::Artifacts;
use crate::killed;
use crate::model::{self, Counts};
use crate::report::say;

const TRACE: &str = "examples/data/web12.txt";

/// One row of the table.
struct Row {
    surface: &'static str,
    counts: Counts,
    memory_bytes: u64,
    ns_per_call: u64,
}

/// Builds, replays, prints the table and compares.
pub fn run(artifacts: &Artifacts) -> Result<()> {
    let trace = artifacts.workspace.file(TRACE)?;
    let text = std::fs::read_to_string(&trace).with_context(|| format!("cannot read {TRACE}"))?;
    let expected = model::replay(&model::read_trace(&text)?);

    let sh = &artifacts.sh;
    let c_programs = build_c(artifacts)?;
    let c_program = c_programs.join("page_cache");
    let python = artifacts.wheel_venv("demo", &[])?;
    let python_program = artifacts.workspace.file("examples/python/page_cache.py")?;
    let go_program = build_go(artifacts)?;

    say(&format!("replaying {TRACE} ({} requests) in C, Python and Go", expected.requests));
    let _env = artifacts.env_for(artifacts.prefix()?);
    let rows = [
        row("C", &cmd!(sh, "{c_program} {trace}").read()?)?,
        row("Python", &cmd!(sh, "{python} {python_program} {trace}").read()?)?,
        row("Go", &cmd!(sh, "{go_program} {trace}").read()?)?,
    ];
    print!("\n{}\n", table(&rows));
    for row in &rows {
        ensure!(
            row.counts == expected,
            "{} counted {:?}, but the trace gives {expected:?}",
            row.surface,
            row.counts
        );
    }
    say("C, Python and Go agree on every count, and with a simulation of the trace");
    killed::run(artifacts, &c_programs.join("durable"), &python)
}

fn build_c(artifacts: &Artifacts) -> Result<PathBuf> {
    let source = artifacts.workspace.file("examples/c")?;
    artifacts.prefix()?;
    say("compiling the C programs through find_package");
    artifacts.build_consumer(&source, "examples-c")
}

fn build_go(artifacts: &Artifacts) -> Result<PathBuf> {
    let sh = &artifacts.sh;
    let _env = artifacts.env_for(artifacts.prefix()?);
    say("compiling the Go program");
    let program = artifacts.workspace.target().join("demo/page_cache_go");
    let _there = sh.push_dir(artifacts.workspace.file("examples/go")?);
    cmd!(sh, "go build -o {program} ./page_cache").run()?;
    Ok(program)
}

/// Reads what a program printed.
fn row(surface: &'static str, output: &str) -> Result<Row> {
    let values: HashMap<&str, &str> =
        output.lines().filter_map(|line| line.split_once(' ')).collect();
    let number = |name: &str| -> Result<u64> {
        let text =
            values.get(name).with_context(|| format!("{surface} printed no line `{name}`"))?;
        text.trim()
            .parse()
            .with_context(|| format!("{surface} printed `{name} {text}`, which is no count"))
    };
    Ok(Row {
        surface,
        counts: Counts {
            requests: number("requests")?,
            hits: number("hits")?,
            misses: number("misses")?,
            served_bytes: number("served_bytes")?,
            expired: number("expired")?,
            live: number("live")?,
            payload_bytes: number("payload_bytes")?,
        },
        memory_bytes: number("memory_bytes")?,
        ns_per_call: number("ns_per_call")?,
    })
}

fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<8} {:>9} {:>10} {:>9} {:>13} {:>11} {:>14}\n",
        "surface", "requests", "hit ratio", "expired", "live entries", "memory", "time per call"
    );
    for row in rows {
        let counts = &row.counts;
        text.push_str(&format!(
            "{:<8} {:>9} {:>8.2} % {:>9} {:>13} {:>7.2} MiB {:>11} ns\n",
            row.surface,
            counts.requests,
            100.0 * counts.hits as f64 / counts.requests.max(1) as f64,
            counts.expired,
            counts.live,
            row.memory_bytes as f64 / f64::from(1 << 20),
            row.ns_per_call,
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "requests 4\nhits 1\nmisses 3\nserved_bytes 9\nexpired 1\nlive 2\n\
                          payload_bytes 20\nmemory_bytes 1048576\nns_per_call 250\n";

    #[test]
    fn reads_what_a_program_prints() {
        let row = row("C", OUTPUT).unwrap();
        assert_eq!((row.counts.hits, row.counts.live, row.ns_per_call), (1, 2, 250));
        let text = table(&[row]);
        assert!(text.contains("25.00 %") && text.contains("1.00 MiB"), "{text}");
    }

    #[test]
    fn names_the_line_that_is_missing_or_wrong() {
        let missing = row("Go", &OUTPUT.replace("live 2\n", "")).map(|_| ()).unwrap_err();
        assert!(missing.to_string().contains("`live`"), "{missing}");
        let wrong = row("Go", &OUTPUT.replace("live 2", "live -2")).map(|_| ()).unwrap_err();
        assert!(wrong.to_string().contains("live -2"), "{wrong}");
    }
}
