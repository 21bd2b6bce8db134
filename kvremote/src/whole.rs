//! The calls that concern the whole store, what is counted, and what a server cannot do.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use kvcore::{Error, RecoveryReport, Result, SnapshotInfo, Stats, Status};

use crate::call::Kind;
use crate::near::Near;
use crate::replies;
use crate::scan::Pages;
use crate::slot;
use crate::store::{Inner, RemoteStore};

/// What this handle has done, but for the reads that the near cache answered: that counts them itself, and in a way
/// that no two threads write to one place. A hit takes little longer than such a write does.
#[derive(Default)]
pub(crate) struct Counters {
    hits: AtomicU64,
    misses: AtomicU64,
    sets: AtomicU64,
    deletes: AtomicU64,
}

impl Counters {
    /// Counts a read that a server answered.
    pub(crate) fn read(&self, is_hit: bool) {
        let count = if is_hit { &self.hits } else { &self.misses };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts reads that servers answered.
    pub(crate) fn read_many(&self, hits: u64, misses: u64) {
        self.hits.fetch_add(hits, Ordering::Relaxed);
        self.misses.fetch_add(misses, Ordering::Relaxed);
    }

    /// Counts values written.
    pub(crate) fn set(&self, count: u64) {
        self.sets.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts entries deleted.
    pub(crate) fn deleted(&self, count: u64) {
        self.deletes.fetch_add(count, Ordering::Relaxed);
    }
}

impl RemoteStore {
    /// The number of entries: without a prefix that of all keys on all masters, whatever they hold; with one
    /// those that a scan finds, which takes as long as a scan.
    ///
    /// # Errors
    /// As [`scan`](RemoteStore::scan).
    pub fn len(&self) -> Result<u64> {
        self.inner.check()?;
        if self.inner.settings.prefix.is_empty() {
            return self.inner.sum(&redis::cmd("DBSIZE"));
        }
        let mut pages = Pages::new(&self.inner, b"")?;
        let mut count = 0;
        while let Some(keys) = pages.next(&self.inner)? {
            count += keys.len() as u64;
        }
        Ok(count)
    }

    /// Whether [`len`](RemoteStore::len) is zero.
    ///
    /// # Errors
    /// As [`len`](RemoteStore::len).
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Removes every entry with the store's prefix, key by key; without a prefix empties every master. Not at one
    /// moment: an error may leave some entries.
    ///
    /// # Errors
    /// `Unsupported` without a prefix unless `allow_flush` is set; those of every call.
    pub fn clear(&self) -> Result<()> {
        let inner = &*self.inner;
        inner.check()?;
        if inner.settings.prefix.is_empty() {
            if !inner.settings.allow_flush {
                return Err(Error::new(
                    Status::Unsupported,
                    "clearing would empty the servers for everybody: open with a prefix, or with allow_flush=true",
                ));
            }
            let emptied = inner.flush();
            // The servers tell as well, but who has cleared reads nothing older.
            if let Some(near) = &inner.near {
                near.empty_all();
            }
            return emptied;
        }
        let mut pages = Pages::new(inner, b"")?;
        while let Some(keys) = pages.next(inner)? {
            let mut slots: BTreeMap<u16, Vec<Vec<u8>>> = BTreeMap::new();
            for key in keys {
                slots.entry(slot::of(&key)).or_default().push(key);
            }
            let prefix = inner.settings.prefix.len();
            let touched = slots.iter().flat_map(|(slot, keys)| {
                keys.iter().map(|key| (*slot, &key[prefix.min(key.len())..]))
            });
            let writing = Near::writing(inner.near.as_deref(), touched);
            inner.counters.deleted(inner.wait(inner.delete(&slots))?);
            drop(writing);
        }
        Ok(())
    }

    /// What the masters hold, summed, and what this handle has read and written. What is told of memory, expiry
    /// and eviction concerns the servers as a whole, whatever the prefix.
    ///
    /// # Errors
    /// Those of every call.
    pub fn stats(&self) -> Result<Stats> {
        let inner = &*self.inner;
        inner.check()?;
        let mut stats = Stats::default();
        let mut info = redis::cmd("INFO");
        info.arg("everything");
        for server in inner.topology()?.masters() {
            let replies = inner.call_node(server, &[info.clone()], Kind::Read)?;
            add_info(&mut stats, &replies::text(replies::next(&mut replies.into_iter())?)?);
        }
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let near = self.near_stats();
        stats.hits = read(&inner.counters.hits) + near.hits;
        stats.misses = read(&inner.counters.misses);
        stats.gets = stats.hits + stats.misses;
        stats.sets = read(&inner.counters.sets);
        stats.deletes = read(&inner.counters.deletes);
        stats.near_hits = near.hits;
        stats.near_fills = near.fills;
        stats.near_invalidations = near.invalidations;
        stats.near_drops = near.drops;
        Ok(stats)
    }

    /// Refuses what a store on a server cannot do: always with the same error, before anything is sent.
    ///
    /// # Errors
    /// `Unsupported`, naming `what`; `Closed`, `Forked`.
    #[doc(hidden)]
    pub fn refuse<T>(&self, what: &str) -> Result<T> {
        self.inner.check()?;
        Err(Error::new(
            Status::Unsupported,
            format!("{what} is the server's own business: a store on a server does not offer it"),
        ))
    }

    /// Options of an open remote store stay as they are.
    ///
    /// # Errors
    /// `Unsupported`.
    pub fn configure(&self, name: &str, _value: &str) -> Result<()> {
        self.refuse(&format!("changing the option '{name}' of an open store"))
    }

    /// A server expires entries by itself.
    ///
    /// # Errors
    /// `Unsupported`.
    pub fn purge_expired(&self) -> Result<u64> {
        self.refuse("freeing expired entries")
    }

    /// How safe a change is, is for the server's configuration and the option `ack_replicas` to say.
    ///
    /// # Errors
    /// `Unsupported`.
    pub fn sync(&self) -> Result<()> {
        self.refuse("syncing a log")
    }

    /// Snapshots are taken by the server.
    ///
    /// # Errors
    /// `Unsupported`.
    pub fn snapshot(&self, _path: Option<&Path>) -> Result<SnapshotInfo> {
        self.refuse("taking a snapshot")
    }

    /// What a server found when it started, it keeps to itself.
    ///
    /// # Errors
    /// `Unsupported`.
    pub fn recovery(&self) -> Result<RecoveryReport> {
        self.refuse("a report of what recovery found")
    }

    /// Snapshots are restored by the server.
    ///
    /// # Errors
    /// `Unsupported`.
    pub fn restore(&self, _path: impl AsRef<Path>) -> Result<()> {
        self.refuse("restoring a snapshot")
    }
}

impl Inner {
    /// The sum of what all masters answer to a command.
    fn sum(&self, command: &redis::Cmd) -> Result<u64> {
        let mut sum = 0;
        for server in self.topology()?.masters() {
            let replies = self.call_node(server, std::slice::from_ref(command), Kind::Read)?;
            sum += replies::count(replies::next(&mut replies.into_iter())?)?;
        }
        Ok(sum)
    }

    /// Empties every master.
    fn flush(&self) -> Result<()> {
        for server in self.topology()?.masters() {
            let replies = self.call_node(server, &[redis::cmd("FLUSHDB")], Kind::Set)?;
            replies.into_iter().try_for_each(|reply| replies::checked(reply).map(drop))?;
        }
        Ok(())
    }
}

/// Adds what one server tells of itself.
fn add_info(stats: &mut Stats, info: &str) {
    for line in info.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        let number = || value.trim().parse::<u64>().unwrap_or(0);
        match name {
            "used_memory" => stats.memory_bytes += number(),
            "used_memory_rss" => stats.resident_bytes += number(),
            "expired_keys" => stats.expired += number(),
            "evicted_keys" => stats.evicted += number(),
            "db0" => {
                for field in value.trim().split(',') {
                    let Some((name, count)) = field.split_once('=') else { continue };
                    let count: u64 = count.parse().unwrap_or(0);
                    match name {
                        "keys" => stats.entries += count,
                        "expires" => stats.expiring_entries += count,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_tells_of_itself() {
        let mut stats = Stats::default();
        let info = "# Memory\r\nused_memory:100\r\nused_memory_rss:300\r\nexpired_keys:4\r\n\
                    evicted_keys:5\r\ndb0:keys=7,expires=2,avg_ttl=0\r\n";
        add_info(&mut stats, info);
        add_info(&mut stats, info);
        let told = (stats.memory_bytes, stats.entries, stats.expiring_entries, stats.evicted);
        assert_eq!(told, (200, 14, 4, 10));
    }
}
