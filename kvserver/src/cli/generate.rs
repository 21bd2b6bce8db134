//! `kv completions` and `kv man`: made from what the programs take, so that they are never behind it.

use std::io;
use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;
use clap_mangen::Man;

use super::args::Program;
use super::outcome::{Failure, Outcome, Result};
use super::output::Output;

/// `kv completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
    /// Of which program.
    #[arg(long, value_enum, default_value_t = Program::Kv)]
    program: Program,
}

/// `kv man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Of which program.
    #[arg(long, value_enum, default_value_t = Program::Kv)]
    program: Program,
    /// Write the page, and one for each command, into this directory instead.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Program {
    fn command(self) -> clap::Command {
        match self {
            Program::Kv => super::kv_command(),
            Program::KvServer => crate::config::command(),
        }
    }
}

impl CompletionsArgs {
    /// Does it.
    ///
    /// # Errors
    /// Those of the output.
    pub fn run(&self, output: &mut Output<'_>) -> Result<Outcome> {
        let mut command = self.program.command();
        let name = command.get_name().to_string();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, name, &mut script);
        output.raw(&script)?;
        Ok(Outcome::Done)
    }
}

impl ManArgs {
    /// Does it.
    ///
    /// # Errors
    /// Those of the output, or of writing the files.
    pub fn run(&self, output: &mut Output<'_>) -> Result<Outcome> {
        let command = self.program.command();
        let Some(dir) = &self.out else {
            let mut page = Vec::new();
            Man::new(command).render(&mut page)?;
            output.raw(&page)?;
            return Ok(Outcome::Done);
        };
        let fail = |error: io::Error| Failure::file("write to", dir, &error);
        std::fs::create_dir_all(dir).map_err(fail)?;
        clap_mangen::generate_to(command, dir).map_err(fail)?;
        Ok(Outcome::Done)
    }
}
