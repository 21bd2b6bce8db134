//! The engines that `bits` compares, each through its own interface, every change durable by itself.
//!
//! Redis is Debian's program, used over its socket; the others are compiled in with the feature `peers`,
//! so that whoever only tests libkv need not compile them.

#[cfg(feature = "peers")]
mod fjall;
mod libkv;
#[cfg(feature = "peers")]
mod redb;
mod redis;
#[cfg(feature = "peers")]
mod sqlite;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

/// Keys and values.
pub type State = BTreeMap<Vec<u8>, Vec<u8>>;

/// One engine.
pub trait Peer {
    /// Its name, with the mode that makes every change durable.
    fn name(&self) -> &'static str;

    /// The word for it on a command line.
    fn word(&self) -> &'static str;

    /// Opens or makes a store in a directory.
    ///
    /// # Errors
    /// Those of the engine.
    fn open(&self, dir: &Path) -> Result<Box<dyn Opened>>;

    /// How the calls on its files name the directory, for the rig that lets them fail.
    fn own_path(&self, dir: &Path) -> std::path::PathBuf {
        dir.to_path_buf()
    }
}

/// An open store.
pub trait Opened {
    /// Sets a key, or deletes it, durably.
    ///
    /// # Errors
    /// Those of the engine.
    fn change(&mut self, key: &str, value: Option<&[u8]>) -> Result<()>;

    /// Everything that is there.
    ///
    /// # Errors
    /// Those of the engine.
    fn read_all(&mut self) -> Result<State>;

    /// Whether the engine has a way to tell that it left something out, and says so.
    fn told(&self) -> bool {
        false
    }

    /// Closes it cleanly.
    ///
    /// # Errors
    /// Those of the engine.
    fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }

    /// Ends what a kill of this process would not.
    fn abandon(&mut self) {}
}

/// All engines that were compiled in.
pub fn all() -> Vec<Box<dyn Peer>> {
    vec![
        Box::new(libkv::Libkv),
        Box::new(redis::Redis),
        #[cfg(feature = "peers")]
        Box::new(sqlite::Sqlite),
        #[cfg(feature = "peers")]
        Box::new(redb::Redb),
        #[cfg(feature = "peers")]
        Box::new(fjall::Fjall),
    ]
}
