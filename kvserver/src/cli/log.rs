//! `kv log`: the log of a directory, change by change.
//!
//! With `--json` each line is one object: `op` (`set`, `delete`, `touch`, `clear`), `key`, `value` and
//! `expire_at_ms` as everywhere (see `item`), and where the change is: `lsn`, `revision`, `segment`,
//! `written_at_ms`. What is damaged is a line with `error`, and the answer is no.

use std::ffi::OsString;

use clap::Args;
use kvcore::{LogReader, LogRecord, Status};
use serde_json::{Map, Value, json};

use super::item::{put_bytes, put_deadline};
use super::outcome::{Outcome, Result};
use super::output::{Output, shown};
use super::progress::Progress;
use super::target::Target;

/// `kv log`.
#[derive(Debug, Args)]
pub struct LogArgs {
    /// The directory of a store.
    dir: OsString,
    /// Only changes from this number on.
    #[arg(long, value_name = "LSN", default_value_t = 0)]
    from: u64,
    /// No more changes than this; 0 is no limit.
    #[arg(long, default_value_t = 0)]
    limit: u64,
}

impl LogArgs {
    /// Does it.
    ///
    /// # Errors
    /// Those of reading the directory.
    pub fn run(&self, output: &mut Output<'_>, quiet: bool) -> Result<Outcome> {
        let target = Target::parse(&self.dir)?;
        let mut log = LogReader::open(target.directory("log reads")?)?;
        let bar = Progress::bytes("reading", quiet);
        bar.set_total(log.total_bytes());
        let (mut sound, mut left) = (true, if self.limit == 0 { u64::MAX } else { self.limit });
        while left > 0
            && let Some(read) = log.next()
        {
            match read {
                Ok(record) if record.lsn < self.from => {}
                Ok(record) => {
                    output.answer(line(&record), object(&record))?;
                    left -= 1;
                }
                Err(error) if matches!(error.status(), Status::Corrupt | Status::Unsupported) => {
                    sound = false;
                    let text = format!("# {}", error.message());
                    output.answer(text, json!({ "error": error.message() }))?;
                }
                Err(error) => return Err(error.into()),
            }
            bar.set(log.done_bytes());
        }
        bar.clear();
        if log.discarded_bytes() > 0 {
            eprintln!(
                "kv: {} bytes behind the last change were left incomplete by a crash, and are not used",
                log.discarded_bytes()
            );
        }
        Ok(Outcome::of(sound))
    }
}

fn object(record: &LogRecord) -> Value {
    let mut object = Map::new();
    object.insert("op".into(), record.op.name().into());
    object.insert("lsn".into(), record.lsn.into());
    object.insert("revision".into(), record.revision.into());
    object.insert("segment".into(), record.segment.into());
    object.insert("written_at_ms".into(), record.written_at_ms.into());
    if record.op != kvcore::LogOp::Clear {
        put_bytes(&mut object, "key", &record.key);
    }
    if let Some(value) = &record.value {
        put_bytes(&mut object, "value", value);
    }
    put_deadline(&mut object, record.expire_at_ms);
    Value::Object(object)
}

fn line(record: &LogRecord) -> String {
    let mut line = format!("{:>8} {:<6}", record.lsn, record.op.name());
    if record.op != kvcore::LogOp::Clear {
        line += &format!(" {}", shown(&record.key));
    }
    if let Some(value) = &record.value {
        line += &format!(" = {}", shown(value));
    }
    if let Some(at) = record.expire_at_ms {
        line += &format!(" until {at}");
    }
    line
}
