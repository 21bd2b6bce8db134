//! redb, fjall and sled: engines in Rust, in this process.
//!
//! redb has neither an interval nor a thread: the benchmark commits durably once a second. fjall and
//! sled are synced by the benchmark too, so that all of them are synced equally often; sled's own
//! thread is off.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use redb::{Durability, ReadableDatabase, TableDefinition};

use super::{Mode, Peer, Writer};
use crate::durable::content::value;
use crate::plan::Key;

const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("bench");
/// Keys of a transaction while a store is filled.
const FILL: usize = 10_000;

/// redb: a copy-on-write B-tree.
pub(super) struct Redb {
    database: redb::Database,
    mode: Mode,
}

impl Redb {
    pub(super) fn open(dir: &Path) -> Result<Redb> {
        let redb = Redb { database: redb::Database::create(dir.join("redb"))?, mode: Mode::Never };
        redb.write(Durability::Immediate, &[])?;
        Ok(redb)
    }

    fn write(&self, durability: Durability, pairs: &[(&Key, &[u8])]) -> Result<()> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(durability)?;
        {
            let mut table = transaction.open_table(TABLE)?;
            for (key, value) in pairs {
                table.insert(&key[..], *value)?;
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

impl Peer for Redb {
    fn set_mode(&mut self, mode: Mode) -> Result<()> {
        self.mode = mode;
        Ok(())
    }

    fn writer(&self) -> Result<Box<dyn Writer + '_>> {
        Ok(Box::new(self))
    }

    fn tick(&self) -> Result<()> {
        self.write(Durability::Immediate, &[])
    }

    fn fill(&self, keys: &[Key]) -> Result<()> {
        for keys in keys.chunks(FILL) {
            let pairs: Vec<_> = keys.iter().map(|key| (key, value(key))).collect();
            self.write(Durability::None, &pairs)?;
        }
        self.tick()
    }
}

impl Writer for &Redb {
    fn set(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        let always = self.mode == Mode::Always;
        self.write(if always { Durability::Immediate } else { Durability::None }, &[(key, value)])
    }

    fn get(&mut self, key: &Key) -> Result<bool> {
        let table = self.database.begin_read()?.open_table(TABLE)?;
        Ok(table.get(&key[..])?.is_some())
    }
}

/// fjall: a log-structured merge tree.
pub(super) struct Fjall {
    database: Database,
    keys: Keyspace,
    mode: Mode,
}

impl Fjall {
    pub(super) fn open(dir: &Path) -> Result<Fjall> {
        let database = Database::builder(dir.join("fjall")).open()?;
        let keys = database.keyspace("bench", KeyspaceCreateOptions::default)?;
        Ok(Fjall { database, keys, mode: Mode::Never })
    }
}

impl Peer for Fjall {
    fn set_mode(&mut self, mode: Mode) -> Result<()> {
        self.mode = mode;
        Ok(())
    }

    fn writer(&self) -> Result<Box<dyn Writer + '_>> {
        Ok(Box::new(self))
    }

    fn tick(&self) -> Result<()> {
        Ok(self.database.persist(PersistMode::SyncData)?)
    }
}

impl Writer for &Fjall {
    fn set(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        self.keys.insert(key, value)?;
        if self.mode == Mode::Always { self.tick() } else { Ok(()) }
    }

    fn get(&mut self, key: &Key) -> Result<bool> {
        Ok(self.keys.get(key)?.is_some())
    }
}

/// How long a sled that was dropped may still hold its lock.
const RELEASE: Duration = Duration::from_secs(30);

/// sled: a tree over a log. Without a sync, what was set last may still be in its own buffers. With one it calls
/// `sync_file_range`, which leaves the data in the cache of the disk.
pub(super) struct Sled {
    database: sled::Db,
    mode: Mode,
}

impl Sled {
    pub(super) fn open(dir: &Path) -> Result<Sled> {
        let config = sled::Config::new().path(dir.join("sled")).flush_every_ms(None);
        let begun = Instant::now();
        loop {
            match config.open() {
                Ok(database) => return Ok(Sled { database, mode: Mode::Never }),
                // Threads of one that was just dropped may not have ended yet.
                Err(sled::Error::Io(fault))
                    if fault.to_string().contains("lock") && begun.elapsed() < RELEASE =>
                {
                    thread::sleep(Duration::from_millis(1));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Peer for Sled {
    fn set_mode(&mut self, mode: Mode) -> Result<()> {
        self.mode = mode;
        Ok(())
    }

    fn writer(&self) -> Result<Box<dyn Writer + '_>> {
        Ok(Box::new(self))
    }

    fn tick(&self) -> Result<()> {
        self.database.flush()?;
        Ok(())
    }
}

impl Writer for &Sled {
    fn set(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        self.database.insert(key, value)?;
        if self.mode == Mode::Always { self.tick() } else { Ok(()) }
    }

    fn get(&mut self, key: &Key) -> Result<bool> {
        Ok(self.database.get(key)?.is_some())
    }
}
