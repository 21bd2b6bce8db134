//! What a rig is asked to do.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// The arguments that every rig takes.
#[derive(Debug, Clone)]
pub struct Arguments {
    /// What the random choices begin with.
    pub seed: u64,
    /// How often the rig does what it does; each rig has its own goal.
    pub runs: Option<u64>,
    /// Where directories and images are made.
    pub work: PathBuf,
    /// The file that results are added to; none with `--dry`.
    pub results: Option<PathBuf>,
}

impl Arguments {
    /// Reads `--seed N --runs N --work DIR --results FILE --dry`.
    ///
    /// # Errors
    /// With the argument that is wrong.
    pub fn read(arguments: &[String]) -> Result<Arguments> {
        let results = crate::results::default_path();
        let mut read =
            Arguments { seed: 1, runs: None, work: std::env::temp_dir(), results: Some(results) };
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            let mut value = || rest.next().with_context(|| format!("{name} wants a value"));
            match name.as_str() {
                "--seed" => read.seed = value()?.parse().context("--seed wants a number")?,
                "--runs" => read.runs = Some(value()?.parse().context("--runs wants a number")?),
                "--work" => read.work = value()?.into(),
                "--results" => read.results = Some(value()?.into()),
                "--dry" => read.results = None,
                other => {
                    bail!("unexpected argument `{other}`: --seed, --runs, --work, --results, --dry")
                }
            }
        }
        Ok(read)
    }

    /// A directory of this process alone, for one rig.
    pub fn place(&self, rig: &str) -> PathBuf {
        self.work.join(format!("kvtorture-{rig}-{}", std::process::id()))
    }
}
