//! What the rigs came to: one JSON object a line, added and never rewritten, so that rigs can be run one
//! by one and their figures add up.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::arguments::Arguments;

/// One run of a rig, or of one part of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// The rig.
    pub rig: String,
    /// The part of the rig: a mount, a sync mode, an engine.
    pub part: String,
    /// What was counted as a run.
    pub unit: String,
    /// How many there were.
    pub runs: u64,
    /// How many of them broke a promise.
    pub violations: u64,
    /// What the random choices began with.
    pub seed: u64,
    /// How long it took.
    pub seconds: f64,
    /// Other counts, each with its name.
    #[serde(default)]
    pub counts: Vec<(String, u64)>,
    /// What else has to be said.
    #[serde(default)]
    pub note: String,
}

/// Where results are kept unless an argument says otherwise.
pub fn default_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/results/torture.jsonl")
}

/// Prints a row, and adds it to the results.
///
/// # Errors
/// Those of files.
pub fn add(arguments: &Arguments, row: &Row) -> Result<()> {
    let counts: Vec<String> =
        row.counts.iter().map(|(name, count)| format!(", {name} {count}")).collect();
    println!(
        "{} {}: {} {}, {} violations{}, seed {}, {:.0} s {}",
        row.rig,
        row.part,
        row.runs,
        row.unit,
        row.violations,
        counts.concat(),
        row.seed,
        row.seconds,
        row.note
    );
    let Some(path) = &arguments.results else { return Ok(()) };
    let file = OpenOptions::new().append(true).create(true).open(path);
    let mut file = file.with_context(|| format!("cannot write {}", path.display()))?;
    let line = serde_json::to_string(row)? + "\n";
    Ok(file.write_all(line.as_bytes())?)
}

/// All rows so far.
///
/// # Errors
/// Those of files, and a line that is no row.
pub fn read(path: &Path) -> Result<Vec<Row>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    text.lines().map(|line| serde_json::from_str(line).context("not a row")).collect()
}
