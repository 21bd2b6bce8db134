//! The files that a run leaves under `bench/results`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::samples::Goal;
use crate::text;

/// The report of a run, in Markdown.
pub fn compose(
    name: &str,
    command: &str,
    machine: &str,
    goals: &[Goal],
    sections: &[String],
) -> String {
    let rows: Vec<_> = goals.iter().map(Goal::row).collect();
    let goals = text::table(&["figure", "measured", "goal", ""], &rows);
    format!(
        "# Benchmarks: {name}\n\nMade by `{command}`; every number is in `{name}.csv`. How it is \
         measured is in [README.md](../README.md).\n\n{machine}\n## Goals\n\n{goals}\n{}",
        sections.join("\n")
    )
}

/// Where a file of that name goes.
pub fn path(root: &Path, name: &str) -> Result<PathBuf> {
    let folder = root.join("bench/results");
    std::fs::create_dir_all(&folder)?;
    Ok(folder.join(name))
}

/// Writes report and numbers, and says which goals were missed.
pub fn publish(root: &Path, name: &str, text: &str, csv: &str, goals: &[Goal]) -> Result<()> {
    for (ending, content) in [("md", text), ("csv", csv)] {
        let path = path(root, &format!("{name}.{ending}"))?;
        std::fs::write(&path, content)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    println!("\nwritten: bench/results/{name}.md, bench/results/{name}.csv\n\n{text}");
    for goal in goals.iter().filter(|goal| !goal.reached()) {
        println!("goal missed: {}", goal.row().join(", "));
    }
    Ok(())
}

/// What is asked of a run: its size, the name of its files, and its parts.
pub struct Asked {
    /// Little of everything.
    pub quick: bool,
    /// The name of the files, if one was given.
    pub name: Option<String>,
    /// The parts named, in their order.
    pub parts: Vec<String>,
    /// The numbers after options that take one.
    pub numbers: Vec<(String, f64)>,
}

impl Asked {
    /// Reads arguments of a command with these parts and options with numbers.
    pub fn read(
        arguments: &[String],
        parts: &[&str],
        numbers: &[&str],
        usage: &str,
    ) -> Result<Asked> {
        let mut asked = Asked { quick: false, name: None, parts: Vec::new(), numbers: Vec::new() };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => asked.quick = true,
                "--name" => {
                    let name = arguments.next().filter(|name| !name.contains('/'));
                    let name = name.with_context(|| format!("--name takes a name\n\n{usage}"))?;
                    asked.name = Some(name.clone());
                }
                option if numbers.contains(&option) => {
                    let number = arguments.next().and_then(|text| text.parse().ok());
                    let number = number.filter(|number: &f64| *number > 0.0);
                    let number =
                        number.with_context(|| format!("{option} takes a number\n\n{usage}"))?;
                    asked.numbers.push((option.to_owned(), number));
                }
                part if parts.contains(&part) => asked.parts.push(part.to_owned()),
                other => anyhow::bail!("there is no argument `{other}`\n\n{usage}"),
            }
        }
        Ok(asked)
    }

    /// The number given after that option.
    pub fn number(&self, option: &str) -> Option<f64> {
        self.numbers.iter().rev().find(|(name, _)| name == option).map(|(_, number)| *number)
    }

    /// Where the results go: what is committed is made by whole runs.
    pub fn name_or(&self, committed: &str) -> String {
        let whole = !self.quick && self.parts.is_empty();
        let default = if whole { committed } else { "latest" };
        self.name.clone().unwrap_or_else(|| default.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Asked> {
        let arguments: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        Asked::read(&arguments, &["race"], &["--minutes"], "usage")
    }

    #[test]
    fn arguments_are_read_in_any_order() {
        let asked = read("race --minutes 2.5 --quick --name here").unwrap();
        assert!(asked.quick);
        assert_eq!(asked.parts, ["race"]);
        assert_eq!(asked.number("--minutes"), Some(2.5));
        assert_eq!(asked.name_or("memory"), "here");
        for wrong in ["rice", "--minutes", "--minutes none", "--name", "--name a/b"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_whole_runs_write_over_what_is_committed() {
        assert_eq!(read("").unwrap().name_or("memory"), "memory");
        assert_eq!(read("--quick").unwrap().name_or("memory"), "latest");
        assert_eq!(read("race").unwrap().name_or("memory"), "latest");
    }
}
