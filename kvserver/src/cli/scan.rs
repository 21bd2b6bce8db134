//! `kv scan`: entries of a store, one a line.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use clap::Args;
use serde_json::Map;

use super::Operation;
use super::item::put_bytes;
use super::outcome::{Outcome, Result};
use super::output::{Output, shown};
use super::session::{Session, Wanted};

/// `kv scan`.
#[derive(Debug, Args)]
pub struct ScanArgs {
    /// Only keys that begin with this.
    #[arg(default_value = "")]
    prefix: OsString,
    /// No more entries than this; 0 is no limit.
    #[arg(long, default_value_t = 0)]
    limit: u64,
    /// In the order of the keys' bytes.
    #[arg(long)]
    sorted: bool,
    /// With values and deadlines.
    #[arg(long)]
    values: bool,
}

impl Operation for ScanArgs {
    fn run(&self, session: &mut Session, output: &mut Output<'_>, _: bool) -> Result<Outcome> {
        let wanted = Wanted {
            prefix: self.prefix.as_bytes().to_vec(),
            limit: self.limit,
            sorted: self.sorted,
            values: self.values,
        };
        let mut found = false;
        session.scan(&wanted, &mut |item| {
            found = true;
            let (json, text) = if self.values {
                (item.to_json(), format!("{}\t{}", shown(&item.key), shown(&item.value)))
            } else {
                let mut object = Map::new();
                put_bytes(&mut object, "key", &item.key);
                (object.into(), shown(&item.key))
            };
            output.answer(text, json)?;
            Ok(true)
        })?;
        Ok(Outcome::of(found))
    }
}
