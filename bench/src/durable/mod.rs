//! `cargo xtask bench durable`: what durability costs, and what it costs elsewhere.
//!
//! Owns what a run is made of: the sections, each a file here and measured in processes of its own,
//! and the plots. After each section the results so far are written, so a run may be cut short.

mod child;
mod content;
mod files;
mod peers;
mod recovery;
mod sets;
mod sizes;
mod slow_sync;
mod snapshot;
mod stuck;

use std::path::Path;

use anyhow::Result;

pub use child::CHILD;

use crate::machine;
use crate::plot::{self, Frame};
use crate::results::{self, Asked};
use crate::samples::{Goal, Samples};
use child::Ground;
use files::Folder;
use sizes::Sizes;

const USAGE: &str = "\
usage: cargo xtask bench durable [--quick] [--name NAME] [SECTION...]

  --quick       little of everything, to see that it runs
  --name NAME   write bench/results/NAME.md, NAME.csv and NAME-*.svg; without it, durable for a
                whole run, durable-SECTION for one section, and latest for any other
  SECTION       sets, stuck, snapshot, recovery; without one, all of them

  KVBENCH_DIR   in the environment: the folder to measure in, on the disk that is meant;
                target/bench-durable without it";

const NAME: &str = "durable";
/// The variable with the folder to measure in.
const DIR: &str = "KVBENCH_DIR";
const SECTIONS: [&str; 4] = [sets::KIND, stuck::KIND, snapshot::KIND, recovery::KIND];

/// Measures in a process that `run` has started.
pub fn measure_one(arguments: &[String]) -> Result<()> {
    child::run(arguments)
}

/// Measures the sections named, or all.
pub fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let asked = Asked::read(arguments, &SECTIONS, &[], USAGE)?;
    let sizes = if asked.quick { Sizes::QUICK } else { Sizes::FULL };
    let name = name_of(&asked);
    let dir = std::env::var_os(DIR).map_or(root.join("target/bench-durable"), Into::into);
    let folder = Folder::make(dir.join(format!("run-{}", std::process::id())))?;
    let ground = Ground { sizes, dir: folder.path().to_owned() };
    let machine = machine::describe(root);
    let mut samples = Samples::default();
    let (mut goals, mut sections) = (Vec::new(), vec![introduction()]);
    let command = ["cargo xtask bench durable"].into_iter();
    let command = command.chain(arguments.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
    for section in SECTIONS
        .into_iter()
        .filter(|section| asked.parts.is_empty() || asked.parts.iter().any(|part| part == section))
    {
        measure(section, &ground, &mut samples)?;
        goals.extend(goals_of(section, &sizes, &samples));
        sections.push(report_of(section, &sizes, &samples));
        sections.extend(plot_of(section, root, &name, &samples)?);
        let text = results::compose(&name, &command, &machine, &goals, &sections);
        results::publish(root, &name, &text, &samples.csv(), &goals)?;
    }
    Ok(())
}

/// Where the results go. A section alone has files of its own, so that each can be run when there is
/// time for it.
fn name_of(asked: &Asked) -> String {
    match &asked.parts[..] {
        [section] if !asked.quick && asked.name.is_none() => format!("{NAME}-{section}"),
        _ => asked.name_or(NAME),
    }
}

fn introduction() -> String {
    "Keys have 16 bytes, values 100 that no compression makes shorter. Every engine has its default \
     options but for when it syncs. What the machine was doing beside is told by its load; on a disk or \
     a processor that others use too, only the ratios say something.\n"
        .to_owned()
}

fn measure(section: &str, ground: &Ground, samples: &mut Samples) -> Result<()> {
    match section {
        sets::KIND => sets::run(ground, samples),
        stuck::KIND => stuck::run(ground, samples),
        snapshot::KIND => snapshot::run(ground, samples),
        _ => recovery::run(ground, samples),
    }
}

fn goals_of(section: &str, sizes: &Sizes, samples: &Samples) -> Vec<Goal> {
    match section {
        sets::KIND => sets::goals(samples),
        stuck::KIND => stuck::goals(samples),
        snapshot::KIND => snapshot::goals(samples),
        _ => recovery::goals(sizes, samples),
    }
}

fn report_of(section: &str, sizes: &Sizes, samples: &Samples) -> String {
    match section {
        sets::KIND => sets::report(sizes, samples),
        stuck::KIND => stuck::report(sizes, samples),
        snapshot::KIND => snapshot::report(sizes, samples),
        _ => recovery::report(sizes, samples),
    }
}

/// Draws what a section has to show in pictures, and gives the text that shows them.
fn plot_of(section: &str, root: &Path, name: &str, samples: &Samples) -> Result<Vec<String>> {
    let mut shown = Vec::new();
    if section == sets::KIND {
        for (threads, title) in [(1, "Sets of one thread"), (16, "Sets of 16 threads")] {
            let (peers, groups) = sets::speeds(samples, threads);
            let file = format!("{name}-{threads}.svg");
            let frame = Frame { title, values: "thousand sets a second", logarithmic: true };
            plot::bars(&results::path(root, &file)?, &frame, &peers, &groups)?;
            shown.push(format!("![{title}]({file})\n"));
        }
    }
    Ok(shown)
}
