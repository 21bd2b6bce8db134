//! `cargo xtask torture`: kills, power cuts, failing calls and damage on real disks, and the report of it.
//!
//! Builds the rigs and libkv with every assertion on (profile `torture`) and hands over to
//! `kvtorture`. The full figures take hours; `--quick` is the part that `cargo xtask test` runs, whose
//! results are not kept. Rigs that mount file systems need root and loop devices. Where those are not,
//! the quick part leaves them out and says so, and the full run fails.

use anyhow::{Result, bail};
use xshell::cmd;

use crate::artifacts::Artifacts;
use crate::peers;
use crate::report::say;

/// One rig: its name, how often it runs in the quick part, and what it needs.
struct Rig {
    name: &'static str,
    quick_runs: &'static str,
    mounts: bool,
}

const fn rig(name: &'static str, quick_runs: &'static str, mounts: bool) -> Rig {
    Rig { name, quick_runs, mounts }
}

const RIGS: &[Rig] = &[
    rig("kills", "200", false),
    rig("errors", "60", false),
    rig("memory", "20", false),
    rig("full", "4", true),
    rig("sync-fails", "2", true),
    rig("power", "20", true),
    // The other engines are compiled for this one, which takes minutes.
    rig("bits", "", false),
];

/// Runs the named rigs, or all of them; what begins with `--` and follows goes to each rig.
pub fn run(artifacts: &Artifacts, arguments: &[String]) -> Result<()> {
    let names = arguments.iter().take_while(|word| !word.starts_with("--")).count();
    let (names, options) = arguments.split_at(names);
    if let Some(wrong) = names.iter().find(|name| !RIGS.iter().any(|rig| rig.name == **name)) {
        let known: Vec<&str> = RIGS.iter().map(|rig| rig.name).collect();
        bail!("there is no rig `{wrong}`; the rigs are: {}", known.join(", "));
    }
    let chosen = |rig: &&Rig| names.is_empty() || names.iter().any(|name| name == rig.name);
    if options == ["--quick"] {
        return quick(artifacts, chosen);
    }
    let sh = &artifacts.sh;
    cmd!(
        sh,
        "cargo build --locked --profile torture -p kvffi -p kvtorture --features kvtorture/peers"
    )
    .run()?;
    let program = artifacts.workspace.target().join("torture/kvtorture");
    let _redis = peers::environment(sh, &artifacts.workspace)?;
    for rig in RIGS.iter().filter(chosen) {
        let name = rig.name;
        say(&format!("the rig {name}"));
        cmd!(sh, "{program} {name} {options...}").run()?;
    }
    Ok(cmd!(sh, "{program} report").run()?)
}

/// A little of every rig that needs nothing but this repository and a compiler.
fn quick(artifacts: &Artifacts, chosen: impl Fn(&&Rig) -> bool) -> Result<()> {
    let sh = &artifacts.sh;
    // With the features that the step `rust` builds all crates with: others would take longer than all the runs.
    cmd!(sh, "cargo build --locked --workspace --all-targets").run()?;
    let program = artifacts.workspace.target().join("debug/kvtorture");
    let allowed = cmd!(sh, "{program} may-mount").quiet().run().is_ok();
    for rig in RIGS.iter().filter(|rig| !rig.quick_runs.is_empty()).filter(chosen) {
        let Rig { name, quick_runs, mounts } = rig;
        if *mounts && !allowed {
            say(&format!("the rig {name} is left out: this machine allows no mounts"));
            continue;
        }
        cmd!(sh, "{program} {name} --runs {quick_runs} --dry").run()?;
    }
    Ok(())
}

/// The step of `cargo xtask test`.
pub fn test(artifacts: &Artifacts) -> Result<()> {
    quick(artifacts, |_| true)
}
