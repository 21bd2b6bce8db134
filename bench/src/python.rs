//! Python: `bindings/python/bench.py`, which compares the calls with those of a dict.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::outside::{required, stdout_of};
use crate::samples::{Goal, Samples};
use crate::scale::Scale;
use crate::text::table;

const TABLE: &str = "python";
const CASE: &str = "1,000,000 keys in random order";
const BASE: &str = "dict.get(k)";
/// Calls with the most that they may take, as multiples of a dict's get.
const GOALS: [(&str, f64); 2] = [("store.get(k)", 4.0), ("store.set(k, v)", 6.0)];

/// Runs the program several times.
pub fn run(root: &Path, scale: &Scale, samples: &mut Samples) -> Result<()> {
    let python = required("KVBENCH_PYTHON")?;
    for repeat in 0..scale.repeats {
        println!("python: run {}", repeat + 1);
        let mut program = Command::new(&python);
        program.arg(root.join("bindings/python/bench.py")).arg("--json");
        let text = stdout_of(&mut program)?;
        let rows: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&text).context("bench.py printed no JSON object")?;
        for (name, ns) in rows {
            let ns = ns.as_f64().with_context(|| format!("{name} is no number"))?;
            samples.add(TABLE, CASE, &name, "ns", ns);
        }
    }
    Ok(())
}

/// What Python has to show.
pub fn goals(samples: &Samples) -> Vec<Goal> {
    let goal = |(name, limit): (&str, f64)| Goal {
        what: format!("Python `{name}`, as a multiple of `{BASE}`"),
        measured: samples.ratio(TABLE, CASE, name, BASE),
        limit,
        unit: "x",
    };
    GOALS.map(goal).into()
}

/// The table, in Markdown.
pub fn report(samples: &Samples) -> String {
    let rows: Vec<_> = samples
        .subjects(TABLE)
        .map(|name| {
            let ns = samples.median(TABLE, CASE, name);
            let ratio = samples.ratio(TABLE, CASE, name, BASE);
            [format!("`{name}`"), format!("{ns:.0}"), format!("{ratio:.2}x")]
        })
        .collect();
    format!("## Python\n\n{CASE}.\n\n{}", table(&["call", "ns", "of a dict's get"], &rows))
}
