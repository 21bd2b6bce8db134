//! Real processes, real disks, real damage: tries what `docs/durability.md` promises.
//!
//! `cargo xtask torture` builds this and runs it. Each rig does one kind of harm again and again, with
//! random choices that follow from `--seed`, ends with an error at the first broken promise, and keeps
//! the directory that shows it. What the rigs came to adds up in `bench/results/torture.jsonl`, and
//! `docs/fault-report.md` is written from there.
//!
//! It is a crate of its own, so that the programs that are killed, and other engines to compare with,
//! are no part of what users build. What one process with a simulated disk can show is in
//! `kvcore/tests/durable`.

// The engine reaches time, files and threads through its seams; this program is no part of the engine.
#![allow(clippy::disallowed_methods)]
#![deny(unsafe_code)]

mod arguments;
mod life;
mod mounts;
mod native;
mod peers;
mod report;
mod results;
mod rigs;
mod system;
mod workload;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::arguments::Arguments;
use crate::rigs::{bits, errors, full, kills, memory, power, sync_fails};
use crate::workload::writer;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<()> {
    let Some((what, rest)) = arguments.split_first() else { bail!("no rig was named") };
    match what.as_str() {
        writer::ROLE => writer::run(rest),
        bits::WRITE => bits::write(rest),
        bits::READ => bits::read(rest),
        mounts::MAY_MOUNT => mounts::try_mounting(),
        report::NAME => report::run(&results::default_path()),
        bits::NAME => bits::run(&Arguments::read(rest)?),
        errors::NAME => errors::run(&Arguments::read(rest)?),
        full::NAME => full::run(&Arguments::read(rest)?),
        kills::NAME => kills::run(&Arguments::read(rest)?),
        memory::NAME => memory::run(&Arguments::read(rest)?),
        power::NAME => power::run(&Arguments::read(rest)?),
        sync_fails::NAME => sync_fails::run(&Arguments::read(rest)?),
        other => bail!("there is no rig `{other}`"),
    }
}
