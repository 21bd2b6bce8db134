//! TTLs: `kvcore/examples/ttl_reclaim.rs`, in which 100,000 deadlines pass while four threads look.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::outside::stdout_of;
use crate::samples::{Goal, Limit, Samples};
use crate::scale::Scale;
use crate::text::table;

const TABLE: &str = "ttl";
const CASE: &str = "100,000 keys, deadlines spread over 2 s, polled by 4 threads";
const LATE: &str = "seen after its deadline";
const EARLY: &str = "gone before its deadline";
const BACK: &str = "all memory back after the last deadline";
const POLLS: &str = "polls";
const CLEANUP_INTERVAL_MS: f64 = 100.0;

/// Runs the example several times.
pub fn run(scale: &Scale, samples: &mut Samples) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    for repeat in 0..scale.repeats {
        println!("ttl: run {}", repeat + 1);
        let mut example = Command::new(&cargo);
        example.args(["run", "--quiet", "--locked", "--release", "--package", "kvcore"]);
        example.args(["--example", "ttl_reclaim", "--", "100000", "2000"]);
        let text = stdout_of(example.arg(CLEANUP_INTERVAL_MS.to_string()))?;
        let mut number = |subject, unit, before: &str, after: &str| -> Result<f64> {
            let value = number_between(&text, before, after)
                .with_context(|| format!("ttl_reclaim printed no {subject}:\n{text}"))?;
            samples.add(TABLE, CASE, subject, unit, value);
            Ok(value)
        };
        number(POLLS, "calls", "\n", " polls by")?;
        let late = number(LATE, "keys", "threads: ", " seen late")?;
        let early = number(EARLY, "keys", "late, ", " gone early")?;
        number(BACK, "ms", "at the latest ", " ms after")?;
        ensure!(late + early == 0.0, "deadlines are not exact:\n{text}");
    }
    Ok(())
}

/// The number right before `after`, as long as `before` comes right before that.
fn number_between(text: &str, before: &str, after: &str) -> Option<f64> {
    let end = text.find(after)?;
    let start = text[..end].rfind(before)? + before.len();
    text[start..end].parse().ok()
}

/// What the deadlines have to show. The slowest run counts.
pub fn goals(samples: &Samples) -> Vec<Goal> {
    let slowest = samples.series(TABLE, CASE, BACK).into_iter().reduce(f64::max);
    vec![Goal {
        what: format!("{BACK} ({CASE}), with a `cleanup_interval` of {CLEANUP_INTERVAL_MS} ms"),
        measured: slowest.unwrap_or(f64::NAN),
        limit: Limit::AtMost(CLEANUP_INTERVAL_MS + 50.0),
        unit: "ms",
    }]
}

/// The table, in Markdown.
pub fn report(samples: &Samples) -> String {
    let row = |subject: &str, unit: &str| {
        let series = samples.series(TABLE, CASE, subject);
        let mut row = vec![format!("{subject}{unit}")];
        row.extend(series.iter().map(|value| format!("{value:.0}")));
        row
    };
    let rows = [row(POLLS, ""), row(LATE, ""), row(EARLY, ""), row(BACK, ", ms")];
    let runs: Vec<String> = (1..rows[0].len()).map(|run| format!("run {run}")).collect();
    let mut header = vec![""];
    header.extend(runs.iter().map(String::as_str));
    format!("## Deadlines\n\n{CASE}.\n\n{}", table(&header, &rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_a_text() {
        let text = "keys 9\n77 polls by 4 threads: 0 seen late, 3 gone early\n";
        assert_eq!(number_between(text, "\n", " polls by"), Some(77.0));
        assert_eq!(number_between(text, "threads: ", " seen late"), Some(0.0));
        assert_eq!(number_between(text, "late, ", " gone early"), Some(3.0));
        assert_eq!(number_between(text, "late, ", " gone"), Some(3.0));
        assert_eq!(number_between(text, "late, ", " missing"), None);
    }
}
