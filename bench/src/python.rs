//! Python: `bindings/python/bench.py`, which compares the calls with those of a dict.
//!
//! What a dict's get takes depends on how much of the dict is in the caches, so the goals hold where
//! it takes about 100 ns, which is `MIDDLE`, and above.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::outside::{required, stdout_of};
use crate::samples::{Goal, Limit, Samples};
use crate::scale::Scale;
use crate::text::{count, table};

const TABLE: &str = "python";
const BASE: &str = "dict.get(k)";
/// Keys of a dict that fits into the caches, of one that half does, and of one that does not.
const FEW: usize = 1000;
const MIDDLE: usize = 40_000;
const MANY: usize = 1_000_000;
/// Calls with the most that they may take, as multiples of a dict's get.
const GOALS: [(&str, f64); 2] = [("store.get(k)", 4.0), ("store.set(k, v)", 6.0)];

fn case(entries: usize) -> String {
    format!("{} keys", count(entries))
}

/// Runs the program several times for each size.
pub fn run(root: &Path, scale: &Scale, samples: &mut Samples) -> Result<()> {
    let python = required("KVBENCH_PYTHON")?;
    for repeat in 0..scale.repeats {
        for entries in [FEW, MIDDLE, MANY] {
            println!("python: {}, run {}", case(entries), repeat + 1);
            let mut program = Command::new(&python);
            program.arg(root.join("bindings/python/bench.py")).arg("--json");
            let text = stdout_of(program.args(["--entries", &entries.to_string()]))?;
            let rows: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(&text).context("bench.py printed no JSON object")?;
            for (name, ns) in rows {
                let ns = ns.as_f64().with_context(|| format!("{name} is no number"))?;
                samples.add(TABLE, &case(entries), &name, "ns", ns);
            }
        }
    }
    Ok(())
}

/// What Python has to show.
pub fn goals(samples: &Samples) -> Vec<Goal> {
    let goal = |entries| {
        let case = case(entries);
        GOALS.map(|(name, limit)| Goal {
            what: format!("Python `{name}`, as a multiple of `{BASE}` ({case})"),
            measured: samples.ratio(TABLE, &case, name, BASE),
            limit: Limit::AtMost(limit),
            unit: "x",
        })
    };
    [MIDDLE, MANY].into_iter().flat_map(goal).collect()
}

/// The tables, in Markdown.
pub fn report(samples: &Samples) -> String {
    let mut text = String::from("## Python\n");
    for case in [FEW, MIDDLE, MANY].map(case) {
        let row = |name: &str| {
            let ns = samples.median(TABLE, &case, name);
            let ratio = samples.ratio(TABLE, &case, name, BASE);
            [format!("`{name}`"), format!("{ns:.0}"), format!("{ratio:.2}x")]
        };
        let rows: Vec<_> = samples.subjects(TABLE).map(row).collect();
        let rows = table(&["call", "ns", "of a dict's get"], &rows);
        text.push_str(&format!("\n### {case} in random order\n\n{rows}"));
    }
    text
}
