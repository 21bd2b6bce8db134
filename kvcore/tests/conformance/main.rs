//! Runs the cases of `tests/conformance` through the Rust interface.
//!
//! Every case runs twice: with the system's clock, and with a manual one that `wait` moves. The
//! driver is itself shown to be able to fail, by cases with planted mistakes.

#![allow(clippy::unwrap_used)]
#![cfg(not(kv_shuttle))]
#![allow(clippy::disallowed_methods)]

mod case;
mod folder;
mod group;
mod removed;
mod run;
mod watched;

use case::Case;
use run::Timing;

/// What every case file begins to miss when somebody drops one by accident.
const CASES_AT_LEAST: usize = 395;

/// The cases of a store of this process: all but those that need servers.
fn cases() -> Vec<Case> {
    case::all().into_iter().filter(|case| !case.needs("servers")).collect()
}

fn run_all(cases: &[Case], timing: fn() -> Timing) {
    let failures: Vec<String> =
        cases.iter().filter_map(|case| run::run(case, timing()).err()).collect();
    assert!(
        failures.is_empty(),
        "{} of {} cases failed:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
    println!("{} cases passed", cases.len());
}

#[test]
fn with_the_system_clock() {
    run_all(&cases(), Timing::system);
}

#[test]
fn with_a_manual_clock() {
    // A store in a directory goes by the system's clock.
    let cases: Vec<Case> = cases().into_iter().filter(|case| !case.needs("directory")).collect();
    run_all(&cases, Timing::manual);
}

#[test]
fn names_are_unique_and_cases_are_many() {
    let cases = case::all();
    assert!(cases.len() >= CASES_AT_LEAST, "only {} cases were found", cases.len());
    let mut names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    names.sort_unstable();
    for pair in names.windows(2) {
        assert_ne!(pair[0], pair[1], "two cases have one name");
    }
}

/// Lines with a planted mistake, and what the complaint must name.
const PLANTED: &[(&str, &str)] = &[
    ("get \"k\" -> OK \"other\"", "expected \"other\""),
    ("get \"k\" -> NOT_FOUND", "expected NOT_FOUND"),
    ("get \"x\" -> OK \"v\"", "expected OK"),
    ("set \"k\" \"w\" -> OK version=<$v", "version"),
    ("set \"k\" \"w\" if=absent -> OK", "expected OK"),
    ("info \"k\" -> OK \"v\" version=$v+1", "version"),
    ("info \"k\" -> OK version=>$v", "version"),
    ("info \"k\" -> OK expire_at=1..5", "expire_at"),
    ("ttl \"k\" -> OK ttl=1..1000", "ttl"),
    ("len -> OK count=2", "count"),
    ("incr \"n\" 5 -> OK number=6", "number"),
    ("incr \"k\" 5 -> OK", "expected OK"),
    ("append \"k\" \"x\" -> OK len=3", "len"),
    ("get_many \"k\" \"x\" -> OK \"v\" \"v\"", "expected"),
    ("get_many \"k\" \"x\" -> OK \"v\"", "expected"),
    ("keys -> OK", "expected"),
    ("keys -> OK \"k\" \"x\"", "expected"),
    ("get_into \"k\" 0 -> OK", "expected OK"),
    ("fill \"f\" 3 \"v\" -> OK count=4", "count"),
    ("stats -> OK entries=2", "entries"),
    ("configure max_entries=x -> ERR_INVALID message=\"something else\"", "message"),
    ("len -> OK colour=1", "colour"),
    ("len -> OK count=$nothing", "$nothing"),
    ("removed 0 -> OK \"deleted\"", "expected \"deleted\""),
    ("snapshot \"{dir}/file.kvs\" -> OK entries=2", "entries"),
    ("restore \"{dir}/file.kvs\" -> OK", "expected OK"),
    ("recovery -> OK records=1", "records"),
    ("write del \"k\" del \"k\" -> OK applied=2", "applied"),
    ("write set \"k\" \"w\" if=absent -> OK", "expected OK"),
    ("write set \"x\" \"w\" set \"k\" \"w\" if=absent -> CONFLICT failed=0", "failed"),
    ("write frobnicate \"k\" -> OK", "frobnicate"),
    ("scan -> OK", "expected"),
    ("scan prefix=\"x\" -> OK \"k\" \"v\"", "expected"),
    ("scan keys_only=1 -> OK \"k\" \"v\"", "expected"),
    ("scan colour=1 -> OK", "colour"),
    ("frobnicate \"k\" -> OK", "frobnicate"),
    ("get \"k", "quote"),
    ("get \"k\"", "->"),
    ("get k -> OK", "bytes"),
    ("set \"k\" \"v\" colour=red -> OK", "colour"),
];

#[test]
fn planted_mistakes_are_found() {
    let prelude = "case planted\nopen -> OK\nset \"k\" \"v\" -> OK version=?v\n";
    let good = case::parse("good", format!("{prelude}get \"k\" -> OK \"v\"\n").as_bytes()).unwrap();
    run::run(&good[0], Timing::manual()).unwrap();
    for (line, complaint) in PLANTED {
        let text = format!("{prelude}{line}\n");
        let result = case::parse("planted", text.as_bytes())
            .and_then(|cases| run::run(&cases[0], Timing::manual()));
        let error = result.expect_err(line);
        assert!(error.starts_with("planted:4: "), "{line} gave: {error}");
        assert!(error.contains(complaint), "{line} gave: {error}");
    }
}

#[test]
fn files_that_are_no_cases_are_refused() {
    for text in [
        "get \"k\" -> OK",
        "case a\nneeds teleportation\n",
        "case a\nopen -> OK\nneeds keys\n",
        "case a b\n",
        "case A\n",
        "case a\nget \"\\q\" -> OK\n",
        "case a\nget \"\\x4\" -> OK\n",
        "case a\nget \"a\"*x -> OK\n",
        "case a\nget \"a\"+ -> OK\n",
        "case a\nget \"a\"b -> OK\n",
    ] {
        assert!(case::parse("bad", text.as_bytes()).is_err(), "{text} was taken");
    }
}
