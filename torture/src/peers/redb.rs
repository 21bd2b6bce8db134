//! redb with its default durability, which is immediate.

use std::path::Path;

use anyhow::Result;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::{Opened, Peer, State};

const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("kv");

/// redb.
pub struct Redb;

impl Peer for Redb {
    fn name(&self) -> &'static str {
        "redb 4, Durability::Immediate"
    }

    fn word(&self) -> &'static str {
        "redb"
    }

    fn open(&self, dir: &Path) -> Result<Box<dyn Opened>> {
        std::fs::create_dir_all(dir)?;
        Ok(Box::new(Open(Database::create(dir.join("data.redb"))?)))
    }
}

struct Open(Database);

impl Opened for Open {
    fn change(&mut self, key: &str, value: Option<&[u8]>) -> Result<()> {
        let transaction = self.0.begin_write()?;
        {
            let mut table = transaction.open_table(TABLE)?;
            match value {
                Some(value) => drop(table.insert(key.as_bytes(), value)?),
                None => drop(table.remove(key.as_bytes())?),
            }
        }
        Ok(transaction.commit()?)
    }

    fn read_all(&mut self) -> Result<State> {
        let transaction = self.0.begin_read()?;
        let mut state = State::new();
        for entry in transaction.open_table(TABLE)?.iter()? {
            let (key, value) = entry?;
            state.insert(key.value().to_vec(), value.value().to_vec());
        }
        Ok(state)
    }
}
