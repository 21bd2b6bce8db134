//! `cargo xtask failover`: masters of a real cluster killed under programs in C and Python, and the long race for
//! the near cache.
//!
//! Builds libkv as the tests do, with every assertion on, and hands over to `kvcluster`. What takes seconds is in
//! the tests of `kvremote`; a whole run takes about ten minutes, and writes `docs/failover-report.md`.

use std::ffi::OsString;

use anyhow::{Context, Result, bail};
use xshell::cmd;

use crate::artifacts::Artifacts;
use crate::report::say;
use crate::tools;

/// The parts, in their order.
const PARTS: [&str; 3] = ["c", "python", "near"];

/// Kills under each program in a whole run.
const ROUNDS: u64 = 20;

/// Rounds of the race for each of these kills.
const NEAR_ROUNDS: u64 = 10;

/// What is asked for.
struct Asked {
    rounds: u64,
    /// Some of [`PARTS`]; none is all.
    parts: Vec<String>,
}

impl Asked {
    fn read(arguments: &[String]) -> Result<Asked> {
        let mut asked = Asked { rounds: ROUNDS, parts: Vec::new() };
        let mut rest = arguments.iter();
        while let Some(word) = rest.next() {
            if word == "--rounds" {
                let number = rest.next().and_then(|text| text.parse().ok());
                asked.rounds = number.context("--rounds wants a number")?;
            } else if PARTS.contains(&word.as_str()) {
                asked.parts.push(word.clone());
            } else {
                bail!("there is no part `{word}`; the parts are: {}", PARTS.join(", "));
            }
        }
        Ok(asked)
    }

    fn wants(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|named| named == part)
    }

    /// What is committed is made by whole runs.
    fn is_whole(&self) -> bool {
        self.parts.is_empty() && self.rounds >= ROUNDS
    }
}

/// Runs the parts named, or all of them.
pub fn run(artifacts: &Artifacts, arguments: &[String]) -> Result<()> {
    let asked = Asked::read(arguments)?;
    let sh = &artifacts.sh;
    tools::ensure_redis(sh)?;
    cmd!(sh, "cargo build --locked -p kvffi -p kvcluster").run()?;
    let built = artifacts.workspace.target().join("debug");
    let mut words: Vec<OsString> = vec!["--rounds".into(), asked.rounds.to_string().into()];
    if asked.wants("c") {
        words.extend(["--c".into(), built.join("libkv.so").into()]);
    }
    if asked.wants("python") {
        words.extend(["--python".into(), artifacts.wheel_venv("failover", &[])?.into()]);
    }
    if asked.wants("near") {
        words.extend(["--near".into(), (asked.rounds * NEAR_ROUNDS).to_string().into()]);
    }
    if asked.is_whole() {
        let report = artifacts.workspace.file("docs")?.join("failover-report.md");
        words.extend(["--report".into(), report.into()]);
    }
    say("killing masters of a cluster");
    let program = built.join("kvcluster");
    Ok(cmd!(sh, "{program} {words...}").run()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_runs_write_the_report() {
        let read = |text: &str| {
            Asked::read(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        };
        assert!(read("").unwrap().is_whole() && read("--rounds 30").unwrap().is_whole());
        assert!(!read("--rounds 2").unwrap().is_whole() && !read("c near").unwrap().is_whole());
        let asked = read("c near").unwrap();
        assert!(asked.wants("near") && !asked.wants("python"));
        assert!(read("rust").is_err() && read("--rounds").is_err());
    }
}
