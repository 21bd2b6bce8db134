//! `cargo xtask calls`: millions of random calls of the C interface, under memory checkers.
//!
//! The program is the test `c.random`, which makes some ten thousand calls in `cargo xtask test`. Here it makes ten
//! million under AddressSanitizer, and a hundredth of that under valgrind, which is some fifty times slower and sees what
//! the library itself does with memory. Both have a libkv with every assertion on. Some processes make them at the same
//! time, each with a seed of its own. One ends at its first fault, and the same seed makes the same calls again. What it
//! came to goes to `bench/results/calls.md`, unless it was a run to look at.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use xshell::cmd;

use crate::artifacts::Artifacts;
use crate::report::say;
use crate::tools;

const CALLS: u64 = 10_000_000;
/// The seed of the first process; the others have the next ones.
const SEED: u64 = 1;
const PROCESSES: u64 = 5;
/// Calls under AddressSanitizer for each one under valgrind.
const VALGRIND_SHARE: u64 = 100;
const PROGRAM: &str = "test_c_random";
/// The same as of the tests (cmake/KvTest.cmake).
const VALGRIND: [&str; 6] = [
    "valgrind",
    "--quiet",
    "--error-exitcode=97",
    "--leak-check=full",
    "--errors-for-leak-kinds=definite,indirect",
    "--fair-sched=yes",
];

/// A memory checker, and how a program is built and run under it.
struct Checker {
    name: &'static str,
    tree: &'static str,
    option: &'static str,
    launcher: &'static [&'static str],
    share: u64,
}

const CHECKERS: [Checker; 2] = [
    Checker {
        name: "AddressSanitizer and UndefinedBehaviorSanitizer",
        tree: "sanitize",
        option: "-DKV_SANITIZE=address",
        launcher: &[],
        share: 1,
    },
    Checker {
        name: "valgrind",
        tree: "valgrind",
        option: "-DKV_VALGRIND=ON",
        launcher: &VALGRIND,
        share: VALGRIND_SHARE,
    },
];

/// Makes the calls. `--calls N` and `--seed N` make a run to look at, which leaves the committed page as it is.
pub fn run(artifacts: &Artifacts, arguments: &[String]) -> Result<()> {
    let (mut calls, mut seed) = (CALLS, SEED);
    for pair in arguments.chunks(2) {
        match pair {
            [name, number] if name == "--calls" => calls = number.parse().context("--calls")?,
            [name, number] if name == "--seed" => seed = number.parse().context("--seed")?,
            _ => bail!("usage: cargo xtask calls [--calls N] [--seed N]"),
        }
    }
    tools::ensure_test_tools(&artifacts.sh)?;
    let rows = CHECKERS.map(|checker| row(artifacts, &checker, calls, seed));
    let rows = rows.into_iter().collect::<Result<Vec<String>>>()?;
    if arguments.is_empty() {
        let page = artifacts.workspace.file("bench/results")?.join("calls.md");
        artifacts.sh.write_file(page, report(&rows))?;
    }
    Ok(())
}

/// Makes the calls under one checker, and gives its row of the report.
fn row(artifacts: &Artifacts, checker: &Checker, calls: u64, seed: u64) -> Result<String> {
    let Checker { name, tree, option, launcher, share } = checker;
    let sh = &artifacts.sh;
    let options = ["-DKV_TESTS=ON", "-DCMAKE_BUILD_TYPE=Debug", option];
    let tree = artifacts.configure(tree, &options)?;
    cmd!(sh, "cmake --build {tree} --target {PROGRAM}").run()?;
    let program = tree.join("tests/c").join(PROGRAM);
    let each = calls / share / PROCESSES;
    let seeds = seed..seed + PROCESSES;
    say(&format!("{} random calls under {name}, seeds {seeds:?}", each * PROCESSES));
    let began = Instant::now();
    let start = |seed: u64| {
        let words = launcher.iter().map(std::ffi::OsStr::new).chain([program.as_os_str()]);
        let words: Vec<_> = words.collect();
        let numbers = [each.to_string(), seed.to_string()];
        Command::new(words[0]).args(&words[1..]).args(numbers).spawn().context("starting the calls")
    };
    let started = seeds.clone().map(start).collect::<Result<Vec<_>>>()?;
    for (seed, mut process) in seeds.clone().zip(started) {
        ensure!(process.wait()?.success(), "the calls with seed {seed} failed under {name}");
    }
    let seconds = began.elapsed().as_secs();
    let (calls, last) = (each * PROCESSES, seeds.end - 1);
    Ok(format!("| {name} | {calls} | {seed} to {last} | {seconds} | 0 |"))
}

fn report(rows: &[String]) -> String {
    format!(
        "# Random calls of the C interface\n\nMade by `cargo xtask calls`, which ends at the first fault. The calls are \
         those of `tests/c/test_random.c`: nearly every\nfunction, mistakes of the caller among them, stores of several \
         kinds opened and closed, and every answer held against a\nmodel.\n\n\
         | checker | calls | seeds | seconds | faults |\n| --- | ---: | --- | ---: | ---: |\n{}\n",
        rows.join("\n")
    )
}
