//! libkv with `sync=always`.

use std::path::Path;

use anyhow::{Context, Result};
use kvcore::{Options, Store};

use super::{Opened, Peer, State};

/// libkv.
pub struct Libkv;

impl Peer for Libkv {
    fn name(&self) -> &'static str {
        "libkv, sync=always"
    }

    fn word(&self) -> &'static str {
        "libkv"
    }

    fn open(&self, dir: &Path) -> Result<Box<dyn Opened>> {
        let options = Options::new().with("sync", "always")?.with("wal_segment_bytes", "1MiB")?;
        Ok(Box::new(Open(Store::open_directory(dir, options)?)))
    }
}

struct Open(Store);

impl Opened for Open {
    fn change(&mut self, key: &str, value: Option<&[u8]>) -> Result<()> {
        match value {
            Some(value) => drop(self.0.set(key, value)?),
            None => drop(self.0.del(key)?),
        }
        Ok(())
    }

    fn read_all(&mut self) -> Result<State> {
        let mut state = State::new();
        for key in self.0.keys()? {
            let key = key?;
            let value = self.0.get(&key)?.context("a key without a value")?;
            state.insert(key, value.to_vec());
        }
        Ok(state)
    }

    fn told(&self) -> bool {
        self.0.recovery().is_ok_and(|report| report.discarded_bytes > 0)
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.0.shutdown()?)
    }
}
