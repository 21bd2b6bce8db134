//! What was measured, and the figures that are made of it.
//!
//! Owns the raw numbers of a run. Invariant: what was measured in the same round has the same place
//! in its series, so that a ratio can be taken round by round: a slow moment of the machine then
//! falls on both sides.

use std::fmt::Write;

/// One number.
struct Sample {
    table: &'static str,
    case: String,
    subject: String,
    unit: &'static str,
    value: f64,
}

/// All numbers of a run, in the order in which they were measured.
#[derive(Default)]
pub struct Samples(Vec<Sample>);

impl Samples {
    /// Adds a number to the series of that table, case and subject.
    pub fn add(
        &mut self,
        table: &'static str,
        case: &str,
        subject: &str,
        unit: &'static str,
        value: f64,
    ) {
        let (case, subject) = (case.to_owned(), subject.to_owned());
        self.0.push(Sample { table, case, subject, unit, value });
    }

    /// The series of a table, case and subject.
    pub fn series(&self, table: &str, case: &str, subject: &str) -> Vec<f64> {
        let of = |s: &&Sample| s.table == table && s.case == case && s.subject == subject;
        self.0.iter().filter(of).map(|sample| sample.value).collect()
    }

    /// The subjects of a table, in the order in which they were first measured.
    pub fn subjects<'s>(&'s self, table: &'s str) -> impl Iterator<Item = &'s str> {
        let mut seen = Vec::new();
        let of_table = self.0.iter().filter(move |sample| sample.table == table);
        of_table.map(|sample| sample.subject.as_str()).filter(move |subject| {
            let new = !seen.contains(subject);
            if new {
                seen.push(*subject);
            }
            new
        })
    }

    /// The cases of a table, in the order in which they were first measured.
    pub fn cases(&self, table: &str) -> Vec<&str> {
        let mut cases: Vec<&str> = Vec::new();
        for sample in self.0.iter().filter(|sample| sample.table == table) {
            if !cases.contains(&sample.case.as_str()) {
                cases.push(&sample.case);
            }
        }
        cases
    }

    /// The median of a series.
    pub fn median(&self, table: &str, case: &str, subject: &str) -> f64 {
        median(self.series(table, case, subject))
    }

    /// How many times `base` is `subject`: the median over the rounds.
    pub fn ratio(&self, table: &str, case: &str, subject: &str, base: &str) -> f64 {
        let pairs = self.series(table, case, subject).into_iter();
        let pairs = pairs.zip(self.series(table, case, base));
        median(pairs.map(|(subject, base)| subject / base).collect())
    }

    /// Everything, as comma-separated values.
    pub fn csv(&self) -> String {
        let mut text = String::from("table,case,subject,unit,value\n");
        for Sample { table, case, subject, unit, value } in &self.0 {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{table},\"{case}\",\"{subject}\",{unit},{value:.2}");
        }
        text
    }
}

/// The middle of some numbers, or not a number if there are none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// Where a figure has to be.
#[derive(Clone, Copy)]
pub enum Limit {
    /// There or below.
    AtMost(f64),
    /// There or above.
    AtLeast(f64),
}

/// A figure that has to stay on one side of a limit.
pub struct Goal {
    /// What it says, and of what.
    pub what: String,
    /// What was measured.
    pub measured: f64,
    /// Where it has to be.
    pub limit: Limit,
    /// What follows both numbers.
    pub unit: &'static str,
}

impl Goal {
    /// Whether the figure is within its limit. One that was not measured is not.
    pub fn reached(&self) -> bool {
        match self.limit {
            Limit::AtMost(limit) => self.measured <= limit,
            Limit::AtLeast(limit) => self.measured >= limit,
        }
    }

    /// As a row of a table.
    pub fn row(&self) -> [String; 4] {
        let number = |value: f64| match self.unit {
            "x" => format!("{value:.2}x"),
            unit if value.abs() < 10.0 => format!("{value:.2} {unit}"),
            unit if value.abs() < 100.0 => format!("{value:.1} {unit}"),
            unit => format!("{value:.0} {unit}"),
        };
        let reached = if self.reached() { "reached" } else { "missed" };
        let limit = match self.limit {
            Limit::AtMost(limit) => format!("at most {}", number(limit)),
            Limit::AtLeast(limit) => format!("at least {}", number(limit)),
        };
        [self.what.clone(), number(self.measured), limit, reached.to_owned()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert!(median(vec![]).is_nan());
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn a_ratio_is_taken_round_by_round() {
        let mut samples = Samples::default();
        for slow in [1.0, 10.0, 1.0] {
            samples.add("t", "c", "ours", "ns", 2.0 * slow);
            samples.add("t", "c", "theirs", "ns", slow);
        }
        assert_eq!(samples.ratio("t", "c", "ours", "theirs"), 2.0);
        assert_eq!(samples.median("t", "c", "ours"), 2.0);
    }

    #[test]
    fn what_was_not_measured_is_not_reached() {
        let goal = |measured, limit| Goal { what: String::new(), measured, limit, unit: "x" };
        assert!(goal(1.1, Limit::AtMost(1.1)).reached());
        assert!(!goal(1.2, Limit::AtMost(1.1)).reached());
        assert!(goal(1.2, Limit::AtLeast(1.1)).reached());
        assert!(!goal(1.0, Limit::AtLeast(1.1)).reached());
        for limit in [Limit::AtMost(1.1), Limit::AtLeast(1.1)] {
            assert!(!goal(f64::NAN, limit).reached());
        }
    }
}
