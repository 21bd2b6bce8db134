//! `cargo xtask bench`: builds what the benchmarks ask for in release mode and hands over to the
//! bench crate.
//!
//! The first word says what is measured, and so what has to be there: the engine alone, or also the
//! installed C library, or the server, or all surfaces, or engines of other makers. The bench crate reads everything else.

use std::ffi::OsString;

use anyhow::{Context, Result};
use xshell::cmd;

use crate::artifacts::Artifacts;
use crate::peers;
use crate::report::say;
use crate::tools;

/// What measures the engine alone.
const ENGINE_ALONE: [&str; 5] = ["churn", "collide", "hits", "limit", "watch"];
/// What compares engines, and libkv in Rust with C and Go.
const ENGINES: &str = "memory";
/// What compares engines that keep their data on disk.
const DURABLE: &str = "durable";

/// What compares the server with Redis.
const SERVER: &str = "server";

/// What compares the remote store with the embedded one and with its client.
const REMOTE: &str = "remote";

/// What compares libkv in Python with caches and stores that Python has.
const PYTHON: &str = "python-caches";

/// Runs the benchmarks; `arguments` go to the bench program as they are.
pub fn run(artifacts: &Artifacts, arguments: &[String]) -> Result<()> {
    let sh = &artifacts.sh;
    let first = arguments.first().map_or("", String::as_str);
    if first == PYTHON {
        return python(artifacts, &arguments[1..]);
    }
    let mut environment = Vec::new();
    if first == DURABLE {
        environment.extend(peers::environment(sh, &artifacts.workspace)?);
    } else if first == SERVER {
        return server(artifacts, arguments);
    } else if first == REMOTE {
        tools::ensure_redis(sh)?;
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

/// The server as it ships. Ten thousand connections need as many descriptors on either side, so all that runs may
/// open as many files as the system allows at all.
fn server(artifacts: &Artifacts, arguments: &[String]) -> Result<()> {
    let sh = &artifacts.sh;
    let _peers = peers::environment(sh, &artifacts.workspace)?;
    say("building kv-server");
    cmd!(sh, "cargo build --locked --release --package kvserver --bin kv-server").run()?;
    let _program =
        sh.push_env("KVBENCH_SERVER", artifacts.workspace.target().join("release/kv-server"));
    let raised = "ulimit -Sn \"$(ulimit -Hn)\"; exec \"$@\"";
    say("running the benchmarks");
    cmd!(sh, "sh -c {raised} sh cargo run --locked --release --package kvbench -- {arguments...}")
        .run()?;
    Ok(())
}

/// A program in Python, since what it compares is. A run with arguments is one to look at, and leaves the
/// committed page as it is.
fn python(artifacts: &Artifacts, arguments: &[String]) -> Result<()> {
    let sh = &artifacts.sh;
    let _peers = peers::environment(sh, &artifacts.workspace)?;
    let program = artifacts.workspace.file("bench/python")?;
    let requirements = program.join("requirements.txt");
    let requirements = requirements.to_str().context("the path of the repository is no UTF-8")?;
    let python = artifacts.wheel_venv("bench-python", &["--requirement", requirements])?;
    let page = artifacts.workspace.file("bench/results")?.join("python.md");
    let write: Vec<OsString> =
        if arguments.is_empty() { vec!["--write".into(), page.into_os_string()] } else { vec![] };
    say("running the benchmarks");
    Ok(cmd!(sh, "{python} {program} {write...} {arguments...}").run()?)
}
