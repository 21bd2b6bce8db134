//! `kv stats`: what a store counts.

use clap::{Args, ValueEnum};

use super::Operation;
use super::outcome::{Failure, Outcome, Result};
use super::output::{Output, table};
use super::session::Session;

/// `kv stats`.
#[derive(Debug, Args)]
pub struct StatsArgs {
    /// In which form; --json is the same as --format json.
    #[arg(long, value_enum, default_value_t = Form::Text)]
    format: Form,
}

/// How statistics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A line for each.
    Text,
    /// One object.
    Json,
    /// The text format of Prometheus, of a store that is opened here.
    Prometheus,
}

impl Operation for StatsArgs {
    fn run(&self, session: &mut Session, output: &mut Output<'_>, _: bool) -> Result<Outcome> {
        if self.format == Form::Prometheus {
            let Session::Store(store) = session else {
                let message = "a server has its metrics at http://HOST:8080/metrics";
                return Err(Failure::usage(message));
            };
            output.raw(store.stats_text("prometheus")?.as_bytes())?;
            return Ok(Outcome::Done);
        }
        let stats = session.stats()?;
        if self.format == Form::Json {
            output.object(&stats.into())?;
        } else {
            output.answer(table(&stats), stats.clone().into())?;
        }
        Ok(Outcome::Done)
    }
}
