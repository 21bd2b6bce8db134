//! What an entry costs beyond its key and its value: how much a process grows when it fills a store.
//!
//! Every store gets a process of its own, this program again, so that none starts with memory that
//! another left behind. What the process holds is asked of the system, so nothing is left out: not
//! the allocator's waste, not the room that a table has to spare.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::contestants::{self, Call};
use crate::plan::{self, KEY_BYTES, VALUE_BYTES};
use crate::samples::Samples;
use crate::scale::Scale;
use crate::text::{count, table};

const TABLE: &str = "memory";
const CASES: [(&str, bool); 2] = [("no TTL", false), ("with a TTL", true)];

/// The argument that makes this program fill one store and print what it grew by.
pub const FILL: &str = "--fill";

/// Measures every contestant.
pub fn run(scale: &Scale, samples: &mut Samples) -> Result<()> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    for _ in 0..scale.repeats {
        for (case, with_ttl) in CASES {
            for name in contestants::NAMES {
                println!("memory: {name}, {case}");
                let output = Command::new(&program)
                    .args([FILL, name, &with_ttl.to_string(), &scale.entries.to_string()])
                    .output()?;
                let text = String::from_utf8_lossy(&output.stdout);
                let grown = text.trim().parse::<f64>().with_context(|| {
                    format!("filling {name}: {}", String::from_utf8_lossy(&output.stderr))
                })?;
                let payload = KEY_BYTES + VALUE_BYTES;
                let beyond = grown / scale.entries as f64 - payload as f64;
                samples.add(TABLE, case, name, "bytes", beyond);
            }
        }
    }
    Ok(())
}

/// Fills one store and prints by how many bytes the process grew.
pub fn fill(arguments: &[String]) -> Result<()> {
    let [name, with_ttl, entries] = arguments else {
        anyhow::bail!("{FILL} takes a contestant, true or false, and a number of entries");
    };
    let entries: usize = entries.parse()?;
    let subject = contestants::open(name, with_ttl.parse()?)?;
    let before = resident_bytes()?;
    for number in 0..entries {
        ensure!(subject.run(Call::Insert, &[plan::key(number)]) == 1, "an insert failed");
    }
    println!("{}", resident_bytes()? - before);
    Ok(())
}

/// What this process has in memory.
fn resident_bytes() -> Result<i64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kilobytes = kilobytes.context("/proc/self/status has no VmRSS")?;
    Ok(kilobytes.trim().parse::<i64>()? * 1024)
}

/// The table, in Markdown.
pub fn report(scale: &Scale, samples: &Samples) -> String {
    let row = |name: &&str| {
        let bytes = |(case, _)| format!("{:.0}", samples.median(TABLE, case, name));
        let [plain, timed] = CASES.map(bytes);
        [(*name).to_owned(), plain, timed]
    };
    let rows: Vec<_> = contestants::NAMES.iter().map(row).collect();
    format!(
        "## Memory\n\nBytes that a process grows by for each of {} entries, beyond the {KEY_BYTES} \
         of the key and the {VALUE_BYTES} of the value.\n\n{}",
        count(scale.entries),
        table(&["engine", CASES[0].0, CASES[1].0], &rows)
    )
}
