//! `cargo xtask COMMAND`: the one way into building, checking and showing this repository.
//!
//! Every command works on a fresh clone. What it needs beyond Rust, Go, Python and a C compiler it
//! installs under `target/` (see `tools`). A command prints what it starts, the commands it runs
//! and how each part ended, and fails with a message that says what to do.

// The engine reaches time and files through its seams; this program is no part of the engine.
#![allow(clippy::disallowed_methods)]

mod artifacts;
mod bench;
mod calls;
mod debian;
mod demo;
mod docs;
mod failover;
mod header;
mod killed;
mod markdown;
mod model;
mod peers;
mod quickstart;
mod remote;
mod report;
mod server;
mod tables;
mod test;
mod tools;
mod torture;
mod tsan;
mod valkey;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::artifacts::Artifacts;
use crate::report::say;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  demo                    build and install everything, replay a real trace as a cache in C, Python and Go,
                          then kill a program that writes to disk and show that nothing is lost
  test [STEP...]          build and test everything, or only the named steps
  test --list             the steps of `test`, one a line
  header [--check]        write include/kv.h from the Rust sources; --check refuses a stale one
  tables [--check]        write the option and error tables of README.md; --check refuses stale ones
  quickstart [LANG...]    build and run the programs printed in README.md; `server` is what it says of kv-server
  page                    take the pictures of the live page anew, into docs/images
  docs                    build the pages of the Rust, C, C++, Python and Go interfaces into target/docs
  tsan                    run the engine's concurrent tests under ThreadSanitizer (nightly Rust)
  calls [--calls N] [--seed N]
                          make ten million random calls of the C interface under AddressSanitizer, and fewer under
                          valgrind, and write bench/results/calls.md
  bench [ARGUMENT...]     build everything and run the benchmarks
  torture [RIG...] [--quick | --seed N --runs N --minutes N --work DIR]
                          kill writers, cut power, fail calls and damage files, and write docs/fault-report.md
  failover [--rounds N] [c | python | near]...
                          kill masters of a real cluster under programs in C and Python and under the near
                          cache, and write docs/failover-report.md
  valkey --suite DIR [--release] [--listed] [UNIT...]
                          run the tests of an unpacked Valkey 7.2 against kv-server, and write
                          docs/valkey-tests.md
  install                 build libkv and install it into target/prefix
  help                    this text
";

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
    let Some((command, rest)) = arguments.split_first() else {
        bail!("no command given\n\n{USAGE}");
    };
    match command.as_str() {
        "demo" => no_more(rest).and_then(|()| demo::run(&Artifacts::new()?)),
        "test" => test::run(rest),
        "header" => header::run(check_flag(rest)?),
        "tables" => tables::run(check_flag(rest)?),
        "docs" => no_more(rest).and_then(|()| docs::run(&Artifacts::new()?)),
        "page" => no_more(rest).and_then(|()| server::pictures(&Artifacts::new()?)),
        "tsan" => no_more(rest).and_then(|()| tsan::run()),
        "quickstart" => quickstart::run(&Artifacts::new()?, rest),
        "calls" => calls::run(&Artifacts::new()?, rest),
        "bench" => bench::run(&Artifacts::new()?, rest),
        "torture" => torture::run(&Artifacts::new()?, rest),
        "failover" => failover::run(&Artifacts::new()?, rest),
        "valkey" => valkey::run(rest),
        "install" => {
            no_more(rest)?;
            let artifacts = Artifacts::new()?;
            say(&format!("installed into {}", artifacts.prefix()?.display()));
            Ok(())
        }
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        other => bail!("there is no command `{other}`\n\n{USAGE}"),
    }
}

fn no_more(rest: &[String]) -> Result<()> {
    match rest.first() {
        None => Ok(()),
        Some(extra) => bail!("unexpected argument `{extra}`\n\n{USAGE}"),
    }
}

fn check_flag(rest: &[String]) -> Result<bool> {
    match rest {
        [] => Ok(false),
        [flag] if flag == "--check" => Ok(true),
        [other, ..] => bail!("unexpected argument `{other}`; only --check is known here"),
    }
}
