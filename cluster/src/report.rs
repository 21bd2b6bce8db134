//! Writes `docs/failover-report.md`, from what one run has measured and nothing else.

use std::fmt::Write as _;

/// One number of a part.
#[derive(Debug)]
pub struct Figure {
    what: &'static str,
    number: Option<u64>,
}

impl Figure {
    /// A number, or that there is none.
    pub fn new(what: &'static str, number: Option<u64>) -> Figure {
        Figure { what, number }
    }
}

/// What one part of a run came to.
#[derive(Debug)]
pub struct Part {
    /// Which part.
    pub name: String,
    /// How many rounds there were, and what a round is.
    pub rounds: u64,
    pub unit: &'static str,
    /// What was measured.
    pub figures: Vec<Figure>,
    /// What was wrong.
    pub faults: Vec<String>,
}

impl Part {
    /// A part with nothing in it.
    pub fn new(name: String, unit: &'static str) -> Part {
        Part { name, rounds: 0, unit, figures: Vec::new(), faults: Vec::new() }
    }
}

/// What the name of each part of a whole run begins with.
const ALL: [&str; 3] = ["C,", "Python,", "near cache,"];

/// The report. What was not run says so.
pub fn render(parts: &[Part]) -> String {
    let mut text = format!("{HEAD}{}", figures(parts));
    for missing in ALL.iter().filter(|all| !parts.iter().any(|part| part.name.starts_with(**all))) {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n## {}\n\nNot run.\n", missing.trim_end_matches(','));
    }
    text
}

/// What was measured, as it stands in the report.
pub fn figures(parts: &[Part]) -> String {
    let mut text = String::new();
    for Part { name, rounds, unit, figures, faults } in parts {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n## {name}\n\n| what | figure |\n| --- | --- |\n");
        let _ = writeln!(text, "| {unit} | {rounds} |");
        let _ = writeln!(text, "| violations | {} |", faults.len());
        for Figure { what, number } in figures {
            let number = number.map_or("none".to_owned(), grouped);
            let _ = writeln!(text, "| {what} | {number} |");
        }
        for fault in faults {
            let _ = writeln!(text, "\n* {fault}");
        }
    }
    text
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
# What failovers have shown

Written by `cargo xtask failover`; do not edit. What is promised is in [cluster.md](cluster.md), and how it is
tried in the sources of `cluster/`. Three masters with a replica each run on one machine, with a
`cluster-node-timeout` of one second.

Under a program, a master is killed again and again. Half of its threads use `ack_replicas=1`. A violation is
a value that was never written or is older than what is promised, an increment made twice, with `ack_replicas` one
that was acknowledged and is gone, an error of an undocumented kind, a call longer than its deadline and half a
second for the machine, or a thread without `ack_replicas` that is not answered within a second of the promotion.
A change with `ack_replicas` cannot be confirmed before the killed server is back as a replica.

Under the near cache, half of the readers share the handle of the writer. A violation is a value that nobody
wrote, one older than what the own handle wrote, or, once nobody writes, any other than the servers have.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_and_faults_are_shown() {
        let mut part = Part::new("C, 16 threads".into(), "kills");
        part.rounds = 20;
        part.figures.push(Figure::new("calls", Some(1_234_567)));
        let text = render(&[part]);
        assert!(text.contains("## Python\n\nNot run.") && !text.contains("## C\n"), "{text}");
        assert!(text.contains("## C, 16 threads"), "{text}");
        assert!(
            text.contains("| kills | 20 |\n| violations | 0 |\n| calls | 1,234,567 |"),
            "{text}"
        );
    }
}
