//! Scans: the keys of every master in turn.
//!
//! Owns: [`RemoteScan`]. A key that is there from the beginning to the end comes at least once, which is what
//! `SCAN` promises of one server; that the servers together had all of it is checked at the end: if slots moved
//! meanwhile, the scan ends with `Conflict`. Why not the client's routing of `SCAN`: without a key it answers
//! from one server and says nothing of the others.

use std::collections::VecDeque;
use std::sync::Arc;

use kvcore::{Entry, Error, Order, Result, ScanOptions, Status, Value};

use crate::address::Endpoint;
use crate::call::Kind;
use crate::commands;
use crate::many::Item;
use crate::replies;
use crate::slot;
use crate::store::{Inner, RemoteStore};
use crate::topology::Topology;

/// Keys that a server looks at for one page.
const PAGE: usize = 512;

/// A scan under way, from [`RemoteStore::scan`].
///
/// A key that is there from the beginning to the end comes at least once, and a key may come twice. It belongs to
/// one thread at a time.
pub struct RemoteScan {
    inner: Arc<Inner>,
    keys_only: bool,
    left: u64,
    pages: Pages,
    ready: VecDeque<Entry>,
    /// What every further step answers.
    ended: Option<Option<Error>>,
}

impl Drop for RemoteScan {
    fn drop(&mut self) {
        if self.inner.is_forked() {
            // Another thread may have been changing them.
            std::mem::forget(std::mem::take(&mut self.ready));
        }
    }
}

/// The pages of keys of all masters.
pub(crate) struct Pages {
    pattern: Vec<u8>,
    topology: Arc<Topology>,
    master: usize,
    cursor: u64,
}

impl RemoteStore {
    /// Begins a scan of all keys, or of those with a prefix, in no order.
    ///
    /// # Errors
    /// `Unsupported` for an order or a range, which would need all keys of all servers first, and for one
    /// moment, which servers do not share; those of every call. A range that ends before the empty key is served: it
    /// has nothing in it.
    pub fn scan(&self, options: &ScanOptions) -> Result<RemoteScan> {
        self.inner.check()?;
        let is_empty = options.end.as_deref() == Some(b"");
        let has_range = !options.start.is_empty() || options.end.is_some();
        if options.order != Order::None || (has_range && !is_empty) {
            return Err(Error::new(
                Status::Unsupported,
                "a store on a server scans in no order and without a range: give a prefix, and sort what comes",
            ));
        }
        if options.point_in_time {
            return Err(Error::new(
                Status::Unsupported,
                "a store on a server can't be scanned as it was at one moment: scan without point_in_time",
            ));
        }
        Ok(RemoteScan {
            inner: Arc::clone(&self.inner),
            keys_only: options.keys_only,
            left: match options.limit {
                _ if is_empty => 0,
                0 => u64::MAX,
                limit => limit,
            },
            pages: Pages::new(&self.inner, &options.prefix)?,
            ready: VecDeque::new(),
            ended: None,
        })
    }
}

impl RemoteScan {
    /// The next entry, or `None` after the last one. The last answer, also an error, is repeated.
    ///
    /// # Errors
    /// `Conflict` if slots moved between servers meanwhile; those of every call.
    pub fn try_next(&mut self) -> Result<Option<Entry>> {
        self.inner.check()?;
        if let Some(ended) = &self.ended {
            return ended.clone().map_or(Ok(None), Err);
        }
        let next = self.step();
        match &next {
            Ok(Some(_)) => self.left -= 1,
            Ok(None) => self.ended = Some(None),
            Err(error) => self.ended = Some(Some(error.clone())),
        }
        next
    }

    fn step(&mut self) -> Result<Option<Entry>> {
        while self.left > 0 {
            if let Some(entry) = self.ready.pop_front() {
                return Ok(Some(entry));
            }
            let Some(keys) = self.pages.next(&self.inner)? else { return Ok(None) };
            self.ready = self.entries(keys)?;
        }
        Ok(None)
    }

