//! `cargo xtask bench memory`: libkv against the engines that a program in Rust would use instead.
//!
//! Owns what a run is made of: the sections, each a file here, and the plots. Whatever is compared
//! is measured in turns in one process; what a process holds is measured in a process of its own.

mod child;
mod expiry;
mod field;
mod growth;
mod hot;
mod promised;
mod race;
mod sizes;
pub mod system;

use std::path::Path;

use anyhow::Result;

pub use child::{CHILD, collect, print};

use crate::plot::{self, Frame};
use crate::results::{self, Asked};
use crate::samples::{Goal, Samples};
use crate::{contestants, machine};
use field::{LIBKV, LIBKV_ALL, PEERS};
use sizes::Sizes;

const USAGE: &str = "\
usage: cargo xtask bench memory [--quick] [--name NAME] [SECTION...]

  --quick       little of everything, to see that it runs
  --name NAME   write bench/results/NAME.md, NAME.csv and NAME-*.svg; without it, memory for a
                whole run and latest for any other
  SECTION       race, hot, growth, expiry, promised; without one, all of them";

const SECTIONS: [&str; 5] = ["race", "hot", "growth", "expiry", "promised"];

/// Measures in a process that `run` has started.
pub fn measure_one(arguments: &[String]) -> Result<()> {
    child::run(arguments)
}

/// Measures the sections named, or all.
pub fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let asked = Asked::read(arguments, &SECTIONS, &[], USAGE)?;
    let sizes = if asked.quick { Sizes::QUICK } else { Sizes::FULL };
    let name = asked.name_or("memory");
    let machine = machine::describe(root);
    let mut samples = Samples::default();
    let mut goals = Vec::new();
    let mut sections = vec![introduction()?];
    let wanted = SECTIONS.iter().filter(|section| {
        asked.parts.is_empty() || asked.parts.iter().any(|part| part == *section)
    });
    for section in wanted {
        measure(section, root, &sizes, &mut samples)?;
        goals.extend(goals_of(section, &sizes, &samples));
        sections.push(report_of(section, &sizes, &samples));
        sections.extend(plot_of(section, root, &name, &sizes, &samples)?);
    }
    let command = ["cargo xtask bench memory"].into_iter();
    let command = command.chain(arguments.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
    let text = results::compose(&name, &command, &machine, &goals, &sections);
    results::publish(root, &name, &text, &samples.csv(), &goals)
}

fn introduction() -> Result<String> {
    Ok(format!(
        "`{LIBKV}` is a store without options. `{LIBKV_ALL}` has a TTL on every entry, the eviction \
         policy `{}` and a limit of twice its entries; the others have neither then. Where a \
         section is with a TTL, moka expires by itself, and the others compare a deadline that they \
         keep with the value.\n",
        contestants::policy()?
    ))
}

fn measure(section: &str, root: &Path, sizes: &Sizes, samples: &mut Samples) -> Result<()> {
    match section {
        "race" => race::run(sizes, samples),
        "hot" => hot::run(sizes, samples),
        "growth" => growth::run(sizes, samples),
        "expiry" => expiry::run(sizes, samples),
        _ => promised::run(root, sizes, samples),
    }
}

fn goals_of(section: &str, sizes: &Sizes, samples: &Samples) -> Vec<Goal> {
    match section {
        "race" => race::goals(sizes, samples),
        "hot" => hot::goals(samples),
        "growth" => growth::goals(sizes, samples),
        "expiry" => expiry::goals(sizes, samples),
        _ => promised::goals(samples),
    }
}

fn report_of(section: &str, sizes: &Sizes, samples: &Samples) -> String {
    match section {
        "race" => race::report(sizes, samples),
        "hot" => hot::report(samples),
        "growth" => growth::report(sizes, samples),
        "expiry" => expiry::report(sizes, samples),
        _ => promised::report(samples),
    }
}

/// Draws what a section has to show in pictures, and gives the text that shows them.
fn plot_of(
    section: &str,
    root: &Path,
    name: &str,
    sizes: &Sizes,
    samples: &Samples,
) -> Result<Vec<String>> {
    let engines: Vec<&str> = [LIBKV, LIBKV_ALL].into_iter().chain(PEERS).collect();
    let mut shown = Vec::new();
    let mut draw = |kind: &str, title: &str, values: &str, groups: &[_], logarithmic| {
        let file = format!("{name}-{kind}.svg");
        let frame = Frame { title, values, logarithmic };
        plot::bars(&results::path(root, &file)?, &frame, &engines, groups)?;
        shown.push(format!("![{title}]({file})\n"));
        anyhow::Ok(())
    };
    match section {
        "race" => {
            for (place, (store, groups)) in
                race::throughput(sizes, samples, &engines).iter().enumerate()
            {
                let kind = ["speed-few", "speed-many"][place];
                let title = format!("Calls of one thread: {store}");
                draw(kind, &title, "million calls a second", groups, false)?;
            }
        }
        "growth" => {
            let bytes = growth::overheads(samples, &engines);
            draw("overhead", "Memory beyond key and value", "bytes an entry", &bytes, false)?;
            let times = growth::percentiles(samples, &engines);
            draw("growth", "One set while growing", "microseconds", &times, true)?;
        }
        _ => {}
    }
    Ok(shown)
}
