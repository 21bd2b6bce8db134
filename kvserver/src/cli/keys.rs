//! The commands on single keys: get, set, del, ttl, expire, incr.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;

use clap::Args;
use kvcore::{Condition, Expiry, Remaining, SetOptions};
use serde_json::{Map, Value, json};

use super::Operation;
use super::args::duration_ms;
use super::item::put_bytes;
use super::outcome::{Failure, Outcome, Result};
use super::output::Output;
use super::session::Session;

/// `kv get`.
#[derive(Debug, Args)]
pub struct GetArgs {
    /// The key.
    key: OsString,
    /// Print the value alone, without an end of line.
    #[arg(long)]
    raw: bool,
}

/// `kv set`.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// The key.
    key: OsString,
    /// The value.
    #[arg(required_unless_present = "stdin")]
    value: Option<OsString>,
    /// Read the value from standard input, to its end.
    #[arg(long, conflicts_with = "value")]
    stdin: bool,
    /// Expire after this time, such as 90s.
    #[arg(long, value_name = "DURATION", value_parser = duration_ms, group = "expiry")]
    ttl: Option<u64>,
    /// Expire at this Unix time in milliseconds.
    #[arg(long, value_name = "MS", group = "expiry")]
    at: Option<i64>,
    /// Keep the deadline that the key has.
    #[arg(long, group = "expiry")]
    keep_ttl: bool,
    /// Never expire, whatever the store's default_ttl.
    #[arg(long, group = "expiry")]
    never: bool,
    /// Only if the key is absent.
    #[arg(long, conflicts_with = "if_present")]
    if_absent: bool,
    /// Only if the key is there.
    #[arg(long)]
    if_present: bool,
}

/// `kv del`.
#[derive(Debug, Args)]
pub struct DelArgs {
    /// The keys.
    #[arg(required = true)]
    keys: Vec<OsString>,
}

/// `kv ttl`.
#[derive(Debug, Args)]
pub struct TtlArgs {
    /// The key.
    key: OsString,
}

/// `kv expire`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("when").required(true))]
pub struct ExpireArgs {
    /// The key.
    key: OsString,
    /// After this time, such as 6h.
    #[arg(value_name = "DURATION", value_parser = duration_ms, group = "when")]
    ttl: Option<u64>,
    /// At this Unix time in milliseconds.
    #[arg(long, value_name = "MS", group = "when")]
    at: Option<i64>,
    /// Never.
    #[arg(long, group = "when")]
    never: bool,
}

/// `kv incr`.
#[derive(Debug, Args)]
pub struct IncrArgs {
    /// The key.
    key: OsString,
    /// What to add.
    #[arg(default_value_t = 1, allow_negative_numbers = true)]
    delta: i64,
}

impl Operation for GetArgs {
    fn run(&self, session: &mut Session, output: &mut Output<'_>, _: bool) -> Result<Outcome> {
        let Some(item) = session.get(self.key.as_bytes())? else {
            return absent(output, self.key.as_bytes());
        };
        if self.raw && !output.is_json() {
            output.raw(&item.value)?;
        } else {
            output.answer(&item.value, item.to_json())?;
        }
        Ok(Outcome::Done)
    }
}

impl Operation for SetArgs {
    const CREATES: bool = true;

    fn run(&self, session: &mut Session, output: &mut Output<'_>, _: bool) -> Result<Outcome> {
        let value = match &self.value {
            Some(value) => value.as_bytes().to_vec(),
            None => from_stdin()?,
        };
        let options = SetOptions { expiry: self.expiry(), condition: self.condition() };
        let stored = session.set(self.key.as_bytes(), &value, &options)?;
        let text = if stored { "OK" } else { "not stored" };
        output.answer(text, json!({ "stored": stored }))?;
        Ok(Outcome::of(stored))
    }
}

impl SetArgs {
    fn expiry(&self) -> Expiry {
        match (self.ttl, self.at) {
            (Some(ms), _) => Expiry::AfterMs(ms),
            (None, Some(at)) => Expiry::AtMs(at),
            (None, None) if self.keep_ttl => Expiry::Keep,
            (None, None) if self.never => Expiry::Never,
            (None, None) => Expiry::Default,
        }
    }

    fn condition(&self) -> Condition {
        match (self.if_absent, self.if_present) {
            (true, _) => Condition::Absent,
            (false, true) => Condition::Present,
            (false, false) => Condition::Any,
        }
    }
}

impl Operation for DelArgs {
    fn run(&self, session: &mut Session, output: &mut Output<'_>, _: bool) -> Result<Outcome> {
        let keys: Vec<_> = self.keys.iter().map(|key| key.as_bytes()).collect();
        let deleted = session.del(&keys)?;
        output.answer(deleted.to_string(), json!({ "deleted": deleted }))?;
        Ok(Outcome::of(deleted > 0))
    }
}

impl Operation for TtlArgs {
    fn run(&self, session: &mut Session, output: &mut Output<'_>, _: bool) -> Result<Outcome> {
        let (text, ms) = match session.ttl(self.key.as_bytes())? {
            None => return absent(output, self.key.as_bytes()),
            Some(Remaining::Never) => ("never".to_string(), Value::Null),
            Some(Remaining::Ms(ms)) => (format!("{ms}ms"), ms.into()),
        };
        let mut object = named(self.key.as_bytes());
        object.insert("ttl_ms".into(), ms);
        output.answer(text, object.into())?;
        Ok(Outcome::Done)
    }
}

impl Operation for ExpireArgs {
    fn run(&self, session: &mut Session, output: &mut Output<'_>, _: bool) -> Result<Outcome> {
        let expiry = match (self.ttl, self.at) {
            (Some(ms), _) => Expiry::AfterMs(ms),
            (None, Some(at)) => Expiry::AtMs(at),
            (None, None) => Expiry::Never,
        };
        if !session.expire(self.key.as_bytes(), expiry)? {
            return absent(output, self.key.as_bytes());
        }
        output.answer("OK", json!({ "found": true }))?;
        Ok(Outcome::Done)
    }
}

impl Operation for IncrArgs {
    const CREATES: bool = true;

    fn run(&self, session: &mut Session, output: &mut Output<'_>, _: bool) -> Result<Outcome> {
        let sum = session.incr(self.key.as_bytes(), self.delta)?;
        output.answer(sum.to_string(), json!({ "value": sum }))?;
        Ok(Outcome::Done)
    }
}

/// Says that a key is not there: an object in JSON, nothing but the exit code and a note in text, so that
/// an absent key is not taken for an empty value.
fn absent(output: &mut Output<'_>, key: &[u8]) -> Result<Outcome> {
    if output.is_json() {
        let mut object = named(key);
        object.insert("found".into(), false.into());
        output.object(&object.into())?;
    } else {
        eprintln!("kv: no such key: {}", super::output::shown(key));
    }
    Ok(Outcome::No)
}

fn named(key: &[u8]) -> Map<String, Value> {
    let mut object = Map::new();
    put_bytes(&mut object, "key", key);
    object
}

fn from_stdin() -> Result<Vec<u8>> {
    let mut value = Vec::new();
    let read = std::io::stdin().lock().read_to_end(&mut value);
    read.map_err(|error| Failure::failed(format!("cannot read standard input: {error}")))?;
    Ok(value)
}
