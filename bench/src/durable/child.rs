//! Processes that measure durability: this program again, in folders of their own.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::files::Folder;
use super::sizes::Sizes;
use super::{recovery, sets, snapshot, stuck};
use crate::engines;
pub use crate::engines::print;
use crate::outside::stdout_of;
use crate::samples::Samples;

/// The argument that makes this program such a child.
pub const CHILD: &str = "--measure-durable";
const QUICK: &str = "quick";
const FULL: &str = "full";

/// What is measured, and where.
pub struct Ground {
    /// How much.
    pub sizes: Sizes,
    /// On which disk: a folder there.
    pub dir: PathBuf,
}

impl Ground {
    /// Runs a child and adds what it measured to `table`.
    pub fn measure(
        &self,
        words: &[&str],
        table: &'static str,
        samples: &mut Samples,
    ) -> Result<()> {
        println!("{table}: {}", words[1..].join(", "));
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let mut command = Command::new(program);
        command.args([CHILD, if self.sizes.quick { QUICK } else { FULL }]).arg(&self.dir);
        engines::collect(&stdout_of(command.args(words))?, table, samples)
    }

    /// An empty folder of that name.
    pub fn folder(&self, name: &str) -> Result<Folder> {
        Folder::make(self.dir.join(name.replace([' ', ','], "-")))
    }
}

/// Does what a child was told.
pub fn run(arguments: &[String]) -> Result<()> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [size, dir, kind, words @ ..] = &words[..] else { bail!("{CHILD} takes words") };
    let sizes = if *size == QUICK { Sizes::QUICK } else { Sizes::FULL };
    let ground = Ground { sizes, dir: dir.into() };
    match *kind {
        sets::KIND => sets::in_child(&ground),
        stuck::KIND => stuck::in_child(&ground),
        snapshot::KIND => snapshot::in_child(&ground),
        recovery::KIND => recovery::in_child(&ground.sizes, words),
        other => bail!("a child cannot measure `{other}`"),
    }
}
