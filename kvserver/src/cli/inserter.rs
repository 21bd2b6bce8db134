//! Puts entries into a store some at a time, since one at a time would cost a flush or a round trip each.
//!
//! Owns: [`Inserter`]. Invariant: what waits is bounded, in entries and in bytes, but for one entry.

use super::item::Item;
use super::outcome::Result;
use super::session::Session;

/// Entries and bytes that are put into a store at a time.
const BATCH_ITEMS: usize = 1_000;
const BATCH_BYTES: usize = 4 << 20;

/// Takes entries, and puts them into a store.
pub struct Inserter<'a> {
    to: &'a mut Session,
    waiting: Vec<Item>,
    bytes: usize,
    count: u64,
}

impl<'a> Inserter<'a> {
    /// Nothing was put yet.
    pub fn new(to: &'a mut Session) -> Inserter<'a> {
        Inserter { to, waiting: Vec::new(), bytes: 0, count: 0 }
    }

    /// Takes one more.
    ///
    /// # Errors
    /// Those of the store or server.
    pub fn push(&mut self, item: Item) -> Result<()> {
        self.bytes += item.key.len() + item.value.len();
        self.waiting.push(item);
        self.count += 1;
        if self.waiting.len() >= BATCH_ITEMS || self.bytes >= BATCH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// How many were taken.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Puts what waits, and gives the store for something else.
    ///
    /// # Errors
    /// Those of the store or server.
    pub fn settled(&mut self) -> Result<&mut Session> {
        self.flush()?;
        Ok(self.to)
    }

    /// Puts the rest. How many there were.
    ///
    /// # Errors
    /// Those of the store or server.
    pub fn finish(mut self) -> Result<u64> {
        self.flush()?;
        Ok(self.count)
    }

    fn flush(&mut self) -> Result<()> {
        self.to.put(&self.waiting)?;
        self.waiting.clear();
        self.bytes = 0;
        Ok(())
    }
}
