//! Who sets keys durably: libkv, libkv in memory, the engines a program would use instead, and the
//! disk alone.
//!
//! Every peer runs with its own defaults, but for what [`Mode`] asks of it, and each takes in the same
//! keys and values. What only one thread may use at a time, such as a connection to a server, is
//! opened for each thread by [`Peer::writer`].

mod disk;
mod embedded;
mod libkv;
mod lmdb;
mod redis;
mod rocksdb;

use std::path::Path;

use anyhow::Result;

use super::content::value;
use crate::plan::Key;

/// When a set may return.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Once the disk has it.
    Always,
    /// At once; the disk has it a second later.
    Interval,
    /// At once; the system writes it when it likes.
    Never,
}

impl Mode {
    /// All of them, in the order of the tables.
    pub const ALL: [Mode; 3] = [Mode::Always, Mode::Interval, Mode::Never];

    /// As the option `sync` has it.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Always => "always",
            Mode::Interval => "interval",
            Mode::Never => "never",
        }
    }
}

/// An open store.
pub trait Peer: Sync {
    /// What holds for the sets that follow.
    fn set_mode(&mut self, mode: Mode) -> Result<()>;

    /// What one thread sets keys with.
    fn writer(&self) -> Result<Box<dyn Writer + '_>>;

    /// Makes durable what was set, in `Mode::Interval`, where the engine has no thread that does.
    fn tick(&self) -> Result<()> {
        Ok(())
    }

    /// Sets these keys as fast as can be, in `Mode::Never`.
    fn fill(&self, keys: &[Key]) -> Result<()> {
        let mut writer = self.writer()?;
        keys.iter().try_for_each(|key| writer.set(key, value(key)))
    }
}

/// One thread's way to a store.
pub trait Writer {
    /// Sets a key, as durably as the mode asks.
    fn set(&mut self, key: &Key, value: &[u8]) -> Result<()>;

    /// Whether a key is there.
    fn get(&mut self, key: &Key) -> Result<bool>;
}

/// libkv in a directory.
pub const LIBKV: &str = "libkv";
/// libkv without one.
pub const MEMORY: &str = "libkv in memory";
/// RocksDB, by its C interface.
pub const ROCKSDB: &str = "RocksDB";
/// Redis, by a Unix socket.
pub const REDIS: &str = "Redis";
/// One write and one sync, into a file whose blocks have all been written before.
pub const DISK: &str = "bare write, file of zeros";
/// The same into a file that was only allocated.
pub const DISK_ALLOCATED: &str = "bare write, allocated file";

const LMDB: &str = "LMDB";
const REDB: &str = "redb";
const FJALL: &str = "fjall";
const SLED: &str = "sled";

/// The other engines.
pub const OTHERS: [&str; 6] = [ROCKSDB, LMDB, REDB, FJALL, SLED, REDIS];

/// Opens a peer in a directory, which is there. What was in it is there again.
///
/// # Errors
/// If the engine is not installed, or fails.
pub fn open(name: &str, dir: &Path) -> Result<Box<dyn Peer>> {
    Ok(match name {
        LIBKV => Box::new(libkv::Libkv::open(dir)?),
        MEMORY => Box::new(libkv::Libkv::memory()?),
        ROCKSDB => Box::new(rocksdb::RocksDb::open(dir)?),
        LMDB => Box::new(lmdb::Lmdb::open(dir)?),
        REDB => Box::new(embedded::Redb::open(dir)?),
        FJALL => Box::new(embedded::Fjall::open(dir)?),
        SLED => Box::new(embedded::Sled::open(dir)?),
        REDIS => Box::new(redis::Redis::start(dir)?),
        DISK => Box::new(disk::Bare::create(dir, true)?),
        DISK_ALLOCATED => Box::new(disk::Bare::create(dir, false)?),
        _ => anyhow::bail!("there is no peer `{name}`"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::files::Folder;
    use crate::plan::key;

    /// Those that need nothing installed, twice: what was set is there after closing and opening.
    #[test]
    fn peers_set_and_get_and_keep() {
        for name in [LIBKV, MEMORY, REDB, FJALL, SLED] {
            let folder = Folder::temporary("peers").unwrap();
            let mut peer = open(name, folder.path()).unwrap();
            for mode in Mode::ALL {
                peer.set_mode(mode).unwrap();
                peer.fill(&[key(1), key(2)]).unwrap();
                let mut writer = peer.writer().unwrap();
                writer.set(&key(3), b"value").unwrap();
                assert!(writer.get(&key(1)).unwrap() && writer.get(&key(3)).unwrap(), "{name}");
                assert!(!writer.get(&key(4)).unwrap(), "{name}");
                peer.tick().unwrap();
            }
            drop(peer);
            if name != MEMORY {
                let peer = open(name, folder.path()).unwrap();
                assert!(peer.writer().unwrap().get(&key(3)).unwrap(), "{name}");
            }
        }
    }

    #[test]
    fn the_bare_disk_takes_what_the_log_would() {
        for name in [DISK, DISK_ALLOCATED] {
            let folder = Folder::temporary("disk").unwrap();
            let mut peer = open(name, folder.path()).unwrap();
            peer.set_mode(Mode::Always).unwrap();
            peer.writer().unwrap().set(&key(1), &[1; 100]).unwrap();
        }
        assert!(open("none", Path::new("")).is_err());
    }
}
