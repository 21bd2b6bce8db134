//! libkv, in a directory with default options and in memory.

use std::path::Path;

use anyhow::Result;
use kvcore::{Options, Store};

use super::{Mode, Peer, Writer};
use crate::plan::Key;

/// A store.
pub(super) struct Libkv {
    store: Store,
    is_durable: bool,
}

impl Libkv {
    pub(super) fn open(dir: &Path) -> Result<Libkv> {
        Ok(Libkv { store: Store::open_directory(dir, Options::default())?, is_durable: true })
    }

    pub(super) fn memory() -> Result<Libkv> {
        Ok(Libkv { store: Store::memory(Options::default())?, is_durable: false })
    }
}

impl Peer for Libkv {
    fn set_mode(&mut self, mode: Mode) -> Result<()> {
        if self.is_durable {
            self.store.configure("sync", mode.name())?;
        }
        Ok(())
    }

    fn writer(&self) -> Result<Box<dyn Writer + '_>> {
        Ok(Box::new(&self.store))
    }
}

impl Writer for &Store {
    fn set(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        Store::set(self, key, value)?;
        Ok(())
    }

    fn get(&mut self, key: &Key) -> Result<bool> {
        let mut buffer = [0; 256];
        Ok(self.get_into(key, &mut buffer)?.is_some())
    }
}
