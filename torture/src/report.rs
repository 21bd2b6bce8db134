//! Writes `docs/fault-report.md` from the results.
//!
//! The report is made of rows that rigs have added, and of nothing else: what was not run is listed as
//! not run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::results::{self, Row};
use crate::rigs::{bits, errors, full, kills, memory, power, sync_fails};

/// The argument that asks for the report.
pub const NAME: &str = "report";

/// What one rig is about.
struct Rig {
    name: &'static str,
    what: &'static str,
    goal: &'static str,
}

const RIGS: &[Rig] = &[
    Rig {
        name: kills::NAME,
        what: "`kill -9` at random moments, 8 writing threads, every sync mode and kind of persistence, \
               each directory reopened without ever being closed, up to three kills during recovery",
        goal: "10,000 kills",
    },
    Rig {
        name: power::NAME,
        what: "power cuts of ext4 on a loop device (`FS_IOC_SHUTDOWN` without a flush of the journal), \
               unmounted, mounted and recovered",
        goal: "10,000 cuts",
    },
    Rig {
        name: errors::NAME,
        what: "every n-th system call × 13 errnos × {once, from then on}, in a C program on `kv.h`",
        goal: "all of them",
    },
    Rig {
        name: sync_fails::NAME,
        what: "a sync that really fails once (ext4 on a loop device whose tmpfs is full), room again right \
               after, the directory opened again and the power cut",
        goal: "0 acknowledged after the failure",
    },
    Rig {
        name: full::NAME,
        what: "the disk full and freed again, on tmpfs and on ext4",
        goal: "200 cycles, writes resume within 1 s",
    },
    Rig {
        name: memory::NAME,
        what: "the log replayed is the memory: 8 threads on hot keys, values, versions and deadlines",
        goal: "1,000 runs",
    },
];

/// Writes the report from the file of results.
///
/// # Errors
/// Those of files.
pub fn run(results_path: &Path) -> Result<()> {
    let rows = results::read(results_path)?;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/fault-report.md");
    fs::write(&path, render(&rows)).with_context(|| format!("cannot write {}", path.display()))?;
    println!("wrote {}", path.display());
    Ok(())
}

fn render(rows: &[Row]) -> String {
    let mut text = String::from(HEAD);
    text +=
        "\n| rig | what is done | goal | reached | violations |\n| --- | --- | --- | --- | --- |\n";
    for rig in RIGS {
        let of_rig: Vec<&Row> = rows.iter().filter(|row| row.rig == rig.name).collect();
        let runs: u64 = of_rig.iter().map(|row| row.runs).sum();
        let violations: u64 = of_rig.iter().map(|row| row.violations).sum();
        let reached = match of_rig.first() {
            None => "not run".to_owned(),
            Some(row) => {
                let unit = row.unit.split(" of ").next().unwrap_or_default();
                format!("{} {unit}", grouped(runs))
            }
        };
        let Rig { name, what, goal } = rig;
        let _ = writeln!(text, "| `{name}` | {what} | {goal} | {reached} | {violations} |");
    }
    text += "\n## Each part\n";
    for rig in RIGS {
        let parts = parts(rows, rig.name);
        if !parts.is_empty() {
            let _ = write!(text, "\n### {}\n\n{}", rig.name, render_parts(&parts));
        }
    }
    render_bits(&mut text, rows);
    text += TAIL;
    text
}

/// The rows of a rig, added up by part and by what is counted.
fn parts(rows: &[Row], rig: &str) -> Vec<(Row, Vec<u64>)> {
    let mut sums: BTreeMap<(&str, &str), (Row, Vec<u64>)> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.rig == rig) {
        let which = (row.part.as_str(), row.unit.as_str());
        let Some((sum, seeds)) = sums.get_mut(&which) else {
            sums.insert(which, (row.clone(), vec![row.seed]));
            continue;
        };
        sum.runs += row.runs;
        sum.violations += row.violations;
        sum.seconds += row.seconds;
        seeds.push(row.seed);
        for (name, count) in &row.counts {
            match sum.counts.iter_mut().find(|(known, _)| known == name) {
                // Of the worst the worst is told, and of everything else the sum.
                Some((name, total)) if is_extreme(name) => *total = (*total).max(*count),
                Some((_, total)) => *total += count,
                None => sum.counts.push((name.clone(), *count)),
            }
        }
    }
    sums.into_values().collect()
}

fn is_extreme(name: &str) -> bool {
    ["oldest", "slowest", "calls in"].iter().any(|word| name.starts_with(word))
}