    /// The entries of some keys; what has gone since is left out.
    fn entries(&self, keys: Vec<Vec<u8>>) -> Result<VecDeque<Entry>> {
        let prefix = self.inner.settings.prefix.len();
        let known = |key: &[u8]| key[prefix.min(key.len())..].to_vec();
        if self.keys_only {
            return Ok(keys.iter().map(|key| Entry::remote(known(key), None)).collect());
        }
        let items: Vec<Item> = keys
            .iter()
            .map(|key| Item { slot: slot::of(key), commands: commands::get(key).to_vec() })
            .collect();
        let deadline = self.inner.caller.deadline();
        let answers = self.inner.wait(self.inner.scatter(deadline, &items, Kind::Read))?;
        let mut entries = VecDeque::with_capacity(keys.len());
        for (key, answer) in keys.iter().zip(answers) {
            let mut answer = answer.into_iter();
            let found = replies::value(replies::next(&mut answer)?, replies::next(&mut answer)?);
            match found {
                Ok(Some((value, at))) => {
                    entries.push_back(Entry::remote(known(key), Some(Value::remote(&value, at))));
                }
                Ok(None) => {}
                // It became something other than a string, which scans leave out.
                Err(error) if error.status() == Status::Type => {}
                Err(error) => return Err(error),
            }
        }
        Ok(entries)
    }
}

impl Pages {
    /// All pages of the keys that begin with the store's prefix and this one.
    pub(crate) fn new(inner: &Inner, prefix: &[u8]) -> Result<Pages> {
        let mut pattern = escaped(&[&inner.settings.prefix, prefix].concat());
        pattern.push(b'*');
        Ok(Pages { pattern, topology: inner.topology()?, master: 0, cursor: 0 })
    }

    /// The keys of the next page, as the server knows them; `None` after the last one.
    ///
    /// # Errors
    /// `Conflict` if slots moved since the beginning; those of every call.
    pub(crate) fn next(&mut self, inner: &Inner) -> Result<Option<Vec<Vec<u8>>>> {
        let Some(server) = self.topology.masters().get(self.master) else { return Ok(None) };
        let page = self.page(inner, server).or_else(|error| {
            self.check_topology(inner)?;
            Err(error)
        });
        let (cursor, keys) = page?;
        self.cursor = cursor;
        if cursor == 0 {
            self.master += 1;
            if self.master == self.topology.masters().len() {
                self.check_topology(inner)?;
            }
        }
        Ok(Some(keys))
    }

    fn page(&self, inner: &Inner, server: &Endpoint) -> Result<(u64, Vec<Vec<u8>>)> {
        let mut command = redis::cmd("SCAN");
        command.arg(self.cursor).arg("MATCH").arg(&self.pattern);
        command.arg("COUNT").arg(PAGE).arg("TYPE").arg("string");
        let replies = inner.call_node(server, &[command], Kind::Read)?;
        let mut page = replies::list(replies::next(&mut replies.into_iter())?)?.into_iter();
        let cursor = replies::text(replies::next(&mut page)?)?;
        let cursor = cursor.parse().map_err(|_| replies::unexpected(&redis::Value::Nil))?;
        let keys = replies::list(replies::next(&mut page)?)?;
        let keys = keys.into_iter().map(|key| Ok(replies::bytes(key)?.unwrap_or_default()));
        Ok((cursor, keys.collect::<Result<_>>()?))
    }

    fn check_topology(&self, inner: &Inner) -> Result<()> {
        if *inner.topology()? == *self.topology {
            return Ok(());
        }
        Err(Error::new(
            Status::Conflict,
            "slots of the cluster moved to other servers during the scan: begin a new scan",
        ))
    }
}

impl Iterator for RemoteScan {
    type Item = Result<Entry>;

    /// The next entry. An error is the last item.
    fn next(&mut self) -> Option<Self::Item> {
        if matches!(self.ended, Some(Some(_))) {
            return None;
        }
        let next = self.try_next();
        if let Err(error) = &next {
            // That the store was closed ends it too.
            self.ended = Some(Some(error.clone()));
        }
        next.transpose()
    }
}

impl std::fmt::Debug for RemoteScan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteScan").field("master", &self.pages.master).finish_non_exhaustive()
    }
}

/// A text as a pattern that matches nothing else.
pub(crate) fn escaped(text: &[u8]) -> Vec<u8> {
    let mut pattern = Vec::with_capacity(text.len() + 8);
    for &byte in text {
        if matches!(byte, b'*' | b'?' | b'[' | b']' | b'\\') {
            pattern.push(b'\\');
        }
        pattern.push(byte);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_themselves_only() {
        assert_eq!(escaped(b"a*b?[c]\\d^-"), b"a\\*b\\?\\[c\\]\\\\d^-");
    }
}
