//! `cargo xtask bench`: libkv in Rust, C, Python and Go against other engines and bare calls.
//!
//! One run measures everything that is compared, in turns, and gives medians. Figures are ratios,
//! because times belong to a machine. Each part of the run is a file here: `race` (Rust and C),
//! `memory`, `python`, `go`, `ttl`. A missed goal is printed and is no failure; a part that did not
//! run is one.

// The engine reaches time and files through its seams; this program is no part of the engine.
#![allow(clippy::disallowed_methods)]

mod c_abi;
mod clock;
mod contestants;
mod go;
mod machine;
mod memory;
mod outside;
mod plan;
mod python;
mod race;
mod samples;
mod scale;
mod text;
mod ttl;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::c_abi::Calls;
use crate::outside::required;
use crate::samples::{Goal, Samples};
use crate::scale::Scale;

// What libkv.so has, so that no contestant in Rust runs on another allocator than libkv from C.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "\
usage: cargo xtask bench [--quick] [--name NAME] [PART...]

  --quick       little of everything, to see that it runs
  --name NAME   write bench/results/NAME.md and NAME.csv instead of latest.md and latest.csv
  PART          race, memory, python, go, ttl; without one, all of them";

const PARTS: [&str; 5] = ["race", "memory", "python", "go", "ttl"];

struct Run {
    root: PathBuf,
    scale: Scale,
    name: String,
    parts: Vec<String>,
    command: String,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.split_first() {
        Some((first, rest)) if first == memory::FILL => memory::fill(rest),
        _ => read_arguments(&arguments).and_then(|run| measure(&run)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn read_arguments(arguments: &[String]) -> Result<Run> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no parent folder")?;
    let mut run = Run {
        root: root.to_path_buf(),
        scale: Scale::FULL,
        name: "latest".to_owned(),
        parts: Vec::new(),
        command: ["cargo xtask bench"]
            .into_iter()
            .chain(arguments.iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join(" "),
    };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => run.scale = Scale::QUICK,
            "--name" => {
                let name = arguments.next().filter(|name| !name.contains('/'));
                run.name = name.with_context(|| format!("--name takes a name\n\n{USAGE}"))?.clone();
            }
            part if PARTS.contains(&part) => run.parts.push(part.to_owned()),
            other => bail!("there is no argument `{other}`\n\n{USAGE}"),
        }
    }
    if run.parts.is_empty() {
        run.parts = PARTS.map(str::to_owned).into();
    }
    Ok(run)
}

fn measure(run: &Run) -> Result<()> {
    let Run { root, scale, .. } = run;
    let machine = machine::describe(root);
    let mut samples = Samples::default();
    let mut goals = Vec::new();
    let mut sections = Vec::new();
    for part in &run.parts {
        match part.as_str() {
            "race" => {
                race::run(scale, &Calls::load(&required("KVBENCH_CALLS")?)?, &mut samples)?;
                goals.extend(race::goals(scale, &samples));
                sections.push(race::report(scale, &samples));
            }
            "memory" => {
                memory::run(scale, &mut samples)?;
                sections.push(memory::report(scale, &samples));
            }
            "python" => {
                python::run(root, scale, &mut samples)?;
                goals.extend(python::goals(&samples));
                sections.push(python::report(&samples));
            }
            "go" => {
                go::run(root, scale, &mut samples)?;
                goals.extend(go::goals(&samples));
                sections.push(go::report(&samples));
            }
            _ => {
                ttl::run(scale, &mut samples)?;
                goals.extend(ttl::goals(&samples));
                sections.push(ttl::report(&samples));
            }
        }
    }
    let text = compose(run, &machine, &goals, &sections);
    write(run, &text, &samples.csv())?;
    println!("\n{text}");
    for goal in goals.iter().filter(|goal| !goal.reached()) {
        println!("goal missed: {}", goal.row().join(", "));
    }
    Ok(())
}

fn compose(run: &Run, machine: &str, goals: &[Goal], sections: &[String]) -> String {
    let Run { name, command, .. } = run;
    let rows: Vec<_> = goals.iter().map(Goal::row).collect();
    let goals = text::table(&["figure", "measured", "goal", ""], &rows);
    format!(
        "# Benchmarks: {name}\n\nMade by `{command}`; every number is in `{name}.csv`. How it is \
         measured is in [README.md](../README.md).\n\n{machine}\n## Goals\n\n{goals}\n{}",
        sections.join("\n")
    )
}

fn write(run: &Run, text: &str, csv: &str) -> Result<()> {
    let folder = run.root.join("bench/results");
    std::fs::create_dir_all(&folder)?;
    for (ending, content) in [("md", text), ("csv", csv)] {
        let path = folder.join(format!("{}.{ending}", run.name));
        std::fs::write(&path, content)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    println!("\nwritten: bench/results/{0}.md, bench/results/{0}.csv", run.name);
    Ok(())
}
