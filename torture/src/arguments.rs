//! What a rig is asked to do.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The arguments that every rig takes.
#[derive(Debug, Clone)]
pub struct Arguments {
    /// What the random choices begin with.
    pub seed: u64,
    /// How often the rig does what it does; each rig has its own goal.
    pub runs: Option<u64>,
    /// When the rig ends in any case, with what it has reached.
    pub until: Option<Instant>,
    /// Where directories and images are made.
    pub work: PathBuf,
    /// The file that results are added to; none with `--dry`.
    pub results: Option<PathBuf>,
}

impl Arguments {
    /// Reads `--seed N --runs N --minutes N --work DIR --results FILE --dry`.
    ///
    /// # Errors
    /// With the argument that is wrong.
    pub fn read(arguments: &[String]) -> Result<Arguments> {
        let results = crate::results::default_path();
        let mut read = Arguments {
            seed: 1,
            runs: None,
            until: None,
            work: std::env::temp_dir(),
            results: Some(results),
        };
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            let mut value = || rest.next().with_context(|| format!("{name} wants a value"));
            match name.as_str() {
                "--seed" => read.seed = value()?.parse().context("--seed wants a number")?,
                "--runs" => read.runs = Some(value()?.parse().context("--runs wants a number")?),
                "--minutes" => {
                    let minutes: u64 = value()?.parse().context("--minutes wants a number")?;
                    read.until = Some(Instant::now() + Duration::from_secs(60 * minutes));
                }
                "--work" => read.work = value()?.into(),
                "--results" => read.results = Some(value()?.into()),
                "--dry" => read.results = None,
                other => {
                    bail!(
                        "unexpected argument `{other}`: --seed, --runs, --minutes, --work, --results, --dry"
                    )
                }
            }
        }
        Ok(read)
    }

    /// Whether the time is over.
    pub fn is_over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// The same with a share of the time that is left, for one of so many parts that are still to come.
    pub fn share(&self, parts: u32) -> Arguments {
        let now = Instant::now();
        let until =
            self.until.map(|until| now + until.saturating_duration_since(now) / parts.max(1));
        Arguments { until, ..self.clone() }
    }

    /// A directory of this process alone, for one rig.
    pub fn place(&self, rig: &str) -> PathBuf {
        self.work.join(format!("kvtorture-{rig}-{}", std::process::id()))
    }
}
