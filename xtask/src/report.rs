//! What a run tells the person who watches it: one line when a step starts, one when it ends.
//!
//! The last line of a report is `N passed, N failed` and nothing else: tools that watch a build read
//! it, so nothing may be printed after it.

use std::time::{Duration, Instant};

use anyhow::Result;

/// Prints a line that is set apart from the output of the commands that run.
pub fn say(line: &str) {
    println!(">>> {line}");
}

/// How the steps so far went.
#[derive(Default)]
pub struct Report {
    outcomes: Vec<Outcome>,
}

struct Outcome {
    name: String,
    took: Duration,
    failure: Option<String>,
}

impl Report {
    /// Runs one step and says how it went. Later steps run even if this one fails, so that one run
    /// shows everything that is wrong.
    pub fn step(&mut self, name: &str, what: &str, run: impl FnOnce() -> Result<()>) {
        println!("\n==> {name}: {what}");
        let started = Instant::now();
        let failure = run().err().map(|error| format!("{error:#}"));
        let took = started.elapsed();
        match &failure {
            None => println!("<== {name}: passed in {}", seconds(took)),
            Some(message) => {
                println!("<== {name}: FAILED after {}: {message}", seconds(took));
            }
        }
        self.outcomes.push(Outcome { name: name.to_owned(), took, failure });
    }

    /// Prints the summary, ending in the line of counts. True if nothing failed.
    pub fn finish(&self, command: &str) -> bool {
        println!("\nsteps of `{command}`:");
        for outcome in &self.outcomes {
            let word = if outcome.failure.is_none() { "passed" } else { "FAILED" };
            println!("  {:<12} {word} {:>9}", outcome.name, seconds(outcome.took));
        }
        for outcome in &self.outcomes {
            if let Some(message) = &outcome.failure {
                println!("\n{} failed: {message}", outcome.name);
                println!("run it alone with: {command} {}", outcome.name);
            }
        }
        let total: Duration = self.outcomes.iter().map(|outcome| outcome.took).sum();
        println!("\ntook {}", seconds(total));
        let failed = self.outcomes.iter().filter(|outcome| outcome.failure.is_some()).count();
        println!("{} passed, {failed} failed", self.outcomes.len() - failed);
        failed == 0
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    #[test]
    fn a_failed_step_fails_the_report_and_later_steps_run() {
        let mut report = Report::default();
        let mut ran = false;
        report.step("first", "fails", || bail!("planted"));
        report.step("second", "passes", || {
            ran = true;
            Ok(())
        });
        assert!(ran);
        assert!(!report.finish("test"));
    }

    #[test]
    fn all_passed_is_a_success() {
        let mut report = Report::default();
        report.step("only", "passes", || Ok(()));
        assert!(report.finish("test"));
    }
}