fn render_parts(parts: &[(Row, Vec<u64>)]) -> String {
    let names: Vec<&String> = parts[0].0.counts.iter().map(|(name, _)| name).collect();
    let mut text = format!("| part | {} | violations |", parts[0].0.unit);
    let titles: Vec<String> = names.iter().map(|name| format!(" {name} |")).collect();
    text += &titles.concat();
    text += " seconds | seeds |\n| --- | --- | --- |";
    text += &" --- |".repeat(names.len() + 2);
    text.push('\n');
    for (row, seeds) in parts {
        let counts: Vec<String> =
            row.counts.iter().map(|(_, count)| format!(" {} |", grouped(*count))).collect();
        let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
        let _ = writeln!(
            text,
            "| {} | {} | {} |{} {:.0} | {} |",
            row.part,
            grouped(row.runs),
            row.violations,
            counts.concat(),
            row.seconds,
            seeds.join(", ")
        );
    }
    text
}

fn render_bits(text: &mut String, rows: &[Row]) {
    let parts = parts(rows, bits::NAME);
    if parts.is_empty() {
        *text += "\n## Damage, beside other engines\n\nNot run.\n";
        return;
    }
    *text += BITS;
    let mut harms: Vec<&str> = parts.iter().map(|(row, _)| row.unit.as_str()).collect();
    harms.sort_unstable();
    harms.dedup();
    for harm in harms {
        let of_harm: Vec<(Row, Vec<u64>)> =
            parts.iter().filter(|(row, _)| row.unit == harm).cloned().collect();
        let _ = write!(text, "\n{}", render_parts(&of_harm));
    }
}

/// A number with commas.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

const HEAD: &str = "\
# What faults have shown

Written by `cargo xtask torture` from `bench/results/torture.jsonl`; do not edit. What is promised is in
[durability.md](durability.md), and how these rigs work in the sources of `torture/`. Figures of several
runs add up. A violation is an acknowledged write that is not there, a state that is no prefix of the one
order, a batch in part, a deadline or a version that changed, a revision that was given out twice, an
undefined answer, a crash, or a hang. A rig stops at its first one.
";

const BITS: &str = "
## Damage, beside other engines

The same keys, values, changes and deletions were written to each engine, each change acknowledged as
durable, and the files copied as a kill would leave them. Then one bit is flipped, or a file is cut, and
everything is read. *told*: an error at opening or reading, or bytes that the report of recovery
counts as discarded. *harmless*: all is there and right. *silent*: no error, and something is missing or
wrong. *crashed*: the process ended or hung. Flips and cuts are sampled from the bytes in use.
The two modes of libkv are a store that was killed, and one that was closed.
A failed sync is one `EIO` of `fsync` or `fdatasync`; counted is whether the engine told anybody, and
whether it acknowledged writes after that without being opened again.
";

const TAIL: &str = "
## What this does not show

* `FS_IOC_SHUTDOWN` drops what the file system had not written; a drive that loses its own cache, or
  writes sectors in part, is modelled by the simulated disk of `kvcore/tests/durable` and not here. An
  answer that came after the cut had begun counts as never heard.
* `errors` fails the calls that `torture/c/faults.c` lists, at the boundary of the C library. `EINTR` from
  then on is fifty times: nothing survives being interrupted for ever.
* With `persistence=snapshot` and with `sync=interval` or `never`, what a crash may take is taken: the
  columns say how much, and that is no violation. The age of the oldest write lost with
  `sync=interval`, whose interval is 5 ms here, includes the syncs under way and the wait for a
  processor on a busy machine.
";

#[cfg(test)]
mod tests {
    use super::*;

    fn row(runs: u64, seed: u64) -> Row {
        Row {
            rig: kills::NAME.into(),
            part: "sync=always".into(),
            unit: "kills".into(),
            runs,
            violations: 0,
            seed,
            seconds: 1.0,
            counts: vec![("slowest".into(), seed), ("writes".into(), 2)],
            note: String::new(),
        }
    }

    #[test]
    fn figures_add_up_and_what_was_not_run_says_so() {
        let text = render(&[row(1_000, 7), row(234, 9)]);
        assert!(text.contains("| 1,234 kills | 0 |"), "{text}");
        assert!(text.contains("| sync=always | 1,234 | 0 | 9 | 4 | 2 | 7, 9 |"), "{text}");
        assert!(text.contains("| not run | 0 |"), "{text}");
    }
}
