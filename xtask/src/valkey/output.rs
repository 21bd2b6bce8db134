//! What the suite prints, as a list of tests and what came of them.

/// What came of the tests of a unit.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Those that passed.
    pub passed: Vec<String>,
    /// Those that failed, and how.
    pub failed: Vec<(String, String)>,
    /// Tests and groups of tests that the suite left out by their tags.
    pub left_out: usize,
    /// What kept the unit from going on.
    pub breaks: Vec<String>,
}

impl Outcome {
    /// Reads what was printed.
    pub fn read(printed: &str) -> Outcome {
        let mut outcome = Outcome::default();
        let mut lines = printed.lines().peekable();
        while let Some(line) = lines.next() {
            let Some((status, text)) =
                line.strip_prefix('[').and_then(|rest| rest.split_once("]: "))
            else {
                continue;
            };
            match status {
                "ok" => outcome.passed.push(without_time(text).to_owned()),
                "ignore" => outcome.left_out += 1,
                "err" => {
                    let why = lines.peek().filter(|next| !next.starts_with('['));
                    let why = why.map_or("", |why| why.trim()).to_owned();
                    match text.rsplit_once(" in tests/") {
                        Some((name, _)) => outcome.failed.push((name.to_owned(), why)),
                        None => outcome.breaks.push(format!("{text} {why}")),
                    }
                }
                "exception" | "TIMEOUT" => outcome.breaks.push(text.to_owned()),
                _ => {}
            }
        }
        // At the end the suite tells every failure once more.
        let mut seen = Vec::new();
        outcome.failed.retain(|failure| {
            let is_new = !seen.contains(failure);
            seen.push(failure.clone());
            is_new
        });
        outcome.breaks.dedup();
        outcome
    }
}

/// The name of a test without the time it took: `SET and GET (12 ms)`.
fn without_time(text: &str) -> &str {
    match text.rsplit_once(" (") {
        Some((name, time)) if time.ends_with(" ms)") => name,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_names_and_reasons_are_told_apart() {
        let printed = "\
Testing unit/x
[ok]: GET (a) works (3 ms)
[err]: DEL in db 9 in tests/unit/x.tcl
Expected '1' to equal '2'
[ignore]: Tag: slow denied
[exception]: Executing test client: I/O error reading reply.

!!! WARNING The following tests failed:

*** [err]: DEL in db 9 in tests/unit/x.tcl
";
        let outcome = Outcome::read(printed);
        assert_eq!(outcome.passed, ["GET (a) works"]);
        let failure = ("DEL in db 9".to_owned(), "Expected '1' to equal '2'".to_owned());
        assert_eq!(outcome.failed, [failure]);
        assert_eq!(outcome.left_out, 1);
        assert_eq!(outcome.breaks, ["Executing test client: I/O error reading reply."]);
    }
}
