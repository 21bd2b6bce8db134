//! `cargo xtask bench`: builds what the benchmarks ask for in release mode and hands over to the
//! bench crate.
//!
//! The first word says what is measured, and so what has to be there: the engine alone, or also the
//! installed C library, or all surfaces, or engines of other makers. The bench crate reads everything else.

use anyhow::Result;
use xshell::cmd;

use crate::artifacts::Artifacts;
use crate::peers;
use crate::report::say;

/// What measures the engine alone.
const ENGINE_ALONE: [&str; 4] = ["churn", "collide", "hits", "limit"];
/// What compares engines, and libkv in Rust with C and Go.
const ENGINES: &str = "memory";
/// What compares engines that keep their data on disk.
const DURABLE: &str = "durable";

/// Runs the benchmarks; `arguments` go to the bench program as they are.
pub fn run(artifacts: &Artifacts, arguments: &[String]) -> Result<()> {
    let sh = &artifacts.sh;
    let first = arguments.first().map_or("", String::as_str);
    let mut environment = Vec::new();
    if first == DURABLE {
        environment.extend(peers::environment(sh, &artifacts.workspace)?);
    } else if !ENGINE_ALONE.contains(&first) {
        let prefix = artifacts.prefix()?;
        say("compiling the measured loops in C through find_package");
        let loops = artifacts.workspace.file("bench/c")?;
        let calls = artifacts.build_consumer(&loops, "bench-c")?.join("kvcalls.so");
        environment.extend(artifacts.env_for(prefix));
        environment.push(sh.push_env("KVBENCH_CALLS", calls));
        if first != ENGINES {
            let python = artifacts.wheel_venv("bench", &[])?;
            environment.push(sh.push_env("KVBENCH_PYTHON", python));
        }
    }
    say("running the benchmarks");
    cmd!(sh, "cargo run --locked --release --package kvbench -- {arguments...}").run()?;
    Ok(())
}
