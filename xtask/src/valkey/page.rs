//! The page `docs/valkey-tests.md`, and what of the outcome is a fault.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::Ran;
use super::listed::Listed;
use super::output::Outcome;

/// The outcome of a unit in numbers.
struct Counts {
    passed: usize,
    failed: usize,
    listed: usize,
}

fn counts(outcome: &Outcome, listed: &Listed, unit: &str) -> Counts {
    let is_listed = |name: &str| listed.reason(unit, name).is_some();
    let known = outcome.failed.iter().filter(|(name, _)| is_listed(name)).count();
    Counts {
        passed: outcome.passed.len(),
        failed: outcome.failed.len() - known + outcome.breaks.len(),
        listed: known,
    }
}

/// One unit in a line.
pub fn line(outcome: &Outcome, listed: &Listed, unit: &str) -> String {
    let Counts { passed, failed, listed } = counts(outcome, listed, unit);
    format!("{passed:>4} passed {failed:>4} failed {listed:>4} not applicable")
}

/// Everything that should not be: failures that are not listed, and tests that are and passed.
pub fn faults(all: &[Ran<'_>], listed: &Listed) -> Vec<String> {
    let mut faults = Vec::new();
    for Ran { unit, outcome } in all {
        for (name, why) in &outcome.failed {
            if listed.reason(unit, name).is_none() {
                faults.push(format!("{unit}: {name}: {why}"));
            }
        }
        for name in &outcome.passed {
            let fails_too = outcome.failed.iter().any(|(failed, _)| failed == name);
            if listed.reason(unit, name).is_some() && !fails_too {
                faults.push(format!("{unit}: {name}: passes, so it does not belong into the list"));
            }
        }
        faults.extend(outcome.breaks.iter().map(|why| format!("{unit}: {why}")));
    }
    faults
}

/// Writes the page.
pub fn write(all: &[Ran<'_>], listed: &Listed) -> String {
    let mut text = String::from(
        "# Valkey's own tests\n\n\
         Written by `cargo xtask valkey --suite DIR`, where `DIR` holds the source of Valkey 7.2. Each unit runs\n\
         in the external-server mode of that suite (`--singledb`) against a `kv-server` of its own. A test is\n\
         *not applicable* if it needs what does not exist here; `xtask/src/valkey/not-applicable.txt` names\n\
         every one of them with its reason, and any other failure is a fault. Tests of replication are left out\n\
         by their tag.\n\n\
         | unit | passed | failed | not applicable |\n| --- | ---: | ---: | ---: |\n",
    );
    let mut total = Counts { passed: 0, failed: 0, listed: 0 };
    let mut by_reason = BTreeMap::<&str, usize>::new();
    for Ran { unit, outcome } in all {
        let counts = counts(outcome, listed, unit);
        // Writing to a string never fails.
        let _ = writeln!(
            text,
            "| {unit} | {} | {} | {} |",
            counts.passed, counts.failed, counts.listed
        );
        total.passed += counts.passed;
        total.failed += counts.failed;
        total.listed += counts.listed;
        for word in outcome.failed.iter().filter_map(|(name, _)| listed.reason(unit, name)) {
            *by_reason.entry(word).or_default() += 1;
        }
    }
    let _ = writeln!(
        text,
        "| **all** | **{}** | **{}** | **{}** |\n\n## Not applicable\n\n| tests | because |\n| ---: | --- |",
        total.passed, total.failed, total.listed
    );
    for (word, count) in by_reason {
        let why = listed.reasons.get(word).map_or("", String::as_str);
        let _ = writeln!(text, "| {count} | {why} |");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_has_to_fail_and_everything_else_has_to_pass() {
        let unit = "unit/x";
        let listed = Listed::parse("= types: none\nunit/x\ntypes: a\ntypes: b\n").unwrap();
        let outcome = Outcome {
            passed: vec!["b".to_owned()],
            failed: vec![("a".to_owned(), String::new()), ("c".to_owned(), "why".to_owned())],
            ..Outcome::default()
        };
        let all = [Ran { unit, outcome }];
        let faults = faults(&all, &listed);
        assert_eq!(faults.len(), 2);
        assert!(faults[0].contains("c: why") && faults[1].contains("b: passes"));
        assert!(write(&all, &listed).contains("| unit/x | 1 | 1 | 1 |"));
    }
}
