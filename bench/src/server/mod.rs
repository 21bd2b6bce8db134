//! `cargo xtask bench server`: `kv-server` beside Redis, and under clients that mean harm.
//!
//! Owns what a run is made of: the sections, each a file here, and the plots. Both servers run on the loopback
//! interface of one machine, together with those who ask them, and take turns within one run.

mod hostile;
mod memory;
mod pace;
mod process;
mod sizes;
mod speed;
mod wire;

use std::path::Path;

use anyhow::Result;

use crate::machine;
use crate::plot::{self, Frame};
use crate::results::{self, Asked};
use crate::samples::{Goal, Samples};
use process::BOTH;
use sizes::Sizes;

const USAGE: &str = "\
usage: cargo xtask bench server [--quick] [--name NAME] [SECTION...]

  --quick       little of everything, to see that it runs
  --name NAME   write bench/results/NAME.md, NAME.csv and NAME-*.svg; without it, server for a
                whole run, and latest for any other
  SECTION       speed, pace, memory, hostile; without one, all of them";

/// The word for this benchmark, and the name of its results.
pub const PART: &str = "server";
const SECTIONS: [&str; 4] = [speed::KIND, pace::KIND, memory::KIND, hostile::KIND];

/// Measures the sections named, or all.
pub fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let asked = Asked::read(arguments, &SECTIONS, &[], USAGE)?;
    let sizes = if asked.quick { Sizes::QUICK } else { Sizes::FULL };
    let name = asked.name_or(PART);
    let machine = machine::describe(root);
    let mut samples = Samples::default();
    let (mut goals, mut sections) = (Vec::new(), Vec::new());
    let command = ["cargo xtask bench server"].into_iter();
    let command = command.chain(arguments.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
    let wanted =
        |section: &&str| asked.parts.is_empty() || asked.parts.iter().any(|p| p == section);
    for section in SECTIONS.into_iter().filter(wanted) {
        measure(section, &sizes, &mut samples)?;
        goals.extend(goals_of(section, &sizes, &samples));
        sections.push(report_of(section, &sizes, &samples));
        if section == speed::KIND {
            sections.push(plot_speed(root, &name, &samples)?);
        }
    }
    let text = results::compose(&name, &command, &machine, &goals, &sections);
    results::publish(root, &name, &text, &samples.csv(), &goals)
}

fn measure(section: &str, sizes: &Sizes, samples: &mut Samples) -> Result<()> {
    match section {
        speed::KIND => speed::run(sizes, samples),
        pace::KIND => pace::run(sizes, samples),
        memory::KIND => memory::run(sizes, samples),
        _ => hostile::run(sizes, samples),
    }
}

fn goals_of(section: &str, sizes: &Sizes, samples: &Samples) -> Vec<Goal> {
    match section {
        speed::KIND => speed::goals(samples),
        pace::KIND => pace::goals(samples),
        memory::KIND => memory::goals(sizes, samples),
        _ => hostile::goals(samples),
    }
}

fn report_of(section: &str, sizes: &Sizes, samples: &Samples) -> String {
    match section {
        speed::KIND => speed::report(sizes, samples),
        pace::KIND => pace::report(sizes, samples),
        memory::KIND => memory::report(sizes, samples),
        _ => hostile::report(sizes, samples),
    }
}

/// Draws the speeds, and gives the text that shows the picture.
fn plot_speed(root: &Path, name: &str, samples: &Samples) -> Result<String> {
    let file = format!("{name}-{}.svg", speed::KIND);
    let title = "Requests a second, many keys";
    let frame = Frame { title, values: "thousand requests a second", logarithmic: true };
    plot::bars(&results::path(root, &file)?, &frame, &BOTH, &speed::speeds(samples))?;
    Ok(format!("![{title}]({file})\n"))
}
