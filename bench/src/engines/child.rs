//! Processes that measure: this program again, so that none starts with memory that another engine
//! left behind, and none has to clear away what it filled.
//!
//! A child is told what to measure by words, and prints one line for each number: case, subject,
//! unit and value between tabs.

use std::process::Command;

use anyhow::{Context, Result, bail};

use super::sizes::Sizes;
use super::{expiry, growth, hot, promised, race};
use crate::outside::stdout_of;
use crate::samples::Samples;

/// The argument that makes this program a child.
pub const CHILD: &str = "--measure";
const QUICK: &str = "quick";
const FULL: &str = "full";

/// Runs a child and adds what it measured to `table`.
pub fn measure(
    sizes: &Sizes,
    words: &[&str],
    table: &'static str,
    samples: &mut Samples,
) -> Result<()> {
    println!("{table}: {}", words[1..].join(", "));
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let size = if sizes.quick { QUICK } else { FULL };
    let text = stdout_of(Command::new(program).args([CHILD, size]).args(words))?;
    collect(&text, table, samples)
}

/// Adds what a child printed to `table`.
pub fn collect(text: &str, table: &'static str, samples: &mut Samples) -> Result<()> {
    for line in text.lines() {
        let parts: Vec<&str> = line.split('\t').collect();
        let [case, subject, unit, value] = parts[..] else {
            bail!("a child printed `{line}`");
        };
        let unit = UNITS.into_iter().find(|known| *known == unit);
        let unit = unit.with_context(|| format!("a child printed `{line}`"))?;
        samples.add(table, case, subject, unit, value.parse()?);
    }
    Ok(())
}

/// The units that children measure in.
const UNITS: [&str; 5] = ["ns", "bytes", "ms", "calls", "s"];

/// Prints a number for the parent.
pub fn print(case: &str, subject: &str, unit: &str, value: f64) {
    println!("{case}\t{subject}\t{unit}\t{value}");
}

/// Does what a child was told. The process ends without clearing anything away.
pub fn run(arguments: &[String]) -> Result<()> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [size, kind, words @ ..] = &words[..] else { bail!("{CHILD} takes words") };
    let sizes = if *size == QUICK { Sizes::QUICK } else { Sizes::FULL };
    match *kind {
        race::KIND => race::in_child(&sizes, words)?,
        hot::KIND => hot::in_child(&sizes)?,
        growth::KIND => growth::in_child(&sizes, words)?,
        expiry::KIND => expiry::in_child(&sizes)?,
        promised::KIND => promised::in_child(&sizes)?,
        other => bail!("a child cannot measure `{other}`"),
    }
    std::process::exit(0);
}
