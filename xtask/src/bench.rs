//! `cargo xtask bench`: builds every surface in release mode and hands over to the bench crate.

use anyhow::Result;
use xshell::cmd;

use crate::artifacts::Artifacts;
use crate::report::say;

/// Runs the benchmarks; `arguments` go to the bench program as they are.
pub fn run(artifacts: &Artifacts, arguments: &[String]) -> Result<()> {
    let prefix = artifacts.prefix()?;
    say("compiling the measured loops in C through find_package");
    let loops = artifacts.workspace.file("bench/c")?;
    let calls = artifacts.build_consumer(&loops, "bench-c")?.join("kvcalls.so");
    let python = artifacts.wheel_venv("bench", &[])?;
    let sh = &artifacts.sh;
    let _env = artifacts.env_for(prefix);
    let _calls = sh.push_env("KVBENCH_CALLS", calls);
    let _python = sh.push_env("KVBENCH_PYTHON", python);
    say("running the benchmarks");
    cmd!(sh, "cargo run --locked --release --package kvbench -- {arguments...}").run()?;
    Ok(())
}
