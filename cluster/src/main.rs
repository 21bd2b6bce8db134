//! Kills masters, moves slots and loses connections of a real cluster while libkv works on it.
//!
//! `cargo xtask failover` builds this and runs it: `failover` is a program in C and one in Python under load while
//! masters are killed, `near` the race of `kvremote`'s tests for the near cache, long and with everything in it.
//! What they came to is in `docs/failover-report.md`, written by a whole run.
//!
//! It is a program of its own because it takes minutes; what takes seconds is in the tests of `kvremote`, from
//! which the servers and the race are taken.

// The engine reaches time, files and threads through its seams; this program is no part of the engine.
#![allow(clippy::disallowed_methods)]
#![forbid(unsafe_code)]

mod arguments;
mod failover;
mod near;
mod program;
#[allow(dead_code, clippy::unwrap_used)]
#[path = "../../kvremote/tests/remote/race.rs"]
mod race;
mod report;
#[allow(dead_code, clippy::unwrap_used)]
#[path = "../../kvremote/tests/remote/servers.rs"]
mod servers;

use std::process::ExitCode;

use anyhow::{Result, ensure};

use crate::arguments::Arguments;
use crate::report::Part;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match Arguments::read(&arguments).and_then(|arguments| run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the parts that were asked for, and writes the report if one is wanted. A part in which something was wrong
/// is written as well, and fails the run.
fn run(arguments: &Arguments) -> Result<()> {
    let mut parts: Vec<Part> = Vec::new();
    for program in &arguments.programs {
        parts.push(failover::run(program, arguments.rounds)?);
    }
    if let Some(rounds) = arguments.near_rounds {
        parts.push(near::run(rounds));
    }
    print!("{}", report::figures(&parts));
    let faults: Vec<&String> = parts.iter().flat_map(|part| &part.faults).collect();
    if let Some(path) = &arguments.report {
        std::fs::write(path, report::render(&parts))?;
        println!("wrote {}", path.display());
    }
    ensure!(faults.is_empty(), "{} faults, the first: {}", faults.len(), faults[0]);
    Ok(())
}
