//! What a store was found to hold, and how one process tells another.
//!
//! Framed by hand, because a dump is taken thousands of times and is read by the same program.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use anyhow::{Context, Result, ensure};
use kvcore::Store;

use super::ledger::wall_ms;

/// The longest key or value that a dump may have: a guard against reading nonsense.
const LEN_MAX: u32 = 1 << 26;
/// Stands for no deadline.
const NEVER: i64 = i64::MAX;

/// An entry that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its value.
    pub value: Vec<u8>,
    /// Its deadline in Unix milliseconds.
    pub deadline_ms: Option<i64>,
    /// Its version.
    pub version: u64,
}

/// Everything that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dump {
    /// The revision of the last change that was recovered.
    pub last_revision: u64,
    /// Bytes of a torn end that were not used.
    pub discarded_bytes: u64,
    /// Unix time in milliseconds just before opening.
    pub before_ms: i64,
    /// Unix time in milliseconds after the last entry was read.
    pub after_ms: i64,
    /// The entries.
    pub entries: BTreeMap<Vec<u8>, Held>,
}

impl Dump {
    /// Looks at all that a store holds. `before_ms` is when its opening began.
    ///
    /// # Errors
    /// Those of the store.
    pub fn of(store: &Store, before_ms: i64) -> Result<Dump> {
        let report = store.recovery()?;
        let mut entries = BTreeMap::new();
        for key in store.keys()? {
            let key = key?;
            // It may have expired since its key was seen.
            let Some(value) = store.get(&key)? else { continue };
            let (deadline_ms, version) = (value.expire_at_ms(), value.version());
            entries.insert(key, Held { value: value.to_vec(), deadline_ms, version });
        }
        let (last_revision, discarded_bytes) = (report.last_revision, report.discarded_bytes);
        Ok(Dump { last_revision, discarded_bytes, before_ms, after_ms: wall_ms(), entries })
    }

    /// Writes it.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write(&self, to: &mut impl Write) -> Result<()> {
        let head =
            [self.last_revision, self.discarded_bytes, self.before_ms as u64, self.after_ms as u64];
        let mut bytes: Vec<u8> = head.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.extend((self.entries.len() as u64).to_le_bytes());
        for (key, held) in &self.entries {
            for part in [key, &held.value] {
                bytes.extend(u32::try_from(part.len())?.to_le_bytes());
                bytes.extend(part);
            }
            bytes.extend(held.deadline_ms.unwrap_or(NEVER).to_le_bytes());
            bytes.extend(held.version.to_le_bytes());
        }
        to.write_all(&bytes)?;
        Ok(to.flush()?)
    }

    /// Reads what `write` wrote.
    ///
    /// # Errors
    /// If it ends too early, as it does when its writer was killed.
    pub fn read(from: &mut impl Read) -> Result<Dump> {
        let (last_revision, discarded_bytes) = (word(from)?, word(from)?);
        let (before_ms, after_ms) = (word(from)? as i64, word(from)? as i64);
        let count = word(from)?;
        let mut entries = BTreeMap::new();
        for _ in 0..count {
            let (key, value) = (part(from)?, part(from)?);
            let deadline_ms = Some(word(from)? as i64).filter(|at| *at != NEVER);
            entries.insert(key, Held { value, deadline_ms, version: word(from)? });
        }
        ensure!(entries.len() as u64 == count, "a key was dumped twice");
        Ok(Dump { last_revision, discarded_bytes, before_ms, after_ms, entries })
    }

    /// The entries that are alive at a time, and no others.
    pub fn alive(&self, at_ms: i64) -> BTreeMap<&[u8], &Held> {
        let is_alive = |held: &Held| held.deadline_ms.is_none_or(|deadline| deadline > at_ms);
        let entries = self.entries.iter().filter(|(_, held)| is_alive(held));
        entries.map(|(key, held)| (key.as_slice(), held)).collect()
    }
}

fn word(from: &mut impl Read) -> Result<u64> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes).context("the dump is cut")?;
    Ok(u64::from_le_bytes(bytes))
}

fn part(from: &mut impl Read) -> Result<Vec<u8>> {
    let mut bytes = [0; 4];
    from.read_exact(&mut bytes).context("the dump is cut")?;
    let len = u32::from_le_bytes(bytes);
    ensure!(len <= LEN_MAX, "the dump has a part of {len} bytes");
    let mut bytes = vec![0; len as usize];
    from.read_exact(&mut bytes).context("the dump is cut")?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_is_read_as_it_was_written_and_not_if_it_is_cut() {
        let held = |deadline_ms| Held { value: b"v".to_vec(), deadline_ms, version: 3 };
        let mut dump = Dump { last_revision: 9, ..Dump::default() };
        dump.entries.insert(b"a".to_vec(), held(None));
        dump.entries.insert(Vec::new(), held(Some(5)));
        let mut bytes = Vec::new();
        dump.write(&mut bytes).unwrap();
        assert_eq!(Dump::read(&mut bytes.as_slice()).unwrap(), dump);
        for len in 0..bytes.len() {
            assert!(Dump::read(&mut &bytes[..len]).is_err(), "{len}");
        }
        assert_eq!(dump.alive(5).len(), 1);
        assert_eq!(dump.alive(4).len(), 2);
    }
}
