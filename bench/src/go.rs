//! Go: the benchmarks of `bindings/go/kvstore`, which also measure the C calls in a loop in C and a
//! cgo call of nothing. The test program is compiled once and run several times, so that what is
//! compared lies close together in time.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::outside::stdout_of;
use crate::samples::{Goal, Samples, median};
use crate::scale::Scale;
use crate::text::table;

const TABLE: &str = "go";
const CASE: &str = "100,000 keys in random order";
const CGO: &str = "CgoCallOfNothing";
/// Calls in Go, and the call in C that each is held against.
const PAIRS: [(&str, &str); 4] =
    [("Get", "CGetInto"), ("AppendGet", "CGetInto"), ("Set", "CSet"), ("SetWithTTL", "CSet")];
/// What a Go get may take of the C call and one cgo call together.
const GOAL: f64 = 1.6;

/// Compiles the benchmarks and runs them.
pub fn run(root: &Path, scale: &Scale, samples: &mut Samples) -> Result<()> {
    let folder = root.join("bindings/go");
    let program = std::env::temp_dir().join(format!("kvbench-go-{}.test", std::process::id()));
    println!("go: compiling the benchmarks");
    let mut compile = Command::new("go");
    compile.args(["test", "-c", "-o"]).arg(&program).arg("./kvstore").current_dir(&folder);
    stdout_of(&mut compile)?;
    let pattern = format!("^Benchmark({CGO}|CGetInto|CSet|Get|AppendGet|Set|SetWithTTL)$");
    for repeat in 0..scale.repeats {
        println!("go: run {}", repeat + 1);
        let mut measure = Command::new(&program);
        measure.args(["-test.run", "^$", "-test.bench", &pattern, "-test.benchtime", "300ms"]);
        // Their own folder, as `go test` would run them.
        let text = stdout_of(measure.current_dir(folder.join("kvstore")))?;
        let rows: Vec<(&str, f64)> = text.lines().filter_map(read_line).collect();
        ensure!(rows.len() == PAIRS.len() + 3, "the benchmarks in Go printed:\n{text}");
        for (name, ns) in rows {
            samples.add(TABLE, CASE, name, "ns", ns);
        }
    }
    std::fs::remove_file(&program).context("cannot remove the compiled benchmarks")?;
    Ok(())
}

/// Name and nanoseconds of a line such as `BenchmarkGet-2   1000   310.5 ns/op   112 B/op`.
fn read_line(line: &str) -> Option<(&str, f64)> {
    let mut words = line.strip_prefix("Benchmark")?.split_whitespace();
    let name = words.next()?;
    let name = name.split_once('-').map_or(name, |(name, _processors)| name);
    let _calls = words.next()?;
    let ns = words.next()?.parse().ok()?;
    (words.next()? == "ns/op").then_some((name, ns))
}

/// How many times the C call and one cgo call together is the call in Go.
fn over_c_and_cgo(samples: &Samples, go: &str, c: &str) -> f64 {
    let series = |name| samples.series(TABLE, CASE, name);
    let rounds = series(go).into_iter().zip(series(c)).zip(series(CGO));
    median(rounds.map(|((go, c), cgo)| go / (c + cgo)).collect())
}

/// What Go has to show.
pub fn goals(samples: &Samples) -> Vec<Goal> {
    vec![Goal {
        what: "Go `Get`, as a multiple of the C call and one cgo call together".to_owned(),
        measured: over_c_and_cgo(samples, "Get", "CGetInto"),
        limit: GOAL,
        unit: "x",
    }]
}

/// The table, in Markdown.
pub fn report(samples: &Samples) -> String {
    let ns = |name| format!("{:.0}", samples.median(TABLE, CASE, name));
    let rows = PAIRS.map(|(go, c)| {
        let ratio = format!("{:.2}x", over_c_and_cgo(samples, go, c));
        [format!("`{go}`"), ns(go), ns(c), ns(CGO), ratio]
    });
    let header = ["call", "ns in Go", "ns in C", "ns of a cgo call of nothing", "Go : (C + cgo)"];
    format!("## Go\n\n{CASE}.\n\n{}", table(&header, &rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_go_benchmarks() {
        let line = "BenchmarkGet-2   \t 1000\t       310.5 ns/op\t     112 B/op";
        assert_eq!(read_line(line), Some(("Get", 310.5)));
        assert_eq!(read_line("BenchmarkSet \t 10 \t 5 ns/op"), Some(("Set", 5.0)));
        assert_eq!(read_line("goos: linux"), None);
        assert_eq!(read_line("PASS"), None);
    }
}
