//! SQLite with its write-ahead log and `synchronous=FULL`.

use std::path::Path;

use anyhow::Result;
use rusqlite::{Connection, params};

use super::{Opened, Peer, State};

/// SQLite.
pub struct Sqlite;

impl Peer for Sqlite {
    fn name(&self) -> &'static str {
        "SQLite 3, WAL, synchronous=FULL"
    }

    fn word(&self) -> &'static str {
        "sqlite"
    }

    fn open(&self, dir: &Path) -> Result<Box<dyn Opened>> {
        std::fs::create_dir_all(dir)?;
        let connection = Connection::open(dir.join("data.db"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute(
            "CREATE TABLE IF NOT EXISTS kv (key BLOB PRIMARY KEY, value BLOB NOT NULL)",
            [],
        )?;
        Ok(Box::new(Open(connection)))
    }
}

struct Open(Connection);

impl Opened for Open {
    fn change(&mut self, key: &str, value: Option<&[u8]>) -> Result<()> {
        let key = key.as_bytes();
        match value {
            Some(value) => {
                self.0.execute("REPLACE INTO kv VALUES (?1, ?2)", params![key, value])?
            }
            None => self.0.execute("DELETE FROM kv WHERE key = ?1", params![key])?,
        };
        Ok(())
    }

    fn read_all(&mut self) -> Result<State> {
        let mut statement = self.0.prepare("SELECT key, value FROM kv")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<std::result::Result<State, _>>()?)
    }
}
