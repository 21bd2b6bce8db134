//! The surfaces of libkv, compared with each other and with what a program would use instead.

use std::path::Path;

use anyhow::Result;

use crate::c_abi::Calls;
use crate::outside::required;
use crate::results::{self, Asked};
use crate::samples::Samples;
use crate::scale::Scale;
use crate::{go, machine, python, race, ttl};

const USAGE: &str = "\
usage: cargo xtask bench [--quick] [--name NAME] [PART...]
       cargo xtask bench memory | churn | limit | collide | hits [ARGUMENT...]

  --quick       little of everything, to see that it runs
  --name NAME   write bench/results/NAME.md and NAME.csv instead of latest.md and latest.csv
  PART          race, python, go, ttl; without one, all of them

What the other commands take is in bench/README.md.";

const PARTS: [&str; 4] = ["race", "python", "go", "ttl"];

/// Measures the parts named, or all.
pub fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let mut asked = Asked::read(arguments, &PARTS, &[], USAGE)?;
    if asked.parts.is_empty() {
        asked.parts = PARTS.map(str::to_owned).into();
    }
    let scale = &if asked.quick { Scale::QUICK } else { Scale::FULL };
    let machine = machine::describe(root);
    let mut samples = Samples::default();
    let mut goals = Vec::new();
    let mut sections = Vec::new();
    for part in &asked.parts {
        match part.as_str() {
            "race" => {
                race::run(scale, &Calls::load(&required("KVBENCH_CALLS")?)?, &mut samples)?;
                goals.extend(race::goals(scale, &samples));
                sections.push(race::report(scale, &samples));
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
    let name = asked.name_or("latest");
    let command = ["cargo xtask bench"].into_iter().chain(arguments.iter().map(String::as_str));
    let command = command.collect::<Vec<_>>().join(" ");
    let text = results::compose(&name, &command, &machine, &goals, &sections);
    results::publish(root, &name, &text, &samples.csv(), &goals)
}
