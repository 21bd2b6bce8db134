//! Scans, against a range of the model.

use kvcore::{Order, ScanOptions};

use crate::model::Entry;
use crate::ops::{Range, key};
use crate::pair::Pair;

/// What a scan shows of an entry: key, value, version and deadline.
pub type Shown = (Vec<u8>, Vec<u8>, u64, Option<i64>);

/// What a store is asked for.
pub fn options(range: &Range) -> ScanOptions {
    let (number, len) = range.prefix;
    ScanOptions {
        prefix: key(number).into_iter().take(len).collect(),
        start: range.start.map(key).unwrap_or_default(),
        end: range.end.map(key),
        limit: range.limit,
        order: range.order,
        keys_only: range.keys_only,
        point_in_time: false,
    }
}

/// What a scan came to.
pub fn shown(entry: &kvcore::Entry) -> Shown {
    let (version, deadline) = (entry.version(), entry.expire_at_ms());
    (entry.key().to_vec(), entry.value().to_vec(), version, deadline)
}

impl Pair {
    /// The entries of a range, in the order of their keys.
    pub fn wanted(&self, range: &Range) -> Vec<Shown> {
        let ScanOptions { prefix, start, end, .. } = options(range);
        let shown = |key: &Vec<u8>, entry: &Entry| {
            let value = if range.keys_only { Vec::new() } else { entry.value.clone() };
            (key.clone(), value, entry.version, entry.deadline)
        };
        let entries = self.model.entries.iter();
        entries
            .filter(|(key, _)| key.starts_with(&prefix) && **key >= start)
            .filter(|(key, _)| end.as_ref().is_none_or(|end| *key < end))
            .map(|(key, entry)| shown(key, entry))
            .collect()
    }

    pub fn scan(&self, range: &Range) {
        let mut want = self.wanted(range);
        let scan = self.store.scan(&options(range)).unwrap().map(Result::unwrap);
        let mut got: Vec<Shown> = scan.map(|entry| shown(&entry)).collect();
        let most = if range.limit == 0 { usize::MAX } else { range.limit as usize };
        match range.order {
            Order::None => {
                // Which ones come first is not said.
                assert_eq!(got.len(), want.len().min(most));
                got.sort();
                want.retain(|entry| got.binary_search(entry).is_ok());
            }
            Order::Asc => want.truncate(most),
            Order::Desc => {
                want.reverse();
                want.truncate(most);
            }
        }
        assert!(got == want, "{range:?}: {} entries, {} expected", got.len(), want.len());
    }
}
