//! Whether the yardsticks agree with figures that somebody else computed.
//!
//! `reference-hit-ratios.csv` lies beside the traces. Its LRU and its optimum must come out here to
//! the last digit it prints: a disagreement means that a trace is decoded wrongly or a yardstick is
//! bent, so nothing may be reported. Its other columns are of other people's code and are not used.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::exact;
use super::traces::Trace;

const FILE: &str = "reference-hit-ratios.csv";

/// Half a unit of the last digit, and a little.
const TOLERANCE: f64 = 0.006;

/// A row: what an LRU cache and the optimum hit at this size, in percent.
#[derive(Debug, PartialEq)]
struct Row {
    size: usize,
    lru: f64,
    optimum: f64,
}

/// Compares both yardsticks with each row of this trace. A folder without the file has none.
///
/// # Errors
/// If the file cannot be understood, or a figure differs.
pub fn check(folder: &Path, name: &str, trace: &Trace) -> Result<()> {
    let path = folder.join(FILE);
    if !path.is_file() {
        return Ok(());
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {FILE}"))?;
    let rows = rows(&text, name)?;
    let sizes: Vec<_> = rows.iter().map(|row| row.size).collect();
    for (row, lru) in rows.iter().zip(exact::lru(trace, &sizes)) {
        let optimum = exact::optimum(trace, row.size);
        for (what, hits, expected) in [("LRU", lru, row.lru), ("optimum", optimum, row.optimum)] {
            let percent = 100.0 * hits as f64 / trace.keys.len() as f64;
            ensure!(
                (percent - expected).abs() <= TOLERANCE,
                "{name} at {}: {what} is {percent:.3} % here and {expected} % in {FILE}",
                row.size
            );
        }
    }
    Ok(())
}

/// The rows of a trace; the file names them `family/trace`.
fn rows(text: &str, name: &str) -> Result<Vec<Row>> {
    let mut lines = text.lines();
    let header: Vec<_> = lines.next().unwrap_or_default().split(',').collect();
    let column = |title| header.iter().position(|column| *column == title).context("a column");
    let (trace, size) = (column("trace")?, column("capacity")?);
    let (lru, optimum) = (column("LRU")?, column("OPT")?);
    let mut rows = Vec::new();
    for line in lines {
        let fields: Vec<_> = line.split(',').collect();
        let field = |at: usize| fields.get(at).copied().with_context(|| format!("short: {line}"));
        let its = field(trace)?.rsplit('/').next().unwrap_or_default();
        if its.eq_ignore_ascii_case(name) {
            rows.push(Row {
                size: field(size)?.parse()?,
                lru: field(lru)?.parse()?,
                optimum: field(optimum)?.parse()?,
            });
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_trace() {
        let text = "trace,capacity,FIFO,LRU,OPT\narc/OLTP,500,1,2.5,3\nlirs/gli,7,1,2,3\n";
        assert_eq!(rows(text, "oltp").unwrap(), [Row { size: 500, lru: 2.5, optimum: 3.0 }]);
        assert_eq!(rows(text, "none").unwrap(), []);
        assert!(rows("trace,capacity\n", "oltp").is_err());
    }
}
