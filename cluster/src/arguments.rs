//! What the command line asks for.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::program::Program;

/// What is to be run.
#[derive(Debug)]
pub struct Arguments {
    /// Kills of a master under each program.
    pub rounds: u64,
    /// The programs under load.
    pub programs: Vec<Program>,
    /// Rounds of the race for the near cache; `None` leaves it out.
    pub near_rounds: Option<u64>,
    /// Where the report goes; `None` writes none.
    pub report: Option<PathBuf>,
}

impl Arguments {
    /// Reads the words behind the name of the program.
    ///
    /// # Errors
    /// A word that means nothing, or lacks its value.
    pub fn read(words: &[String]) -> Result<Arguments> {
        let mut read =
            Arguments { rounds: 20, programs: Vec::new(), near_rounds: None, report: None };
        let mut rest = words.iter();
        while let Some(name) = rest.next() {
            let mut value = || rest.next().with_context(|| format!("{name} wants a value"));
            match name.as_str() {
                "--rounds" => read.rounds = value()?.parse().context("--rounds wants a number")?,
                "--near" => {
                    read.near_rounds = Some(value()?.parse().context("--near wants a number")?);
                }
                "--c" => read.programs.push(Program::C { library: value()?.into() }),
                "--python" => read.programs.push(Program::Python { interpreter: value()?.into() }),
                "--report" => read.report = Some(value()?.into()),
                other => bail!(
                    "unexpected argument `{other}`: --rounds N, --c LIBRARY, --python INTERPRETER, --near N, \
                     --report FILE"
                ),
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_and_wrong_ones_named() {
        let read =
            |text: &str| Arguments::read(&text.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let arguments = read("--rounds 3 --c libkv.so --near 9").unwrap();
        assert_eq!((arguments.rounds, arguments.near_rounds), (3, Some(9)));
        assert_eq!(arguments.programs.len(), 1);
        assert!(read("--near").unwrap_err().to_string().contains("--near"));
        assert!(read("--far 1").unwrap_err().to_string().contains("--far"));
    }
}
