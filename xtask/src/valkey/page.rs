//! The page `docs/valkey-tests.md`, and what of the outcome is a fault.

use std::fmt::Write;

use super::Ran;
use super::listed::Listed;
use super::output::Outcome;

/// One unit in a line.
pub fn line(outcome: &Outcome, listed: &Listed, unit: &str) -> String {
    format!(
        "{:>4} passed {:>4} failed {:>4} not applicable",
        outcome.passed.len(),
        failed(outcome),
        listed.of(unit).len()
    )
}

/// Tests that failed, and whatever else went wrong.
fn failed(outcome: &Outcome) -> usize {
    outcome.failed.len() + outcome.breaks.len()
}

/// Everything that should not be.
pub fn faults(all: &[Ran<'_>]) -> Vec<String> {
    let mut faults = Vec::new();
    for Ran { unit, outcome } in all {
        let failed = outcome.failed.iter();
        faults.extend(failed.map(|(name, why)| format!("{unit}: {name}: {why}")));
        faults.extend(outcome.breaks.iter().map(|why| format!("{unit}: {why}")));
    }
    faults
}

/// Tests that are listed as not applicable and passed. A name may stand for several tests, of which one
/// that fails is enough.
pub fn listed_and_passed(all: &[Ran<'_>], listed: &Listed) -> Vec<String> {
    let mut passed = Vec::new();
    for Ran { unit, outcome } in all {
        for name in outcome.passed.iter().filter(|name| listed.reason(unit, name).is_some()) {
            if !outcome.failed.iter().any(|(failed, _)| failed == name) {
                passed.push(format!("{unit}: {name}"));
            }
        }
    }
    passed
}

/// Writes the page.
pub fn write(all: &[Ran<'_>], listed: &Listed) -> String {
    let mut text = String::from(
        "# Valkey's own tests\n\n\
         Written by `cargo xtask valkey --suite DIR`, where `DIR` holds the source of Valkey 7.2. Each unit runs\n\
         in the external-server mode of that suite, with one database, against a `kv-server` of its own. A test\n\
         is *not applicable* if it needs what does not exist here; `xtask/src/valkey/not-applicable.txt` names\n\
         every one of them with its reason. Tests that the suite tags as tests of replication, or as none for\n\
         an external server, are left out by their tags and not counted.\n\n\
         | unit | passed | failed | not applicable |\n| --- | ---: | ---: | ---: |\n",
    );
    let mut total = [0; 3];
    for Ran { unit, outcome } in all {
        let counts = [outcome.passed.len(), failed(outcome), listed.of(unit).len()];
        let [passed, failed, not_applicable] = counts;
        // Writing to a string never fails.
        let _ = writeln!(text, "| {unit} | {passed} | {failed} | {not_applicable} |");
        total.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
    }
    let [passed, failed, not_applicable] = total;
    let _ = writeln!(
        text,
        "| **all** | **{passed}** | **{failed}** | **{not_applicable}** |\n\n## Not applicable\n\n| tests | because |\n| ---: | --- |"
    );
    let units: Vec<&str> = all.iter().map(|ran| ran.unit).collect();
    for (word, count) in listed.by_reason(&units) {
        let why = listed.reasons.get(word).map_or("", String::as_str);
        let _ = writeln!(text, "| {count} | {why} |");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_faults_and_a_listed_test_should_fail() {
        let unit = "unit/x";
        let listed = Listed::parse("= types: none\nunit/x\ntypes: a\ntypes: b\n").unwrap();
        let outcome = Outcome {
            passed: vec!["b".to_owned(), "d".to_owned()],
            failed: vec![("a".to_owned(), String::new()), ("c".to_owned(), "why".to_owned())],
            breaks: vec!["it hangs".to_owned()],
            ..Outcome::default()
        };
        let all = [Ran { unit, outcome }];
        assert_eq!(faults(&all), ["unit/x: a: ", "unit/x: c: why", "unit/x: it hangs"]);
        assert_eq!(listed_and_passed(&all, &listed), ["unit/x: b"]);
        let page = write(&all, &listed);
        assert!(page.contains("| unit/x | 2 | 3 | 2 |"), "{page}");
        assert!(page.contains("| 2 | none |"), "{page}");
    }
}
