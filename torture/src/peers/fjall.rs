//! fjall, with a sync of its journal after every change.

use std::path::Path;

use anyhow::Result;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::{Opened, Peer, State};

/// fjall.
pub struct Fjall;

impl Peer for Fjall {
    fn name(&self) -> &'static str {
        "fjall 3, PersistMode::SyncAll"
    }

    fn word(&self) -> &'static str {
        "fjall"
    }

    fn open(&self, dir: &Path) -> Result<Box<dyn Opened>> {
        let database = Database::builder(dir).open()?;
        let keyspace = database.keyspace("kv", KeyspaceCreateOptions::default)?;
        Ok(Box::new(Open { database, keyspace }))
    }
}

struct Open {
    database: Database,
    keyspace: Keyspace,
}

impl Opened for Open {
    fn change(&mut self, key: &str, value: Option<&[u8]>) -> Result<()> {
        match value {
            Some(value) => self.keyspace.insert(key, value)?,
            None => self.keyspace.remove(key)?,
        }
        Ok(self.database.persist(PersistMode::SyncAll)?)
    }

    fn read_all(&mut self) -> Result<State> {
        let mut state = State::new();
        for entry in self.keyspace.iter() {
            let (key, value) = entry.into_inner()?;
            state.insert(key.to_vec(), value.to_vec());
        }
        Ok(state)
    }
}
