//! Go: the benchmarks of `bindings/go/kvstore` that take turns between calls in Go, the C function
//! called from C, and a cgo call of nothing. Their figures are read, not made again.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::outside::stdout_of;
use crate::samples::{Goal, Limit, Samples};
use crate::scale::Scale;
use crate::text::table;

const TABLE: &str = "go";
/// What a Go get may take of the C call and one cgo call together.
const GOAL: f64 = 1.6;
/// The ratio that has the goal, and the same against C calls that do not overlap.
const GOALS: [(&str, &str); 2] = [
    ("Get-ratio", "the C call in a loop of such calls"),
    ("Get-alone-ratio", "the C call by itself, not overlapped with the next one,"),
];
/// The figures in the table, by their names in Go.
const COLUMNS: [(&str, &str); 8] = [
    ("C-ns", "C in a loop, ns"),
    ("C-alone-ns", "C by itself, ns"),
    ("cgo-ns", "cgo call of nothing, ns"),
    ("Get-ns", "`Get`, ns"),
    ("AppendGet-ns", "`AppendGet`, ns"),
    ("Set-ns", "`Set`, ns"),
    ("ratio", "Go : (C in a loop + cgo)"),
    ("alone-ratio", "Go : (C by itself + cgo)"),
];

/// Compiles the benchmarks and runs them.
pub fn run(root: &Path, scale: &Scale, samples: &mut Samples) -> Result<()> {
    let folder = root.join("bindings/go");
    let program = std::env::temp_dir().join(format!("kvbench-go-{}.test", std::process::id()));
    println!("go: compiling the benchmarks");
    let mut compile = Command::new("go");
    compile.args(["test", "-c", "-o"]).arg(&program).arg("./kvstore").current_dir(&folder);
    stdout_of(&mut compile)?;
    for repeat in 0..scale.repeats {
        println!("go: run {}", repeat + 1);
        let mut measure = Command::new(&program);
        measure.args(["-test.run", "^$", "-test.bench", "BesideC"]);
        // Their own folder, as `go test` would run them.
        let text = stdout_of(measure.current_dir(folder.join("kvstore")))?;
        let lines: Vec<Line<'_>> = text.lines().filter_map(read_line).collect();
        ensure!(!lines.is_empty(), "the benchmarks in Go printed no figures:\n{text}");
        for line in lines {
            for (value, figure) in line.figures {
                let unit = if figure.ends_with("-ns") { "ns" } else { "x" };
                samples.add(TABLE, &line.case, figure, unit, value);
            }
        }
    }
    Ok(std::fs::remove_file(&program)?)
}

/// What one benchmark printed.
struct Line<'t> {
    case: String,
    figures: Vec<(f64, &'t str)>,
}

/// Reads `BenchmarkGetBesideC/1000_keys-2  50  60.0 C-ns  1.4 Get-ratio`.
fn read_line(line: &str) -> Option<Line<'_>> {
    let mut words = line.strip_prefix("Benchmark")?.split_whitespace();
    let (name, keys) = words.next()?.split_once("BesideC/")?;
    let keys = keys.split_once('-').map_or(keys, |(keys, _processors)| keys);
    let case = format!("{name}, {}", keys.replace('_', " "));
    let _turns = words.next()?;
    let mut figures = Vec::new();
    while let (Some(value), Some(figure)) = (words.next(), words.next()) {
        if figure != "ns/op" {
            figures.push((value.parse().ok()?, figure));
        }
    }
    Some(Line { case, figures })
}

/// The cases with gets.
fn cases(samples: &Samples) -> Vec<&str> {
    let mut cases = samples.cases(TABLE);
    cases.retain(|case| case.starts_with("Get"));
    cases
}

/// What Go has to show.
pub fn goals(samples: &Samples) -> Vec<Goal> {
    let goal = |case: &&str| {
        GOALS.map(|(figure, c)| Goal {
            what: format!("Go `Get`, as a multiple of {c} and one cgo call together ({case})"),
            measured: samples.median(TABLE, case, figure),
            limit: Limit::AtMost(GOAL),
            unit: "x",
        })
    };
    cases(samples).iter().flat_map(goal).collect()
}

/// The table, in Markdown.
pub fn report(samples: &Samples) -> String {
    let row = |case: &str| {
        let call = case.split_once(',').map_or(case, |(call, _)| call);
        let figure = |(name, _): &(&str, &str)| {
            let ratio = name.ends_with("ratio");
            let name = if ratio { format!("{call}-{name}") } else { (*name).to_owned() };
            match samples.median(TABLE, case, &name) {
                number if number.is_nan() => String::new(),
                number if ratio => format!("{number:.2}x"),
                number => format!("{number:.0}"),
            }
        };
        let mut row = vec![case.to_owned()];
        row.extend(COLUMNS.iter().map(figure));
        row
    };
    let rows: Vec<Vec<String>> = samples.cases(TABLE).into_iter().map(row).collect();
    let mut header = vec![""];
    header.extend(COLUMNS.map(|(_, title)| title));
    format!(
        "## Go\n\nIn a loop in C the processor works on several calls at once, which calls through \
         cgo do not let it do.\n\n{}",
        table(&header, &rows)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_go_benchmarks() {
        let text = "BenchmarkGetBesideC/1000_keys-2  50  0 ns/op  60.5 C-ns  1.4 Get-ratio";
        let line = read_line(text).unwrap();
        assert_eq!(line.case, "Get, 1000 keys");
        assert_eq!(line.figures, [(60.5, "C-ns"), (1.4, "Get-ratio")]);
        assert!(read_line("BenchmarkSet-2 10 5 ns/op").is_none());
        assert!(read_line("PASS").is_none());
    }
}
